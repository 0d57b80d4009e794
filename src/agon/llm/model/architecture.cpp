#include "agon/llm/model/architecture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace agon::llm {
namespace {

Error key_error(const gguf::File& file, const std::string& key, const std::string& problem,
                std::string expected) {
  Error error;
  error.message = fmt::format("metadata key '{}' {}", key, problem);
  error.file = file.path();
  error.expected = std::move(expected);
  return error;
}

// The same error with the file's name, which the metadata does not know.
template <class T>
Result<T> in_file(const gguf::File& file, Result<T> result) {
  if (!result) result.error().file = file.path();
  return result;
}

}  // namespace

std::string Keys::full(std::string_view key) const { return fmt::format("{}.{}", architecture_, key); }

bool Keys::has(std::string_view key) const { return file_->metadata().has(full(key)); }

Result<int> Keys::integer(std::string_view key, std::int64_t low, std::int64_t high) const {
  AGON_ASSIGN(const std::int64_t value, in_file(*file_, file_->metadata().integer(full(key))));
  if (value < low || value > high)
    return std::unexpected(
        key_error(*file_, full(key), fmt::format("is {}", value), fmt::format("{} to {}", low, high)));
  return static_cast<int>(value);
}

Result<int> Keys::integer_or(std::string_view key, int fallback, std::int64_t low, std::int64_t high) const {
  if (!has(key)) return fallback;
  return integer(key, low, high);
}

Result<int> Keys::uniform_integer(std::string_view key, std::int64_t low, std::int64_t high) const {
  const gguf::Integers* list = file_->metadata().integers(full(key));
  if (list == nullptr) return integer(key, low, high);
  for (const std::int64_t value : *list)
    if (value != list->front() || value < low || value > high)
      return std::unexpected(key_error(*file_, full(key), fmt::format("lists {}", value),
                                       fmt::format("one number, {} to {}, for all layers", low, high)));
  if (list->empty())
    return std::unexpected(key_error(*file_, full(key), "is an empty list", "one number for all layers"));
  return static_cast<int>(list->front());
}

Result<double> Keys::real(std::string_view key, double low, double high) const {
  AGON_ASSIGN(const double value, in_file(*file_, file_->metadata().real(full(key))));
  if (!(value >= low && value <= high))  // NaN too
    return std::unexpected(
        key_error(*file_, full(key), fmt::format("is {}", value), fmt::format("{} to {}", low, high)));
  return value;
}

Result<double> Keys::real_or(std::string_view key, double fallback, double low, double high) const {
  if (!has(key)) return fallback;
  return real(key, low, high);
}

Result<std::string> Keys::string_or(std::string_view key, std::string fallback) const {
  return in_file(*file_, file_->metadata().string_or(full(key), std::move(fallback)));
}

std::span<const Architecture* const> architectures() {
  static constexpr const Architecture* all[] = {&kLlama, &kQwen2, &kQwen3, &kGemma2, &kGemma3, &kPhi3};
  return all;
}

const Architecture* find_architecture(std::string_view name) {
  const auto found = std::ranges::find(architectures(), name, &Architecture::name);
  return found == architectures().end() ? nullptr : *found;
}

Status set_windows(const Keys& keys, ModelConfig& config, int window, int pattern, int rope) {
  constexpr std::string_view key = "attention.sliding_window_pattern";
  if (const gguf::Integers* flags = keys.file().metadata().integers(keys.full(key))) {
    if (flags->size() != config.layers.size())
      return std::unexpected(key_error(keys.file(), keys.full(key),
                                       fmt::format("lists {} layers", flags->size()),
                                       fmt::format("{}, one flag a layer", config.layers.size())));
    for (std::size_t i = 0; i < config.layers.size(); ++i)
      if ((*flags)[i] != 0) config.layers[i] = {.window = window, .rope = rope};
    return {};
  }
  AGON_ASSIGN(pattern, keys.integer_or(key, pattern, 0, 1 << 20));
  for (int i = 0; i < config.layer_count(); ++i)
    if (pattern == 0 || i % pattern != pattern - 1)
      config.layers[static_cast<std::size_t>(i)] = {.window = window, .rope = rope};
  return {};
}

}  // namespace agon::llm
