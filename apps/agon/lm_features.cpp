#include "lm_features.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <set>

#include "agon/base/hash.h"
#include "agon/llm/access/embedded_model.h"
#include "agon/preference/train.h"
#include "agon/report/number.h"
#include "llm_options.h"

namespace agon {
namespace {

Result<std::vector<std::string>> blocks_of(std::vector<std::string> blocks) {
  if (blocks == std::vector<std::string>{std::string(answer_blocks::kEvery)}) return blocks;
  std::ranges::sort(blocks);
  blocks.erase(std::ranges::unique(blocks).begin(), blocks.end());
  const auto unknown = std::ranges::find_if(blocks, [](const std::string& b) {
    return std::ranges::find(answer_blocks::kAll, b) == std::end(answer_blocks::kAll);
  });
  if (unknown != blocks.end())
    return wrong_call(fmt::format("--lm-blocks: no block '{}'", *unknown),
                      fmt::format("some of {}, or all", fmt::join(answer_blocks::kAll, ", ")));
  return blocks;
}

Result<std::vector<int>> layers_of(const std::vector<std::string>& list) {
  std::vector<int> layers;
  for (const std::string& part : list) {
    int layer = -1;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), layer);
    if (error != std::errc() || end != part.data() + part.size() || layer < 0)
      return wrong_call(fmt::format("--lm-layers: '{}' is no layer", part), "numbers from 0, as in 10,20");
    layers.push_back(layer);
  }
  std::ranges::sort(layers);
  layers.erase(std::ranges::unique(layers).begin(), layers.end());
  return layers;
}

std::string cache_folder(const std::string& option) {
  if (option == "none") return {};
  if (option != "default") return option;
  const auto from = [](const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
  };
  if (const std::string base = from("XDG_CACHE_HOME"); !base.empty()) return base + "/agon";
  if (const std::string home = from("HOME"); !home.empty()) return home + "/.cache/agon";
  return {};
}

/// Where a run without an output file keeps what it paid for: a journal in the cache's folder. Its name is
/// made of what is asked and of which files, so that runs of other settings or files have others, and the
/// same command finds its own again.
Result<std::string> journal_in_cache(const CLI::App& app, const AnswerSpec& spec,
                                     const std::string& served_name, const std::string& folder) {
  std::string run =
      fmt::format("{}\n{}\n{}\n{}\n{} {}", app.get_name(), spec.location, served_name,
                  fmt::join(spec.blocks, ","), spec.budget.prompt_tokens, spec.budget.answer_tokens);
  for (const CLI::Option* option : app.get_options([](const CLI::Option* o) { return o->get_positional(); }))
    for (const std::string& file : option->results()) {
      std::error_code none;
      run += "\n" + std::filesystem::absolute(file, none).string();
    }
  std::error_code made;
  std::filesystem::create_directories(folder, made);
  if (made) return fail("cannot make the folder of the cache: " + made.message(), folder);
  return fmt::format("{}/remote-{}.journal", folder, sha256_hex(run).substr(0, 16));
}

/// The model that a predictor was trained with.
struct Wanted {
  std::string name, key;
  bool is_found = false;  ///< The place is of a file that was found by its hash: it has it.
};

std::unexpected<Error> another_model(const std::string& location, const std::string& expected) {
  return std::unexpected(
      Error{.message = "this is not the language model that the predictor was trained with",
            .file = location,
            .expected = expected});
}

Result<std::unique_ptr<AnswerReader>> open_reader(const CLI::App& app, const LmFeatureOptions& options,
                                                  AnswerSpec spec, int threads, const std::string& output,
                                                  const Wanted& wanted = {}) {
  AGON_TRY(check_remote_call(app, spec.location, {"--lm-layers", "--lm-template"}));
  std::unique_ptr<llm::LanguageModel> model;
  if (llm::is_url(spec.location)) {
    RemoteCommandOptions remote = options.remote;
    if (remote.remote.name.empty()) remote.remote.name = spec.served_name;
    std::string& journal = remote.remote.journal;
    if (journal.empty()) journal = journal_beside(output);
    if (const std::string folder = cache_folder(options.cache); journal.empty() && !folder.empty()) {
      AGON_ASSIGN(journal, journal_in_cache(app, spec, remote.remote.name, folder));
    }
    AGON_ASSIGN(auto opened,
                open_remote(remote, spec.location, output, "--journal FILE, or a folder for --lm-cache"));
    spec.served_name = opened->session().name();
    model = std::move(opened);
  } else {
    AGON_ASSIGN(model, llm::EmbeddedModel::open(spec.location,
                                                {.threads = threads, .template_name = spec.chat_template},
                                                wanted.is_found ? wanted.key : std::string()));
  }
  // Another model may lack the layers and blocks that are asked for next.
  if (!wanted.key.empty()) {
    AGON_ASSIGN(const llm::ModelIdentity identity, model->identity());
    if (identity.key != wanted.key)
      return another_model(spec.location,
                           spec.is_remote() ? wanted.name : "the file with SHA-256 " + wanted.key);
  }
  return AnswerReader::create(std::move(model), std::move(spec), cache_folder(options.cache));
}

/// A predictor may come from anybody. Where texts and a key go is not for it to say, unless that is this
/// machine.
Status check_place_of_predictor(const std::string& url, const std::string& predictor) {
  AGON_ASSIGN(const llm::BaseUrl place, llm::parse_base_url(url));
  if (place.loopback) return {};
  return std::unexpected(Error{
      .message = fmt::format("the predictor asks for the language model at {}, which is another machine: "
                             "the votes' texts, and a key, would be sent there",
                             place.text),
      .file = predictor,
      .expected = fmt::format("--lm {} if that is meant", place.text),
      .kind = ErrorKind::kUsage});
}

/// Files that may be the one that a predictor needs: first those with its name where people put them, then
/// all others with its size there, whatever they are called.
std::vector<std::filesystem::path> candidates(const AnswerSpec& spec, const std::string& predictor) {
  namespace fs = std::filesystem;
  const fs::path place(spec.location), here = fs::path(predictor).parent_path();
  const std::vector<fs::path> folders{place.parent_path(), here, "", "models"};
  std::vector<fs::path> out;
  std::error_code none;
  std::set<fs::path> seen;  // folders may be one
  const auto add = [&](const fs::path& path) {
    if (seen.insert(fs::weakly_canonical(path, none)).second) out.push_back(path);
  };
  for (const fs::path& folder : folders)
    if (const fs::path path = folder / place.filename(); fs::is_regular_file(path, none)) add(path);
  for (const fs::path& folder : folders) {
    std::vector<fs::path> found;
    for (fs::directory_iterator entry(folder.empty() ? "." : folder, none), end; !none && entry != end;
         entry.increment(none)) {
      std::error_code odd;
      if (entry->path().filename() != place.filename() && entry->is_regular_file(odd) &&
          entry->file_size(odd) == spec.file_bytes && !odd)
        found.push_back(folder / entry->path().filename());
    }
    std::ranges::sort(found);
    std::ranges::for_each(found, add);
  }
  return out;
}

/// The file with these bytes.
Result<std::string> find_file(const AnswerSpec& spec, const std::string& predictor) {
  std::string other;
  for (const std::filesystem::path& path : candidates(spec, predictor)) {
    const auto hash = sha256_file(path.string());
    if (hash && *hash == spec.key) return path.string();
    if (other.empty() && path.filename() == std::filesystem::path(spec.location).filename())
      other = path.string();
  }
  const std::string expected =
      fmt::format("the file that it was trained with, SHA-256 {} (--lm FILE)", spec.key);
  if (!other.empty()) return another_model(other, expected);
  return std::unexpected(
      Error{.message = fmt::format("the predictor needs the language model {}, which is not here", spec.name),
            .file = predictor,
            .expected = expected});
}

}  // namespace

void add_lm_options(CLI::App& app, LmFeatureOptions& o) {
  const auto add = [&](const char* name, auto& value, const char* what, const char* type) {
    return app.add_option(name, value, what)->type_name(type)->group("Language model");
  };
  add("--lm", o.model,
      "A language model that reads the answers: a GGUF file, or a server's http://HOST:PORT/v1", "MODEL");
  add("--lm-cache", o.cache, "Folder where what it found is kept, or 'none'; ~/.cache/agon when not given",
      "FOLDER");
  add_remote_options(app, o.remote, nullptr);
}

void add_lm_training_options(CLI::App& app, LmFeatureOptions& o) {
  const auto add = [&](const char* name, auto& value, const char* what, const char* type) {
    return app.add_option(name, value, what)->type_name(type)->group("Language model");
  };
  add("--lm-blocks", o.blocks,
      "What is read: states, last, likelihood, ratio, verdict, reward, or all that the model gives; states "
      "when not given, or reward of a reward model",
      "LIST")
      ->delimiter(',')
      ->allow_extra_args(false);
  add("--lm-layers", o.layers, "Hidden states after which layers; a third of them when not given", "LIST")
      ->delimiter(',')
      ->allow_extra_args(false);
  add("--lm-template", o.template_name, "A family of chat templates in place of the file's own", "NAME");
  add("--lm-prompt-tokens", o.budget.prompt_tokens, "Tokens of the prompts that are read", "N")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  add("--lm-answer-tokens", o.budget.answer_tokens, "Tokens of each side's answers that are read", "N")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
}

Result<std::unique_ptr<AnswerReader>> open_lm(const CLI::App& app, const LmFeatureOptions& o, int threads,
                                              const std::string& output) {
  if (o.model.empty()) {
    for (const char* name : {"--lm-blocks", "--lm-layers", "--lm-template", "--lm-prompt-tokens",
                             "--lm-answer-tokens", "--lm-cache", "--lm-keep-all"})
      if (app.get_option_no_throw(name) != nullptr && app.count(name) > 0)
        return wrong_call(fmt::format("{} without a language model", name), "--lm MODEL");
    AGON_TRY(check_remote_call(app, "no language model", {}));
    return nullptr;
  }
  AnswerSpec spec;
  spec.location = o.model;
  spec.chat_template = o.template_name;
  spec.budget = o.budget;
  AGON_ASSIGN(spec.blocks, blocks_of(o.blocks));
  AGON_ASSIGN(spec.layers, layers_of(o.layers));
  return open_reader(app, o, std::move(spec), threads, output);
}

Result<std::shared_ptr<AnswerReader>> attach_lm(const CLI::App& app, PreferenceModel& model,
                                                const std::string& path, const LmFeatureOptions& o,
                                                int threads, const std::string& output, bool quiet) {
  if (model.language_model() == nullptr) {
    if (o.model.empty()) return nullptr;
    const auto left_out = std::ranges::find(model.card(), kLeftOutFact, &ModelCard::value_type::first);
    if (left_out == model.card().end())
      return wrong_call("--lm, but the predictor was trained without a language model", "no --lm");
    if (!quiet)
      fmt::print(stderr, "agon: the predictor does without a language model ({}): --lm is not read\n",
                 left_out->second);
    return nullptr;
  }
  AnswerSpec spec = *model.language_model();
  Wanted wanted{.name = spec.name, .key = spec.key};
  if (!o.model.empty()) {
    spec.location = o.model;
  } else if (llm::is_url(spec.location)) {
    AGON_TRY(check_place_of_predictor(spec.location, path));
  } else if (!spec.is_remote()) {
    AGON_ASSIGN(spec.location, find_file(spec, path));
    wanted.is_found = true;
  }
  AGON_ASSIGN(std::shared_ptr<AnswerReader> reader, open_reader(app, o, spec, threads, output, wanted));
  model.attach(reader);
  return reader;
}

Status finish_lm(AnswerReader* reader, const LmFeatureOptions& o, bool quiet) {
  if (reader == nullptr || !reader->model().is_remote()) return {};
  return finish_remote(dynamic_cast<llm::RemoteModel&>(reader->model()), o.remote, quiet);
}

Facts lm_facts(const AnswerSpec& spec) {
  std::string layers;
  for (const int layer : spec.layers)
    layers += fmt::format("{}{}", layers.empty() ? ", layers " : ", ", layer);
  return {{"language model",
           fmt::format("{}, {}", spec.name, spec.is_remote() ? "key " + spec.key : "SHA-256 " + spec.key)},
          {"language model reads",
           fmt::format("{}{}; {} prompt and {} answer tokens", fmt::join(spec.blocks, ", "), layers,
                       spec.budget.prompt_tokens, spec.budget.answer_tokens)}};
}

LanguageModelReport lm_report(const AnswerReader& reader, std::vector<BlockGain> gains,
                              double log_loss_without) {
  return {.name = reader.spec().name,
          .gains = std::move(gains),
          .log_loss_without = log_loss_without,
          .votes_read = reader.votes_read(),
          .seconds = reader.seconds(),
          .costs = reader.block_costs(),
          .verdicts_untold = reader.verdicts_untold()};
}

std::string lm_text(const LanguageModelReport& report) {
  std::string text = fmt::format("\nThe language model {}; without it the log loss is {}:\n", report.name,
                                 format_fixed(report.log_loss_without, 4));
  for (const std::string& line : block_lines(report.gains)) text += "  " + line + "\n";
  if (report.votes_read > 0)
    text += fmt::format("  seconds a vote: {}\n", cost_line(report.costs, report.votes_read));
  if (report.verdicts_untold > 0) text += "  " + untold_line(report.verdicts_untold) + "\n";
  return text;
}

void add_lm_gains(Facts& facts, std::span<const BlockGain> gains) {
  for (const std::string& line : block_lines(gains))
    facts.emplace_back("brought by the language model", line);
}

}  // namespace agon
