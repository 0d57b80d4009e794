#include "agon/llm/engine/speed.h"

#include <gtest/gtest.h>

#include "agon/llm/engine/test_stories.h"

namespace agon::llm {
namespace {

TEST(Speed, CountsWhatIsRead) {
  const auto engine = open_stories();
  const ModelConfig& c = engine->config();
  const SpeedOptions options{.prompt = 8, .generate = 4, .depth = 2, .sequences = 3, .repeats = 2};
  const Speed speed = measure_speed(*engine, options).value();
  EXPECT_EQ(speed.prompt.seconds.size(), 2U);
  EXPECT_EQ(speed.prompt.tokens, 8);
  EXPECT_EQ(speed.generation.tokens, 12);
  EXPECT_EQ(speed.prompt.products, Products::kFloats);
  EXPECT_EQ(speed.generation.products, Products::kFloats);
  EXPECT_LE(speed.generation.median(), speed.generation.best());
  // By the sizes: each weight once a token, and for the prompt one vocabulary product.
  const double layer = c.embedding * (2.0 * c.query_width() + 2.0 * c.key_width() + 3.0 * c.feed_forward);
  const double weights = layer * c.layer_count();
  const double attention = 4.0 * c.query_width() * c.layer_count();
  const double keys = 8.0 * 9 / 2;  // seen by all tokens together
  // Rows and columns are filled up to 16 and 32, so what is counted may be a little more.
  const double expected = 2 * (weights * 8 + c.embedding * c.vocabulary) + attention * keys;
  EXPECT_GE(speed.prompt.operations, expected);
  EXPECT_LE(speed.prompt.operations, 1.3 * expected);
}

TEST(Speed, AProfileAccountsForTheTimeOfAllThreads) {
  const auto engine = open_stories();
  SpeedOptions options{.prompt = 60, .generate = 20, .depth = 4, .repeats = 1};
  const auto sum = [](const StepTimes& times) {
    double all = 0;
    for (const double seconds : times.seconds) all += seconds;
    return all;
  };
  EXPECT_EQ(sum(measure_speed(*engine, options).value().prompt.steps), 0);
  options.profile = true;
  Speed speed = measure_speed(*engine, options).value();
  for (Rate* rate : {&speed.prompt, &speed.generation}) {
    for (const PassStep step :
         {PassStep::kNorms, PassStep::kQueries, PassStep::kPositions, PassStep::kAttention,
          PassStep::kAttentionOutput, PassStep::kGates, PassStep::kDown, PassStep::kVocabulary})
      EXPECT_GT(rate->steps.of(step), 0) << kPassStepNames[static_cast<std::size_t>(step)];
    EXPECT_GE(rate->outside, 0);
  }
}

TEST(Speed, PartsOfAModelAreLessWork) {
  const auto engine = open_stories();
  SpeedOptions options{.prompt = 8, .generate = 2, .repeats = 1};
  const Speed whole = measure_speed(*engine, options).value();
  options.layers = 2;
  const Speed part = measure_speed(*engine, options).value();
  EXPECT_LT(part.prompt.operations, whole.prompt.operations);
  EXPECT_LT(part.generation.bytes, whole.generation.bytes);
  options.layers = 100;
  EXPECT_FALSE(measure_speed(*engine, options));
  options = {.prompt = 100000};
  EXPECT_FALSE(measure_speed(*engine, options));
}

}  // namespace
}  // namespace agon::llm
