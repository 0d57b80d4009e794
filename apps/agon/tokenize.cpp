// agon tokenize: text to the tokens of a model, and back.
#include <CLI/CLI.hpp>
#include <charconv>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "agon/base/file.h"
#include "agon/llm/gguf/file.h"
#include "agon/llm/tokenizer/tokenizer.h"
#include "agon/text/json.h"
#include "agon/text/utf8.h"
#include "common.h"
#include "verbs.h"

namespace agon {
namespace {

using nlohmann::json;

struct TokenizeOptions {
  std::string model, file, lines;
  std::vector<std::string> words;
  bool special = false, no_bos = false, decode = false, as_json = false;
};

constexpr std::uint64_t kLongestLine = std::uint64_t{256} << 20;

/// "1 2, 3" and "[1, 2, 3]" alike.
Result<std::vector<llm::Token>> read_ids(std::string_view text, const llm::Tokenizer& tokenizer) {
  std::vector<llm::Token> ids;
  for (std::size_t at = 0; at < text.size();) {
    if (std::string_view(" ,\t\r\n[]").find(text[at]) != std::string_view::npos) {
      ++at;
      continue;
    }
    llm::Token id = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), id);
    if (error != std::errc() || id < 0 || id >= tokenizer.vocabulary())
      return fail("byte " + std::to_string(at) + " of the tokens is no id (expected numbers from 0 to " +
                  std::to_string(tokenizer.vocabulary() - 1) + ")");
    ids.push_back(id);
    at = std::size_t(end - text.data());
  }
  return ids;
}

/// Pieces of one text; bytes that are no UTF-8 (parts of a character) as U+FFFD.
json pieces(const llm::Tokenizer& tokenizer, const std::vector<llm::Token>& ids) {
  json list = json::array();
  for (const llm::Token id : ids) list.push_back(tokenizer.piece(id, true));
  return list;
}

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

Status run_one(const TokenizeOptions& options, const llm::Tokenizer& tokenizer, const std::string& text) {
  if (options.decode) {
    AGON_ASSIGN(const std::vector<llm::Token> ids, read_ids(text, tokenizer));
    const std::string decoded = tokenizer.decode(ids, options.special);
    return print(options.as_json ? dump({{"text", decoded}}) + "\n" : decoded);
  }
  const std::vector<llm::Token> ids =
      tokenizer.encode(text, {.add_special = !options.no_bos, .parse_special = options.special});
  if (options.as_json)
    return print(
        dump({{"tokenizer", tokenizer.name()}, {"tokens", ids}, {"pieces", pieces(tokenizer, ids)}}) + "\n");
  std::string out;
  for (const llm::Token id : ids) out += (out.empty() ? "" : " ") + std::to_string(id);
  return print(out + "\n");
}

/// {"text"} or {"tokens"} in, {"tokens"} or {"text"} out; other fields are passed over. Bytes that JSON
/// cannot hold come as {"bytes": [72, 105]}, and decoded text that is no UTF-8 goes out so.
Result<std::string> run_line(const TokenizeOptions& options, const llm::Tokenizer& tokenizer,
                             std::string_view line) {
  const json record = json::parse(line, nullptr, false);
  const auto field = [&](const char* name) {
    return record.is_object() && record.contains(name) ? &record[name] : nullptr;
  };
  const auto numbers = [](const json* value, std::int64_t below) -> Result<std::vector<llm::Token>> {
    std::vector<llm::Token> ids;
    if (!value->is_array()) return fail("not a list of numbers");
    for (const json& item : *value) {
      if (!item.is_number_integer() || item.get<std::int64_t>() < 0 || item.get<std::int64_t>() >= below)
        return fail("not a list of numbers from 0 to " + std::to_string(below - 1));
      ids.push_back(item.get<llm::Token>());
    }
    return ids;
  };
  if (options.decode) {
    const json* tokens = field("tokens");
    if (tokens == nullptr) return fail("no field 'tokens'");
    AGON_ASSIGN(const std::vector<llm::Token> ids, numbers(tokens, tokenizer.vocabulary()));
    const std::string text = tokenizer.decode(ids, options.special);
    if (is_valid_utf8(text)) return dump({{"text", text}});
    return dump({{"bytes", std::vector<std::uint8_t>(text.begin(), text.end())}});
  }
  std::string text;
  if (const json* bytes = field("bytes")) {
    AGON_ASSIGN(const std::vector<llm::Token> values, numbers(bytes, 256));
    for (const llm::Token value : values) text.push_back(char(value));
  } else if (const json* value = field("text"); value != nullptr && value->is_string()) {
    text = value->get<std::string>();
  } else {
    return fail("no field 'text' with a string");
  }
  return dump({{"tokens",
                tokenizer.encode(text, {.add_special = !options.no_bos, .parse_special = options.special})}});
}

Status run_lines(const TokenizeOptions& options, const llm::Tokenizer& tokenizer) {
  AGON_ASSIGN(auto source, open_bytes(options.lines));
  JsonRecordReader reader(std::move(source), options.lines, kLongestLine);
  std::string out;
  for (std::string_view line;;) {
    AGON_ASSIGN(const bool more, reader.next(line));
    if (!more) break;
    auto result = run_line(options, tokenizer, line);
    if (!result) return std::unexpected(reader.error_here(result.error().message));
    out += *result + "\n";
    if (out.size() < std::size_t{1} << 20) continue;
    AGON_TRY(print(out));
    out.clear();
  }
  return print(out);
}

Status run(const TokenizeOptions& options) {
  AGON_ASSIGN(const gguf::File file, gguf::File::open(options.model));
  auto tokenizer = llm::Tokenizer::read(file.metadata());
  if (!tokenizer) {
    tokenizer.error().file = options.model;
    return std::unexpected(std::move(tokenizer.error()));
  }
  if (!options.lines.empty()) return run_lines(options, **tokenizer);
  std::string text;
  if (!options.words.empty()) {
    for (const std::string& word : options.words) text += (text.empty() ? "" : " ") + word;
  } else {
    AGON_ASSIGN(text, read_file(options.file.empty() ? "-" : options.file));
  }
  return run_one(options, **tokenizer, text);
}

}  // namespace

void add_tokenize_command(CLI::App& app, int& exit_code) {
  CLI::App* tokenize = app.add_subcommand("tokenize", "Show the tokens of a text, or the text of tokens");
  const auto options = std::make_shared<TokenizeOptions>();
  tokenize->add_option("-m,--model", options->model, "A GGUF file; one with a vocabulary only will do")
      ->required()
      ->type_name("MODEL");
  auto* words = tokenize->add_option("text", options->words, "The text; standard input when none is given");
  auto* file =
      tokenize->add_option("-f,--file", options->file, "Read the text from a file")->type_name("FILE");
  auto* lines = tokenize
                    ->add_option("--jsonl", options->lines,
                                 "Many texts: JSON Lines with a field text (or bytes, or tokens to decode)")
                    ->type_name("FILE");
  words->excludes(file)->excludes(lines);
  file->excludes(lines);
  tokenize->add_flag("--special", options->special,
                     "Read control tokens like <|im_end|> in the text as such; with --decode, print them");
  tokenize->add_flag("--no-bos", options->no_bos, "Add no beginning or end of text");
  tokenize->add_flag("--decode", options->decode, "Turn ids back into text");
  tokenize->add_flag("--json", options->as_json, "Print ids and pieces as JSON");
  tokenize->callback([options, &exit_code] { report_status(run(*options), exit_code); });
}

}  // namespace agon
