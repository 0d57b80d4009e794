// The file of a model: what it holds comes back, and no damage to it does more than an Error.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "agon/base/random.h"
#include "agon/base/test_folder.h"
#include "tiny_model.h"

namespace agon {
namespace {

using testing::HasSubstr;

const std::string& good_bytes() {
  static const std::string bytes = tiny_model().to_bytes();
  return bytes;
}
std::string_view good_payload() { return std::string_view(good_bytes()).substr(kModelHeaderBytes); }

std::string error_of(std::string_view bytes) {
  const auto model = PreferenceModel::from_bytes(bytes, "m.agon");
  return model ? "" : model.error().to_string();
}

/// A model that was taken must predict and explain like any other.
void expect_works(const PreferenceModel& model) {
  static const VoteSet set = tiny_votes();
  const std::span<const Vote> votes = std::span(set.votes).first(3);
  const auto predictions = model.predict(votes);
  ASSERT_TRUE(predictions) << predictions.error().to_string();
  for (const Prediction& p : *predictions) {
    ASSERT_TRUE(p.a > 0 && p.b > 0 && p.tie > 0);
    ASSERT_NEAR(p.a + p.b + p.tie, 1, 1e-9);
  }
  std::vector<Prediction> prior, length_only;
  model.predict_baselines(votes, prior, length_only);
  for (const Prediction& p : length_only) ASSERT_TRUE(std::isfinite(p.a) && std::isfinite(p.tie));
  const auto pushes = model.explain(votes, 5);
  ASSERT_TRUE(pushes) << pushes.error().to_string();
}

TEST(ModelFile, ReadsBackWhatItSaves) {
  const PreferenceModel model = tiny_model();
  TempFolder folder;
  ASSERT_TRUE(model.save(folder / "m.agon"));
  EXPECT_EQ(slurp(folder / "m.agon"), good_bytes());
  const auto again = PreferenceModel::load(folder / "m.agon");
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(again->to_bytes(), good_bytes());
  EXPECT_EQ(again->card(), model.card());
  const auto votes = tiny_votes().votes;
  const auto p = model.predict(votes), q = again->predict(votes);
  ASSERT_TRUE(p && q);
  for (std::size_t i = 0; i < votes.size(); ++i) EXPECT_EQ((*p)[i].a, (*q)[i].a);
  expect_works(*again);
}

TEST(ModelFile, TheHelperMakesTheSameFile) { EXPECT_EQ(model_file_of(good_payload()), good_bytes()); }

TEST(ModelFile, SaysWhatIsWrong) {
  const auto with = [](std::size_t at, std::string_view bytes) {
    std::string file = good_bytes();
    file.replace(at, bytes.size(), bytes);
    return error_of(file);
  };
  EXPECT_THAT(error_of(""), HasSubstr("m.agon: not a model of agon"));
  EXPECT_THAT(error_of("id,prompt\n"), HasSubstr("not a model of agon"));
  EXPECT_THAT(error_of("agon-pref"), HasSubstr("cut off inside its header"));
  EXPECT_THAT(with(16, std::string_view("\x04\0\0\0", 4)),
              HasSubstr("format 4 is newer than this program reads"));
  EXPECT_THAT(with(16, std::string_view("\0\0\0\0", 4)), HasSubstr("header of the model is damaged"));
  EXPECT_THAT(with(20, "\x01"), HasSubstr("header of the model is damaged"));
  EXPECT_THAT(with(200, "\xFF"), HasSubstr("checksum does not match"));
  EXPECT_THAT(with(40, "z"), HasSubstr("checksum does not match"));
  EXPECT_THAT(error_of(good_bytes() + "x"), HasSubstr("too long"));
  EXPECT_THAT(error_of(good_bytes().substr(0, 5000)), HasSubstr("cut short (4904 bytes of"));
  EXPECT_THAT(error_of(model_file_of(std::string(good_payload()) + "x")), HasSubstr("bytes after its end"));
  std::string other(good_payload());
  other.replace(other.find("structure"), 9, "structurE");
  EXPECT_THAT(error_of(model_file_of(other)), HasSubstr("'structurE' version"));
}

TEST(ModelFile, EveryLengthIsRefused) {
  for (std::size_t n = 0; n < good_bytes().size(); n += n < 600 ? 1 : 13)
    EXPECT_NE(error_of(std::string_view(good_bytes()).substr(0, n)), "") << n;
  // The payload's own reader, behind a checksum that fits.
  for (std::size_t n = 0; n < good_payload().size(); n += n < 600 ? 1 : 13)
    EXPECT_NE(error_of(model_file_of(good_payload().substr(0, n))), "") << n;
}

TEST(ModelFile, FlippedBitsAreFound) {
  Random random(1);
  for (int i = 0; i < 1000; ++i) {
    std::string bytes = good_bytes();
    bytes[random.below(bytes.size())] ^= static_cast<char>(1 << random.below(8));
    EXPECT_NE(error_of(bytes), "");
  }
}

TEST(ModelFile, FlippedBitsBehindAFittingChecksumGiveAnErrorOrAModelThatWorks) {
  Random random(2);
  int taken = 0, refused = 0;
  for (int i = 0; i < 800; ++i) {
    std::string payload(good_payload());
    const std::uint64_t flips = 1 + random.below(3);
    for (std::uint64_t k = 0; k < flips; ++k)
      payload[random.below(payload.size())] ^= static_cast<char>(1 << random.below(8));
    const auto model = PreferenceModel::from_bytes(model_file_of(payload), "m");
    (model ? taken : refused) += 1;
    if (model) expect_works(*model);
  }
  EXPECT_GT(taken, 50);
  EXPECT_GT(refused, 50);
}

TEST(ModelFile, ExtremeNumbersGiveAnErrorOrAModelThatWorks) {
  Random random(3);
  const std::vector<double> extremes = {HUGE_VAL, -HUGE_VAL, NAN, 1.7e308, -1.7e308,
                                        1e-308,   0,         -1,  1e11,    -1e11};
  for (int i = 0; i < 600; ++i) {
    std::string payload(good_payload());
    for (int k = 0; k < 3; ++k) {
      const double value = extremes[random.below(extremes.size())];
      const std::size_t at = random.below(payload.size() - sizeof value);
      std::memcpy(payload.data() + at, &value, sizeof value);
    }
    const auto model = PreferenceModel::from_bytes(model_file_of(payload), "m");
    if (model) expect_works(*model);
  }
}

/// The scores' tables have 2^bits places; other options would look past their end.
TEST(ModelFile, NgramOptionsThatDoNotFitTheScoresAreRefused) {
  const PreferenceModel model = tiny_model();
  const std::string& bytes = good_bytes();
  ByteWriter eight, twenty;
  for (const std::int32_t x : {8, 2, 5, 3}) eight.put(x);
  for (const std::int32_t x : {20, 2, 5, 3}) twenty.put(x);
  std::string payload = bytes.substr(kModelHeaderBytes);
  const std::size_t at = payload.find(eight.bytes());
  ASSERT_NE(at, std::string::npos);
  payload.replace(at, 16, twenty.bytes());
  EXPECT_THAT(error_of(model_file_of(payload)), HasSubstr("n-grams of the model do not fit"));
}

// What was learned from a language model stands at the end.
const std::string& reading_bytes() {
  static const std::string bytes = tiny_model(true).to_bytes();
  return bytes;
}
std::string reading_payload() { return reading_bytes().substr(kModelHeaderBytes); }

/// As it is used: the blocks are of the widths that the model has.
void expect_reads(PreferenceModel& model) {
  auto source = std::make_shared<TinySource>(*model.language_model());
  source->widths.clear();
  for (const Correction& correction : model.corrections())
    source->widths.emplace_back(correction.block(), correction.width());
  model.attach(std::move(source));
  expect_works(model);
}

TEST(ModelFileWithCorrections, ReadsBackWhatItSaves) {
  auto model = PreferenceModel::from_bytes(reading_bytes(), "m");
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_EQ(model->to_bytes(), reading_bytes());
  EXPECT_EQ(model_file_of(reading_payload(), 3), reading_bytes());
  ASSERT_NE(model->language_model(), nullptr);
  EXPECT_EQ(model->language_model()->blocks, (std::vector<std::string>{"states", "verdict"}));
  EXPECT_EQ(model->language_model()->file_bytes, 1000U);
  const auto alone = model->predict(tiny_votes().votes);
  ASSERT_FALSE(alone);
  EXPECT_THAT(alone.error().to_string(),
              HasSubstr("reads the answers with a language model (expected tiny.gguf"));
  expect_reads(*model);
}

TEST(ModelFileWithCorrections, OlderAndDamagedOnesAreRefused) {
  EXPECT_THAT(error_of(model_file_of(reading_payload(), 2)),
              HasSubstr("numbers of version 1 about the answers, which this program does not compute"));
  const auto with = [](std::string_view from, std::string_view to) {
    std::string payload = reading_payload();
    const std::size_t at = payload.rfind(from);
    AGON_CHECK(at != std::string::npos);
    payload.replace(at, from.size(), to);
    return error_of(model_file_of(payload, 3));
  };
  // A correction of another block, blocks out of order, and layers that are no ascending list.
  EXPECT_THAT(with("verdict", "statesX"), HasSubstr("do not fit together"));
  std::string payload = reading_payload();
  ByteWriter names, twice, layers, equal;
  for (const std::string_view name : {"states", "verdict"}) names.put(name);
  for (const std::string_view name : {"verdict", "states"}) twice.put(name);
  payload.replace(payload.find(names.bytes()), names.bytes().size(), twice.bytes());
  EXPECT_THAT(error_of(model_file_of(payload, 3)), HasSubstr("its language model is damaged"));
  layers.put(std::vector<int>{1, 2});
  equal.put(std::vector<int>{2, 2});
  EXPECT_THAT(with(layers.bytes(), equal.bytes()), HasSubstr("its language model is damaged"));
  for (std::size_t n = good_payload().size() - 8; n < reading_payload().size(); ++n)
    EXPECT_NE(error_of(model_file_of(reading_payload().substr(0, n), 3)), "") << n;
}

TEST(ModelFileWithCorrections, FlippedBitsAndExtremeNumbersGiveAnErrorOrAModelThatWorks) {
  Random random(4);
  const std::size_t begin = good_payload().size() - 8, size = reading_payload().size() - begin;
  const std::vector<double> extremes = {HUGE_VAL, NAN, 1.7e308, -1.7e308, 1e-308, 1e11};
  int taken = 0, refused = 0;
  for (int i = 0; i < 1500; ++i) {
    std::string payload = reading_payload();
    if (i % 3 == 0) {
      const double value = extremes[random.below(extremes.size())];
      std::memcpy(payload.data() + begin + random.below(size - sizeof value), &value, sizeof value);
    } else {
      payload[begin + random.below(size)] ^= static_cast<char>(1 << random.below(8));
    }
    auto model = PreferenceModel::from_bytes(model_file_of(payload, 3), "m");
    (model ? taken : refused) += 1;
    if (model) expect_reads(*model);
  }
  EXPECT_GT(taken, 50);
  EXPECT_GT(refused, 50);
}

}  // namespace
}  // namespace agon
