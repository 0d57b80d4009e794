#include "agon/data/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <unordered_set>

#include "agon/base/parallel.h"
#include "agon/data/check_parts.h"
#include "agon/data/prompt_groups.h"
#include "agon/data/vote_facts.h"

namespace agon {
namespace {

using check::Findings;
using check::VoteKeys;

/// What is measured of one vote on its own.
struct Facts {
  std::uint64_t prompt_characters = 0, prompt_words = 0;
  std::array<std::uint64_t, 2> answer_characters{}, answer_words{};
  std::string_view language;
  bool code = false;
};

Facts facts_of(const Vote& vote) {
  Facts out;
  const std::string prompt = joined(vote.prompt), a = joined(vote.response_a), b = joined(vote.response_b);
  out.prompt_characters = count_characters(prompt);
  out.prompt_words = count_words(prompt);
  out.answer_characters = {count_characters(a), count_characters(b)};
  out.answer_words = {count_words(a), count_words(b)};
  out.language = language_of(vote);
  out.code = has_code(vote);
  return out;
}

LengthSummary summary(std::string name, std::vector<std::uint64_t> values) {
  LengthSummary out;
  out.name = std::move(name);
  if (values.empty()) return out;
  std::sort(values.begin(), values.end());
  const auto at = [&](double q) {
    return values[static_cast<std::size_t>(std::lround(q * static_cast<double>(values.size() - 1)))];
  };
  out.least = values.front();
  out.p10 = at(0.1);
  out.median = at(0.5);
  out.p90 = at(0.9);
  out.most = values.back();
  double sum = 0;
  for (const std::uint64_t value : values) sum += static_cast<double>(value);
  out.mean = sum / static_cast<double>(values.size());
  return out;
}

std::vector<LengthSummary> length_summaries(const std::vector<Facts>& facts) {
  std::vector<std::uint64_t> prompt_characters, prompt_words, characters, words;
  for (const Facts& f : facts) {
    prompt_characters.push_back(f.prompt_characters);
    prompt_words.push_back(f.prompt_words);
    characters.insert(characters.end(), f.answer_characters.begin(), f.answer_characters.end());
    words.insert(words.end(), f.answer_words.begin(), f.answer_words.end());
  }
  return {summary("prompt, characters", std::move(prompt_characters)),
          summary("prompt, words", std::move(prompt_words)),
          summary("answer, characters", std::move(characters)), summary("answer, words", std::move(words))};
}

ClassShares class_shares(const std::vector<Vote>& votes, const std::vector<Facts>& facts) {
  ClassShares out;
  std::uint64_t longer = 0;
  for (std::size_t i = 0; i < votes.size(); ++i) {
    const Vote& vote = votes[i];
    out.a += vote.outcome == Outcome::kA;
    out.b += vote.outcome == Outcome::kB;
    out.tie += vote.outcome == Outcome::kTie;
    out.unlabelled += vote.outcome == Outcome::kUnknown;
    out.both_bad += vote.both_bad;
    const auto [a, b] = facts[i].answer_characters;
    if (a == b || (vote.outcome != Outcome::kA && vote.outcome != Outcome::kB)) continue;
    ++out.longer_wins_of;
    longer += (a > b) == (vote.outcome == Outcome::kA);
  }
  const double nan = std::numeric_limits<double>::quiet_NaN();
  out.longer_wins =
      out.longer_wins_of > 0 ? static_cast<double>(longer) / static_cast<double>(out.longer_wins_of) : nan;
  const auto labelled = static_cast<double>(out.a + out.b + out.tie);
  out.prior_log_loss = labelled > 0 ? 0 : nan;
  for (const std::uint64_t n : {out.a, out.b, out.tie}) {
    const double share = static_cast<double>(n) / labelled;
    if (n > 0) out.prior_log_loss -= share * std::log(share);
  }
  return out;
}

std::vector<NamedCount> most_first(const std::map<std::string, std::uint64_t>& counts) {
  std::vector<NamedCount> out;
  for (const auto& [name, count] : counts) out.push_back({name, count});
  std::stable_sort(out.begin(), out.end(),
                   [](const NamedCount& a, const NamedCount& b) { return a.count > b.count; });
  return out;
}

std::vector<NamedCount> turn_counts(const std::vector<Vote>& votes) {
  constexpr std::size_t kMany = 10;
  std::array<std::uint64_t, kMany + 1> counts{};
  for (const Vote& vote : votes) ++counts[std::min(vote.prompt.size(), kMany)];
  std::vector<NamedCount> out;
  for (std::size_t turns = 0; turns <= kMany; ++turns)
    if (counts[turns] > 0)
      out.push_back({std::to_string(turns) + (turns == kMany ? "+" : ""), counts[turns]});
  return out;
}

/// The first characters of a prompt on one line.
std::string excerpt(const Vote& vote) {
  constexpr std::size_t kCharacters = 60;
  std::string out;
  std::size_t characters = 0;
  bool space = false;
  for (const char c : joined(vote.prompt)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte == 0x7F) {  // control characters must not reach a terminal
      space = !out.empty();
      continue;
    }
    const bool starts = (byte & 0xC0) != 0x80;
    if (starts && (characters += 1 + space) > kCharacters) return out + "...";
    if (space) out += ' ';
    space = false;
    out += c;
  }
  return out.empty() ? "(empty)" : out;
}

PromptFacts prompt_facts(const std::vector<Vote>& votes, std::span<const VoteKeys> keys,
                         std::span<const std::uint32_t> groups, std::size_t most_repeated) {
  PromptFacts out;
  std::unordered_set<std::uint64_t> different;
  for (const VoteKeys& key : keys) different.insert(key.prompt);
  out.different = different.size();
  struct Group {
    std::size_t first = 0;
    std::uint64_t rows = 0;
  };
  std::vector<Group> sizes;
  for (std::size_t i = 0; i < votes.size(); ++i) {
    if (groups[i] == sizes.size()) sizes.push_back({i, 0});
    ++sizes[groups[i]].rows;
  }
  out.groups = sizes.size();
  std::stable_sort(sizes.begin(), sizes.end(),
                   [](const Group& a, const Group& b) { return a.rows > b.rows; });
  if (!sizes.empty()) out.largest_group = sizes.front().rows;
  for (const Group& group : sizes)
    if (group.rows > 1 && out.most_repeated.size() < most_repeated)
      out.most_repeated.push_back({excerpt(votes[group.first]), group.rows});
  return out;
}

void find_prompt_problems(const PromptFacts& prompts, std::uint64_t rows, Findings& findings) {
  if (prompts.groups == rows) return;
  Finding finding;
  finding.code = "repeated-prompts";
  finding.count = rows - prompts.groups;
  // A twentieth of the file on one prompt: folds get uneven and a figure hangs on few questions.
  const bool heavy = rows >= 100 && prompts.largest_group * 20 > rows;
  finding.level = heavy ? Finding::Level::kLook : Finding::Level::kNote;
  finding.message =
      fmt::format("{} rows share {} prompts or near-duplicate prompts; the most frequent has {} rows",
                  check::with_commas(rows), check::with_commas(prompts.groups),
                  check::with_commas(prompts.largest_group));
  finding.advice =
      heavy ? "figures rest on few different questions: give this file a small weight beside others, "
              "and trust only intervals clustered by prompt"
            : "train and evaluate keep such rows in one fold and one bootstrap cluster";
  findings.add(std::move(finding));
}

LeakFacts leak_facts(const VoteSet& set, const VoteSet& other, std::span<const VoteKeys> keys,
                     Findings& findings, const CheckOptions& options) {
  LeakFacts out;
  for (const VoteSource& source : other.sources) out.file += (out.file.empty() ? "" : ", ") + source.path;
  out.rows = other.votes.size();
  std::unordered_set<std::uint64_t> prompts, comparisons;
  std::unordered_set<std::string_view> ids;
  for (const VoteKeys& key : keys) {
    prompts.insert(key.prompt);
    comparisons.insert(key.comparison);
  }
  std::vector<const Vote*> both;
  for (const Vote& vote : set.votes) {
    both.push_back(&vote);
    ids.insert(vote.id);
  }
  for (const Vote& vote : other.votes) both.push_back(&vote);
  const std::vector<std::uint32_t> groups = prompt_groups_of(both);
  const std::unordered_set<std::uint32_t> here(
      groups.begin(), groups.begin() + static_cast<std::ptrdiff_t>(set.votes.size()));
  const std::vector<VoteKeys> other_keys = check::vote_keys(other.votes);

  const Findings names(other, options.examples);
  std::vector<RowRef> same, near, comparison;
  const auto note = [&](std::uint64_t& count, std::vector<RowRef>& examples, std::size_t i) {
    ++count;
    if (examples.size() < options.examples) examples.push_back(names.ref(i));
  };
  for (std::size_t i = 0; i < other.votes.size(); ++i) {
    if (prompts.contains(other_keys[i].prompt)) {
      note(out.same_prompt, same, i);
    } else if (here.contains(groups[set.votes.size() + i])) {
      note(out.near_prompt, near, i);
    }
    if (comparisons.contains(other_keys[i].comparison)) note(out.same_comparison, comparison, i);
    out.same_id += ids.contains(other.votes[i].id);
  }
  const auto report = [&](const char* code, std::uint64_t count, std::vector<RowRef>& examples,
                          const std::string& what, const std::string& advice) {
    if (count == 0) return;
    findings.add({Finding::Level::kLook, code, count,
                  fmt::format("{} of {} rows of {} {}", check::with_commas(count),
                              check::with_commas(out.rows), out.file, what),
                  advice, std::move(examples)});
  };
  report("leak-comparison", out.same_comparison, comparison,
         "are comparisons of this file (same prompt, same answers, in either order)",
         "a model trained on this file has seen their answers: leave them out of one of the two");
  report("leak-prompt", out.same_prompt, same, "have a prompt that is in this file",
         "figures on them are too good: leave them out, or report them apart");
  report("leak-near-prompt", out.near_prompt, near, "have a prompt that is nearly one of this file",
         "look at them; templates with other inputs are harmless, re-worded questions are not");
  return out;
}

}  // namespace

DataReport check_votes(const VoteSet& set, const VoteSet* against, const CheckOptions& options,
                       const Progress& progress) {
  const auto stage = [&](std::string_view name, std::uint64_t done) {
    if (progress) progress(name, done, 4);
  };
  const std::vector<Vote>& votes = set.votes;
  Findings findings(set, options.examples);
  DataReport out;
  out.sources = set.sources;
  out.rows = votes.size();
  out.extra_columns = set.extra_names;

  stage("reading texts", 0);
  std::vector<Facts> facts(votes.size());
  parallel_chunks(votes.size(), 64, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) facts[i] = facts_of(votes[i]);
  });
  const std::vector<VoteKeys> keys = check::vote_keys(votes);
  out.classes = class_shares(votes, facts);
  out.lengths = length_summaries(facts);
  out.turns = turn_counts(votes);
  std::map<std::string, std::uint64_t> languages;
  for (const Facts& f : facts) {
    ++languages[std::string(f.language)];
    out.rows_with_code += f.code;
  }
  out.languages = most_first(languages);
  check::find_class_problems(out.classes, findings);

  stage("comparing rows", 1);
  check::find_repeats(votes, keys, findings);
  check::find_odd_texts(set, keys, findings);
  out.models = check::model_graph(votes, findings);

  stage("comparing prompts", 2);
  out.prompts = prompt_facts(votes, keys, prompt_groups(votes), options.most_repeated);
  find_prompt_problems(out.prompts, out.rows, findings);

  stage("comparing files", 3);
  if (against != nullptr) out.leaks = leak_facts(set, *against, keys, findings, options);
  out.findings = findings.take();
  stage("comparing files", 4);
  return out;
}

}  // namespace agon
