// Where the time of forward passes goes, step by step.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace agon::llm {

/// The steps of a pass, in their order in a layer, then what is not work.
enum class PassStep : std::uint8_t {
  kNorms,      ///< Sums, norms, rounding to bytes or pairs; embeddings and angles.
  kQueries,    ///< Products for queries, keys and values.
  kPositions,  ///< Biases, rope, and keys and values into the cache.
  kAttention,
  kAttentionOutput,
  kGates,  ///< Products of gate and up, and the gate between them.
  kDown,
  kVocabulary,  ///< The last norm, the product and its summary.
  kWaiting,     ///< For other threads, at a barrier.
  kHandOver,    ///< Waking the threads and letting them go.
};
inline constexpr std::array<std::string_view, 10> kPassStepNames = {"norms and rounding",
                                                                    "queries, keys, values",
                                                                    "rope and cache",
                                                                    "attention",
                                                                    "attention output",
                                                                    "gates",
                                                                    "down",
                                                                    "vocabulary",
                                                                    "barriers",
                                                                    "hand-over"};

/// Seconds of each step, added up over threads and passes.
struct StepTimes {
  std::array<double, kPassStepNames.size()> seconds{};
  [[nodiscard]] double& of(PassStep step) { return seconds[static_cast<std::size_t>(step)]; }
  StepTimes& operator+=(const StepTimes& other) {
    for (std::size_t i = 0; i < seconds.size(); ++i) seconds[i] += other.seconds[i];
    return *this;
  }
};

/// One thread's watch: what passes between two calls goes to a step. Does nothing without times to write to.
class StepClock {
 public:
  explicit StepClock(StepTimes* times) : times_(times) {
    if (times_ != nullptr) last_ = Clock::now();
  }
  void done(PassStep step) {
    if (times_ == nullptr) return;
    const Clock::time_point now = Clock::now();
    times_->of(step) += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

 private:
  using Clock = std::chrono::steady_clock;
  StepTimes* times_;
  Clock::time_point last_;
};

}  // namespace agon::llm
