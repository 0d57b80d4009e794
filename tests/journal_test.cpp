// The journal on disk: torn, damaged, locked, full.
#include "agon/llm/remote/journal.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "agon/base/file.h"
#include "agon/base/hash.h"
#include "agon/base/test_folder.h"

namespace agon::llm {
namespace {

using testing::HasSubstr;

std::string key_of(int i) { return sha256_hex(std::to_string(i)); }
std::string result_of(int i) { return "{\"x\":" + std::string(static_cast<std::size_t>(i) * 7, '1') + "0}"; }

// A journal of `count` items, as its file's bytes.
std::string bytes_of(const std::string& path, int count) {
  std::filesystem::remove(path);
  auto journal = Journal::open(path).value();
  for (int i = 0; i < count; ++i) EXPECT_TRUE(journal->append(key_of(i), result_of(i), {10 * i, i, true}));
  return read_file(path).value();
}

void write_bytes(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

TEST(Journal, KeepsItemsFromRunToRun) {
  const TempFolder folder;
  const std::string path = folder / "run.journal";
  (void)bytes_of(path, 5);
  const auto journal = Journal::open(path).value();
  EXPECT_EQ(journal->size(), 5U);
  EXPECT_EQ(journal->usage().input, 100);
  EXPECT_EQ(journal->usage().output, 10);
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(journal->contains(key_of(i)));
    EXPECT_EQ(journal->find(key_of(i)).value(), result_of(i));
  }
  EXPECT_FALSE(journal->contains(key_of(5)));
  ASSERT_TRUE(journal->append(key_of(5), "[]", {}));
  EXPECT_EQ(journal->find(key_of(5)).value(), "[]");
  ASSERT_TRUE(journal->remove());
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Journal, InMemoryToo) {
  const auto journal = Journal::in_memory();
  ASSERT_TRUE(journal->append(key_of(1), "{}", {3, 4, true}));
  EXPECT_EQ(journal->find(key_of(1)).value(), "{}");
  EXPECT_EQ(journal->usage().output, 4);
  EXPECT_TRUE(journal->path().empty());
}

TEST(Journal, ATornEndIsDroppedAtAnyByte) {
  const TempFolder folder;
  const std::string path = folder / "run.journal";
  const std::string bytes = bytes_of(path, 3);
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    write_bytes(path, bytes.substr(0, size));
    auto journal = Journal::open(path);
    ASSERT_TRUE(journal) << size << ": " << journal.error().to_string();
    const auto lines = static_cast<std::size_t>(std::ranges::count(bytes.substr(0, size), '\n'));
    const std::size_t kept = lines == 0 ? 0 : lines - 1;
    ASSERT_EQ((*journal)->size(), kept) << size;
    // It goes on as if the torn line had never been.
    for (int i = static_cast<int>(kept); i < 3; ++i)
      ASSERT_TRUE((*journal)->append(key_of(i), result_of(i), {10 * i, i, true}));
    journal->reset();
    ASSERT_EQ(read_file(path).value(), bytes) << size;
  }
}

TEST(Journal, ADamagedLineIsAnErrorWithItsNumber) {
  const TempFolder folder;
  const std::string path = folder / "run.journal";
  const std::string bytes = bytes_of(path, 3);
  const std::size_t second = bytes.find('\n') + 1, third = bytes.find('\n', second) + 1;
  for (std::size_t at = second; at < third - 1; ++at) {
    std::string damaged = bytes;
    damaged[at] = damaged[at] == '5' ? '6' : '5';
    write_bytes(path, damaged);
    const auto journal = Journal::open(path);
    ASSERT_FALSE(journal) << at;
    EXPECT_THAT(journal.error().to_string(), HasSubstr(path + ": row 2: a damaged line")) << at;
    EXPECT_EQ(read_file(path).value(), damaged);
  }
  // Two lines that ran together.
  std::string joined = bytes;
  joined.erase(third - 1, 1);
  write_bytes(path, joined);
  EXPECT_THAT(Journal::open(path).error().to_string(), HasSubstr("row 2: a damaged line"));
}

TEST(Journal, OtherFilesAreLeftAsTheyAre) {
  const TempFolder folder;
  const std::string path = folder / "votes.csv";
  const std::pair<const char*, const char*> cases[] = {
      {"id,prompt\n1,x\n", "is no journal of agon"},
      {"a single line without an end", "is no journal of agon"},
      {"{\"agon_journal\":1}", ""},  // a torn first line
      {"{\"agon_journal\":2}\n", "journal of another version"},
      {"\n", "is no journal of agon"},
  };
  for (const auto& [bytes, message] : cases) {
    write_bytes(path, bytes);
    const auto journal = Journal::open(path);
    EXPECT_EQ(journal.has_value(), *message == '\0') << bytes;
    if (journal) continue;
    EXPECT_THAT(journal.error().to_string(), HasSubstr(message));
    EXPECT_EQ(read_file(path).value(), bytes);
  }
  EXPECT_THAT(Journal::open("/dev/null").error().to_string(), HasSubstr("no regular file"));
  EXPECT_FALSE(Journal::open(folder.path().string()));
  EXPECT_FALSE(Journal::open(folder / "no/such/folder"));
}

TEST(Journal, IsForOneRunAtATime) {
  const TempFolder folder;
  const std::string path = folder / "run.journal";
  auto first = Journal::open(path);
  ASSERT_TRUE(first);
  EXPECT_THAT(Journal::open(path).error().to_string(), HasSubstr("another run is using this journal"));
  first->reset();
  EXPECT_TRUE(Journal::open(path));
}

TEST(Journal, AFullDiskLeavesWhatIsKeptWhole) {
  const TempFolder folder;
  const std::string path = folder / "run.journal";
  const std::string bytes = bytes_of(path, 2);
  {
    const auto journal = Journal::open(path).value();
    // The bound on a file's size stands for the disk's.
    const auto previous = std::signal(SIGXFSZ, SIG_IGN);
    rlimit old{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
    rlimit low = old;
    low.rlim_cur = bytes.size() + 50;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &low), 0);
    const Status status = journal->append(key_of(9), result_of(9), {});
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
    std::signal(SIGXFSZ, previous);
    ASSERT_FALSE(status);
    EXPECT_THAT(status.error().to_string(), HasSubstr(path + ": cannot write the journal"));
    EXPECT_FALSE(journal->contains(key_of(9)));
    // With room again it goes on.
    EXPECT_TRUE(journal->append(key_of(9), "{}", {}));
  }
  const auto again = Journal::open(path).value();
  EXPECT_EQ(again->size(), 3U);
  EXPECT_EQ(again->dropped(), 0U);
}

// Of a file that can only grow a torn line cannot be cut off.
TEST(Journal, NothingComesBehindATornLine) {
  const TempFolder folder;
  const std::string path = folder / "run.journal";
  const std::string bytes = bytes_of(path, 2);
  const auto journal = Journal::open(path).value();
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  int flags = 0;
  const bool can_only_grow = ::ioctl(file, FS_IOC_GETFLAGS, &flags) == 0 &&
                             ::ioctl(file, FS_IOC_SETFLAGS, &(flags |= FS_APPEND_FL)) == 0;
  Status torn, after;
  if (can_only_grow) {
    const auto previous = std::signal(SIGXFSZ, SIG_IGN);
    rlimit old{};
    EXPECT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
    rlimit low = old;
    low.rlim_cur = bytes.size() + 50;
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &low), 0);
    torn = journal->append(key_of(9), result_of(9), {});
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
    std::signal(SIGXFSZ, previous);
    after = journal->append(key_of(8), "{}", {});
    flags &= ~FS_APPEND_FL;
    EXPECT_EQ(::ioctl(file, FS_IOC_SETFLAGS, &flags), 0);
  }
  ::close(file);
  if (!can_only_grow) GTEST_SKIP() << "this file system or user cannot make a file that only grows";
  EXPECT_FALSE(torn);
  ASSERT_FALSE(after);
  EXPECT_THAT(after.error().to_string(), HasSubstr("takes nothing more"));
  EXPECT_EQ(read_file(path).value().size(), bytes.size() + 50);
  EXPECT_EQ(journal->find(key_of(1)).value(), result_of(1));
}

TEST(Journal, RefusedRepliesAreKeptApart) {
  const TempFolder folder;
  const std::string path = folder / "run.journal";
  {
    const auto journal = Journal::open(path).value();
    ASSERT_TRUE(journal->refuse(key_of(1), "{\n \"a\": \"x y\"\n}\n", {7, 1, true}));
    ASSERT_TRUE(journal->append(key_of(2), "{}", {1, 0, true}));
    EXPECT_FALSE(journal->refuse(key_of(3), "{\"a", {}));
  }
  const auto journal = Journal::open(path).value();
  EXPECT_EQ(journal->size(), 1U);
  EXPECT_FALSE(journal->contains(key_of(1)));
  EXPECT_EQ(journal->refused(key_of(1)).value(), "{\"a\":\"x y\"}");
  EXPECT_EQ(journal->refused(key_of(2)).value(), std::nullopt);
  EXPECT_EQ(journal->usage().input, 8);
}

TEST(Journal, WhatIsReadIsCheckedAgain) {
  const TempFolder folder;
  const std::string path = folder / "run.journal";
  const std::string bytes = bytes_of(path, 3);
  const auto journal = Journal::open(path).value();
  const std::size_t begin = bytes.rfind(result_of(2));
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(begin + 3));
  file.put('?');
  file.close();
  EXPECT_THAT(journal->find(key_of(2)).error().to_string(), HasSubstr(path + ": the journal was changed"));
  EXPECT_EQ(journal->find(key_of(1)).value(), result_of(1));
}

TEST(Journal, ItemsOfOneReplyAreKeptTogether) {
  const TempFolder folder;
  const std::string path = folder / "run.journal";
  const std::string one_by_one = bytes_of(path, 3);
  std::filesystem::remove(path);
  std::vector<Journal::Item> items;
  for (int i = 0; i < 3; ++i) items.push_back({key_of(i), result_of(i), {10 * i, i, true}});
  {
    const auto journal = Journal::open(path).value();
    ASSERT_TRUE(journal->append(items));
    EXPECT_EQ(journal->find(key_of(1)).value(), result_of(1));
  }
  EXPECT_EQ(read_file(path).value(), one_by_one);
  // With room for two of them, none is kept.
  std::filesystem::remove(path);
  const auto journal = Journal::open(path).value();
  const auto previous = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  rlimit low = old;
  low.rlim_cur = one_by_one.size() - 5;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &low), 0);
  const Status status = journal->append(items);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, previous);
  EXPECT_FALSE(status);
  EXPECT_EQ(journal->size(), 0U);
  EXPECT_EQ(read_file(path).value(), one_by_one.substr(0, one_by_one.find('\n') + 1));
}

}  // namespace
}  // namespace agon::llm
