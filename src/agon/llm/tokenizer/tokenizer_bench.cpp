// Tokens a second on one core, on the answers of real conversations: English, and whatever else people ask
// for (code, lists, a dozen languages). The vocabularies are the small ones of the tests, and every GGUF file
// that AGON_VOCABULARIES names (separated by colons).
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "agon/base/file.h"
#include "agon/llm/tokenizer/tokenizer.h"
#include "agon/text/csv.h"
#include "agon/text/json.h"

namespace agon::llm {
namespace {

enum class Kind { kEnglish, kMixed };

bool is_ascii(std::string_view text) {
  for (const char c : text)
    if (static_cast<signed char>(c) < 0) return false;
  return true;
}

/// About 2 MB of answers, one string each: all, or those in ASCII.
const std::vector<std::string>& answers(Kind kind) {
  static const auto read = [](bool ascii) {
    std::vector<std::string> texts;
    auto source = open_bytes(std::string(AGON_SOURCE_DIR) + "/data/votes/lmsys_arena_1500.csv.gz");
    auto csv = CsvReader::open(std::move(*source), "votes");
    std::vector<std::string_view> fields;
    JsonTextList list;
    TextRepairs repairs;
    std::size_t bytes = 0;
    while (*csv->next(fields) && bytes < 2'000'000) {
      auto items = list.parse(fields[4], repairs);
      for (const auto& item : *items) {
        if (item.null || (ascii && !is_ascii(item.text))) continue;
        texts.emplace_back(item.text);
        bytes += item.text.size();
      }
    }
    return texts;
  };
  static const std::vector<std::string> english = read(true), mixed = read(false);
  return kind == Kind::kEnglish ? english : mixed;
}

void encode(benchmark::State& state, const std::string& path, Kind kind) {
  const auto file = gguf::File::open(path);
  const auto tokenizer = Tokenizer::read(file->metadata());
  std::size_t tokens = 0, bytes = 0;
  for (auto _ : state)
    for (const std::string& text : answers(kind)) {
      tokens += (*tokenizer)->encode(text).size();
      bytes += text.size();
    }
  state.counters["tokens/s"] = benchmark::Counter(double(tokens), benchmark::Counter::kIsRate);
  state.SetBytesProcessed(std::int64_t(bytes));
}

void decode(benchmark::State& state, const std::string& path) {
  const auto file = gguf::File::open(path);
  const auto tokenizer = Tokenizer::read(file->metadata());
  std::vector<std::vector<Token>> all;
  for (const std::string& text : answers(Kind::kMixed)) all.push_back((*tokenizer)->encode(text));
  std::size_t tokens = 0;
  for (auto _ : state)
    for (const auto& ids : all) {
      benchmark::DoNotOptimize((*tokenizer)->decode(ids));
      tokens += ids.size();
    }
  state.counters["tokens/s"] = benchmark::Counter(double(tokens), benchmark::Counter::kIsRate);
}

/// Reading the vocabulary out of an open file: what starting a program costs.
void load(benchmark::State& state, const std::string& path) {
  const auto file = gguf::File::open(path);
  for (auto _ : state) benchmark::DoNotOptimize(Tokenizer::read(file->metadata()));
}

const bool registered = [] {
  std::vector<std::string> paths;
  for (const char* name : {"byte_bpe", "sentencepiece", "unigram", "wordpiece"})
    paths.push_back(std::string(AGON_SOURCE_DIR) + "/tests/data/tokenizer/" + name + ".gguf");
  if (const char* more = std::getenv("AGON_VOCABULARIES")) {
    std::string list = more;
    for (std::size_t at = 0; at < list.size();) {
      const std::size_t end = std::min(list.find(':', at), list.size());
      if (end > at) paths.push_back(list.substr(at, end - at));
      at = end + 1;
    }
  }
  for (const std::string& path : paths) {
    const std::string name = path.substr(path.rfind('/') + 1);
    const auto add = [&](const std::string& what, auto... arguments) {
      benchmark::RegisterBenchmark(("Tokenizer" + what + "/" + name).c_str(), arguments...)
          ->Unit(benchmark::kMillisecond);
    };
    add("English", [path](benchmark::State& state) { encode(state, path, Kind::kEnglish); });
    add("Mixed", [path](benchmark::State& state) { encode(state, path, Kind::kMixed); });
    add("Decode", [path](benchmark::State& state) { decode(state, path); });
    add("Load", [path](benchmark::State& state) { load(state, path); });
  }
  return true;
}();

}  // namespace
}  // namespace agon::llm
