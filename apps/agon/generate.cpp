// agon generate: continue a prompt, or choose among given answers.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "agon/base/file.h"
#include "agon/base/progress.h"
#include "agon/report/number.h"
#include "common.h"
#include "llm_options.h"
#include "remote_options.h"
#include "verbs.h"

namespace agon {
namespace {

using nlohmann::ordered_json;

struct GenerateCommand {
  LlmOptions llm;
  RemoteCommandOptions remote;
  SamplingOptions sampling;
  std::string prompt, file, system, output = "-";
  std::vector<std::string> choices;
  std::string json_schema, regex;
  bool raw = false, json = false, json_object = false, no_lookahead = false;
};

std::string dumped(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

ordered_json tokens_json(const llm::Engine& engine, std::span<const llm::Token> tokens) {
  auto list = ordered_json::array();
  for (const llm::Token token : tokens)
    list.push_back({{"id", token}, {"piece", engine.tokenizer().piece(token, true)}});
  return list;
}

// The prompt in its final form; with `raw` as it was given.
Result<std::string> render(const llm::Engine& engine, const GenerateCommand& c, const std::string& prompt) {
  std::vector<llm::ChatMessage> messages;
  if (!c.system.empty()) messages.push_back({"system", c.system});
  messages.push_back({"user", prompt});
  if (!engine.chat_template()) return std::unexpected(engine.chat_template().error());
  return engine.chat_template()->render(messages, true);
}

Result<std::string> choose(llm::Engine& engine, const GenerateCommand& c, const std::string& prompt) {
  std::string rendered;
  if (!c.raw) {
    AGON_ASSIGN(rendered, render(engine, c, prompt));
  }
  std::vector<llm::ScoreRequest> requests;
  const llm::TooLong too_long = c.sampling.truncate ? llm::TooLong::kCut : llm::TooLong::kRefuse;
  for (const std::string& choice : c.choices) {
    auto request = c.raw ? llm::make_request(engine, prompt, choice, too_long)
                         : llm::continue_prompt(engine, rendered, choice, too_long);
    if (!request) {
      request.error().column = "--choice " + choice;
      return std::unexpected(std::move(request.error()));
    }
    requests.push_back(std::move(*request));
  }
  AGON_ASSIGN(const llm::Choices choices,
              llm::choose(engine, requests, c.sampling.sampler.temperature, c.sampling.sampler.seed));
  if (!c.json) return c.choices[choices.chosen] + "\n";
  ordered_json json{{"text", c.choices[choices.chosen]}, {"choices", ordered_json::array()}};
  for (std::size_t i = 0; i < c.choices.size(); ++i) {
    const llm::Score& score = choices.scores[i];
    json["choices"].push_back({{"text", c.choices[i]},
                               {"logprob", score.logprob},
                               {"probability", choices.probabilities[i]},
                               {"token_logprobs", score.token_logprobs},
                               {"tokens", tokens_json(engine, score.tokens)}});
  }
  return dumped(json);
}

// What the answer may be; none: anything.
Result<std::shared_ptr<const llm::Constraint>> constraint(const llm::Engine& engine,
                                                          const GenerateCommand& c) {
  const llm::Tokenizer& tokenizer = engine.tokenizer();
  if (!c.regex.empty()) {
    auto made = llm::Constraint::from_regex(c.regex, tokenizer);
    if (!made) made.error().kind = ErrorKind::kUsage;
    return made;
  }
  if (c.json_object) return llm::Constraint::any_json_object(tokenizer);
  if (c.json_schema.empty()) return nullptr;
  AGON_ASSIGN(const std::string schema, read_file(c.json_schema, std::uint64_t{1} << 20));
  auto made = llm::Constraint::from_json_schema(schema, tokenizer);
  if (!made) made.error().file = c.json_schema;
  return made;
}

Result<std::string> generate(llm::Engine& engine, const GenerateCommand& c, const std::string& prompt) {
  llm::GenerationOptions options = c.sampling.generation();
  AGON_ASSIGN(options.constraint, constraint(engine, c));
  options.lookahead = !c.no_lookahead;
  std::vector<llm::Token> tokens;
  if (c.raw) {
    tokens = engine.tokenizer().encode(prompt);
    const llm::Token bos = engine.tokenizer().special().bos;
    if (tokens.empty() && bos != llm::kNoToken) tokens = {bos};
  } else {
    AGON_ASSIGN(const std::string rendered, render(engine, c, prompt));
    tokens = engine.tokenizer().encode(rendered, {.add_special = true, .parse_special = true});
  }
  const std::size_t room = c.sampling.max_tokens > 0
                               ? tokens.size() + static_cast<std::size_t>(c.sampling.max_tokens)
                               : static_cast<std::size_t>(engine.context());
  AGON_ASSIGN(llm::Session session,
              llm::Session::create(engine, static_cast<int>(std::min<std::size_t>(
                                               room, static_cast<std::size_t>(engine.context())))));
  const bool stream = c.output == "-" && !c.json;
  Status written;
  const auto sink = [&](std::string_view piece) {
    if (stream && !piece.empty()) written = print(std::string(piece));
    return written.has_value();
  };
  AGON_ASSIGN(const llm::Generation result, session.generate(tokens, options, sink));
  AGON_TRY(written);
  if (stream) AGON_TRY(print("\n"));
  if (!c.llm.quiet) {
    if (result.cut_tokens > 0)
      fmt::print(stderr, "agon: {} tokens were cut off the prompt's front\n", result.cut_tokens);
    if (result.reason == llm::StopReason::kContext)
      fmt::print(stderr, "agon: the context of {} tokens is full\n", engine.context());
  }
  // A schema promises something to whoever reads the answer.
  if (options.constraint && !c.json &&
      (result.reason == llm::StopReason::kMaxTokens || result.reason == llm::StopReason::kContext)) {
    return fail(fmt::format("the answer is cut after {} tokens and not complete under its constraint",
                            result.tokens.size()));
  }
  if (!c.json) return stream ? std::string() : result.text + "\n";
  const double drawn = static_cast<double>(result.tokens.size());
  return dumped({{"text", result.text},
                 {"stopped_by", llm::stop_reason_name(result.reason)},
                 {"prompt_tokens", result.prompt_tokens},
                 {"cut_tokens", result.cut_tokens},
                 {"tokens", tokens_json(engine, result.tokens)},
                 {"passes", result.passes},
                 {"seed", c.sampling.sampler.seed},
                 {"prompt_seconds", result.prompt_seconds},
                 {"tokens_per_second", result.seconds > 0 ? drawn / result.seconds : 0.0}});
}

// The same by a model behind a URL.
Result<std::string> answer_remotely(llm::LanguageModel& model, const GenerateCommand& c,
                                    const std::string& prompt) {
  llm::ModelInput input;
  if (c.raw) {
    input.text = prompt;
  } else {
    if (!c.system.empty()) input.messages.push_back({"system", c.system});
    input.messages.push_back({"user", prompt});
  }
  if (!c.choices.empty()) {
    const llm::ChoiceInput item{input, c.choices};
    AGON_ASSIGN(const auto results, model.choose(std::span(&item, 1)));
    const llm::ChoiceResult& result = results.front();
    if (!result.untold.empty()) return fail(result.untold);
    if (!c.json) return c.choices[result.best] + "\n";
    ordered_json json{
        {"text", c.choices[result.best]}, {"exact", result.is_exact}, {"choices", ordered_json::array()}};
    for (std::size_t i = 0; i < c.choices.size(); ++i)
      json["choices"].push_back({{"text", c.choices[i]},
                                 {"logprob", result.logprobs[i]},
                                 {"probability", result.probabilities[i]}});
    return dumped(json);
  }
  llm::GenerateSettings settings{.sampler = c.sampling.sampler,
                                 .stop = c.sampling.stop,
                                 .max_tokens = c.sampling.max_tokens,
                                 .json_object = c.json_object};
  if (!c.json_schema.empty()) {
    AGON_ASSIGN(const std::string schema, read_file(c.json_schema, std::uint64_t{1} << 20));
    const auto parsed = ordered_json::parse(schema, nullptr, false);
    if (parsed.is_discarded()) return fail("not JSON", c.json_schema);
    settings.json_schema = parsed.dump();
  }
  AGON_ASSIGN(const auto answers, model.generate(std::span(&input, 1), settings));
  const llm::Answer& answer = answers.front();
  // A schema promises something to whoever reads the answer.
  if ((!c.json_schema.empty() || c.json_object) && !c.json && answer.stopped_by == "length")
    return fail(fmt::format("the answer is cut after {} tokens and not complete under its constraint",
                            answer.tokens));
  if (!c.json) return answer.text + "\n";
  return dumped({{"text", answer.text},
                 {"stopped_by", answer.stopped_by},
                 {"prompt_tokens", answer.prompt_tokens},
                 {"answer_tokens", answer.tokens},
                 {"seed", c.sampling.sampler.seed}});
}

Status run(const GenerateCommand& c) {
  if (!c.prompt.empty() && !c.file.empty()) return wrong_call("a prompt and --file are given", "one of them");
  if (c.raw && !c.system.empty()) return wrong_call("--raw has no place for --system");
  if (c.raw && !c.llm.template_name.empty())
    return wrong_call("--raw and --template are given", "one of them");
  if (int{!c.choices.empty()} + int{!c.json_schema.empty()} + int{!c.regex.empty()} + int{c.json_object} > 1)
    return wrong_call("more than one of --choice, --json-schema, --json-object and --regex is given",
                      "one of them");
  for (const std::string& choice : c.choices)
    if (choice.empty()) return wrong_call("an empty --choice has no probability");
  AGON_TRY(check_outputs({c.output}));
  std::string prompt = c.prompt;
  if (!c.file.empty()) {
    AGON_ASSIGN(prompt, read_file(c.file, std::uint64_t{1} << 30));
  }
  if (llm::is_url(c.llm.model)) {
    AGON_ASSIGN(const auto model, open_remote(c.remote, c.llm.model, c.output));
    auto answer = answer_remotely(*model, c, prompt);
    if (!answer) {
      answer.error().row = 0;  // there is only one prompt
      return std::unexpected(std::move(answer.error()));
    }
    AGON_TRY(c.output == "-" ? print(*answer) : write_file(c.output, *answer));
    return finish_remote(*model, c.remote, c.llm.quiet);
  }
  AGON_ASSIGN(const auto engine, open_engine(c.llm));
  AGON_ASSIGN(const std::string text,
              c.choices.empty() ? generate(*engine, c, prompt) : choose(*engine, c, prompt));
  return c.output == "-" ? print(text) : write_file(c.output, text);
}

}  // namespace

void add_generate_command(CLI::App& app, int& exit_code) {
  CLI::App* generate = app.add_subcommand("generate", "Answer a prompt by a language model");
  const auto c = std::make_shared<GenerateCommand>();
  c->sampling.max_tokens = 512;
  generate->add_option("prompt", c->prompt, "What to answer")->type_name("PROMPT");
  generate->add_option("--file", c->file, "Read the prompt from there ('-': standard input)")
      ->type_name("FILE");
  generate->add_option("--system", c->system, "A system message before the prompt")->type_name("TEXT");
  generate->add_flag("--raw", c->raw, "Continue the prompt as it is, without a chat template");
  generate
      ->add_option("--choice", c->choices,
                   "Allow only these answers, separated by commas or given again and again: their exact "
                   "probabilities decide")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("TEXT,...");
  generate
      ->add_option("--json-schema", c->json_schema,
                   "Allow only JSON that is valid under the schema in this file")
      ->type_name("FILE");
  generate->add_flag("--json-object", c->json_object, "Allow only a JSON object");
  generate->add_option("--regex", c->regex, "Allow only what matches this regular expression as a whole")
      ->type_name("PATTERN");
  generate->add_option("-o,--output", c->output, "Where the answer goes")
      ->type_name("OUT")
      ->capture_default_str();
  generate->add_flag("--json", c->json, "Print tokens, reason of the end and speed, or all choices, as JSON");
  generate->add_flag("--no-lookahead", c->no_lookahead,
                     "Make greedy text token by token, without guesses of what it says again: the same text");
  add_sampling_options(*generate, c->sampling, 0.0);
  add_llm_options(*generate, c->llm);
  add_remote_options(*generate, c->remote);
  add_quiet_option(*generate, c->llm);
  generate->callback([c, generate, &exit_code] {
    std::vector<std::string> local =
        local_options({"--truncate", "--regex", "--repeat-last", "--no-lookahead"});
    // The answers' own probabilities choose.
    if (!c->choices.empty()) local.insert(local.end(), {"--temperature", "--seed"});
    Status status = check_remote_call(*generate, c->llm.model, local);
    report_status(status ? run(*c) : status, exit_code);
  });
}

}  // namespace agon
