#include "agon/llm/gguf/random_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "agon/base/check.h"
#include "agon/base/hash.h"
#include "agon/llm/gguf/random_weights.h"

namespace agon::gguf {
namespace {

constexpr TensorType kTypes[] = {
    TensorType::kF32,  TensorType::kF16,  TensorType::kBF16, TensorType::kQ4_0,   TensorType::kQ4_1,
    TensorType::kQ5_0, TensorType::kQ5_1, TensorType::kQ8_0, TensorType::kQ2_K,   TensorType::kQ3_K,
    TensorType::kQ4_K, TensorType::kQ5_K, TensorType::kQ6_K, TensorType::kIQ4_NL, TensorType::kIQ4_XS};

std::unexpected<Error> usage(std::string message) {
  Error error;
  error.message = std::move(message);
  error.kind = ErrorKind::kUsage;
  return std::unexpected(std::move(error));
}

/// Which format a matrix gets, by its role.
struct Formats {
  TensorType most = TensorType::kF32;
  TensorType better = TensorType::kF32;  ///< Of values and the feed-forward's way down in some layers.
  TensorType embedding = TensorType::kF32;
  int layers = 0;

  static Result<Formats> make(const RandomModelOptions& options) {
    Formats formats;
    formats.layers = options.layers;
    if (options.format == "Q4_K_M" || options.format == "Q5_K_M") {
      formats.most = options.format == "Q4_K_M" ? TensorType::kQ4_K : TensorType::kQ5_K;
      formats.better = formats.embedding = TensorType::kQ6_K;
    } else {
      AGON_ASSIGN(formats.most, type_of_name(options.format));
      formats.better = formats.embedding = formats.most;
    }
    if (!options.embedding_format.empty()) {
      AGON_ASSIGN(formats.embedding, type_of_name(options.embedding_format));
    }
    return formats;
  }
  /// llama-quantize gives more bits to the first and last eighth of the layers and to every third between.
  [[nodiscard]] TensorType sensitive(int layer) const {
    const int eighth = layers / 8;
    const bool more = layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
    return more ? better : most;
  }
};

class Maker {
 public:
  Maker(const RandomModelOptions& options, const Formats& formats) : o_(options), formats_(formats) {}

  Result<Writer> run() {
    AGON_TRY(check());
    metadata();
    tensors();
    return std::move(writer_);
  }

 private:
  Status check() {
    constexpr std::string_view known[] = {"llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3"};
    if (std::ranges::find(known, o_.architecture) == std::end(known))
      return usage(
          fmt::format("there are no random models of architecture '{}'; there are llama, qwen2, qwen3, "
                      "gemma2, gemma3 and phi3",
                      o_.architecture));
    gemma_ = o_.architecture.starts_with("gemma");
    for (const int size : {o_.layers, o_.embedding, o_.heads, o_.kv_heads, o_.feed_forward, o_.context})
      if (size < 1 || size > 1 << 20) return usage("sizes of a model are from 1 to 2^20");
    if (o_.heads % o_.kv_heads != 0) return usage("the heads are no multiple of the key-value heads");
    if (o_.key_length == 0 && o_.embedding % o_.heads != 0)
      return usage("the embedding is no multiple of the heads, and no key length is given");
    head_ = o_.key_length != 0 ? o_.key_length : o_.embedding / o_.heads;
    if (head_ < 2 || head_ % 2 != 0 || head_ > 4096)
      return usage("the key length is no even number from 2 to 4096");
    if (o_.architecture == "phi3" && head_ * o_.heads != o_.embedding)
      return usage("heads of phi3 have embedding / heads numbers");
    if (o_.window < 0) return usage("the window is negative");
    if (o_.labels < 0 || o_.labels > 1 << 16)
      return usage("a classification head has from 0 to 2^16 outputs");
    if (!o_.label_names.empty() && o_.label_names.size() != static_cast<std::size_t>(o_.labels))
      return usage("the names of outputs are not as many as these");
    constexpr std::string_view scalings[] = {"", "linear", "yarn", "llama3", "longrope"};
    if (std::ranges::find(scalings, o_.rope_scaling) == std::end(scalings) ||
        (o_.rope_scaling == "llama3" && o_.architecture != "llama") ||
        (o_.rope_scaling == "longrope" && o_.architecture != "phi3"))
      return usage(
          fmt::format("rope scaling '{}' is not for random models of {}", o_.rope_scaling, o_.architecture));
    if (o_.vocabulary_of == nullptr) {
      if (o_.vocabulary < 320 || o_.vocabulary > 1 << 20)
        return usage("a made-up vocabulary has from 320 to 2^20 pieces");
      vocabulary_ = made_up_vocabulary(o_.vocabulary);
    } else {
      for (const auto& [key, value] : o_.vocabulary_of->entries())
        if (key.starts_with("tokenizer.")) vocabulary_.set(key, value);
    }
    const Strings* tokens = vocabulary_.strings("tokenizer.ggml.tokens");
    if (tokens == nullptr || tokens->empty())
      return fail("the vocabulary's file has no tokenizer.ggml.tokens");
    vocabulary_size_ = tokens->size();
    return {};
  }

  void metadata() {
    Metadata& m = writer_.metadata;
    const std::string& a = o_.architecture;
    m.set("general.architecture", a);
    m.set("general.name", fmt::format("random weights, seed {}", o_.seed));
    const auto integer = [&](const char* key, std::int64_t value) { m.set(a + key, value); };
    integer(".context_length", o_.context);
    integer(".embedding_length", o_.embedding);
    integer(".block_count", o_.layers);
    integer(".feed_forward_length", o_.feed_forward);
    integer(".attention.head_count", o_.heads);
    integer(".attention.head_count_kv", o_.kv_heads);
    m.set(a + ".attention.layer_norm_rms_epsilon", gemma_ || a == "qwen2" || a == "qwen3" ? 1e-6 : 1e-5);
    if (gemma_ || a == "qwen3" || head_ * o_.heads != o_.embedding) {
      integer(".attention.key_length", head_);
      integer(".attention.value_length", head_);
    }
    if (!gemma_) integer(".rope.dimension_count", head_);
    m.set(a + ".rope.freq_base", o_.rope_theta);
    if (a == "llama") integer(".vocab_size", static_cast<std::int64_t>(vocabulary_size_));
    if (a == "gemma2") {
      m.set(a + ".attn_logit_softcapping", 50.0);
      m.set(a + ".final_logit_softcapping", 30.0);
    }
    const int window = o_.window != 0 ? o_.window : a == "gemma2" ? 4096 : a == "gemma3" ? 1024 : 0;
    if (window != 0) integer(".attention.sliding_window", window);
    if (o_.rope_scaling == "linear" || o_.rope_scaling == "yarn") {
      m.set(a + ".rope.scaling.type", o_.rope_scaling);
      m.set(a + ".rope.scaling.factor", o_.rope_factor);
    }
    if (!o_.rope_scaling.empty()) integer(".rope.scaling.original_context_length", o_.rope_original);
    if (o_.rope_scaling == "longrope") {
      // Abdin et al. 2024, "Phi-3 technical report", after LongRoPE (arXiv 2402.13753).
      const double attention = std::sqrt(1 + std::log(o_.rope_factor) / std::log(o_.rope_original));
      m.set(a + ".rope.scaling.attn_factor", attention);
    }
    if (o_.labels > 0) integer(".pooling_type", 4);  // rank
    if (!o_.label_names.empty()) m.set(a + ".classifier.output_labels", o_.label_names);
    for (const auto& [key, value] : vocabulary_.entries()) m.set(key, value);
    m.set("general.quantization_version", std::int64_t{2});
  }

  // A stream of its own for every tensor, told by its name, so that shapes do not shift one another's draws.
  [[nodiscard]] std::uint64_t seed_of(const std::string& name) const { return hash64(name, o_.seed); }

  void matrix(const std::string& name, int inputs, std::uint64_t outputs, TensorType type) {
    const auto columns = static_cast<std::uint64_t>(inputs);
    type = fitting_type(type, columns);
    const double deviation = 1 / std::sqrt(static_cast<double>(inputs));
    writer_.add(name, type, {columns, outputs},
                [type, count = columns * outputs, deviation, seed = seed_of(name)] {
                  return random_weights(type, count, 0, deviation, seed);
                });
  }
  void vector(const std::string& name, int size, double mean, double deviation) {
    writer_.add(
        name, TensorType::kF32, {static_cast<std::uint64_t>(size)},
        random_weights(TensorType::kF32, static_cast<std::uint64_t>(size), mean, deviation, seed_of(name)));
  }
  void norm(const std::string& name, int size) { vector(name + ".weight", size, 1, 0.1); }
  void divisors(const std::string& name, const std::vector<float>& values) {
    writer_.add(name, TensorType::kF32, {values.size()}, std::span(values));
  }

  void tensors() {
    const bool tied = o_.tied || gemma_;
    matrix("token_embd.weight", o_.embedding, vocabulary_size_, formats_.embedding);
    norm("output_norm", o_.embedding);
    if (!tied) matrix("output.weight", o_.embedding, vocabulary_size_, formats_.embedding);
    if (o_.labels > 0) head();
    rope_tensors();
    for (int i = 0; i < o_.layers; ++i) layer(i, fmt::format("blk.{}.", i));
  }

  void head() {
    if (o_.dense_head) {
      matrix("cls.weight", o_.embedding, static_cast<std::uint64_t>(o_.embedding), formats_.embedding);
      vector("cls.bias", o_.embedding, 0, 0.1);
    }
    matrix("cls.output.weight", o_.embedding, static_cast<std::uint64_t>(o_.labels), formats_.embedding);
    vector("cls.output.bias", o_.labels, 0, 0.1);
  }

  void rope_tensors() {
    const int pairs = head_ / 2;
    if (o_.rope_scaling == "llama3") {
      std::vector<float> values;
      for (int i = 0; i < pairs; ++i) values.push_back(static_cast<float>(llama3_divisor(i)));
      divisors("rope_freqs.weight", values);
    } else if (o_.rope_scaling == "longrope") {
      std::vector<float> longer, shorter;
      for (int i = 0; i < pairs; ++i) {
        const double part = (i + 1.0) / pairs;
        longer.push_back(static_cast<float>(1 + (o_.rope_factor - 1) * part));
        shorter.push_back(static_cast<float>(1 + 0.1 * part));
      }
      divisors("rope_factors_long.weight", longer);
      divisors("rope_factors_short.weight", shorter);
    }
  }

  // The rule of Llama 3.1: slow frequencies are divided by the factor, fast ones stay, those between are
  // mixed.
  [[nodiscard]] double llama3_divisor(int pair) const {
    const double turns =
        o_.rope_original / (2 * std::numbers::pi * std::pow(o_.rope_theta, 2.0 * pair / head_));
    const double smooth = std::clamp((turns - 1) / (4 - 1), 0.0, 1.0);
    return 1 / ((1 - smooth) / o_.rope_factor + smooth);
  }

  void layer(int i, const std::string& b) {
    const std::string& a = o_.architecture;
    const int queries = head_ * o_.heads, keys = head_ * o_.kv_heads;
    const TensorType most = formats_.most, sensitive = formats_.sensitive(i);
    norm(b + "attn_norm", o_.embedding);
    if (a == "phi3") {
      matrix(b + "attn_qkv.weight", o_.embedding, static_cast<std::uint64_t>(queries + 2 * keys), most);
    } else {
      matrix(b + "attn_q.weight", o_.embedding, static_cast<std::uint64_t>(queries), most);
      matrix(b + "attn_k.weight", o_.embedding, static_cast<std::uint64_t>(keys), most);
      matrix(b + "attn_v.weight", o_.embedding, static_cast<std::uint64_t>(keys), sensitive);
    }
    if (a == "qwen2") {
      vector(b + "attn_q.bias", queries, 0, 0.5);
      vector(b + "attn_k.bias", keys, 0, 0.5);
      vector(b + "attn_v.bias", keys, 0, 0.1);
    }
    if (a == "qwen3" || a == "gemma3") {
      norm(b + "attn_q_norm", head_);
      norm(b + "attn_k_norm", head_);
    }
    matrix(b + "attn_output.weight", queries, static_cast<std::uint64_t>(o_.embedding), most);
    if (gemma_) norm(b + "post_attention_norm", o_.embedding);
    norm(b + "ffn_norm", o_.embedding);
    const auto wide = static_cast<std::uint64_t>(o_.feed_forward);
    if (a == "phi3") {
      matrix(b + "ffn_up.weight", o_.embedding, 2 * wide, most);
    } else {
      matrix(b + "ffn_gate.weight", o_.embedding, wide, most);
      matrix(b + "ffn_up.weight", o_.embedding, wide, most);
    }
    matrix(b + "ffn_down.weight", o_.feed_forward, static_cast<std::uint64_t>(o_.embedding), sensitive);
    if (gemma_) norm(b + "post_ffw_norm", o_.embedding);
  }

  const RandomModelOptions& o_;
  const Formats& formats_;
  bool gemma_ = false;
  int head_ = 0;
  std::uint64_t vocabulary_size_ = 0;
  Metadata vocabulary_;
  Writer writer_;
};

}  // namespace

Result<Writer> random_model(const RandomModelOptions& options) {
  AGON_ASSIGN(const Formats formats, Formats::make(options));
  return Maker(options, formats).run();
}

Result<TensorType> type_of_name(std::string_view name) {
  std::string all;
  for (const TensorType type : kTypes) {
    if (type_traits(type).name == name) return type;
    all += fmt::format("{}{}", all.empty() ? "" : ", ", type_traits(type).name);
  }
  return usage(fmt::format("there is no format '{}'; there are {}", name, all));
}

TensorType fitting_type(TensorType type, std::uint64_t columns) {
  if (columns % type_traits(type).elements == 0) return type;
  if (columns % 32 != 0) return TensorType::kF16;
  switch (type) {
    case TensorType::kQ2_K:
    case TensorType::kQ3_K:
      return TensorType::kQ4_0;
    case TensorType::kQ4_K:
      return TensorType::kQ5_0;
    case TensorType::kQ5_K:
      return TensorType::kQ5_1;
    case TensorType::kIQ4_XS:
      return TensorType::kIQ4_NL;
    default:
      return TensorType::kQ8_0;
  }
}

Metadata made_up_vocabulary(int size) {
  AGON_CHECK(size >= 320);
  constexpr std::int64_t kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6;
  const auto count = static_cast<std::size_t>(size);
  Strings tokens = {"<unk>", "<s>", "</s>"};
  Integers types = {kUnknown, kControl, kControl};
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(fmt::format("<0x{:02X}>", byte));
    types.push_back(kByte);
  }
  const auto add = [&](std::string piece) {
    if (tokens.size() < count) tokens.push_back(std::move(piece));
  };
  const std::string space = "\xe2\x96\x81";  // U+2581, as SentencePiece writes it
  add(space);
  for (char c = 'a'; c <= 'z'; ++c) add(std::string(1, c));
  for (char c = '!'; c <= '~'; ++c)
    if (c < 'a' || c > 'z') add(std::string(1, c));
  // Words in the order of their length: "a" to "z" (with a space only), "aa", ..., "zzzzz".
  for (std::size_t number = 0; tokens.size() < count; ++number) {
    std::string word;
    for (std::size_t rest = number + 1; rest > 0; rest = (rest - 1) / 26)
      word.insert(word.begin(), static_cast<char>('a' + (rest - 1) % 26));
    add(space + word);
    if (word.size() > 1) add(word);
  }
  types.resize(count, kNormal);
  Reals scores(count, 0.0);
  for (std::size_t i = 259; i < count; ++i) scores[i] = -static_cast<double>(i - 259);

  Metadata m;
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
  return m;
}

}  // namespace agon::gguf
