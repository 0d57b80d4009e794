#include "agon/data/submission.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <bit>
#include <cmath>
#include <fstream>
#include <sstream>

#include "agon/base/random.h"
#include "agon/base/test_folder.h"

namespace agon {
namespace {

std::string path_of(const std::string& name) {
  static const TempFolder folder;
  return folder / name;
}

std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string write_one(const Prediction& p, const std::string& id, const std::string& name) {
  auto writer = SubmissionWriter::create(path_of(name), submission_format(name));
  EXPECT_TRUE(writer);
  EXPECT_TRUE(writer->write(id, p));
  EXPECT_TRUE(writer->commit());
  return text_of(path_of(name));
}

bool same_bits(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

/// The printed digits as whole numbers of 1e-9.
std::array<long long, 3> printed_units(const Prediction& p) {
  std::array<long long, 3> units{};
  const double values[] = {p.a, p.b, p.tie};
  for (int i = 0; i < 3; ++i) {
    char text[32];
    std::snprintf(text, sizeof text, "%.9f", values[i]);
    units[i] = std::stoll(std::string(text).erase(1, 1));
  }
  return units;
}

void check(const Prediction& p) {
  const Prediction q = quantised(p);
  const auto units = printed_units(q);
  ASSERT_EQ(units[0] + units[1] + units[2], 1'000'000'000);
  for (const auto u : units) {
    ASSERT_GE(u, 1);
    ASSERT_LT(u, 1'000'000'000);
  }
  const Prediction s = swapped(quantised(swapped(p)));
  ASSERT_TRUE(same_bits(q.a, s.a) && same_bits(q.b, s.b) && same_bits(q.tie, s.tie));
  const Prediction again = quantised(q);
  ASSERT_TRUE(same_bits(q.a, again.a) && same_bits(q.b, again.b) && same_bits(q.tie, again.tie));
  const double sum = p.a + p.b + p.tie;
  ASSERT_NEAR(q.a, p.a / sum, 4e-9);
  ASSERT_NEAR(q.b, p.b / sum, 4e-9);
  ASSERT_NEAR(q.tie, p.tie / sum, 4e-9);
}

TEST(Quantised, SumsToOneAndSwapsExactlyOverRandomPredictions) {
  Random random(1);
  for (int i = 0; i < 200'000; ++i) {
    // From flat to so sharp that all but one are below a unit.
    const double sharpness = std::pow(10.0, 4.0 * random.uniform() - 2.0);
    double e[3], sum = 0;
    for (double& x : e) sum += x = std::exp(sharpness * (2 * random.uniform() - 1));
    ASSERT_NO_FATAL_FAILURE(check({e[0] / sum, e[1] / sum, e[2] / sum}));
  }
}

TEST(Quantised, HoldsAtTheEdges) {
  const double values[] = {0.0,  5e-324,  1e-300, 1e-10,       4.9e-10,     5e-10,    1e-9,      1.5e-9,
                           0.25, 1.0 / 3, 0.5,    0.5 - 1e-10, 0.5 + 5e-10, 1 - 1e-9, 1 - 1e-10, 1.0};
  int checked = 0;
  for (const double a : values) {
    for (const double b : values) {
      if (a + b > 1) continue;
      ASSERT_NO_FATAL_FAILURE(check({a, b, 1 - (a + b)}));
      ++checked;
    }
  }
  EXPECT_GT(checked, 100);
  check({0.5, 0.5, 0});
  check({0, 0, 1});
  check({0, 1, 0});
  check({0.4999999995, 0.4999999995, 1e-12});
}

RC_GTEST_PROP(Quantised, TakesASumNearOne, ()) {
  const auto draw = [] { return (1 + *rc::gen::inRange(0, 1'000'000)) / 1e6; };
  const double a = draw(), b = draw(), tie = draw(), sum = a + b + tie;
  check({1.0005 * a / sum, 1.0005 * b / sum, 1.0005 * tie / sum});
}

TEST(Submission, IsInTheCompetitionsForm) {
  EXPECT_EQ(write_one({0.25, 0.5, 0.25}, "30192", "s.csv"),
            "id,winner_model_a,winner_model_b,winner_tie\n30192,0.250000000,0.500000000,0.250000000\n");
  EXPECT_EQ(
      write_one({1.0 / 3, 1.0 / 3, 1.0 / 3}, "a,\"b\"", "s.csv"),
      "id,winner_model_a,winner_model_b,winner_tie\n\"a,\"\"b\"\"\",0.333333333,0.333333333,0.333333334\n");
  EXPECT_EQ(write_one({0.25, 0.5, 0.25}, "x\"\n", "s.jsonl"),
            "{\"id\":\"x\\\"\\n\",\"winner_model_a\":0.250000000,\"winner_model_b\":0.500000000,"
            "\"winner_tie\":0.250000000}\n");
  EXPECT_EQ(submission_format("a.jsonl.gz"), SubmissionFormat::kJsonl);
  EXPECT_EQ(submission_format("a.ndjson"), SubmissionFormat::kJsonl);
  EXPECT_EQ(submission_format("jsonl.csv.zst"), SubmissionFormat::kCsv);
}

TEST(Submission, ReadsBackWhatItWroteInEveryForm) {
  for (const std::string name : {"r.csv", "r.csv.gz", "r.jsonl", "r.jsonl.zst"}) {
    Random random(7);
    std::vector<std::pair<std::string, Prediction>> rows;
    auto writer = SubmissionWriter::create(path_of(name), submission_format(name));
    ASSERT_TRUE(writer);
    for (int i = 0; i < 5000; ++i) {
      const double a = random.uniform() * 0.5, b = random.uniform() * 0.5;
      rows.emplace_back("id,\"" + std::to_string(i), quantised({a, b, 1 - a - b}));
      ASSERT_TRUE(writer->write(rows.back().first, {a, b, 1 - a - b}));
    }
    ASSERT_TRUE(writer->commit());
    const auto back = read_submission(path_of(name));
    ASSERT_TRUE(back) << back.error().to_string();
    ASSERT_EQ(back->size(), rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ASSERT_EQ((*back)[i].first, rows[i].first);
      ASSERT_NEAR((*back)[i].second.a, rows[i].second.a, 1e-15);
      ASSERT_NEAR((*back)[i].second.b, rows[i].second.b, 1e-15);
      ASSERT_NEAR((*back)[i].second.tie, rows[i].second.tie, 1e-15);
    }
  }
}

TEST(Submission, ReadsTheCompetitionsSample) {
  const auto rows = read_submission(std::string(AGON_TEST_DATA) + "/votes/lmsys_sample_submission_3.csv");
  ASSERT_TRUE(rows) << rows.error().to_string();
  ASSERT_EQ(rows->size(), 3u);
  EXPECT_EQ((*rows)[0].first, "136060");
  EXPECT_DOUBLE_EQ((*rows)[2].second.tie, 1.0 / 3);
}

TEST(Submission, RefusesWhatIsNoPrediction) {
  const std::string path = path_of("bad.csv"), head = "id,winner_model_a,winner_model_b,winner_tie\n";
  const auto error_of = [&](const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
    const auto rows = read_submission(path);
    return rows ? "no error" : rows.error().to_string().substr(path.size() + 2);
  };
  EXPECT_EQ(error_of(""), "the file is empty");
  EXPECT_EQ(error_of("id,winner_model_a,winner_tie\n"),
            "missing column winner_model_b (expected id, winner_model_a, winner_model_b, winner_tie)");
  EXPECT_EQ(error_of(head + "1,0.2,0.3,0.5\n2,nan,0.5,0.5\n"),
            "row 2, column 'winner_model_a': nan is no probability (expected a number from 0 to 1)");
  EXPECT_EQ(error_of(head + "1,0.7,-0.2,0.5\n"),
            "row 1, column 'winner_model_b': -0.2 is no probability (expected a number from 0 to 1)");
  EXPECT_EQ(error_of(head + "1,0.2,0.3,x\n"),
            "row 1, column 'winner_tie': 'x' is no probability (expected a number from 0 to 1)");
  EXPECT_EQ(error_of(head + "1,0.2,0.3,0.4\n"),
            "row 1: the three probabilities sum to 0.9 (expected 1, within 0.001)");
  EXPECT_EQ(error_of(head + "1,0.2,0.3,0.5005\n"), "no error");
  EXPECT_EQ(error_of(head + "1,0.2,0.3,0.5\n1,0.2,0.3,0.5\n"), "row 2, column 'id': id '1' occurs twice");
  EXPECT_EQ(error_of("{\"id\":1,\"winner_model_a\":0.2,\"winner_model_b\":0.3}\n"),
            "row 1, column 'winner_tie': missing, or not a number (expected a number from 0 to 1)");
  EXPECT_EQ(error_of("{\"id\":1,"), "row 1: not a JSON object");
}

}  // namespace
}  // namespace agon
