// What the verbs of the language-model engine share: options, opening a model, messages.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/engine/engine.h"
#include "agon/llm/engine/generation.h"

namespace CLI {
class App;
}

namespace agon {

/// Options of every verb that runs a language model.
struct LlmOptions {
  std::string model;
  int threads = 0;
  int context = 0;
  std::string cache_type = "auto", precision = "fast", template_name, packed;
  std::string rope_scaling;
  double rope_theta = 0, rope_factor = 0;  ///< 0: the file's.
  int rope_original = 0;
  bool quiet = false;
};
void add_llm_options(CLI::App& app, LlmOptions& options);
/// Of these, the ones that a verb with several models has too.
void add_engine_options(CLI::App& app, LlmOptions& options);
/// -q for verbs with messages of their own.
void add_quiet_option(CLI::App& app, LlmOptions& options);
[[nodiscard]] Result<std::unique_ptr<llm::Engine>> open_engine(const LlmOptions& options);

/// Options of verbs that draw tokens.
struct SamplingOptions {
  llm::SamplerOptions sampler;
  std::vector<std::string> stop;
  int max_tokens = 0;
  bool truncate = false;
  [[nodiscard]] llm::GenerationOptions generation() const { return {sampler, stop, max_tokens, truncate}; }
};
/// `temperature` is what the verb takes when it is not told another.
void add_sampling_options(CLI::App& app, SamplingOptions& options, double temperature);

/// A command line that is wrong.
[[nodiscard]] std::unexpected<Error> wrong_call(std::string message, std::string expected = {});

}  // namespace agon
