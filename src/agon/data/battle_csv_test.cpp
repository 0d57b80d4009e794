// The reading in blocks against a plain twin: CsvReader, one row after the other.
#include "agon/data/battle_csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <map>

#include "agon/base/parallel.h"
#include "agon/base/random.h"
#include "agon/text/csv.h"
#include "agon/text/utf8.h"

namespace agon::battle_parts {
namespace {

/// What a file says, told as plainly as possible.
struct Told {
  bool failed = false;             // as a whole: the header, or the first bad row without skip_bad
  std::vector<std::uint64_t> bad;  // rows
  std::vector<std::string> a, b, voter;
  std::vector<int> outcome;
  std::vector<double> weight;

  std::string text() const {
    std::string out = failed ? "failed" : "read";
    for (const std::uint64_t row : bad) out += " bad:" + std::to_string(row);
    for (std::size_t i = 0; i < a.size(); ++i)
      out += "\n" + a[i] + " " + b[i] + " " + std::to_string(outcome[i]) + " " + std::to_string(weight[i]) +
             " " + voter[i].substr(0, 40);  // long values are kept by their beginning and a hash
    return out;
  }
};

std::string plain_trim(std::string text) {
  while (!text.empty() && (text[0] == ' ' || text[0] == '\t')) text.erase(0, 1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.pop_back();
  repair_utf8(text);
  return text;
}

Told tell_plainly(const std::string& bytes, bool skip_bad) {
  Told told;
  auto csv = CsvReader::open(*open_memory(bytes, "f"), "f");
  std::map<std::string, std::size_t> at;
  if (csv) {
    for (std::size_t i = 0; i < csv->header().size(); ++i) at[csv->header()[i]] = i;
  }
  if (!csv || !at.contains("model_a") || !at.contains("model_b") || !at.contains("winner")) {
    told.failed = true;
    return told;
  }
  const std::map<std::string, int> labels = {{"model_a", 0}, {"model_b", 1}, {"tie", 2}, {"tiebothbad", 3}};
  std::vector<std::string_view> fields;
  for (;;) {
    const auto more = csv->next(fields);
    if (more && !*more) break;
    bool good = more.has_value();
    if (good) {
      const std::string a = plain_trim(std::string(fields[at["model_a"]]));
      const std::string b = plain_trim(std::string(fields[at["model_b"]]));
      std::string winner(fields[at["winner"]]);
      std::erase_if(winner, [](char c) { return c < 'A'; });  // spaces and punctuation don't count
      const auto label = labels.find(winner);
      double weight = 1;
      if (at.contains("weight")) {
        const std::string cell(fields[at["weight"]]);
        char* end = nullptr;
        weight = std::strtod(cell.c_str(), &end);
        good = !cell.empty() && *end == '\0' && std::isfinite(weight) && weight >= 0;
      }
      good = good && label != labels.end();
      if (good && weight == 0) continue;
      good = good && !a.empty() && !b.empty() && a != b;
      if (good) {
        told.a.push_back(a);
        told.b.push_back(b);
        told.outcome.push_back(label->second);
        told.weight.push_back(weight);
        told.voter.push_back(at.contains("judge") ? plain_trim(std::string(fields[at["judge"]])) : "");
        continue;
      }
    }
    told.bad.push_back(csv->record());
    if (skip_bad) continue;
    told.failed = true;
    break;
  }
  if (told.failed) {  // then only where it failed is compared
    Told only;
    only.failed = true;
    only.bad = told.bad;
    return only;
  }
  return told;
}

/// The same by blocks of `block` bytes, fed in pieces cut by chance.
Told tell_by_blocks(const std::string& bytes, bool skip_bad, std::size_t block, Random& random) {
  ReadBattles options;
  options.skip_bad = skip_bad;
  options.keep_rows = true;
  BattleBuilder builder(options);
  builder.begin_source("f");
  BattleCsv csv(options, builder, block);
  Told told;
  std::size_t at = 0, given = 0;
  for (bool last = false; !last;) {
    given = std::min(bytes.size(), given + 1 + random.below(300));
    last = given == bytes.size();
    const auto used = csv.feed(std::string_view(bytes).substr(at, given - at), last);
    if (!used) {
      told.failed = true;
      if (used.error().row > 0) told.bad.push_back(used.error().row);
      return told;
    }
    at += *used;
  }
  EXPECT_EQ(at, bytes.size());
  for (const Error& error : builder.source().skip_list) told.bad.push_back(error.row);
  EXPECT_EQ(told.bad.size(), builder.source().skipped);
  auto set = std::move(builder).finish();
  EXPECT_TRUE(set);
  EXPECT_EQ(count_pairs(set->rows, set->competitors.size()).size(), set->pairs.size());
  const CodeColumn* voter = set->rows.find("voter");
  for (std::size_t i = 0; i < set->rows.size(); ++i) {
    told.a.push_back(set->competitors[set->rows.a[i]]);
    told.b.push_back(set->competitors[set->rows.b[i]]);
    told.outcome.push_back(static_cast<int>(set->rows.outcome[i]));
    told.weight.push_back(set->rows.weight.empty() ? 1 : set->rows.weight[i]);
    const bool has = voter != nullptr && voter->code[i] != CodeColumn::kNone;
    told.voter.push_back(has ? voter->names[voter->code[i]] : "");
  }
  // Numbers are by first appearance, and the table is that of the rows.
  std::vector<std::string> order;
  std::map<std::pair<std::string, std::string>, double> sums;
  for (std::size_t i = 0; i < told.a.size(); ++i) {
    for (const std::string& name : {told.a[i], told.b[i]}) {
      if (std::ranges::find(order, name) == order.end()) order.push_back(name);
    }
    sums[{told.a[i], told.b[i]}] += told.weight[i];
  }
  EXPECT_EQ(set->competitors, order);
  if (set->competitors != order) return told;
  for (const PairCount& pair : set->pairs) {
    EXPECT_NEAR(pair.total(), (sums[{order[pair.first], order[pair.second]}]), 1e-9);
  }
  return told;
}

std::string random_csv(Random& random) {
  const auto pick = [&](std::initializer_list<const char*> items) {
    return std::string(items.begin()[random.below(items.size())]);
  };
  const bool odd = random.below(2) == 0;  // else nothing is wrong with it
  const bool quotes = random.below(3) != 0, weights = random.below(2) == 0, judges = random.below(2) == 0;
  const auto quoted = [&](std::string text) {
    std::string out = "\"";
    for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
    return out + "\"";
  };
  const auto cell = [&](std::string text) {
    const bool needs = text.find_first_of(",\"\r\n") != std::string::npos;
    return (needs && !odd) || (quotes && random.below(4) == 0) ? quoted(std::move(text)) : text;
  };
  const std::string end = pick({"\n", "\r\n", "\r", "\n"});
  std::string out = random.below(8) == 0 ? "\xEF\xBB\xBF" : "";
  if (random.below(10) == 0) out += end;
  out += cell("text") + "," + cell("model_a") + ", model_b," + cell("winner");
  if (weights) out += ",weight";
  if (judges) out += ",judge";
  out += end;
  const std::uint64_t rows = random.below(60);
  for (std::uint64_t i = 0; i < rows; ++i) {
    if (random.below(12) == 0) out += end;  // a blank line
    std::string text;
    for (std::uint64_t k = random.below(5); k > 0; --k)
      text += pick({"x", "word ", "\"", "\n", ",", "\r\n", "\xC3\xA9"});
    if (!quotes) text = pick({"", "plain", "a b c"});
    const std::uint64_t wrong = odd ? random.below(30) : 99;
    out += cell(text) + "," + cell(pick({"gpt", "claude-3", "a rather long name of a model", " m", "x"}));
    out += "," + cell(wrong == 0   ? ""
                      : wrong == 1 ? "gpt"
                                   : pick({"llama", "mistral", "m2", "\xC3\xA9t\xC3\xA9"}));
    if (wrong == 2) out += "\xFF";
    out += "," + cell(wrong == 3 ? "junk" : pick({"model_a", "model_b", "tie", "tie (bothbad)"}));
    if (weights) out += "," + pick({"1", "2", "0.25", wrong == 4 ? "-1" : "1.5", wrong == 5 ? "x" : "0"});
    if (judges) out += "," + cell(pick({"", "j1", "judge two", "j3"}));
    if (wrong == 6) out += ",more";
    if (wrong == 7) out += "\"";
    if (wrong == 8) out += std::string(1, '\0');
    if (wrong == 9) out += "\"open";
    if (i + 1 < rows || random.below(2) == 0) out += end;
  }
  return out;
}

RC_GTEST_PROP(BattleCsv, EqualsThePlainReader, (std::uint32_t seed)) {
  Random random(seed);
  const std::string bytes = random_csv(random);
  for (const bool skip_bad : {false, true}) {
    const std::string plain = tell_plainly(bytes, skip_bad).text();
    for (const std::size_t block : {std::size_t{1}, std::size_t{40}, std::size_t{300}, BattleCsv::kBlock}) {
      RC_ASSERT(tell_by_blocks(bytes, skip_bad, block, random).text() == plain);
    }
  }
}

TEST(BattleCsv, OneThreadAndFourGiveTheSame) {
  Random random(3);
  std::string bytes = "model_a,model_b,winner,weight,judge\n";
  for (int i = 0; i < 60'000; ++i) {
    bytes += "model-" + std::to_string(random.below(40)) + ",other-" + std::to_string(random.below(40)) +
             (random.below(2) == 0 ? ",model_a," : ",tie,") + std::to_string(random.uniform()) + ",";
    // One quoted line break in the middle, so that both ways of cutting blocks take part.
    bytes += i == 30'000 ? "\"two\nlines\"" : "judge " + std::to_string(random.below(500));
    bytes += '\n';
  }
  const auto read = [&](int threads) {
    set_thread_count(threads);
    ReadBattles options;
    options.keep_rows = true;
    auto set = read_battles_from_memory(bytes, "f", options);
    set_thread_count(0);
    return set;
  };
  const auto one = read(1), four = read(4);
  ASSERT_TRUE(one) << one.error().to_string();
  ASSERT_TRUE(four);
  EXPECT_EQ(one->battles(), 60'000U);
  EXPECT_EQ(one->competitors, four->competitors);
  EXPECT_EQ(one->rows.weight, four->rows.weight);
  EXPECT_EQ(one->rows.find("voter")->names, four->rows.find("voter")->names);
  EXPECT_EQ(one->rows.find("voter")->code, four->rows.find("voter")->code);
  ASSERT_EQ(one->pairs.size(), four->pairs.size());
  for (std::size_t i = 0; i < one->pairs.size(); ++i) {
    EXPECT_EQ(one->pairs[i].weight, four->pairs[i].weight);  // bit for bit
    EXPECT_EQ(one->pairs[i].weight_sq, four->pairs[i].weight_sq);
  }
  // And the sums are those of adding row by row.
  const PairTable counted = count_pairs(one->rows, one->competitors.size());
  ASSERT_EQ(counted.size(), one->pairs.size());
  for (std::size_t i = 0; i < counted.size(); ++i) EXPECT_EQ(counted[i].weight, one->pairs[i].weight);
}

TEST(BattleCsv, ALongRecordIsOneBadRowHoweverItArrives) {
  const std::string good = "x,y,model_a,\n", header = "model_a,model_b,winner,text\n";
  for (const std::string& cell : {std::string(5000, 'z'), "\"" + std::string(5000, '\n') + "\"",
                                  "\"" + std::string(5000, ',') + "\"\"\n\""}) {
    const std::string bytes = header + good + "x,y,tie," + cell + "\n" + good;
    for (const std::size_t piece : {std::size_t{1}, std::size_t{100}, std::size_t{100'000}}) {
      ReadBattles options;
      options.skip_bad = true;
      options.max_row_bytes = 1000;
      BattleBuilder builder(options);
      builder.begin_source("f");
      BattleCsv csv(options, builder, 64);
      std::size_t at = 0, most = 0;
      for (std::size_t given = 0; given < bytes.size();) {
        given = std::min(bytes.size(), given + piece);
        most = std::max(most, given - at);
        at += *csv.feed(std::string_view(bytes).substr(at, given - at), given == bytes.size());
      }
      EXPECT_EQ(builder.source().rows, 2U);
      EXPECT_EQ(builder.source().skipped, 1U);
      EXPECT_EQ(builder.source().skip_list.at(0).row, 2U);
      EXPECT_THAT(builder.source().skip_list[0].message, testing::HasSubstr("longer than 1000 bytes"));
      if (piece < 1000) {
        EXPECT_LE(most, 1200U);  // nobody had to hold the record
      }
    }
  }
}

TEST(FindSeparators, FindsThemAtEveryPlaceAndSize) {
  Random random(5);
  for (std::size_t size = 0; size < 300; ++size) {
    std::string text(size, 'x');
    std::vector<std::uint32_t> expected;
    for (std::size_t i = 0; i < size; ++i) {
      if (random.below(size % 7 + 1) != 0) continue;
      text[i] = ",\n\r"[random.below(3)];
      expected.push_back(static_cast<std::uint32_t>(i));
    }
    std::vector<std::uint32_t> found;
    ASSERT_TRUE(find_separators(text, found));
    EXPECT_EQ(found, expected);
    for (std::size_t i = 0; i < size; ++i) {
      for (const char special : {'"', '\0'}) {
        std::string with = text;
        with[i] = special;
        found.clear();
        EXPECT_FALSE(find_separators(with, found));
      }
    }
  }
}

}  // namespace
}  // namespace agon::battle_parts
