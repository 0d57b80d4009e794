#include "agon/llm/tokenizer/charsmap.h"

#include <cstring>

namespace agon::llm {
namespace {

constexpr const char* kKey = "tokenizer.ggml.precompiled_charsmap";

}  // namespace

Result<Charsmap> Charsmap::read(const gguf::Metadata& metadata) {
  Charsmap map;
  if (!metadata.has(kKey)) return map;
  const gguf::Integers* values = metadata.integers(kKey);
  if (values == nullptr) return fail(std::string(kKey) + ": not an array of bytes");
  if (values->empty()) return map;
  std::string bytes;
  bytes.reserve(values->size());
  for (const std::int64_t value : *values) {
    if (value < -128 || value > 255)
      return fail(std::string(kKey) + ": " + std::to_string(value) + " is no byte");
    bytes.push_back(char(value));
  }
  std::uint32_t array_bytes = 0;
  if (bytes.size() < sizeof array_bytes) return fail(std::string(kKey) + ": too short for its length field");
  std::memcpy(&array_bytes, bytes.data(), sizeof array_bytes);
  if (array_bytes >= bytes.size() - sizeof array_bytes || bytes.back() != '\0')
    return fail(std::string(kKey) + ": an array of " + std::to_string(array_bytes) + " bytes in " +
                std::to_string(bytes.size()) +
                " (expected the array, then replacements, each ended by a zero)");
  map.nodes_.resize(array_bytes / sizeof(std::uint32_t));
  if (!map.nodes_.empty())
    std::memcpy(map.nodes_.data(), bytes.data() + sizeof array_bytes,
                map.nodes_.size() * sizeof(std::uint32_t));
  map.replacements_ = bytes.substr(sizeof array_bytes + array_bytes);
  return map;
}

std::optional<Charsmap::Match> Charsmap::longest(std::string_view text) const {
  std::optional<Match> best;
  if (nodes_.empty()) return best;
  const auto base = [](std::uint32_t node) { return (node >> 10) << ((node & (1u << 9)) >> 6); };
  std::uint32_t at = base(nodes_[0]);
  for (std::size_t i = 0; i < text.size() && text[i] != '\0'; ++i) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    at ^= byte;
    if (at >= nodes_.size()) break;
    const std::uint32_t node = nodes_[at];
    if ((node & (1u << 31 | 0xFFu)) != byte) break;
    at ^= base(node);
    if (!(node >> 8 & 1)) continue;
    if (at >= nodes_.size()) break;
    const std::uint32_t offset = nodes_[at] & ~(1u << 31);
    if (offset >= replacements_.size()) break;
    best = {i + 1, std::string_view(replacements_.c_str() + offset)};
  }
  return best;
}

}  // namespace agon::llm
