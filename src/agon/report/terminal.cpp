#include "agon/report/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace agon {
namespace {

constexpr int kUsualWidth = 80;
constexpr int kLeastWidth = 40;  // below this every table would be dots

bool is_set(const char* value) { return value != nullptr && *value != '\0'; }

int parse_columns(const char* text) {
  int columns = 0;
  if (text == nullptr) return 0;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, columns);
  return error == std::errc() && stop == end && columns > 0 && columns <= 10'000 ? columns : 0;
}

std::string_view code(Paint paint) {
  switch (paint) {
    case Paint::kBold:
      return "1";
    case Paint::kDim:
      return "2";
    case Paint::kGood:
      return "32";
    case Paint::kBad:
      return "31";
    case Paint::kWarning:
      return "33";
    case Paint::kAccent:
      return "36";
    case Paint::kPlain:
      break;
  }
  return {};
}

}  // namespace

TerminalInfo terminal_info(const TerminalEnvironment& environment) {
  TerminalInfo info;
  info.is_terminal = environment.is_terminal;
  const bool dumb = environment.term != nullptr && std::strcmp(environment.term, "dumb") == 0;
  const bool forced = is_set(environment.force_color) && std::strcmp(environment.force_color, "0") != 0;
  info.colour = !is_set(environment.no_color) && (forced || (environment.is_terminal && !dumb));
  if (environment.is_terminal) {
    int width = environment.window_columns;
    if (width <= 0) width = parse_columns(environment.columns);
    if (width <= 0) width = kUsualWidth;
    info.width = std::max(width, kLeastWidth);
  }
  return info;
}

TerminalInfo terminal_info(int descriptor) {
  TerminalEnvironment environment;
  environment.is_terminal = isatty(descriptor) == 1;
  winsize size{};
  if (environment.is_terminal && ioctl(descriptor, TIOCGWINSZ, &size) == 0) {
    environment.window_columns = size.ws_col;
  }
  environment.no_color = std::getenv("NO_COLOR");
  environment.force_color = std::getenv("CLICOLOR_FORCE");
  environment.term = std::getenv("TERM");
  environment.columns = std::getenv("COLUMNS");
  return terminal_info(environment);
}

std::string painted(std::string_view text, Paint paint, bool colour) {
  const std::string_view number = code(paint);
  if (!colour || number.empty() || text.empty()) return std::string(text);
  std::string out = "\x1b[";
  out += number;
  out += 'm';
  out += text;
  return out + "\x1b[0m";
}

}  // namespace agon
