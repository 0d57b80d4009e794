#include "agon/preference/report_page.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>

#include "markup_check.h"
#include "report_example.h"

namespace agon {
namespace {

using testing::markup_fault;

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size()))
    ++n;
  return n;
}

/// One line for each element that carries meaning, indented by depth: survives changes of wording and style.
std::string skeleton(const std::string& page) {
  std::vector<testing::Tag> tags;
  EXPECT_EQ(markup_fault(page, &tags), "");
  const std::vector<std::string> kKept = {"main",  "header",  "section", "h1",      "h2",  "h3", "figure",
                                          "table", "details", "svg",     "summary", "nav", "ul", "footer"};
  std::string out;
  int depth = 0;
  for (const auto& tag : tags) {
    if (std::find(kKept.begin(), kKept.end(), tag.name) == kKept.end()) continue;
    if (tag.closing) {
      --depth;
      continue;
    }
    out += std::string(2 * static_cast<std::size_t>(depth), ' ') + tag.name;
    for (const std::string_view key : {" id=\"", " class=\"", " aria-label=\""}) {
      const std::size_t at = tag.attributes.find(key);
      if (at == std::string::npos) continue;
      const std::size_t from = at + key.size();
      out += " " + tag.attributes.substr(from, tag.attributes.find('"', from) - from);
    }
    out += '\n';
    ++depth;
  }
  return out;
}

// AGON_REPORT_DEMO=/tmp/report.html writes the example page, to be looked at in a browser.
// AGON_UPDATE_GOLDEN=1 accepts the present structure.
TEST(ReportPage, StructureIsTheGoldenOne) {
  const auto example = testing::example_report();
  const std::string page = render_report(example.data);
  if (const char* path = std::getenv("AGON_REPORT_DEMO")) std::ofstream(path) << page;
  const std::string golden_path = std::string(AGON_TEST_DATA) + "/report/structure.txt";
  if (std::getenv("AGON_UPDATE_GOLDEN") != nullptr) std::ofstream(golden_path) << skeleton(page);
  std::ifstream file(golden_path);
  ASSERT_TRUE(file) << golden_path;
  std::stringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(skeleton(page), golden.str());
}

TEST(ReportPage, SameDataGivesTheSameBytes) {
  EXPECT_EQ(render_report(testing::example_report().data), render_report(testing::example_report().data));
}

TEST(ReportPage, SaysTheFiguresItWasGiven) {
  const std::string page = render_report(testing::example_report().data);
  for (const char* figure :
       {"1.0171", "[1.0020,\u00a01.0322]", "−0.0795", "[−0.0958,\u00a0−0.0632]", "49.1\u00a0%",
        "36.2\u00a0%",  // exp(-1.0171)
        "7.2\u00a0%",   // 0.0795 / 1.0966
        "weekend-crowd", "length.chars.rel", "char_ngrams", "left out", "agon 0.1.0"}) {
    EXPECT_NE(page.find(figure), std::string::npos) << figure;
  }
}

TEST(ReportPage, LoadsNothingAndRunsNothing) {
  const std::string page = render_report(testing::example_report().data);
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
  std::vector<testing::Tag> tags;
  ASSERT_EQ(markup_fault(page, &tags), "");
  for (const auto& tag : tags) {
    EXPECT_NE(tag.name, "script");
    EXPECT_NE(tag.name, "link");
    EXPECT_NE(tag.name, "img");
    EXPECT_NE(tag.name, "iframe");
    EXPECT_EQ(tag.attributes.find(" on"), std::string::npos) << tag.name << tag.attributes;
    EXPECT_EQ(tag.attributes.find(" src="), std::string::npos);
    const std::size_t href = tag.attributes.find("href=\"");
    if (href != std::string::npos) {
      EXPECT_EQ(tag.attributes[href + 6], '#') << tag.attributes;
    }
  }
  EXPECT_EQ(count(page, "http:") + count(page, "https:") + count(page, "url(") + count(page, "@import"), 0U);
}

TEST(ReportPage, HostileTextStaysText) {
  auto example = testing::example_report();
  const std::string evil =
      "</style></title></script><script>alert(1)</script>\" onload=\"x' \u202E \x01 http://evil.test ]]>";
  auto& data = example.data;
  data.title = data.kind = evil;
  data.notes = {evil};
  data.provenance = {{evil, evil}};
  data.learners[0].name = data.learners[0].description = evil;
  data.importances[0].name = data.importances[0].description = data.effects[0].name = evil;
  data.evaluation.slices[0].dimension = data.evaluation.slices[0].value = evil;
  auto& vote = example.votes[3];
  vote.id = vote.model_a = vote.model_b = evil;
  vote.prompt[0].text = vote.response_a[0].text = vote.response_b[0].text = evil;
  vote.prompt[1].text = std::string("\0nul", 4) + evil;
  data.votes = example.votes;
  const std::string page = render_report(data);
  std::vector<testing::Tag> tags;
  EXPECT_EQ(markup_fault(page, &tags), "");
  for (const auto& tag : tags) {
    EXPECT_NE(tag.name, "script");
    EXPECT_EQ(tag.attributes.find(" onload=\"x"), std::string::npos);
  }
  EXPECT_EQ(count(page, "</style>"), 1U);
  EXPECT_EQ(count(page, "</title>"), count(page, "<title>"));
  EXPECT_EQ(page.find('\0'), std::string::npos);
  EXPECT_EQ(page.find('\x01'), std::string::npos);
  EXPECT_EQ(page.find("\u202E"), std::string::npos);
  EXPECT_NE(page.find("⟦U+202E⟧"), std::string::npos);
  EXPECT_NE(page.find("http://evil.test"), std::string::npos);
}

TEST(ReportPage, StaysBelowTwoMegabytesWhateverTheData) {
  auto example = testing::example_report();
  auto& data = example.data;
  const std::string huge(5000, '"');  // six bytes each once escaped
  const std::string line(1 << 20, '"');
  data.title = data.kind = huge;
  data.notes.assign(1000, huge);
  data.provenance.assign(1000, {huge, huge});
  data.learners.assign(1000, {huge, huge, 1, 0.5});
  data.importances.assign(1000, {huge, huge, 1, false});
  EffectCurve curve{huge, std::vector<double>(5000), std::vector<Prediction>(5000),
                    std::vector<double>(5000, 1)};
  for (std::size_t i = 0; i < curve.x.size(); ++i) curve.x[i] = static_cast<double>(i) / 7;
  data.effects.assign(100, curve);
  data.learning_curve.assign(1000, {100, testing::around(1, 0.1)});
  for (std::size_t i = 0; i < 1000; ++i) {
    data.evaluation.slices.push_back(
        {huge, huge, testing::example_metrics(1, 0.5, 0.6, 0.1, 50), testing::around(0, 0.1)});
    data.evaluation.surprising.push_back({i, 3.0});
  }
  for (std::size_t i = 0; i < 50; ++i) {
    Vote& vote = example.votes[i];
    vote.id = vote.model_a = vote.model_b = huge;
    vote.prompt = vote.response_a = vote.response_b = Turns(20, Turn{huge, false});
    vote.outcome = Outcome::kA;
  }
  example.votes[7].response_b.back().text = line;
  data.votes = example.votes;
  const std::string page = render_report(data);
  EXPECT_LT(page.size(), 2'000'000U);
  EXPECT_EQ(markup_fault(page), "");
  EXPECT_NE(page.find("cut here; the whole text has 1,048,576 bytes"), std::string::npos);
  EXPECT_NE(page.find("880 more notes are not shown here"), std::string::npos);
}

TEST(ReportPage, EmptyPartsAreLeftOut) {
  const std::string page = render_report({});
  EXPECT_EQ(markup_fault(page), "");
  EXPECT_EQ(count(page, "<section"), 0U);
  EXPECT_NE(page.find("No labelled rows"), std::string::npos);

  auto example = testing::example_report();
  example.data.learning_curve.clear();
  example.data.learners.clear();
  example.data.evaluation.slices.clear();
  const std::string part = render_report(example.data);
  EXPECT_EQ(markup_fault(part), "");
  for (const char* id : {"id=\"learning\"", "id=\"learners\"", "id=\"slices\"", "href=\"#slices\""}) {
    EXPECT_EQ(part.find(id), std::string::npos) << id;
  }
  EXPECT_NE(part.find("id=\"surprises\""), std::string::npos);
}

TEST(ReportPage, WhatCannotBeComputedReadsNotAvailable) {
  auto example = testing::example_report();
  auto& data = example.data;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const Estimate unknown{nan, nan, nan, 10};
  for (Metrics* m : {&data.evaluation.overall, &data.evaluation.prior, &data.evaluation.slices[0].metrics}) {
    m->log_loss = m->log_loss_a = m->log_loss_b = m->log_loss_tie = unknown;
    m->accuracy = m->auc = m->brier = m->ece = unknown;
  }
  data.evaluation.vs_prior = data.evaluation.vs_length_only = data.evaluation.slices[0].vs_prior = unknown;
  data.evaluation.slices[1].vs_prior = {infinity, -infinity, infinity, 3};
  data.evaluation.reliability_a.assign(3, {nan, nan, nan, nan, 0});
  data.learning_curve[1].log_loss = unknown;
  data.learning_curve[2].log_loss = {infinity, 1, infinity, 10};
  data.importances[0].importance = nan;
  data.effects[0].mean[3] = {nan, nan, nan};
  data.effects[1].x[0] = -infinity;
  data.learners[0].log_loss = data.learners[1].weight = nan;
  example.predictions[3] = {nan, nan, nan};
  data.predictions = example.predictions;
  data.evaluation.surprising.push_back({1'000'000, 9});  // points nowhere: passed over
  const std::string page = render_report(data);
  EXPECT_EQ(markup_fault(page), "");
  EXPECT_GT(count(page, "n/a"), 20U);
  EXPECT_EQ(count(page, " nan") + count(page, ">nan") + count(page, "\"nan"), 0U);
}

}  // namespace
}  // namespace agon
