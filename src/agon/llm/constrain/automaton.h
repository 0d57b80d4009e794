// Deterministic automata over bytes, one a rule, which call each other.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/constrain/network.h"

namespace agon::llm::constrain {

/// Every state can still reach the end of its rule, and the whole text its own, with at most kMaxNesting
/// rules open: need() says how many more have to be opened for that.
class Automaton {
 public:
  using State = std::uint32_t;
  static constexpr State kDead = 0;
  struct Call {
    State start;      ///< Of the rule that is called,
    State return_to;  ///< and where its caller goes on after it.
  };

  /// Makes a network deterministic, rule by rule. Only `usable` bytes may occur. Errors: a limit crossed, no
  /// text at all, a rule that calls itself before any byte.
  static Result<Automaton> make(const Network& network, const std::array<bool, 256>& usable);

  [[nodiscard]] State start() const { return start_; }
  [[nodiscard]] std::size_t states() const { return accepting_.size(); }
  /// Bytes of the same class lead to the same states everywhere.
  [[nodiscard]] std::uint32_t class_of(std::uint8_t byte) const { return class_of_[byte]; }
  [[nodiscard]] std::uint32_t classes() const { return classes_; }
  [[nodiscard]] State next(State state, std::uint32_t byte_class) const {
    return next_[std::size_t{state} * classes_ + byte_class];
  }
  [[nodiscard]] bool accepting(State state) const { return accepting_[state] != 0; }
  /// True when some byte may come before any call or return.
  [[nodiscard]] bool takes_bytes(State state) const { return takes_bytes_[state] != 0; }
  [[nodiscard]] std::span<const Call> calls(State state) const {
    return std::span(calls_).subspan(call_begin_[state], call_begin_[state + 1] - call_begin_[state]);
  }
  [[nodiscard]] int need(State state) const { return need_[state]; }

 private:
  friend class Determiniser;
  Status trim(std::span<const State> rule_starts);
  [[nodiscard]] std::vector<int> find_needs() const;
  [[nodiscard]] Status check_calls(std::span<const State> rule_starts) const;

  std::array<std::uint8_t, 256> class_of_{};
  std::uint32_t classes_ = 1;
  std::vector<State> next_;
  std::vector<std::uint8_t> accepting_, takes_bytes_, need_;
  std::vector<std::uint32_t> call_begin_;
  std::vector<Call> calls_;
  State start_ = kDead;
};

}  // namespace agon::llm::constrain
