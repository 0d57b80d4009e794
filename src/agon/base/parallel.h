// Threads for everything outside the engine, over TBB.
#pragma once

#include <cstddef>
#include <functional>

namespace agon {

/// Sets how many threads parallel_for and XGBoost may use from now on; 0 means all cores.
void set_thread_count(int threads);
[[nodiscard]] int thread_count();

/// Calls `body(i)` once for every i in [0, n), in any order and on any thread. The results may not
/// depend on the order: write to slot i, reduce afterwards in index order.
void parallel_for(std::size_t n, const std::function<void(std::size_t)>& body);
/// Calls `body(begin, end)` over chunks of at most `grain`; chunk borders depend on n and grain only.
void parallel_chunks(std::size_t n, std::size_t grain,
                     const std::function<void(std::size_t, std::size_t)>& body);

}  // namespace agon
