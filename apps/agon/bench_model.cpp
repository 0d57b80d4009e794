// agon bench-model: how fast a model runs here, beside what this machine can do at most.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "agon/base/progress.h"
#include "agon/llm/engine/speed.h"
#include "agon/llm/kernels/cpu.h"
#include "agon/llm/kernels/peak.h"
#include "agon/report/number.h"
#include "agon/report/table.h"
#include "agon/report/terminal.h"
#include "common.h"
#include "llm_options.h"
#include "verbs.h"

namespace agon {
namespace {

struct BenchCommand {
  LlmOptions llm;
  llm::SpeedOptions speed;
  std::string layers;
  bool json = false;
};

// A size of this process in bytes, by its name in /proc/self/status ("VmHWM"); 0 when it is not there.
std::uint64_t memory_of_process(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with(name + ":")) continue;
    std::istringstream words(line.substr(name.size() + 1));
    std::uint64_t kib = 0;
    words >> kib;
    return kib * 1024;
  }
  return 0;
}

struct Shares {
  double bandwidth, operations;  // of the machine's limits
};
Shares shares_of(const llm::Rate& rate, const llm::Peak& peak) {
  if (rate.seconds.empty()) return {0, 0};
  const double seconds = rate.seconds.front();
  const double limit = rate.products == llm::Products::kBytes   ? peak.int8
                       : rate.products == llm::Products::kPairs ? peak.bf16
                                                                : peak.f32;
  return {rate.bytes / seconds / peak.bandwidth, rate.operations / seconds / limit};
}

nlohmann::ordered_json json_of(const llm::Rate& rate, const llm::Peak& peak) {
  if (rate.seconds.empty()) return nullptr;
  const Shares shares = shares_of(rate, peak);
  const double best = rate.seconds.front();
  return {{"tokens", rate.tokens},
          {"tokens_per_second", rate.best()},
          {"median_tokens_per_second", rate.median()},
          {"gb_per_second", rate.bytes / best * 1e-9},
          {"gflop_per_second", rate.operations / best * 1e-9},
          {"share_of_bandwidth", shares.bandwidth},
          {"products", llm::products_name(rate.products)},
          {"share_of_products", shares.operations}};
}

/// Shares of the time that each step took; null without a profile.
nlohmann::ordered_json profile_json(const llm::Rate& rate) {
  double all = rate.outside;
  for (const double seconds : rate.steps.seconds) all += seconds;
  if (all == 0) return nullptr;
  nlohmann::ordered_json json;
  for (std::size_t i = 0; i < rate.steps.seconds.size(); ++i)
    json[llm::kPassStepNames[i]] = rate.steps.seconds[i] / all;
  json["outside of passes"] = rate.outside / all;
  return json;
}

Status print_json(const BenchCommand& c, const llm::Engine& engine, const llm::Speed& speed,
                  const llm::Peak& peak, std::uint64_t memory) {
  const llm::OpenTimes& times = engine.open_times();
  const nlohmann::ordered_json json{
      {"model", c.llm.model},
      {"architecture", engine.config().architecture},
      {"cpu_level", llm::cpu_level_name(llm::cpu_level())},
      {"threads", peak.threads},
      {"precision", c.llm.precision},
      {"cache_type", c.llm.cache_type},
      {"sequences", c.speed.sequences},
      {"layers", c.speed.layers < 0 ? engine.config().layer_count() : c.speed.layers},
      {"vocabulary_product", c.speed.layers < 0},
      {"all_logits", c.speed.all_logits},
      {"repeats", c.speed.repeats},
      {"prompt", json_of(speed.prompt, peak)},
      {"generation", json_of(speed.generation, peak)},
      {"score", json_of(speed.score, peak)},
      {"score_alone", json_of(speed.score_alone, peak)},
      {"profile", {{"prompt", profile_json(speed.prompt)}, {"generation", profile_json(speed.generation)}}},
      {"limits",
       {{"int8_gop_per_second", peak.int8 * 1e-9},
        {"f32_gflop_per_second", peak.f32 * 1e-9},
        {"bf16_gflop_per_second", peak.bf16 * 1e-9},
        {"gb_per_second", peak.bandwidth * 1e-9}}},
      {"start_up_seconds",
       {{"file", times.file},
        {"tokenizer", times.tokenizer},
        {"weights", times.weights},
        {"first_token", speed.first_token_seconds}}},
      {"memory_bytes",
       {{"file", engine.file().size()},
        {"weights", engine.weights().bytes()},
        {"cache", speed.cache_bytes},
        {"peak", memory}}}};
  return print(json.dump(2) + "\n");
}

/// Where the time goes: a line a step, a column for each of what was measured.
std::string profile_text(const llm::Speed& speed) {
  std::vector<TableColumn> columns{{"where the time goes", Align::kLeft}};
  std::vector<nlohmann::ordered_json> profiles;
  for (const auto& [name, rate] : {std::pair{"prompt", &speed.prompt}, {"generation", &speed.generation}}) {
    nlohmann::ordered_json profile = profile_json(*rate);
    if (profile.is_null()) continue;
    columns.push_back({name, Align::kRight});
    profiles.push_back(std::move(profile));
  }
  if (profiles.empty()) return "";
  Table table(std::move(columns));
  for (const auto& [step, share] : profiles.front().items()) {
    std::vector<std::string> cells{step};
    for (const auto& profile : profiles) cells.push_back(format_percent(profile[step].get<double>()));
    table.add_row(std::move(cells));
  }
  return "\n" + table.terminal({.width = 0, .indent = 2, .colour = terminal_info(1).colour});
}

std::string milliseconds(double seconds) { return format_fixed(seconds * 1e3, 1) + " ms"; }
std::string mebibytes(std::size_t bytes) {
  return format_fixed(static_cast<double>(bytes) / 1048576, 0) + " MiB";
}

Status print_text(const BenchCommand& c, const llm::Engine& engine, const llm::Speed& speed,
                  const llm::Peak& peak, std::uint64_t memory) {
  Table table({{"", Align::kLeft},
               {"tokens/s", Align::kRight},
               {"median", Align::kRight},
               {"GB/s", Align::kRight},
               {"of limit", Align::kRight},
               {"GFLOP/s", Align::kRight},
               {"of limit", Align::kRight},
               {"products", Align::kLeft}});
  const auto row = [&](std::string name, const llm::Rate& rate) {
    if (rate.seconds.empty()) return;
    const Shares shares = shares_of(rate, peak);
    const double best = rate.seconds.front();
    table.add_row({std::move(name), format_fixed(rate.best(), 1), format_fixed(rate.median(), 1),
                   format_fixed(rate.bytes / best * 1e-9, 2), format_percent(shares.bandwidth),
                   format_fixed(rate.operations / best * 1e-9, 1), format_percent(shares.operations),
                   std::string(llm::products_name(rate.products))});
  };
  row(fmt::format("prompt of {}", c.speed.prompt), speed.prompt);
  row(c.speed.sequences > 1 ? fmt::format("{} sequences of {}", c.speed.sequences, c.speed.generate)
                            : fmt::format("generation of {}", c.speed.generate),
      speed.generation);
  row(fmt::format("{} continuations", c.speed.continuations), speed.score);
  row("one of them alone", speed.score_alone);
  std::string text =
      fmt::format("{}: {}, {} weights, {} on {} threads, best of {}{}\n\n", file_name(c.llm.model),
                  engine.config().architecture, mebibytes(engine.weights().bytes()),
                  llm::cpu_level_name(llm::cpu_level()), peak.threads, c.speed.repeats,
                  c.speed.layers >= 0 ? fmt::format(", {} of {} layers, no vocabulary product",
                                                    c.speed.layers, engine.config().layer_count())
                                      : "");
  text += table.terminal({.width = 0, .indent = 2, .colour = terminal_info(1).colour});
  text += fmt::format("\n  this machine's limits: int8 {} GOP/s, f32 {} GFLOP/s, ",
                      format_fixed(peak.int8 * 1e-9, 0), format_fixed(peak.f32 * 1e-9, 0));
  if (peak.bf16 > 0) text += fmt::format("bf16 {} GFLOP/s, ", format_fixed(peak.bf16 * 1e-9, 0));
  const llm::OpenTimes& times = engine.open_times();
  text += fmt::format("{} GB/s\n", format_fixed(peak.bandwidth * 1e-9, 1));
  text += fmt::format("  start-up: file {}, tokenizer {}, weights {}, first token {}\n",
                      milliseconds(times.file), milliseconds(times.tokenizer), milliseconds(times.weights),
                      milliseconds(speed.first_token_seconds));
  text += fmt::format("  memory: file {}, cache {}, at most {} resident\n", mebibytes(engine.file().size()),
                      mebibytes(speed.cache_bytes), mebibytes(memory));
  return print(text + profile_text(speed));
}

Status run(BenchCommand c) {
  AGON_ASSIGN(const auto engine, open_engine(c.llm));
  const int all = engine->config().layer_count();
  if (c.layers == "half") {
    c.speed.layers = all / 2;
  } else if (!c.layers.empty()) {
    const char* end = c.layers.data() + c.layers.size();
    const auto parsed = std::from_chars(c.layers.data(), end, c.speed.layers);
    if (parsed.ec != std::errc() || parsed.ptr != end || c.speed.layers < 1 || c.speed.layers > all)
      return wrong_call(fmt::format("--layers '{}'", c.layers), fmt::format("half, or 1 to {}", all));
  }
  if (c.speed.prompt == 0 && c.speed.generate == 0 && c.speed.continuations == 0)
    return wrong_call("--prompt 0 and --generate 0 leave nothing to measure");
  if (c.speed.layers >= 0 && c.speed.continuations > 0)
    return wrong_call("--layers leaves no vocabulary for --continuations");
  const Progress progress = c.json ? Progress{} : terminal_progress();
  AGON_ASSIGN(const llm::Speed speed, llm::measure_speed(*engine, c.speed, progress));
  // Before the machine's limits are measured, which takes memory of its own.
  const std::uint64_t memory = memory_of_process("VmHWM");
  const llm::Peak peak = llm::measure_peak(engine->team(), llm::cpu_level());
  finish_progress();
  return c.json ? print_json(c, *engine, speed, peak, memory) : print_text(c, *engine, speed, peak, memory);
}

}  // namespace

void add_bench_model_command(CLI::App& app, int& exit_code) {
  CLI::App* bench = app.add_subcommand("bench-model", "How fast a language model runs on this machine");
  const auto c = std::make_shared<BenchCommand>();
  const auto count = [&](const char* name, int& value, const char* what, int low, int high) {
    bench->add_option(name, value, what)->type_name("N")->check(CLI::Range(low, high))->capture_default_str();
  };
  count("--prompt", c->speed.prompt, "Tokens of the prompt, 0: none", 0, 1 << 24);
  count("--generate", c->speed.generate, "Tokens to generate, 0: none", 0, 1 << 24);
  count("--depth", c->speed.depth, "Tokens before the first generated one", 1, 1 << 24);
  count("--sequences", c->speed.sequences, "Sequences generated together", 1, 4096);
  bench->add_flag("--all-logits", c->speed.all_logits,
                  "Compute the logits of all words for every generated token, as where it is drawn");
  count("--continuations", c->speed.continuations,
        "Continuations of one context to score together, and one alone; 0: none", 0, 1 << 16);
  count("--continuation-tokens", c->speed.continuation_tokens, "Tokens of each continuation", 2, 1 << 24);
  count("--score-context", c->speed.score_context, "Tokens of their context", 1, 1 << 24);
  bench
      ->add_option("--layers", c->layers,
                   "Run so many layers (or 'half' of them) and no vocabulary product, as for hidden states")
      ->type_name("N");
  count("--repeats", c->speed.repeats, "Timed turns, of which the best and the median are shown", 1, 1000);
  bench->add_flag("--profile", c->speed.profile,
                  "Show where the time of prompt and generation goes, step by step");
  bench->add_flag("--json", c->json, "Print the figures as JSON");
  add_llm_options(*bench, c->llm);
  bench->callback([c, &exit_code] { report_status(run(*c), exit_code); });
}

}  // namespace agon
