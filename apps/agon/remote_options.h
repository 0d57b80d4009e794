// Options of the verbs that also take a model behind a URL.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/access/remote_model.h"

namespace CLI {
class App;
}

namespace agon {

/// `--name` and all that stands below "Remote models" in the help.
struct RemoteCommandOptions {
  llm::RemoteOptions remote;
  std::optional<std::int64_t> max_tokens_total;
  std::optional<double> max_cost;
};
/// `model_option` (null: none) is the option that takes the URL: its description is extended.
void add_remote_options(CLI::App& app, RemoteCommandOptions& options, const char* model_option = "--model");

/// What add_llm_options() adds and only a file has, with `more` of a verb's own.
[[nodiscard]] std::vector<std::string> local_options(std::vector<std::string> more);
/// Refuses, by name: options of remote models that are given with a file, and, with a URL, options that only
/// a file has (`local`: names as "--layer").
[[nodiscard]] Status check_remote_call(const CLI::App& app, const std::string& model,
                                       const std::vector<std::string>& local);

/// "OUTPUT.journal"; empty for standard output, pipes and devices, beside which nothing lies.
[[nodiscard]] std::string journal_beside(const std::string& output);

/// The remote model that a URL names. Without `--journal` finished items are kept in "OUTPUT.journal"; an
/// output to standard output has none. A budget needs a journal; `places` says where one could be.
[[nodiscard]] Result<std::unique_ptr<llm::RemoteModel>> open_remote(
    const RemoteCommandOptions& options, const std::string& url, const std::string& output,
    const char* places = "-o OUT or --journal FILE");
/// After the output is whole: deletes a journal that was not asked for, and says on standard error what was
/// spent.
[[nodiscard]] Status finish_remote(llm::RemoteModel& model, const RemoteCommandOptions& options, bool quiet);

}  // namespace agon
