// Progress of long work: a line that updates on a terminal, nothing in a pipe.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace agon {

/// Called with a stage ("features", "fold 3 of 5"), the part done and the whole (0 when unknown).
/// Every library function that may take long takes one; an empty function means silence.
using Progress = std::function<void(std::string_view stage, std::uint64_t done, std::uint64_t total)>;

/// Progress on standard error with rate and time left: empty unless standard error is a terminal.
[[nodiscard]] Progress terminal_progress();
/// Clears the line; call before other output.
void finish_progress();

/// What terminal_progress() shows, apart from the terminal: decides when to redraw (at a new stage,
/// at the end of one, else at most every 100 ms) and what the line says. Not thread-safe.
class ProgressLine {
 public:
  using Clock = std::chrono::steady_clock;
  /// The line to draw now ("features  42%  1,234/s  3s left"), or empty when it is too early.
  [[nodiscard]] std::string update(std::string_view stage, std::uint64_t done, std::uint64_t total,
                                   Clock::time_point now);

 private:
  std::string stage_;
  std::uint64_t first_done_ = 0;  // where the stage began, so that a resumed stage has a true rate
  std::uint64_t last_done_ = 0;
  Clock::time_point started_{}, drawn_{};
  bool any_ = false, finished_ = false;
};

}  // namespace agon
