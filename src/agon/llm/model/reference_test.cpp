#include "agon/llm/model/reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "agon/base/file.h"
#include "agon/base/parallel.h"
#include "agon/llm/gguf/llama2c.h"
#include "agon/llm/model/reference_product.h"
#include "agon/llm/model/test_models.h"

namespace agon::llm {
namespace {

// Logits at the positions that the description knows.
std::vector<std::vector<double>> logits_of(const TestModel& model) {
  const std::vector<std::byte> bytes = model.bytes();
  const auto file = gguf::File::parse(bytes, "test");
  EXPECT_TRUE(file) << file.error().to_string();
  const auto reference = ReferenceModel::load(*file, {.context = model.context});
  EXPECT_TRUE(reference) << reference.error().to_string();
  if (!file || !reference) return {};
  const std::vector<double> all = reference->logits(model.tokens);
  const std::size_t width = static_cast<std::size_t>(reference->config().vocabulary);
  EXPECT_EQ(all.size(), model.tokens.size() * width);
  std::vector<std::vector<double>> out;
  for (const std::size_t position : model.positions) {
    const auto row = all.begin() + static_cast<std::ptrdiff_t>(position * width);
    out.emplace_back(row, row + static_cast<std::ptrdiff_t>(width));
  }
  return out;
}

double largest_difference(const std::vector<std::vector<double>>& a,
                          const std::vector<std::vector<double>>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    for (std::size_t j = 0; j < a[i].size(); ++j) largest = std::max(largest, std::abs(a[i][j] - b[i].at(j)));
  return largest;
}

// llama.cpp computes in float: differences of up to 1.3e-5 were seen. Its GELU, in the gemmas, is a table of
// half-precision numbers of eleven bits: up to 3.6e-3.
double tolerance(const TestModel& model) {
  const bool gelu = std::get<std::string>(*model.metadata.find("general.architecture")).starts_with("gemma");
  return gelu ? 1e-2 : 5e-5;
}

TEST(Reference, AgreesWithLlamaCppOnAllArchitectures) {
  for (const std::string& name : test_model_names()) {
    const TestModel model = read_test_model(name);
    const double difference = largest_difference(logits_of(model), model.logits);
    EXPECT_LT(difference, tolerance(model)) << name;
    RecordProperty(name, std::to_string(difference));
  }
}

// The comparison above would see each of these.
TEST(Reference, EveryKeyMatters) {
  struct Change {
    std::string model, key;
    gguf::Value value;
  };
  const std::vector<Change> changes = {
      {"llama", "llama.rope.freq_base", 600.0},
      {"llama", "llama.attention.layer_norm_rms_epsilon", 1e-3},
      {"llama", "llama.attention.sliding_window", std::int64_t{39}},
      {"llama_linear", "llama.rope.scaling.factor", 4.1},
      {"llama_yarn", "llama.rope.scaling.factor", 4.1},
      {"llama_yarn", "llama.rope.scaling.original_context_length", std::int64_t{128}},
      {"llama_yarn", "llama.rope.scaling.yarn_beta_fast", 4.0},
      {"llama_yarn", "llama.rope.scaling.attn_factor", 1.01},
      {"gemma2", "gemma2.attention.sliding_window", std::int64_t{7}},
      {"gemma2", "gemma2.attention.sliding_window_pattern", std::int64_t{3}},
      {"gemma2", "gemma2.attn_logit_softcapping", 3.0},
      {"gemma2", "gemma2.final_logit_softcapping", 3.2},
      {"gemma3", "gemma3.attention.sliding_window", std::int64_t{7}},
      {"gemma3", "gemma3.rope.freq_base_swa", 8000.0},
      {"gemma3", "gemma3.rope.scaling.factor", 7.0},
      {"phi3", "phi3.rope.dimension_count", std::int64_t{8}},
      {"phi3", "phi3.attention.sliding_window", std::int64_t{20}},
      {"phi3_short", "phi3.rope.scaling.attn_factor", 1.0},
  };
  for (const Change& change : changes) {
    TestModel model = read_test_model(change.model);
    model.metadata.set(change.key, change.value);
    EXPECT_GT(largest_difference(logits_of(model), model.logits), 3 * tolerance(model))
        << change.model << " " << change.key;
  }
}

TEST(Reference, EveryTensorMatters) {
  for (const std::string name : {"qwen2", "qwen3", "gemma2", "phi3_long", "llama_divisors"}) {
    TestModel model = read_test_model(name);
    for (std::size_t i = 0; i < model.tensors.size(); ++i) {
      // The set that is not chosen must not matter.
      const bool idle = model.tensors[i].name == "rope_factors_short.weight";
      TestModel changed = model;
      changed.tensors[i].centre += 0.1F * changed.tensors[i].spread + 0.05F;
      const double difference = largest_difference(logits_of(changed), model.logits);
      if (idle) {
        EXPECT_LT(difference, tolerance(model));
      } else {
        EXPECT_GT(difference, 1.5 * tolerance(model)) << name << " " << model.tensors[i].name;
      }
    }
  }
}

// One layer whose output can be worked out by hand. Embedding 32, one head of 32; token 0 is the unit vector
// of dimension 0, token 1 that of dimension 1, both times 2. Value and output matrices are identities; query
// and key both take dimension 0 and 1 to dimension 0.
TestModel hand_model() {
  TestModel model;
  model.metadata.set("general.architecture", std::string("llama"));
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::int64_t>>{{"block_count", 1},
                                                         {"context_length", 64},
                                                         {"embedding_length", 32},
                                                         {"feed_forward_length", 4},
                                                         {"attention.head_count", 1}})
    model.metadata.set("llama." + key, value);
  model.metadata.set("llama.attention.layer_norm_rms_epsilon", 1e-6);
  const auto matrix = [&](const std::string& name, std::uint64_t columns, std::uint64_t rows,
                          const std::vector<std::array<std::size_t, 2>>& ones, float value) {
    std::vector<float> values(columns * rows, 0.0F);
    for (const auto& [row, column] : ones) values[row * columns + column] = value;
    model.tensors.push_back({.name = name, .shape = {columns, rows}, .values = values});
  };
  const auto ones = [&](const std::string& name) {
    model.tensors.push_back({.name = name, .shape = {32}, .values = std::vector<float>(32, 1.0F)});
  };
  std::vector<std::array<std::size_t, 2>> identity;
  for (std::size_t i = 0; i < 32; ++i) identity.push_back({i, i});
  matrix("token_embd.weight", 32, 2, {{0, 0}, {1, 1}}, 2.0F);
  matrix("output.weight", 32, 2, {{0, 0}, {1, 1}}, 1.0F);
  ones("output_norm.weight");
  ones("blk.0.attn_norm.weight");
  ones("blk.0.ffn_norm.weight");
  matrix("blk.0.attn_q.weight", 32, 32, {{0, 0}, {0, 1}}, 1.0F);
  matrix("blk.0.attn_k.weight", 32, 32, {{0, 0}, {0, 1}}, 1.0F);
  matrix("blk.0.attn_v.weight", 32, 32, identity, 1.0F);
  matrix("blk.0.attn_output.weight", 32, 32, identity, 1.0F);
  matrix("blk.0.ffn_gate.weight", 32, 4, {{0, 0}}, 1.0F);
  matrix("blk.0.ffn_up.weight", 32, 4, {{0, 1}}, 1.0F);
  matrix("blk.0.ffn_down.weight", 4, 32, {{0, 0}}, 1.0F);
  return model;
}

TEST(Reference, IsWhatAHandWorksOut) {
  TestModel model = hand_model();
  model.tokens = {0, 1};
  model.positions = {0, 1};
  const auto got = logits_of(model);
  ASSERT_EQ(got.size(), 2U);
  // After the norm both tokens are their unit vector times n.
  const double epsilon = static_cast<double>(1e-6F), n = 2 / std::sqrt(4.0 / 32 + epsilon);
  // Position 0 sees itself: 2 + n in dimension 0. Nothing in dimension 1, so that the feed-forward adds 0.
  const double alone = 2 + n;
  EXPECT_NEAR(got[0][0], alone / std::sqrt(alone * alone / 32 + epsilon), 1e-12);
  EXPECT_EQ(got[0][1], 0);
  // Position 1: its score with itself is n^2/sqrt(32), with position 0 that times cos(1), as pair 0 turns by
  // one radian a position.
  const double score = n * n / std::sqrt(32.0);
  const double share = 1 / (1 + std::exp(score * std::cos(1.0) - score));  // of itself
  double x0 = n * (1 - share);
  const double x1 = 2 + n * share;
  const double norm = std::sqrt((x0 * x0 + x1 * x1) / 32 + epsilon);
  const double gate = x0 / norm;
  x0 += gate / (1 + std::exp(-gate)) * (x1 / norm);
  const double last = std::sqrt((x0 * x0 + x1 * x1) / 32 + epsilon);
  EXPECT_NEAR(got[1][0], x0 / last, 1e-12);
  EXPECT_NEAR(got[1][1], x1 / last, 1e-12);
}

// Turning is relative: with one layer, what a window of w shows to a position is what the same w tokens show
// when they stand alone.
TEST(Reference, AWindowIsATextCutShort) {
  TestModel model = read_test_model("llama");
  model.metadata.set("llama.block_count", std::int64_t{1});
  std::erase_if(model.tensors, [](const TestTensor& t) { return t.name.starts_with("blk.1."); });
  for (const std::size_t window : {1U, 2U, 7U, 8U, 9U, 39U}) {
    TestModel windowed = model, cut = model;
    windowed.metadata.set("llama.attention.sliding_window", static_cast<std::int64_t>(window));
    windowed.positions = {39};
    cut.tokens.erase(cut.tokens.begin(), cut.tokens.end() - static_cast<std::ptrdiff_t>(window));
    cut.positions = {window - 1};
    EXPECT_LT(largest_difference(logits_of(windowed), logits_of(cut)), 1e-11) << window;
  }
}

TEST(Reference, EarlierPositionsDoNotSeeLaterOnes) {
  for (const std::string name : {"llama", "gemma3"}) {
    const TestModel model = read_test_model(name);
    TestModel shorter = model;
    shorter.tokens.resize(22);
    shorter.positions = {0, 1, 7, 8, 9, 20};
    auto whole = logits_of(model);
    whole.resize(6);
    EXPECT_EQ(largest_difference(whole, logits_of(shorter)), 0) << name;
  }
}

TEST(Reference, ThreadsChangeNoBit) {
  const TestModel model = read_test_model("gemma2");
  const int before = thread_count();
  set_thread_count(1);
  const auto alone = logits_of(model);
  set_thread_count(4);
  EXPECT_EQ(logits_of(model), alone);
  set_thread_count(before);
}

TEST(Reference, HiddenStatesLeadToTheLogits) {
  const TestModel model = read_test_model("gemma2");
  const std::vector<std::byte> bytes = model.bytes();
  const auto file = gguf::File::parse(bytes, "test");
  const auto reference = ReferenceModel::load(*file);
  const std::vector<double> start = reference->hidden(model.tokens, 0);
  const std::vector<float> embedding = model.tensors.front().floats();
  for (std::size_t i = 0; i < 32; ++i)
    EXPECT_EQ(start[5 * 32 + i],
              static_cast<double>(embedding[static_cast<std::size_t>(model.tokens[5]) * 32 + i]) *
                  static_cast<double>(std::sqrt(32.0F)));
  EXPECT_EQ(reference->output(reference->hidden(model.tokens, 3)), reference->logits(model.tokens));
}

// The story that llama2.c's run prints at temperature 0 (its model card shows it), as 256 tokens.
TEST(Reference, Stories260KTellsItsKnownStory) {
  const std::string folder = std::string(AGON_TEST_DATA) + "/models/";
  std::ifstream in(folder + "stories260K_greedy.json");
  const nlohmann::json json = nlohmann::json::parse(in);
  const auto tokens = json.at("tokens").get<std::vector<std::int32_t>>();
  ASSERT_EQ(tokens.size(), 256U);
  const auto weights = read_file(folder + "stories260K.bin"), words = read_file(folder + "tok512.bin");
  ASSERT_TRUE(weights && words);
  const auto writer = gguf::convert_llama2c(*weights, "weights", *words, "words");
  ASSERT_TRUE(writer) << writer.error().to_string();
  const std::vector<std::byte> bytes = writer->bytes();
  const auto file = gguf::File::parse(bytes, "stories");
  ASSERT_TRUE(file) << file.error().to_string();
  const auto reference = ReferenceModel::load(*file);
  ASSERT_TRUE(reference) << reference.error().to_string();
  const std::vector<double> logits = reference->logits(tokens);
  for (std::size_t t = 0; t + 1 < tokens.size(); ++t) {
    const auto row = std::span(logits).subspan(t * 512, 512);
    ASSERT_EQ(std::ranges::max_element(row) - row.begin(), tokens[t + 1]) << "after token " << t;
  }
  const gguf::Strings& pieces = *file->metadata().strings("tokenizer.ggml.tokens");
  std::string text;
  for (const std::int32_t token : std::span(tokens).subspan(1)) {
    const std::string& piece = pieces[static_cast<std::size_t>(token)];
    text += piece == "<0x0A>" ? "\n" : piece;
  }
  for (std::size_t at = 0; (at = text.find("\u2581")) != std::string::npos;) text.replace(at, 3, " ");
  EXPECT_THAT(
      text, ::testing::StartsWith(" Once upon a time, there was a little girl named Lily. She loved to play "
                                  "outside in the park. One day, she saw a big, red ball. She wanted to play "
                                  "with it, but it was too high.\nLily's mom said, \"Lily, let's go to the "
                                  "park.\" Lily was sad and didn't know what to do."));
  EXPECT_EQ(text, " " + json.at("text").get<std::string>());
}

TEST(ReferenceProduct, SumsInOrder) {
  for (const gguf::TensorType type :
       {gguf::TensorType::kF32, gguf::TensorType::kF16, gguf::TensorType::kQ4_0})
    for (const std::size_t tokens : {1U, 7U, 8U, 17U})
      for (const std::size_t rows : {1U, 3U, 65U}) {
        constexpr std::size_t kWidth = 64, kFirst = 2;
        gguf::Writer writer;
        writer.metadata.set("general.architecture", std::string("x"));
        writer.add("w", type, {kWidth, rows + kFirst + 1},
                   test_weights("w", kWidth * (rows + kFirst + 1), 0, 1));
        const std::vector<std::byte> bytes = writer.bytes();
        const auto file = gguf::File::parse(bytes, "test");
        ASSERT_TRUE(file) << file.error().to_string();
        const MatrixView view = {.tensor = file->find("w"), .first_row = kFirst, .rows = rows};
        const std::vector<float> floats = test_weights("x", tokens * kWidth, 0, 1);
        const std::vector<double> x(floats.begin(), floats.end());
        std::vector<double> out(tokens * rows), expected(tokens * rows);
        multiply(view, x, tokens, out);
        std::vector<float> row(kWidth);
        for (std::size_t r = 0; r < rows; ++r) {
          expand_row(view, r, row);
          for (std::size_t t = 0; t < tokens; ++t)
            for (std::size_t k = 0; k < kWidth; ++k)
              expected[t * rows + r] += static_cast<double>(row[k]) * x[t * kWidth + k];
        }
        EXPECT_EQ(out, expected) << tokens << " " << rows;
      }
}

}  // namespace
}  // namespace agon::llm
