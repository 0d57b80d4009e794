#include "agon/llm/tokenizer/tokenizer.h"

#include <mutex>

#include "agon/llm/gguf/parse.h"
#include "agon/llm/tokenizer/text_model.h"
#include "agon/llm/tokenizer/token_trie.h"

namespace agon::llm {
namespace {

constexpr std::size_t kKeptScratch = 16;  // more callers at once than this make new ones

}  // namespace

void ScratchPool::give_back(std::unique_ptr<EncodeScratch> scratch) {
  const std::lock_guard lock(mutex_);
  if (free_.size() < kKeptScratch) free_.push_back(std::move(scratch));
}

struct Tokenizer::State {
  explicit State(Vocabulary read) : vocabulary(std::move(read)) {}
  Vocabulary vocabulary;
  TokenizerModel kind = TokenizerModel::kByteLevel;
  std::string name;
  bool add_space_prefix = false;
  SpecialMatcher matcher;
  std::unique_ptr<TextModel> model;
  mutable ScratchPool pool;
  mutable std::once_flag trie_once;
  mutable std::shared_ptr<const TokenTrie> trie;

  void append_piece(Token token, bool special, std::string& out) const;
};

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::~Tokenizer() = default;

Result<std::unique_ptr<Tokenizer>> Tokenizer::read(const gguf::Metadata& metadata) {
  AGON_ASSIGN(const std::string model, metadata.string("tokenizer.ggml.model"));
  TokenizerModel kind;
  if (model == "llama") {
    kind = TokenizerModel::kSentencePiece;
  } else if (model == "gpt2") {
    kind = TokenizerModel::kByteLevel;
  } else if (model == "t5") {
    kind = TokenizerModel::kUnigram;
  } else if (model == "bert") {
    kind = TokenizerModel::kWordPiece;
  } else {
    return fail("tokenizer.ggml.model: '" + gguf::printable(model) +
                "' is not supported (expected llama, gpt2, t5 or bert)");
  }
  AGON_ASSIGN(const std::string pre_name, metadata.string_or("tokenizer.ggml.pre", "default"));
  PreTokenizer pre;
  if (kind == TokenizerModel::kByteLevel) {
    const auto named = pre_tokenizer_named(pre_name.empty() ? "default" : pre_name);
    if (!named)
      return fail("tokenizer.ggml.pre: '" + gguf::printable(pre_name) +
                  "' is not supported (expected default, gpt-2, llama-bpe, smollm, qwen2, falcon, starcoder, "
                  "tekken, gpt-4o or another name for one of these)");
    pre = *named;
  }
  AGON_ASSIGN(Vocabulary vocabulary, Vocabulary::read(metadata, kind));
  auto state = std::make_unique<State>(std::move(vocabulary));
  state->kind = kind;
  state->name = kind == TokenizerModel::kByteLevel ? model + "/" + pre_name : model;
  if (pre.add_bos && !metadata.has("tokenizer.ggml.add_bos_token"))
    state->vocabulary.special().add_bos = true;
  AGON_ASSIGN(state->add_space_prefix,
              metadata.boolean_or("tokenizer.ggml.add_space_prefix", kind == TokenizerModel::kSentencePiece));
  AGON_ASSIGN(state->matcher, SpecialMatcher::make(state->vocabulary));
  switch (kind) {
    case TokenizerModel::kSentencePiece: {
      AGON_ASSIGN(state->model, make_sentencepiece(state->vocabulary, state->add_space_prefix));
      break;
    }
    case TokenizerModel::kByteLevel: {
      AGON_ASSIGN(state->model, make_byte_bpe(state->vocabulary, metadata, pre));
      break;
    }
    case TokenizerModel::kUnigram: {
      AGON_ASSIGN(state->model, make_unigram(state->vocabulary, metadata, state->add_space_prefix));
      break;
    }
    case TokenizerModel::kWordPiece: {
      AGON_ASSIGN(state->model, make_wordpiece(state->vocabulary, metadata));
      break;
    }
  }
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(state)));
}

std::vector<Token> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  const State& state = *state_;
  const SpecialTokens& special = state.vocabulary.special();
  const bool word_piece = state.kind == TokenizerModel::kWordPiece;
  std::vector<Token> tokens;
  {
    auto lease = state.pool.take();
    EncodeScratch& scratch = *lease;
    TokenSink sink(tokens);
    if (options.add_special && (special.add_bos || word_piece) && special.bos != kNoToken)
      sink.push(special.bos);
    state.matcher.cut(state.vocabulary, text, options.parse_special, scratch.fragments, scratch.seen);
    bool after_special = true;
    for (const Fragment& fragment : scratch.fragments) {
      if (fragment.token != kNoToken)
        sink.push(fragment.token);
      else
        state.model->encode(text.substr(fragment.begin, fragment.end - fragment.begin), after_special,
                            scratch, sink);
      after_special = fragment.token != kNoToken;
    }
    const bool end = options.add_special && options.add_end;
    if (end && word_piece && special.separator != kNoToken) sink.push(special.separator);
    if (end && !word_piece && special.add_eos && special.eos != kNoToken) sink.push(special.eos);
  }
  return tokens;
}

void Tokenizer::State::append_piece(Token token, bool special, std::string& out) const {
  if (!vocabulary.has(token)) return;
  const std::uint8_t attributes = vocabulary.attributes(token);
  const std::string_view text = vocabulary.text(token);
  if (attributes & (kUnknownToken | kControlToken)) {
    if (special) out += text;
  } else if (attributes & kUserDefinedToken) {
    out += text;
  } else if (attributes & kNormalToken) {
    model->append_text(text, out);
  } else if (attributes & kByteToken) {  // "<0x0A>"
    unsigned value = 0;
    for (std::size_t i = 3; i < 5 && i < text.size(); ++i) {
      const char c = text[i];
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                               : -1;
      if (digit < 0) break;
      value = 16 * value + unsigned(digit);
    }
    out.push_back(char(value));
  }
}

std::string Tokenizer::piece(Token token, bool special) const {
  std::string out;
  state_->append_piece(token, special, out);
  return out;
}

std::string Tokenizer::decode(std::span<const Token> tokens, bool special) const {
  std::string out;
  for (const Token token : tokens) state_->append_piece(token, special, out);
  if (state_->add_space_prefix && out.starts_with(' ')) out.erase(0, 1);
  return out;
}

int Tokenizer::vocabulary() const { return state_->vocabulary.size(); }
const SpecialTokens& Tokenizer::special() const { return state_->vocabulary.special(); }
const std::string& Tokenizer::name() const { return state_->name; }
Token Tokenizer::find(std::string_view text) const { return state_->vocabulary.find(text); }

std::shared_ptr<const TokenTrie> Tokenizer::trie() const {
  std::call_once(state_->trie_once, [&] { state_->trie = std::make_shared<const TokenTrie>(*this); });
  return state_->trie;
}

}  // namespace agon::llm
