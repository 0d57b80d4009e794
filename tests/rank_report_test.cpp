// The leaderboard's page: it says what the board says, whatever the board and whatever the names.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <limits>
#include <regex>

#include "agon/base/random.h"
#include "agon/ranking/board_text.h"
#include "agon/ranking/report.h"
#include "agon/report/html.h"
#include "agon/report/number.h"
#include "markup_check.h"

namespace agon {
namespace {

using testing::markup_fault;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

const std::string kEvil =
    "</style></title></script><script>alert(1)</script>\" onload=\"x' \u202E \x01 http://evil.test ]]>";

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size()))
    ++n;
  return n;
}

/// What is wrong with a page, or empty: markup, outside resources, scripts, numbers that are none.
std::string page_fault(const std::string& page) {
  std::vector<testing::Tag> tags;
  if (std::string wrong = markup_fault(page, &tags); !wrong.empty()) return wrong;
  for (const auto& tag : tags) {
    for (const char* name : {"script", "link", "img", "iframe", "object", "form"})
      if (tag.name == name) return "a <" + tag.name + ">";
    static const std::regex kHandler("\\son[a-z]+=|\\ssrc=|\\sstyle=");
    static const std::regex kText("=\"[^\"]*\"");
    if (std::regex_search(std::regex_replace(tag.attributes, kText, "=\"\""), kHandler))
      return "attributes " + tag.attributes;
    const std::size_t href = tag.attributes.find("href=\"");
    if (href != std::string::npos && tag.attributes[href + 6] != '#') return "a link outside";
  }
  static const std::regex kNumbers(" (x|y|x1|x2|y1|y2|cx|cy|d|width|height)=\"[^\"]*(nan|inf)[^\"]*\"");
  if (std::regex_search(page, kNumbers)) return "a coordinate is no number";
  // An endless interval reads "[-inf, 3]"; figures do not.
  static const std::regex kFigures(".{40}[> ]([-−]?inf<|[-−+]?nan).{20}");
  if (std::smatch found; std::regex_search(page, found, kFigures)) return "no number in " + found.str();
  if (count(page, "url(") + count(page, "@import") > 0) return "loads something";
  if (count(page, "default-src 'none'") != 1) return "no policy";
  return {};
}

/// A synthetic arena with rows, categories, times and a style number that helps to win.
BattleSet arena(std::uint32_t n, std::size_t battles, std::uint64_t seed) {
  Random random(seed);
  BattleSet set;
  for (std::uint32_t i = 0; i < n; ++i) set.competitors.push_back("model-" + std::to_string(i));
  BattleRows& rows = set.rows;
  CodeColumn category{"category", {"code", "maths & logic", "rare"}, {}};
  PairedColumn length{"tokens", {}, {}};
  for (std::size_t r = 0; r < battles; ++r) {
    const auto a = static_cast<std::uint32_t>(random.below(n));
    const auto b = static_cast<std::uint32_t>((a + 1 + random.below(n - 1)) % n);
    const double long_a = 50 + 400 * random.uniform(), long_b = 50 + 400 * random.uniform();
    const double odds =
        0.5 * (static_cast<double>(b) - static_cast<double>(a)) + 1.5 * (long_a - long_b) / (long_a + long_b);
    const double u = random.uniform();
    rows.a.push_back(a);
    rows.b.push_back(b);
    rows.outcome.push_back(u < 0.15                                       ? BattleOutcome::kTie
                           : u < 0.25                                     ? BattleOutcome::kBothBad
                           : random.uniform() < 1 / (1 + std::exp(-odds)) ? BattleOutcome::kA
                                                                          : BattleOutcome::kB);
    rows.time.push_back(1'700'000'000'000 + static_cast<std::int64_t>(r) * 3'600'000);
    category.code.push_back(r < 2 ? 2 : static_cast<std::uint32_t>(r % 2));
    length.a.push_back(static_cast<float>(long_a));
    length.b.push_back(static_cast<float>(long_b));
  }
  rows.codes.push_back(std::move(category));
  rows.style.push_back(std::move(length));
  set.pairs = count_pairs(rows, n);
  return set;
}

struct Example {
  BattleSet set;
  Board board;
  Categories categories;
  Drift drift;
  [[nodiscard]] RankReport report() const {
    return {"A synthetic arena",
            board,
            &categories,
            &drift,
            {"Voter <7> always chose the first answer."},
            {{"file", "votes.csv"}, {"sha256", "0123abcd"}}};
  }
};

const Example& example() {
  static const Example kExample = [] {
    Example e;
    e.set = arena(6, 3000, 7);
    BoardOptions options;
    options.style = {"tokens"};
    options.elo_shuffles = 3;
    auto board = make_board(e.set, options);
    EXPECT_TRUE(board) << board.error().message;
    e.board = std::move(*board);
    auto categories = category_boards(e.set, "category", options);
    EXPECT_TRUE(categories) << categories.error().message;
    e.categories = std::move(*categories);
    auto spans = drift(e.set, 3, options);
    EXPECT_TRUE(spans) << spans.error().message;
    e.drift = std::move(*spans);
    return e;
  }();
  return kExample;
}

TEST(RankReport, HasEverySectionAndLoadsNothing) {
  const std::string page = render_rank_report(example().report());
  EXPECT_EQ(page_fault(page), "");
  for (const char* id : {"headline", "board", "pairs", "better", "style", "categories", "drift", "ties",
                         "health", "provenance"}) {
    EXPECT_EQ(count(page, "<section id=\"" + std::string(id) + "\""), 1U) << id;
    EXPECT_EQ(count(page, "<li><a href=\"#" + std::string(id) + "\""), 1U) << id;
  }
  EXPECT_EQ(count(page, "http:") + count(page, "https:"), 0U);
  EXPECT_EQ(page, render_rank_report(example().report()));
}

TEST(RankReport, SaysTheFiguresOfTheBoard) {
  const Board& board = example().board;
  const std::string page = render_rank_report(example().report());
  for (const BoardRow& row : board.rows) {
    EXPECT_NE(page.find(">" + format_fixed(row.rating.rating, 1) + "<"), std::string::npos) << row.name;
    EXPECT_NE(page.find(">" + format_fixed(row.styled->rating, 1) + "<"), std::string::npos) << row.name;
    const double rate = (row.wins + (row.ties + row.both_bad) / 2) / row.votes;
    EXPECT_NE(page.find(">" + format_percent(rate) + "<"), std::string::npos) << row.name;
  }
  for (const TieComparison& t : board.ties)
    EXPECT_NE(page.find(">" + format_fixed(t.loss, 6) + "<"), std::string::npos) << t.parameter;
  const double share = board.won(0, 1) / board.met(0, 1);
  EXPECT_NE(
      page.find(board.rows[0].name + " against " + board.rows[1].name + ": won " + format_percent(share)),
      std::string::npos);
  // With half wins the expected share is the logistic curve of the rating difference.
  const double gap = board.rows[0].rating.rating - board.rows[1].rating.rating;
  EXPECT_NE(page.find("the ratings expect " + format_percent(1 / (1 + std::pow(10, -gap / 400)))),
            std::string::npos);
  EXPECT_NE(page.find(escape_html(method_words(board))), std::string::npos);
  EXPECT_NE(page.find(fit_words(board)), std::string::npos);
  for (const char* part :
       {"3,000", "0123abcd", "maths &amp; logic", "Voter &lt;7&gt; always", "rare: 2 votes",
        "15 of 15 possible pairs met", "helps: of two equal competitors", ">converged<", "2023-1"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
}

TEST(RankReport, SaysWhoLeadsAndHowSurely) {
  Board board = example().board;
  const RankReport report{"t", board, nullptr, nullptr, {}, {}};
  for (BoardRow& row : board.rows) row.ranks = {2, 6};
  board.rows[0].ranks = {1, 1};
  std::string page = render_rank_report(report);
  EXPECT_NE(
      page.find("</b> leads. With 95\u00a0% certainty the people who voted prefer it to each of the other 5"),
      std::string::npos);
  EXPECT_NE(page.find("shown to be better than 5 of the 5 others"), std::string::npos);
  board.rows[0].ranks = {1, 4};
  board.rows[2].ranks = {1, 6};
  page = render_rank_report(report);
  EXPECT_NE(page.find("The first place is not settled: 2 competitors may hold it, <b><bdi>" +
                      board.rows[0].name + "</bdi></b> and <b><bdi>" + board.rows[2].name + "</bdi></b>."),
            std::string::npos);
  EXPECT_NE(page.find("better than 2 of the other 5"), std::string::npos);
  EXPECT_NE(page.find(">1 to 4<"), std::string::npos);
  board.rows[0].ranks = {1, 6};
  board.fit.converged = false;
  page = render_rank_report(report);
  EXPECT_NE(page.find("it is not shown to be better than any other"), std::string::npos);
  EXPECT_NE(page.find("not converged"), std::string::npos);
  EXPECT_NE(page.find("do not publish"), std::string::npos);
}

TEST(RankReport, OpenQuestionsAreNotCalledUnlikely) {
  Board board = example().board;
  // A corrected confidence of 0.2 does not say that B is better.
  board.better_corrected(0, 1) = 0.2;
  board.better(0, 1) = 0.93;
  board.better_corrected(0, 2) = 0.97;
  const std::string page = render_rank_report({"t", board, nullptr, nullptr, {}, {}});
  EXPECT_NE(page.find(">open<small>93.0</small>"), std::string::npos);
  EXPECT_EQ(page.find(">20.0<"), std::string::npos);
  static const std::regex kShown("<td class=\"num shown\"[^>]*>97.0<");
  EXPECT_TRUE(std::regex_search(page, kShown));
}

TEST(RankReport, TieModelsAreComparedWhereTheyCanBe) {
  Board board = example().board;
  board.ties = {{TieModel::kHalf, 0.6, 10, "no parameter", "", true, 4},
                {TieModel::kDavidson, 1.02, 10, "nu 1", "", true, 4},
                {TieModel::kRaoKupper, 1.01, 10, "eta 1", "", true, 4},
                {TieModel::kBadThreshold, 0, 0, "", "no <both bad> votes", false, 0}};
  const RankReport report{"t", board, nullptr, nullptr, {}, {}};
  std::string page = render_rank_report(report);
  EXPECT_NE(page.find("rao-kupper describes these votes better, by 0.010000 a vote"), std::string::npos);
  EXPECT_NE(page.find("no &lt;both bad&gt; votes"), std::string::npos);
  board.ties[1].loss = 1.00;
  EXPECT_NE(render_rank_report(report).find("davidson describes these votes better"), std::string::npos);
  board.ties[1].error = "failed";
  page = render_rank_report(report);
  EXPECT_EQ(page.find("describes these votes better"), std::string::npos);
  EXPECT_EQ(page_fault(page), "");
}

TEST(RankReport, HostileNamesStayNames) {
  Example e = example();
  for (Board* board : {&e.board, &e.categories.boards[0], &e.drift.points[0].board}) {
    board->name = kEvil;
    for (std::size_t r = 0; r < board->rows.size(); ++r) board->rows[r].name = std::to_string(r) + kEvil;
    for (std::string& name : board->names) name = kEvil;
    board->options.anchor = kEvil;
    board->warnings = {kEvil};
    for (StyleEffect& effect : board->style) effect.name = kEvil;
    for (TieComparison& tie : board->ties) tie.parameter = kEvil;
  }
  e.categories.column = kEvil;
  e.categories.left_out = e.drift.left_out = {kEvil};
  e.board.graph.bridges = {{0, 1, 3, {1}}};
  e.board.graph.one_opponent = {2};
  e.board.graph.weakest_side = {0, 1};
  e.board.graph.normalised_connectivity = 0.01;
  RankReport report = e.report();
  report.title = kEvil;
  report.health.assign(20, kEvil);
  report.provenance = {{kEvil, kEvil}};
  const std::string page = render_rank_report(report);
  EXPECT_EQ(page_fault(page), "");
  EXPECT_EQ(count(page, "</style>"), 1U);
  EXPECT_EQ(count(page, "<script"), 0U);
  EXPECT_EQ(page.find('\x01'), std::string::npos);
  EXPECT_EQ(page.find("\u202E"), std::string::npos);
  EXPECT_NE(page.find("⟦U+202E⟧"), std::string::npos);
}

TEST(RankReport, SmallBoards) {
  Board board;
  RankReport report{"", board, nullptr, nullptr, {}, {}};
  std::string page = render_rank_report(report);
  EXPECT_EQ(page_fault(page), "");
  EXPECT_NE(page.find("no competitors with votes"), std::string::npos);

  board.rows.resize(1);
  board.rows[0].name = "alone";
  board.names = {"alone"};
  page = render_rank_report(report);
  EXPECT_EQ(page_fault(page), "");
  EXPECT_NE(page.find("is the only competitor"), std::string::npos);
  EXPECT_EQ(page.find("id=\"pairs\""), std::string::npos);

  BattleSet set;
  set.competitors = {"x", "y"};
  PairCount pair;
  pair.second = 1;
  pair.weight = pair.weight_sq = {7, 2, 1, 0};
  pair.battles = 10;
  set.pairs = {pair};
  const auto two = make_board(set, {});
  ASSERT_TRUE(two) << two.error().message;
  page = render_rank_report({"", *two, nullptr, nullptr, {}, {}});
  EXPECT_EQ(page_fault(page), "");
  EXPECT_NE(page.find("won 75.0\u00a0% of 10 votes; the ratings expect 75.0\u00a0%"), std::string::npos);
  for (const char* id : {"id=\"style\"", "id=\"categories\"", "id=\"drift\""})
    EXPECT_EQ(page.find(id), std::string::npos) << id;
}

TEST(RankReport, CompositeBoardsHaveNoFitOfTheirOwn) {
  const Example& e = example();
  BoardOptions options;
  const auto mean = composite_of(e.set, e.categories, {{"code", 0.5}, {"maths & logic", 0.5}}, options);
  ASSERT_TRUE(mean) << mean.error().message;
  const std::string page = render_rank_report({"", *mean, &e.categories, nullptr, {}, {}});
  EXPECT_EQ(page_fault(page), "");
  EXPECT_NE(page.find("weighted mean of the boards"), std::string::npos);
  EXPECT_EQ(page.find("id=\"pairs\""), std::string::npos);
  EXPECT_NE(page.find("id=\"categories\""), std::string::npos);
}

TEST(RankReport, AnyBoard) {
  EXPECT_TRUE(rc::check("well-formed whatever the numbers", [] {
    Example e = example();
    const auto number =
        rc::gen::element(0.0, 1.0, -1.0, 0.5, 1e-300, 1e300, -7.25, kNaN, kInfinity, -kInfinity);
    const auto upset = [&](Board& board) {
      for (BoardRow& row : board.rows) {
        for (double* x : {&row.rating.rating, &row.rating.low, &row.rating.high, &row.rating.se, &row.low_all,
                          &row.high_all, &row.votes, &row.wins, &row.ties})
          if (*rc::gen::inRange(0, 3) == 0) *x = *number;
        row.ranks = {*rc::gen::inRange(1U, 9U), *rc::gen::inRange(1U, 9U)};
        if (*rc::gen::inRange(0, 4) == 0) row.styled.reset();
        if (row.styled && *rc::gen::inRange(0, 4) == 0) row.styled->rating = *number;
        if (*rc::gen::inRange(0, 4) == 0) row.elo.reset();
      }
      for (Matrix* m : {&board.met, &board.won, &board.better, &board.better_corrected}) {
        for (double& x : m->values)
          if (*rc::gen::inRange(0, 5) == 0) x = *number;
        if (*rc::gen::inRange(0, 8) == 0) *m = Matrix();
      }
      for (StyleEffect& effect : board.style) effect.low = *number, effect.value = *number;
      for (TieComparison& tie : board.ties) tie.loss = *number, tie.votes = *number;
      board.graph.normalised_connectivity = *number;
      board.options.scale = *rc::gen::element(kEloScale, 1.0, -3.0);
      board.z_all = *number;
      if (*rc::gen::inRange(0, 3) == 0) board.fit = PairedFit();
      if (*rc::gen::inRange(0, 3) == 0)
        board.rows.resize(*rc::gen::inRange<std::size_t>(0, board.rows.size()));
    };
    upset(e.board);
    for (Board& board : e.categories.boards) upset(board);
    for (DriftPoint& point : e.drift.points) upset(point.board);
    const std::string page = render_rank_report(e.report());
    RC_ASSERT(page_fault(page) == "");
  }));
}

TEST(RankReport, ThousandsOfHostileCompetitorsStaySmall) {
  const std::size_t n = 2000;
  Board board;
  board.met = board.won = Matrix(n, n);
  board.rows.resize(n);
  for (std::size_t r = 0; r < n; ++r) {
    BoardRow& row = board.rows[r];
    row.name = std::to_string(r) + std::string(5000, '"');
    row.competitor = static_cast<std::uint32_t>(r);
    row.rating = {2000 - static_cast<double>(r), 1990 - static_cast<double>(r), 2010 - static_cast<double>(r),
                  5};
    row.styled =
        Rating{1000 + static_cast<double>(r), 990 + static_cast<double>(r), 1010 + static_cast<double>(r), 5};
    row.elo = EloSpread{1, 2, 3, 4};
    row.votes = 20'000;
    board.names.push_back(row.name);
    for (std::size_t c = 0; c < n; ++c) {
      if (c == r) continue;
      board.met(r, c) = 1234;
      board.won(r, c) = r < c ? 1000 : 234;
    }
  }
  board.warnings.assign(5000, std::string(10'000, '<'));
  Categories categories;
  categories.column = board.names[0];
  for (std::size_t c = 0; c < 60; ++c) {
    Board& one = categories.boards.emplace_back();
    one.name = std::to_string(c) + std::string(5000, '"');
    one.rows.assign(board.rows.begin(), board.rows.begin() + 500);
  }
  categories.left_out = board.warnings;
  Drift drift;
  for (int w = 0; w < 500; ++w) {
    DriftPoint& point = drift.points.emplace_back();
    point.begin = w;
    point.end = w + 1;
    point.board.rows.assign(board.rows.begin(), board.rows.begin() + 8);
  }
  drift.left_out = board.warnings;
  const std::string page =
      render_rank_report({board.names[0], board, &categories, &drift, board.warnings, {}});
  EXPECT_EQ(markup_fault(page), "");
  EXPECT_LT(page.size(), 6'000'000U);
  EXPECT_NE(page.find("Places 41 to 2000"), std::string::npos);
  EXPECT_NE(page.find("20 more categories are not shown here"), std::string::npos);
  EXPECT_NE(page.find("400 more spans are not shown here"), std::string::npos);
}

}  // namespace
}  // namespace agon
