// Regular expressions: parsed into a tree, then added to a network.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/constrain/code_set.h"

namespace agon::llm::constrain {

/// Whether an expression describes whole texts, or what occurs somewhere in them unless '^' and '$' say that
/// it is the beginning or the end.
enum class Anchoring : std::uint8_t { kWhole, kSearch };

/// How one character of a set is written between two states.
using Writer = void (*)(Network&, const CodeSet&, Network::State from, Network::State to);

/// A parsed expression.
class Regex {
 public:
  /// The dialect is described at Constraint::from_regex. Errors name the byte.
  static Result<Regex> parse(std::string_view pattern, Anchoring anchoring);
  /// Adds the texts of the expression, from a state to the one that is returned.
  [[nodiscard]] Network::State add_to(Network& network, Network::State from, Writer write = add_utf8) const;

 private:
  friend class RegexParser;
  enum class Kind : std::uint8_t { kNothing, kSet, kSequence, kEither, kRepeat };
  static constexpr std::uint32_t kUnbounded = 0xFFFFFFFF;
  struct Node {
    Kind kind = Kind::kNothing;
    std::uint32_t least = 0, most = 0;  ///< Of a repetition.
    std::vector<std::uint32_t> parts;   ///< Nodes; for a set the place in sets_.
  };
  [[nodiscard]] Network::State add(Network& network, std::uint32_t node, Network::State from,
                                   Writer write) const;
  std::vector<Node> nodes_;
  std::vector<CodeSet> sets_;
  std::uint32_t root_ = 0;
};

}  // namespace agon::llm::constrain
