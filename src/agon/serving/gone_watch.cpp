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
        if (events[i].data.fd == wake) return;
        // The callback runs under the lock, so that a guard that goes away waits for it.
        const std::lock_guard lock(mutex);
        const auto at = callbacks.find(events[i].data.fd);
        if (at == callbacks.end()) continue;
        const auto gone = std::move(at->second);
        at->second = nullptr;
        if (gone) gone();
      }
    }
  }

  int poll = -1, wake = -1;
  std::mutex mutex;
  std::unordered_map<int, std::function<void()>> callbacks;  // by socket
  std::thread thread;
};

GoneWatch::GoneWatch(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<GoneWatch>> GoneWatch::start() {
  auto state = std::make_unique<State>();
  state->poll = ::epoll_create1(EPOLL_CLOEXEC);
  state->wake = ::eventfd(0, EFD_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = state->wake;
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
  {
    const std::lock_guard lock(state_->mutex);
    state_->callbacks[socket] = std::move(gone);
  }
  epoll_event event{};
  event.events = EPOLLRDHUP | EPOLLONESHOT;  // EPOLLHUP and EPOLLERR always count
  event.data.fd = socket;
  // Without it (no memory for one more) a hang-up is still noticed by the next write.
  (void)::epoll_ctl(state_->poll, EPOLL_CTL_ADD, socket, &event);
  return {*this, socket};
}

GoneWatch::Guard::~Guard() {
  epoll_event event{};
  (void)::epoll_ctl(watch_.state_->poll, EPOLL_CTL_DEL, socket_, &event);
  const std::lock_guard lock(watch_.state_->mutex);
  watch_.state_->callbacks.erase(socket_);
}

}  // namespace agon::serving
