#include "agon/preference/features/row_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "agon/base/bytes.h"
#include "agon/base/check.h"
#include "agon/base/hash.h"

namespace agon {
namespace {

constexpr std::string_view kMagic = "agon-rows 1\n";
constexpr std::size_t kMaxWhat = 4096;
constexpr std::uint64_t kMaxWidth = std::uint64_t{1} << 20;

std::unexpected<Error> system_error(const std::string& doing, const std::string& path) {
  return fail(fmt::format("{}: {}", doing, std::strerror(errno)), path);
}

/// All of it, or an Error; short reads and writes are gone on with.
bool read_at(int file, char* to, std::size_t count, std::size_t offset) {
  while (count > 0) {
    const ssize_t got = ::pread(file, to, count, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to += got;
    offset += static_cast<std::size_t>(got);
    count -= static_cast<std::size_t>(got);
  }
  return true;
}

bool write_at(int file, std::string_view bytes, std::size_t offset) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(put));
    offset += static_cast<std::size_t>(put);
  }
  return true;
}

/// Other runs wait while this lives, if it could be had.
class Lock {
 public:
  explicit Lock(int file) : file_(file) {
    int failed = 0;
    do {
      failed = ::flock(file_, LOCK_EX);
    } while (failed != 0 && errno == EINTR);
    held_ = failed == 0;
  }
  ~Lock() {
    if (held_) ::flock(file_, LOCK_UN);
  }
  /// Without it two runs could write over each other's rows. `errno` says why it is not held.
  [[nodiscard]] Status check(const std::string& path) const {
    if (held_) return {};
    return system_error("cannot lock the cache, which has to be in a folder whose file system has locks",
                        path);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  int file_;
  bool held_ = false;
};

std::string header_of(std::size_t width, std::string_view what) {
  ByteWriter header;
  header.put<std::uint64_t>(width);
  header.put(what);
  return std::string(kMagic) + header.bytes();
}

/// Does a record's checksum hold?
bool is_whole(std::string_view record) {
  std::uint64_t check = 0;
  std::memcpy(&check, record.data() + record.size() - 8, 8);
  return hash64(record.substr(0, record.size() - 8)) == check;
}

std::size_t size_of(int file) {
  struct stat info{};
  return ::fstat(file, &info) == 0 ? static_cast<std::size_t>(info.st_size) : 0;
}

}  // namespace

Result<std::unique_ptr<RowStore>> RowStore::open(const std::string& path, std::string_view what,
                                                 std::size_t width) {
  AGON_CHECK(width > 0 && what.size() <= kMaxWhat);
  std::unique_ptr<RowStore> store(new RowStore(path, width));
  if (path.empty()) return store;
  std::error_code made;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, made);
  if (made) return fail("cannot make the folder of the cache: " + made.message(), folder);
  store->file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (store->file_ < 0) return system_error("cannot open the cache", path);
  const Lock lock(store->file_);
  AGON_TRY(lock.check(path));
  AGON_TRY(store->read_header(what));
  AGON_TRY(store->read_keys());
  return store;
}

std::size_t RowStore::width_of(const std::string& path, std::string_view what) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  std::string found(header_of(0, what).size(), '\0');
  std::uint64_t width = 0;
  if (read_at(file, found.data(), found.size(), 0)) {
    std::memcpy(&width, found.data() + kMagic.size(), sizeof width);
    if (width > kMaxWidth || found != header_of(width, what)) width = 0;
  }
  ::close(file);
  return width;
}

RowStore::~RowStore() {
  if (file_ >= 0) ::close(file_);
}

Status RowStore::read_header(std::string_view what) {
  const std::string header = header_of(width_, what);
  header_bytes_ = header.size();
  const std::size_t size = size_of(file_);
  std::string found(std::min(size, header.size()), '\0');
  if (!read_at(file_, found.data(), found.size(), 0)) return system_error("cannot read the cache", path_);
  if (found == header) return {};
  // A run that was killed as it made the file left a part of the header.
  if (size < header.size() && header.starts_with(found)) {
    if (::ftruncate(file_, 0) != 0 || !write_at(file_, header, 0)) {
      const auto error = system_error("cannot write the cache", path_);
      (void)!::ftruncate(file_, 0);
      return error;
    }
    return {};
  }
  return std::unexpected(
      Error{.message = "the cache holds something else, or comes from another version",
            .file = path_,
            .expected = fmt::format("rows of {}; remove the file to compute them anew", what)});
}

Status RowStore::read_keys() {
  const std::size_t record = record_bytes(), size = size_of(file_), count = records_in(size);
  const std::size_t end = header_bytes_ + count * record;
  if (end < size && ::ftruncate(file_, static_cast<off_t>(end)) != 0)
    return system_error("cannot mend the cache", path_);
  const std::size_t together = std::max<std::size_t>(1, (std::size_t{4} << 20) / record);
  std::string block;
  for (std::size_t first = 0; first < count; first += together) {
    const std::size_t rows = std::min(together, count - first);
    block.resize(rows * record);
    if (!read_at(file_, block.data(), block.size(), header_bytes_ + first * record))
      return system_error("cannot read the cache", path_);
    for (std::size_t i = 0; i < rows; ++i) {
      const std::string_view row = std::string_view(block).substr(i * record, record);
      if (!is_whole(row)) continue;  // as if it were not there: it is computed anew and added again
      std::uint64_t key = 0;
      std::memcpy(&key, row.data(), sizeof key);
      places_[key] = header_bytes_ + (first + i) * record;
    }
  }
  return {};
}

Result<bool> RowStore::find(std::uint64_t key, std::span<float> out) const {
  AGON_CHECK(out.size() == width_);
  const auto place = places_.find(key);
  if (place == places_.end()) return false;
  if (file_ < 0) {
    std::copy_n(memory_.begin() + static_cast<std::ptrdiff_t>(place->second * width_), width_, out.begin());
    return true;
  }
  std::string record(record_bytes(), '\0');
  if (!read_at(file_, record.data(), record.size(), place->second))
    return system_error("cannot read the cache", path_);
  if (!is_whole(record))
    return fail("the cache was changed while it was in use: a row's checksum does not match", path_);
  std::memcpy(out.data(), record.data() + 8, 4 * width_);
  return true;
}

Status RowStore::append(std::span<const std::uint64_t> keys, std::span<const float> rows) {
  AGON_CHECK(rows.size() == keys.size() * width_);
  if (file_ < 0) {
    for (std::size_t i = 0; i < keys.size(); ++i)
      if (places_.emplace(keys[i], memory_.size() / width_).second)
        memory_.insert(memory_.end(), rows.begin() + static_cast<std::ptrdiff_t>(i * width_),
                       rows.begin() + static_cast<std::ptrdiff_t>((i + 1) * width_));
    return {};
  }
  std::string bytes;
  bytes.reserve(keys.size() * record_bytes());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::size_t begin = bytes.size();
    bytes.append(reinterpret_cast<const char*>(&keys[i]), 8);
    bytes.append(reinterpret_cast<const char*>(rows.data() + i * width_), 4 * width_);
    const std::uint64_t check = hash64(std::string_view(bytes).substr(begin));
    bytes.append(reinterpret_cast<const char*>(&check), 8);
  }
  const Lock lock(file_);
  AGON_TRY(lock.check(path_));
  // Another run may have added rows meanwhile, or left a part of one as it was killed.
  const std::size_t record = record_bytes(), end = header_bytes_ + records_in(size_of(file_)) * record;
  if (!write_at(file_, bytes, end) || ::fdatasync(file_) != 0) {
    const auto error = system_error("cannot add to the cache", path_);
    (void)!::ftruncate(file_, static_cast<off_t>(end));
    return error;
  }
  for (std::size_t i = 0; i < keys.size(); ++i) places_[keys[i]] = end + i * record;
  return {};
}

}  // namespace agon
