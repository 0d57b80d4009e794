// Tokenizers of absurd vocabularies on any text: errors or tokens of the vocabulary, the same whatever was
// encoded before; SentencePiece and byte-level BPE against the method written out plainly.
//
// An input is a byte for the model, a byte for the options, and parts that end in 0xFF: tokens and merges
// (one a line), types, scores and the charsmap (one byte each), the text.
#include <limits>
#include <string>
#include <vector>

#include "agon/base/check.h"
#include "agon/llm/tokenizer/tokenizer.h"
#include "agon/text/utf8.h"

using namespace agon;
using llm::Token;

namespace {

std::string_view take_part(std::string_view& rest) {
  const std::size_t end = std::min(rest.find('\xFF'), rest.size());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

gguf::Strings lines(std::string_view part) {
  gguf::Strings list;
  while (!part.empty()) {
    const std::size_t end = std::min(part.find('\n'), part.size());
    list.emplace_back(part.substr(0, end));
    part.remove_prefix(std::min(end + 1, part.size()));
  }
  return list;
}

template <class List>
List numbers(std::string_view part, double scale) {
  List list;
  for (const char c : part) list.push_back(typename List::value_type(static_cast<signed char>(c) * scale));
  return list;
}

/// Joins the neighbours with the best score again and again over the whole text, with no cuts and no heap.
std::vector<Token> plain_sentencepiece(const llm::Tokenizer& tokenizer, const gguf::Reals& scores,
                                       std::string_view text) {
  std::string escaped;
  for (const char c : text) escaped += c == ' ' ? std::string("\xE2\x96\x81") : std::string(1, c);
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < escaped.size();) {
    const auto first = static_cast<unsigned char>(escaped[at]);
    parts.push_back(escaped.substr(at, first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4));
    at += parts.back().size();
  }
  for (;;) {
    double best_score = 0;
    std::size_t best = parts.size();
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const Token token = tokenizer.find(parts[i] + parts[i + 1]);
      if (token == llm::kNoToken) continue;
      const double score = scores.empty() ? 0 : scores[std::size_t(token)];
      if (best == parts.size() || score > best_score) best = i, best_score = score;
    }
    if (best == parts.size()) break;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + std::ptrdiff_t(best) + 1);
  }
  std::vector<Token> tokens;
  for (const std::string& part : parts) {
    if (const Token token = tokenizer.find(part); token != llm::kNoToken) {
      tokens.push_back(token);
      continue;
    }
    for (const char& c : part) {
      constexpr std::string_view kHex = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(c);
      Token token = tokenizer.find(std::string("<0x") + kHex[byte >> 4] + kHex[byte & 15] + ">");
      if (token == llm::kNoToken) token = tokenizer.find(std::string_view(&c, 1));
      if (token == llm::kNoToken) token = tokenizer.special().unknown;
      if (token != llm::kNoToken) tokens.push_back(token);
    }
  }
  return tokens;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  if (rest.size() < 2) return 0;
  const unsigned kind = static_cast<unsigned char>(rest[0]) % 4,
                 options = static_cast<unsigned char>(rest[1]);
  rest.remove_prefix(2);
  const gguf::Strings tokens = lines(take_part(rest)), merges = lines(take_part(rest));
  const auto types = numbers<gguf::Integers>(take_part(rest), 1);
  const auto scores = numbers<gguf::Reals>(take_part(rest), 0.25);
  const auto charsmap = numbers<gguf::Integers>(take_part(rest), 1);
  const std::string text(rest.substr(0, 2000));

  constexpr const char* kModels[] = {"llama", "gpt2", "t5", "bert"};
  constexpr const char* kPre[] = {"default", "gpt-2",  "smollm", "llama-bpe", "qwen2",
                                  "qwen35",  "falcon", "tekken", "gpt-4o",    "other"};
  gguf::Metadata metadata;
  metadata.set("tokenizer.ggml.model", std::string(kModels[kind]));
  metadata.set("tokenizer.ggml.pre", std::string(kPre[options % 10]));
  metadata.set("tokenizer.ggml.tokens", tokens);
  if (!merges.empty() || kind == 1) metadata.set("tokenizer.ggml.merges", merges);
  if (!types.empty()) metadata.set("tokenizer.ggml.token_type", types);
  if (!scores.empty()) metadata.set("tokenizer.ggml.scores", scores);
  if (!charsmap.empty()) metadata.set("tokenizer.ggml.precompiled_charsmap", charsmap);
  metadata.set("tokenizer.ggml.add_space_prefix", options >= 128);
  if (options & 32) metadata.set("general.name", std::string("Phi-3"));
  const auto tokenizer = llm::Tokenizer::read(metadata);
  if (!tokenizer) {
    AGON_CHECK(!tokenizer.error().message.empty() && is_valid_utf8(tokenizer.error().to_string()));
    return 0;
  }
  const llm::Tokenizer& used = **tokenizer;
  for (const bool special : {false, true}) {
    const llm::EncodeOptions encode{.add_special = special, .parse_special = special};
    const std::vector<Token> ids = used.encode(text, encode);
    for (const Token id : ids) AGON_CHECK(id >= 0 && id < used.vocabulary());
    AGON_CHECK(used.encode(text, encode) == ids);
    (void)used.decode(ids, special);
    for (const std::size_t cut : {text.size() / 3, text.size() / 2})
      AGON_CHECK((*llm::Tokenizer::read(metadata))->encode(text.substr(cut), encode) ==
                 used.encode(text.substr(cut), encode));
  }
  bool user_defined = false;
  for (const std::int64_t type : types) user_defined = user_defined || type == 4;
  for (const std::string& token : tokens) user_defined = user_defined || token.starts_with("<|");
  if (kind == 0 && options < 128 && !user_defined && text.size() < 300)
    AGON_CHECK(used.encode(text, {.add_special = false}) == plain_sentencepiece(used, scores, text));
  return 0;
}
