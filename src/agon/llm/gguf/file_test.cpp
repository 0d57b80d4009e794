// Well-formed files, read as they were written by another program; metadata look-ups.
#include "agon/llm/gguf/file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <climits>
#include <span>
#include <vector>

namespace agon::gguf {
namespace {

Result<File> golden() { return File::open(AGON_TEST_DATA "/gguf/golden.gguf"); }

TEST(GgufFile, ReadsMetadataOfEveryTypeAsThePythonPackageWroteIt) {
  const auto file = golden();
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_EQ(file->version(), 3);
  EXPECT_EQ(file->size(), 21792u);
  const Metadata& m = file->metadata();
  EXPECT_EQ(m.string("general.architecture").value(), "golden");
  EXPECT_EQ(m.integer("test.u8").value(), 250);
  EXPECT_EQ(m.integer("test.i8").value(), -3);
  EXPECT_EQ(m.integer("test.u16").value(), 65000);
  EXPECT_EQ(m.integer("test.i16").value(), -300);
  EXPECT_EQ(m.integer("test.u32").value(), 4000000000);
  EXPECT_EQ(m.integer("test.i32").value(), -70000);
  EXPECT_EQ(m.integer("test.u64").value(), INT64_MAX);
  EXPECT_EQ(m.integer("test.i64").value(), INT64_MIN);
  EXPECT_EQ(m.real("test.f32").value(), static_cast<double>(0.1f));
  EXPECT_EQ(m.real("test.f64").value(), 0.1);
  EXPECT_EQ(m.real("test.i8").value(), -3.0);
  EXPECT_EQ(m.boolean("test.yes").value(), true);
  EXPECT_EQ(m.string("test.text").value(), "Gr\u00fc\u00dfe");
  ASSERT_NE(m.integers("test.integers"), nullptr);
  EXPECT_EQ(*m.integers("test.integers"), (Integers{1, -2, 3}));
  ASSERT_NE(m.reals("test.reals"), nullptr);
  EXPECT_EQ(*m.reals("test.reals"), (Reals{0.5, -2}));
  ASSERT_NE(m.strings("test.strings"), nullptr);
  EXPECT_EQ(*m.strings("test.strings"), (Strings{"a", "", "\u2581c"}));
  EXPECT_EQ(m.entries().front().first, "general.architecture");
}

TEST(GgufFile, FindsTensors) {
  const auto file = golden();
  ASSERT_TRUE(file);
  const Tensor* tensor = file->find("Q4_K");
  ASSERT_NE(tensor, nullptr);
  EXPECT_EQ(tensor->columns(), 256u);
  EXPECT_EQ(tensor->rows(), 2u);
  EXPECT_EQ(tensor->elements(), 512u);
  EXPECT_EQ(tensor->bytes.size(), 288u);
  EXPECT_EQ(file->find("Q4_k"), nullptr);
  EXPECT_EQ(file->find(""), nullptr);
  EXPECT_TRUE(file->check_not_truncated());
  const std::byte before = tensor->bytes[17];
  file->drop_pages(tensor->bytes);
  EXPECT_EQ(tensor->bytes[17], before);
  std::vector<std::byte> read(100);
  file->read(std::span(tensor->bytes).subspan(17, 100), read);
  EXPECT_TRUE(std::ranges::equal(read, std::span(tensor->bytes).subspan(17, 100)));
}

TEST(GgufFile, TensorsOutliveAMove) {
  auto file = golden();
  ASSERT_TRUE(file);
  const Tensor* tensor = file->find("Q6_K");
  const File moved = std::move(*file);
  EXPECT_EQ(moved.find("Q6_K"), tensor);
  EXPECT_EQ(tensor->name, "Q6_K");
}

TEST(GgufMetadata, ErrorsNameTheKeyAndWhatWasExpected) {
  Metadata m;
  m.set("count", std::int64_t{3});
  m.set("words", Strings{"a"});
  EXPECT_EQ(m.integer("size").error().to_string(), "metadata key 'size' is missing (expected an integer)");
  EXPECT_EQ(m.string("count").error().to_string(), "metadata key 'count' is an integer (expected a string)");
  EXPECT_EQ(m.real("words").error().to_string(),
            "metadata key 'words' is an array of strings (expected a number)");
  EXPECT_EQ(m.integer_or("size", 7).value(), 7);
  EXPECT_EQ(m.integer_or("count", 7).value(), 3);
  EXPECT_EQ(m.real_or("count", 7).value(), 3.0);
  EXPECT_EQ(m.string_or("size", "x").value(), "x");
  EXPECT_EQ(m.boolean_or("size", true).value(), true);
  EXPECT_FALSE(m.boolean_or("count", true));  // of the wrong type
  EXPECT_EQ(m.strings("count"), nullptr);
  EXPECT_EQ(m.integers("words"), nullptr);
  EXPECT_EQ(m.reals("nothing"), nullptr);
}

TEST(GgufMetadata, SetReplacesInPlace) {
  Metadata m;
  m.set("a", std::int64_t{1});
  m.set("b", true);
  m.set("a", std::string("x"));
  ASSERT_EQ(m.entries().size(), 2u);
  EXPECT_EQ(m.entries()[0].first, "a");
  EXPECT_EQ(m.string("a").value(), "x");
}

}  // namespace
}  // namespace agon::gguf
