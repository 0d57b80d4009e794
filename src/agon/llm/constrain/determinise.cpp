// The subset construction (Rabin and Scott 1959), with calls of rules as letters beside the bytes.
#include <algorithm>
#include <unordered_map>

#include "agon/base/check.h"
#include "agon/base/hash.h"
#include "agon/llm/constrain/automaton.h"

namespace agon::llm::constrain {

class Determiniser {
 public:
  Determiniser(const Network& network, const std::array<bool, 256>& usable) : network_(network) {
    make_classes(usable);
    const std::size_t words = network.states();
    seen_.assign(words, 0);
    buckets_.resize(automaton_.classes_);
  }

  Result<Automaton> run() {
    add_state();  // kDead
    set_begin_.push_back(0);
    std::vector<Automaton::State> starts;
    for (const Network::Ends& rule : network_.rules()) {
      rule_end_ = rule.end;
      members_now_ = {rule.start};
      AGON_ASSIGN(const Automaton::State start, state_of(members_now_));
      starts.push_back(start);
      for (; done_ < set_begin_.size() - 1; ++done_) AGON_TRY(expand(static_cast<Automaton::State>(done_)));
      known_.clear();  // states of other rules are never the same
    }
    // Calls name rules until all rules have their states.
    for (Automaton::Call& call : call_list_) call.start = starts[call.start];
    automaton_.calls_ = std::move(call_list_);
    automaton_.call_begin_.push_back(static_cast<std::uint32_t>(automaton_.calls_.size()));
    automaton_.start_ = starts[0];
    AGON_TRY(automaton_.trim(starts));
    return std::move(automaton_);
  }

 private:
  void make_classes(const std::array<bool, 256>& usable) {
    std::array<bool, 257> boundary{};
    std::array<int, 257> opened{};  // ranges that begin here, less those that ended
    for (const Network::Edge& edge : network_.edges()) {
      if (edge.kind != Network::Kind::kBytes) continue;
      const std::size_t behind = std::size_t{edge.high} + 1;
      boundary[edge.low] = boundary[behind] = true;
      ++opened[edge.low];
      --opened[behind];
    }
    std::uint32_t count = 1;  // class 0 is for bytes that may not occur
    bool fresh = true;
    int inside = 0;
    for (std::size_t b = 0; b < 256; ++b) {
      fresh = fresh || boundary[b];
      inside += opened[b];
      if (!usable[b] || inside == 0) continue;
      if (fresh) ++count;
      fresh = false;
      automaton_.class_of_[b] = static_cast<std::uint8_t>(count - 1);
    }
    // Everything is UTF-8, in which a dozen bytes never occur.
    AGON_CHECK(count <= 256);
    automaton_.classes_ = count;
  }

  void add_state() {
    automaton_.next_.resize(automaton_.next_.size() + automaton_.classes_, Automaton::kDead);
    automaton_.accepting_.push_back(0);
    set_begin_.push_back(members_.size());
  }

  // Replaces a set by all that it reaches without a byte or a call, ascending, of which only states with
  // further edges, or the rule's end, matter.
  void close(std::vector<Network::State>& set) {
    ++mark_;
    closed_.clear();
    stack_.assign(set.begin(), set.end());
    while (!stack_.empty()) {
      const Network::State state = stack_.back();
      stack_.pop_back();
      if (seen_[state] == mark_) continue;
      seen_[state] = mark_;
      bool matters = state == rule_end_;
      for (std::uint32_t e = network_.first_edge(state); e != Network::kNone;) {
        const Network::Edge& edge = network_.edge_at(e);
        ++work_;
        if (edge.kind == Network::Kind::kNothing)
          stack_.push_back(edge.to);
        else
          matters = true;
        e = edge.next;
      }
      if (matters) closed_.push_back(state);
    }
    std::ranges::sort(closed_);
    set.assign(closed_.begin(), closed_.end());
  }

  Result<Automaton::State> state_of(std::vector<Network::State>& set) {
    close(set);
    if (set.empty()) return Automaton::kDead;
    const std::uint64_t hash =
        hash64({reinterpret_cast<const char*>(set.data()), set.size() * sizeof(set[0])});
    const auto [first, last] = known_.equal_range(hash);
    for (auto at = first; at != last; ++at) {
      const std::size_t begin = set_begin_[at->second], end = set_begin_[at->second + 1];
      if (std::ranges::equal(std::span(members_).subspan(begin, end - begin), set)) return at->second;
    }
    if (work_ > kMaxWork) return over_limit("compiling the constraint", kMaxWork, "steps");
    if (automaton_.accepting_.size() >= kMaxStates)
      return over_limit("the automaton of the constraint", kMaxStates, "states");
    if (automaton_.next_.size() >= kMaxCells)
      return over_limit("the automaton of the constraint", kMaxCells, "entries");
    if (members_.size() + set.size() > kMaxMembers)
      return over_limit("compiling the constraint", kMaxMembers, "members of states");
    const auto state = static_cast<Automaton::State>(automaton_.accepting_.size());
    members_.insert(members_.end(), set.begin(), set.end());
    add_state();
    automaton_.accepting_[state] = std::ranges::binary_search(set, rule_end_);
    known_.emplace(hash, state);
    return state;
  }

  Status expand(Automaton::State state) {
    automaton_.call_begin_.push_back(static_cast<std::uint32_t>(call_list_.size()));
    if (state == Automaton::kDead) return {};
    calls_.clear();
    for (std::size_t i = set_begin_[state]; i < set_begin_[state + 1]; ++i) {
      for (std::uint32_t e = network_.first_edge(members_[i]); e != Network::kNone;) {
        const Network::Edge& edge = network_.edge_at(e);
        e = edge.next;
        if (edge.kind == Network::Kind::kRule) {
          const auto same = std::ranges::find(calls_, edge.rule, &RuleCall::rule);
          if (same == calls_.end())
            calls_.push_back({edge.rule, {edge.to}});
          else
            same->to.push_back(edge.to);
        } else if (edge.kind == Network::Kind::kBytes) {
          // A boundary of classes lies at either end, so that each class is inside or outside.
          for (std::size_t b = edge.low; b <= edge.high;) {
            const std::uint8_t c = automaton_.class_of_[b];
            if (c != 0) buckets_[c].push_back(edge.to);
            ++work_;
            while (b <= edge.high && automaton_.class_of_[b] == c) ++b;
          }
        }
      }
    }
    for (std::uint32_t c = 1; c < automaton_.classes_; ++c) {
      if (buckets_[c].empty()) continue;
      work_ += buckets_[c].size();
      AGON_ASSIGN(const Automaton::State to, state_of(buckets_[c]));
      buckets_[c].clear();
      automaton_.next_[std::size_t{state} * automaton_.classes_ + c] = to;
    }
    std::ranges::sort(calls_, {}, &RuleCall::rule);
    for (RuleCall& call : calls_) {
      AGON_ASSIGN(const Automaton::State to, state_of(call.to));
      call_list_.push_back({call.rule, to});
    }
    return {};
  }

  struct RuleCall {
    Network::Rule rule;
    std::vector<Network::State> to;
  };

  const Network& network_;
  Automaton automaton_;
  Network::State rule_end_ = 0;
  std::vector<Network::State> members_, members_now_, closed_, stack_;
  std::vector<std::size_t> set_begin_;  // in members_, of each state
  std::unordered_multimap<std::uint64_t, Automaton::State> known_;
  std::vector<std::vector<Network::State>> buckets_;
  std::vector<RuleCall> calls_;
  std::vector<Automaton::Call> call_list_;
  std::vector<std::uint32_t> seen_;
  std::uint32_t mark_ = 0;
  std::size_t done_ = 0, work_ = 0;
};

Result<Automaton> Automaton::make(const Network& network, const std::array<bool, 256>& usable) {
  AGON_TRY(network.status());
  return Determiniser(network, usable).run();
}

}  // namespace agon::llm::constrain
