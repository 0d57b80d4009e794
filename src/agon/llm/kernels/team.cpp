#include "agon/llm/kernels/team.h"

#include <immintrin.h>

#include "agon/base/check.h"

namespace agon::llm {
namespace {

// A barrier inside a layer is met within microseconds unless another program took the core: then give it way.
constexpr int kSpins = 4000;
// Between two tokens the caller samples and prints; beyond this the threads sleep until they are called.
constexpr int kIdleSpins = 20000;

template <class Ready>
void spin_until(Ready ready) {
  for (int spins = 0; !ready(); ++spins) {
    if (spins < kSpins) {
      _mm_pause();
    } else {
      std::this_thread::yield();
    }
  }
}

}  // namespace

int Member::size() const { return team_.size_; }

void Member::barrier() {
  ++stage_;
  if (team_.size_ == 1) {
    team_.counters_[stage_ % Team::kCounters].value.store(0, std::memory_order_relaxed);
    return;
  }
  const std::size_t phase = team_.phase_.load(std::memory_order_relaxed);
  if (team_.arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == team_.size_) {
    // The last to arrive readies the counter of the stage that begins; nobody uses it before the phase moves.
    team_.arrived_.store(0, std::memory_order_relaxed);
    team_.counters_[stage_ % Team::kCounters].value.store(0, std::memory_order_relaxed);
    team_.phase_.store(phase + 1, std::memory_order_release);
  } else {
    spin_until([&] { return team_.phase_.load(std::memory_order_acquire) != phase; });
  }
}

int Member::take() {
  return team_.counters_[stage_ % Team::kCounters].value.fetch_add(1, std::memory_order_relaxed);
}

Team::Team(int threads)
    : size_(threads > 0 ? threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()))) {
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
  counters_[0].value.store(0, std::memory_order_relaxed);
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
    for (int spins = 0; job_.load(std::memory_order_acquire) == seen && spins < kIdleSpins; ++spins)
      _mm_pause();
    job_.wait(seen, std::memory_order_acquire);
    ++seen;
    if (stop_.load()) return;
    Member member(*this, index);
    (*work_)(member);
    member.barrier();
  }
}

}  // namespace agon::llm
