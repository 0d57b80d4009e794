// Threads that run one function together, step by step: the engine's own, because a hand-over between the
// small steps of a layer must take well under a microsecond.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace agon::llm {

class Team;

/// One thread's view while the team runs. All members must make the same calls of barrier() and next_stage().
class Member {
 public:
  [[nodiscard]] int index() const { return index_; }
  [[nodiscard]] int size() const;

  /// Waits until every member is here. What they wrote before is visible after.
  void barrier();
  /// The next of `total` pieces of work of the present stage, or `total` when none is left: each piece goes
  /// to one member. A stage is what lies between two barriers, and all its calls give the same total. Members
  /// go through neighbouring pieces of a share of their own, which is kind to the memory, and help the others
  /// after that.
  [[nodiscard]] int take(int total);

 private:
  friend class Team;
  Member(Team& team, int index) : team_(team), index_(index) {}
  [[nodiscard]] std::pair<int, int> share_of(int member, int total) const;
  Team& team_;
  int index_;
  int helping_ = 0;  // members whose shares are known to be done in this stage, counted from this one
  std::size_t stage_ = 0;
};

/// A fixed set of threads; the caller of run() is one of them. Idle threads spin for a moment, then sleep.
class Team {
 public:
  /// `threads` at least 1. 0: as many as the machine has cores (hardware threads).
  explicit Team(int threads = 0);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  [[nodiscard]] int size() const { return size_; }
  /// Runs `work` on every member and returns when all are done. Not reentrant.
  void run(const std::function<void(Member&)>& work);

 private:
  friend class Member;
  static constexpr std::size_t kCounters = 4;
  struct alignas(64) Counter {
    std::atomic<int> value{0};
  };

  [[nodiscard]] Counter& counter(std::size_t stage, int member) {
    return counters_[stage % kCounters * static_cast<std::size_t>(size_) + static_cast<std::size_t>(member)];
  }
  void loop(int index);

  int size_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<std::uint32_t> phase_{0};  // wraps
  std::unique_ptr<Counter[]> counters_;              // [stage][member]
  alignas(64) std::atomic<std::size_t> job_{0};
  std::atomic<bool> stop_{false};
  const std::function<void(Member&)>* work_ = nullptr;
  std::vector<std::thread> threads_;
};

}  // namespace agon::llm
