// Rows on disk: found again, kept through kills, shared by runs, refused when they are something else.
#include "agon/preference/features/row_store.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>

#include "agon/base/file.h"
#include "agon/base/test_folder.h"

namespace agon {
namespace {

constexpr std::size_t kWidth = 3;
constexpr std::size_t kRecord = 16 + 4 * kWidth;

std::unique_ptr<RowStore> opened(const std::string& path, std::string_view what = "numbers") {
  auto store = RowStore::open(path, what, kWidth);
  EXPECT_TRUE(store) << store.error().to_string();
  return store ? std::move(*store) : nullptr;
}

std::vector<float> row_of(std::uint64_t key) {
  const auto x = static_cast<float>(key);
  return {x, -x, x * 0.5F};
}

void add(RowStore& store, std::vector<std::uint64_t> keys) {
  std::vector<float> rows;
  for (const std::uint64_t key : keys) {
    const auto row = row_of(key);
    rows.insert(rows.end(), row.begin(), row.end());
  }
  const Status added = store.append(keys, rows);
  EXPECT_TRUE(added) << added.error().to_string();
}

void expect_row(const RowStore& store, std::uint64_t key) {
  std::vector<float> out(kWidth);
  const auto found = store.find(key, out);
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_TRUE(*found) << key;
  EXPECT_EQ(out, row_of(key));
}

TEST(RowStore, FindsWhatEarlierRunsAdded) {
  TempFolder folder;
  for (const std::string& path : {std::string(), folder / "deep/er/rows"}) {
    const auto store = opened(path);
    add(*store, {1, 2});
    add(*store, {3});
    for (const std::uint64_t key : {1, 2, 3}) expect_row(*store, key);
    std::vector<float> out(kWidth);
    EXPECT_FALSE(*store->find(4, out));
    if (path.empty()) continue;
    const auto again = opened(path);
    EXPECT_EQ(again->size(), 3U);
    EXPECT_EQ(RowStore::width_of(path, "numbers"), kWidth);
    EXPECT_EQ(RowStore::width_of(path, "others"), 0U);
    EXPECT_EQ(RowStore::width_of(path + "x", "numbers"), 0U);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(18);  // a width of more than 2^48
    file.put('\1');
    file.close();
    EXPECT_EQ(RowStore::width_of(path, "numbers"), 0U);
    for (const std::uint64_t key : {1, 2, 3}) expect_row(*again, key);
  }
}

// A run may be killed at any byte: what was whole stays, and the next rows come behind it.
TEST(RowStore, ReadsEveryFileThatIsCutShort) {
  TempFolder folder;
  const std::string path = folder / "rows";
  add(*opened(path), {1, 2});
  const std::string whole = *read_file(path);
  const std::size_t header = whole.size() - 2 * kRecord;
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    ASSERT_TRUE(write_file(path, whole.substr(0, size)));
    const auto store = opened(path);
    ASSERT_NE(store, nullptr) << size;
    EXPECT_EQ(store->size(), size < header ? 0 : (size - header) / kRecord) << size;
    add(*store, {7});
    expect_row(*opened(path), 7);
  }
}

TEST(RowStore, IsSharedByRuns) {
  TempFolder folder;
  const std::string path = folder / "rows";
  const auto first = opened(path), second = opened(path);
  add(*first, {1});
  add(*second, {2});
  add(*first, {3});
  for (const std::uint64_t key : {1, 3}) expect_row(*first, key);
  expect_row(*second, 2);
  const auto later = opened(path);
  for (const std::uint64_t key : {1, 2, 3}) expect_row(*later, key);
}

TEST(RowStore, RefusesOtherRowsAndOtherFiles) {
  TempFolder folder;
  const std::string path = folder / "rows";
  add(*opened(path), {1});
  EXPECT_FALSE(RowStore::open(path, "others", kWidth));
  EXPECT_FALSE(RowStore::open(path, "numbers", kWidth + 1));
  ASSERT_TRUE(write_file(folder / "text", "a text that is longer than any header of rows could be\n"));
  const auto text = RowStore::open(folder / "text", "numbers", kWidth);
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().file, folder / "text");
  EXPECT_EQ(*read_file(folder / "text"), "a text that is longer than any header of rows could be\n");
  EXPECT_FALSE(RowStore::open(folder / "text/rows", "numbers", kWidth));
}

TEST(RowStore, ADamagedRowIsMissingAndTheOthersAreNot) {
  TempFolder folder;
  const std::string path = folder / "rows";
  add(*opened(path), {1, 2, 3});
  const std::string whole = *read_file(path);
  const std::size_t second = whole.size() - 2 * kRecord;
  for (std::size_t at = second; at < second + kRecord; ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    ASSERT_TRUE(write_file(path, damaged));
    {
      const auto store = opened(path);
      EXPECT_EQ(store->size(), 2U) << at;
      EXPECT_FALSE(store->contains(2)) << at;
      add(*store, {2});
      for (const std::uint64_t key : {1, 2, 3}) expect_row(*store, key);
    }
    const auto again = opened(path);
    EXPECT_EQ(again->size(), 3U) << at;
    for (const std::uint64_t key : {1, 2, 3}) expect_row(*again, key);
  }
}

TEST(RowStore, NoticesWhatIsDamagedWhileItIsOpen) {
  TempFolder folder;
  const std::string path = folder / "rows";
  const auto store = opened(path);
  add(*store, {1});
  std::string damaged = *read_file(path);
  damaged.back() = static_cast<char>(damaged.back() ^ 4);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file << damaged << std::flush;
  std::vector<float> out(kWidth);
  const auto found = store->find(1, out);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().file, path);
}

// A later row of the same key takes the place of an earlier one, unless it is damaged.
TEST(RowStore, AnEarlierRowStandsInForADamagedOne) {
  TempFolder folder;
  const std::string path = folder / "rows";
  {
    const auto first = opened(path), second = opened(path);
    add(*first, {1});
    add(*second, {1});
  }
  std::string damaged = *read_file(path);
  damaged.back() = static_cast<char>(damaged.back() ^ 4);
  ASSERT_TRUE(write_file(path, damaged));
  expect_row(*opened(path), 1);
}

// The bound on a file's size stands for the disk's.
TEST(RowStore, AFullDiskLeavesWhatIsKeptWhole) {
  TempFolder folder;
  const std::string path = folder / "rows";
  const auto store = opened(path);
  add(*store, {1});
  const std::string before = *read_file(path);
  const auto previous = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  rlimit low = old;
  low.rlim_cur = before.size() + kRecord + 5;  // of two rows one, and a piece of the other
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &low), 0);
  const Status full = store->append(std::vector<std::uint64_t>{2, 3}, std::vector<float>(2 * kWidth));
  const auto no_header = RowStore::open(folder / "other", std::string(200, 'x'), kWidth);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, previous);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().file, path);
  EXPECT_EQ(full.error().message, "cannot add to the cache: File too large");
  EXPECT_EQ(*read_file(path), before);
  EXPECT_FALSE(store->contains(2));
  ASSERT_FALSE(no_header);
  EXPECT_EQ(no_header.error().file, folder / "other");
  EXPECT_EQ(*read_file(folder / "other"), "");
  // With room again both go on.
  add(*store, {2, 3});
  for (const std::uint64_t key : {1, 2, 3}) expect_row(*opened(path), key);
  EXPECT_TRUE(RowStore::open(folder / "other", std::string(200, 'x'), kWidth));
}

}  // namespace
}  // namespace agon
