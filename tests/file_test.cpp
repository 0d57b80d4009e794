// Files whole or not at all: archives cut and damaged at every byte, full disks, writers at once.
#include "agon/base/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>
#include <vector>

#include "agon/base/hash.h"
#include "agon/base/test_folder.h"

namespace agon {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

const std::string kVotes = std::string(AGON_TEST_DATA) + "/votes/lmsys_small.csv";

Result<std::string> read_memory(std::string bytes, std::size_t step = 4096) {
  AGON_ASSIGN(const auto source, open_memory(std::move(bytes), "memory"));
  std::string out;
  std::vector<char> buffer(step);
  for (;;) {
    AGON_ASSIGN(const std::size_t got, source->read(buffer.data(), step));
    if (got == 0) return out;
    out.append(buffer.data(), got);
  }
}

/// Runs `body` in a child process; its return value is the exit code.
int in_child(const std::function<int()>& body) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(ReadFile, ArchivesMadeByGzipAndZstdGiveThePlainBytes) {
  const std::string plain = slurp(kVotes);
  ASSERT_GT(plain.size(), 1000u);
  for (const char* ending : {"", ".gz", ".zst"}) {
    const auto bytes = read_file(kVotes + ending);
    ASSERT_TRUE(bytes) << bytes.error().to_string();
    EXPECT_EQ(*bytes, plain) << ending;
  }
}

TEST(ReadFile, JoinedArchivesGiveTheirBytesOneAfterTheOther) {
  const std::string plain = slurp(kVotes);
  for (const char* ending : {".gz", ".zst"}) {
    const std::string archive = slurp(kVotes + ending);
    for (const std::size_t step : {1, 7, 1 << 16}) {
      EXPECT_EQ(read_memory(archive + archive + archive, step), plain + plain + plain) << ending;
    }
  }
  EXPECT_EQ(read_memory(slurp(kVotes + ".gz") + std::string(1000, '\0')), plain);  // padding of tapes
  // A skippable frame, as `pzstd` writes them, may come first.
  EXPECT_EQ(read_memory(std::string("\x50\x2a\x4d\x18\x03\0\0\0abc", 11) + slurp(kVotes + ".zst")), plain);
}

TEST(ReadFile, AnArchiveCutAtAnyByteIsAnError) {
  for (const char* ending : {".gz", ".zst"}) {
    const std::string archive = slurp(kVotes + ending);
    for (std::size_t cut = 4; cut < archive.size(); ++cut) {
      const auto bytes = read_memory(archive.substr(0, cut));
      ASSERT_FALSE(bytes) << ending << " cut at " << cut;
      ASSERT_THAT(bytes.error().message, HasSubstr("is cut short"));
      ASSERT_EQ(bytes.error().byte, cut);
    }
  }
}

TEST(ReadFile, AnArchiveWithAnyBitFlippedIsNeverTakenForAnotherText) {
  const std::string plain = slurp(kVotes);
  for (const char* ending : {".gz", ".zst"}) {
    const std::string archive = slurp(kVotes + ending);
    // Behind the magic number; the time stamp and flags of a gzip header are not content.
    for (std::size_t i = std::string_view(ending) == ".gz" ? 10 : 4; i < archive.size(); ++i) {
      std::string damaged = archive;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
      const auto bytes = read_memory(damaged);
      // A flipped bit of zstd's header may be one that the format ignores: then the text is right.
      ASSERT_TRUE(!bytes || *bytes == plain) << ending << " byte " << i;
    }
  }
  EXPECT_THAT(read_memory(slurp(kVotes + ".gz") + "more").error().message,
              HasSubstr("other bytes after its end"));
  EXPECT_FALSE(read_memory(slurp(kVotes + ".zst") + "more"));
}

TEST(ReadFile, SaysWhyItCannot) {
  const TempFolder folder;
  EXPECT_EQ(read_file(folder / "none").error().to_string(),
            folder / "none" + ": cannot open: No such file or directory");
  EXPECT_EQ(read_file(folder.path().string()).error().message, "is a folder, not a file");
  spill(folder / "ten", "0123456789");
  EXPECT_EQ(read_file(folder / "ten", 10), "0123456789");
  EXPECT_EQ(read_file(folder / "ten", 9).error().message, "more than 9 bytes, refused");
  spill(folder / "empty", "");
  EXPECT_EQ(read_file(folder / "empty"), "");
}

TEST(WriteFile, RoundTripsThroughEveryFormat) {
  const TempFolder folder;
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += std::to_string(i * 7919) + "\n";
  for (const std::string name : {"a.csv", "a.csv.gz", "a.csv.zst"}) {
    for (const std::string_view bytes : {std::string_view(text), std::string_view()}) {
      ASSERT_TRUE(write_file(folder / name, bytes));
      EXPECT_EQ(read_file(folder / name), bytes);
      const std::string first = slurp(folder / name);
      ASSERT_TRUE(write_file(folder / name, bytes));
      EXPECT_EQ(slurp(folder / name), first) << "equal input, equal bytes";
    }
  }
  EXPECT_EQ(folder.entries(), 3u);
}

/// Whether the file system of `folder` has files without names.
bool has_unnamed_files(const TempFolder& folder) {
  const int fd = ::open(folder.path().c_str(), O_WRONLY | O_TMPFILE, 0600);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

TEST(WriteFile, WithoutCommitTheOldFileStaysAndNothingElse) {
  const TempFolder folder;
  spill(folder / "out", "old");
  for (const auto draft : {AtomicFile::Draft::kUnnamedIfPossible, AtomicFile::Draft::kNamed}) {
    {
      auto file = AtomicFile::create(folder / "out", draft);
      ASSERT_TRUE(file);
      ASSERT_TRUE((*file)->write(std::string(1 << 20, 'x')));
      EXPECT_EQ(slurp(folder / "out"), "old");
      const bool unnamed = draft != AtomicFile::Draft::kNamed && has_unnamed_files(folder);
      EXPECT_EQ(folder.entries(), unnamed ? 1u : 2u);
    }
    EXPECT_EQ(slurp(folder / "out"), "old");
    EXPECT_EQ(folder.entries(), 1u);
  }
}

TEST(WriteFile, EitherDraftReplacesAndCreates) {
  const TempFolder folder;
  for (const auto draft : {AtomicFile::Draft::kUnnamedIfPossible, AtomicFile::Draft::kNamed})
    for (const std::string bytes : {"first", "second, longer", ""}) {
      const std::string path = folder / std::to_string(static_cast<int>(draft));
      auto file = AtomicFile::create(path, draft);
      ASSERT_TRUE(file);
      ASSERT_TRUE((*file)->write(bytes));
      ASSERT_TRUE((*file)->commit());
      EXPECT_EQ(slurp(path), bytes);
    }
  EXPECT_EQ(folder.entries(), 2u);
  struct stat unnamed{}, named{};
  ASSERT_EQ(::stat((folder / "0").c_str(), &unnamed), 0);
  ASSERT_EQ(::stat((folder / "1").c_str(), &named), 0);
  EXPECT_EQ(unnamed.st_mode, named.st_mode) << "the same umask binds both";
}

TEST(WriteFile, AKilledWriterLeavesNothing) {
  const TempFolder folder;
  if (!has_unnamed_files(folder)) GTEST_SKIP() << "this file system has no files without names";
  spill(folder / "out", "old");
  for (const char* name : {"out", "new"}) {
    const int code = in_child([&] {
      auto file = AtomicFile::create(folder / name);
      if (!file || !(*file)->write(std::string(1 << 20, 'x'))) return 3;
      ::raise(SIGKILL);
      return 4;
    });
    EXPECT_EQ(code, 128 + SIGKILL);
  }
  EXPECT_EQ(slurp(folder / "out"), "old");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(WriteFile, AFileThatAppearsBeforeCommitIsReplaced) {
  const TempFolder folder;
  auto file = AtomicFile::create(folder / "out");
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->write("mine"));
  spill(folder / "out", "another's");
  ASSERT_TRUE((*file)->commit());
  EXPECT_EQ(slurp(folder / "out"), "mine");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(WriteFile, KeepsModeAndLink) {
  const TempFolder folder;
  spill(folder / "target", "old");
  ASSERT_EQ(::chmod((folder / "target").c_str(), 0640), 0);
  std::filesystem::create_symlink("target", folder / "link");
  ASSERT_TRUE(write_file(folder / "link", "new"));
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(slurp(folder / "target"), "new");
  struct stat info{};
  ASSERT_EQ(::stat((folder / "target").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST(WriteFile, NamesAsLongAsTheFileSystemAllows) {
  const TempFolder folder;
  const std::string path = folder / std::string(255, 'n');
  ASSERT_TRUE(write_file(path, "text"));
  EXPECT_EQ(slurp(path), "text");
}

TEST(WriteFile, AFullDeviceIsAnError) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{1} << 22}) {
    const auto status = write_file("/dev/full", std::string(size, 'x'));
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().to_string(), "/dev/full: cannot write: No space left on device");
  }
}

TEST(WriteFile, AFileSizeLimitLeavesTheOldFileWhole) {
  const TempFolder folder;
  for (const std::string name : {"out", "out.gz", "out.zst"}) {
    spill(folder / name, "old");
    std::string bytes;
    for (int i = 0; i < 300'000; ++i) bytes += static_cast<char>(hash64(std::to_string(i)));
    const int code = in_child([&] {
      ::signal(SIGXFSZ, SIG_IGN);  // so that write() fails with EFBIG
      const rlimit limit{65536, 65536};
      if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 3;
      const auto status = write_file(folder / name, bytes);
      if (status) return 4;
      return status.error().message == "cannot write: File too large" ? 0 : 5;
    });
    EXPECT_EQ(code, 0);
    EXPECT_EQ(slurp(folder / name), "old");
  }
  EXPECT_EQ(folder.entries(), 3u);
}

TEST(WriteFile, AFullDiskLeavesTheOldFileWhole) {
  const TempFolder folder;
  // A disk of 64 KiB, in a mount namespace of the child's own.
  constexpr int kCannotMount = 77;
  const int code = in_child([&] {
    if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return kCannotMount;
    (void)::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    if (::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=64k") != 0) return kCannotMount;
    if (!write_file(folder / "out", "old")) return 3;
    const auto status = write_file(folder / "out", std::string(1 << 20, 'x'));
    if (status) return 4;
    if (status.error().message != "cannot write: No space left on device") return 5;
    if (slurp(folder / "out") != "old" || folder.entries() != 1) return 6;
    return write_file(folder / "out", "new") && slurp(folder / "out") == "new" ? 0 : 7;
  });
  if (code == kCannotMount) GTEST_SKIP() << "may not mount a file system here";
  EXPECT_EQ(code, 0);
}

TEST(WriteFile, AnUnwritableFolderIsAnErrorThatSaysWhy) {
  const TempFolder folder;
  EXPECT_EQ(write_file(folder / "none/out", "x").error().to_string(),
            folder / "none/out" + ": cannot create a file in its folder: No such file or directory");
  spill(folder / "file", "old");
  EXPECT_EQ(write_file(folder / "file/out", "x").error().message,
            "cannot create a file in its folder: Not a directory");
  EXPECT_EQ(write_file(folder.path().string(), "x").error().message, "is a folder, not a file");

  ASSERT_EQ(::chmod(folder.path().c_str(), 0555), 0);
  const int code = in_child([&] {
    if (::geteuid() == 0 && ::seteuid(65534) != 0) return 3;  // permissions do not bind root
    const auto status = write_file(folder / "file", "new");
    if (status) return 4;
    return status.error().message == "cannot create a file in its folder: Permission denied" ? 0 : 5;
  });
  EXPECT_EQ(code, 0);
  EXPECT_EQ(slurp(folder / "file"), "old");
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
}

TEST(WriteFile, WritersAtOnceEachEndWhole) {
  const TempFolder folder;
  const auto write_many = [&](char c) {
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(write_file(folder / "out", std::string(300'000, c)));
  };
  std::thread a(write_many, 'a'), b(write_many, 'b');
  for (int i = 0; i < 50; ++i) {
    const std::string seen = slurp(folder / "out");
    ASSERT_THAT(seen, AnyOf("", std::string(300'000, 'a'), std::string(300'000, 'b')));
  }
  a.join();
  b.join();
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(WriteFile, AfterAFailureNothingCanBeCommitted) {
  auto file = AtomicFile::create("/dev/full");
  ASSERT_TRUE(file);
  ASSERT_FALSE((*file)->write(std::string(1 << 22, 'x')));
  EXPECT_FALSE((*file)->commit());
}

}  // namespace
}  // namespace agon
