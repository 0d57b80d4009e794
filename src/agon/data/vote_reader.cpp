#include "agon/data/vote_reader.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <future>
#include <unordered_map>

#include "agon/base/hash.h"
#include "agon/data/vote_fields.h"

namespace agon {
namespace {

/// A source whose first bytes were looked at and are given again.
class PeekedSource final : public ByteSource {
 public:
  explicit PeekedSource(std::unique_ptr<ByteSource> source) : source_(std::move(source)) {}

  /// First byte that is neither white space nor part of a byte-order mark, or 0; looks at 64 KiB at most.
  Result<char> first_byte() {
    for (;;) {
      std::string_view seen(first_);
      if (seen.starts_with("\xEF\xBB\xBF")) seen.remove_prefix(3);
      const std::size_t at = seen.find_first_not_of(" \t\r\n");
      const bool maybe_mark = first_.size() < 3 && std::string_view("\xEF\xBB\xBF").starts_with(first_);
      if (at != std::string_view::npos && !maybe_mark) return seen[at];
      if (first_.size() >= (std::size_t{1} << 16)) return '\0';
      const std::size_t used = first_.size();
      first_.resize(used + 4096);
      auto got = source_->read(first_.data() + used, 4096);
      if (!got) return std::unexpected(std::move(got.error()));
      first_.resize(used + *got);
      if (*got == 0) return '\0';
    }
  }
  Result<std::size_t> read(char* buffer, std::size_t capacity) override {
    if (given_ == first_.size()) return source_->read(buffer, capacity);
    const std::size_t n = std::min(capacity, first_.size() - given_);
    std::memcpy(buffer, first_.data() + given_, n);
    given_ += n;
    return n;
  }
  std::uint64_t raw_bytes_read() const override { return source_->raw_bytes_read(); }
  std::uint64_t raw_size() const override { return source_->raw_size(); }

 private:
  std::unique_ptr<ByteSource> source_;
  std::string first_;
  std::size_t given_ = 0;
};

Result<std::unique_ptr<VoteReader>> open_source(std::unique_ptr<ByteSource> source, const std::string& name,
                                                const ReadOptions& options) {
  auto peeked = std::make_unique<PeekedSource>(std::move(source));
  AGON_ASSIGN(const char first, peeked->first_byte());
  if (first == '{' || first == '[') return vote_fields::open_json_votes(std::move(peeked), name, options);
  return vote_fields::open_csv_votes(std::move(peeked), name, options);
}

bool exists(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0;
}

}  // namespace

Result<std::unique_ptr<VoteReader>> VoteReader::open(const std::string& path, const ReadOptions& options) {
  AGON_ASSIGN(auto source, open_bytes(path));
  return open_source(std::move(source), path, options);
}

Result<std::unique_ptr<VoteReader>> VoteReader::open_from_memory(std::string bytes, const std::string& name,
                                                                 const ReadOptions& options) {
  AGON_ASSIGN(auto source, open_memory(std::move(bytes), name));
  return open_source(std::move(source), name, options);
}

Result<VoteFile> parse_vote_file(const std::string& argument) {
  const std::size_t colon = argument.rfind(':');
  if (colon == std::string::npos || colon == 0 || exists(argument)) return VoteFile{.path = argument};
  const std::string path = argument.substr(0, colon), suffix = argument.substr(colon + 1);
  if (suffix == "auto") return VoteFile{.path = path, .auto_weight = true};
  double weight = 0;
  const auto [end, code] = std::from_chars(suffix.data(), suffix.data() + suffix.size(), weight);
  const bool number = code == std::errc() && end == suffix.data() + suffix.size() && !suffix.empty();
  if (number && std::isfinite(weight) && weight > 0) return VoteFile{.path = path, .weight = weight};
  // Not a weight: perhaps the colon belongs to a name that does not exist, which opening will tell.
  if (!number && !exists(path)) return VoteFile{.path = argument};
  Error error{.message = fmt::format("'{}' is no weight", suffix), .file = path, .kind = ErrorKind::kUsage};
  error.expected = "a finite number above 0, or auto";
  return std::unexpected(std::move(error));
}

Result<VoteSet> read_votes(const std::vector<VoteFile>& files, const ReadOptions& options,
                           const Progress& progress) {
  VoteSet set;
  std::unordered_map<std::string, std::size_t> extra_index;
  for (const VoteFile& file : files) {
    // The file is read a second time for its hash, on another core and from the page cache.
    std::future<Result<std::string>> hash;
    if (file.path != "-")
      hash = std::async(std::launch::async, [path = file.path] { return sha256_file(path); });
    AGON_ASSIGN(const auto reader, VoteReader::open(file.path, options));
    const auto source = static_cast<std::uint32_t>(set.sources.size());
    const std::size_t first = set.votes.size();
    const std::string stage = "reading " + file.path;
    for (;;) {
      AGON_ASSIGN(const std::size_t got, reader->read(set.votes, 1024));
      if (got == 0) break;
      if (progress) progress(stage, static_cast<std::uint64_t>(1000 * reader->fraction_read()), 1000);
    }
    if (set.votes.size() == first) {
      const auto& counts = reader->counts();
      if (counts.skipped == 0) return fail("no votes in the file", file.path);
      return fail(fmt::format("no usable vote: all {} rows were skipped, the first because: {}",
                              counts.skipped, counts.skip_list.front().message),
                  file.path);
    }
    // This file's extras at their places in the union.
    std::vector<std::size_t> place;
    for (const std::string& name : reader->extra_names()) {
      const auto [at, fresh] = extra_index.emplace(name, set.extra_names.size());
      if (fresh) set.extra_names.push_back(name);
      place.push_back(at->second);
    }
    for (std::size_t i = first; i < set.votes.size(); ++i) {
      Vote& vote = set.votes[i];
      vote.source = source;
      vote.weight *= file.weight;
      std::vector<std::string> extras(set.extra_names.size());
      for (std::size_t k = 0; k < vote.extras.size(); ++k) extras[place[k]] = std::move(vote.extras[k]);
      vote.extras = std::move(extras);
    }
    VoteSource& entry = set.sources.emplace_back();
    entry.path = file.path;
    entry.weight = file.weight;
    entry.auto_weight = file.auto_weight;
    entry.counts = reader->counts();
    if (hash.valid()) {
      AGON_ASSIGN(entry.sha256, hash.get());
      struct stat info{};
      if (::stat(file.path.c_str(), &info) == 0) entry.bytes = static_cast<std::uint64_t>(info.st_size);
    }
  }
  for (Vote& vote : set.votes) vote.extras.resize(set.extra_names.size());  // a later file brought more
  return set;
}

}  // namespace agon
