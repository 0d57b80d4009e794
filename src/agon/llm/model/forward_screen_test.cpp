// Where a screen of the vocabulary finds the most probable token, it is the one that all logits give.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "agon/base/random.h"
#include "agon/llm/gguf/random_model.h"
#include "agon/llm/model/forward.h"

namespace agon::llm {
namespace {

using Tokens = std::vector<std::int32_t>;

constexpr int kNever = std::numeric_limits<int>::max();
constexpr std::size_t kBlockQ8 = 34;  // bytes

// A vocabulary that is no multiple of a panel, with a bit of a fifth chunk.
gguf::RandomModelOptions options_of(const std::string& architecture, const std::string& output) {
  gguf::RandomModelOptions options;
  options.architecture = architecture;
  options.layers = 2;
  options.embedding = 256;
  options.feed_forward = 512;
  options.vocabulary = 4109;
  options.tied = architecture.starts_with("gemma");
  options.format = "Q4_0";
  options.embedding_format = output;
  options.window = 64;
  return options;
}

class Model {
 public:
  explicit Model(const gguf::RandomModelOptions& options) {
    auto writer = gguf::random_model(options);
    EXPECT_TRUE(writer) << writer.error().to_string();
    bytes_ = writer->bytes();
    load();
  }
  /// Calls change(bytes, bytes of a row) on the stored output matrix and loads the model again.
  template <class Change>
  void change_output(Change change) {
    const gguf::Tensor* output = file_->find("output.weight");
    ASSERT_NE(output, nullptr);
    const std::size_t at = static_cast<std::size_t>(output->bytes.data() - bytes_.data());
    change(std::span(bytes_).subspan(at, output->bytes.size()), output->columns() / kBlock * kBlockQ8);
    load();
  }
  [[nodiscard]] const Weights& weights() const { return *weights_; }

 private:
  void load() {
    auto file = gguf::File::parse(bytes_, "memory");
    ASSERT_TRUE(file) << file.error().to_string();
    file_ = std::make_unique<gguf::File>(std::move(*file));
    Team team(2);
    auto weights = Weights::load(*file_, team);
    ASSERT_TRUE(weights) << weights.error().to_string();
    weights_ = std::move(*weights);
  }
  std::vector<std::byte> bytes_;
  std::unique_ptr<gguf::File> file_;
  std::unique_ptr<Weights> weights_;
};

struct Greedy {
  std::vector<Tokens> best;  // of each step: of each row
  std::uint64_t vocabulary_bytes;
};

/// Sequences that go on token by token with what was best, `rows` of them together, the first with `guesses`
/// further tokens in each step.
Greedy generate(const Weights& weights, int threads, int rows, int guesses, int steps, int screen_after) {
  Team team(threads);
  KvCache cache = KvCache::create(weights.config(), CacheType::kF16, 4096).value();
  Forward forward(weights, cache, team, {.screen_after = screen_after});
  Random random(11);
  const auto draw = [&] {
    return static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(weights.config().vocabulary)));
  };
  Batch batch;
  for (int i = 0; i < rows; ++i) {
    batch.segments.push_back({cache.open(), i == 0 ? 1 + guesses : 1, true});
    for (int n = 0; n < batch.segments.back().count; ++n) {
      batch.best_rows.push_back(static_cast<int>(batch.tokens.size()));
      batch.tokens.push_back(draw());
    }
  }
  Greedy result;
  BatchResult answer;
  for (int step = 0; step < steps; ++step) {
    const Status status = forward.run(batch, answer);
    EXPECT_TRUE(status) << status.error().to_string();
    result.best.push_back(answer.best);
    for (std::size_t i = 0; i < batch.tokens.size(); ++i)
      batch.tokens[i] = answer.best[i] < 0 ? draw() : answer.best[i];
  }
  result.vocabulary_bytes = forward.vocabulary_bytes();
  return result;
}

struct Kind {
  std::string architecture, output;
};

class EachScreened : public testing::TestWithParam<Kind> {};

TEST_P(EachScreened, FindsTheTokenThatAllLogitsGive) {
  const Model model(options_of(GetParam().architecture, GetParam().output));
  const std::size_t all = model.weights().output().data.size();
  ASSERT_GT(model.weights().screen_bytes(), 0U);
  ASSERT_LT(model.weights().screen_bytes(), all);
  for (const int rows : {1, 3, 8}) {
    const Greedy expected = generate(model.weights(), 1, rows, 0, 60, kNever);
    EXPECT_EQ(expected.vocabulary_bytes, 60 * all);
    for (const int threads : {1, 2, 3}) {
      const Greedy found = generate(model.weights(), threads, rows, 0, 60, 0);
      EXPECT_EQ(found.best, expected.best) << rows << " rows on " << threads << " threads";
      EXPECT_NE(found.vocabulary_bytes, expected.vocabulary_bytes);
      if (rows == 1) {
        EXPECT_LT(found.vocabulary_bytes, expected.vocabulary_bytes);
      }
    }
  }
  // Several tokens of one sequence, as where text is guessed ahead.
  EXPECT_EQ(generate(model.weights(), 2, 2, 4, 30, 0).best,
            generate(model.weights(), 2, 2, 4, 30, kNever).best);
  // Too many rows, and the steps before there is a screen, read everything.
  EXPECT_EQ(generate(model.weights(), 2, 9, 0, 3, 0).vocabulary_bytes, 3 * all);
  EXPECT_EQ(generate(model.weights(), 2, 1, 0, 8, 8).vocabulary_bytes, 8 * all);
  EXPECT_LT(generate(model.weights(), 2, 1, 0, 30, 8).vocabulary_bytes, 30 * all);
}

INSTANTIATE_TEST_SUITE_P(Screen, EachScreened,
                         testing::Values(Kind{"llama", "Q8_0"}, Kind{"llama", "Q6_K"}, Kind{"qwen2", "Q5_1"},
                                         Kind{"gemma3", "Q8_0"}),
                         [](const auto& info) { return info.param.architecture + info.param.output; });

TEST(Screen, LogitsAndScoresAreNotScreened) {
  const Model model(options_of("llama", "Q8_0"));
  Team team(2);
  KvCache cache = KvCache::create(model.weights().config(), CacheType::kF16, 256).value();
  Forward forward(model.weights(), cache, team, {.screen_after = 0});
  Batch batch;
  batch.tokens = {5, 6};
  batch.segments = {{cache.open(), 1, true}, {cache.open(), 1, true}};
  batch.best_rows = {0, 1};
  BatchResult best, both;
  ASSERT_TRUE(forward.run(batch, best));
  const std::uint64_t screened = forward.vocabulary_bytes();
  batch.logit_rows = {1};
  batch.targets = {{0, 7}};
  batch.segments = {{cache.open(), 1, true}, {cache.open(), 1, true}};
  ASSERT_TRUE(forward.run(batch, both));
  EXPECT_EQ(forward.vocabulary_bytes() - screened, model.weights().output().data.size());
  EXPECT_EQ(both.best, best.best);
  EXPECT_EQ(both.scores[0].best, best.best[0]);
  EXPECT_EQ(std::ranges::max_element(both.logits) - both.logits.begin(), best.best[1]);
}

TEST(Screen, ThereIsNoneWhereItCannotTellOrDoesNotPay) {
  Team team(2);
  // Logits that are capped: what is equal after the cap was not before it.
  EXPECT_EQ(Model(options_of("gemma2", "Q8_0")).weights().screen(team), nullptr);
  // Nothing is saved by four bits in place of four and a half.
  EXPECT_EQ(Model(options_of("llama", "Q4_0")).weights().screen(team), nullptr);
  EXPECT_EQ(Model(options_of("llama", "F16")).weights().screen(team), nullptr);
  // A small part of the model.
  gguf::RandomModelOptions small = options_of("llama", "Q8_0");
  small.vocabulary = 400;
  small.layers = 6;
  EXPECT_EQ(Model(small).weights().screen(team), nullptr);
}

TEST(Screen, WordsThatAreNotFiniteAreFoundAsBefore) {
  for (const std::uint16_t half : {0x7C00, 0x7E00}) {  // infinity and NaN
    Model model(options_of("llama", "Q8_0"));
    model.change_output([&](std::span<std::byte> bytes, std::size_t row) {
      std::memcpy(bytes.data() + 1234 * row + 3 * kBlockQ8, &half, sizeof half);
    });
    Team team(2);
    EXPECT_GT(model.weights().screen_bytes(), 0U);
    EXPECT_EQ(model.weights().screen(team), nullptr);
    const Greedy expected = generate(model.weights(), 2, 2, 0, 10, kNever);
    const Greedy found = generate(model.weights(), 2, 2, 0, 10, 0);
    EXPECT_EQ(found.best, expected.best);
    EXPECT_EQ(found.vocabulary_bytes, expected.vocabulary_bytes);
  }
}

TEST(Screen, OfEqualsTheFirstIsBest) {
  // Every word has equals in all parts of the vocabulary, the end that is in no panel of the screen too.
  Model model(options_of("llama", "Q8_0"));
  model.change_output([](std::span<std::byte> bytes, std::size_t row) {
    for (std::size_t to = 37 * row; to < bytes.size(); to += row)
      std::memcpy(bytes.data() + to, bytes.data() + to % (37 * row), row);
  });
  const Greedy expected = generate(model.weights(), 2, 3, 0, 40, kNever);
  for (const std::vector<std::int32_t>& step : expected.best) EXPECT_LT(std::ranges::max(step), 37);
  EXPECT_EQ(generate(model.weights(), 2, 3, 0, 40, 0).best, expected.best);
}

}  // namespace
}  // namespace agon::llm
