#include "agon/llm/gguf/llama2c.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "agon/base/bytes.h"
#include "agon/llm/gguf/format.h"
#include "agon/llm/gguf/random_model.h"

namespace agon::gguf {
namespace {

struct Sizes {
  std::uint64_t embedding, feed_forward, layers, heads, kv_heads, vocabulary, context;
  bool tied;

  [[nodiscard]] std::uint64_t head() const { return embedding / heads; }
  [[nodiscard]] std::uint64_t keys() const { return head() * kv_heads; }
};

std::unexpected<Error> fail_in(const std::string& name, std::uint64_t byte, std::string message,
                               std::string expected = {}) {
  Error error;
  error.message = std::move(message);
  error.file = name;
  error.byte = byte;
  error.has_byte = true;
  error.expected = std::move(expected);
  return std::unexpected(std::move(error));
}

Result<Sizes> read_sizes(std::string_view model, const std::string& name) {
  ByteReader reader(model);
  std::int32_t head[7];
  for (std::int32_t& size : head) size = reader.get<std::int32_t>();
  if (!reader.ok()) return fail_in(name, model.size(), "ends inside the seven sizes at its start");
  if (head[0] == 0x616b3432)  // "24ka"
    return fail_in(name, 0, "is a llama2.c file of a later version", "the first, \"legacy\" format");
  constexpr const char* kNames[] = {
      "embedding",  "feed-forward", "number of layers", "number of heads", "number of key-value heads",
      "vocabulary", "context"};
  for (int i = 0; i < 7; ++i) {
    // A negative vocabulary says that the output matrix is not the embedding.
    const std::int64_t size = i == 5 ? std::abs(std::int64_t{head[i]}) : head[i];
    if (size < 1 || size > 1 << 20)
      return fail_in(name, static_cast<std::uint64_t>(4 * i),
                     fmt::format("is no llama2.c model: the {} is {}", kNames[i], head[i]), "1 to 2^20");
  }
  const auto at = [&](int i) { return static_cast<std::uint64_t>(std::abs(std::int64_t{head[i]})); };
  const Sizes sizes{at(0), at(1), at(2), at(3), at(4), at(5), at(6), head[5] > 0};
  if (sizes.embedding % sizes.heads != 0 || sizes.head() % 2 != 0 || sizes.heads % sizes.kv_heads != 0)
    return fail_in(name, 0,
                   fmt::format("{} heads, {} of them for keys, don't share {} numbers", sizes.heads,
                               sizes.kv_heads, sizes.embedding));
  // Each product is below 2^60.
  const std::uint64_t layer = 2 * sizes.embedding + 2 * sizes.embedding * (sizes.embedding + sizes.keys()) +
                              3 * sizes.embedding * sizes.feed_forward;
  if (layer > kMaxElements || sizes.layers > 65536) return fail_in(name, 0, "the sizes are absurd");
  // Behind the norm at the end lie tables of cosines and sines, which are computed anew.
  const unsigned __int128 floats = static_cast<unsigned __int128>(sizes.layers) * layer +
                                   sizes.vocabulary * sizes.embedding * (sizes.tied ? 1 : 2) +
                                   sizes.embedding + sizes.context * sizes.head();
  if (floats * 4 + 28 != model.size())
    return fail_in(
        name, model.size(),
        fmt::format("has {} bytes, which does not fit its sizes: {} by {}, {} layers, {} heads, {} of "
                    "them for keys, vocabulary {}, context {}",
                    model.size(), sizes.embedding, sizes.feed_forward, sizes.layers, sizes.heads,
                    sizes.kv_heads, sizes.vocabulary, sizes.context));
  return sizes;
}

void set_sizes(const Sizes& sizes, Metadata& m) {
  const auto integer = [&](const char* key, std::uint64_t value) {
    m.set(key, static_cast<std::int64_t>(value));
  };
  m.set("general.architecture", std::string("llama"));
  integer("llama.context_length", sizes.context);
  integer("llama.embedding_length", sizes.embedding);
  integer("llama.block_count", sizes.layers);
  integer("llama.feed_forward_length", sizes.feed_forward);
  integer("llama.attention.head_count", sizes.heads);
  integer("llama.attention.head_count_kv", sizes.kv_heads);
  m.set("llama.attention.layer_norm_rms_epsilon", 1e-5);
  integer("llama.rope.dimension_count", sizes.head());
  m.set("llama.rope.freq_base", 10000.0);
  integer("llama.vocab_size", sizes.vocabulary);
}

bool is_byte_piece(std::string_view piece) {
  return piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with('>');
}

// Token 0 is unknown, 1 and 2 begin and end a text, then come 256 bytes; spaces stand as spaces, where
// SentencePiece writes U+2581.
Status set_tokenizer(std::string_view bytes, const std::string& name, std::uint64_t vocabulary, Metadata& m) {
  ByteReader reader(bytes);
  (void)reader.get<std::int32_t>();  // the longest piece
  Strings tokens;
  Reals scores;
  Integers types;
  for (std::uint64_t i = 0; i < vocabulary; ++i) {
    const std::size_t start = reader.position();
    const auto score = reader.get<float>();
    const auto size = reader.get<std::int32_t>();
    if (!reader.ok() || size < 0 || static_cast<std::uint64_t>(size) > reader.left())
      return fail_in(name, start, fmt::format("ends inside token {} of {}", i, vocabulary));
    if (!std::isfinite(score))
      return fail_in(name, start, fmt::format("the score of token {} is no number", i));
    std::string piece;
    for (const char c : bytes.substr(reader.position(), static_cast<std::size_t>(size)))
      piece += c == ' ' ? std::string("\xe2\x96\x81") : std::string(1, c);
    for (std::int32_t k = 0; k < size; ++k) (void)reader.get<char>();
    if (i == 1) piece = "<s>";  // stored with line breaks around it
    if (i == 2) piece = "</s>";
    types.push_back(i == 0 ? 2 : i <= 2 ? 3 : is_byte_piece(piece) ? 6 : 1);
    tokens.push_back(std::move(piece));
    scores.push_back(static_cast<double>(score));
  }
  if (reader.left() != 0)
    return fail_in(name, reader.position(),
                   fmt::format("has more than the {} tokens of the model", vocabulary));
  m.set("tokenizer.ggml.model", std::string("llama"));
  m.set("tokenizer.ggml.pre", std::string("default"));
  m.set("tokenizer.ggml.tokens", std::move(tokens));
  m.set("tokenizer.ggml.scores", std::move(scores));
  m.set("tokenizer.ggml.token_type", std::move(types));
  m.set("tokenizer.ggml.bos_token_id", std::int64_t{1});
  m.set("tokenizer.ggml.eos_token_id", std::int64_t{2});
  m.set("tokenizer.ggml.unknown_token_id", std::int64_t{0});
  m.set("tokenizer.ggml.add_bos_token", true);
  m.set("tokenizer.ggml.add_eos_token", false);
  return {};
}

/// Takes tensors from the file one after another; each kind lies together for all layers.
class Cutter {
 public:
  Cutter(std::string_view model, const std::string& name, TensorType type)
      : model_(model), name_(name), type_(type) {}

  Status matrix(Writer& out, std::string tensor, std::uint64_t columns, std::uint64_t rows) {
    AGON_ASSIGN(const std::vector<float> values, floats(tensor, columns * rows));
    out.add(std::move(tensor), fitting_type(type_, columns), {columns, rows}, values);
    return {};
  }
  Status vector(Writer& out, std::string tensor, std::uint64_t size) {
    AGON_ASSIGN(const std::vector<float> values, floats(tensor, size));
    out.add(std::move(tensor), TensorType::kF32, {size}, values);
    return {};
  }
  void skip(std::uint64_t count) { at_ += count * 4; }

 private:
  Result<std::vector<float>> floats(const std::string& tensor, std::uint64_t count) {
    std::vector<float> values(count);
    std::memcpy(values.data(), model_.data() + at_, count * 4);  // read_sizes checked the length
    for (std::uint64_t i = 0; i < count; ++i)
      if (!std::isfinite(values[i]))
        return fail_in(name_, at_ + 4 * i, fmt::format("{} has a weight that is no number", tensor));
    at_ += count * 4;
    return values;
  }

  std::string_view model_;
  const std::string& name_;
  TensorType type_;
  std::uint64_t at_ = 28;
};

}  // namespace

Result<Writer> convert_llama2c(std::string_view model, const std::string& model_name,
                               std::string_view tokenizer, const std::string& tokenizer_name,
                               TensorType type) {
  AGON_ASSIGN(const Sizes s, read_sizes(model, model_name));
  Writer out;
  set_sizes(s, out.metadata);
  AGON_TRY(set_tokenizer(tokenizer, tokenizer_name, s.vocabulary, out.metadata));

  Cutter cut(model, model_name, type);
  const auto in_layers = [&](const char* role, auto&& one) -> Status {
    for (std::uint64_t i = 0; i < s.layers; ++i) AGON_TRY(one(fmt::format("blk.{}.{}.weight", i, role)));
    return {};
  };
  const auto matrices = [&](const char* role, std::uint64_t columns, std::uint64_t rows) {
    return in_layers(role, [&](std::string name) { return cut.matrix(out, std::move(name), columns, rows); });
  };
  const auto norms = [&](const char* role) {
    return in_layers(role, [&](std::string name) { return cut.vector(out, std::move(name), s.embedding); });
  };
  AGON_TRY(cut.matrix(out, "token_embd.weight", s.embedding, s.vocabulary));
  AGON_TRY(norms("attn_norm"));
  AGON_TRY(matrices("attn_q", s.embedding, s.embedding));
  AGON_TRY(matrices("attn_k", s.embedding, s.keys()));
  AGON_TRY(matrices("attn_v", s.embedding, s.keys()));
  AGON_TRY(matrices("attn_output", s.embedding, s.embedding));
  AGON_TRY(norms("ffn_norm"));
  AGON_TRY(matrices("ffn_gate", s.embedding, s.feed_forward));
  AGON_TRY(matrices("ffn_down", s.feed_forward, s.embedding));
  AGON_TRY(matrices("ffn_up", s.embedding, s.feed_forward));
  AGON_TRY(cut.vector(out, "output_norm.weight", s.embedding));
  cut.skip(s.context * s.head());
  if (!s.tied) AGON_TRY(cut.matrix(out, "output.weight", s.embedding, s.vocabulary));
  return out;
}

}  // namespace agon::gguf
