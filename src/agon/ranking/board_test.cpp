#include "agon/ranking/board.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "agon/base/file.h"
#include "agon/base/random.h"
#include "agon/data/ratings.h"
#include "agon/ranking/board_text.h"

namespace agon {
namespace {

const BattleSet& arena() {
  static const BattleSet set = [] {
    auto read = read_battles({AGON_SOURCE_DIR "/data/battles/arena_2024-08-14_pair_counts.json.gz"}, {});
    EXPECT_TRUE(read) << read.error().to_string();
    return std::move(*read);
  }();
  return set;
}

/// Battles one by one between four models, with a language and a voter each, over a hundred days.
BattleSet league(std::size_t battles = 3000) {
  BattleSet set;
  set.competitors = {"ant", "bee", "cat", "dog"};
  CodeColumn language{"language", {"en", "de", "rare"}, {}}, voter{"voter", {}, {}};
  for (int v = 0; v < 50; ++v) voter.names.push_back("v" + std::to_string(v));
  Random random(4);
  for (std::size_t k = 0; k < battles; ++k) {
    const auto a = static_cast<std::uint32_t>(random.below(4)),
               b = (a + 1 + static_cast<std::uint32_t>(random.below(3))) % 4;
    const double p = 1 / (1 + std::exp(0.5 * (static_cast<double>(b) - static_cast<double>(a)))),
                 u = random.uniform();
    set.rows.a.push_back(a);
    set.rows.b.push_back(b);
    set.rows.outcome.push_back(u < 0.2               ? BattleOutcome::kTie
                               : (u - 0.2) / 0.8 < p ? BattleOutcome::kA
                                                     : BattleOutcome::kB);
    set.rows.time.push_back(static_cast<std::int64_t>(k) * 86'400'000 / 30);
    language.code.push_back(k == 7 ? 2 : static_cast<std::uint32_t>(k % 3 == 0));
    voter.code.push_back(static_cast<std::uint32_t>(random.below(50)));
  }
  set.rows.codes = {language, voter};
  set.pairs = count_pairs(set.rows, 4);
  return set;
}

TEST(Board, ReproducesTheArenaOfAugust2024) {
  BoardOptions options;
  options.anchor = "mixtral-8x7b-instruct-v0.1";
  options.base = 1114;
  const auto board = make_board(arena(), options);
  ASSERT_TRUE(board) << board.error().to_string();
  ASSERT_EQ(board->rows.size(), 129U);
  EXPECT_EQ(board->battles, 1'670'250U);
  EXPECT_TRUE(board->fit.converged);
  EXPECT_LT(board->fit.gradient_norm, 1e-9);
  // FastChat's method at its exact optimum, as leaderbot's data gives it.
  EXPECT_EQ(board->rows[0].name, "chatgpt-4o-latest");
  EXPECT_NEAR(board->rows[0].rating.rating, 1315.156092, 1e-6);
  EXPECT_NEAR(board->rows[1].rating.rating, 1298.419702, 1e-6);
  EXPECT_NEAR(board->rows[2].rating.rating, 1285.827775, 1e-6);
  for (const BoardRow& row : board->rows) {
    EXPECT_LT(row.low_all, row.rating.low);
    EXPECT_GT(row.high_all, row.rating.high);
    EXPECT_LE(row.ranks.best, row.ranks_alone.best);
    EXPECT_GE(row.ranks.worst, row.ranks_alone.worst);
    EXPECT_NEAR(row.votes, row.wins + row.losses + row.ties + row.both_bad, 1e-6);
  }
  ASSERT_EQ(board->ties.size(), 4U);
  for (const TieComparison& t : board->ties) EXPECT_TRUE(t.converged) << t.error;
}

TEST(Board, AnAnchorMovesPointsAndNoWidth) {
  const BattleSet set = league();
  BoardOptions options;
  const auto plain = make_board(set, options);
  options.anchor = "dog";
  options.base = 42;
  const auto moved = make_board(set, options);
  ASSERT_TRUE(plain && moved);
  EXPECT_EQ(moved->rows[0].name, "dog");
  EXPECT_NEAR(moved->rows[0].rating.rating, 42, 1e-9);
  const double shift = plain->rows[0].rating.rating - 42;
  for (std::size_t r = 0; r < 4; ++r) {
    EXPECT_NEAR(plain->rows[r].rating.rating - moved->rows[r].rating.rating, shift, 1e-9);
    EXPECT_NEAR(plain->rows[r].rating.low - moved->rows[r].rating.low, shift, 1e-9);
    EXPECT_NEAR(plain->rows[r].high_all - moved->rows[r].high_all, shift, 1e-9);
    EXPECT_EQ(plain->rows[r].ranks, moved->rows[r].ranks);
  }
  options.anchor = "nobody";
  EXPECT_FALSE(make_board(set, options));
}

// Votes come, a competitor appears in the middle of the numbers, and the fit begins where the last one ended.
TEST(Board, AGrowingLogIsRefittedFromTheLastBoard) {
  BattleSet set = league();
  set.competitors.insert(set.competitors.begin() + 2, "new");  // without a vote so far
  for (PairCount& pair : set.pairs) {
    pair.first += pair.first >= 2;
    pair.second += pair.second >= 2;
  }
  set.rows = {};
  for (const TieModel ties : {TieModel::kHalf, TieModel::kDavidson}) {
    BattleSet later = set;
    BoardOptions options;
    options.model.ties = ties;
    options.model.position = true;
    const auto before = make_board(set, options);
    ASSERT_TRUE(before);
    ASSERT_EQ(before->names.size(), 4U);
    const auto same = make_board(set, options, {}, "all", {}, &*before);
    ASSERT_TRUE(same);
    EXPECT_LE(same->fit.iterations, 1);
    PairCount pair;
    pair.first = 1;
    pair.second = 2;
    pair.battles = 9;
    pair.weight = pair.weight_sq = {4, 3, 2, 0};
    later.pairs.push_back(pair);
    std::ranges::sort(later.pairs, {}, [](const PairCount& p) { return std::pair(p.first, p.second); });
    const auto cold = make_board(later, options), warm = make_board(later, options, {}, "all", {}, &*before);
    ASSERT_TRUE(cold && warm);
    EXPECT_TRUE(warm->fit.converged);
    ASSERT_EQ(warm->rows.size(), 5U);
    for (std::size_t r = 0; r < 5; ++r) {
      EXPECT_EQ(warm->rows[r].name, cold->rows[r].name);
      EXPECT_NEAR(warm->rows[r].rating.rating, cold->rows[r].rating.rating, 1e-6);
      EXPECT_NEAR(warm->rows[r].rating.high, cold->rows[r].rating.high, 1e-6);
    }
    EXPECT_NEAR(warm->fit.position(), cold->fit.position(), 1e-8);
  }
}

TEST(Board, WhatTheFitLeavesOutIsNotCounted) {
  BoardOptions options;
  options.compare_ties = false;
  const auto with = make_board(arena(), options);
  options.model.drop_both_bad = true;
  const auto without = make_board(arena(), options);
  options.model.ties = TieModel::kBadThreshold;  // which has an outcome for them
  const auto apart = make_board(arena(), options);
  ASSERT_TRUE(with && without && apart);
  double all = 0, some = 0, met = 0, won = 0;
  for (const BoardRow& row : with->rows) all += row.votes;
  for (const BoardRow& row : without->rows) {
    some += row.votes;
    EXPECT_EQ(row.both_bad, 0);
    EXPECT_NEAR(row.votes, row.wins + row.losses + row.ties, 1e-6);
  }
  EXPECT_EQ(all, 2 * 1'670'250.0);
  EXPECT_EQ(some, 2 * 1'374'996.0);
  for (const double v : without->met.values) met += v;
  for (const double v : without->won.values) won += v;
  EXPECT_EQ(met, some);
  EXPECT_EQ(won, some / 2);
  EXPECT_GT(apart->rows[0].both_bad, 0);
  // With half-win ties and all votes the observed wins of each are what the fit expects (its score equation).
  for (const BoardRow& row : without->rows) {
    double expected = 0;
    const std::size_t i = static_cast<std::size_t>(&row - without->rows.data());
    for (std::size_t j = 0; j < without->rows.size(); ++j)
      if (j != i)
        expected += without->met(i, j) *
                    outcome_probabilities(without->fit, row.competitor, without->rows[j].competitor)[0];
    EXPECT_NEAR(expected, row.win_rate() * row.votes, 1e-3);
  }
}

TEST(Board, EveryKindOfIntervalAgreesOnHonestVotes) {
  const BattleSet set = league(6000);
  BoardOptions options;
  options.cluster = "voter";
  const auto reference = make_board(set, options);
  ASSERT_TRUE(reference);
  for (const IntervalKind kind : {IntervalKind::kModel, IntervalKind::kClustered, IntervalKind::kBootstrap,
                                  IntervalKind::kClusteredBootstrap, IntervalKind::kProfile}) {
    options.intervals = kind;
    const auto board = make_board(set, options);
    ASSERT_TRUE(board) << interval_name(kind) << board.error().to_string();
    for (std::size_t r = 0; r < 4; ++r) {
      const double own = board->rows[r].rating.high - board->rows[r].rating.low;
      const double other = reference->rows[r].rating.high - reference->rows[r].rating.low;
      // Model-based intervals are too wide where ties count as half wins: their variance is smaller.
      EXPECT_NEAR(own / other, 1, 0.35) << interval_name(kind);
      EXPECT_NEAR(board->rows[r].rating.rating, reference->rows[r].rating.rating, 1e-9);
    }
  }
  options.cluster = "nothing";
  options.intervals = IntervalKind::kClustered;
  EXPECT_FALSE(make_board(set, options));
  BattleSet counts = set;
  counts.rows = {};
  EXPECT_FALSE(make_board(counts, options));
}

TEST(Board, ACategoryIsTheBoardOfItsVotes) {
  const BattleSet set = league();
  const auto categories = category_boards(set, "language", {});
  ASSERT_TRUE(categories) << categories.error().to_string();
  ASSERT_EQ(categories->boards.size(), 2U);  // one vote in "rare" ranks nobody
  EXPECT_EQ(categories->boards[0].name, "en");
  ASSERT_EQ(categories->left_out.size(), 1U);
  EXPECT_TRUE(categories->left_out[0].starts_with("rare: 1 votes, ")) << categories->left_out[0];
  BattleSet german;
  german.competitors = set.competitors;
  german.pairs = count_pairs(set.rows, 4, categories->rows[1]);
  const auto alone = make_board(german, {});
  ASSERT_TRUE(alone);
  for (std::size_t r = 0; r < 4; ++r) {
    EXPECT_EQ(alone->rows[r].name, categories->boards[1].rows[r].name);
    EXPECT_EQ(alone->rows[r].rating.low, categories->boards[1].rows[r].rating.low);
  }
  EXPECT_FALSE(category_boards(set, "colour", {}));
}

TEST(Board, TagsAreCategoriesThatMayOverlap) {
  BattleSet set = league();
  CodeColumn math{"tags.math", {"0", "true"}, {}}, code{"tags.code", {"1", "0"}, {}};
  for (std::size_t i = 0; i < set.rows.size(); ++i) {
    math.code.push_back(i % 2);
    code.code.push_back(i % 3 == 0 ? 0 : 1);
  }
  set.rows.codes = {math, code};
  const auto categories = category_boards(set, "tags", {});
  ASSERT_TRUE(categories) << categories.error().to_string();
  ASSERT_EQ(categories->boards.size(), 2U);
  EXPECT_EQ(categories->boards[0].name, "math");
  EXPECT_EQ(categories->boards[0].battles, 1500U);
  EXPECT_EQ(categories->boards[1].battles, 1000U);
}

TEST(Board, ACompositeIsTheMeanOfItsParts) {
  const BattleSet set = league();
  const auto categories = category_boards(set, "language", {});
  ASSERT_TRUE(categories);
  const auto composite = composite_of(set, *categories, {{"en", 3}, {"de", 1}}, {});
  ASSERT_TRUE(composite) << composite.error().to_string();
  for (const BoardRow& row : composite->rows) {
    double mean = 0;
    for (const auto& [k, weight] : {std::pair{0, 0.75}, std::pair{1, 0.25}}) {
      const auto& rows = categories->boards[static_cast<std::size_t>(k)].rows;
      mean += weight * std::ranges::find(rows, row.name, &BoardRow::name)->rating.rating;
    }
    EXPECT_NEAR(row.rating.rating, mean, 1e-6);
  }
  EXPECT_FALSE(composite_of(set, *categories, {{"rare", 1}}, {}));
}

TEST(Board, DriftDividesTheTime) {
  BattleSet set = league();
  const auto spans = drift(set, 4, {});
  ASSERT_TRUE(spans) << spans.error().to_string();
  ASSERT_EQ(spans->points.size(), 4U);
  std::uint64_t votes = 0;
  for (const DriftPoint& p : spans->points) votes += p.board.battles;
  EXPECT_EQ(votes, set.rows.size());
  std::ranges::fill(set.rows.time, BattleRows::kNoTime);
  EXPECT_FALSE(drift(set, 4, {}));
}

TEST(Board, SeparatedVotesAreRefusedUnlessAPenaltyIsNamed) {
  BattleSet set;
  set.competitors = {"king", "pawn", "page"};
  const auto beat = [&](std::uint32_t a, std::uint32_t b, double n) {
    PairCount p;
    p.first = a;
    p.second = b;
    p.battles = static_cast<std::uint64_t>(n);
    p.weight[0] = p.weight_sq[0] = n;
    set.pairs.push_back(p);
  };
  beat(0, 1, 10);
  beat(1, 2, 5);
  beat(2, 1, 5);
  const auto refused = make_board(set, {});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().to_string().find("king"), std::string::npos) << refused.error().to_string();
  BoardOptions options;
  options.model.firth = true;
  const auto firth = make_board(set, options);
  ASSERT_TRUE(firth) << firth.error().to_string();
  EXPECT_NE(method_words(*firth).find("Firth"), std::string::npos);
  EXPECT_FALSE(firth->warnings.empty());
  options.model.firth = false;
  options.model.ridge = 0.5;
  const auto ridge = make_board(set, options);
  ASSERT_TRUE(ridge);
  EXPECT_NE(board_text(*ridge, {}).find("ridge 0.5"), std::string::npos);
}

TEST(Board, StyleThatDecidesIsTakenOutOfRatings) {
  BattleSet set;
  set.competitors = {"terse", "wordy"};
  PairedColumn words{"words", {}, {}};
  Random random(8);
  for (int k = 0; k < 4000; ++k) {
    const double a = 100 + 50 * random.uniform(), b = (k % 10 < 8 ? 250 : 80) + 50 * random.uniform();
    // Nothing but length decides.
    const double p = 1 / (1 + std::exp(-3 * (a - b) / (a + b)));
    set.rows.a.push_back(0);
    set.rows.b.push_back(1);
    set.rows.outcome.push_back(random.uniform() < p ? BattleOutcome::kA : BattleOutcome::kB);
    words.a.push_back(static_cast<float>(a));
    words.b.push_back(static_cast<float>(b));
  }
  set.rows.style = {words};
  set.pairs = count_pairs(set.rows, 2);
  BoardOptions options;
  options.style = {"words"};
  const auto board = make_board(set, options);
  ASSERT_TRUE(board) << board.error().to_string();
  EXPECT_EQ(board->rows[0].name, "wordy");
  EXPECT_GT(board->rows[0].rating.low, 1000);
  ASSERT_TRUE(board->rows[0].styled);
  EXPECT_LT(board->rows[0].styled->low, 1000);
  EXPECT_GT(board->rows[0].styled->high, 1000);
  ASSERT_EQ(board->style.size(), 1U);
  EXPECT_GT(board->style[0].low, 0);
}

TEST(BoardFiles, CsvIsReadAsRatingsAndJsonHoldsTheBoard) {
  BattleSet set = league();
  set.competitors[3] = "dog, \"the\"\nbest";
  const auto board = make_board(set, {});
  ASSERT_TRUE(board);
  const std::string path = (std::filesystem::temp_directory_path() / "agon_board_test.csv").string();
  ASSERT_TRUE(write_file(path, board_csv({&*board})));
  const auto ratings = read_ratings(path);
  std::filesystem::remove(path);
  ASSERT_TRUE(ratings) << ratings.error().to_string();
  EXPECT_EQ(ratings->size(), 4U);
  EXPECT_NEAR(ratings->at("dog, \"the\"\nbest"), board->rows[0].rating.rating, 1e-9);
  const auto json = nlohmann::json::parse(board_json(*board, nullptr, nullptr, {{"command", "x"}}));
  EXPECT_EQ(json["board"]["models"].size(), 4U);
  EXPECT_EQ(json["board"]["converged"], true);
  EXPECT_EQ(json["board"]["models"][0]["model"], "dog, \"the\"\nbest");
  EXPECT_EQ(json["board"]["pairs"]["votes"][0][0], 0);
  EXPECT_NE(board_markdown(*board).find("| "), std::string::npos);
  const std::string text = board_text(*board, {});
  EXPECT_NE(text.find("converged in"), std::string::npos);
  EXPECT_EQ(text.find("\"the\"\nbest"), std::string::npos);  // a name cannot break a row
}

}  // namespace
}  // namespace agon
