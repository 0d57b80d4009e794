// The nondeterministic automaton that expressions and schemas are first turned into.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/constrain/limits.h"

namespace agon::llm::constrain {

/// States joined by edges: one of a range of bytes, nothing, or a text of another rule. A rule is two states,
/// and its texts are those between them.
///
/// Grows until its limit; then add() gives states that are not new and nothing is stored any more, and
/// status() is an Error. Loops that build ask ok().
class Network {
 public:
  using State = std::uint32_t;
  using Rule = std::uint32_t;
  enum class Kind : std::uint8_t { kBytes, kNothing, kRule };
  struct Edge {
    State to;
    std::uint32_t next;  ///< The next edge of the same state, or kNone.
    Rule rule;
    Kind kind;
    std::uint8_t low, high;
  };
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;
  struct Ends {
    State start, end;
  };

  State add();
  void nothing(State from, State to) { edge(from, {to, kNone, 0, Kind::kNothing, 0, 0}); }
  void bytes(State from, std::uint8_t low, std::uint8_t high, State to) {
    edge(from, {to, kNone, 0, Kind::kBytes, low, high});
  }
  void call(State from, Rule rule, State to) { edge(from, {to, kNone, rule, Kind::kRule, 0, 0}); }
  /// A new rule with its two states. Rule 0 is the whole text.
  Rule add_rule();
  /// The state after these bytes.
  State text(State from, std::string_view bytes);

  [[nodiscard]] bool ok() const { return steps_ <= kMaxSteps; }
  [[nodiscard]] Status status() const;
  [[nodiscard]] std::size_t states() const { return first_.size(); }
  [[nodiscard]] std::span<const Ends> rules() const { return rules_; }
  [[nodiscard]] Ends rule(Rule rule) const { return rules_[rule]; }
  [[nodiscard]] std::uint32_t first_edge(State state) const { return first_[state]; }
  [[nodiscard]] const Edge& edge_at(std::uint32_t index) const { return edges_[index]; }
  [[nodiscard]] std::span<const Edge> edges() const { return edges_; }

 private:
  void edge(State from, Edge edge);
  std::vector<std::uint32_t> first_;  // edge of each state
  std::vector<Edge> edges_;
  std::vector<Ends> rules_;
  std::size_t steps_ = 0;
};

/// "what is over how much", for every limit.
[[nodiscard]] std::unexpected<Error> over_limit(std::string_view what, std::size_t limit,
                                                std::string_view unit, std::size_t found = 0);

}  // namespace agon::llm::constrain
