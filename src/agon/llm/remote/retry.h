// When to ask a server again, and how many requests it may have at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agon/base/random.h"

namespace agon::llm {

/// True for answers that may be others next time: 408, 425, 429 and all of 5xx but 501 and 505.
[[nodiscard]] bool may_retry(long status);

/// Seconds that a Retry-After header asks to wait from `now` (seconds since 1970): a number, or a date as
/// HTTP has them; 0 for a date that is past, nothing for what is neither.
[[nodiscard]] std::optional<double> retry_after(const std::string& header, std::int64_t now);

/// Seconds before the next try after `failures` (from 1) in a row: between one half of and the whole of
/// min(first * 2^(failures - 1), most), so that clients who failed together do not come back together.
[[nodiscard]] double backoff(int failures, double first, double most, Random& random);

/// Requests in flight, by additive increase and multiplicative decrease (Chiu and Jain 1989): one more for
/// each round of successes, half when a server says that it is too much.
class ConcurrencyWindow {
 public:
  explicit ConcurrencyWindow(int most);
  /// How many may be in flight now, 1 to `most`.
  [[nodiscard]] int size() const { return static_cast<int>(size_); }
  /// Counts decreases: requests remember it when they start, and only those of the present size speak about
  /// it.
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
  void success();
  void overload(std::uint64_t epoch);

 private:
  double size_, most_;
  std::uint64_t epoch_ = 0;
};

}  // namespace agon::llm
