#include "agon/base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <mutex>

namespace agon {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};

std::mutex terminal_mutex;
bool line_drawn = false;

std::string short_count(double value) {
  if (value >= 1e9) return fmt::format("{:.1f}G", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.1f}M", value / 1e6);
  if (value >= 1e4) return fmt::format("{:.0f}k", value / 1e3);
  return fmt::format("{:.{}f}", value, value < 10 ? 1 : 0);
}

std::string short_time(double seconds) {
  const auto s = static_cast<std::uint64_t>(std::min(seconds, 3.6e8) + 0.5);
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
  return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
}

}  // namespace

std::string ProgressLine::update(std::string_view stage, std::uint64_t done, std::uint64_t total,
                                 Clock::time_point now) {
  const bool new_stage = !any_ || stage != stage_ || done < last_done_;
  if (new_stage) {
    any_ = true;
    stage_ = stage;
    first_done_ = done;
    started_ = now;
    finished_ = false;
  }
  last_done_ = done;
  const bool ends = total != 0 && done >= total && !finished_;
  if (!new_stage && !ends && now - drawn_ < kRedraw) return {};
  finished_ = finished_ || ends;
  drawn_ = now;

  std::string line(stage);
  if (total != 0) {
    const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
    line += fmt::format("  {:.0f}%", std::min(100.0, 100.0 * share));
  }
  const double seconds = std::chrono::duration<double>(now - started_).count();
  const double made = static_cast<double>(done - std::min(done, first_done_));
  if (seconds >= 0.2 && made > 0) {
    const double rate = made / seconds;
    line += fmt::format("  {}/s", short_count(rate));
    if (total > done) line += fmt::format("  {} left", short_time(static_cast<double>(total - done) / rate));
  }
  return line;
}

Progress terminal_progress() {
  if (::isatty(STDERR_FILENO) != 1) return {};
  return [line = std::make_shared<ProgressLine>()](std::string_view stage, std::uint64_t done,
                                                   std::uint64_t total) {
    const std::lock_guard lock(terminal_mutex);
    std::string text = line->update(stage, done, total, ProgressLine::Clock::now());
    if (text.empty()) return;
    // A line wider than the terminal would wrap and never be cleared.
    winsize size{};
    const std::size_t width =
        ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1u : 79u;
    if (text.size() > width) text.resize(width);
    std::fprintf(stderr, "\r\033[K%s", text.c_str());
    std::fflush(stderr);
    line_drawn = true;
  };
}

void finish_progress() {
  const std::lock_guard lock(terminal_mutex);
  if (!line_drawn) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  line_drawn = false;
}

}  // namespace agon
