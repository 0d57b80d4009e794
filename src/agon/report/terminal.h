// What the output stream can show: colours and width.
#pragma once

#include <string>
#include <string_view>

namespace agon {

struct TerminalInfo {
  bool is_terminal = false;
  bool colour = false;
  int width = 0;  ///< Columns; 0 (no limit) when the output is a pipe or a file.
};

/// What the environment says; null stands for an unset variable.
struct TerminalEnvironment {
  bool is_terminal = false;
  int window_columns = 0;  ///< From the terminal driver; 0 when it does not know.
  const char* no_color = nullptr;
  const char* force_color = nullptr;  ///< CLICOLOR_FORCE
  const char* term = nullptr;
  const char* columns = nullptr;
};
/// Colours on a terminal unless NO_COLOR is set and not empty (no-color.org) or TERM is "dumb";
/// CLICOLOR_FORCE (set, not "0") colours a pipe too. The width is the driver's, else COLUMNS, else 80,
/// and at least 40.
[[nodiscard]] TerminalInfo terminal_info(const TerminalEnvironment& environment);
/// The same of a file descriptor (1 is standard output) and this process's environment.
[[nodiscard]] TerminalInfo terminal_info(int descriptor = 1);

enum class Paint { kPlain, kBold, kDim, kGood, kBad, kWarning, kAccent };
/// `text` between ANSI codes when `colour`, else as it is. The text must be printable already (see
/// visible_text): codes hidden in it would reach the terminal.
[[nodiscard]] std::string painted(std::string_view text, Paint paint, bool colour);

}  // namespace agon
