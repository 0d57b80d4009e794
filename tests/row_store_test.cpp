// Rows on disk: found again, kept through kills, shared by runs, refused when they are something else.
#include "agon/preference/features/row_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "agon/base/file.h"
#include "temp_folder.h"

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

TEST(RowStore, NoticesEveryDamagedByteOfARow) {
  TempFolder folder;
  const std::string path = folder / "rows";
  add(*opened(path), {1});
  const std::string whole = *read_file(path);
  for (std::size_t at = whole.size() - kRecord + 8; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    ASSERT_TRUE(write_file(path, damaged));
    const auto store = opened(path);
    std::vector<float> out(kWidth);
    const auto found = store->find(1, out);
    ASSERT_FALSE(found) << at;
    EXPECT_EQ(found.error().file, path);
  }
}

TEST(RowStore, SaysThatTheDiskIsFull) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const auto store = RowStore::open("/dev/full", "numbers", kWidth);
  EXPECT_FALSE(store);
}

}  // namespace
}  // namespace agon
