#include "agon/llm/constrain/network.h"

#include <fmt/format.h>

namespace agon::llm::constrain {

std::unexpected<Error> over_limit(std::string_view what, std::size_t limit, std::string_view unit,
                                  std::size_t found) {
  if (found > limit) {
    return fail(
        fmt::format("{} has {} {}, {} more than the limit of {}", what, found, unit, found - limit, limit));
  }
  return fail(fmt::format("{} takes more than the limit of {} {}", what, limit, unit));
}

Network::State Network::add() {
  ++steps_;
  if (!ok()) return 0;
  first_.push_back(kNone);
  return static_cast<State>(first_.size() - 1);
}

void Network::edge(State from, Edge edge) {
  ++steps_;
  if (!ok()) return;
  edge.next = first_[from];
  first_[from] = static_cast<std::uint32_t>(edges_.size());
  edges_.push_back(edge);
}

Network::Rule Network::add_rule() {
  const State start = add(), end = add();
  rules_.push_back({start, end});
  return static_cast<Rule>(rules_.size() - 1);
}

Network::State Network::text(State from, std::string_view bytes) {
  for (const char c : bytes) {
    if (!ok()) break;
    const State to = add();
    const auto byte = static_cast<std::uint8_t>(c);
    this->bytes(from, byte, byte, to);
    from = to;
  }
  return from;
}

Status Network::status() const {
  if (!ok()) return over_limit("the constraint, with its repetitions written out,", kMaxSteps, "states");
  return {};
}

}  // namespace agon::llm::constrain
