#include "agon/data/battle_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "agon/data/battle_csv.h"
#include "agon/data/battle_json.h"

namespace agon {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 24;
constexpr std::size_t kTail = 256;  // bytes before the offset, by which a changed file is known

std::unexpected<Error> cannot(const char* what, const std::string& path) {
  return fail(std::string(what) + ": " + std::strerror(errno), path);
}

/// Fills as much of `buffer` as the file has from `offset` on.
Result<std::size_t> read_at(int fd, std::uint64_t offset, char* buffer, std::size_t size,
                            const std::string& path) {
  std::size_t have = 0;
  while (have < size) {
    const ssize_t got = ::pread(fd, buffer + have, size - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return cannot("cannot read", path);
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  return have;
}

}  // namespace

struct BattleLog::Impl {
  Impl(std::string name, ReadBattles read) : path(std::move(name)), options(std::move(read)) {}
  ~Impl() {
    if (fd >= 0) ::close(fd);
  }

  std::string path;
  ReadBattles options;
  int fd = -1;
  std::uint64_t offset = 0;
  std::string tail;  // the bytes before offset
  std::optional<battle_parts::BattleBuilder> builder;
  std::optional<battle_parts::BattleCsv> csv;
  std::optional<battle_parts::BattleJsonLines> json;
  const BattleSet* set = nullptr;
  std::optional<Error> failed;
  std::vector<char> buffer;

  void begin() {
    csv.reset();
    json.reset();
    builder.emplace(options);
    builder->begin_source(path);
    set = &builder->snapshot();
    offset = 0;
    tail.clear();
  }
  Status reopen() {
    const int fresh = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fresh < 0) return cannot("cannot open", path);
    struct stat info{};
    if (::fstat(fresh, &info) != 0 || !S_ISREG(info.st_mode)) {
      ::close(fresh);
      return fail("not a plain file: only such a one can be watched", path);
    }
    if (fd >= 0) ::close(fd);
    fd = fresh;
    begin();
    return {};
  }
  /// Whether the bytes that were read are still those of the file.
  Result<bool> same_bytes(std::uint64_t size) const {
    if (size < offset) return false;
    std::string now(tail.size(), '\0');
    AGON_ASSIGN(const std::size_t got, read_at(fd, offset - tail.size(), now.data(), now.size(), path));
    return got == now.size() && now == tail;
  }
  Status tell_form(std::string_view start) {
    if (start.starts_with("\x1f\x8b") || start.starts_with("\x28\xb5\x2f\xfd"))
      return fail("an archive, which cannot be watched", path);
    if (start.size() < 3 && std::string_view("\xEF\xBB\xBF").starts_with(start)) return {};  // more to come
    if (start.starts_with("\xEF\xBB\xBF")) start.remove_prefix(3);
    const std::size_t at = start.find_first_not_of(" \t\r\n");
    if (at == std::string_view::npos) return {};
    if (start[at] == '[') return fail("a JSON array, which cannot be watched; JSON Lines can", path);
    if (start[at] == '{') {
      json.emplace(options, *builder);
      builder->source().form = "JSON Lines";
    } else {
      csv.emplace(options, *builder);
      builder->source().form = "CSV battles";
    }
    return {};
  }
  Status read_on();
};

Status BattleLog::Impl::read_on() {
  for (std::size_t want = kChunk;;) {
    buffer.resize(std::max(buffer.size(), want));
    AGON_ASSIGN(const std::size_t have, read_at(fd, offset, buffer.data(), want, path));
    const std::string_view bytes(buffer.data(), have);
    if (have == 0) break;
    if (!csv && !json) AGON_TRY(tell_form(bytes));
    if (!csv && !json) break;
    std::size_t skip = 0;
    if (json && offset == 0 && bytes.starts_with("\xEF\xBB\xBF")) skip = 3;
    auto used = csv ? csv->feed(bytes, false) : json->feed(bytes.substr(skip));
    if (!used) return std::unexpected(std::move(used.error()));
    if (json && *used > 0) *used += skip;
    if (*used > 0) {
      tail.append(bytes.substr(0, *used).substr(*used - std::min(*used, kTail)));
      tail.erase(0, tail.size() - std::min(tail.size(), kTail));
      offset += *used;
    }
    builder->source().bytes = offset;
    if (have < want) break;                 // that was the end for now
    want = *used == 0 ? 2 * want : kChunk;  // a line longer than the buffer
  }
  return {};
}

BattleLog::BattleLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BattleLog::~BattleLog() = default;
BattleLog::BattleLog(BattleLog&&) noexcept = default;
BattleLog& BattleLog::operator=(BattleLog&&) noexcept = default;

Result<BattleLog> BattleLog::open(const std::string& path, const ReadBattles& options) {
  auto impl = std::make_unique<Impl>(path, options);
  AGON_TRY(impl->reopen());
  return BattleLog(std::move(impl));
}

Result<BattleLog::News> BattleLog::poll() {
  Impl& impl = *impl_;
  if (impl.failed) return std::unexpected(*impl.failed);
  News news;
  struct stat here{}, named{};
  if (::fstat(impl.fd, &here) != 0) return cannot("cannot read", impl.path);
  if (::stat(impl.path.c_str(), &named) != 0) {
    if (errno == ENOENT) return news;
    return cannot("cannot open", impl.path);
  }
  const bool replaced = here.st_ino != named.st_ino || here.st_dev != named.st_dev;
  AGON_ASSIGN(const bool same, impl.same_bytes(static_cast<std::uint64_t>(here.st_size)));
  if (replaced || !same) {
    AGON_TRY(impl.reopen());
    news.restarted = true;
  }
  const std::uint64_t rows = impl.builder->source().rows, skipped = impl.builder->source().skipped;
  if (auto read = impl.read_on(); !read) {
    impl.failed = read.error();
    return std::unexpected(std::move(read.error()));
  }
  news.battles = impl.builder->source().rows - rows;
  news.skipped = impl.builder->source().skipped - skipped;
  if (news.battles > 0) impl.builder->snapshot();
  return news;
}

const BattleSet& BattleLog::battles() const { return *impl_->set; }
std::uint64_t BattleLog::offset() const { return impl_->offset; }

}  // namespace agon
