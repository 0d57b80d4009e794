#include "agon/base/mapped_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "agon/base/check.h"

namespace agon {
namespace {

// Mappings that the signal handler knows. Places are never freed, only taken again, so that the handler may
// walk the list at any moment without a lock; `end` is written last when a place is taken and first when it
// is given back, and is zero in between.
struct Place {
  std::atomic<std::uintptr_t> begin{0}, end{0};
  std::atomic<const char*> path{nullptr};
  bool taken = false;  // under places_mutex
  Place* next = nullptr;
};
std::atomic<Place*> places{nullptr};
std::mutex places_mutex;
struct sigaction previous_action;

void say(const char* text) {
  std::size_t left = std::strlen(text);
  while (left > 0) {
    const ssize_t put = ::write(STDERR_FILENO, text, left);
    if (put <= 0) return;
    text += put;
    left -= static_cast<std::size_t>(put);
  }
}

// Only async-signal-safe calls in here (POSIX.1-2017, 2.4.3).
void on_bus_error(int, siginfo_t* info, void*) {
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (const Place* place = places.load(); place != nullptr; place = place->next) {
    const std::uintptr_t end = place->end.load();
    if (address >= end || address < place->begin.load()) continue;
    say("agon: ");
    say(place->path.load());
    say(": was truncated while it was in use\n");
    ::_exit(1);
  }
  // Not ours. The instruction runs again after this, and the earlier handler gets the signal.
  ::sigaction(SIGBUS, &previous_action, nullptr);
}

void install_guard() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action{};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    ::sigemptyset(&action.sa_mask);
    AGON_CHECK(::sigaction(SIGBUS, &action, &previous_action) == 0);
  });
}

Place* take_place(const void* begin, std::size_t size, const char* path) {
  install_guard();
  const std::scoped_lock lock(places_mutex);
  Place* place = places.load();
  while (place != nullptr && place->taken) place = place->next;
  const bool is_new = place == nullptr;
  if (is_new) place = new Place;
  place->taken = true;
  place->path = path;
  place->begin = reinterpret_cast<std::uintptr_t>(begin);
  place->end = reinterpret_cast<std::uintptr_t>(begin) + size;
  if (is_new) {
    place->next = places.load();
    places = place;
  }
  return place;
}

void give_back(Place* place) {
  const std::scoped_lock lock(places_mutex);
  place->end = 0;
  place->taken = false;
}

}  // namespace

struct MappedFile::State {
  std::string path;
  int fd = -1;
  void* data = MAP_FAILED;
  std::size_t size = 0;
  Place* place = nullptr;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (data != MAP_FAILED) ::munmap(data, size);
    if (place != nullptr) give_back(place);
    if (fd >= 0) ::close(fd);
  }
};

MappedFile::MappedFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
MappedFile::MappedFile(MappedFile&&) noexcept = default;
MappedFile& MappedFile::operator=(MappedFile&&) noexcept = default;
MappedFile::~MappedFile() = default;

Result<MappedFile> MappedFile::open(const std::string& path) {
  const auto fail_errno = [&](const char* what) {
    return fail(std::string(what) + ": " + std::strerror(errno), path);
  };
  auto state = std::make_unique<State>();
  state->path = path;
  // Without O_NONBLOCK, opening a named pipe would wait for a writer for ever.
  state->fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (state->fd < 0) return fail_errno("cannot open");
  struct stat info{};
  if (::fstat(state->fd, &info) != 0) return fail_errno("cannot read");
  if (S_ISDIR(info.st_mode)) return fail("is a folder, not a file", path);
  if (!S_ISREG(info.st_mode)) return fail("is no regular file, and only those can be mapped", path);
  if (info.st_size == 0) return fail("is empty", path);
  state->size = static_cast<std::size_t>(info.st_size);
  state->data = ::mmap(nullptr, state->size, PROT_READ, MAP_PRIVATE, state->fd, 0);
  if (state->data == MAP_FAILED) return fail_errno("cannot map into memory");
  state->place = take_place(state->data, state->size, state->path.c_str());
  return MappedFile(std::move(state));
}

std::span<const std::byte> MappedFile::bytes() const {
  return {static_cast<const std::byte*>(state_->data), state_->size};
}
const std::string& MappedFile::path() const { return state_->path; }

Status MappedFile::check_not_truncated() const {
  struct stat info{};
  if (::fstat(state_->fd, &info) != 0)
    return fail(std::string("cannot read: ") + std::strerror(errno), state_->path);
  if (static_cast<std::uint64_t>(info.st_size) < state_->size)
    return fail("was truncated while it was in use: it has " + std::to_string(info.st_size) +
                    " bytes and had " + std::to_string(state_->size),
                state_->path);
  return {};
}

void MappedFile::drop_pages(std::span<const std::byte> part) const {
  if (part.empty()) return;
  const auto base = reinterpret_cast<std::uintptr_t>(state_->data);
  auto begin = reinterpret_cast<std::uintptr_t>(part.data());
  std::uintptr_t end = begin + part.size();
  AGON_CHECK(begin >= base && end <= base + state_->size);
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  begin = (begin + page - 1) / page * page;
  end = end / page * page;
  // Advice: that it is not taken changes nothing but the memory in use.
  if (begin < end) (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

void MappedFile::read(std::span<const std::byte> part, std::span<std::byte> to) const {
  const auto* base = static_cast<const std::byte*>(state_->data);
  AGON_CHECK(part.data() >= base && part.data() + part.size() <= base + state_->size &&
             part.size() == to.size());
  auto offset = static_cast<off_t>(part.data() - base);
  while (!to.empty()) {
    const ssize_t count = ::pread(state_->fd, to.data(), to.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    to = to.subspan(static_cast<std::size_t>(count));
    offset += count;
  }
  // What could not be read is taken from the map, whose guard says so if the file was cut.
  if (!to.empty()) std::memcpy(to.data(), base + offset, to.size());
}

}  // namespace agon
