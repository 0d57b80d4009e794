// Options of the verbs that let a language model read the answers of votes.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/preference/lm/answer_reader.h"
#include "agon/preference/model.h"
#include "agon/preference/report_page.h"
#include "common.h"
#include "remote_options.h"

namespace CLI {
class App;
}

namespace agon {

struct LmFeatureOptions {
  std::string model;  ///< A file or a URL; empty: none, or where the predictor says.
  std::string cache = "default";
  RemoteCommandOptions remote;
  // Only at training: later the predictor knows.
  std::vector<std::string> blocks, layers;
  std::string template_name;
  ReadingBudget budget;
};

/// `--lm`, `--lm-cache` and the options of remote models.
void add_lm_options(CLI::App& app, LmFeatureOptions& options);
/// What only training chooses: `--lm-blocks` and so on.
void add_lm_training_options(CLI::App& app, LmFeatureOptions& options);

/// The reader that training asks for; null without `--lm`. `output` is what a journal may lie beside; where
/// nothing can, it lies in the folder of `--lm-cache`.
[[nodiscard]] Result<std::unique_ptr<AnswerReader>> open_lm(const CLI::App& app,
                                                            const LmFeatureOptions& options, int threads,
                                                            const std::string& output);

/// Gives a predictor the language model that it was trained with: `--lm`, or the same file where it was at
/// training, beside the predictor, in this folder or in models/, whatever its name is now. The URL that a
/// predictor holds is used only when it is this machine's; another is an Error that asks for `--lm`. Nothing
/// for a predictor that needs none; then `--lm` is an Error, or a note where training found that its blocks
/// brought nothing. `path` is the predictor's.
[[nodiscard]] Result<std::shared_ptr<AnswerReader>> attach_lm(const CLI::App& app, PreferenceModel& model,
                                                              const std::string& path,
                                                              const LmFeatureOptions& options, int threads,
                                                              const std::string& output, bool quiet);
/// Ends a run on a remote model (see finish_remote); nothing for others.
[[nodiscard]] Status finish_lm(AnswerReader* reader, const LmFeatureOptions& options, bool quiet);

/// Facts for cards and reports.
[[nodiscard]] Facts lm_facts(const AnswerSpec& spec);

/// What a report says of the reader: `log_loss_without` is that of the predictor without its blocks.
[[nodiscard]] LanguageModelReport lm_report(const AnswerReader& reader, std::vector<BlockGain> gains,
                                            double log_loss_without);
/// The same for the terminal, a line a block.
[[nodiscard]] std::string lm_text(const LanguageModelReport& report);
void add_lm_gains(Facts& facts, std::span<const BlockGain> gains);

}  // namespace agon
