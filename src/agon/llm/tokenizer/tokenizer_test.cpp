#include "agon/llm/tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "agon/base/file.h"
#include "agon/base/random.h"
#include "agon/llm/tokenizer/utf8_stream.h"
#include "agon/text/utf8.h"

namespace agon::llm {
namespace {

using nlohmann::json;
using Tokens = std::vector<Token>;

std::string data_file(const std::string& name) { return std::string(AGON_TEST_DATA) + "/tokenizer/" + name; }

gguf::Metadata metadata_of(const std::string& name) {
  auto file = gguf::File::open(data_file(name));
  if (!file) throw std::runtime_error(file.error().to_string());
  return file->metadata();
}

std::unique_ptr<Tokenizer> read(const gguf::Metadata& metadata) {
  auto tokenizer = Tokenizer::read(metadata);
  if (!tokenizer) throw std::runtime_error(tokenizer.error().to_string());
  return std::move(*tokenizer);
}

gguf::Metadata changed(gguf::Metadata metadata, const std::string& key, gguf::Value value) {
  gguf::Metadata copy;
  for (auto& [name, old] : metadata.entries())
    if (name != key) copy.set(name, old);
  copy.set(key, std::move(value));
  return copy;
}

/// A byte-level vocabulary: the letters a to e, some merges.
gguf::Metadata tiny() {
  gguf::Metadata metadata;
  metadata.set("tokenizer.ggml.model", std::string("gpt2"));
  metadata.set("tokenizer.ggml.pre", std::string("gpt-2"));
  metadata.set("tokenizer.ggml.tokens", gguf::Strings{"a", "b", "c", "d", "e", "ab", "cd", "abcd", "<x>"});
  metadata.set("tokenizer.ggml.token_type", gguf::Integers{1, 1, 1, 1, 1, 1, 1, 1, 3});
  metadata.set("tokenizer.ggml.merges", gguf::Strings{"a b", "c d", "ab cd"});
  return metadata;
}

// Small vocabularies, and llama-cpp-python's tokens for the same files (scripts/make_tokenizer_golden.py).
class Golden : public testing::TestWithParam<std::string> {
 protected:
  static const json& golden() {
    static const json all = json::parse(*read_file(data_file("tokens.json.gz")));
    return all;
  }
  static std::vector<std::string> texts() {
    std::vector<std::string> list;
    for (const json& text : golden()["texts"]) {
      std::string bytes;
      if (text.is_string())
        bytes = text;
      else
        for (const int byte : text) bytes.push_back(char(byte));
      list.push_back(bytes);
    }
    return list;
  }
  static std::unique_ptr<Tokenizer> tokenizer(const std::string& name) {
    const std::map<std::string, std::string> files = {
        {"llama", "sentencepiece.gguf"}, {"t5", "unigram.gguf"}, {"bert", "wordpiece.gguf"}};
    if (files.contains(name)) return read(metadata_of(files.at(name)));
    return read(changed(metadata_of("byte_bpe.gguf"), "tokenizer.ggml.pre", name.substr(name.find('/') + 1)));
  }
};

TEST_P(Golden, TokensOfThePeer) {
  const auto tokenizer = this->tokenizer(GetParam());
  EXPECT_EQ(tokenizer->name(), GetParam());
  const json& expected = golden()["tokens"][GetParam()];
  std::size_t i = 0, tokens = 0;
  for (const std::string& text : texts()) {
    const Tokens plain = tokenizer->encode(text, {.add_special = false});
    EXPECT_EQ(plain, expected["plain"][i].get<Tokens>())
        << json(text).dump(-1, ' ', true, json::error_handler_t::replace);
    EXPECT_EQ(tokenizer->encode(text, {.add_special = true, .parse_special = true}),
              expected["special"][i].get<Tokens>())
        << json(text).dump(-1, ' ', true, json::error_handler_t::replace);
    tokens += plain.size();
    ++i;
  }
  EXPECT_GT(i, 200u);
  EXPECT_GT(tokens, 4000u);
}

// The cache of words must not change tokens: a text has the same in a new tokenizer, in one that has seen all
// others, and on many threads at once.
TEST_P(Golden, TokensDoNotDependOnWhatCameBefore) {
  const auto used = tokenizer(GetParam());
  const std::vector<std::string> all = texts();
  std::vector<Tokens> expected;
  for (const std::string& text : all) expected.push_back(tokenizer(GetParam())->encode(text.substr(0, 60)));
  std::vector<std::thread> threads;
  std::array<int, 4> wrong{};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int round = 0; round < 3; ++round)
        for (std::size_t i = 0; i < all.size(); ++i)
          wrong[t] += used->encode(all[i].substr(0, 60)) != expected[i];
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, (std::array<int, 4>{}));
}

// A long word takes another road than a short one; and a text of many copies must be tokens of the same
// kind, in time that grows with its length (this would take hours if it did not).
TEST_P(Golden, LongWords) {
  const auto tokenizer = this->tokenizer(GetParam());
  Random random(3);
  std::string word;
  for (int i = 0; i < 100'000; ++i) word.push_back(char('a' + random.below(26)));
  const Tokens tokens = tokenizer->encode(word, {.add_special = false});
  EXPECT_GE(tokens.size(), 1u);
  EXPECT_TRUE(GetParam() == "bert" || tokenizer->decode(tokens) == word);
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, Golden,
                         testing::Values("gpt2/default", "gpt2/gpt-2", "gpt2/smollm", "gpt2/llama-bpe",
                                         "gpt2/dbrx", "gpt2/qwen2", "gpt2/qwen35", "gpt2/falcon",
                                         "gpt2/tekken", "gpt2/gpt-4o", "llama", "t5", "bert"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::erase_if(name, [](char c) { return !std::isalnum(c); });
                           return name;
                         });

// Bytes that a vocabulary can hold come back as they were: all of valid UTF-8 for byte-level vocabularies and
// for SentencePiece with byte tokens.
TEST(Tokenizer, RoundTrip) {
  Random random(5);
  for (const char* name : {"byte_bpe.gguf", "sentencepiece.gguf"}) {
    const auto tokenizer = read(metadata_of(name));
    for (int round = 0; round < 300; ++round) {
      std::string text;
      const char32_t limit = round % 3 == 0 ? 0x80 : round % 3 == 1 ? 0x3000 : 0x110000;
      for (std::uint64_t i = random.below(80); i > 0; --i) append_utf8(text, char32_t(random.below(limit)));
      if (std::string_view(name) == "sentencepiece.gguf" && text.find("\u2581") != std::string::npos)
        continue;
      for (const bool add : {false, true})
        EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, {.add_special = add})), text);
    }
  }
}

TEST(Tokenizer, MergesByRankAndLeftmostFirst) {
  const auto tokenizer = read(tiny());
  const auto encode = [&](std::string_view text) { return tokenizer->encode(text, {.add_special = false}); };
  EXPECT_EQ(encode("abcd"), (Tokens{7}));
  EXPECT_EQ(encode("aabcd"), (Tokens{0, 7}));
  EXPECT_EQ(encode("abab"), (Tokens{5, 5}));
  EXPECT_EQ(encode("abcde"), (Tokens{7, 4}));
  EXPECT_EQ(encode(""), Tokens{});
  EXPECT_EQ(encode("<x>"), Tokens{});  // no token for these bytes, as the peer has it
  EXPECT_EQ(tokenizer->encode("a<x>b", {.add_special = false, .parse_special = true}), (Tokens{0, 8, 1}));
  EXPECT_EQ(tokenizer->piece(8), "");
  EXPECT_EQ(tokenizer->piece(8, true), "<x>");
  EXPECT_EQ(tokenizer->decode(Tokens{0, 8, 1}, true), "a<x>b");
  EXPECT_EQ(tokenizer->find("abcd"), 7);
  EXPECT_EQ(tokenizer->find("nothing"), kNoToken);
  EXPECT_EQ(tokenizer->decode(Tokens{-1, 0, 1000}), "a");
}

TEST(Tokenizer, SpecialTokens) {
  const auto bpe = read(metadata_of("byte_bpe.gguf"));
  EXPECT_EQ(bpe->special().bos, 1);
  EXPECT_EQ(bpe->special().eos, 2);
  EXPECT_EQ(bpe->special().eot, 2);  // <|im_end|>
  EXPECT_EQ(bpe->special().end_of_generation, (Tokens{0, 2}));
  EXPECT_FALSE(bpe->special().add_bos);
  EXPECT_EQ(bpe->encode("a"), bpe->encode("a", {.add_special = false}));
  const auto llama3 =
      read(changed(metadata_of("byte_bpe.gguf"), "tokenizer.ggml.pre", std::string("llama-bpe")));
  EXPECT_TRUE(llama3->special().add_bos);
  EXPECT_EQ(llama3->encode("a").front(), 1);
  // The file has the last word.
  const auto told =
      read(changed(changed(metadata_of("byte_bpe.gguf"), "tokenizer.ggml.pre", std::string("llama-bpe")),
                   "tokenizer.ggml.add_bos_token", false));
  EXPECT_FALSE(told->special().add_bos);
}

TEST(Tokenizer, AbsurdVocabulariesAreErrorsOrHarmless) {
  const auto error_of = [](const gguf::Metadata& metadata) {
    const auto tokenizer = Tokenizer::read(metadata);
    return tokenizer ? "accepted" : tokenizer.error().to_string();
  };
  const auto expect_error = [&](const char* key, gguf::Value value, const char* part) {
    EXPECT_NE(error_of(changed(tiny(), key, std::move(value))).find(part), std::string::npos)
        << error_of(changed(tiny(), key, value));
  };
  EXPECT_EQ(error_of(tiny()), "accepted");
  EXPECT_NE(error_of(gguf::Metadata()).find("tokenizer.ggml.model"), std::string::npos);
  expect_error("tokenizer.ggml.model", std::string("rwkv"), "'rwkv'");
  expect_error("tokenizer.ggml.model", std::int64_t{3}, "tokenizer.ggml.model");
  expect_error("tokenizer.ggml.pre", std::string("deepseek-v9"), "'deepseek-v9'");
  expect_error("tokenizer.ggml.tokens", gguf::Strings{}, "0 tokens");
  expect_error("tokenizer.ggml.tokens", std::string("a"), "no list of tokens");
  expect_error("tokenizer.ggml.tokens", gguf::Strings{"a", "b", "a"}, "tokens 0 and 2 are the same");
  expect_error("tokenizer.ggml.tokens", gguf::Strings{std::string(100'000, 'a')}, "100000 bytes");
  expect_error("tokenizer.ggml.token_type", gguf::Integers{1, 1}, "2 types for 9 tokens");
  expect_error("tokenizer.ggml.token_type", gguf::Reals{1, 1}, "token_type");
  expect_error("tokenizer.ggml.scores", gguf::Reals{1, 1}, "2 scores for 9 tokens");
  expect_error("tokenizer.ggml.scores", gguf::Reals(9, std::nan("")), "the score of token");
  expect_error("tokenizer.ggml.merges", std::string("a b"), "tokenizer.ggml.merges");
  expect_error("tokenizer.ggml.add_bos_token", std::string("yes"), "add_bos_token");

  // Harmless: ids past the end, types nobody knows, merges of nothing, of unknown parts, twice the same.
  const auto with = [&](const char* key, gguf::Value value) {
    return read(changed(tiny(), key, std::move(value)));
  };
  for (const std::int64_t id : {std::int64_t{9}, std::int64_t{4294967295}, std::int64_t{-5}}) {
    const auto tokenizer = read(
        changed(changed(tiny(), "tokenizer.ggml.bos_token_id", id), "tokenizer.ggml.add_bos_token", true));
    EXPECT_EQ(tokenizer->special().bos, kNoToken);
    EXPECT_EQ(tokenizer->encode("ab"), (Tokens{5}));
  }
  EXPECT_EQ(with("tokenizer.ggml.token_type", gguf::Integers(9, 77))->piece(0), "");
  const auto odd =
      with("tokenizer.ggml.merges", gguf::Strings{"", " ", "a", "a ", "zz yy", "a b", "a b", "b a", "ba b"});
  EXPECT_EQ(odd->encode("abab"), (Tokens{5, 5}));
  EXPECT_EQ(odd->encode("bab"), (Tokens{1, 5}));
  // An empty token takes a name of its own.
  EXPECT_EQ(with("tokenizer.ggml.tokens", gguf::Strings{"a", "", "b", "c", "d", "e", "f", "g", "h"})
                ->find("[EMPTY_1]"),
            1);
  // A special token that is too long to look for everywhere.
  gguf::Strings tokens{std::string(2000, 'a')};
  EXPECT_NE(error_of(changed(changed(tiny(), "tokenizer.ggml.tokens", tokens), "tokenizer.ggml.token_type",
                             gguf::Integers{3}))
                .find("special token 0"),
            std::string::npos);
}

TEST(Tokenizer, RefusesScoresThatNoSumCanHold) {
  const gguf::Metadata metadata = metadata_of("unigram.gguf");
  for (const double score : {-HUGE_VAL, HUGE_VAL, 1e39, std::nan("")}) {
    gguf::Reals scores = *metadata.reals("tokenizer.ggml.scores");
    scores[5] = score;
    const auto refused = Tokenizer::read(changed(metadata, "tokenizer.ggml.scores", scores));
    ASSERT_FALSE(refused) << score;
    EXPECT_NE(refused.error().to_string().find("the score of token 5 is"), std::string::npos);
  }
}

TEST(Tokenizer, SentencePieceWithoutByteTokens) {
  gguf::Metadata metadata;
  metadata.set("tokenizer.ggml.model", std::string("llama"));
  metadata.set("tokenizer.ggml.tokens", gguf::Strings{"<unk>", "\u2581", "a", "\u2581a"});
  metadata.set("tokenizer.ggml.token_type", gguf::Integers{2, 1, 1, 1});
  const auto tokenizer = read(metadata);
  EXPECT_EQ(tokenizer->encode("a\u00e9", {.add_special = false}), (Tokens{3, 0, 0}));
  EXPECT_EQ(tokenizer->encode("a a", {.add_special = false}), (Tokens{3, 3}));
}

TEST(Tokenizer, LongestSpecialTokenFirstThenFromTheLeft) {
  gguf::Metadata metadata = changed(tiny(), "tokenizer.ggml.tokens",
                                    gguf::Strings{"a", "b", "c", "d", "e", "aab", "bcde", "ee", "<x>"});
  metadata = changed(metadata, "tokenizer.ggml.token_type", gguf::Integers{1, 1, 1, 1, 1, 4, 4, 4, 3});
  const auto tokenizer = read(metadata);
  // "aab" begins further left, but "bcde" is longer and takes its place first.
  EXPECT_EQ(tokenizer->encode("aabcdee", {.add_special = false}), (Tokens{0, 0, 6, 4}));
  EXPECT_EQ(tokenizer->encode("aabee", {.add_special = false}), (Tokens{5, 7}));
  EXPECT_EQ(tokenizer->encode("eee", {.add_special = false}), (Tokens{7, 4}));
}

TEST(Tokenizer, CharsmapIsChecked) {
  const gguf::Metadata metadata = metadata_of("unigram.gguf");
  const char* key = "tokenizer.ggml.precompiled_charsmap";
  const gguf::Integers whole = *metadata.integers(key);
  EXPECT_GT(whole.size(), 100u);
  for (const std::size_t cut :
       {std::size_t{1}, std::size_t{3}, std::size_t{8}, whole.size() / 2, whole.size() - 1}) {
    const gguf::Integers part(whole.begin(), whole.begin() + std::ptrdiff_t(cut));
    const auto made = Tokenizer::read(changed(metadata, key, part));
    EXPECT_TRUE(made ? !(*made)->encode("text").empty()
                     : made.error().to_string().find(key) != std::string::npos);
  }
  gguf::Integers wrong = whole;
  wrong[5] = 300;
  EXPECT_FALSE(Tokenizer::read(changed(metadata, key, wrong)));
  Random random(11);
  for (int round = 0; round < 300; ++round) {  // whatever the bytes, no walk leaves the array
    gguf::Integers noise = whole;
    for (int i = 0; i < 20; ++i) noise[random.below(noise.size())] = std::int64_t(random.below(256));
    if (const auto tokenizer = Tokenizer::read(changed(metadata, key, noise)))
      (void)(*tokenizer)->encode("ＡＢＣ ﬁ e\u0301a\u0308 A\u0308\u0304 ½ text \u2028\u00a0");
  }
}

TEST(Utf8Stream, HoldsBackCutCharacters) {
  const std::string text = "a\u00e9\u4f60\U0001F600z";
  for (std::size_t first = 0; first <= text.size(); ++first)
    for (std::size_t second = first; second <= text.size(); ++second) {
      Utf8Stream stream;
      std::string out;
      for (const std::string& part :
           {text.substr(0, first), text.substr(first, second - first), text.substr(second)}) {
        const std::string whole = stream.push(part);
        EXPECT_TRUE(is_valid_utf8(whole));
        out += whole;
      }
      EXPECT_FALSE(stream.holds());
      EXPECT_EQ(out, text);
    }
}

TEST(Utf8Stream, LosesNothingOfInvalidBytes) {
  Random random(2);
  for (int round = 0; round < 2000; ++round) {
    std::string text, out;
    const std::string alphabet = "a\x80\xbf\xc3\xa9\xe0\xa0\xed\xf0\x90\xf4\x8f\xff";
    for (int i = 0; i < 12; ++i) text.push_back(alphabet[random.below(alphabet.size())]);
    Utf8Stream stream;
    for (const char c : text) {
      out += stream.push(std::string(1, c));
      EXPECT_LE(text.size() - out.size(), text.size());
    }
    const std::string held = stream.flush();
    EXPECT_LT(held.size(), 4u);
    EXPECT_EQ(out + held, text);
  }
  Utf8Stream stream;
  EXPECT_EQ(stream.push("\x80"), "\x80");
  EXPECT_EQ(stream.push("\xc0"), "\xc0");  // begins no character
  EXPECT_EQ(stream.push("\xe2\x82"), "");
  EXPECT_EQ(stream.push("x"), "\xe2\x82x");
}

}  // namespace
}  // namespace agon::llm
