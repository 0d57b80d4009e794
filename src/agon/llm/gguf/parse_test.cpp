// Malformed files: every lie that a header can tell, one at a time.
#include "agon/llm/gguf/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "agon/base/bytes.h"
#include "agon/llm/gguf/format.h"

namespace agon::gguf {
namespace {

using std::uint32_t;
using std::uint64_t;

std::string word32(uint32_t value) {
  ByteWriter out;
  out.put(value);
  return out.take();
}
std::string word64(uint64_t value) {
  ByteWriter out;
  out.put(value);
  return out.take();
}
std::string text(std::string_view letters) { return word64(letters.size()) + std::string(letters); }

std::string key(std::string_view name, uint32_t type, const std::string& value) {
  return text(name) + word32(type) + value;
}
std::string array(std::string_view name, uint32_t type, uint64_t count, const std::string& values) {
  return key(name, 9, word32(type) + word64(count) + values);
}
std::string tensor(std::string_view name, const std::vector<uint64_t>& shape, uint32_t type,
                   uint64_t offset) {
  std::string out = text(name) + word32(static_cast<uint32_t>(shape.size()));
  for (const uint64_t size : shape) out += word64(size);
  return out + word32(type) + word64(offset);
}

// A file from pieces, each as wrong as a test wants it.
struct Raw {
  std::string magic = "GGUF";
  uint32_t version = 3;
  std::vector<std::string> keys = {key("general.architecture", 8, text("llama"))};
  std::vector<std::string> tensors = {tensor("a", {8, 2}, 0, 0), tensor("b", {32}, 8, 64)};
  uint64_t tensor_count = 2, key_count = 1;
  std::size_t alignment = 32;
  std::size_t data = 64 + 34;

  [[nodiscard]] std::string bytes() const {
    std::string out = magic + word32(version) + word64(tensor_count) + word64(key_count);
    for (const std::string& k : keys) out += k;
    for (const std::string& t : tensors) out += t;
    out.resize((out.size() + alignment - 1) / alignment * alignment);
    out.resize(out.size() + data, 'x');
    return out;
  }
  void set_keys(std::vector<std::string> value) {
    keys = std::move(value);
    key_count = keys.size();
  }
  void set_tensors(std::vector<std::string> value) {
    tensors = std::move(value);
    tensor_count = tensors.size();
  }
};

Result<File> parse(const std::string& bytes) {
  return File::parse(std::as_bytes(std::span(bytes)), "m.gguf");
}

TEST(GgufParse, TakesTheFileThatTheTableSpoils) {
  for (const uint32_t version : {2, 3}) {
    Raw raw;
    raw.version = version;
    const std::string bytes = raw.bytes();
    const auto file = parse(bytes);
    ASSERT_TRUE(file) << file.error().to_string();
    EXPECT_EQ(file->version(), static_cast<int>(version));
    EXPECT_EQ(file->path(), "m.gguf");
    ASSERT_EQ(file->tensors().size(), 2u);
    EXPECT_EQ(file->tensors()[0].bytes.size(), 64u);
    EXPECT_EQ(file->tensors()[1].bytes.size(), 34u);
    EXPECT_EQ(file->tensors()[1].bytes.data(), file->tensors()[0].bytes.data() + 64);
  }
}

TEST(GgufParse, TakesWhatIsUnusualButRight) {
  const auto expect_good = [](const char* what, const Raw& raw) {
    const auto file = parse(raw.bytes());
    EXPECT_TRUE(file) << what << ": " << file.error().to_string();
  };
  Raw raw;
  raw.set_keys({});
  raw.set_tensors({});
  raw.data = 0;
  raw.alignment = 1;  // a vocabulary alone, without padding at the end
  expect_good("nothing in it", raw);

  raw = Raw();
  std::swap(raw.tensors[0], raw.tensors[1]);
  expect_good("tensors described in another order than they lie in", raw);

  raw = Raw();
  raw.data += 1000;
  expect_good("bytes after the last tensor", raw);

  raw = Raw();
  raw.set_tensors({tensor("a", {8, 2}, 0, 1024)});
  raw.data = 1024 + 64;
  expect_good("a gap", raw);

  raw = Raw();
  raw.set_keys({key("general.alignment", 4, word32(8)), array("none", 8, 0, ""),
                array("yes", 7, 2, std::string("\0\1", 2))});
  raw.set_tensors({tensor("a", {1, 1, 1, 3}, 0, 0), tensor("b", {1}, 1, 16)});
  raw.alignment = 8;
  raw.data = 16 + 2;
  expect_good("alignment 8, four dimensions, empty and boolean arrays", raw);

  raw = Raw();
  raw.set_keys({key("general.alignment", 4, word32(4096))});
  raw.set_tensors({tensor("a", {1}, 0, 4096)});
  raw.alignment = 4096;
  raw.data = 4100;
  expect_good("alignment 4096", raw);
}

TEST(GgufParse, CopiesBytesAtAnOddAddress) {
  const std::string bytes = Raw().bytes();
  std::vector<std::byte> shifted(bytes.size() + 17);
  for (const std::size_t shift : {1, 3, 8, 17}) {
    std::memcpy(shifted.data() + shift, bytes.data(), bytes.size());
    const auto file = File::parse(std::span(shifted).subspan(shift, bytes.size()), "m.gguf");
    ASSERT_TRUE(file);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file->tensors()[0].bytes.data()) % 16, 0u);
    EXPECT_EQ(file->tensors()[0].bytes[0], std::byte{'x'});
  }
}

struct Malformed {
  const char* what;
  std::function<void(Raw&)> spoil;
  const char* message;  ///< Part of the error.
};

const Malformed kMalformed[] = {
    // The first bytes.
    {"other letters", [](Raw& r) { r.magic = "GGML"; }, "is no GGUF model file (expected the letters GGUF"},
    {"older format", [](Raw& r) { r.magic = "tjgg"; }, "older GGML format"},
    {"gzip", [](Raw& r) { r.magic = "\x1f\x8b\x08\x08"; }, "compressed"},
    {"version 0", [](Raw& r) { r.version = 0; }, "version 0 (expected version 2 or 3)"},
    {"version 1", [](Raw& r) { r.version = 1; }, "version 1"},
    {"version 4", [](Raw& r) { r.version = 4; }, "version 4"},
    {"big-endian", [](Raw& r) { r.version = 0x03000000; }, "big-endian"},

    // Counts. The first three are what GHSA-3p4r-fq3f-q74v (CVE-2026-27940) made of the repair of
    // GHSA-vgg9-87g3-85w8 (CVE-2025-53630): (tensors + 1) times a size wrapped around.
    {"2^64-1 tensors", [](Raw& r) { r.tensor_count = UINT64_MAX; }, "tensors cannot fit"},
    {"2^63 tensors", [](Raw& r) { r.tensor_count = uint64_t{1} << 63; }, "tensors cannot fit"},
    {"tensors times 368 is 2^64", [](Raw& r) { r.tensor_count = UINT64_MAX / 368 + 1; },
     "tensors cannot fit"},
    {"2^64-1 keys", [](Raw& r) { r.key_count = UINT64_MAX; }, "metadata keys cannot fit"},
    {"one key too few", [](Raw& r) { r.key_count = 0; }, ""},
    {"one key too many", [](Raw& r) { r.key_count = 2; }, ""},
    {"one tensor too many", [](Raw& r) { r.tensor_count = 3; }, ""},
    {"more keys than anyone has",
     [](Raw& r) {
       r.key_count = 5000;
       r.data = 1 << 20;
     },
     "the file has 5000 metadata keys (expected at most 4096)"},
    {"more tensors than anyone has",
     [](Raw& r) {
       r.tensor_count = 70000;
       r.data = 1 << 22;
     },
     "the file has 70000 tensors (expected at most 65536)"},

    // Keys and strings.
    {"empty key", [](Raw& r) { r.set_keys({key("", 4, word32(1))}); }, "metadata key 1 has an empty name"},
    {"key twice", [](Raw& r) { r.set_keys({key("k", 4, word32(1)), key("k", 4, word32(1))}); },
     "'k' comes twice"},
    {"key of 2^64-1 bytes", [](Raw& r) { r.set_keys({word64(UINT64_MAX) + "k"}); }, "is said to have"},
    {"key of 2^63 bytes", [](Raw& r) { r.set_keys({word64(uint64_t{1} << 63) + "k"}); }, "is said to have"},
    {"key of 70,000 bytes", [](Raw& r) { r.set_keys({key(std::string(70000, 'k'), 4, word32(1))}); },
     "has 70000 bytes (expected at most 65535)"},
    {"string of 2^64-9 bytes", [](Raw& r) { r.set_keys({key("k", 8, word64(UINT64_MAX - 8))}); },
     "metadata key 'k' is said to have 18446744073709551607 bytes"},
    {"string of 17 MB", [](Raw& r) { r.set_keys({key("k", 8, text(std::string(17 << 20, ' ')))}); },
     "expected at most 16777216"},
    {"value type 13", [](Raw& r) { r.set_keys({key("k", 13, word32(1))}); },
     "has value type 13 (expected 0 to 12)"},
    {"value type 2^32-1", [](Raw& r) { r.set_keys({key("k", UINT32_MAX, word32(1))}); },
     "value type 4294967295"},
    {"boolean 2", [](Raw& r) { r.set_keys({key("k", 7, "\2")}); }, "holds 2 (expected a boolean"},
    {"unsigned beyond int64", [](Raw& r) { r.set_keys({key("k", 10, word64(uint64_t{1} << 63))}); },
     "holds 9223372036854775808 (expected at most 2^63-1)"},
    {"control characters in a name", [](Raw& r) { r.set_keys({key("k\x1b[31m\n", 13, "")}); },
     R"('k\x1b[31m\x0a')"},

    // Arrays.
    {"array of arrays", [](Raw& r) { r.set_keys({array("k", 9, 1, word32(4) + word64(1) + word32(1))}); },
     "is an array of arrays"},
    {"array of type 13", [](Raw& r) { r.set_keys({array("k", 13, 1, word32(1))}); },
     "array of value type 13"},
    {"array of 2^64-1", [](Raw& r) { r.set_keys({array("k", 0, UINT64_MAX, "")}); }, "cannot fit"},
    {"array of 2^62 words: times 4 is 0", [](Raw& r) { r.set_keys({array("k", 4, uint64_t{1} << 62, "")}); },
     "cannot fit"},
    {"array of 2^61 strings: times 8 is 0",
     [](Raw& r) { r.set_keys({array("k", 8, uint64_t{1} << 61, "")}); }, "cannot fit"},
    {"array of 17 million", [](Raw& r) { r.set_keys({array("k", 0, 17 << 20, std::string(17 << 20, 1))}); },
     "expected at most 16777216"},
    {"string in an array too long", [](Raw& r) { r.set_keys({array("k", 8, 1, word64(1 << 30))}); },
     "is said to have 1073741824 bytes"},
    {"boolean array with 7", [](Raw& r) { r.set_keys({array("k", 7, 1, "\7")}); }, "holds 7"},
    {"unsigned array beyond int64", [](Raw& r) { r.set_keys({array("k", 10, 1, word64(UINT64_MAX))}); },
     "holds 18446744073709551615"},

    // Alignment.
    {"alignment 0", [](Raw& r) { r.set_keys({key("general.alignment", 4, word32(0))}); }, "alignment is 0"},
    {"alignment 4", [](Raw& r) { r.set_keys({key("general.alignment", 4, word32(4))}); }, "alignment is 4"},
    {"alignment 24", [](Raw& r) { r.set_keys({key("general.alignment", 4, word32(24))}); },
     "alignment is 24 (expected a power of two"},
    {"alignment 2^31", [](Raw& r) { r.set_keys({key("general.alignment", 4, word32(1u << 31))}); },
     "alignment is 2147483648"},
    {"alignment as a string", [](Raw& r) { r.set_keys({key("general.alignment", 8, text("32"))}); },
     "'general.alignment' has value type 8 (expected 4"},
    {"alignment as 64 bits", [](Raw& r) { r.set_keys({key("general.alignment", 10, word64(32))}); },
     "'general.alignment' has value type 10"},
    {"alignment as an array", [](Raw& r) { r.set_keys({array("general.alignment", 4, 1, word32(32))}); },
     "'general.alignment' has value type 9"},

    // Tensors: names, dimensions, types.
    {"empty name", [](Raw& r) { r.set_tensors({tensor("", {8}, 0, 0)}); }, "tensor 1 has an empty name"},
    {"name of 65 bytes", [](Raw& r) { r.set_tensors({tensor(std::string(65, 'a'), {8}, 0, 0)}); },
     "has 65 bytes (expected at most 64)"},
    {"name twice", [](Raw& r) { r.set_tensors({tensor("a", {8}, 0, 0), tensor("a", {8}, 0, 32)}); },
     "tensor 'a' comes twice"},
    {"no dimensions", [](Raw& r) { r.set_tensors({tensor("a", {}, 0, 0)}); },
     "has 0 dimensions (expected 1 to 4)"},
    {"five dimensions", [](Raw& r) { r.set_tensors({tensor("a", {1, 1, 1, 1, 1}, 0, 0)}); },
     "has 5 dimensions"},
    {"2^32-1 dimensions", [](Raw& r) { r.set_tensors({text("a") + word32(UINT32_MAX)}); },
     "has 4294967295 dimensions"},
    {"a dimension of zero", [](Raw& r) { r.set_tensors({tensor("a", {8, 0}, 0, 0)}); },
     "dimension 2 of tensor 'a' is zero"},
    {"a negative dimension", [](Raw& r) { r.set_tensors({tensor("a", {uint64_t(-8)}, 0, 0)}); },
     "more than 2^48 elements"},
    {"format 4", [](Raw& r) { r.set_tensors({tensor("a", {32}, 4, 0)}); }, "has format 4 (Q4_2"},
    {"format 16", [](Raw& r) { r.set_tensors({tensor("a", {256}, 16, 0)}); }, "has format 16 (IQ2_XXS)"},
    {"format 26", [](Raw& r) { r.set_tensors({tensor("a", {8}, 26, 0)}); }, "has format 26 (I32)"},
    {"format 1000", [](Raw& r) { r.set_tensors({tensor("a", {8}, 1000, 0)}); },
     "has format 1000 (expected F32"},
    {"format -1", [](Raw& r) { r.set_tensors({tensor("a", {8}, UINT32_MAX, 0)}); }, "has format 4294967295"},
    {"half a block", [](Raw& r) { r.set_tensors({tensor("a", {48}, 8, 0)}); },
     "rows of 48 weights (expected a multiple of 32 for format Q8_0)"},
    {"rows that are no blocks, though the whole is",
     [](Raw& r) { r.set_tensors({tensor("a", {16, 2}, 8, 0)}); }, "rows of 16 weights"},

    // Sizes whose products wrap around: GHSA-vgg9-87g3-85w8 (the sum of sizes), GHSA-96jg-mvhq-q7q7
    // (CVE-2026-33298: weights times bytes), and padding that rounds 2^64-4 up to 0, which went round the
    // first repair.
    {"2^62 floats: bytes are 2^64", [](Raw& r) { r.set_tensors({tensor("a", {uint64_t{1} << 62}, 0, 0)}); },
     "more than 2^48 elements"},
    {"2^62-1 floats: padded to 2^64",
     [](Raw& r) { r.set_tensors({tensor("a", {UINT64_MAX / 4}, 0, 0), tensor("b", {8}, 0, 0)}); },
     "more than 2^48 elements"},
    {"2^32 by 2^32",
     [](Raw& r) { r.set_tensors({tensor("a", {uint64_t{1} << 32, uint64_t{1} << 32}, 0, 0)}); },
     "more than 2^48 elements"},
    {"a product that wraps around to 8",
     [](Raw& r) { r.set_tensors({tensor("a", {8, (uint64_t{1} << 61) + 1}, 0, 0)}); },
     "more than 2^48 elements"},
    {"four times 2^16", [](Raw& r) { r.set_tensors({tensor("a", {65536, 65536, 65536, 65536}, 8, 0)}); },
     "more than 2^48 elements"},
    {"a vocabulary of 2^42+1 rows of 1152",
     [](Raw& r) { r.set_tensors({tensor("a", {1152, (uint64_t{1} << 42) + 1}, 8, 0)}); },
     "more than 2^48 elements"},
    {"2^48 floats", [](Raw& r) { r.set_tensors({tensor("a", {uint64_t{1} << 48}, 0, 0)}); },
     "needs 1125899906842624 bytes"},
    {"two of 2^48 whose sum would matter",
     [](Raw& r) {
       r.set_tensors({tensor("a", {uint64_t{1} << 48}, 0, 0), tensor("b", {8}, 0, uint64_t{1} << 50)});
     },
     "is the file whole?"},

    // Places.
    {"offset 2^64-32", [](Raw& r) { r.set_tensors({tensor("a", {8}, 0, UINT64_MAX - 31)}); },
     "at offset 18446744073709551584"},
    {"offset that wraps around to 0 with the size",
     [](Raw& r) { r.set_tensors({tensor("a", {8}, 0, uint64_t(-32)), tensor("b", {8}, 0, 32)}); },
     "is the file whole?"},
    {"offset not aligned", [](Raw& r) { r.set_tensors({tensor("a", {8}, 0, 4)}); },
     "lies at offset 4 (expected a multiple of 32)"},
    {"a byte short", [](Raw& r) { r.data -= 1; },
     "tensor 'b' needs 34 bytes at offset 64 of the data, which has 97"},
    {"no data", [](Raw& r) { r.data = 0; }, "is the file whole?"},
    {"the same place", [](Raw& r) { r.set_tensors({tensor("a", {8, 2}, 0, 0), tensor("b", {32}, 8, 0)}); },
     "tensors 'a' and 'b' overlap"},
    {"half the same place",
     [](Raw& r) { r.set_tensors({tensor("a", {8, 2}, 0, 0), tensor("b", {32}, 8, 32)}); },
     "tensors 'a' and 'b' overlap"},
    {"one inside the other, after a third",
     [](Raw& r) {
       r.set_tensors({tensor("c", {8}, 0, 32), tensor("b", {8}, 0, 64), tensor("a", {8, 3}, 0, 0)});
     },
     "tensors 'a' and 'c' overlap"},
};

TEST(GgufParse, EveryMalformedFileIsRefusedByName) {
  for (const Malformed& row : kMalformed) {
    Raw raw;
    row.spoil(raw);
    const auto file = parse(raw.bytes());
    ASSERT_FALSE(file) << row.what;
    const std::string message = file.error().to_string();
    EXPECT_THAT(message, testing::StartsWith("m.gguf: byte ")) << row.what;
    EXPECT_THAT(message, testing::HasSubstr(row.message)) << row.what;
  }
}

TEST(GgufParse, EveryCutIsRefused) {
  const std::string whole = Raw().bytes();
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(parse(whole.substr(0, size))) << size;
}

TEST(GgufParse, MetadataThatWouldNotFitIntoMemoryIsRefused) {
  // 2^24 empty strings are 128 MiB in the file and 512 MiB as strings; the next array is too much.
  Raw raw;
  raw.set_keys({array("a", 8, 1 << 20, std::string(8 << 20, '\0')), array("b", 8, kMaxArray, "")});
  raw.data = 140 << 20;
  const auto file = parse(raw.bytes());
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().to_string(), testing::HasSubstr("the metadata is too large"));
}

TEST(GgufParse, NamesAreShownWithoutControlCharacters) {
  EXPECT_EQ(printable("blk.0.attn_q.weight"), "blk.0.attn_q.weight");
  EXPECT_EQ(printable("a\x1b\x7f\\\xc3\xa9"), R"(a\x1b\x7f\x5c\xc3\xa9)");
  EXPECT_EQ(printable(std::string(81, 'a')), std::string(80, 'a') + "...");
}

}  // namespace
}  // namespace agon::gguf
