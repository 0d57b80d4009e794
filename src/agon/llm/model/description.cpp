#include "agon/llm/model/description.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "agon/llm/gguf/parse.h"
#include "agon/llm/kernels/packed.h"
#include "agon/llm/model/kv_cache.h"
#include "agon/llm/model/vocabulary_screen.h"
#include "agon/llm/tokenizer/chat_template.h"
#include "agon/llm/tokenizer/tokenizer.h"
#include "agon/report/number.h"

namespace agon::llm {
namespace {

std::string count(std::int64_t value) {
  return value < 0 ? fmt::format("{}", value) : format_count(static_cast<std::uint64_t>(value));
}

std::string size(std::uint64_t bytes) {
  constexpr double kKiB = 1024;
  const auto value = static_cast<double>(bytes);
  if (value < kKiB) return fmt::format("{} bytes", bytes);
  if (value < kKiB * kKiB) return fmt::format("{:.1f} KiB", value / kKiB);
  if (value < kKiB * kKiB * kKiB) return fmt::format("{:.1f} MiB", value / (kKiB * kKiB));
  return fmt::format("{:.2f} GiB", value / (kKiB * kKiB * kKiB));
}

using Facts = std::vector<std::pair<std::string, std::string>>;

// "512 in 15 of 18 layers"; empty when every layer sees all.
std::string window_words(const ModelConfig& config) {
  std::map<int, int> layers;
  for (const LayerConfig& layer : config.layers)
    if (layer.window != 0) ++layers[layer.window];
  std::string words;
  for (const auto& [window, number] : layers)
    words += fmt::format("{}{} tokens in {} of {} layers", words.empty() ? "" : ", ", count(window), number,
                         config.layer_count());
  return words;
}

std::string rope_words(const RopeConfig& rope) {
  std::string words = fmt::format("theta {}, {} dimensions", format_amount(rope.theta), rope.dimensions);
  switch (rope.scaling) {
    case RopeConfig::Scaling::kNone:
      break;
    case RopeConfig::Scaling::kLinear:
      words += ", linear";
      break;
    case RopeConfig::Scaling::kNtk:
      words += ", NTK-aware";
      break;
    case RopeConfig::Scaling::kYarn:
      words += ", YaRN";
      break;
    case RopeConfig::Scaling::kLlama3:
      words += ", llama3";
      break;
  }
  if (rope.scaling != RopeConfig::Scaling::kNone)
    words += fmt::format(" times {}", format_short(rope.factor));
  if (!rope.divisors.empty()) words += ", divisors in the file";
  return words;
}

// "1 output", "2 outputs (yes, no), as shares of one".
std::string head_words(const HeadConfig& head) {
  std::string words = fmt::format("{} output{}", count(head.labels), head.labels == 1 ? "" : "s");
  constexpr std::size_t kShown = 8;
  for (std::size_t i = 0; i < std::min(head.names.size(), kShown); ++i)
    words += (i == 0 ? " (" : ", ") + gguf::printable(head.names[i]);
  if (!head.names.empty()) words += head.names.size() > kShown ? ", ...)" : ")";
  if (head.dense) words += ", behind a layer with tanh";
  if (head.softmax) words += ", as shares of one";
  return words;
}

void add_config(const ModelConfig& config, Facts& facts) {
  facts.emplace_back("layers", count(config.layer_count()));
  facts.emplace_back("embedding", count(config.embedding));
  std::string heads = count(config.heads);
  if (config.kv_heads != config.heads)
    heads += fmt::format(", sharing keys and values of {}", config.kv_heads);
  heads += fmt::format("; {} numbers each", config.key_length);
  facts.emplace_back("heads", std::move(heads));
  facts.emplace_back("feed-forward", count(config.feed_forward));
  facts.emplace_back("vocabulary", count(config.vocabulary) +
                                       (!config.causal ? "; no output matrix: no probabilities of next tokens"
                                        : config.tied_output ? "; the output matrix is the token embedding"
                                                             : ""));
  if (config.head) facts.emplace_back("classification head", head_words(config.head));
  facts.emplace_back("context", count(config.context) + " tokens");
  if (std::string words = window_words(config); !words.empty())
    facts.emplace_back("window", std::move(words));
  std::string ropes;
  for (const RopeConfig& rope : config.ropes) ropes += (ropes.empty() ? "" : "; ") + rope_words(rope);
  facts.emplace_back("rope", std::move(ropes));
}

// What is in the file about its tokenizer, and whether it can be read.
Status add_tokenizer(const gguf::Metadata& m, Facts& facts) {
  const std::string model = m.string_or("tokenizer.ggml.model", "").value_or("");
  const gguf::Strings* tokens = m.strings("tokenizer.ggml.tokens");
  if (model.empty() || tokens == nullptr) {
    facts.emplace_back("tokenizer", "none in the file");
    return {};
  }
  const std::string pre = m.string_or("tokenizer.ggml.pre", "").value_or("");
  std::string words = model;
  if (!pre.empty() && pre != "default") words += "/" + pre;
  words += fmt::format(", {} tokens", format_count(tokens->size()));
  for (const auto& [key, role] : {std::pair{"bos", "begins with"}, {"eos", "ends with"}}) {
    const std::int64_t id = m.integer_or(fmt::format("tokenizer.ggml.{}_token_id", key), -1).value_or(-1);
    if (id >= 0 && static_cast<std::uint64_t>(id) < tokens->size())
      words += fmt::format(", {} {} {}", role, id, (*tokens)[static_cast<std::size_t>(id)]);
  }
  const auto tokenizer = Tokenizer::read(m);
  if (!tokenizer) words += "; it cannot be read: " + tokenizer.error().to_string();
  facts.emplace_back("tokenizer", std::move(words));
  return tokenizer ? Status() : Status(std::unexpected(tokenizer.error()));
}

// Which family it is of, or why it is of none; that keeps nothing but conversations from running.
void add_template(const gguf::Metadata& m, Facts& facts) {
  constexpr const char* kKey = "tokenizer.chat_template";
  if (!m.has(kKey)) {
    facts.emplace_back("chat template", "none in the file");
    return;
  }
  const std::string bytes = format_count(m.string_or(kKey, "").value_or("").size()) + " bytes in the file";
  const auto chat = ChatTemplate::read(m);
  facts.emplace_back("chat template",
                     chat ? fmt::format("{}, {}", chat->family(), bytes)
                          : fmt::format("{}; not to be used: {}", bytes, chat.error().message));
}

std::vector<FormatShare> shares(const gguf::File& file) {
  std::map<gguf::TensorType, FormatShare> by_type;
  for (const gguf::Tensor& tensor : file.tensors()) {
    FormatShare& share = by_type.try_emplace(tensor.type, FormatShare{tensor.type}).first->second;
    ++share.tensors;
    share.parameters += tensor.elements();
    share.bytes += tensor.bytes.size();
  }
  std::vector<FormatShare> out;
  for (const auto& [type, share] : by_type) out.push_back(share);
  std::ranges::stable_sort(out, std::greater<>(), &FormatShare::bytes);
  return out;
}

// Of the vocabulary's screen (VocabularyScreen).
std::uint64_t screen_bytes(const gguf::File& file, const ModelConfig& config, std::uint64_t weights) {
  const gguf::Tensor* embedding = file.find("token_embd.weight");
  const gguf::Tensor* output = config.tied_output ? embedding : file.find("output.weight");
  if (embedding == nullptr || output == nullptr) return 0;
  const PackSource source = {.type = output->type,
                             .bytes = output->bytes,
                             .columns = static_cast<int>(output->columns()),
                             .row_order = {},
                             .column_order = {}};
  // A step reads everything but the embeddings of other tokens.
  return VocabularyScreen::bytes_for(config, plan_packed(source, static_cast<int>(output->rows())),
                                     weights - (config.tied_output ? 0 : embedding->bytes.size()));
}

void add_memory(const gguf::File& file, const ModelConfig& config, int context, Facts& memory) {
  std::uint64_t weights = 0;
  for (const gguf::Tensor& tensor : file.tensors()) weights += tensor.bytes.size();
  const int tokens = context == 0 ? config.context : context;
  // As the engine chooses it: floats where the products round nothing.
  const gguf::Tensor* typical = file.find(!config.causal       ? "blk.0.attn_q.weight"
                                          : config.tied_output ? "token_embd.weight"
                                                               : "output.weight");
  const bool floats = typical != nullptr && typical->type == gguf::TensorType::kF32;
  const CacheBytes cache = cache_bytes(config, tokens, floats ? 4 : 2);
  memory.emplace_back("weights", size(weights));
  memory.emplace_back(fmt::format("keys and values of {} tokens, {}", count(tokens), floats ? "F32" : "F16"),
                      size(cache.all));
  if (cache.seen != cache.all) memory.emplace_back("  of which windows leave in sight", size(cache.seen));
  const std::uint64_t screen = screen_bytes(file, config, weights);
  if (screen > 0) memory.emplace_back("four bits of each word's weights, for greedy text", size(screen));
  memory.emplace_back("together", size(weights + cache.all + screen));
  if (tokens > config.context)
    memory.emplace_back(
        "note", fmt::format("beyond the {} tokens that the model is meant for", count(config.context)));
}

}  // namespace

CacheBytes cache_bytes(const ModelConfig& config, int tokens, int number_bytes) {
  const std::uint64_t position =
      static_cast<std::uint64_t>(number_bytes) * static_cast<std::uint64_t>(config.kv_heads) *
      static_cast<std::uint64_t>(padded_head(config.key_length) + padded_head(config.value_length));
  CacheBytes bytes;
  for (const LayerConfig& layer : config.layers) {
    bytes.all += position * static_cast<std::uint64_t>(tokens);
    bytes.seen +=
        position * static_cast<std::uint64_t>(layer.window == 0 ? tokens : std::min(tokens, layer.window));
  }
  return bytes;
}

Description describe(const gguf::File& file, int context) {
  Description out;
  const gguf::Metadata& m = file.metadata();
  const auto text = [&](const char* fact, const char* key) {
    if (std::string value = m.string_or(key, "").value_or(""); !value.empty())
      out.facts.emplace_back(fact, std::move(value));
  };
  text("name", "general.name");
  text("architecture", "general.architecture");
  text("licence", "general.license");
  out.facts.emplace_back("file", fmt::format("{}, GGUF version {}", size(file.size()), file.version()));
  out.formats = shares(file);
  std::uint64_t parameters = 0;
  for (const FormatShare& share : out.formats) parameters += share.parameters;
  out.facts.emplace_back("parameters", format_count(parameters));

  ConfigOptions options;
  options.context = context;
  const auto config = ModelConfig::read(file, options);
  if (config) add_config(*config, out.facts);
  const Status tokenizer = add_tokenizer(m, out.facts);
  add_template(m, out.facts);
  auto problem = config ? Status() : Status(std::unexpected(config.error()));
  if (config) {
    const auto tensors = ModelTensors::read(file, *config);
    if (!tensors) problem = std::unexpected(tensors.error());
  }
  if (problem) {
    add_memory(file, *config, context, out.memory);
    problem = tokenizer;
  }
  if (!problem) {
    problem.error().file.clear();
    out.facts.emplace_back("runs here", "no: " + problem.error().to_string());
  }
  return out;
}

std::string description_text(const Description& description, const std::string& name,
                             const Table::TerminalOptions& options) {
  // A name may have megabytes when a stranger wrote it.
  constexpr int kWidest = 120;
  Table facts({{"", Align::kLeft}, {name, Align::kLeft, kWidest}});
  for (const auto& [fact, value] : description.facts) facts.add_row({fact, value});
  std::string out = facts.terminal(options);
  if (!description.formats.empty()) {
    Table formats({{"format"},
                   {"tensors", Align::kRight},
                   {"parameters", Align::kRight},
                   {"size", Align::kRight},
                   {"bits each", Align::kRight}});
    for (const FormatShare& share : description.formats)
      formats.add_row(
          {std::string(gguf::type_traits(share.type).name), format_count(share.tensors),
           format_count(share.parameters), size(share.bytes),
           format_fixed(8 * static_cast<double>(share.bytes) / static_cast<double>(share.parameters), 2)});
    out += "\n" + formats.terminal(options);
  }
  if (!description.memory.empty()) {
    Table memory({{"memory"}, {"", Align::kLeft}});
    for (const auto& [what, value] : description.memory) memory.add_row({what, value});
    out += "\n" + memory.terminal(options);
  }
  return out;
}

}  // namespace agon::llm
