#include "llm_options.h"

#include <CLI/CLI.hpp>

#include "agon/llm/remote/base_url.h"

namespace agon {

void add_llm_options(CLI::App& app, LlmOptions& o) {
  app.add_option("-m,--model", o.model, "A GGUF file")->required()->type_name("MODEL");
  app.add_option("--context", o.context, "Longest sequence in tokens; 0: what the model is meant for")
      ->type_name("N")
      ->check(CLI::Range(0, 1 << 27))
      ->capture_default_str();
  app.add_option("--packed", o.packed,
                 "Keep the weights as the kernels want them in this file, so that later starts are faster")
      ->type_name("FILE");
  add_engine_options(app, o);
}

void add_engine_options(CLI::App& app, LlmOptions& o) {
  app.add_option("--threads", o.threads, "Threads to use, 0 for all cores; the result does not depend on it")
      ->type_name("N")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option(
         "--cache-type", o.cache_type,
         "Format of keys and values: f32, f16, bf16 or q8_0; auto: f32 where nothing else is rounded, else "
         "f16")
      ->type_name("TYPE")
      ->check(CLI::IsMember({"auto", "f32", "f16", "bf16", "q8_0"}))
      ->capture_default_str();
  app.add_option("--precision", o.precision,
                 "fast: activations are rounded to bytes before products with quantised weights; exact: they "
                 "stay floats")
      ->type_name("MODE")
      ->check(CLI::IsMember({"fast", "exact"}))
      ->capture_default_str();
  app.add_option("--template", o.template_name,
                 "Family of chat templates in place of the file's: chatml, llama2, llama3, mistral, gemma, "
                 "phi3 or zephyr")
      ->type_name("NAME");
  app.add_option("--rope-scaling", o.rope_scaling,
                 "How positions beyond the trained context are turned, in place of the file's: none, linear, "
                 "ntk, yarn or llama3")
      ->type_name("KIND")
      ->check(CLI::IsMember({"none", "linear", "ntk", "yarn", "llama3"}));
  app.add_option("--rope-factor", o.rope_factor, "How many times longer than trained")
      ->type_name("X")
      ->check(CLI::Range(1e-3, 1e6));
  app.add_option("--rope-original", o.rope_original, "Trained context, when the file does not say it rightly")
      ->type_name("N")
      ->check(CLI::Range(1, 1 << 27));
  app.add_option("--rope-theta", o.rope_theta, "Base of the frequencies in place of the file's")
      ->type_name("X")
      ->check(CLI::Range(1.0, 1e15));
}

void add_quiet_option(CLI::App& app, LlmOptions& o) {
  app.add_flag("-q,--quiet", o.quiet, "Print nothing but results and errors");
}

Result<std::unique_ptr<llm::Engine>> open_engine(const LlmOptions& o) {
  using Scaling = llm::RopeConfig::Scaling;
  if (llm::is_url(o.model))
    return wrong_call(o.model + " is a URL, and this needs a model file", "-m FILE.gguf");
  llm::EngineOptions options;
  options.threads = o.threads;
  if (o.cache_type == "f32") options.cache_type = llm::CacheType::kF32;
  if (o.cache_type == "f16") options.cache_type = llm::CacheType::kF16;
  if (o.cache_type == "bf16") options.cache_type = llm::CacheType::kBF16;
  if (o.cache_type == "q8_0") options.cache_type = llm::CacheType::kQ8_0;
  options.packed_path = o.packed;
  options.exact = o.precision == "exact";
  options.template_name = o.template_name;
  options.config.context = o.context;
  if (o.rope_theta > 0) options.config.rope_theta = o.rope_theta;
  if (o.rope_factor > 0) options.config.rope_factor = o.rope_factor;
  if (o.rope_original > 0) options.config.rope_original_context = o.rope_original;
  if (!o.rope_scaling.empty()) {
    options.config.rope_scaling = o.rope_scaling == "none"     ? Scaling::kNone
                                  : o.rope_scaling == "linear" ? Scaling::kLinear
                                  : o.rope_scaling == "ntk"    ? Scaling::kNtk
                                  : o.rope_scaling == "yarn"   ? Scaling::kYarn
                                                               : Scaling::kLlama3;
  }
  return llm::Engine::open(o.model, options);
}

void add_sampling_options(CLI::App& app, SamplingOptions& o, double temperature) {
  llm::SamplerOptions& s = o.sampler;
  s.temperature = temperature;
  app.add_option("--temperature", s.temperature, "0: always the most probable token; higher: more varied")
      ->type_name("T")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  app.add_option("--top-k", s.top_k, "Draw among the K most probable tokens only; 0: all")
      ->type_name("K")
      ->check(CLI::Range(0, 1 << 24))
      ->capture_default_str();
  app.add_option("--top-p", s.top_p, "Draw among the most probable tokens that have this share together")
      ->type_name("P")
      ->check(CLI::Range(1e-9, 1.0))
      ->capture_default_str();
  app.add_option("--min-p", s.min_p, "Leave out tokens below this share of the most probable one's")
      ->type_name("P")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--repetition-penalty", s.repetition_penalty,
                 "Make tokens that occurred less probable, 1: not")
      ->type_name("X")
      ->check(CLI::Range(0.01, 100.0))
      ->capture_default_str();
  app.add_option("--repeat-last", s.repeat_last, "How many tokens the penalty looks back on; -1: all")
      ->type_name("N")
      ->check(CLI::Range(-1, 1 << 27))
      ->capture_default_str();
  app.add_option("--seed", s.seed, "Seed of the draws; the same seed gives the same text")
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--stop", o.stop, "A text that ends the answer; repeatable")->type_name("TEXT");
  app.add_option("-n,--max-tokens", o.max_tokens, "Longest answer in tokens; 0: until the context is full")
      ->type_name("N")
      ->check(CLI::Range(0, 1 << 27))
      ->capture_default_str();
  app.add_flag("--truncate", o.truncate, "Cut a prompt that is too long at its front, in place of an error");
}

std::unexpected<Error> wrong_call(std::string message, std::string expected) {
  Error error;
  error.message = std::move(message);
  error.expected = std::move(expected);
  error.kind = ErrorKind::kUsage;
  return std::unexpected(std::move(error));
}

}  // namespace agon
