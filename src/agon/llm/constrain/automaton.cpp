#include "agon/llm/constrain/automaton.h"

#include <algorithm>
#include <unordered_map>

#include "agon/base/check.h"

namespace agon::llm::constrain {
namespace {

constexpr int kNever = kMaxNesting + 1;

// For each of `count` targets the sources of its edges, in one array.
struct Backwards {
  std::vector<std::uint32_t> begin, source;
  template <class Visit>  // visit(report) calls report(target, source) for all edges, in the same order twice
  Backwards(std::size_t count, const Visit& visit) : begin(count + 1) {
    visit([&](std::uint32_t target, std::uint32_t) { ++begin[target + 1]; });
    for (std::size_t i = 0; i < count; ++i) begin[i + 1] += begin[i];
    source.resize(begin[count]);
    std::vector<std::uint32_t> at(begin.begin(), begin.end() - 1);
    visit([&](std::uint32_t target, std::uint32_t from) { source[at[target]++] = from; });
  }
  [[nodiscard]] std::span<const std::uint32_t> of(std::uint32_t target) const {
    return std::span(source).subspan(begin[target], begin[target + 1] - begin[target]);
  }
};

}  // namespace

// Dijkstra's way: states get their needs in ascending order, each once. The need of a state is the least over
// its ways on: a byte costs what its target needs, a call the larger of its rule's need and one, and what the
// state needs that it returns to.
std::vector<int> Automaton::find_needs() const {
  const auto count = static_cast<std::uint32_t>(states());
  const Backwards by_byte(count, [&](const auto& report) {
    for (std::uint32_t s = 1; s < count; ++s) {
      State before = kDead;
      for (std::uint32_t c = 1; c < classes_; ++c) {
        const State to = next(s, c);
        if (to != kDead && to != before) report(to, s);
        before = to;
      }
    }
  });
  std::vector<State> caller(calls_.size());
  for (std::uint32_t s = 0; s < count; ++s)
    for (std::uint32_t i = call_begin_[s]; i < call_begin_[s + 1]; ++i) caller[i] = s;
  const auto all_calls = [&](const auto& target) {
    return Backwards(count, [&](const auto& report) {
      for (std::uint32_t i = 0; i < calls_.size(); ++i) report(target(calls_[i]), i);
    });
  };
  const Backwards by_return = all_calls([](const Call& call) { return call.return_to; });
  const Backwards by_rule = all_calls([](const Call& call) { return call.start; });

  std::vector<int> needs(count, kNever);
  std::vector<std::vector<State>> waiting(static_cast<std::size_t>(kMaxNesting) + 1);
  for (std::uint32_t s = 1; s < count; ++s)
    if (accepting(s)) waiting[0].push_back(s);
  const auto try_call = [&](std::uint32_t call) {
    const int need = std::max(needs[calls_[call].start] + 1, needs[calls_[call].return_to]);
    if (need <= kMaxNesting) waiting[static_cast<std::size_t>(need)].push_back(caller[call]);
  };
  for (int level = 0; level <= kMaxNesting; ++level) {
    auto& now = waiting[static_cast<std::size_t>(level)];
    for (std::size_t i = 0; i < now.size(); ++i) {
      const State state = now[i];
      if (needs[state] != kNever) continue;
      needs[state] = level;
      for (const std::uint32_t from : by_byte.of(state))
        if (needs[from] == kNever) now.push_back(from);
      for (const std::uint32_t call : by_return.of(state)) try_call(call);
      for (const std::uint32_t call : by_rule.of(state)) try_call(call);
    }
  }
  return needs;
}

Status Automaton::trim(std::span<const State> rule_starts) {
  const std::vector<int> needs = find_needs();
  if (start_ == kDead || needs[start_] > kMaxNesting) {
    Error error;
    error.message = "no text satisfies the constraint";
    error.expected = "one that can be finished, with at most " + std::to_string(kMaxNesting) +
                     " levels, in bytes that the vocabulary has tokens for";
    return std::unexpected(std::move(error));
  }
  for (State& to : next_)
    if (needs[to] > kMaxNesting) to = kDead;
  std::vector<Call> kept;
  takes_bytes_.assign(states(), 0);
  for (State s = 0; s < states(); ++s) {
    const std::span<const Call> before = calls(s);  // reads call_begin_[s + 1], which is not yet changed
    call_begin_[s] = static_cast<std::uint32_t>(kept.size());
    for (const Call& call : before)
      if (needs[call.start] < kMaxNesting && needs[call.return_to] <= kMaxNesting) kept.push_back(call);
    const auto row = std::span(next_).subspan(std::size_t{s} * classes_, classes_);
    takes_bytes_[s] = std::ranges::any_of(row, [](State to) { return to != kDead; });
    need_.push_back(static_cast<std::uint8_t>(needs[s]));
  }
  call_begin_.back() = static_cast<std::uint32_t>(kept.size());
  calls_ = std::move(kept);
  return check_calls(rule_starts);
}

// A rule that opens with itself, through others or not, could be opened for ever without a byte.
Status Automaton::check_calls(std::span<const State> rule_starts) const {
  std::unordered_map<State, int> callers;  // that open with it, of each rule that can be finished
  for (const State start : rule_starts)
    if (start != kDead) callers.emplace(start, 0);
  for (const auto& [start, _] : callers)
    for (const Call& call : calls(start)) {
      AGON_CHECK(!accepting(call.start));  // or a rule could also return without a byte
      ++callers[call.start];
    }
  std::vector<State> free;
  for (const auto& [start, count] : callers)
    if (count == 0) free.push_back(start);
  std::size_t done = 0;
  for (; done < free.size(); ++done)
    for (const Call& call : calls(free[done]))
      if (--callers[call.start] == 0) free.push_back(call.start);
  if (done < callers.size()) return fail("a reference leads back to itself with nothing in between");
  return {};
}

}  // namespace agon::llm::constrain
