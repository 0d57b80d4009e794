// read_battles: tells the form of each file and hands it to its reader.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <future>

#include "agon/base/hash.h"
#include "agon/data/battle_csv.h"
#include "agon/data/battle_json.h"
#include "agon/data/battles.h"

namespace agon {
namespace {

using namespace battle_parts;

constexpr std::size_t kPeek = std::size_t{1} << 16;
constexpr std::uint64_t kMaxCountsBytes = std::uint64_t{1} << 30;

/// Bytes that were looked at, and then the rest.
class PeekedSource final : public ByteSource {
 public:
  PeekedSource(std::string first, std::unique_ptr<ByteSource> rest)
      : first_(std::move(first)), rest_(std::move(rest)) {}
  Result<std::size_t> read(char* buffer, std::size_t capacity) override {
    if (given_ == first_.size()) return rest_->read(buffer, capacity);
    const std::size_t n = std::min(capacity, first_.size() - given_);
    std::memcpy(buffer, first_.data() + given_, n);
    given_ += n;
    return n;
  }
  std::uint64_t raw_bytes_read() const override { return rest_->raw_bytes_read(); }
  std::uint64_t raw_size() const override { return rest_->raw_size(); }

 private:
  std::string first_;
  std::unique_ptr<ByteSource> rest_;
  std::size_t given_ = 0;
};

enum class Form : std::uint8_t { kCsv, kJson, kPairCounts };

Form form_of(std::string_view start) {
  if (start.starts_with("\xEF\xBB\xBF")) start.remove_prefix(3);
  const auto skip_space = [&] {
    start.remove_prefix(std::min(start.size(), start.find_first_not_of(" \t\r\n")));
  };
  skip_space();
  if (!start.starts_with('{')) return start.starts_with('[') ? Form::kJson : Form::kCsv;
  start.remove_prefix(1);
  skip_space();
  // Pair counts are one object, perhaps on many lines: told by a name that no record begins with.
  for (const std::string_view name : {"\"models\"", "\"X\"", "\"Y\""}) {
    if (start.starts_with(name)) return Form::kPairCounts;
  }
  return Form::kJson;
}

/// A plain file whose bytes can be read at any place, or -1: then it comes through a ByteSource.
struct File {
  int fd = -1;
  std::uint64_t size = 0;
  std::string first;
  explicit File(const std::string& path) {
    if (path == "-") return;
    fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat info{};
    if (fd < 0) return;
    first.resize(kPeek);
    const ssize_t got =
        ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? ::pread(fd, first.data(), kPeek, 0) : -1;
    first.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    size = static_cast<std::uint64_t>(info.st_size);
    if (got <= 0 || is_archive()) close();
  }
  ~File() { close(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  void close() {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
  [[nodiscard]] bool is_archive() const {
    const std::string_view start(first);
    return start.starts_with("\x1f\x8b") || start.starts_with("\x28\xb5\x2f\xfd") ||
           (start.size() >= 4 && (start[0] & 0xf0) == 0x50 && start.substr(1, 3) == "\x2a\x4d\x18");
  }
};

Status read_source(std::unique_ptr<ByteSource> source, const ReadBattles& options, BattleBuilder& builder,
                   const Progress& progress) {
  std::string first(kPeek, '\0');
  std::size_t have = 0;
  while (have < first.size()) {
    AGON_ASSIGN(const std::size_t got, source->read(first.data() + have, first.size() - have));
    if (got == 0) break;
    have += got;
  }
  first.resize(have);
  const Form form = form_of(first);
  PeekedSource peeked(std::move(first), std::move(source));
  if (form == Form::kCsv) {
    builder.source().form = "CSV battles";
    BattleCsv csv(options, builder);
    return csv.read_all(peeked, progress);
  }
  if (form == Form::kJson)
    return read_json_battles(std::make_unique<PeekedSource>(std::move(peeked)), options, builder, progress);
  std::string json;
  std::string chunk(kPeek, '\0');
  for (;;) {
    AGON_ASSIGN(const std::size_t got, peeked.read(chunk.data(), chunk.size()));
    if (got == 0) break;
    json.append(chunk, 0, got);
    if (json.size() > kMaxCountsBytes)
      return fail("more than 1 GiB of pair counts, refused", builder.source().path);
  }
  if (json.starts_with("\xEF\xBB\xBF")) json.erase(0, 3);
  return read_pair_counts(std::move(json), builder);
}

Status read_one(const std::string& path, const ReadBattles& options, BattleBuilder& builder,
                const Progress& progress) {
  const File file(path);
  if (file.fd >= 0 && form_of(file.first) == Form::kCsv) {
    builder.source().form = "CSV battles";
    builder.source().bytes = file.size;
    BattleCsv csv(options, builder);
    return csv.read_all(file.fd, file.size, progress);
  }
  AGON_ASSIGN(auto source, open_bytes(path));
  builder.source().bytes = source->raw_size();
  return read_source(std::move(source), options, builder, progress);
}

/// A file without a single battle is an Error.
Status check_source(const BattleSource& source) {
  if (source.rows > 0) return {};
  if (source.skipped == 0) return fail("no battles in the file", source.path);
  return fail(fmt::format("no usable battle: all {} rows were skipped, the first because: {}", source.skipped,
                          source.skip_list.front().message),
              source.path);
}

}  // namespace

Result<BattleSet> read_battles(const std::vector<std::string>& paths, const ReadBattles& options,
                               const Progress& progress) {
  BattleBuilder builder(options);
  for (const std::string& path : paths) {
    // The file is read a second time for its hash, on another core and from the page cache.
    std::future<Result<std::string>> hash;
    if (path != "-") hash = std::async(std::launch::async, [path] { return sha256_file(path); });
    builder.begin_source(path);
    AGON_TRY(read_one(path, options, builder, progress));
    AGON_TRY(check_source(builder.source()));
    if (hash.valid()) {
      AGON_ASSIGN(builder.source().sha256, hash.get());
    }
  }
  return std::move(builder).finish();
}

Result<BattleSet> read_battles_from_memory(std::string bytes, const std::string& name,
                                           const ReadBattles& options) {
  BattleBuilder builder(options);
  builder.begin_source(name).bytes = bytes.size();
  AGON_ASSIGN(auto source, open_memory(std::move(bytes), name));
  AGON_TRY(read_source(std::move(source), options, builder, {}));
  AGON_TRY(check_source(builder.source()));
  return std::move(builder).finish();
}

}  // namespace agon
