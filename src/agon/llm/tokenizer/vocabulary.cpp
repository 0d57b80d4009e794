#include "agon/llm/tokenizer/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <set>

#include "agon/llm/tokenizer/byte_text.h"

namespace agon::llm {
namespace {

constexpr std::size_t kMostTokens = std::size_t{1} << 24;
constexpr std::size_t kLongestToken = std::size_t{1} << 16;
// Of all tokens together: trees of them take some 50 times that. 262,144 tokens of real ones have 2 MB.
constexpr std::size_t kMostText = std::size_t{1} << 25;

std::unexpected<Error> bad(std::string_view key, std::string message, std::string expected = {}) {
  Error error;
  error.message = fmt::format("{}: {}", key, message);
  error.expected = std::move(expected);
  return std::unexpected(std::move(error));
}

/// Types of tokens in GGUF (llama_token_type); others are as good as undefined.
std::uint8_t attribute_of_type(std::int64_t type) {
  switch (type) {
    case 1:
      return kNormalToken;
    case 2:
      return kUnknownToken;
    case 3:
      return kControlToken;
    case 4:
      return kUserDefinedToken;
    case 5:
      return kUnusedToken;
    case 6:
      return kByteToken;
    default:
      return 0;
  }
}

/// Texts that end a turn or a document in the families we know (and their relatives): as llama.cpp has them.
constexpr std::string_view kEndTexts[] = {"<|eot_id|>",
                                          "<|im_end|>",
                                          "<|end|>",
                                          "<|return|>",
                                          "<|call|>",
                                          "<|flush|>",
                                          "<|calls|>",
                                          "<end_of_turn>",
                                          "<|endoftext|>",
                                          "</s>",
                                          "<|eom_id|>",
                                          "<EOT>",
                                          "_<EOT>",
                                          "[EOT]",
                                          "[EOS]",
                                          "<|end_of_text|>",
                                          "<end_of_utterance>",
                                          "<eos>",
                                          "<turn|>",
                                          "<|tool_response>",
                                          "[e~[",
                                          "<｜end▁of▁sentence｜>"};
/// The end of a turn, the likeliest first.
constexpr std::string_view kEndOfTurn[] = {
    "<|eot_id|>",           "<|im_end|>", "<end_of_turn>", "<|end|>", "<|endoftext|>",
    "<|end_of_text|>",      "<EOT>",      "_<EOT>",        "[EOT]",   "<end_of_utterance>",
    "<｜end▁of▁sentence｜>"};
/// Texts of fill-in-the-middle tokens, which are always control tokens: of each kind the first that is found.
constexpr std::string_view kFillBefore[] = {"<|fim_prefix|>",  "<fim-prefix>", "<fim_prefix>",
                                            "<｜fim▁begin｜>", "<PRE>",        "▁<PRE>",
                                            "<|code_prefix|>", "<|prefix|>"};
constexpr std::string_view kFillAfter[] = {"<|fim_suffix|>",  "<fim-suffix>", "<fim_suffix>",
                                           "<｜fim▁hole｜>",  "<SUF>",        "▁<SUF>",
                                           "<|code_suffix|>", "<|suffix|>"};
constexpr std::string_view kFillMiddle[] = {"<|fim_middle|>",  "<fim-middle>", "<fim_middle>",
                                            "<｜fim▁end｜>",   "<MID>",        "▁<MID>",
                                            "<|code_middle|>", "<|middle|>"};
/// These end an answer too.
constexpr std::string_view kFillPadding[] = {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"};
constexpr std::string_view kRepository[] = {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>",
                                            "<reponame>"};
constexpr std::string_view kFileSeparator[] = {"<|file_sep|>"};
constexpr std::string_view kEndOfMessage[] = {"<|eom_id|>"};

}  // namespace

Result<Vocabulary> Vocabulary::read(const gguf::Metadata& metadata, TokenizerModel model) {
  const gguf::Strings* tokens = metadata.strings("tokenizer.ggml.tokens");
  if (tokens == nullptr)
    return bad("tokenizer.ggml.tokens", "the file has no list of tokens", "an array of strings");
  Vocabulary vocabulary;
  AGON_TRY(vocabulary.read_texts(*tokens));
  AGON_TRY(vocabulary.read_scores(metadata));
  AGON_TRY(vocabulary.read_types(metadata));
  AGON_TRY(vocabulary.read_special(metadata, model));
  vocabulary.recognise_by_text();
  vocabulary.set_strip_attributes(metadata);
  return vocabulary;
}

Status Vocabulary::read_texts(const gguf::Strings& tokens) {
  constexpr std::string_view kKey = "tokenizer.ggml.tokens";
  if (tokens.empty() || tokens.size() > kMostTokens)
    return bad(kKey, fmt::format("{} tokens", tokens.size()), fmt::format("1 to {}", kMostTokens));
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].size() > kLongestToken)
      return bad(kKey, fmt::format("token {} has {} bytes", i, tokens[i].size()),
                 fmt::format("at most {}", kLongestToken));
    bytes += tokens[i].size() + (tokens[i].empty() ? 16 : 0);
  }
  if (bytes > kMostText)
    return bad(kKey, fmt::format("the tokens have {} bytes", bytes), fmt::format("at most {}", kMostText));
  texts_.reserve(bytes);
  begins_.reserve(tokens.size() + 1);
  begins_.push_back(0);
  slots_.resize(std::bit_ceil(2 * tokens.size()));
  attributes_.assign(tokens.size(), kNormalToken);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].empty())
      fmt::format_to(std::back_inserter(texts_), "[EMPTY_{}]", i);
    else
      texts_ += tokens[i];
    begins_.push_back(std::uint32_t(texts_.size()));
    const std::string_view text = this->text(Token(i));
    const std::uint64_t hash = hash_text(text);
    const auto tag = std::uint32_t(hash >> 32);
    std::size_t at = hash & mask;
    for (; slots_[at].token != kNoToken; at = (at + 1) & mask)
      if (slots_[at].tag == tag && this->text(slots_[at].token) == text)
        return bad(kKey, fmt::format("tokens {} and {} are the same text", slots_[at].token, i),
                   "each token once");
    slots_[at] = {tag, Token(i)};
  }
  return {};
}

Token Vocabulary::find(std::string_view text) const {
  const std::uint64_t hash = hash_text(text);
  const auto tag = std::uint32_t(hash >> 32);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash & mask; slots_[at].token != kNoToken; at = (at + 1) & mask)
    if (slots_[at].tag == tag && this->text(slots_[at].token) == text) return slots_[at].token;
  return kNoToken;
}

Status Vocabulary::read_scores(const gguf::Metadata& metadata) {
  constexpr std::string_view kKey = "tokenizer.ggml.scores";
  if (!metadata.has(kKey)) return {};
  const gguf::Reals* reals = metadata.reals(kKey);
  const gguf::Integers* integers = metadata.integers(kKey);
  if (reals == nullptr && integers == nullptr) return bad(kKey, "not an array of numbers");
  const std::size_t count = reals != nullptr ? reals->size() : integers->size();
  if (count < attributes_.size())
    return bad(kKey, fmt::format("{} scores for {} tokens", count, attributes_.size()), "one a token");
  scores_.resize(attributes_.size());
  for (std::size_t i = 0; i < scores_.size(); ++i) {
    const double score = reals != nullptr ? (*reals)[i] : static_cast<double>((*integers)[i]);
    // With an infinite one no sum of scores could be compared.
    if (!(std::abs(score) <= static_cast<double>(std::numeric_limits<float>::max())))
      return bad(kKey, fmt::format("the score of token {} is {}", i, score),
                 "a number in the range of floats");
    scores_[i] = static_cast<float>(score);
  }
  return {};
}

Status Vocabulary::read_types(const gguf::Metadata& metadata) {
  constexpr std::string_view kKey = "tokenizer.ggml.token_type";
  if (metadata.has(kKey)) {
    const gguf::Integers* types = metadata.integers(kKey);
    if (types == nullptr) return bad(kKey, "not an array of integers");
    if (types->size() < attributes_.size())
      return bad(kKey, fmt::format("{} types for {} tokens", types->size(), attributes_.size()),
                 "one a token");
    for (std::size_t i = 0; i < attributes_.size(); ++i) attributes_[i] = attribute_of_type((*types)[i]);
  }
  stored_attributes_ = attributes_;
  return {};
}

Status Vocabulary::read_special(const gguf::Metadata& metadata, TokenizerModel model) {
  switch (model) {  // what the families used before files said it
    case TokenizerModel::kSentencePiece:
      special_.bos = 1, special_.eos = 2, special_.unknown = 0;
      special_.add_bos = true;
      break;
    case TokenizerModel::kByteLevel:
      break;
    case TokenizerModel::kUnigram:
      special_.eos = 1, special_.unknown = 2, special_.padding = 0;
      special_.add_eos = true;
      break;
    case TokenizerModel::kWordPiece:
      special_.bos = 101, special_.unknown = 100, special_.separator = 102, special_.padding = 0;
      special_.mask = 103;
      special_.add_bos = special_.add_separator = true;
      break;
  }
  const std::pair<const char*, Token*> ids[] = {{"bos", &special_.bos},
                                                {"eos", &special_.eos},
                                                {"eot", &special_.eot},
                                                {"unknown", &special_.unknown},
                                                {"seperator", &special_.separator},  // as the format has it
                                                {"padding", &special_.padding},
                                                {"cls", &special_.classification},
                                                {"mask", &special_.mask}};
  for (const auto& [name, token] : ids) {
    if (!has(*token)) *token = kNoToken;
    AGON_ASSIGN(const std::int64_t id,
                metadata.integer_or(fmt::format("tokenizer.ggml.{}_token_id", name), kNoToken));
    if (id >= 0 && id < size()) *token = Token(id);
  }
  AGON_ASSIGN(special_.add_bos, metadata.boolean_or("tokenizer.ggml.add_bos_token", special_.add_bos));
  AGON_ASSIGN(special_.add_eos, metadata.boolean_or("tokenizer.ggml.add_eos_token", special_.add_eos));
  AGON_ASSIGN(special_.add_separator,
              metadata.boolean_or("tokenizer.ggml.add_sep_token", special_.add_separator));
  return {};
}

Token Vocabulary::first_of(std::span<const std::string_view> texts) {
  for (const std::string_view text : texts)
    if (const Token token = find(text); token != kNoToken) {
      attributes_[std::size_t(token)] |= kControlToken;
      return token;
    }
  return kNoToken;
}

// Files often have end-of-turn tokens typed as ordinary text, or do not say which tokens end an answer, so
// they are recognised by their texts as llama.cpp does (llama-vocab.cpp); tokens must not depend on who reads
// the file.
void Vocabulary::recognise_by_text() {
  std::set<Token> ends;
  if (special_.eot == kNoToken) special_.eot = first_of(kEndOfTurn);
  for (const std::span<const std::string_view> texts :
       {std::span<const std::string_view>(kEndOfMessage), std::span<const std::string_view>(kFillBefore),
        std::span<const std::string_view>(kFillAfter), std::span<const std::string_view>(kFillMiddle)})
    first_of(texts);
  for (const std::span<const std::string_view> texts :
       {std::span<const std::string_view>(kFillPadding), std::span<const std::string_view>(kRepository),
        std::span<const std::string_view>(kFileSeparator)})
    if (const Token token = first_of(texts); token != kNoToken) ends.insert(token);
  for (Token token = 0; token < size(); ++token)
    if ((attributes(token) & kControlToken) && text(token).find("unused") != std::string_view::npos)
      attributes_[std::size_t(token)] |= kUnusedToken;
  for (const std::string_view text : kEndTexts)
    if (const Token token = find(text); token != kNoToken) {
      attributes_[std::size_t(token)] |= kControlToken;
      ends.insert(token);
    }
  // The channel marks of the "harmony" format are text to be seen.
  for (const std::string_view text : {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"})
    if (const Token token = find(text); token != kNoToken)
      attributes_[std::size_t(token)] = kUserDefinedToken;
  if (special_.eos != kNoToken) ends.insert(special_.eos);
  if (special_.eot != kNoToken) ends.insert(special_.eot);

  const auto ending = [&](std::string_view text) {
    const Token token = find(text);
    return token != kNoToken && ends.contains(token);
  };
  const auto not_an_end = [&](std::string_view text, std::uint8_t attributes) {
    if (!ending(text)) return;
    ends.erase(find(text));
    attributes_[std::size_t(find(text))] = attributes;
  };
  // Where other tokens end the answer, "<|end|>" only ends a part of it, and "</s>" is an HTML tag.
  if ((ending("<|return|>") && (ending("<|call|>") || ending("<|calls|>"))) ||
      ((ending("<|call|>") || ending("<|calls|>")) && ending("<|flush|>")))
    not_an_end("<|end|>", kUserDefinedToken);
  if (ending("<|tool_response>") || ending("<|plamo:eos|>")) not_an_end("</s>", kNormalToken);
  special_.end_of_generation.assign(ends.begin(), ends.end());
}

// GGUF has no place for these attributes; llama.cpp sets them by the name of the model.
void Vocabulary::set_strip_attributes(const gguf::Metadata& metadata) {
  const auto text_of = [&](std::string_view key) {
    auto text = metadata.string_or(key, "");
    return text ? *std::move(text) : std::string();
  };
  std::string name = text_of("general.name");
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  const auto contains_any = [](std::string_view text, std::initializer_list<std::string_view> parts) {
    return std::ranges::any_of(parts, [&](auto part) { return text.find(part) != std::string_view::npos; });
  };
  const auto set = [&](std::string_view text, TokenAttribute bit, bool on) {
    if (const Token token = find(text); token != kNoToken)
      attributes_[std::size_t(token)] =
          std::uint8_t(on ? attributes(token) | bit : attributes(token) & ~unsigned{bit});
  };
  if (contains_any(text_of("tokenizer.ggml.pre"), {"jina-v2-de", "jina-v2-es", "jina-v2-code"}) ||
      contains_any(text_of("general.architecture"), {"nomic-bert-moe", "jina-bert-v3"})) {
    set("<mask>", kStripLeft, true);
  } else if (contains_any(name, {"phi-3", "phi3"})) {
    for (std::uint8_t& bits : attributes_)
      if (bits & (kControlToken | kUserDefinedToken | kUnknownToken)) bits |= kStripRight;
    set("</s>", kStripRight, true);
    for (const std::string_view text : {"<unk>", "<s>", "<|endoftext|>"}) set(text, kStripRight, false);
  } else if (contains_any(name, {"modern-bert"})) {
    set("[MASK]", kStripLeft, true);
  }
}

}  // namespace agon::llm
