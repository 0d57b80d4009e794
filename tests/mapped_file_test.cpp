// Files that change under a mapping. The deaths happen in children made by fork.
#include "agon/base/mapped_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>

#include "agon/base/test_folder.h"
#include "agon/llm/engine/embedding.h"
#include "agon/llm/engine/engine.h"
#include "agon/llm/gguf/dequantize.h"
#include "agon/llm/gguf/random_model.h"
#include "agon/llm/gguf/writer.h"
#include "sanitized.h"

namespace agon {
namespace {

struct End {
  int status = 0;
  std::string said;  ///< On standard error.
};

End in_child(const std::function<void()>& body) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    body();
    ::_exit(0);
  }
  ::close(ends[1]);
  End end;
  char buffer[512];
  for (ssize_t got; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    end.said.append(buffer, static_cast<std::size_t>(got));
  ::close(ends[0]);
  EXPECT_EQ(::waitpid(child, &end.status, 0), child);
  return end;
}

volatile unsigned sink;
void read_all(std::span<const std::byte> bytes) {
  for (std::size_t i = 0; i < bytes.size(); i += 512) sink = sink + static_cast<unsigned>(bytes[i]);
}

TEST(MappedFile, HoldsTheBytes) {
  const TempFolder folder;
  spill(folder / "a", std::string(10000, 'a') + "z");
  auto map = MappedFile::open(folder / "a");
  ASSERT_TRUE(map);
  EXPECT_EQ(map->path(), folder / "a");
  ASSERT_EQ(map->bytes().size(), 10001u);
  EXPECT_EQ(map->bytes()[10000], std::byte{'z'});
  map->drop_pages(map->bytes().subspan(100, 9000));
  EXPECT_EQ(map->bytes()[5000], std::byte{'a'});
  const MappedFile moved = std::move(*map);
  EXPECT_EQ(moved.bytes()[10000], std::byte{'z'});
  EXPECT_TRUE(moved.check_not_truncated());
}

TEST(MappedFile, RefusesWhatCannotBeMapped) {
  const TempFolder folder;
  spill(folder / "empty", "");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(MappedFile::open(folder / "none").error().to_string(), testing::HasSubstr("No such file"));
  EXPECT_THAT(MappedFile::open(folder / "").error().to_string(), testing::HasSubstr("is a folder"));
  EXPECT_THAT(MappedFile::open(folder / "empty").error().to_string(), testing::HasSubstr("is empty"));
  EXPECT_THAT(MappedFile::open(folder / "pipe").error().to_string(), testing::HasSubstr("no regular file"));
}

TEST(MappedFile, TruncationIsNoticedWhenAsked) {
  const TempFolder folder;
  spill(folder / "a", std::string(10000, 'a'));
  const auto map = MappedFile::open(folder / "a");
  ASSERT_TRUE(map);
  ASSERT_EQ(::truncate((folder / "a").c_str(), 5000), 0);
  EXPECT_EQ(map->check_not_truncated().error().to_string(),
            (folder / "a") + ": was truncated while it was in use: it has 5000 bytes and had 10000");
}

TEST(MappedFile, ReadingBehindTheNewEndEndsWithAMessage) {
  const TempFolder folder;
  spill(folder / "a", std::string(100000, 'a'));
  spill(folder / "b", std::string(100000, 'b'));
  const End end = in_child([&] {
    const auto other = MappedFile::open(folder / "b");
    const auto map = MappedFile::open(folder / "a");
    const auto third = MappedFile::open(folder / "b");
    if (!map || !other || !third || ::truncate((folder / "a").c_str(), 10) != 0) ::_exit(3);
    read_all(other->bytes());
    read_all(map->bytes());
  });
  ASSERT_TRUE(WIFEXITED(end.status)) << end.status;
  EXPECT_EQ(WEXITSTATUS(end.status), 1);
  EXPECT_EQ(end.said, "agon: " + (folder / "a") + ": was truncated while it was in use\n");
}

TEST(MappedFile, AModelThatIsCutWhileItIsReadEndsWithAMessage) {
  const TempFolder folder;
  gguf::Writer writer;
  writer.add("a", gguf::TensorType::kQ8_0, {32, 4096}, std::vector<float>(32 * 4096, 1.0f));
  ASSERT_TRUE(writer.write(folder / "m.gguf"));
  const End end = in_child([&] {
    const auto file = gguf::File::open(folder / "m.gguf");
    if (!file || ::truncate((folder / "m.gguf").c_str(), 8192) != 0) ::_exit(3);
    if (file->check_not_truncated()) ::_exit(4);
    std::vector<float> weights(32 * 4096);
    gguf::dequantize(gguf::TensorType::kQ8_0, file->tensors()[0].bytes, weights);
  });
  ASSERT_TRUE(WIFEXITED(end.status)) << end.status;
  EXPECT_EQ(WEXITSTATUS(end.status), 1) << end.said;
  EXPECT_THAT(end.said, testing::EndsWith("m.gguf: was truncated while it was in use\n"));
}

TEST(MappedFile, PackedWeightsThatAreCutWhileTheyAreReadEndWithAMessage) {
  const TempFolder folder;
  gguf::RandomModelOptions shape{};
  shape.feed_forward = 4096;
  ASSERT_TRUE(gguf::random_model(shape)->write(folder / "m.gguf"));
  const auto pass = [&](bool cut) -> bool {
    auto engine = llm::Engine::open(folder / "m.gguf", {.threads = 1, .packed_path = folder / "m.packed"});
    if (!engine) return false;
    if (cut && ::truncate((folder / "m.packed").c_str(), 8192) != 0) return false;
    const std::vector<std::vector<llm::Token>> texts = {{1, 2, 3}};
    return llm::embed(**engine, texts, -1, llm::Pooling::kMean).has_value();
  };
  ASSERT_TRUE(pass(false));
  const End end = in_child([&] { ::_exit(pass(true) ? 3 : 4); });
  ASSERT_TRUE(WIFEXITED(end.status)) << end.status;
  EXPECT_EQ(WEXITSTATUS(end.status), 1) << end.said;
  EXPECT_THAT(end.said, testing::EndsWith("m.packed: was truncated while it was in use\n"));
}

// A bus error elsewhere is not ours: it ends the program as it would have without us. (Sanitizers have a
// handler of their own, which gets it then and ends otherwise.)
TEST(MappedFile, OtherBusErrorsTakeTheirOldCourse) {
  const TempFolder folder;
  spill(folder / "a", std::string(100000, 'a'));
  spill(folder / "b", std::string(100000, 'b'));
  const auto other_fault = [&] {
    auto map = MappedFile::open(folder / "a");
    const int fd = ::open((folder / "b").c_str(), O_RDONLY);
    void* data = ::mmap(nullptr, 100000, PROT_READ, MAP_PRIVATE, fd, 0);
    if (!map || data == MAP_FAILED || ::truncate((folder / "b").c_str(), 10) != 0) ::_exit(3);
    read_all({static_cast<const std::byte*>(data), 100000});
  };
  const End end = in_child(other_fault);
  EXPECT_THAT(end.said, testing::Not(testing::HasSubstr("was truncated")));
#if !AGON_SANITIZED
  ASSERT_TRUE(WIFSIGNALED(end.status)) << end.status;
  EXPECT_EQ(WTERMSIG(end.status), SIGBUS);
#endif
}

// What was mapped once and is no more is not ours either, and its place is taken again by the next file.
TEST(MappedFile, PlacesAreGivenBack) {
  const TempFolder folder;
  spill(folder / "a", std::string(100000, 'a'));
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(MappedFile::open(folder / "a"));
  spill(folder / "b", std::string(100000, 'b'));
  const End end = in_child([&] {
    (void)MappedFile::open(folder / "a");
    const auto map = MappedFile::open(folder / "b");
    if (!map || ::truncate((folder / "b").c_str(), 10) != 0) ::_exit(3);
    read_all(map->bytes());
  });
  EXPECT_EQ(end.said, "agon: " + (folder / "b") + ": was truncated while it was in use\n");
}

}  // namespace
}  // namespace agon
