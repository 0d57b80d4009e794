// agon train: learn from votes, say honestly how well, keep the model in one file.
#include "agon/preference/train.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "agon/base/file.h"
#include "agon/base/parallel.h"
#include "agon/preference/influence.h"
#include "agon/report/number.h"
#include "common.h"
#include "lm_features.h"
#include "verbs.h"

namespace agon {
namespace {

struct TrainCommand {
  std::vector<std::string> files;
  std::string output, html, json, ratings = "bundled";
  bool no_cv = false;
  LmFeatureOptions lm;
  CommonOptions common;
  TrainOptions train;
  ReadOptions read{.need_labels = true};
};

struct LoadedRatings {
  Ratings ratings;
  std::string fact;
  bool missing = false;  ///< The bundled ones are not there.
};

Result<LoadedRatings> load_ratings(const std::string& choice) {
  if (choice == "none") return LoadedRatings{{}, "fitted from the votes alone"};
  if (choice != "bundled") {
    AGON_ASSIGN(Ratings ratings, read_ratings(choice));
    const std::string fact = fmt::format("{} models from {}", ratings.size(), choice);
    return LoadedRatings{std::move(ratings), fact};
  }
  const auto path = share_file("ratings/arena_2024-08-14.csv");
  if (!path) return LoadedRatings{{}, "fitted from the votes alone: " + path.error().message, true};
  AGON_ASSIGN(Ratings ratings, read_ratings(*path));
  const std::string fact = fmt::format(
      "{} models as the Chatbot Arena rated them on 2024-08-14 (bundled), others fitted from the votes",
      ratings.size());
  return LoadedRatings{std::move(ratings), fact};
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

std::string seeds_line(const CrossValidation& cv) {
  std::string each;
  for (const double v : cv.log_loss_by_seed) each += (each.empty() ? "" : ", ") + format_fixed(v, 4);
  return fmt::format("{} (mean of {} drawing{} of {} folds: {})", format_fixed(mean(cv.log_loss_by_seed), 4),
                     cv.log_loss_by_seed.size(), cv.log_loss_by_seed.size() == 1 ? "" : "s", cv.folds, each);
}

/// Everything about the cross-validation that the report and the terminal show.
struct Judged {
  std::vector<Vote> votes;  ///< the first file's, aligned with the predictions
  Evaluation evaluation;
  std::vector<BaseLearner> learners;
};

Judged judge(const Dataset& data, const CrossValidation& cv, std::uint64_t seed) {
  Judged out;
  std::vector<std::uint32_t> clusters;
  for (const std::uint32_t r : data.main_rows) {
    out.votes.push_back(data.votes()[r]);
    clusters.push_back(data.groups[r]);
  }
  EvaluationOptions options;
  options.bootstrap.seed = seed;
  out.evaluation =
      evaluate(out.votes, data.set.extra_names, cv.predictions, cv.prior, cv.length_only, clusters, options);
  const std::array<std::string_view, kLearners> words = {
      "a convex model: odd features drive the direction, even ones the tie",
      "gradient-boosted trees on both orders of every row, averaged over both orders"};
  for (std::size_t k = 0; k < kLearners; ++k) {
    double sum = 0;
    for (std::size_t i = 0; i < out.votes.size(); ++i)
      sum += log_loss(cv.learners[k][i], out.votes[i].outcome);
    out.learners.push_back({std::string(learner_names()[k]), std::string(words[k]),
                            sum / static_cast<double>(out.votes.size()),
                            (cv.weights.direction[k] + cv.weights.tie[k]) / 2});
  }
  return out;
}

LanguageModelReport lm_report(const AnswerReader& reader, const CrossValidation& cv) {
  return lm_report(reader, cv.block_gains, mean(cv.log_loss_without_lm_by_seed));
}

std::string lm_text(const AnswerReader& reader, const CrossValidation& cv, std::size_t votes) {
  std::string text = lm_text(lm_report(reader, cv));
  if (reader.votes_read() > 0)
    text += fmt::format("  read {} of {} votes anew: {} s, {} s a vote\n", format_count(reader.votes_read()),
                        format_count(votes), format_fixed(reader.seconds(), 1),
                        format_fixed(reader.seconds() / static_cast<double>(reader.votes_read()), 3));
  if (reader.tokens() > 0)
    text += fmt::format(
        "  {} tokens, {} a second\n", format_count(reader.tokens()),
        format_count(static_cast<std::size_t>(static_cast<double>(reader.tokens()) / reader.seconds())));
  return text;
}

Status write_reports(const TrainCommand& c, const Dataset& data, const CrossValidation& cv,
                     const Judged& judged, const Trained& trained, const Facts& facts, AnswerReader* reader) {
  if (!c.json.empty()) {
    Facts all = facts;
    all.emplace_back("cross-validated log loss", seeds_line(cv));
    add_lm_gains(all, cv.block_gains);
    AGON_TRY(write_file(c.json, evaluation_json(judged.evaluation, all)));
  }
  if (c.html.empty()) return {};
  AGON_ASSIGN(auto effects, effect_curves(trained.model, judged.votes, cv.importances, 8));
  ReportData report;
  report.title = fmt::format("How well agon predicts {}", file_name(data.set.sources.front().path));
  report.kind = fmt::format("cross-validation, {} prompt-grouped folds", cv.folds);
  report.evaluation = judged.evaluation;
  report.votes = judged.votes;
  report.predictions = cv.predictions;
  report.learning_curve = cv.learning_curve;
  report.importances = cv.importances;
  report.effects = std::move(effects);
  report.learners = judged.learners;
  if (reader != nullptr) report.language_model = lm_report(*reader, cv);
  report.notes.push_back("Log loss " + seeds_line(cv) + ".");
  for (const std::string& line : describe(data, trained.auxiliary)) report.notes.push_back(line + ".");
  report.provenance = facts;
  return write_file(c.html, render_report(report));
}

Status run(const CLI::App& app, const TrainCommand& c) {
  if (c.no_cv && (!c.html.empty() || !c.json.empty()))
    return std::unexpected(Error{.message = "--no-cv leaves nothing to put into --html or --json",
                                 .expected = "one or the other",
                                 .kind = ErrorKind::kUsage});
  if (c.train.folds == 1)
    return std::unexpected(Error{.message = "--folds 1 leaves nothing to learn from",
                                 .expected = "2 or more, or 0 for the default",
                                 .kind = ErrorKind::kUsage});
  AGON_TRY(check_outputs({c.output, c.html, c.json}));
  set_thread_count(c.common.threads);
  const Progress progress = c.common.quiet ? Progress{} : terminal_progress();
  AGON_ASSIGN(const auto files, vote_files(c.files));
  AGON_ASSIGN(VoteSet set, read_votes(files, c.read, progress));
  AGON_ASSIGN(LoadedRatings ratings, load_ratings(c.ratings));
  AGON_ASSIGN(const std::shared_ptr<AnswerReader> reader, open_lm(app, c.lm, c.common.threads, c.output));
  if (!c.common.quiet) {
    finish_progress();
    print_counts(set.sources);
    if (ratings.missing) fmt::print(stderr, "agon: strengths of models are {}\n", ratings.fact);
  }
  AGON_ASSIGN(const Dataset data,
              prepare(std::move(set), std::move(ratings.ratings), reader.get(), progress));
  Facts facts = file_facts(data.set.sources);
  facts.emplace_back("strengths of models", ratings.fact);
  if (reader)
    for (auto& fact : lm_facts(reader->spec())) facts.push_back(std::move(fact));
  for (auto& fact : run_facts(c.common)) facts.push_back(std::move(fact));

  TrainOptions options = c.train;
  options.seed = c.common.seed;
  options.learning_curve = !c.html.empty();
  CrossValidation cv;
  Judged judged;
  ModelCard card{{"kind", "preference predictor: which of two answers people prefer, or a tie"}};
  if (!c.no_cv) {
    AGON_ASSIGN(cv, cross_validate(data, options, progress));
    judged = judge(data, cv, options.seed);
    const Evaluation& e = judged.evaluation;
    card.emplace_back("cross-validated log loss", seeds_line(cv));
    add_lm_gains(card, cv.block_gains);
    card.emplace_back("95 % interval", format_interval(e.overall.log_loss.low, e.overall.log_loss.high, 4));
    card.emplace_back("baselines",
                      fmt::format("prior {}, length only {}", format_fixed(e.prior.log_loss.value, 4),
                                  format_fixed(e.length_only.log_loss.value, 4)));
  } else {
    card.emplace_back("cross-validated log loss", "not measured (--no-cv)");
  }
  card.emplace_back("inputs", "prompt and answers; names of models are never inputs");
  card.emplace_back(
      "limits", "learned from people who voted on the files below; other people, prompts and times differ");
  card.insert(card.end(), facts.begin(), facts.end());
  std::optional<FinalChoices> choices;
  if (!c.no_cv) choices = FinalChoices{cv.weights, cv.kept_blocks};
  AGON_ASSIGN(Trained trained,
              train(data, choices, card, options, progress, reader ? reader->spec() : AnswerSpec{}));
  if (trained.model.language_model() != nullptr) trained.model.attach(reader);  // the report predicts
  if (!c.output.empty()) AGON_TRY(trained.model.save(c.output));
  if (!c.no_cv) AGON_TRY(write_reports(c, data, cv, judged, trained, facts, reader.get()));
  AGON_TRY(finish_lm(reader.get(), c.lm, c.common.quiet));
  if (c.common.quiet) return {};

  finish_progress();
  std::string text;
  for (const std::string& line : describe(data, trained.auxiliary)) text += "  " + line + "\n";
  if (!c.no_cv) {
    text += fmt::format("\nCross-validated on {} votes, {} prompt-grouped folds, seed {}:\n\n",
                        format_count(judged.votes.size()), cv.folds, c.common.seed);
    text += evaluation_text(judged.evaluation, evaluation_text_options());
    text += "\n  log loss " + seeds_line(cv) + "\n";
    for (const BaseLearner& l : judged.learners)
      text += fmt::format("  {} alone {}\n", l.name, format_fixed(l.log_loss, 4));
    text += fmt::format("  blend: {}\n", blend_words(cv.weights));
    if (reader) text += lm_text(*reader, cv, data.votes().size());
  }
  for (const auto& [key, value] : trained.model.card())
    if (key == kLeftOutFact) text += fmt::format("  left out of the predictor: {}\n", value);
  if (!c.output.empty()) text += fmt::format("\nmodel   {}\n", c.output);
  if (!c.html.empty() && !c.no_cv) text += fmt::format("report  {}\n", c.html);
  return print(text);
}

}  // namespace

void add_train_command(CLI::App& app, int& exit_code) {
  CLI::App* train = app.add_subcommand("train", "Learn from votes which of two answers people prefer");
  const auto c = std::make_shared<TrainCommand>();
  train
      ->add_option("files", c->files,
                   "Votes as CSV or JSON Lines, plain, .gz or .zst; figures are measured on the first file. "
                   "FILE:0.15 gives its votes that weight, FILE:auto lets training choose")
      ->required()
      ->type_name("FILE[:WEIGHT]...");
  train->add_option("-o,--output", c->output, "Where the model goes; without it only the figures are made")
      ->type_name("MODEL");
  train->add_option("--html", c->html, "Write the report: one self-contained page")->type_name("FILE");
  train->add_option("--json", c->json, "Write the figures for programs")->type_name("FILE");
  train->add_option("--seed", c->common.seed, "Seed of every random draw")
      ->type_name("N")
      ->capture_default_str();
  train
      ->add_option("--threads", c->common.threads,
                   "Threads to use, 0 for all cores; the result does not depend on it")
      ->type_name("N")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  train->add_option("--folds", c->train.folds, "Folds of the cross-validation; 0 for 5, or 3 on large files")
      ->type_name("N")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  train
      ->add_option("--cv-seeds", c->train.cv_seeds,
                   "Repeat the cross-validation with N drawings of folds and average")
      ->type_name("N")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  train
      ->add_option(
          "--ratings", c->ratings,
          "Ratings of models for the author-strength scores: a CSV of model and rating, 'bundled' or 'none'")
      ->type_name("FILE")
      ->capture_default_str();
  train->add_flag("--keep-all", c->train.keep_all_files,
                  "Take further files as they are, without judging whether they help");
  train
      ->add_flag("--lm-keep-all", c->train.keep_all_blocks,
                 "Keep every block of --lm-blocks in the model, also those that bring nothing")
      ->group("Language model");
  train->add_flag("--no-cv", c->no_cv, "No cross-validation: faster, and no figures");
  train->add_flag("--skip-bad", c->read.skip_bad,
                  "Pass over rows that can't be read, and say how many and which");
  train->add_flag("--plain-text", c->read.plain_text, "Cells are plain text of one turn, not JSON lists");
  train->add_flag("-q,--quiet", c->common.quiet, "Print nothing but errors");
  add_lm_options(*train, c->lm);
  add_lm_training_options(*train, c->lm);
  train->callback([c, train, &exit_code] { report_status(run(*train, *c), exit_code); });
}

}  // namespace agon
