// What a mask of allowed tokens costs, and what compiling a constraint does. The vocabularies are made up:
// 49,152 and 262,144 pieces of text whose lengths and shared prefixes are those of real ones, or are read
// from the GGUF files that AGON_VOCABULARIES names (separated by colons).
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <set>

#include "agon/base/random.h"
#include "agon/llm/constrain/constraint.h"
#include "agon/llm/constrain/test_vocabulary.h"
#include "agon/llm/tokenizer/token_trie.h"

namespace agon::llm {
namespace {

// Words grown from each other, as byte-pair encoding does: half are a known piece with one more letter, half
// two pieces together; half begin with a space. Some are the punctuation of JSON and code.
std::unique_ptr<Tokenizer> made_up(std::size_t size) {
  Random random(size);
  std::vector<std::string> pieces = {"{\"",    "\":",  "\",",  "},", "{\"a",
                                     "\": \"", "[{\"", "\"},", "]}", "\"}"};
  std::set<std::string> known(pieces.begin(), pieces.end());
  const std::string letters = "eeeeetttaaaoooinnsshrrdlucmfwypvbgkjqxz'.-\xC3\xA9\xE6\x97\xA5";
  while (pieces.size() + 259 < size) {
    std::string next = pieces[pieces.size() - 1 - random.below(pieces.size())];
    if (random.below(2) == 0)
      next += letters[random.below(letters.size())];
    else
      next = (random.below(2) == 0 ? " " : "") + std::string(1, letters[random.below(39)]) +
             pieces[random.below(pieces.size())];
    if (next.size() <= 16 && next.find("\xE2\x96\x81") == std::string::npos && known.insert(next).second)
      pieces.push_back(next);
  }
  return make_tokenizer(pieces);
}

const Tokenizer& vocabulary_of(std::int64_t size) {
  static const auto small = made_up(49'152), large = made_up(262'144);
  return size == 49'152 ? *small : *large;
}

const char* const kSchema = R"({"type": "object", "properties": {
  "name": {"type": "string"}, "short": {"type": "string", "maxLength": 200},
  "age": {"type": "integer", "minimum": 0, "maximum": 150}, "tags": {"type": "array", "items": {"type": "string"}},
  "more": {"type": "object"}}, "required": ["name", "short", "age"]})";

// The first mask at a place: a walk over the tree of tokens. Each repetition starts with no memory.
void first_mask(benchmark::State& state, const Tokenizer& tokenizer, const std::string& text) {
  std::vector<Token> bytes;
  const auto trie = tokenizer.trie();
  for (const char c : text)
    for (Token t = 0; t < tokenizer.vocabulary(); ++t)
      if (trie->bytes(t) == std::string_view(&c, 1)) {
        bytes.push_back(t);
        break;
      }
  for (auto _ : state) {
    state.PauseTiming();
    ConstraintState at = Constraint::from_json_schema(kSchema, tokenizer).value()->start();
    for (const Token token : bytes)
      if (!at.advance(token)) state.SkipWithError("not allowed");
    state.ResumeTiming();
    benchmark::DoNotOptimize(at.allowed().data());
  }
}

void known_mask(benchmark::State& state, const Tokenizer& tokenizer) {
  ConstraintState at = Constraint::from_json_schema(kSchema, tokenizer).value()->start();
  for (auto _ : state) benchmark::DoNotOptimize(at.allowed().data());
}

void advance(benchmark::State& state, const Tokenizer& tokenizer) {
  const ConstraintState start = Constraint::from_json_schema(kSchema, tokenizer).value()->start();
  for (auto _ : state) {
    ConstraintState at = start;
    benchmark::DoNotOptimize(at.advance(3 + '{'));
  }
}

void compile(benchmark::State& state, const Tokenizer& tokenizer) {
  for (auto _ : state) benchmark::DoNotOptimize(Constraint::from_json_schema(kSchema, tokenizer));
}

void make_trie(benchmark::State& state, const Tokenizer& tokenizer) {
  for (auto _ : state) benchmark::DoNotOptimize(TokenTrie(tokenizer));
}

const bool registered = [] {
  struct Place {
    const char *name, *text;
  };
  for (const std::int64_t size : {49'152, 262'144}) {
    const auto add = [&](const std::string& what, auto run) {
      benchmark::RegisterBenchmark(("Constraint" + what + "/" + std::to_string(size)).c_str(),
                                   [size, run](benchmark::State& state) { run(state, vocabulary_of(size)); })
          ->Unit(benchmark::kMicrosecond);
    };
    for (const Place& place : {Place{"Start", ""},
                               {"Name", "{\"na"},
                               {"String", "{\"name\":\"a"},
                               {"CountedString", "{\"name\":\"a\",\"short\":\"a"},
                               {"Number", "{\"name\":\"a\",\"short\":\"a\",\"age\":1"}})
      add(std::string("FirstMask") + place.name,
          [text = std::string(place.text)](auto& state, const auto& tokenizer) {
            first_mask(state, tokenizer, text);
          });
    add("KnownMask", known_mask);
    add("Advance", advance);
    add("Compile", compile);
    add("Trie", make_trie);
  }
  return true;
}();

}  // namespace
}  // namespace agon::llm
