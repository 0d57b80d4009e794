// A model's description that is anything: keys of the wrong size, kind and number, rope parameters, tensors
// of other shapes and formats or absent, weights of any bits, any chat template. Reading it ends in an Error,
// or in a model whose sizes are in bounds and which can be described and run; what it computes is finite, or
// said not to be.
//
// An input is a byte for the architecture and its head, and then changes: a byte for the kind, and what it
// needs.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "agon/base/check.h"
#include "agon/llm/gguf/random_model.h"
#include "agon/llm/gguf/writer.h"
#include "agon/llm/model/description.h"
#include "agon/llm/model/forward.h"
#include "agon/llm/model/head.h"
#include "agon/llm/tokenizer/chat_template.h"
#include "agon/text/utf8.h"

using namespace agon;

namespace {

constexpr const char* kArchitectures[] = {"llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3"};
constexpr const char* kKeys[] = {"block_count",
                                 "embedding_length",
                                 "feed_forward_length",
                                 "attention.head_count",
                                 "attention.head_count_kv",
                                 "attention.key_length",
                                 "attention.value_length",
                                 "attention.layer_norm_rms_epsilon",
                                 "attention.sliding_window",
                                 "attention.sliding_window_pattern",
                                 "attention.scale",
                                 "context_length",
                                 "expert_count",
                                 "vocab_size",
                                 "rope.dimension_count",
                                 "rope.freq_base",
                                 "rope.freq_base_swa",
                                 "rope.scale_linear",
                                 "rope.scaling.type",
                                 "rope.scaling.factor",
                                 "rope.scaling.attn_factor",
                                 "rope.scaling.original_context_length",
                                 "rope.scaling.yarn_beta_fast",
                                 "rope.scaling.yarn_beta_slow",
                                 "rope.scaling.yarn_log_multiplier",
                                 "attn_logit_softcapping",
                                 "final_logit_softcapping",
                                 "pooling_type",
                                 "classifier.output_labels"};
constexpr const char* kTexts[] = {"none", "linear", "yarn", "llama3", "longrope", "ntk", "dynamic", ""};
constexpr const char* kNames[] = {"output.weight",
                                  "cls.weight",
                                  "cls.bias",
                                  "cls.output.weight",
                                  "cls.output.bias",
                                  "rope_freqs.weight",
                                  "rope_factors_long.weight",
                                  "rope_factors_short.weight",
                                  "blk.0.attn_q.bias",
                                  "blk.0.attn_qkv.weight",
                                  "other"};
constexpr gguf::TensorType kTypes[] = {gguf::TensorType::kF32,  gguf::TensorType::kF16,
                                       gguf::TensorType::kBF16, gguf::TensorType::kQ8_0,
                                       gguf::TensorType::kQ4_0, gguf::TensorType::kQ6_K};

/// Bytes, and zeros behind them.
class Feed {
 public:
  Feed(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  [[nodiscard]] bool more() const { return at_ < size_; }
  std::uint8_t byte() { return more() ? data_[at_++] : 0; }
  std::uint64_t word(int bytes) {
    std::uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) value = value << 8 | byte();
    return value;
  }
  template <class T, std::size_t n>
  const T& one_of(const T (&list)[n]) {
    return list[byte() % n];
  }
  std::int64_t integer() {
    constexpr std::int64_t kOdd[] = {0,
                                     1,
                                     2,
                                     3,
                                     7,
                                     8,
                                     16,
                                     24,
                                     31,
                                     32,
                                     33,
                                     64,
                                     96,
                                     128,
                                     512,
                                     1024,
                                     1 << 17,
                                     1 << 27,
                                     std::int64_t{1} << 31,
                                     std::int64_t{1} << 40,
                                     -1,
                                     -32};
    return byte() % 4 == 0 ? static_cast<std::int64_t>(word(8)) : one_of(kOdd);
  }
  double real() {
    constexpr double kOdd[] = {0,
                               1,
                               -1,
                               1e-12,
                               1e-6,
                               0.5,
                               4,
                               1e4,
                               1e6,
                               1e15,
                               1e300,
                               1e-300,
                               std::numeric_limits<double>::infinity(),
                               std::numeric_limits<double>::quiet_NaN()};
    return byte() % 4 == 0 ? static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(word(4))))
                           : one_of(kOdd);
  }
  std::string text() {
    std::size_t size = word(2);
    std::string out;
    for (; size > 0 && more(); --size) out.push_back(static_cast<char>(byte()));
    return out;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_, at_ = 0;
};

struct Spec {
  std::string name;
  gguf::TensorType type;
  std::vector<std::uint64_t> shape;
  std::vector<std::byte> bytes;
};
struct Model {
  gguf::Metadata metadata;
  std::vector<Spec> tensors;
};

/// Small models, each made once; the last bits of `which` ask for a head and for an output matrix.
const Model& model(std::size_t which) {
  static std::array<Model, 24> models;
  Model& it = models[which];
  if (!it.tensors.empty()) return it;
  gguf::RandomModelOptions options;
  options.architecture = kArchitectures[which % 6];
  options.layers = 1;
  options.embedding = 32;
  options.heads = 2;
  options.kv_heads = 1;
  options.feed_forward = 48;
  options.vocabulary = 320;
  options.context = 64;
  options.labels = which / 6 % 2 == 1 ? 2 : 0;
  options.dense_head = which % 5 == 0;
  options.tied = which / 12 == 0;
  options.format = which % 4 == 0 ? "Q8_0" : "F32";
  const std::vector<std::byte> bytes = gguf::random_model(options).value().bytes();
  const gguf::File file = gguf::File::parse(bytes, "m").value();
  it.metadata = file.metadata();
  for (const gguf::Tensor& t : file.tensors())
    it.tensors.push_back({t.name, t.type, t.shape, {t.bytes.begin(), t.bytes.end()}});
  return it;
}

// The bytes that a shape asks for; what is not there is zero. False when it asks for too many or for parts of
// a block.
bool reshape(Spec& spec) {
  const gguf::TypeTraits traits = gguf::type_traits(spec.type);
  std::uint64_t elements = 1;
  for (const std::uint64_t size : spec.shape) {
    if (size == 0 || size > 1 << 14) return false;
    elements *= size;
    if (elements > 1 << 16) return false;
  }
  if (spec.shape.front() % traits.elements != 0) return false;
  spec.bytes.resize(elements / traits.elements * traits.bytes);
  return true;
}

void change(Feed& feed, Model& m) {
  const std::string architecture = m.metadata.string_or("general.architecture", "").value_or("");
  const auto key = [&] { return architecture + "." + feed.one_of(kKeys); };
  Spec& spec = m.tensors[feed.byte() % m.tensors.size()];
  switch (feed.byte() % 12) {
    case 0:
    case 1:
      m.metadata.set(key(), feed.integer());
      break;
    case 2:
    case 3:
      m.metadata.set(key(), feed.real());
      break;
    case 4:
      m.metadata.set(key(), std::string(feed.one_of(kTexts)));
      break;
    case 5: {
      gguf::Integers list(feed.byte() % 4);
      for (std::int64_t& value : list) value = feed.integer();
      m.metadata.set(key(), std::move(list));
      break;
    }
    case 6: {
      Spec changed = spec;
      changed.shape.resize(1 + feed.byte() % 4, 1);
      changed.shape[feed.byte() % changed.shape.size()] = static_cast<std::uint64_t>(feed.integer());
      if (reshape(changed)) spec = std::move(changed);
      break;
    }
    case 7: {
      Spec changed = spec;
      changed.type = feed.one_of(kTypes);
      if (reshape(changed)) spec = std::move(changed);
      break;
    }
    case 8:
      if (m.tensors.size() > 1) m.tensors.erase(m.tensors.begin() + (&spec - m.tensors.data()));
      break;
    case 9: {
      Spec added = spec;
      added.name = feed.one_of(kNames);
      const auto same = [&](const Spec& it) { return it.name == added.name; };
      if (std::ranges::none_of(m.tensors, same)) m.tensors.push_back(std::move(added));
      break;
    }
    case 10:  // weights of any bits, 4 in a row
      for (std::size_t at = feed.word(2), i = 0; i < 4 && !spec.bytes.empty(); ++i)
        spec.bytes[(at + i) % spec.bytes.size()] = static_cast<std::byte>(feed.byte());
      break;
    case 11:
      m.metadata.set("tokenizer.chat_template", feed.text());
      break;
    default:
      break;
  }
}

void check_config(const llm::ModelConfig& config) {
  AGON_CHECK(config.layer_count() >= 1 && config.embedding >= 32 && config.vocabulary >= 2 &&
             config.context >= 1);
  AGON_CHECK(config.heads % config.kv_heads == 0);
  for (const int length : {config.key_length, config.value_length})
    AGON_CHECK(length >= 2 && length <= 512 && length % 2 == 0);
  AGON_CHECK(std::isfinite(config.attention_scale) && std::isfinite(config.embedding_scale));
  AGON_CHECK(std::isfinite(config.attention_softcap) && std::isfinite(config.final_softcap));
  for (const llm::LayerConfig& layer : config.layers)
    AGON_CHECK(layer.window >= 0 && layer.rope >= 0 && layer.rope < static_cast<int>(config.ropes.size()));
  for (const llm::RopeConfig& rope : config.ropes) {
    AGON_CHECK(rope.dimensions >= 0 && rope.dimensions % 2 == 0 && rope.dimensions <= config.key_length);
    const std::vector<double> frequencies = rope.frequencies();
    AGON_CHECK(frequencies.size() == static_cast<std::size_t>(rope.dimensions / 2));
    for (const double frequency : frequencies) AGON_CHECK(std::isfinite(frequency) && frequency >= 0);
  }
  AGON_CHECK(config.causal || config.head);
}

void run(const gguf::File& file, bool exact) {
  static llm::Team team(1);
  const auto weights = llm::Weights::load(file, team);
  if (!weights) return;
  const llm::ModelConfig& config = (*weights)->config();
  auto cache = llm::KvCache::create(config, exact ? llm::CacheType::kF32 : llm::CacheType::kF16, 16);
  if (!cache) return;
  llm::Forward forward(**weights, *cache, team, {.exact = exact, .max_rows = 8});
  llm::Batch batch;
  batch.tokens = {1, 0, 1, 1, 0};
  batch.segments = {{cache->open(), 5}};
  llm::BatchResult result;
  if (config.causal) {
    batch.logit_rows = {1, 4};
    batch.targets = {{0, 1}, {4, 0}};
    AGON_CHECK(forward.run(batch, result).has_value());
    for (const double total : result.log_totals) AGON_CHECK(std::isfinite(total) || std::isnan(total));
    for (const llm::TargetScore& score : result.scores)
      AGON_CHECK(score.best >= 0 && score.best < config.vocabulary && !(score.logprob > 1e-2));
  } else {
    batch.logit_rows = {4};
    AGON_CHECK(!forward.run(batch, result).has_value());
    batch.logit_rows.clear();
    batch.stop_layer = config.layer_count();
    batch.hidden_layers = {batch.stop_layer};
    AGON_CHECK(forward.run(batch, result).has_value());
    const std::span last =
        std::span<const float>(result.hidden).last(static_cast<std::size_t>(config.embedding));
    const auto outputs = llm::apply_head(config.head, (*weights)->head(), last);
    if (outputs) {
      AGON_CHECK(outputs->size() == static_cast<std::size_t>(config.head.labels));
      for (const float output : *outputs) AGON_CHECK(std::isfinite(output));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Feed feed(data, size);
  Model m = model(feed.byte() % 24);
  const bool exact = feed.byte() % 2 == 1;
  for (int changes = 0; feed.more() && changes < 32; ++changes) change(feed, m);
  gguf::Writer writer;
  writer.metadata = m.metadata;
  for (const Spec& spec : m.tensors) writer.add(spec.name, spec.type, spec.shape, spec.bytes);
  const std::vector<std::byte> bytes = writer.bytes();
  const auto file = gguf::File::parse(bytes, "f");
  if (!file) return 0;
  const auto config = llm::ModelConfig::read(*file);
  if (config) {
    check_config(*config);
    run(*file, exact);
  } else {
    AGON_CHECK(!config.error().message.empty() && is_valid_utf8(config.error().to_string()));
  }
  const llm::Description description = llm::describe(*file);
  const std::string text =
      llm::description_text(description, "f", {.width = 0, .indent = 0, .colour = false});
  AGON_CHECK(is_valid_utf8(text) && text.find('\x1b') == std::string::npos);
  AGON_CHECK(config.has_value() || description.memory.empty());
  if (const auto chat = llm::ChatTemplate::read(file->metadata())) {
    const std::vector<llm::ChatMessage> messages = {
        {"system", "s"}, {"user", "question"}, {"assistant", "a"}};
    if (const auto prompt = chat->render(messages, true))
      AGON_CHECK(prompt->find("question") != std::string::npos);
  }
  return 0;
}
