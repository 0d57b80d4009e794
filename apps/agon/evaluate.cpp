// agon evaluate: how well a model, or a submission, predicts labelled votes.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <unordered_map>

#include "agon/base/file.h"
#include "agon/base/hash.h"
#include "agon/base/parallel.h"
#include "agon/base/progress.h"
#include "agon/data/prompt_groups.h"
#include "agon/data/submission.h"
#include "agon/preference/evaluation.h"
#include "agon/preference/influence.h"
#include "agon/preference/lm/model_gains.h"
#include "agon/report/number.h"
#include "common.h"
#include "lm_features.h"
#include "verbs.h"

namespace agon {
namespace {

struct EvaluateCommand {
  std::string model, file, predictions, html, json;
  LmFeatureOptions lm;
  CommonOptions common;
  ReadOptions read{.need_labels = true};
};

/// The predictions of a submission file, in the order of the votes.
Result<std::vector<Prediction>> submitted(const std::string& path, std::span<const Vote> votes,
                                          const std::string& votes_path) {
  AGON_ASSIGN(const auto rows, read_submission(path));
  std::unordered_map<std::string, Prediction> by_id;
  for (const auto& [id, p] : rows)
    if (!by_id.emplace(id, p).second) return fail(fmt::format("the id '{}' occurs twice", id), path);
  std::vector<Prediction> out;
  for (const Vote& vote : votes) {
    const auto found = by_id.find(vote.id);
    if (found == by_id.end())
      return std::unexpected(
          Error{.message = fmt::format("no prediction for the id '{}' of {}", vote.id, votes_path),
                .file = path,
                .expected = "one row for every vote"});
    out.push_back(found->second);
  }
  return out;
}

Status run(const CLI::App& app, const EvaluateCommand& c) {
  AGON_TRY(check_outputs({c.html, c.json}));
  set_thread_count(c.common.threads);
  const Progress progress = c.common.quiet ? Progress{} : terminal_progress();
  AGON_ASSIGN(PreferenceModel model, load_model(c.model));
  std::shared_ptr<AnswerReader> language_model;
  if (c.predictions.empty()) {
    AGON_ASSIGN(language_model,
                attach_lm(app, model, c.model, c.lm, c.common.threads, c.html, c.common.quiet));
  }
  AGON_ASSIGN(VoteSet set, read_votes({VoteFile{.path = c.file}}, c.read, progress));
  std::erase_if(set.votes, [](const Vote& v) { return v.outcome == Outcome::kUnknown; });
  if (set.votes.empty()) return fail("no labelled votes", c.file);
  std::vector<Prediction> predictions, prior, length_only;
  std::vector<float> rows;  // that the model's predictions are made from
  if (c.predictions.empty()) {
    if (progress) progress("predict", 0, 1);
    AGON_ASSIGN(rows, model.rows(set.votes, progress));
    AGON_ASSIGN(predictions, model.predict_rows(rows));
  } else {
    AGON_ASSIGN(predictions, submitted(c.predictions, set.votes, c.file));
  }
  model.predict_baselines(set.votes, prior, length_only);
  const std::vector<std::uint32_t> clusters = prompt_groups(set.votes);
  EvaluationOptions options;
  options.bootstrap.seed = c.common.seed;
  if (progress) progress("measure", 0, 1);
  const Evaluation evaluation =
      evaluate(set.votes, set.extra_names, predictions, prior, length_only, clusters, options);

  Facts facts{{"model", c.model}};
  for (const auto& [key, value] : model.card()) facts.emplace_back("model: " + key, value);
  if (!c.predictions.empty()) {
    AGON_ASSIGN(const std::string hash, sha256_file(c.predictions));
    facts.emplace_back("predictions", fmt::format("{}, SHA-256 {}", c.predictions, hash));
  }
  for (auto& fact : file_facts(set.sources)) facts.push_back(std::move(fact));
  for (auto& fact : run_facts(c.common)) facts.push_back(std::move(fact));
  ModelGains gains;
  if (language_model) {
    AGON_ASSIGN(gains, model_gains(model, set.votes, std::move(rows), clusters));
    for (auto& fact : lm_facts(language_model->spec())) facts.push_back(std::move(fact));
    add_lm_gains(facts, gains.gains);
  }
  if (!c.json.empty()) AGON_TRY(write_file(c.json, evaluation_json(evaluation, facts)));
  if (!c.html.empty()) {
    ReportData report;
    const std::string& subject = c.predictions.empty() ? c.model : c.predictions;
    report.title = fmt::format("How well {} predicts {}", file_name(subject), file_name(c.file));
    report.kind = "evaluation on labelled rows";
    report.evaluation = evaluation;
    report.votes = set.votes;
    report.predictions = predictions;
    report.provenance = facts;
    if (language_model)
      report.language_model = lm_report(*language_model, gains.gains, gains.log_loss_without);
    if (c.predictions.empty()) {
      AGON_ASSIGN(report.importances, importances(model, set.votes, c.common.seed));
      AGON_ASSIGN(report.effects, effect_curves(model, set.votes, report.importances, 8));
    }
    AGON_TRY(write_file(c.html, render_report(report)));
  }
  AGON_TRY(finish_lm(language_model.get(), c.lm, c.common.quiet));
  if (c.common.quiet) return {};
  finish_progress();
  print_counts(set.sources);
  std::string text = fmt::format("{} on {} votes of {}:\n\n", c.predictions.empty() ? c.model : c.predictions,
                                 format_count(set.votes.size()), c.file);
  text += evaluation_text(evaluation, evaluation_text_options());
  if (language_model) text += lm_text(lm_report(*language_model, gains.gains, gains.log_loss_without));
  if (!c.html.empty()) text += fmt::format("\nreport  {}\n", c.html);
  return print(text);
}

}  // namespace

void add_evaluate_command(CLI::App& app, int& exit_code) {
  CLI::App* evaluate = app.add_subcommand("evaluate", "Measure a model, or a submission, on labelled votes");
  const auto c = std::make_shared<EvaluateCommand>();
  evaluate->add_option("model", c->model, "A file that `agon train` wrote, or 'default'")
      ->required()
      ->type_name("MODEL");
  evaluate->add_option("file", c->file, "Labelled votes as CSV or JSON Lines, plain, .gz or .zst")
      ->required()
      ->type_name("FILE");
  evaluate
      ->add_option("--predictions", c->predictions,
                   "Measure these predictions (id and three probabilities) in place of the model's; its "
                   "baselines stay")
      ->type_name("SUBMISSION");
  evaluate->add_option("--html", c->html, "Write the report: one self-contained page")->type_name("FILE");
  evaluate->add_option("--json", c->json, "Write the figures for programs")->type_name("FILE");
  evaluate->add_option("--seed", c->common.seed, "Seed of the bootstrap")
      ->type_name("N")
      ->capture_default_str();
  evaluate
      ->add_option("--threads", c->common.threads,
                   "Threads to use, 0 for all cores; the result does not depend on it")
      ->type_name("N")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  evaluate->add_flag("--skip-bad", c->read.skip_bad,
                     "Pass over rows that can't be read, and say how many and which");
  evaluate->add_flag("--plain-text", c->read.plain_text, "Cells are plain text of one turn, not JSON lists");
  evaluate->add_flag("-q,--quiet", c->common.quiet, "Print nothing but errors");
  add_lm_options(*evaluate, c->lm);
  evaluate->callback([c, evaluate, &exit_code] { report_status(run(*evaluate, *c), exit_code); });
}

}  // namespace agon
