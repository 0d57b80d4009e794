// agon rank powered: few human votes, many unvoted battles, and a predictor that cannot bias the board.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <unordered_map>

#include "agon/base/file.h"
#include "agon/base/parallel.h"
#include "agon/ranking/covariance.h"
#include "agon/ranking/prediction_powered.h"
#include "agon/report/number.h"
#include "agon/report/table.h"
#include "agon/report/terminal.h"
#include "agon/stats/normal.h"
#include "agon/text/csv.h"
#include "common.h"
#include "rank_input.h"
#include "rank_verbs.h"

namespace agon {
namespace {

struct PoweredCommand {
  std::vector<std::string> voted;
  std::string unvoted, model = "default", output;
  double level = 0.95;
  CommonOptions common;
  ReadOptions read;
};

/// Battles of votes with names, competitors numbered as they come.
class Collector {
 public:
  Result<PredictedBattles> take(const std::vector<Vote>& votes, const PreferenceModel& model, bool voted) {
    AGON_ASSIGN(const std::vector<Prediction> predictions, model.predict(votes));
    PredictedBattles out;
    for (std::size_t i = 0; i < votes.size(); ++i) {
      const Vote& vote = votes[i];
      const bool labelled = vote.outcome != Outcome::kUnknown;
      if (vote.model_a.empty() || vote.model_b.empty() || vote.model_a == vote.model_b ||
          (voted && !labelled)) {
        ++left_out_;
        continue;
      }
      out.a.push_back(number(vote.model_a));
      out.b.push_back(number(vote.model_b));
      out.predicted.push_back(std::clamp(expected_share(predictions[i].a, predictions[i].tie), 0.0, 1.0));
      if (voted) out.share.push_back(vote.outcome == Outcome::kA ? 1 : vote.outcome == Outcome::kB ? 0 : 0.5);
    }
    return out;
  }
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }

 private:
  std::uint32_t number(const std::string& name) {
    const auto [found, fresh] = numbers_.emplace(name, static_cast<std::uint32_t>(names_.size()));
    if (fresh) names_.push_back(name);
    return found->second;
  }
  std::unordered_map<std::string, std::uint32_t> numbers_;
  std::vector<std::string> names_;
  std::uint64_t left_out_ = 0;
};

/// A model that has learned from these very votes predicts them too well, and the correction by them is too
/// small.
Status refuse_own_votes(const PreferenceModel& model, const std::vector<VoteSource>& sources) {
  for (const auto& [key, value] : model.card())
    for (const VoteSource& s : sources)
      if (key == "file" && !s.sha256.empty() && value.find(s.sha256) != std::string::npos)
        return fail(
            "the model was trained on this file: it predicts these votes better than new ones, and intervals "
            "would be "
            "too narrow; use a model that has not seen them",
            s.path);
  return {};
}

struct Line {
  std::string name;
  Rating powered, human;
};

std::string lines_csv(const std::vector<Line>& lines) {
  std::string out = "model,rating,low,high,se,human_rating,human_low,human_high,human_se\n";
  for (const Line& l : lines) {
    append_csv_field(out, l.name);
    for (const Rating& r : {l.powered, l.human})
      out += fmt::format(",{},{},{},{}", r.rating, r.low, r.high, r.se);
    out += "\n";
  }
  return out;
}

Status run(const PoweredCommand& c) {
  AGON_TRY(check_outputs({c.output}));
  set_thread_count(c.common.threads);
  const Progress progress = c.common.quiet ? Progress{} : terminal_progress();
  AGON_ASSIGN(const PreferenceModel model, load_model(c.model));
  AGON_ASSIGN(const auto files, vote_files(c.voted));
  AGON_ASSIGN(const VoteSet voted, read_votes(files, c.read, progress));
  AGON_TRY(refuse_own_votes(model, voted.sources));
  ReadOptions unlabelled = c.read;
  unlabelled.need_labels = false;
  AGON_ASSIGN(const VoteSet unvoted, read_votes({VoteFile{.path = c.unvoted}}, unlabelled, progress));
  if (progress) progress("predict", 0, 1);
  Collector collector;
  AGON_ASSIGN(const PredictedBattles human, collector.take(voted.votes, model, true));
  AGON_ASSIGN(const PredictedBattles rest, collector.take(unvoted.votes, model, false));
  AGON_ASSIGN(const PredictionPowered fit, fit_prediction_powered(human, rest, collector.names().size()));
  finish_progress();
  const double z = critical_value(c.level);
  const auto powered = rate(fit.strengths, fit.covariance, {}, z);
  const auto classical = rate(fit.classical, fit.classical_covariance, {}, z);
  std::vector<Line> lines;
  for (std::size_t i = 0; i < collector.names().size(); ++i)
    lines.push_back({collector.names()[i], powered[i], classical[i]});
  std::ranges::stable_sort(lines, std::ranges::greater{}, [](const Line& l) { return l.powered.rating; });
  if (!c.output.empty()) AGON_TRY(write_file(c.output, lines_csv(lines)));
  if (c.common.quiet) return {};
  print_counts(voted.sources);
  print_counts(unvoted.sources);
  const std::string level = format_percent(c.level, 0) + " interval";
  Table table({{"model", Align::kLeft},
               {"rating", Align::kRight},
               {level, Align::kRight},
               {"by votes alone", Align::kRight},
               {level, Align::kRight},
               {"narrower", Align::kRight}});
  for (const Line& l : lines)
    table.add_row({l.name, format_fixed(l.powered.rating, 1),
                   format_interval(l.powered.low, l.powered.high, 1), format_fixed(l.human.rating, 1),
                   format_interval(l.human.low, l.human.high, 1),
                   format_percent(1 - l.powered.se / l.human.se, 0)});
  const TerminalInfo info = terminal_info(1);
  std::string text = fmt::format("{} votes and {} battles without, read by {}\n\n", format_count(fit.voted),
                                 format_count(fit.unvoted), c.model);
  text += table.terminal({.width = info.width, .indent = 0, .colour = info.colour});
  text += fmt::format(
      "\nPPI++ for Bradley-Terry, ties as half wins, lambda {}; {} in {} iterations, largest gradient {} a "
      "vote.\n"
      "Predictions of {} votes and {} unvoted battles took part: as precise as {} votes without them.\n",
      format_fixed(fit.lambda, 3), fit.converged ? "converged" : "NOT CONVERGED", fit.iterations,
      format_short(fit.gradient_norm, 2), format_count(fit.used_voted), format_count(fit.used_unvoted),
      format_count(static_cast<std::uint64_t>(std::llround(std::max(0.0, fit.effective_votes)))));
  if (collector.left_out() > 0)
    text += fmt::format("{} rows without two different models, or without a vote, are left out.\n",
                        format_count(collector.left_out()));
  if (!c.output.empty()) text += fmt::format("\nwrote  {}\n", c.output);
  return print(text);
}

}  // namespace

void add_rank_powered(CLI::App& rank, int& exit_code) {
  CLI::App* powered = rank.add_subcommand(
      "powered", "Narrow intervals by a model's predictions on battles without votes, without trusting them");
  const auto c = std::make_shared<PoweredCommand>();
  powered->add_option("files", c->voted, "Votes with texts, as for train")->required()->type_name("FILE...");
  powered
      ->add_option("--unvoted", c->unvoted,
                   "Battles of the same kind without votes: texts and names of models")
      ->required()
      ->type_name("FILE");
  powered
      ->add_option("--model", c->model,
                   "The predictor: a file that `agon train` wrote on other votes, or 'default'")
      ->type_name("MODEL")
      ->capture_default_str();
  powered->add_option("-o,--output", c->output, "Write both boards as CSV")->type_name("FILE");
  powered->add_option("--level", c->level, "Level of the intervals")
      ->type_name("P")
      ->check(CLI::Range(0.5, 0.9999))
      ->capture_default_str();
  powered
      ->add_option("--threads", c->common.threads,
                   "Threads to use, 0 for all cores; the result does not depend on it")
      ->type_name("N")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  powered->add_flag("--skip-bad", c->read.skip_bad,
                    "Pass over rows that can't be read, and say how many and which");
  powered->add_flag("--plain-text", c->read.plain_text, "Cells are plain text of one turn, not JSON lists");
  powered->add_flag("-q,--quiet", c->common.quiet, "Print nothing but errors");
  powered->callback([c, &exit_code] { report_status(run(*c), exit_code); });
}

}  // namespace agon
