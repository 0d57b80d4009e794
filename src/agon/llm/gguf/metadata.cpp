// Look-ups in the key-value part of a file.
#include <fmt/format.h>

#include <algorithm>

#include "agon/llm/gguf/file.h"

namespace agon::gguf {
namespace {

std::string_view type_words(const Value& value) {
  constexpr std::string_view words[] = {"a boolean",          "an integer",           "a real number",
                                        "a string",           "an array of integers", "an array of reals",
                                        "an array of strings"};
  return words[value.index()];
}

Error key_error(std::string_view key, std::string problem, std::string_view expected) {
  Error error;
  error.message = fmt::format("metadata key '{}' {}", key, problem);
  error.expected = expected;
  return error;
}

template <class T>
Result<T> as(std::string_view key, const Value& value, std::string_view expected) {
  if (const T* held = std::get_if<T>(&value)) return *held;
  if constexpr (std::is_same_v<T, double>)
    if (const auto* held = std::get_if<std::int64_t>(&value)) return static_cast<double>(*held);
  return std::unexpected(key_error(key, fmt::format("is {}", type_words(value)), expected));
}

template <class T>
Result<T> required(const Metadata& metadata, std::string_view key, std::string_view expected) {
  const Value* value = metadata.find(key);
  if (value == nullptr) return std::unexpected(key_error(key, "is missing", expected));
  return as<T>(key, *value, expected);
}

template <class T>
Result<T> optional(const Metadata& metadata, std::string_view key, T fallback, std::string_view expected) {
  const Value* value = metadata.find(key);
  if (value == nullptr) return fallback;
  return as<T>(key, *value, expected);
}

template <class T>
const T* array(const Metadata& metadata, std::string_view key) {
  const Value* value = metadata.find(key);
  return value == nullptr ? nullptr : std::get_if<T>(value);
}

}  // namespace

void Metadata::set(std::string key, Value value) {
  const auto found = std::ranges::find(entries_, key, &std::pair<std::string, Value>::first);
  if (found == entries_.end()) {
    entries_.emplace_back(std::move(key), std::move(value));
  } else {
    found->second = std::move(value);
  }
}

const Value* Metadata::find(std::string_view key) const {
  const auto found = std::ranges::find(entries_, key, &std::pair<std::string, Value>::first);
  return found == entries_.end() ? nullptr : &found->second;
}

Result<std::int64_t> Metadata::integer(std::string_view key) const {
  return required<std::int64_t>(*this, key, "an integer");
}
Result<double> Metadata::real(std::string_view key) const { return required<double>(*this, key, "a number"); }
Result<bool> Metadata::boolean(std::string_view key) const { return required<bool>(*this, key, "a boolean"); }
Result<std::string> Metadata::string(std::string_view key) const {
  return required<std::string>(*this, key, "a string");
}

Result<std::int64_t> Metadata::integer_or(std::string_view key, std::int64_t fallback) const {
  return optional(*this, key, fallback, "an integer");
}
Result<double> Metadata::real_or(std::string_view key, double fallback) const {
  return optional(*this, key, fallback, "a number");
}
Result<bool> Metadata::boolean_or(std::string_view key, bool fallback) const {
  return optional(*this, key, fallback, "a boolean");
}
Result<std::string> Metadata::string_or(std::string_view key, std::string fallback) const {
  return optional(*this, key, std::move(fallback), "a string");
}

const Strings* Metadata::strings(std::string_view key) const { return array<Strings>(*this, key); }
const Integers* Metadata::integers(std::string_view key) const { return array<Integers>(*this, key); }
const Reals* Metadata::reals(std::string_view key) const { return array<Reals>(*this, key); }

}  // namespace agon::gguf
