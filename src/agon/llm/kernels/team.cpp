#include "agon/llm/kernels/team.h"

#include <algorithm>
#include <cstdint>

#include "agon/base/check.h"

namespace agon::llm {
namespace {

// Between two tokens the caller samples and prints; beyond this the threads sleep until they are called.
constexpr int kIdleSpins = 20000;
// A barrier inside a layer is met within microseconds unless another program took a core: then to sleep
// leaves the other core to whoever has work, and the scheduler gives it back sooner than to one that spun its
// time away.
constexpr int kSpins = 4000;

// Tells the processor that this is a waiting loop.
void pause() { __builtin_ia32_pause(); }

}  // namespace

int Member::size() const { return team_.size_; }

void Member::barrier() {
  ++stage_;
  helping_ = 0;
  const std::uint32_t phase = team_.phase_.load(std::memory_order_relaxed);
  if (team_.arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == team_.size_) {
    // The last to arrive readies the counters of the stage that begins; nobody uses them before the phase
    // moves.
    team_.arrived_.store(0, std::memory_order_relaxed);
    for (int i = 0; i < team_.size_; ++i) team_.counter(stage_, i).value.store(0, std::memory_order_relaxed);
    team_.phase_.store(phase + 1, std::memory_order_release);
    team_.phase_.notify_all();
    return;
  }
  for (int spins = 0; team_.phase_.load(std::memory_order_acquire) == phase && spins < kSpins; ++spins)
    pause();
  team_.phase_.wait(phase, std::memory_order_acquire);
}

std::pair<int, int> Member::share_of(int member, int total) const {
  const auto border = [&](int i) {
    return static_cast<int>(static_cast<std::int64_t>(total) * i / team_.size_);
  };
  return {border(member), border(member + 1)};
}

int Member::take(int total) {
  for (; helping_ < team_.size_; ++helping_) {
    const int member = (index_ + helping_) % team_.size_;
    const auto [begin, end] = share_of(member, total);
    Team::Counter& counter = team_.counter(stage_, member);
    // A look first: most shares are done when their owner comes for help, and a look shares the line.
    if (begin + counter.value.load(std::memory_order_relaxed) >= end) continue;
    const int piece = begin + counter.value.fetch_add(1, std::memory_order_relaxed);
    if (piece < end) return piece;
  }
  return total;
}

Team::Team(int threads)
    : size_(threads > 0 ? threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()))),
      counters_(new Counter[kCounters * static_cast<std::size_t>(size_)]) {
  for (int i = 1; i < size_; ++i) threads_.emplace_back([this, i] { loop(i); });
}

Team::~Team() {
  stop_.store(true);
  job_.fetch_add(1);
  job_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Team::run(const std::function<void(Member&)>& work) {
  AGON_CHECK(work_ == nullptr);
  work_ = &work;
  for (int i = 0; i < size_; ++i) counter(0, i).value.store(0, std::memory_order_relaxed);
  job_.fetch_add(1, std::memory_order_release);
  job_.notify_all();
  Member member(*this, 0);
  work(member);
  member.barrier();  // all are done, and have let go of `work`
  work_ = nullptr;
}

void Team::loop(int index) {
  std::size_t seen = 0;
  while (true) {
    for (int spins = 0; job_.load(std::memory_order_acquire) == seen && spins < kIdleSpins; ++spins) pause();
    job_.wait(seen, std::memory_order_acquire);
    ++seen;
    if (stop_.load()) return;
    Member member(*this, index);
    (*work_)(member);
    member.barrier();
  }
}

}  // namespace agon::llm
