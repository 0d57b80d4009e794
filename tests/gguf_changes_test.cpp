// Every change of a single byte in the header of a small real model ends in a clear error or in a model whose
// tensors lie in the file, and that runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "agon/base/file.h"
#include "agon/base/parallel.h"
#include "agon/llm/gguf/dequantize.h"
#include "agon/llm/gguf/llama2c.h"
#include "agon/llm/gguf/writer.h"
#include "agon/llm/model/forward.h"
#include "agon/llm/tokenizer/chat_template.h"
#include "agon/llm/tokenizer/tokenizer.h"
#include "sanitized.h"

namespace agon {
namespace {

constexpr std::uint64_t kTokens = 8;

// stories260K with eight tokens and one layer.
std::vector<std::byte> small_model() {
  const std::string folder = AGON_TEST_DATA "/models/";
  const auto writer = gguf::convert_llama2c(read_file(folder + "stories260K.bin").value(), "m",
                                            read_file(folder + "tok512.bin").value(), "t");
  const std::vector<std::byte> bytes = writer.value().bytes();
  const auto whole = gguf::File::parse(bytes, "s");
  gguf::Writer small;
  for (const auto& [key, value] : whole->metadata().entries()) {
    gguf::Value cut = value;
    std::visit(
        [](auto& array) {
          if constexpr (requires { array.resize(kTokens), array[0]; } &&
                        !std::is_same_v<std::decay_t<decltype(array)>, std::string>)
            array.resize(kTokens);
        },
        cut);
    small.metadata.set(key, std::move(cut));
  }
  small.metadata.set("llama.block_count", std::int64_t{1});
  small.metadata.set("llama.vocab_size", std::int64_t{kTokens});
  for (const gguf::Tensor& tensor : whole->tensors()) {
    if (tensor.name.starts_with("blk.") && !tensor.name.starts_with("blk.0.")) continue;
    std::vector<std::uint64_t> shape = tensor.shape;
    if (tensor.name == "token_embd.weight") shape[1] = kTokens;
    const std::size_t size = shape[0] * (shape.size() > 1 ? shape[1] : 1) * 4;
    small.add(tensor.name, tensor.type, shape,
              std::vector<std::byte>(tensor.bytes.begin(),
                                     tensor.bytes.begin() + static_cast<std::ptrdiff_t>(size)));
  }
  return small.bytes();
}

// Reads all that the header can steer; true when the file makes a model.
bool use(std::span<const std::byte> bytes, std::string& message) {
  const auto file = gguf::File::parse(bytes, "s.gguf");
  if (!file) {
    message = file.error().to_string();
    EXPECT_THAT(message, testing::StartsWith("s.gguf: byte "));
    return false;
  }
  for (const gguf::Tensor& tensor : file->tensors()) {
    EXPECT_GE(tensor.bytes.data(), bytes.data());
    EXPECT_LE(tensor.bytes.data() + tensor.bytes.size(), bytes.data() + bytes.size());
  }
  const auto config = llm::ModelConfig::read(*file);
  if (!config) {
    message = config.error().to_string();
    return false;
  }
  const auto tensors = llm::ModelTensors::read(*file, *config);
  if (!tensors) message = tensors.error().to_string();
  return tensors.has_value();
}

// Goes on to the logits after a text, through tokenizer, templates, weights and a pass. They need not be
// numbers: a changed file may say so.
Status run_model(std::span<const std::byte> bytes) {
  AGON_ASSIGN(const gguf::File file, gguf::File::parse(bytes, "s.gguf"));
  AGON_ASSIGN(const auto tokenizer, llm::Tokenizer::read(file.metadata()));
  if (const auto chat = llm::ChatTemplate::read(file.metadata())) {
    const llm::ChatMessage message{"user", "ab"};
    (void)chat->render({&message, 1}, true);
  }
  thread_local llm::Team team(1);
  AGON_ASSIGN(const auto weights, llm::Weights::load(file, team));
  const llm::ModelConfig& config = weights->config();
  if (tokenizer->vocabulary() > config.vocabulary) return fail("more words than embeddings");
  AGON_ASSIGN(llm::KvCache cache, llm::KvCache::create(config, llm::CacheType::kF32, 16));
  llm::Forward forward(*weights, cache, team, {.max_rows = 16});
  llm::Batch batch;
  batch.tokens = tokenizer->encode("ab");
  batch.tokens.resize(std::clamp<std::size_t>(batch.tokens.size(), 1, 16));
  for (std::int32_t& token : batch.tokens) token = std::max(token, 0);
  batch.segments = {{.sequence = cache.open(), .count = static_cast<int>(batch.tokens.size())}};
  batch.logit_rows = {static_cast<int>(batch.tokens.size()) - 1};
  llm::BatchResult result;
  AGON_TRY(forward.run(batch, result));
  EXPECT_EQ(result.logits.size(), static_cast<std::size_t>(config.vocabulary));
  return {};
}

TEST(GgufChanges, EverySingleByteOfTheHeaderEndsInAnErrorOrAModel) {
  const std::vector<std::byte> good = small_model();
  std::string message;
  ASSERT_TRUE(use(good, message)) << message;
  ASSERT_TRUE(run_model(good));
  const auto file = gguf::File::parse(good, "s.gguf");
  const auto header = static_cast<std::size_t>(file->tensors().front().bytes.data() - good.data());
  ASSERT_LT(header, 2500u);
  std::atomic<std::size_t> models = 0, errors = 0, ran = 0;
  parallel_chunks(header, 64, [&](std::size_t begin, std::size_t end) {
    std::vector<std::byte> bytes = good;
    for (std::size_t at = begin; at < end; ++at) {
      // All other values; where a sanitizer makes it ten times slower, those that differ by one bit.
      for (unsigned change = 1; change < 256; change = AGON_SANITIZED ? 2 * change : change + 1) {
        bytes[at] = good[at] ^ static_cast<std::byte>(change);
        std::string what;
        if (use(bytes, what)) {
          ++models;
          if (const Status status = run_model(bytes))
            ++ran;
          else
            EXPECT_FALSE(status.error().to_string().empty());
        } else {
          ++errors;
          EXPECT_FALSE(what.empty());
        }
      }
      bytes[at] = good[at];
    }
  });
  const std::size_t changes = header * (AGON_SANITIZED ? 8 : 255);
  EXPECT_EQ(models + errors, changes);
  // Names of sizes, tensors and counts are most of the header; free text (names, words, scores) is the rest.
  EXPECT_GT(errors, changes / 2);
  EXPECT_GT(models, 0u);
  EXPECT_GT(ran, 100u);
}

TEST(GgufChanges, EveryCutOfAModelIsAnError) {
  const std::vector<std::byte> good = small_model();
  const auto file = gguf::File::parse(good, "s.gguf");
  const gguf::Tensor& last = file->tensors().back();
  const auto end = static_cast<std::size_t>(last.bytes.data() + last.bytes.size() - good.data());
  std::string message;
  for (std::size_t size = 0; size < end; size += size < 2500 || size + 100 > end ? 1 : 997)
    EXPECT_FALSE(use(std::span(good).first(size), message)) << size;
}

}  // namespace
}  // namespace agon
