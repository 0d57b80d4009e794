// Findings about rows: classes, repeats, odd texts.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>

#include "agon/base/hash.h"
#include "agon/base/parallel.h"
#include "agon/data/check_parts.h"
#include "agon/data/prompt_groups.h"
#include "agon/data/vote_facts.h"

namespace agon::check {
namespace {

/// Of the exact texts, turn borders included. Null and empty turns are the same text.
std::uint64_t text_key(const Turns& turns) {
  std::string bytes;
  for (const Turn& turn : turns) {
    const std::uint64_t size = turn.text.size();
    bytes.append(reinterpret_cast<const char*>(&size), sizeof size);
    bytes += turn.text;
  }
  return hash64(bytes);
}

std::uint64_t combined(std::initializer_list<std::uint64_t> parts) {
  return hash64({reinterpret_cast<const char*>(parts.begin()), parts.size() * sizeof(std::uint64_t)});
}

/// The outcome seen from the fixed order of the two answers.
Outcome oriented(Outcome outcome, bool flipped) {
  if (!flipped || outcome == Outcome::kTie || outcome == Outcome::kUnknown) return outcome;
  return outcome == Outcome::kA ? Outcome::kB : Outcome::kA;
}

}  // namespace

std::string with_commas(std::uint64_t n) {
  std::string out = std::to_string(n);
  for (std::size_t at = out.size(); at > 3;) out.insert(at -= 3, ",");
  return out;
}

RowRef Findings::ref(std::size_t index) const {
  const Vote& vote = set_.votes[index];
  return {vote.source < set_.sources.size() ? set_.sources[vote.source].path : "", vote.id, vote.row};
}

void Findings::rows(Finding::Level level, const std::string& code, std::span<const std::size_t> rows,
                    const std::string& message_one, const std::string& message_many,
                    const std::string& advice) {
  if (rows.empty()) return;
  Finding finding;
  finding.level = level;
  finding.code = code;
  finding.count = rows.size();
  finding.message = with_commas(rows.size()) + " " + (rows.size() == 1 ? message_one : message_many);
  finding.advice = advice;
  for (const std::size_t row : rows.first(std::min(rows.size(), examples_)))
    finding.examples.push_back(ref(row));
  out_.push_back(std::move(finding));
}

std::vector<Finding> Findings::take() {
  std::stable_partition(out_.begin(), out_.end(),
                        [](const Finding& f) { return f.level == Finding::Level::kLook; });
  return std::move(out_);
}

std::vector<VoteKeys> vote_keys(const std::vector<Vote>& votes) {
  std::vector<VoteKeys> keys(votes.size());
  parallel_chunks(votes.size(), 64, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const Vote& vote = votes[i];
      const std::uint64_t a = text_key(vote.response_a), b = text_key(vote.response_b);
      keys[i] = {prompt_key(vote), combined({text_key(vote.prompt), std::min(a, b), std::max(a, b)}), b < a,
                 a == b};
    }
  });
  return keys;
}

void find_class_problems(const ClassShares& classes, Findings& findings) {
  const std::uint64_t labelled = classes.a + classes.b + classes.tie;
  const auto add = [&](Finding::Level level, const char* code, std::uint64_t count, std::string message,
                       const char* advice) {
    findings.add({level, code, count, std::move(message), advice, {}});
  };
  if (labelled == 0) return;
  if (classes.unlabelled > 0)
    add(Finding::Level::kNote, "unlabelled", classes.unlabelled,
        fmt::format("{} rows have no label", with_commas(classes.unlabelled)),
        "they are left out of training and of every figure");
  const std::pair<std::uint64_t, const char*> by_class[] = {
      {classes.a, "win of A"}, {classes.b, "win of B"}, {classes.tie, "tie"}};
  for (const auto& [count, name] : by_class)
    if (count == 0)
      add(Finding::Level::kLook, "missing-class", labelled, fmt::format("no row is a {}", name),
          "a model trained on this file alone learns that it never happens; check the winner columns");
  // Under no effect of position A wins half of the decided votes; three standard errors are 1 in 370.
  const double decided = static_cast<double>(classes.a + classes.b);
  const double difference = std::abs(static_cast<double>(classes.a) - static_cast<double>(classes.b));
  if (classes.a > 0 && classes.b > 0 && difference > 3 * std::sqrt(decided))
    add(Finding::Level::kLook, "position-effect", classes.a + classes.b,
        fmt::format("{} wins {:.1f} % of the decided votes, more than chance allows",
                    classes.a > classes.b ? "A" : "B",
                    100 * static_cast<double>(std::max(classes.a, classes.b)) / decided),
        "the order of the answers was not random, or voters prefer a side; agon ignores the side by design");
}

void find_repeats(const std::vector<Vote>& votes, std::span<const VoteKeys> keys, Findings& findings) {
  struct Comparison {
    std::size_t first = 0;
    std::vector<std::size_t> rows;
  };
  std::unordered_map<std::uint64_t, std::size_t> place;
  std::set<std::pair<std::uint32_t, std::string_view>> ids;  // numbering starts again with every file
  std::vector<Comparison> comparisons;
  std::vector<std::size_t> repeated_ids;
  for (std::size_t i = 0; i < votes.size(); ++i) {
    const auto [it, fresh] = place.try_emplace(keys[i].comparison, comparisons.size());
    if (fresh) comparisons.emplace_back();
    comparisons[it->second].rows.push_back(i);
    if (!ids.emplace(votes[i].source, votes[i].id).second) repeated_ids.push_back(i);
  }
  std::vector<std::size_t> duplicates, twins, contradictory;
  std::size_t contradictions = 0;
  for (const Comparison& comparison : comparisons) {
    if (comparison.rows.size() < 2) continue;
    // Which (order, outcome) and which order occurred before, and which outcomes of the pair at all.
    std::array<std::array<bool, 4>, 2> seen{};
    std::array<bool, 2> seen_order{};
    std::array<bool, 3> outcomes{};
    for (const std::size_t i : comparison.rows) {
      const bool flipped = keys[i].flipped;
      const auto outcome = static_cast<std::size_t>(votes[i].outcome);
      if (seen[flipped][outcome]) {
        duplicates.push_back(i);
      } else if (!keys[i].identical_answers && seen_order[!flipped]) {
        twins.push_back(i);
      }
      seen[flipped][outcome] = seen_order[flipped] = true;
      if (votes[i].outcome != Outcome::kUnknown && !keys[i].identical_answers)
        outcomes[static_cast<std::size_t>(oriented(votes[i].outcome, flipped))] = true;
    }
    if (outcomes[0] + outcomes[1] + outcomes[2] < 2) continue;
    ++contradictions;
    contradictory.insert(contradictory.end(), comparison.rows.begin(), comparison.rows.end());
  }
  for (auto* rows : {&duplicates, &twins, &contradictory}) std::sort(rows->begin(), rows->end());
  const auto look = Finding::Level::kLook;
  findings.rows(look, "duplicate-ids", repeated_ids, "row has an id that came before in its file",
                "rows have an id that came before in their file", "a submission needs one row for each id");
  findings.rows(look, "duplicates", duplicates,
                "row repeats an earlier one: same prompt, answers and outcome",
                "rows repeat an earlier one: same prompt, answers and outcome",
                "copies of one vote should go; votes of several people on one comparison are fine");
  findings.rows(look, "swapped-twins", twins, "row repeats an earlier comparison with A and B exchanged",
                "rows repeat an earlier comparison with A and B exchanged",
                "if the file was doubled by swapping, remove the twins: agon is symmetric already");
  findings.rows(look, "contradictions", contradictory,
                "row is of a comparison that was judged differently elsewhere",
                contradictions == 1 ? "rows are of one comparison that was judged differently"
                                    : fmt::format("rows are of {} comparisons that were judged differently",
                                                  with_commas(contradictions)),
                "people disagree, or a label is wrong: their loss has a floor that no model goes below");
}

void find_odd_texts(const VoteSet& set, std::span<const VoteKeys> keys, Findings& findings) {
  std::vector<std::size_t> null_turns, blank_prompts, blank_answers, both_blank, identical, mismatched;
  const auto has_null = [](const Turns& turns) {
    return std::any_of(turns.begin(), turns.end(), [](const Turn& turn) { return turn.null; });
  };
  for (std::size_t i = 0; i < set.votes.size(); ++i) {
    const Vote& vote = set.votes[i];
    if (has_null(vote.prompt) || has_null(vote.response_a) || has_null(vote.response_b))
      null_turns.push_back(i);
    if (is_blank(vote.prompt)) blank_prompts.push_back(i);
    const bool a = is_blank(vote.response_a), b = is_blank(vote.response_b);
    if (a != b) blank_answers.push_back(i);
    if (a && b) both_blank.push_back(i);
    if (keys[i].identical_answers && !a) identical.push_back(i);
    if (vote.response_a.size() != vote.prompt.size() || vote.response_b.size() != vote.prompt.size())
      mismatched.push_back(i);
  }
  const auto look = Finding::Level::kLook, note = Finding::Level::kNote;
  findings.rows(look, "turn-mismatch", mismatched, "row has not as many answers as prompts",
                "rows have not as many answers as prompts",
                "a conversation was cut or the columns are shifted; they are used as they are");
  findings.rows(look, "blank-prompts", blank_prompts, "row has an empty prompt", "rows have an empty prompt",
                "check that the prompt column was exported; they are used as they are");
  findings.rows(look, "both-blank", both_blank, "row has two empty answers", "rows have two empty answers",
                "there is nothing to prefer in them: consider leaving them out");
  findings.rows(note, "blank-answers", blank_answers, "row has one empty answer",
                "rows have one empty answer",
                "usual in real votes (a model failed): kept, and a feature knows them");
  findings.rows(note, "identical-answers", identical, "row has two identical answers",
                "rows have two identical answers",
                "A and B get the same probability on them; a winner there is noise");
  findings.rows(note, "null-turns", null_turns, "row has a null turn", "rows have a null turn",
                "kept as empty text and marked");
  const auto per_file = [&](Finding::Level level, const char* code, auto count_of, const char* what,
                            const char* advice) {
    Finding finding;
    std::string files;
    for (const VoteSource& source : set.sources) {
      const std::uint64_t n = count_of(source.counts);
      if (n == 0) continue;
      finding.count += n;
      if (set.sources.size() > 1)
        files += fmt::format("{}{}: {}", files.empty() ? " (" : ", ", source.path, with_commas(n));
    }
    if (finding.count == 0) return;
    finding.level = level;
    finding.code = code;
    finding.message = with_commas(finding.count) + " " + what + (files.empty() ? "" : files + ")");
    finding.advice = advice;
    findings.add(std::move(finding));
  };
  per_file(
      look, "skipped-rows", [](const ReadCounts& c) { return c.skipped; }, "bad rows were skipped",
      "the first reasons are listed with the file");
  per_file(
      look, "invalid-utf8", [](const ReadCounts& c) { return c.invalid_utf8; },
      "invalid UTF-8 sequences became U+FFFD", "the file was saved in another encoding, or cut: convert it");
  per_file(
      note, "lone-surrogates", [](const ReadCounts& c) { return c.lone_surrogates; },
      "lone surrogates became U+FFFD", "usual in the competition's files (half of a split emoji): kept");
}

}  // namespace agon::check
