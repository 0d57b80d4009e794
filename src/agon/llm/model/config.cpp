#include "agon/llm/model/config.h"

#include <fmt/format.h>

#include <cmath>

#include "agon/llm/gguf/parse.h"
#include "agon/llm/model/architecture.h"

namespace agon::llm {
namespace {

// Above every model known (Llama 3.1 405B: 126 layers, 16,384 wide, 128 heads, 53,248 in the feed-forward).
// With them no product of two sizes leaves 64 bits, and no width leaves an int.
constexpr int kMaxLayers = 1024;
constexpr int kMaxEmbedding = 1 << 17;
constexpr int kMaxHeads = 1024;
constexpr int kMaxHeadLength = 512;
constexpr int kMaxFeedForward = 1 << 20;
constexpr std::uint64_t kMaxVocabulary = 1 << 22;
constexpr int kMaxContext = 1 << 27;

std::string known_names() {
  std::string names;
  for (const Architecture* architecture : architectures())
    names += fmt::format("{}{}", names.empty() ? "" : ", ", architecture->name);
  return names;
}

Status check(bool holds, const gguf::File& file, std::string message) {
  if (holds) return {};
  return fail(std::move(message), file.path());
}

// Rows of the token embedding; the vocabulary's words, when the file has them, must be as many.
Result<int> vocabulary_of(const gguf::File& file) {
  const gguf::Tensor* embedding = file.find("token_embd.weight");
  if (embedding == nullptr) return fail("tensor 'token_embd.weight' is missing", file.path());
  const std::uint64_t rows = embedding->rows();
  if (rows < 2 || rows > kMaxVocabulary)
    return fail(
        fmt::format("tensor 'token_embd.weight' has {} rows (expected 2 to {})", rows, kMaxVocabulary),
        file.path());
  if (const gguf::Strings* words = file.metadata().strings("tokenizer.ggml.tokens"))
    AGON_TRY(check(words->size() == rows, file,
                   fmt::format("the vocabulary has {} words but tensor 'token_embd.weight' has {} rows",
                               words->size(), rows)));
  return static_cast<int>(rows);
}

Status read_sizes(const Keys& keys, ModelConfig& config) {
  const gguf::File& file = keys.file();
  AGON_ASSIGN(const int layers, keys.integer("block_count", 1, kMaxLayers));
  config.layers.resize(static_cast<std::size_t>(layers));
  AGON_ASSIGN(config.embedding, keys.integer("embedding_length", 32, kMaxEmbedding));
  AGON_TRY(check(config.embedding % 32 == 0, file,
                 fmt::format("metadata key '{}' is {} (expected a multiple of 32)",
                             keys.full("embedding_length"), config.embedding)));
  AGON_ASSIGN(config.feed_forward, keys.uniform_integer("feed_forward_length", 1, kMaxFeedForward));
  AGON_ASSIGN(config.heads, keys.uniform_integer("attention.head_count", 1, kMaxHeads));
  config.kv_heads = config.heads;
  if (keys.has("attention.head_count_kv")) {
    AGON_ASSIGN(config.kv_heads, keys.uniform_integer("attention.head_count_kv", 1, kMaxHeads));
  }
  AGON_TRY(check(config.heads % config.kv_heads == 0, file,
                 fmt::format("{} attention heads cannot share {} key-value heads evenly", config.heads,
                             config.kv_heads)));
  const int head_length = config.embedding / config.heads;
  for (const auto& [key, length] : {std::pair{"attention.key_length", &config.key_length},
                                    {"attention.value_length", &config.value_length}}) {
    AGON_ASSIGN(*length, keys.integer_or(key, head_length, 2, kMaxHeadLength));
    AGON_TRY(check(
        keys.has(key) || config.embedding % config.heads == 0, file,
        fmt::format("{} attention heads don't divide the embedding of {}, and metadata key '{}' is missing",
                    config.heads, config.embedding, keys.full(key))));
    AGON_TRY(check(*length % 2 == 0 && *length >= 2 && *length <= kMaxHeadLength, file,
                   fmt::format("'{}' is {} (expected an even number from 2 to {})", keys.full(key), *length,
                               kMaxHeadLength)));
  }
  AGON_ASSIGN(config.context, keys.integer("context_length", 1, kMaxContext));
  AGON_ASSIGN(config.norm_epsilon, keys.real("attention.layer_norm_rms_epsilon", 1e-12, 1.0));
  AGON_ASSIGN(const int experts, keys.integer_or("expert_count", 0, 0, 1 << 20));
  return check(experts == 0, file,
               fmt::format("a mixture of {} experts: these models are not supported", experts));
}

}  // namespace

Result<ModelConfig> ModelConfig::read(const gguf::File& file, const ConfigOptions& options) {
  ModelConfig config;
  auto name = file.metadata().string("general.architecture");
  if (!name) {
    name.error().file = file.path();
    return std::unexpected(std::move(name.error()));
  }
  config.architecture = *name;
  const Architecture* architecture = find_architecture(config.architecture);
  if (architecture == nullptr) {
    Error error;
    error.message = fmt::format("architecture '{}' is not supported", gguf::printable(config.architecture));
    error.file = file.path();
    error.expected = known_names();
    return std::unexpected(std::move(error));
  }
  const Keys keys(file, config.architecture);
  AGON_TRY(read_sizes(keys, config));
  AGON_ASSIGN(config.vocabulary, vocabulary_of(file));
  AGON_TRY(read_head(keys, config));
  const bool has_output = file.find("output.weight") != nullptr;
  config.causal = has_output || !config.head;
  config.tied_output = !has_output && config.causal;
  config.attention_scale = 1.0 / std::sqrt(static_cast<double>(config.key_length));
  AGON_TRY(read_rope(keys, *architecture, options, config));
  AGON_TRY(architecture->read(keys, config));
  return config;
}

}  // namespace agon::llm
