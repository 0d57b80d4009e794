// agon predict: three probabilities for every row, streamed.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "agon/base/file.h"
#include "agon/base/parallel.h"
#include "agon/base/progress.h"
#include "agon/data/submission.h"
#include "common.h"
#include "lm_features.h"
#include "verbs.h"

namespace agon {
namespace {

constexpr std::size_t kBatchRows = 1024;                    ///< votes in memory at a time
constexpr std::size_t kBatchBytes = std::size_t{16} << 20;  ///< or this much text
constexpr std::size_t kReasons = 12;                        ///< features named a row by --explain

struct PredictCommand {
  std::string model, file, output = "-", explain;
  LmFeatureOptions lm;
  CommonOptions common;
  ReadOptions read{.need_labels = false};
};

Status write_reasons(const PreferenceModel& model, std::span<const Vote> votes,
                     std::span<const Prediction> predictions, AtomicFile& out) {
  AGON_ASSIGN(const auto reasons, model.explain(votes, kReasons));
  std::string lines;
  for (std::size_t i = 0; i < votes.size(); ++i) {
    nlohmann::ordered_json line{{"id", votes[i].id},
                                {"winner_model_a", predictions[i].a},
                                {"winner_model_b", predictions[i].b},
                                {"winner_tie", predictions[i].tie},
                                {"features", nlohmann::ordered_json::array()}};
    for (const Push& push : reasons[i])
      line["features"].push_back({{"name", push.column}, {"to_a", push.direction}, {"to_tie", push.tie}});
    lines += line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  }
  return out.write(lines);
}

Status run(const CLI::App& app, const PredictCommand& c) {
  set_thread_count(c.common.threads);
  const Progress progress = c.common.quiet ? Progress{} : terminal_progress();
  AGON_ASSIGN(PreferenceModel model, load_model(c.model));
  AGON_ASSIGN(const auto language_model,
              attach_lm(app, model, c.model, c.lm, c.common.threads, c.output, c.common.quiet));
  AGON_ASSIGN(const auto reader, VoteReader::open(c.file, c.read));
  AGON_ASSIGN(SubmissionWriter writer, SubmissionWriter::create(c.output, submission_format(c.output)));
  std::unique_ptr<AtomicFile> reasons;
  if (!c.explain.empty()) {
    AGON_ASSIGN(reasons, AtomicFile::create(c.explain));
  }
  std::vector<Vote> votes;
  std::uint64_t rows = 0;
  for (;;) {
    votes.clear();
    AGON_ASSIGN(const std::size_t count, reader->read(votes, kBatchRows, kBatchBytes));
    if (count == 0) break;
    AGON_ASSIGN(const auto predictions, model.predict(votes));
    for (std::size_t i = 0; i < count; ++i) AGON_TRY(writer.write(votes[i].id, predictions[i]));
    if (reasons) AGON_TRY(write_reasons(model, votes, predictions, *reasons));
    rows += count;
    if (progress) progress("predict", static_cast<std::uint64_t>(reader->fraction_read() * 1e6), 1'000'000);
  }
  AGON_TRY(writer.commit());
  if (reasons) AGON_TRY(reasons->commit());
  AGON_TRY(finish_lm(language_model.get(), c.lm, c.common.quiet));
  if (c.common.quiet) return {};
  finish_progress();
  VoteSource source;
  source.path = c.file;
  source.counts = reader->counts();
  print_counts({source});
  if (c.output != "-") fmt::print(stderr, "{} rows predicted: {}\n", rows, c.output);
  return {};
}

}  // namespace

void add_predict_command(CLI::App& app, int& exit_code) {
  CLI::App* predict =
      app.add_subcommand("predict", "Predict for every row: A preferred, B preferred, or a tie");
  const auto c = std::make_shared<PredictCommand>();
  predict->add_option("model", c->model, "A file that `agon train` wrote, or 'default'")
      ->required()
      ->type_name("MODEL");
  predict->add_option("file", c->file, "Rows as CSV or JSON Lines, plain, .gz or .zst")
      ->required()
      ->type_name("FILE");
  predict
      ->add_option("-o,--output", c->output,
                   "Where predictions go: CSV in the competition's form, or JSON Lines for a name in .jsonl")
      ->type_name("OUT")
      ->capture_default_str();
  predict
      ->add_option("--explain", c->explain, "Write for every row which features pushed where, as JSON Lines")
      ->type_name("OUT");
  predict
      ->add_option("--threads", c->common.threads,
                   "Threads to use, 0 for all cores; the result does not depend on it")
      ->type_name("N")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  predict->add_flag("--skip-bad", c->read.skip_bad,
                    "Pass over rows that can't be read, and say how many and which");
  predict->add_flag("--plain-text", c->read.plain_text, "Cells are plain text of one turn, not JSON lists");
  predict->add_flag("-q,--quiet", c->common.quiet, "Print nothing but errors");
  add_lm_options(*predict, c->lm);
  predict->callback([c, predict, &exit_code] { report_status(run(*predict, *c), exit_code); });
}

}  // namespace agon
