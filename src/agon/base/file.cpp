// Writing: to a file without a name, or beside the target; then renamed over it.
#include "agon/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace agon {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 18;

std::unexpected<Error> fail_errno(const char* what, const std::string& path, int reason) {
  return fail(std::string(what) + ": " + std::strerror(reason), path);
}

Status write_all(int fd, const char* data, std::size_t size, const std::string& path) {
  while (size > 0) {
    const ssize_t put = ::write(fd, data, size);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno("cannot write", path, errno);
    data += put;
    size -= static_cast<std::size_t>(put);
  }
  return {};
}

// Compression between write() and the descriptor.
class Encoder {
 public:
  virtual ~Encoder() = default;
  virtual Status encode(std::string_view bytes, bool last, std::string& out) = 0;
};

class GzipEncoder final : public Encoder {
 public:
  // Level 6; the header carries neither a time nor a name, so that equal input gives equal bytes.
  GzipEncoder() { ready_ = deflateInit2(&stream_, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK; }
  ~GzipEncoder() override {
    if (ready_) deflateEnd(&stream_);
  }
  Status encode(std::string_view bytes, bool last, std::string& out) override {
    if (!ready_) return fail("out of memory for gzip");
    do {
      const std::size_t part = std::min(bytes.size(), std::size_t{1} << 30);
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
      stream_.avail_in = static_cast<uInt>(part);
      bytes.remove_prefix(part);
      const int flush = last && bytes.empty() ? Z_FINISH : Z_NO_FLUSH;
      do {
        const std::size_t used = out.size();
        out.resize(used + kChunk);
        stream_.next_out = reinterpret_cast<Bytef*>(out.data() + used);
        stream_.avail_out = static_cast<uInt>(kChunk);
        if (deflate(&stream_, flush) == Z_STREAM_ERROR) return fail("gzip failed");
        out.resize(used + kChunk - stream_.avail_out);
      } while (stream_.avail_out == 0);
    } while (!bytes.empty());
    return {};
  }

 private:
  z_stream stream_{};
  bool ready_ = false;
};

class ZstdEncoder final : public Encoder {
 public:
  ZstdEncoder() : stream_(ZSTD_createCCtx(), ZSTD_freeCCtx) {
    if (stream_) ZSTD_CCtx_setParameter(stream_.get(), ZSTD_c_checksumFlag, 1);
  }
  Status encode(std::string_view bytes, bool last, std::string& out) override {
    if (!stream_) return fail("out of memory for zstd");
    ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
    for (;;) {
      const std::size_t used = out.size();
      out.resize(used + kChunk);
      ZSTD_outBuffer output{out.data(), out.size(), used};
      const std::size_t left =
          ZSTD_compressStream2(stream_.get(), &output, &input, last ? ZSTD_e_end : ZSTD_e_continue);
      out.resize(output.pos);
      if (ZSTD_isError(left) != 0) return fail(std::string("zstd failed: ") + ZSTD_getErrorName(left));
      if (last ? left == 0 : input.pos == input.size) return {};
    }
  }

 private:
  std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> stream_;
};

std::unique_ptr<Encoder> encoder_for(const std::string& path) {
  if (path.ends_with(".gz")) return std::make_unique<GzipEncoder>();
  if (path.ends_with(".zst")) return std::make_unique<ZstdEncoder>();
  return nullptr;
}

// A name of its own for every writer: process, counter, and the clock against a reused process id.
std::string temporary_name(const std::string& target) {
  static std::atomic<std::uint64_t> counter{0};
  const std::size_t slash = target.rfind('/');
  const std::size_t begin = slash == std::string::npos ? 0 : slash + 1;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  // File names may have 255 bytes; the suffix takes at most 64 of them.
  return target.substr(0, begin) + "." + target.substr(begin, 180) + "." + std::to_string(::getpid()) + "-" +
         std::to_string(counter.fetch_add(1)) + "-" + std::to_string(now.tv_nsec) + ".tmp";
}
constexpr int kNameTrials = 16;

/// "." for a name without a slash.
std::string folder_of(const std::string& target) {
  const std::size_t slash = target.rfind('/');
  return slash == std::string::npos ? "." : target.substr(0, slash + 1);
}

/// The name by which an open file without one can be linked.
std::string descriptor_name(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

/// A file without a name in the target's folder: the system removes it however this process ends. -1 where
/// the file system has none, or where there is no way to give it a name later.
int open_unnamed(const std::string& target) {
  const int fd = ::open(folder_of(target).c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
  if (fd < 0) return -1;
  if (::access(descriptor_name(fd).c_str(), F_OK) == 0) return fd;
  ::close(fd);
  return -1;
}

/// What is written until commit().
struct Opened {
  enum class Kind : std::uint8_t {
    kTarget,   ///< the target itself: standard output, a device
    kNamed,    ///< a file beside it
    kUnnamed,  ///< a file that nobody sees
  };
  int fd = -1;
  Kind kind = Kind::kTarget;
  std::string temporary;  ///< of kNamed
};

class AtomicFileImpl final : public AtomicFile {
 public:
  AtomicFileImpl(Opened opened, std::string path, std::string target)
      : fd_(opened.fd),
        kind_(opened.kind),
        path_(std::move(path)),
        temporary_(std::move(opened.temporary)),
        target_(std::move(target)),
        encoder_(encoder_for(path_)) {}
  ~AtomicFileImpl() override {
    close_fd();
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }
  AtomicFileImpl(const AtomicFileImpl&) = delete;
  AtomicFileImpl& operator=(const AtomicFileImpl&) = delete;

  Status write(std::string_view bytes) override {
    if (broken_ || committed_) return fail("write after a failure or after commit", path_);
    if (encoder_) {
      AGON_TRY(in_file(encoder_->encode(bytes, false, pending_)));
    } else {
      pending_.append(bytes);
    }
    if (pending_.size() >= kChunk) AGON_TRY(flush());
    return {};
  }

  Status commit() override {
    if (broken_ || committed_) return fail("commit after a failure or twice", path_);
    if (encoder_) AGON_TRY(in_file(encoder_->encode({}, true, pending_)));
    AGON_TRY(flush());
    committed_ = true;
    if (kind_ == Opened::Kind::kTarget) return {};
    // The data must be on disk before the name points to it, or a power cut leaves an empty file.
    if (::fsync(fd_) != 0) return fail_errno("cannot write", path_, errno);
    bool placed = false;
    if (kind_ == Opened::Kind::kUnnamed) {
      AGON_ASSIGN(placed, give_name());
    }
    if (!close_fd()) return fail_errno("cannot write", path_, errno);
    if (!placed) {
      if (::rename(temporary_.c_str(), target_.c_str()) != 0)
        return fail_errno("cannot replace", path_, errno);
      temporary_.clear();
    }
    sync_folder();
    return {};
  }

 private:
  /// Links the unnamed file; true when it is the target already. A link cannot replace a file, so where there
  /// is one the draft gets a temporary name, which is renamed at once.
  Result<bool> give_name() {
    const std::string unnamed = descriptor_name(fd_);
    const auto link_to = [&](const std::string& name) {
      return ::linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0;
    };
    if (link_to(target_)) return true;
    for (int trial = 0; errno == EEXIST && trial <= kNameTrials; ++trial) {
      const std::string name = temporary_name(target_);
      if (!link_to(name)) continue;
      temporary_ = name;
      return false;
    }
    return fail_errno("cannot create a file in its folder", path_, errno);
  }
  Status flush() {
    auto status = write_all(fd_, pending_.data(), pending_.size(), path_);
    pending_.clear();
    broken_ = !status;
    return status;
  }
  Status in_file(Status status) {
    if (!status) {
      broken_ = true;
      status.error().file = path_;
    }
    return status;
  }
  bool close_fd() {
    if (fd_ < 0 || fd_ == STDOUT_FILENO) return true;
    const int fd = fd_;
    fd_ = -1;
    return ::close(fd) == 0;
  }
  // Makes the rename itself last; some file systems refuse it, and then nothing is lost but time.
  void sync_folder() const {
    const int fd = ::open(folder_of(target_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)::fsync(fd);
    ::close(fd);
  }

  int fd_;
  Opened::Kind kind_;
  std::string path_, temporary_, target_;
  std::unique_ptr<Encoder> encoder_;
  std::string pending_;
  bool broken_ = false, committed_ = false;
};

}  // namespace

Result<std::unique_ptr<AtomicFile>> AtomicFile::create(const std::string& path, Draft draft) {
  if (path == "-")
    return std::make_unique<AtomicFileImpl>(Opened{.fd = STDOUT_FILENO, .temporary = {}}, path, "");
  if (path.empty()) return fail("the path of an output file is empty");

  struct stat info{};
  const bool exists = ::stat(path.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) return fail("is a folder, not a file", path);
  if (exists && !S_ISREG(info.st_mode)) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno("cannot open for writing", path, errno);
    return std::make_unique<AtomicFileImpl>(Opened{.fd = fd, .temporary = {}}, path, "");
  }

  std::string target = path;  // through links, so that a link stays one
  if (exists) {
    char resolved[PATH_MAX];
    if (::realpath(path.c_str(), resolved) != nullptr) target = resolved;
  }
  Opened opened{.fd = draft == Draft::kNamed ? -1 : open_unnamed(target),
                .kind = Opened::Kind::kUnnamed,
                .temporary = {}};
  for (int trial = 0; opened.fd < 0; ++trial) {
    opened.kind = Opened::Kind::kNamed;
    opened.temporary = temporary_name(target);
    opened.fd = ::open(opened.temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (opened.fd < 0 && (errno != EEXIST || trial == kNameTrials))
      return fail_errno("cannot create a file in its folder", path, errno);
  }
  if (exists) (void)::fchmod(opened.fd, info.st_mode & 07777);
  return std::make_unique<AtomicFileImpl>(std::move(opened), path, target);
}

Status write_file(const std::string& path, std::string_view bytes) {
  AGON_ASSIGN(const auto file, AtomicFile::create(path));
  AGON_TRY(file->write(bytes));
  return file->commit();
}

}  // namespace agon
