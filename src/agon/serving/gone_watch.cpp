#include "agon/serving/gone_watch.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <mutex>
#include <thread>
#include <unordered_map>

namespace agon::serving {
namespace {

constexpr std::uint64_t kWake = 0;

}  // namespace

struct GoneWatch::State {
  ~State() {
    if (wake >= 0) ::close(wake);
    if (poll >= 0) ::close(poll);
  }

  void run() {
    for (;;) {
      epoll_event events[32];
      const int count = ::epoll_wait(poll, events, 32, -1);
      if (count < 0 && errno != EINTR) return;
      for (int i = 0; i < count; ++i) {
        const std::uint64_t id =
            events[i].data.u64;  // a copy: events are packed, off their numbers' alignment
        if (id == kWake) return;
        // The callback runs under the lock, so that a guard that goes away waits for it.
        const std::lock_guard lock(mutex);
        const auto at = callbacks.find(id);
        if (at == callbacks.end()) continue;
        const auto gone = std::move(at->second);
        at->second = nullptr;
        if (gone) gone();
      }
    }
  }

  int poll = -1, wake = -1;
  std::mutex mutex;
  // By a number that is given once: an event that was taken out of epoll just before its guard went away must
  // not find the next client whose socket has the same number.
  std::unordered_map<std::uint64_t, std::function<void()>> callbacks;
  std::uint64_t last_id = kWake;
  std::thread thread;
};

GoneWatch::GoneWatch(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<GoneWatch>> GoneWatch::start() {
  auto state = std::make_unique<State>();
  state->poll = ::epoll_create1(EPOLL_CLOEXEC);
  state->wake = ::eventfd(0, EFD_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWake;
  if (state->poll < 0 || state->wake < 0 || ::epoll_ctl(state->poll, EPOLL_CTL_ADD, state->wake, &event) != 0)
    return fail("no more files can be opened to watch connections by");
  std::unique_ptr<GoneWatch> watch(new GoneWatch(std::move(state)));
  watch->state_->thread = std::thread([s = watch->state_.get()] { s->run(); });
  return watch;
}

GoneWatch::~GoneWatch() {
  const std::uint64_t one = 1;
  (void)!::write(state_->wake, &one, sizeof(one));
  state_->thread.join();
}

GoneWatch::Guard GoneWatch::watch(int socket, std::function<void()> gone) {
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(state_->mutex);
    id = ++state_->last_id;
    state_->callbacks[id] = std::move(gone);
  }
  epoll_event event{};
  event.events = EPOLLRDHUP | EPOLLONESHOT;  // EPOLLHUP and EPOLLERR always count
  event.data.u64 = id;
  // Without it (no memory for one more) a hang-up is still noticed by the next write.
  (void)::epoll_ctl(state_->poll, EPOLL_CTL_ADD, socket, &event);
  return {*this, socket, id};
}

GoneWatch::Guard::~Guard() {
  epoll_event event{};
  (void)::epoll_ctl(watch_.state_->poll, EPOLL_CTL_DEL, socket_, &event);
  const std::lock_guard lock(watch_.state_->mutex);
  watch_.state_->callbacks.erase(id_);
}

}  // namespace agon::serving
