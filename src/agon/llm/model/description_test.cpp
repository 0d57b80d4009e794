#include "agon/llm/model/description.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "agon/llm/gguf/random_model.h"
#include "agon/llm/model/kv_cache.h"
#include "agon/llm/model/weights.h"

namespace agon::llm {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Key;
using testing::Not;
using testing::Pair;

struct Made {
  std::vector<std::byte> bytes;
  gguf::File file;
};

Made made(const gguf::RandomModelOptions& options) {
  std::vector<std::byte> bytes = gguf::random_model(options).value().bytes();
  auto file = gguf::File::parse(bytes, "m.gguf");
  EXPECT_TRUE(file);
  return {std::move(bytes), std::move(*file)};
}

TEST(Description, SaysWhatTheModelIs) {
  const Made m = made({.architecture = "qwen3",
                       .layers = 3,
                       .embedding = 256,
                       .heads = 8,
                       .kv_heads = 2,
                       .key_length = 64,
                       .feed_forward = 512,
                       .vocabulary = 1000,
                       .tied = false,
                       .rope_theta = 1e6,
                       .format = "Q4_K"});
  const Description d = describe(m.file);
  EXPECT_THAT(d.facts, Contains(Pair("architecture", "qwen3")));
  EXPECT_THAT(d.facts, Contains(Pair("layers", "3")));
  EXPECT_THAT(d.facts, Contains(Pair("heads", "8, sharing keys and values of 2; 64 numbers each")));
  EXPECT_THAT(d.facts, Contains(Pair("vocabulary", "1,000")));
  EXPECT_THAT(d.facts, Contains(Pair("rope", "theta 1,000,000, 64 dimensions")));
  EXPECT_THAT(d.facts,
              Contains(Pair("tokenizer", "llama, 1,000 tokens, begins with 1 <s>, ends with 2 </s>")));
  EXPECT_THAT(d.facts, Not(Contains(Key("window"))));
  EXPECT_THAT(d.facts, Not(Contains(Key("runs here"))));

  // Matrices: two of 1000 by 256, and in each layer 256 by 512 twice, 256 by 128 twice, 256 by 512 three
  // times.
  const std::uint64_t matrices = 2 * 256000 + 3 * (5 * 131072 + 2 * 32768);
  // Vectors: one norm of 256, and in each layer two of those and two of 64.
  const std::uint64_t vectors = 256 + 3 * (2 * 256 + 2 * 64);
  ASSERT_EQ(d.formats.size(), 2u);
  EXPECT_EQ(d.formats[0].type, gguf::TensorType::kQ4_K);
  EXPECT_EQ(d.formats[0].tensors, 2u + 3 * 7);
  EXPECT_EQ(d.formats[0].parameters, matrices);
  EXPECT_EQ(d.formats[0].bytes, matrices / 256 * 144);
  EXPECT_EQ(d.formats[1].parameters, vectors);
  EXPECT_THAT(d.facts, Contains(Pair("parameters", "2,676,864")));
  EXPECT_EQ(matrices + vectors, 2676864u + 0u);
}

TEST(Description, CacheIsAsLargeAsTheEngineMakesIt) {
  for (const char* architecture : {"llama", "gemma3"})
    for (const int key_length : {8, 16, 40, 64}) {  // some are filled up to a multiple of 16
      const Made m =
          made({.architecture = architecture, .layers = 7, .key_length = key_length, .window = 100});
      const auto config = ModelConfig::read(m.file);
      ASSERT_TRUE(config) << config.error().to_string();
      const auto cache = KvCache::create(*config, CacheType::kF16, 320);
      ASSERT_TRUE(cache);
      EXPECT_EQ(cache_bytes(*config, 320).all, cache->token_bytes() * 320);
      std::uint64_t seen = 0;
      for (const LayerConfig& layer : config->layers) seen += layer.window == 0 ? 320 : 100;
      EXPECT_EQ(cache_bytes(*config, 320).seen, cache->token_bytes() / 7 * seen);
      EXPECT_EQ(cache_bytes(*config, 320, 4).all, 2 * cache->token_bytes() * 320);
      EXPECT_EQ(cache_bytes(*config, 60).seen, cache_bytes(*config, 60).all);
    }
}

TEST(Description, MemoryIsForTheContextAskedFor) {
  const Made m =
      made({.layers = 2, .embedding = 64, .heads = 4, .kv_heads = 2, .context = 1024, .format = "Q8_0"});
  // Where no product rounds its activations, neither does the cache.
  const Made floats = made({.layers = 2, .embedding = 64, .heads = 4, .kv_heads = 2, .context = 1024});
  EXPECT_THAT(describe(floats.file).memory,
              Contains(Pair("keys and values of 1,024 tokens, F32", "512.0 KiB")));
  // 2 layers, 2 heads, keys and values of 16 numbers of 2 bytes: 256 bytes a token.
  EXPECT_THAT(describe(m.file).memory, Contains(Pair("keys and values of 1,024 tokens, F16", "256.0 KiB")));
  EXPECT_THAT(describe(m.file, 100).memory, Contains(Pair("keys and values of 100 tokens, F16", "25.0 KiB")));
  EXPECT_THAT(describe(m.file, 100).memory, Not(Contains(Key("note"))));
  EXPECT_THAT(describe(m.file, 2000).memory, Contains(Pair("note", HasSubstr("1,024 tokens"))));
}

TEST(Description, WhatCannotRunIsDescribedAllTheSame) {
  gguf::Writer writer;
  writer.metadata.set("general.architecture", std::string("mamba\x1b[31m"));
  writer.metadata.set("general.name", std::string(1 << 20, 'n'));
  writer.add("a", gguf::TensorType::kF16, {3}, std::vector<std::byte>(6));
  const std::vector<std::byte> bytes = writer.bytes();
  const auto file = gguf::File::parse(bytes, "m.gguf");
  ASSERT_TRUE(file);
  const Description d = describe(*file);
  EXPECT_THAT(d.facts, Contains(Pair("runs here", HasSubstr("no: architecture"))));
  EXPECT_THAT(d.facts, Contains(Pair("tokenizer", "none in the file")));
  EXPECT_TRUE(d.memory.empty());
  const std::string text = description_text(d, "m.gguf", {});
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_LT(text.size(), 4000u);

  // A missing tensor is named.
  Made whole = made({});
  gguf::Writer part;
  part.metadata = whole.file.metadata();
  for (const gguf::Tensor& t : whole.file.tensors())
    if (t.name != "blk.1.ffn_up.weight")
      part.add(t.name, t.type, t.shape, std::vector<std::byte>(t.bytes.begin(), t.bytes.end()));
  const std::vector<std::byte> part_bytes = part.bytes();
  const auto part_file = gguf::File::parse(part_bytes, "m.gguf");
  EXPECT_THAT(describe(*part_file).facts, Contains(Pair("runs here", HasSubstr("blk.1.ffn_up.weight"))));
}

TEST(Description, CountsTheScreenOfTheVocabularyWhereThereIsOne) {
  const auto memory_of = [](const std::string& architecture, const std::string& output, bool tied) {
    gguf::Writer writer = gguf::random_model({.architecture = architecture,
                                              .embedding = 256,
                                              .vocabulary = 4109,
                                              .tied = tied,
                                              .format = "Q4_0",
                                              .embedding_format = output})
                              .value();
    const std::vector<std::byte> bytes = writer.bytes();
    const auto file = gguf::File::parse(bytes, "m.gguf");
    Team team(1);
    const auto weights = Weights::load(*file, team).value();
    const auto memory = describe(*file).memory;
    const auto found = std::ranges::find(memory, "four bits of each word's weights, for greedy text",
                                         &std::pair<std::string, std::string>::first);
    EXPECT_EQ(found != memory.end(), weights->screen_bytes() > 0) << architecture << output << tied;
    return found == memory.end() ? std::string() : found->second;
  };
  // 256 panels of 8 blocks of 288 bytes.
  EXPECT_EQ(memory_of("llama", "Q8_0", true), "576.0 KiB");
  EXPECT_EQ(memory_of("llama", "Q8_0", false), "576.0 KiB");
  EXPECT_EQ(memory_of("llama", "Q4_0", true), "");
  EXPECT_EQ(memory_of("llama", "F16", true), "");
  EXPECT_EQ(memory_of("gemma2", "Q8_0", true), "");
}

TEST(Description, ABrokenTokenizerOrTemplateIsNamed) {
  const auto facts_of = [](const std::string& key, const gguf::Value& value) {
    gguf::Writer writer = gguf::random_model({.layers = 1}).value();
    writer.metadata.set(key, value);
    const std::vector<std::byte> bytes = writer.bytes();
    return describe(*gguf::File::parse(bytes, "m.gguf"));
  };
  Description d = facts_of("tokenizer.ggml.model", std::string("rwkv\x1b"));
  EXPECT_THAT(d.facts, Contains(Pair("tokenizer", HasSubstr("it cannot be read: "))));
  EXPECT_THAT(d.facts, Contains(Pair("runs here", HasSubstr("no: "))));
  EXPECT_THAT(d.facts, Contains(Pair("layers", "1")));
  EXPECT_THAT(d.memory, Contains(Key("weights")));
  EXPECT_EQ(description_text(d, "m.gguf", {}).find('\x1b'), std::string::npos);
  d = facts_of("tokenizer.ggml.scores", gguf::Reals{1});
  EXPECT_THAT(d.facts, Contains(Pair("runs here", HasSubstr("no: "))));

  d = facts_of("tokenizer.chat_template", std::string("{{ secrets }}"));
  EXPECT_THAT(d.facts, Contains(Pair("chat template", HasSubstr("13 bytes in the file; not to be used: "))));
  EXPECT_THAT(d.facts, Not(Contains(Key("runs here"))));
  d = facts_of("tokenizer.chat_template", std::int64_t{7});
  EXPECT_THAT(d.facts, Contains(Pair("chat template", HasSubstr("is an integer"))));
  d = facts_of(
      "tokenizer.chat_template",
      std::string("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
                  "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ "
                  "'<|im_start|>assistant\n' }}{% endif %}"));
  EXPECT_THAT(d.facts, Contains(Pair("chat template", HasSubstr("chatml, "))));
}

TEST(Description, TextIsThreeTables) {
  const Made m = made({.architecture = "gemma3", .layers = 7, .format = "Q8_0"});
  const std::string text =
      description_text(describe(m.file), "m.gguf", {.width = 0, .indent = 0, .colour = false});
  EXPECT_THAT(text, HasSubstr("m.gguf\n"));
  EXPECT_THAT(text, HasSubstr("window         1,024 tokens in 6 of 7 layers\n"));
  EXPECT_THAT(text, HasSubstr("\nQ8_0 "));
  EXPECT_THAT(text, HasSubstr("      8.50\n"));
  EXPECT_THAT(text, HasSubstr("of which windows leave in sight"));
}

}  // namespace
}  // namespace agon::llm
