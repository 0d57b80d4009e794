#include "agon/base/parallel.h"

#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <memory>
#include <mutex>

#include "agon/base/check.h"

namespace agon {
namespace {

// The arena bounds how many threads enter a loop; the global control bounds how many TBB starts,
// and so also what other TBB users in this process get. Both change together.
struct Pool {
  explicit Pool(int threads)
      : count(threads),
        limit(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads)),
        arena(threads) {}
  int count;
  tbb::global_control limit;
  tbb::task_arena arena;
};

std::mutex pool_mutex;
std::shared_ptr<Pool> pool;

// A loop holds its pool, so that set_thread_count() during a loop cannot pull it away.
std::shared_ptr<Pool> current_pool() {
  const std::lock_guard lock(pool_mutex);
  if (!pool) pool = std::make_shared<Pool>(tbb::info::default_concurrency());
  return pool;
}

}  // namespace

void set_thread_count(int threads) {
  AGON_CHECK(threads >= 0);
  auto fresh = std::make_shared<Pool>(threads == 0 ? tbb::info::default_concurrency() : threads);
  const std::lock_guard lock(pool_mutex);
  pool = std::move(fresh);
}

int thread_count() { return current_pool()->count; }

void parallel_for(std::size_t n, const std::function<void(std::size_t)>& body) {
  const auto held = current_pool();
  if (held->count == 1 || n <= 1) {
    for (std::size_t i = 0; i < n; ++i) body(i);
    return;
  }
  held->arena.execute([&] { tbb::parallel_for(std::size_t{0}, n, body); });
}

void parallel_chunks(std::size_t n, std::size_t grain,
                     const std::function<void(std::size_t, std::size_t)>& body) {
  AGON_CHECK(grain > 0);
  const std::size_t chunks = n / grain + (n % grain != 0);
  parallel_for(chunks, [&](std::size_t chunk) {
    const std::size_t begin = chunk * grain;
    body(begin, begin + std::min(grain, n - begin));
  });
}

}  // namespace agon
