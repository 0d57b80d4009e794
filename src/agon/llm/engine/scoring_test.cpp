#include "agon/llm/engine/scoring.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "agon/base/random.h"
#include "agon/llm/engine/embedding.h"
#include "agon/llm/gguf/random_model.h"
#include "agon/llm/gguf/writer.h"
#include "agon/llm/model/reference.h"

namespace agon::llm {
namespace {

class ScoringTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = ::testing::TempDir() + "scoring_" + std::to_string(::getpid()) + ".gguf";
    gguf::RandomModelOptions options;
    options.format = "Q4_0";
    options.context = 200;
    options.key_length = 32;  // whole blocks, as caches of bytes want them
    ASSERT_TRUE(gguf::random_model(options)->write(path_));
  }
  void TearDown() override {
    std::filesystem::remove(path_);
    std::filesystem::remove(path_ + ".packed");
  }

  std::unique_ptr<Engine> open(EngineOptions options = {}) {
    auto engine = Engine::open(path_, options);
    EXPECT_TRUE(engine) << engine.error().to_string();
    return std::move(*engine);
  }

  // Requests with much in common and some with nothing.
  static std::vector<ScoreRequest> requests(int vocabulary, int count) {
    Random random(11);
    std::vector<Token> context(70);
    const auto draw = [&] {
      return static_cast<Token>(random.below(static_cast<std::uint64_t>(vocabulary)));
    };
    for (Token& token : context) token = draw();
    std::vector<ScoreRequest> result;
    for (int i = 0; i < count; ++i) {
      ScoreRequest request;
      const auto shared = static_cast<std::ptrdiff_t>(random.below(context.size() + 1));
      request.tokens.assign(context.begin(), context.begin() + shared);
      request.tokens.push_back(draw());
      request.first = static_cast<int>(request.tokens.size());
      for (std::uint64_t n = 1 + random.below(12); n > 0; --n) request.tokens.push_back(draw());
      result.push_back(std::move(request));
    }
    return result;
  }

  std::string path_;
};

TEST_F(ScoringTest, AgreesWithTheTruth) {
  const auto engine = open({.threads = 2, .exact = true});
  const auto truth = ReferenceModel::load(engine->file());
  ASSERT_TRUE(truth);
  const auto items = requests(engine->config().vocabulary, 8);
  const auto scores = score(*engine, items);
  ASSERT_TRUE(scores);
  const auto width = static_cast<std::size_t>(engine->config().vocabulary);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::vector<double> logits = truth->logits(items[i].tokens);
    double total = 0;
    bool greedy = true;
    for (std::size_t at = static_cast<std::size_t>(items[i].first); at < items[i].tokens.size(); ++at) {
      const double* row = logits.data() + (at - 1) * width;
      double sum = 0;
      for (std::size_t word = 0; word < width; ++word) sum += std::exp(row[word]);
      const double expected = row[items[i].tokens[at]] - std::log(sum);
      EXPECT_NEAR((*scores)[i].token_logprobs[at - static_cast<std::size_t>(items[i].first)], expected, 2e-5);
      total += expected;
      greedy = greedy && std::max_element(row, row + width) - row == items[i].tokens[at];
    }
    EXPECT_NEAR((*scores)[i].logprob, total, 1e-4);
    EXPECT_EQ((*scores)[i].is_greedy, greedy);
  }
}

TEST_F(ScoringTest, SameBitsAloneTogetherInAnyOrderOnAnyThreads) {
  for (const bool exact : {false, true}) {
    for (const std::optional<CacheType> cache :
         {std::optional<CacheType>(), {CacheType::kBF16}, {CacheType::kQ8_0}, {CacheType::kF32}}) {
      SCOPED_TRACE(testing::Message() << exact << (cache ? static_cast<int>(*cache) : -1));
      const auto one = open({.threads = 1, .cache_type = cache, .exact = exact});
      const auto items = requests(one->config().vocabulary, 40);
      const auto together = score(*one, items);
      ASSERT_TRUE(together);
      std::vector<ScoreRequest> backwards(items.rbegin(), items.rend());
      const auto two = open({.threads = 2, .cache_type = cache, .exact = exact, .max_rows = 7});
      const auto reversed = score(*two, backwards);
      ASSERT_TRUE(reversed);
      for (std::size_t i = 0; i < items.size(); ++i) {
        const auto alone = score(*two, {&items[i], 1});
        ASSERT_TRUE(alone);
        EXPECT_EQ((*together)[i].token_logprobs, (*alone)[0].token_logprobs);
        EXPECT_EQ((*together)[i].token_logprobs, (*reversed)[items.size() - 1 - i].token_logprobs);
        EXPECT_EQ((*together)[i].is_greedy, (*alone)[0].is_greedy);
      }
    }
  }
}

TEST_F(ScoringTest, ASmallCacheChangesNothingAndATooSmallOneIsSaid) {
  const auto engine = open({.threads = 2});
  const auto items = requests(engine->config().vocabulary, 40);
  const auto roomy = score(*engine, items);
  const auto tight = score(*engine, items, 400);
  ASSERT_TRUE(roomy);
  ASSERT_TRUE(tight) << tight.error().to_string();
  for (std::size_t i = 0; i < items.size(); ++i) {
    EXPECT_EQ((*roomy)[i].token_logprobs, (*tight)[i].token_logprobs);
  }
  const auto hopeless = score(*engine, items, 16);
  ASSERT_FALSE(hopeless);
  EXPECT_NE(hopeless.error().message.find("too small"), std::string::npos);
}

TEST_F(ScoringTest, TooLongATextIsSaidByHowMuchOrCut) {
  const auto engine = open();
  std::string text;
  for (int i = 0; i < 400; ++i) text += "word ";
  const auto refused = make_request(*engine, text, "end");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("1403 more than the context of 200"), std::string::npos)
      << refused.error().message;
  EXPECT_GT(make_request(*engine, text, "end", TooLong::kKeep)->tokens.size(), 1500U);
  const auto cut = make_request(*engine, text, "end", TooLong::kCut);
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->tokens.size(), 201U);
  const auto whole = engine->tokenizer().encode(text + "end");
  EXPECT_TRUE(std::equal(cut->tokens.rbegin(), cut->tokens.rend(), whole.rbegin()));
  EXPECT_FALSE(make_request(*engine, "a", ""));
}

TEST_F(ScoringTest, SpacesMoveToTheContinuation) {
  const auto engine = open();
  const auto one = make_request(*engine, "the answer is ", "yes");
  const auto two = make_request(*engine, "the answer is", " yes");
  ASSERT_TRUE(one);
  ASSERT_TRUE(two);
  EXPECT_EQ(one->tokens, two->tokens);
  EXPECT_EQ(one->first, two->first);
}

TEST_F(ScoringTest, PerplexityIsTheExponentOfTheMeanLoss) {
  const auto engine = open();
  const std::string text =
      "Once upon a time there was a little model that read this text, word by word, to its end.";
  const auto result = perplexity(*engine, text, 32);
  ASSERT_TRUE(result);
  EXPECT_GT(result->tokens, 20U);
  EXPECT_NEAR(result->perplexity, std::exp(result->mean_loss), 1e-9);
  EXPECT_GT(result->standard_error, 0);
  EXPECT_NEAR(result->bits_per_byte * std::log(2.0) * static_cast<double>(text.size()),
              result->mean_loss * static_cast<double>(result->tokens), 1e-6);
  EXPECT_FALSE(perplexity(*engine, "", 32));
}

TEST_F(ScoringTest, HiddenStatesArePooledAsSaidAndEqualTheTruth) {
  const auto engine = open({.exact = true});
  const auto truth = ReferenceModel::load(engine->file());
  const std::vector<std::vector<Token>> texts = {{5, 6, 7}, {9}, {5, 6, 8, 9, 10}};
  for (const int layer : {0, 1, 2}) {
    const auto all = embed(*engine, texts, layer, Pooling::kNone);
    const auto mean = embed(*engine, texts, layer, Pooling::kMean);
    const auto last = embed(*engine, texts, layer, Pooling::kLast);
    ASSERT_TRUE(all && mean && last);
    const auto width = static_cast<std::size_t>(engine->config().embedding);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      ASSERT_EQ((*all)[i].size(), texts[i].size() * width);
      const std::vector<double> expected = truth->hidden(texts[i], layer);
      for (std::size_t j = 0; j < width; ++j) {
        double sum = 0;
        for (std::size_t t = 0; t < texts[i].size(); ++t) {
          EXPECT_NEAR(static_cast<double>((*all)[i][t * width + j]), expected[t * width + j], 1e-5);
          sum += static_cast<double>((*all)[i][t * width + j]);
        }
        EXPECT_NEAR(static_cast<double>((*mean)[i][j]), sum / static_cast<double>(texts[i].size()), 1e-6);
        EXPECT_EQ((*last)[i][j], (*all)[i][(texts[i].size() - 1) * width + j]);
      }
    }
  }
  EXPECT_FALSE(embed(*engine, texts, 3, Pooling::kMean));
  const std::vector<std::vector<Token>> empty = {{}};
  EXPECT_FALSE(embed(*engine, empty, 1, Pooling::kMean));
}

TEST_F(ScoringTest, PackedFileGivesTheSameBitsAndAStaleOneIsMadeAnew) {
  const auto items = requests(512, 5);
  const auto plain = score(*open(), items);
  const std::string packed = path_ + ".packed";
  const auto check = [&] {
    const auto scores = score(*open({.packed_path = packed}), items);
    ASSERT_TRUE(scores);
    for (std::size_t i = 0; i < items.size(); ++i) {
      EXPECT_EQ((*scores)[i].token_logprobs, (*plain)[i].token_logprobs);
    }
  };
  check();
  ASSERT_TRUE(std::filesystem::exists(packed));
  const auto size = std::filesystem::file_size(packed);
  check();
  std::filesystem::resize_file(packed, size / 2);  // cut: made again
  check();
  EXPECT_EQ(std::filesystem::file_size(packed), size);
  {
    std::fstream file(packed, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(16);
    file.write("another!", 8);  // of another model: made again
  }
  check();
  // The same tensors under other metadata, which may put rows in another order.
  const auto source = [&] {
    std::ifstream file(packed, std::ios::binary);
    std::string head(24, '\0');
    file.read(head.data(), 24);
    return head.substr(16);
  };
  const std::string before = source();
  const auto model = gguf::File::open(path_);
  gguf::Writer writer;
  writer.metadata = model->metadata();
  writer.metadata.set("llama.attention.head_count_kv", std::int64_t{2});
  writer.metadata.set("general.name", std::string("other"));
  for (const gguf::Tensor& tensor : model->tensors())
    writer.add(tensor.name, tensor.type, tensor.shape, {tensor.bytes.begin(), tensor.bytes.end()});
  ASSERT_TRUE(writer.write(path_ + ".other"));
  std::filesystem::rename(path_ + ".other", path_);
  check();
  EXPECT_NE(source(), before);
}

// A file that asks for an end behind every text: neither is it scored, nor does it stand before a
// continuation.
TEST_F(ScoringTest, TextsThatGoOnHaveNoEnd) {
  const auto items = [&](Engine& engine) { return make_request(engine, "once upon", " a time").value(); };
  const ScoreRequest plain = items(*open());
  const auto model = gguf::File::open(path_);
  gguf::Writer writer;
  writer.metadata = model->metadata();
  writer.metadata.set("tokenizer.ggml.add_eos_token", true);
  for (const gguf::Tensor& tensor : model->tensors())
    writer.add(tensor.name, tensor.type, tensor.shape, {tensor.bytes.begin(), tensor.bytes.end()});
  ASSERT_TRUE(writer.write(path_ + ".other"));
  std::filesystem::rename(path_ + ".other", path_);
  const auto ends = open();
  EXPECT_EQ(ends->tokenizer().encode("once").back(), ends->tokenizer().special().eos);
  EXPECT_EQ(items(*ends).tokens, plain.tokens);
  EXPECT_EQ(items(*ends).first, plain.first);
}

}  // namespace
}  // namespace agon::llm
