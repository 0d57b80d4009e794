// Reading: plain, gzip and zstd files, told apart by their first bytes.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "agon/base/file.h"

namespace agon {
namespace {

constexpr std::size_t kRawBuffer = std::size_t{1} << 18;

std::unexpected<Error> fail_at(std::string message, const std::string& file, std::uint64_t byte) {
  Error error{.message = std::move(message), .file = file, .byte = byte, .has_byte = true};
  return std::unexpected(std::move(error));
}

// Raw bytes, before any decompression.
class RawSource {
 public:
  virtual ~RawSource() = default;
  virtual Result<std::size_t> read(char* buffer, std::size_t capacity) = 0;
  [[nodiscard]] virtual std::uint64_t size() const = 0;
};

class FdSource final : public RawSource {
 public:
  FdSource(int fd, std::string name, std::uint64_t size) : fd_(fd), name_(std::move(name)), size_(size) {}
  ~FdSource() override {
    if (fd_ != STDIN_FILENO) ::close(fd_);
  }
  Result<std::size_t> read(char* buffer, std::size_t capacity) override {
    for (;;) {
      const ssize_t got = ::read(fd_, buffer, capacity);
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EINTR) return fail(std::string("cannot read: ") + std::strerror(errno), name_);
    }
  }
  std::uint64_t size() const override { return size_; }

 private:
  int fd_;
  std::string name_;
  std::uint64_t size_;
};

class MemorySource final : public RawSource {
 public:
  explicit MemorySource(std::string bytes) : bytes_(std::move(bytes)) {}
  Result<std::size_t> read(char* buffer, std::size_t capacity) override {
    const std::size_t n = std::min(capacity, bytes_.size() - at_);
    std::memcpy(buffer, bytes_.data() + at_, n);
    at_ += n;
    return n;
  }
  std::uint64_t size() const override { return bytes_.size(); }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
};

// What the three formats share: a window of raw bytes that refill() tops up.
class BufferedSource : public ByteSource {
 public:
  BufferedSource(std::unique_ptr<RawSource> raw, std::string name, std::vector<char> first)
      : raw_(std::move(raw)), name_(std::move(name)), buffer_(std::move(first)), end_(buffer_.size()) {
    taken_ = end_;
    buffer_.resize(std::max(buffer_.size(), kRawBuffer));
  }
  std::uint64_t raw_bytes_read() const override { return taken_ - (end_ - begin_); }
  std::uint64_t raw_size() const override { return raw_->size(); }

 protected:
  /// Makes the window non-empty; false at the end of the raw bytes.
  Result<bool> refill() {
    if (begin_ < end_) return true;
    AGON_ASSIGN(const std::size_t got, raw_->read(buffer_.data(), buffer_.size()));
    begin_ = 0;
    end_ = got;
    taken_ += got;
    return got != 0;
  }

  std::unique_ptr<RawSource> raw_;
  std::string name_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;
  std::uint64_t taken_ = 0;
};

class PlainSource final : public BufferedSource {
 public:
  using BufferedSource::BufferedSource;
  Result<std::size_t> read(char* out, std::size_t capacity) override {
    if (begin_ == end_ && capacity >= kRawBuffer) {  // large reads skip the window
      AGON_ASSIGN(const std::size_t got, raw_->read(out, capacity));
      taken_ += got;
      return got;
    }
    AGON_ASSIGN(const bool more, refill());
    if (!more) return std::size_t{0};
    const std::size_t n = std::min(capacity, end_ - begin_);
    std::memcpy(out, buffer_.data() + begin_, n);
    begin_ += n;
    return n;
  }
};

// RFC 1952: a file is one member or several, one after the other; zero bytes may pad the end.
class GzipSource final : public BufferedSource {
 public:
  GzipSource(std::unique_ptr<RawSource> raw, std::string name, std::vector<char> first)
      : BufferedSource(std::move(raw), std::move(name), std::move(first)) {
    ready_ = inflateInit2(&stream_, 15 + 16) == Z_OK;
  }
  ~GzipSource() override {
    if (ready_) inflateEnd(&stream_);
  }
  Result<std::size_t> read(char* out, std::size_t capacity) override {
    if (!ready_) return fail("out of memory for gzip", name_);
    capacity = std::min(capacity, std::size_t{1} << 30);
    stream_.next_out = reinterpret_cast<Bytef*>(out);
    stream_.avail_out = static_cast<uInt>(capacity);
    while (!done_ && stream_.avail_out == capacity) {
      AGON_ASSIGN(const bool more, refill());
      if (!more) {
        if (in_member_) return fail_at("gzip archive is cut short", name_, raw_bytes_read());
        done_ = true;
        break;
      }
      if (!in_member_) {
        AGON_TRY(start_member());
        if (padding_) continue;
      }
      stream_.next_in = reinterpret_cast<Bytef*>(buffer_.data() + begin_);
      stream_.avail_in = static_cast<uInt>(end_ - begin_);
      const int code = inflate(&stream_, Z_NO_FLUSH);
      begin_ = end_ - stream_.avail_in;
      if (code == Z_STREAM_END) {
        in_member_ = false;
        first_ = false;
      } else if (code != Z_OK && code != Z_BUF_ERROR) {
        const char* why = stream_.msg != nullptr ? stream_.msg : "not gzip";
        return fail_at(std::string("gzip archive is damaged: ") + why, name_, raw_bytes_read());
      }
    }
    return capacity - stream_.avail_out;
  }

 private:
  Status start_member() {
    if (padding_ || (!first_ && buffer_[begin_] == '\0')) {
      padding_ = true;
      for (; begin_ < end_; ++begin_) {
        if (buffer_[begin_] != '\0')
          return fail_at("gzip archive has other bytes after its end", name_, raw_bytes_read());
      }
      return {};
    }
    if (!first_ && static_cast<unsigned char>(buffer_[begin_]) != 0x1f)
      return fail_at("gzip archive has other bytes after its end", name_, raw_bytes_read());
    if (inflateReset(&stream_) != Z_OK) return fail("gzip cannot start", name_);
    in_member_ = true;
    return {};
  }

  z_stream stream_{};
  bool ready_ = false, in_member_ = false, first_ = true, padding_ = false, done_ = false;
};

class ZstdSource final : public BufferedSource {
 public:
  ZstdSource(std::unique_ptr<RawSource> raw, std::string name, std::vector<char> first)
      : BufferedSource(std::move(raw), std::move(name), std::move(first)),
        stream_(ZSTD_createDStream(), ZSTD_freeDStream) {}
  Result<std::size_t> read(char* out, std::size_t capacity) override {
    if (!stream_) return fail("out of memory for zstd", name_);
    ZSTD_outBuffer output{out, capacity, 0};
    while (output.pos == 0) {
      AGON_ASSIGN(const bool more, refill());
      // At the end of the input the decoder may still hold decoded bytes: ask it once more.
      if (!more && at_frame_end_) break;
      ZSTD_inBuffer input{buffer_.data() + begin_, end_ - begin_, 0};
      const std::size_t code = ZSTD_decompressStream(stream_.get(), &output, &input);
      begin_ += input.pos;
      if (ZSTD_isError(code) != 0)
        return fail_at(std::string("zstd archive is damaged: ") + ZSTD_getErrorName(code), name_,
                       raw_bytes_read());
      at_frame_end_ = code == 0;
      if (!more && output.pos == 0 && !at_frame_end_)
        return fail_at("zstd archive is cut short", name_, raw_bytes_read());
    }
    return output.pos;
  }

 private:
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream_;
  bool at_frame_end_ = true;
};

bool is_gzip(const std::vector<char>& b) { return b.size() >= 2 && b[0] == '\x1f' && b[1] == '\x8b'; }

// RFC 8878: a frame, or a skippable frame (0x184D2A50 to 0x184D2A5F, little-endian) before it.
bool is_zstd(const std::vector<char>& b) {
  if (b.size() < 4) return false;
  const auto at = [&](int i) { return static_cast<unsigned char>(b[i]); };
  const bool frame = at(0) == 0x28 && at(1) == 0xb5 && at(2) == 0x2f && at(3) == 0xfd;
  const bool skippable = (at(0) & 0xf0) == 0x50 && at(1) == 0x2a && at(2) == 0x4d && at(3) == 0x18;
  return frame || skippable;
}

Result<std::unique_ptr<ByteSource>> open_raw(std::unique_ptr<RawSource> raw, const std::string& name) {
  std::vector<char> first(kRawBuffer);
  std::size_t have = 0;
  while (have < 4) {  // a pipe may give fewer bytes than the longest magic number
    AGON_ASSIGN(const std::size_t got, raw->read(first.data() + have, first.size() - have));
    if (got == 0) break;
    have += got;
  }
  first.resize(have);
  if (is_gzip(first)) return std::make_unique<GzipSource>(std::move(raw), name, std::move(first));
  if (is_zstd(first)) return std::make_unique<ZstdSource>(std::move(raw), name, std::move(first));
  return std::make_unique<PlainSource>(std::move(raw), name, std::move(first));
}

}  // namespace

Result<std::unique_ptr<ByteSource>> open_bytes(const std::string& path) {
  if (path == "-") return open_raw(std::make_unique<FdSource>(STDIN_FILENO, "standard input", 0), path);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(std::string("cannot open: ") + std::strerror(errno), path);
  struct stat info{};
  const bool known = ::fstat(fd, &info) == 0;
  if (known && S_ISDIR(info.st_mode)) {
    ::close(fd);
    return fail("is a folder, not a file", path);
  }
  const auto size = known && S_ISREG(info.st_mode) ? static_cast<std::uint64_t>(info.st_size) : 0;
  return open_raw(std::make_unique<FdSource>(fd, path, size), path);
}

Result<std::unique_ptr<ByteSource>> open_memory(std::string bytes, const std::string& name) {
  return open_raw(std::make_unique<MemorySource>(std::move(bytes)), name);
}

Result<std::string> read_file(const std::string& path, std::uint64_t max_bytes) {
  AGON_ASSIGN(const auto source, open_bytes(path));
  std::string out;
  std::size_t used = 0;
  for (;;) {
    if (used == out.size()) {
      const std::uint64_t hint = used == 0 ? source->raw_size() + 1 : 2 * std::uint64_t{used};
      out.resize(std::min(std::max<std::uint64_t>(hint, kRawBuffer), max_bytes + 1));
    }
    AGON_ASSIGN(const std::size_t got, source->read(out.data() + used, out.size() - used));
    if (got == 0) break;
    used += got;
    if (used > max_bytes) return fail("more than " + std::to_string(max_bytes) + " bytes, refused", path);
  }
  out.resize(used);
  return out;
}

}  // namespace agon
