#include "agon/llm/remote/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <simdjson.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <iterator>
#include <vector>

#include "agon/base/check.h"
#include "agon/base/hash.h"

namespace agon::llm {
namespace {

constexpr std::string_view kHeader = "{\"agon_journal\":1}\n";
constexpr std::string_view kAnyHeader = "{\"agon_journal\":";
constexpr std::size_t kMaxLine = std::size_t{256} << 20;  // bytes
constexpr std::size_t kKey = 64, kSum = 16;               // hex digits
constexpr std::string_view kBeforeKey = "{\"key\":\"", kBeforeSum = "\",\"sum\":\"",
                           kBeforeTokens = "\",\"tokens\":[", kBeforeResult = "],\"result\":";
constexpr std::string_view kRefused = "{\"refused\":";

std::string sum_of(std::string_view key, const TokenUsage& usage, std::string_view result) {
  const std::uint64_t head = hash64(fmt::format("{} {} {}", key, usage.input, usage.output));
  return fmt::format("{:016x}", hash64(result, head));
}

/// One line without its end, taken apart; nothing when it is no line of ours.
struct Line {
  std::string_view key, result;
  TokenUsage usage;
};
std::optional<Line> parse_line(std::string_view text) {
  const auto take = [&](std::string_view expected) {
    if (!text.starts_with(expected)) return false;
    text.remove_prefix(expected.size());
    return true;
  };
  const auto hex = [&](std::size_t count) {
    const std::string_view digits = text.substr(0, count);
    text.remove_prefix(digits.size());
    const bool good =
        digits.size() == count && digits.find_first_not_of("0123456789abcdef") == std::string_view::npos;
    return good ? digits : std::string_view();
  };
  const auto number = [&](std::int64_t& value) {
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return code == std::errc() && value >= 0;
  };
  Line line;
  if (!take(kBeforeKey)) return std::nullopt;
  line.key = hex(kKey);
  if (line.key.empty() || !take(kBeforeSum)) return std::nullopt;
  const std::string_view sum = hex(kSum);
  if (sum.empty() || !take(kBeforeTokens)) return std::nullopt;
  if (!number(line.usage.input) || !take(",") || !number(line.usage.output) || !take(kBeforeResult))
    return std::nullopt;
  if (text.size() < 2 || text.back() != '}') return std::nullopt;
  text.remove_suffix(1);
  line.result = text;
  if (sum != sum_of(line.key, line.usage, line.result)) return std::nullopt;
  return line;
}

}  // namespace

struct Journal::State {
  struct Place {
    std::uint64_t offset = 0;  // of the result, in the file
    std::size_t size = 0;
    TokenUsage usage = {};
  };

  ~State() {
    if (fd < 0) return;
    ::fdatasync(fd);
    ::close(fd);
  }

  std::unexpected<Error> system_error(const char* what) const {
    return fail(fmt::format("{}: {}", what, std::strerror(errno)), path);
  }
  std::unexpected<Error> damaged(std::uint64_t line, std::string message) const {
    return std::unexpected(
        Error{.message = std::move(message),
              .file = path,
              .row = line,
              .expected = "the journal as agon wrote it; without its damaged lines the rest is of use"});
  }

  Status write_all(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) return system_error("cannot write the journal");
      bytes.remove_prefix(static_cast<std::size_t>(wrote));
    }
    return {};
  }

  // Reads all lines and cuts a torn one off.
  Status load() {
    std::string buffer;
    std::vector<char> chunk(std::size_t{1} << 20);
    std::uint64_t at = 0;  // of the buffer's start in the file
    std::uint64_t line = 0;
    for (;;) {
      const ssize_t got = ::pread(fd, chunk.data(), chunk.size(), static_cast<off_t>(at + buffer.size()));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return system_error("cannot read");
      if (got == 0) break;
      const std::size_t searched = buffer.size();
      buffer.append(chunk.data(), static_cast<std::size_t>(got));
      std::size_t begin = 0;
      for (std::size_t end = buffer.find('\n', searched); end != std::string::npos;
           end = buffer.find('\n', begin)) {
        AGON_TRY(take_line(std::string_view(buffer).substr(begin, end - begin), ++line, at + begin));
        begin = end + 1;
      }
      buffer.erase(0, begin);
      at += begin;
      if (line == 0 && !buffer.starts_with(std::string_view(kHeader).substr(0, buffer.size()))) break;
      if (buffer.size() > kMaxLine)
        return damaged(line + 1, fmt::format("a line of more than {} bytes", kMaxLine));
    }
    if (line == 0) {
      if (!kHeader.starts_with(buffer)) return fail("is no journal of agon, and is left as it is", path);
      if (::ftruncate(fd, 0) != 0) return system_error("cannot write the journal");
      AGON_TRY(write_all(kHeader));
      end = kHeader.size();
      return {};
    }
    dropped = buffer.size();
    end = at;
    if (dropped > 0 && ::ftruncate(fd, static_cast<off_t>(end)) != 0)
      return system_error("cannot write the journal");
    return {};
  }

  Status take_line(std::string_view text, std::uint64_t number, std::uint64_t offset) {
    if (number == 1) {
      if (text == kHeader.substr(0, kHeader.size() - 1)) return {};
      if (text.starts_with(kAnyHeader))
        return fail("is the journal of another version of agon, and is left as it is", path);
      return fail("is no journal of agon, and is left as it is", path);
    }
    const auto line = parse_line(text);
    if (!line) return damaged(number, "a damaged line");
    place(std::string(line->key), line->result,
          {offset + static_cast<std::uint64_t>(line->result.data() - text.data()), line->result.size(),
           line->usage});
    return {};
  }

  void place(std::string key, std::string_view result, const Place& where) {
    usage.input += where.usage.input;
    usage.output += where.usage.output;
    (result.starts_with(kRefused) ? refused : places)[std::move(key)] = where;
  }

  // A result, with its checksum, the start of its line: what stands there now may not be what was written.
  Result<std::string> read(const std::string& key, const Place& where) const {
    if (fd < 0) return memory.substr(where.offset, where.size);
    const std::string head =
        fmt::format("{}{},{}{}", kBeforeTokens, where.usage.input, where.usage.output, kBeforeResult);
    std::string text(kSum + head.size() + where.size, '\0');
    const std::uint64_t begin = where.offset - head.size() - kSum;
    for (std::size_t have = 0; have < text.size();) {
      const ssize_t got =
          ::pread(fd, text.data() + have, text.size() - have, static_cast<off_t>(begin + have));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return system_error("cannot read the journal");
      if (got == 0) return fail("the journal became shorter while it was in use", path);
      have += static_cast<std::size_t>(got);
    }
    std::string result = text.substr(kSum + head.size());
    if (text.substr(0, kSum) != sum_of(key, where.usage, result))
      return fail("the journal was changed while it was in use: a checksum does not match", path);
    return result;
  }

  std::string path;
  int fd = -1;
  std::uint64_t end = 0, dropped = 0;
  std::unordered_map<std::string, Place> places, refused;
  std::string memory;   // the lines, without a file
  bool broken = false;  // a torn line stands at the end and could not be cut off
  TokenUsage usage;
  std::chrono::steady_clock::time_point synced = std::chrono::steady_clock::now();
};

Journal::Journal(std::unique_ptr<State> state) : state_(std::move(state)) {}
Journal::~Journal() = default;

std::unique_ptr<Journal> Journal::in_memory() {
  return std::unique_ptr<Journal>(new Journal(std::make_unique<State>()));
}

Result<std::unique_ptr<Journal>> Journal::open(const std::string& path) {
  auto state = std::make_unique<State>();
  state->path = path;
  for (;;) {
    state->fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (state->fd < 0) return state->system_error("cannot open the journal");
    struct stat info{};
    if (::fstat(state->fd, &info) != 0 || !S_ISREG(info.st_mode))
      return fail("is no regular file, and a journal has to be one", path);
    if (::flock(state->fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK)
        return fail("another run is using this journal; wait for its end, or name another with --journal",
                    path);
      return state->system_error("cannot lock the journal");
    }
    // A run that ended between our opening and locking has deleted it: that file has no name any more.
    if (::fstat(state->fd, &info) == 0 && info.st_nlink > 0) break;
    ::close(std::exchange(state->fd, -1));
  }
  AGON_TRY(state->load());
  return std::unique_ptr<Journal>(new Journal(std::move(state)));
}

bool Journal::contains(const std::string& key) const { return state_->places.contains(key); }

Result<std::string> Journal::find(const std::string& key) const {
  const auto found = state_->places.find(key);
  AGON_CHECK(found != state_->places.end());
  return state_->read(key, found->second);
}

Status Journal::append(std::span<const Item> items) {
  State& s = *state_;
  std::string lines;
  std::vector<State::Place> places;
  for (const Item& item : items) {
    AGON_CHECK(item.key.size() == kKey && item.result.find('\n') == std::string::npos);
    fmt::format_to(std::back_inserter(lines), "{}{}{}{}{}{},{}{}", kBeforeKey, item.key, kBeforeSum,
                   sum_of(item.key, item.usage, item.result), kBeforeTokens, item.usage.input,
                   item.usage.output, kBeforeResult);
    places.push_back({s.end + lines.size(), item.result.size(), item.usage});
    lines += item.result;
    lines += "}\n";
  }
  if (s.fd < 0) {
    s.memory += lines;
  } else {
    if (s.broken)
      return fail("the journal ends in a torn line that could not be cut off, and takes nothing more",
                  s.path);
    if (Status status = s.write_all(lines); !status) {
      // What was written goes again; if even that fails, nothing may come behind the torn piece, which the
      // next open() drops.
      s.broken = ::ftruncate(s.fd, static_cast<off_t>(s.end)) != 0;
      return status;
    }
  }
  for (std::size_t i = 0; i < items.size(); ++i) s.place(items[i].key, items[i].result, places[i]);
  s.end += lines.size();
  const auto now = std::chrono::steady_clock::now();
  if (s.fd >= 0 && now - s.synced >= std::chrono::seconds(1)) {
    s.synced = now;
    if (::fdatasync(s.fd) != 0) return s.system_error("cannot write the journal");
  }
  return {};
}

Status Journal::append(std::string key, std::string_view result, const TokenUsage& usage) {
  const Item item{std::move(key), std::string(result), usage};
  return append(std::span(&item, 1));
}

Status Journal::refuse(std::string key, std::string_view reply, const TokenUsage& usage) {
  // What minify() writes is no longer than the reply, but it writes in whole blocks.
  std::string one_line(reply.size() + simdjson::SIMDJSON_PADDING, '\0');
  std::size_t size = 0;
  if (simdjson::minify(reply.data(), reply.size(), one_line.data(), size) != simdjson::SUCCESS)
    return fail("a reply that is not JSON cannot be kept", state_->path);
  one_line.resize(size);
  return append(std::move(key), fmt::format("{}{}}}", kRefused, one_line), usage);
}

Result<std::optional<std::string>> Journal::refused(const std::string& key) const {
  const auto found = state_->refused.find(key);
  if (found == state_->refused.end()) return std::nullopt;
  AGON_ASSIGN(const std::string result, state_->read(key, found->second));
  return result.substr(kRefused.size(), result.size() - kRefused.size() - 1);
}

std::size_t Journal::size() const { return state_->places.size(); }
TokenUsage Journal::usage() const { return state_->usage; }
const std::string& Journal::path() const { return state_->path; }
std::uint64_t Journal::dropped() const { return state_->dropped; }

Status Journal::remove() {
  if (state_->fd >= 0 && ::unlink(state_->path.c_str()) != 0)
    return state_->system_error("cannot delete the journal");
  return {};
}

}  // namespace agon::llm
