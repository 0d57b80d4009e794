// An invented evaluation with all that occurs in real ones, for tests of the report.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "agon/base/random.h"
#include "agon/preference/report_page.h"

namespace agon::testing {

/// Owns what ReportData only points to.
struct ExampleReport {
  std::vector<Vote> votes;
  std::vector<Prediction> predictions;
  ReportData data;
};

inline Estimate around(double value, double half, std::uint64_t n = 1500) {
  return {value, value - half, value + half, n};
}

inline Metrics example_metrics(double loss, double accuracy, double auc, double half, std::uint64_t rows) {
  Metrics m;
  m.rows = rows;
  m.clusters = rows - rows / 11;
  m.log_loss = around(loss, half, rows);
  m.log_loss_a = around(loss - 0.041, half * 1.7, rows / 3);
  m.log_loss_b = around(loss - 0.012, half * 1.7, rows / 3);
  m.log_loss_tie = around(loss + 0.062, half * 1.5, rows / 3);
  m.accuracy = around(accuracy, half * 1.4, rows);
  m.auc = around(auc, half * 1.6, rows);
  m.brier = around(loss * 0.6, half * 0.6, rows);
  m.ece = {0.028, 0.021, 0.044, rows};
  return m;
}

inline std::vector<ReliabilityBin> example_bins(double first, double last, std::uint64_t seed) {
  std::vector<ReliabilityBin> bins;
  Random random(seed);
  for (int i = 0; i < 15; ++i) {
    ReliabilityBin bin;
    bin.n = 100;
    bin.predicted = first + (last - first) * std::pow((i + 0.5) / 15, 1.4);
    bin.observed = std::clamp(bin.predicted + (random.uniform() - 0.5) * 0.12, 0.01, 0.99);
    bin.low = std::max(0.0, bin.observed - 0.08);
    bin.high = std::min(1.0, bin.observed + 0.1);
    bins.push_back(bin);
  }
  return bins;
}

inline void add_example_slices(Evaluation& e) {
  struct Row {
    const char *dimension, *value;
    std::uint64_t rows;
    double loss, difference, half;
  };
  const Row rows[] = {{"language", "en", 1241, 1.017, -0.081, 0.02},
                      {"language", "ru", 61, 1.042, -0.052, 0.08},
                      {"language", "zh", 54, 1.061, -0.031, 0.09},
                      {"language", "de", 47, 1.001, -0.101, 0.1},
                      {"language", "日本語 (Kanji and Kana)", 33, 1.121, 0.021, 0.12},
                      {"turns", "1", 1287, 1.019, -0.078, 0.021},
                      {"turns", "2", 132, 1.011, -0.084, 0.06},
                      {"turns", "3 or more", 81, 1.034, -0.061, 0.07},
                      {"length", "short (under 500 characters)", 362, 1.052, -0.046, 0.03},
                      {"length", "medium", 743, 1.021, -0.074, 0.026},
                      {"length", "long (over 2,000 characters)", 395, 0.984, -0.112, 0.04},
                      {"code", "no", 1288, 1.022, -0.073, 0.021},
                      {"code", "yes", 212, 1.003, -0.094, 0.05},
                      {"campaign", "weekend-crowd", 41, 1.182, 0.084, 0.07}};
  for (const Row& r : rows) {
    e.slices.push_back({r.dimension, r.value, example_metrics(r.loss, 0.48, 0.66, r.half, r.rows),
                        around(r.difference, r.half, r.rows)});
  }
}

inline void add_example_rows(ExampleReport& report) {
  Random random(7);
  for (std::size_t i = 0; i < 1500; ++i) {
    Vote vote;
    vote.id = std::to_string(30192 + 47 * i);
    vote.row = i + 1;
    vote.model_a = i % 2 == 0 ? "gpt-4-1106-preview" : "mistral-medium";
    vote.model_b = i % 2 == 0 ? "llama-2-7b-chat" : "claude-2.1";
    vote.prompt = {{"Explain why the sky is blue to a child of six.", false}};
    vote.response_a = {
        {"Because of Rayleigh scattering: the air sends blue light in all directions.", false}};
    vote.response_b = {{"Imagine sunlight as a box of crayons…", false}};
    vote.outcome = static_cast<Outcome>(random.below(3));
    const double a = 0.1 + 0.35 * (random.uniform() + random.uniform());
    const double tie = std::min(0.9 - a, 0.16 + 0.12 * (random.uniform() + random.uniform()));
    report.votes.push_back(std::move(vote));
    report.predictions.push_back({a, 1 - a - tie, tie});
  }
  auto& votes = report.votes;
  votes[3].prompt = {
      {"Is it morally right to try to have a certain percentage of females on managerial positions?", false},
      {"OK, does pineapple belong on a pizza? Relax and give me a fun answer.", false}};
  votes[3].response_a = {
      {"The question is complex. There are three main views:\n\n1. **Fairness**: quotas correct for "
       "a history of exclusion.\n2. **Merit**: posts go to whoever is best.\n3. **Outcome**: mixed "
       "boards decide better.",
       false},
      {"Ah, the age-old debate! Yes — 🍍 and ham are sweet and salty, and life is short.", false}};
  votes[3].response_b = {{"As an AI, I don't have personal beliefs.", false}, {"", true}};
  votes[3].outcome = Outcome::kB;
  report.predictions[3] = {0.83, 0.06, 0.11};
  votes[11].prompt = {
      {"</script><script>alert(\"x\")</script> what does this do & why? 'quotes' `ticks`", false}};
  votes[11].response_a = {{"<img src=x onerror=alert(1)> \u202Egnp.exe \x01\x1b[31m", false}};
  votes[11].response_b = {{"", false}};
  votes[11].outcome = Outcome::kTie;
  votes[11].both_bad = true;
  report.predictions[11] = {0.87, 0.04, 0.09};
  votes[20].prompt = {{"اكتب قصيدة قصيرة عن البحر", false}};
  votes[20].response_a = {{"البحر أزرق واسع، والموج يهمس للرمل.", false}};
  votes[20].response_b = {{std::string(90'000, 'x') + " " + std::string(5000, '&'), false}};
  votes[20].outcome = Outcome::kA;
  report.predictions[20] = {0.08, 0.79, 0.13};
  votes[42].prompt = {{"請用三句話解釋量子糾纏，並舉一個生活中的比喻。", false}};
  votes[42].response_a = {{"量子糾纏是兩個粒子共享同一個狀態。", false}};
  votes[42].response_b = {{"想像一雙手套分裝在兩個盒子裡：打開其中一個，就知道另一個是左是右。", false}};
  votes[42].outcome = Outcome::kA;
  report.predictions[42] = {0.11, 0.71, 0.18};
  for (const std::size_t index : {11, 3, 20, 42}) {
    const Prediction& p = report.predictions[index];
    const double happened[] = {p.a, p.b, p.tie};
    report.data.evaluation.surprising.push_back(
        {index, -std::log(happened[static_cast<std::size_t>(votes[index].outcome)])});
  }
}

inline void add_example_features(ReportData& data) {
  data.importances = {
      {"length.chars.rel", "Relative difference in length, characters", 0.02134, false},
      {"structure.list_items.log", "Difference in list items, both numbered and bulleted", 0.00982, false},
      {"strength.author", "How strong a model the answer reads like", 0.00871, false},
      {"overlap.bigrams.ab", "Shared word pairs of A and B", 0.00512, true},
      {"refusal.opener", "Begins by refusing or by hedging", 0.00467, false},
      {"repeat.fourgrams", "Repeated four-word sequences", 0.00318, false},
      {"prompt.asks_brief", "The prompt asks for a short answer", 0.00244, true},
      {"coverage.last_prompt", "Words of the last prompt that the answer takes up", 0.00192, false},
      {"cut.off", "The answer stops in the middle of a sentence", 0.00061, false},
      {"case.upper.share", "Share of capital letters", -0.00011, false}};
  for (int k = 0; k < 5; ++k) {
    EffectCurve curve;
    curve.name = data.importances[static_cast<std::size_t>(k)].name;
    const bool even = data.importances[static_cast<std::size_t>(k)].drives_tie;
    for (int i = 0; i <= 20; ++i) {
      const double x = even ? i / 20.0 : (i - 10) / 10.0 * (k == 1 ? 12 : 1);
      const double lean = even ? 0 : (0.9 - 0.15 * k) * std::tanh(1.5 * (i - 10) / 10.0) * (k == 4 ? -1 : 1);
      const double tie = even ? 0.24 + 0.25 * x * x : 0.31 - 0.05 * std::abs(lean);
      const double a = (1 - tie) / (1 + std::exp(-lean));
      curve.x.push_back(x);
      curve.mean.push_back({a, 1 - tie - a, tie});
      curve.histogram.push_back(std::exp(-0.5 * std::pow((i - 10) / 4.0, 2)));
    }
    data.effects.push_back(std::move(curve));
  }
}

inline ExampleReport example_report() {
  ExampleReport report;
  ReportData& data = report.data;
  data.title = "How well model.agon predicts lmsys_arena_1500.csv";
  data.kind = "cross-validation, 5 folds grouped by prompt";
  Evaluation& e = data.evaluation;
  e.overall = example_metrics(1.0171, 0.491, 0.671, 0.0151, 1500);
  e.prior = example_metrics(1.0966, 0.349, 0.5, 0.0042, 1500);
  e.length_only = example_metrics(1.0502, 0.452, 0.628, 0.0098, 1500);
  e.prior.auc = {std::nan(""), std::nan(""), std::nan(""), 1500};
  e.vs_prior = around(-0.0795, 0.0163);
  e.vs_length_only = around(-0.0331, 0.0112);
  e.reliability_a = example_bins(0.08, 0.82, 1);
  e.reliability_b = example_bins(0.09, 0.78, 2);
  e.reliability_tie = example_bins(0.14, 0.52, 3);
  add_example_slices(e);
  add_example_rows(report);
  for (const auto& [rows, loss, half] : {std::tuple{150, 1.0712, 0.021},
                                         {300, 1.0541, 0.018},
                                         {600, 1.0378, 0.0165},
                                         {900, 1.0251, 0.016},
                                         {1200, 1.0171, 0.0151}}) {
    data.learning_curve.push_back({static_cast<std::uint64_t>(rows), around(loss, half)});
  }
  add_example_features(data);
  data.learners = {{"odd_even", "Regularised linear model, direction and tie apart", 1.0203, 0.38},
                   {"trees", "Gradient-boosted trees, each row also swapped", 1.0262, 0.31},
                   {"char_ngrams", "Character n-grams of A minus those of B", 1.0518, 0.17},
                   {"strength", "How strong a model each answer reads like", 1.0537, 0.14}};
  data.notes = {"mt_bench_human.csv.gz helps at weight 0.15: kept",
                "llmfao_crowd.csv.gz makes held-out rows worse at every weight tried: left out",
                "12 rows have a null turn, 3 an empty answer; all were kept"};
  data.provenance = {
      {"command", "agon train lmsys_arena_1500.csv mt_bench_human.csv.gz:auto -o model.agon --seed 1"},
      {"votes",
       "lmsys_arena_1500.csv, sha256 9f2c4e0b7a1d43f5a0c6b8e1d2f3948576a1b2c3d4e5f60718293a4b5c6d7e8f"},
      {"seed", "1"},
      {"program", "agon 0.1.0, g++ 12.2.0, XGBoost 1.7.6"}};
  data.votes = report.votes;
  data.predictions = report.predictions;
  return report;
}

}  // namespace agon::testing
