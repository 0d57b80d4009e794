// Whatever a GGUF file holds, reading it ends in an Error or in tensors that lie inside it.
//
// The first byte chooses: even, the rest is a whole file; odd, the rest is a list of changes (2 bytes of
// place, 1 of value) to the header of a small model whose architecture and format the byte's other bits
// choose.
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "agon/base/check.h"
#include "agon/llm/gguf/dequantize.h"
#include "agon/llm/gguf/random_model.h"
#include "agon/llm/gguf/writer.h"
#include "agon/llm/model/config.h"
#include "agon/text/utf8.h"

using namespace agon;

namespace {

constexpr int kModels = 16;

// Models of one layer and a vocabulary of six tokens, so that the header is small.
const std::vector<std::byte>& model(int which) {
  static std::array<std::vector<std::byte>, kModels> models;
  std::vector<std::byte>& bytes = models[static_cast<std::size_t>(which)];
  if (!bytes.empty()) return bytes;
  constexpr const char* kArchitectures[] = {"llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3"};
  constexpr const char* kFormats[] = {"F32", "Q4_0", "Q8_0", "Q4_K_M", "IQ4_XS", "BF16"};
  gguf::Metadata vocabulary;
  vocabulary.set("tokenizer.ggml.model", std::string("llama"));
  vocabulary.set("tokenizer.ggml.tokens", gguf::Strings{"<unk>", "<s>", "</s>", "a", "b", ""});
  vocabulary.set("tokenizer.ggml.scores", gguf::Reals{0, 0, 0, -1, -2, -3});
  vocabulary.set("tokenizer.ggml.token_type", gguf::Integers{2, 3, 3, 1, 1, 1});
  const auto writer = gguf::random_model({.architecture = kArchitectures[which % 6],
                                          .layers = 1,
                                          .embedding = 32,
                                          .heads = 2,
                                          .kv_heads = 1,
                                          .feed_forward = 32,
                                          .format = kFormats[which % 5],
                                          .vocabulary_of = &vocabulary});
  AGON_CHECK(writer.has_value());
  bytes = writer->bytes();
  return bytes;
}

void check_tensor(const gguf::Tensor& tensor, std::span<const std::byte> file) {
  const gguf::TypeTraits traits = gguf::type_traits(tensor.type);
  AGON_CHECK(!tensor.name.empty() && !traits.name.empty());
  AGON_CHECK(!tensor.shape.empty() && tensor.shape.size() <= 4);
  AGON_CHECK(tensor.columns() % traits.elements == 0 &&
             tensor.rows() * tensor.columns() == tensor.elements());
  AGON_CHECK(tensor.bytes.size() == tensor.elements() / traits.elements * traits.bytes);
  AGON_CHECK(tensor.bytes.size() <= file.size());
  if (tensor.elements() > 1 << 16) return;
  std::vector<float> weights(tensor.elements());
  gguf::dequantize(tensor.type, tensor.bytes, weights);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::vector<std::byte> bytes;
  if ((data[0] & 1) == 0) {
    const auto* begin = reinterpret_cast<const std::byte*>(data) + 1;
    bytes.assign(begin, begin + size - 1);
  } else {
    bytes = model(data[0] / 2 % kModels);
    for (std::size_t i = 1; i + 3 <= size; i += 3)
      bytes[(std::size_t{data[i]} << 8 | data[i + 1]) % bytes.size()] = static_cast<std::byte>(data[i + 2]);
  }
  const auto file = gguf::File::parse(bytes, "f");
  if (!file) {
    // Names come from the file, and what is printed of them must not be able to steer a terminal.
    for (const char c : file.error().to_string()) AGON_CHECK(c >= ' ' && c <= '~');
    return 0;
  }
  gguf::Writer again;
  again.metadata = file->metadata();
  for (const gguf::Tensor& tensor : file->tensors()) {
    check_tensor(tensor, bytes);
    AGON_CHECK(file->find(tensor.name) == &tensor);
    again.add(tensor.name, tensor.type, tensor.shape,
              std::vector<std::byte>(tensor.bytes.begin(), tensor.bytes.end()));
  }
  // What was taken can be written again, and is then the same.
  const std::vector<std::byte> written = again.bytes();
  const auto second = gguf::File::parse(written, "f");
  AGON_CHECK(second.has_value() && second->tensors().size() == file->tensors().size());
  for (const gguf::Tensor& tensor : file->tensors()) {
    const gguf::Tensor* copy = second->find(tensor.name);
    AGON_CHECK(copy != nullptr && copy->shape == tensor.shape && copy->type == tensor.type);
    AGON_CHECK(std::equal(copy->bytes.begin(), copy->bytes.end(), tensor.bytes.begin(), tensor.bytes.end()));
  }
  const auto config = llm::ModelConfig::read(*file);
  if (config) (void)llm::ModelTensors::read(*file, *config);
  return 0;
}
