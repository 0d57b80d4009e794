// What the verbs share: files with weights, failures with exit codes, facts for reports.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "agon/base/error.h"
#include "agon/data/vote_reader.h"
#include "agon/preference/evaluation_text.h"
#include "agon/preference/model.h"

namespace agon {

using Facts = std::vector<std::pair<std::string, std::string>>;

/// Options that every verb of the predictor takes.
struct CommonOptions {
  int threads = 0;
  bool quiet = false;
  std::uint64_t seed = 1;
};

[[nodiscard]] Result<std::vector<VoteFile>> vote_files(const std::vector<std::string>& arguments);

/// Prints an Error to standard error and sets the exit code; does nothing when all went well.
void report_status(const Status& status, int& exit_code);

/// The model file, or the one that comes with the program for the word "default".
[[nodiscard]] Result<PreferenceModel> load_model(const std::string& name);
/// Where a file that comes with the program lies ("default.agon", "ratings/..."), an Error when it is
/// missing.
[[nodiscard]] Result<std::string> share_file(const std::string& name);

/// The command line as typed, quoted where a shell wants it.
void remember_command(int argc, char** argv);
[[nodiscard]] const std::string& command_line();

/// The last part of a path.
[[nodiscard]] std::string file_name(const std::string& path);
/// "votes.csv: 1,500 votes, 2 null turns ..., sha256 ..." for each file.
[[nodiscard]] Facts file_facts(const std::vector<VoteSource>& sources);
/// Program, libraries, seed, command.
[[nodiscard]] Facts run_facts(const CommonOptions& options);
/// An Error now for what cannot be written at the end of a long run; leaves no trace. Empty paths are passed
/// over.
[[nodiscard]] Status check_outputs(const std::vector<std::string>& paths);
/// One line a file that had rows skipped or repaired, for standard error.
void print_counts(const std::vector<VoteSource>& sources);

/// "direction odd/even linear 0.60, boosted trees 0.40; tie ..."
[[nodiscard]] std::string blend_words(const BlendWeights& weights);

[[nodiscard]] EvaluationTextOptions evaluation_text_options();
/// Writes to standard output; a closed pipe or full disk is an Error.
[[nodiscard]] Status print(const std::string& text);

}  // namespace agon
