// Bytes of a file format, in and out: little-endian, every read checked against the end.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace agon {

static_assert(std::endian::native == std::endian::little, "formats are written as the machine holds them");

class ByteWriter {
 public:
  template <class T>
    requires std::is_arithmetic_v<T>
  void put(T value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put(std::string_view text) {
    put<std::uint64_t>(text.size());
    out_.append(text);
  }
  template <class T>
    requires std::is_arithmetic_v<T>
  void put(const std::vector<T>& values) {
    put<std::uint64_t>(values.size());
    out_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  }
  [[nodiscard]] const std::string& bytes() const { return out_; }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

/// After a read past the end every later read gives zeros and ok() is false: check once, at the end
/// of a structure and before any size is believed.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  template <class T>
    requires std::is_arithmetic_v<T>
  T get() {
    T value{};
    if (const char* from = take(sizeof(T))) std::memcpy(&value, from, sizeof(T));
    return value;
  }
  std::string get_string() {
    const auto size = get<std::uint64_t>();
    const char* from = take(size);
    return from ? std::string(from, size) : std::string();
  }
  template <class T>
    requires std::is_arithmetic_v<T>
  std::vector<T> get_vector() {
    const auto count = get<std::uint64_t>();
    if (count > left() / sizeof(T)) {
      ok_ = false;
      return {};
    }
    std::vector<T> values(count);
    if (count > 0) std::memcpy(values.data(), take(count * sizeof(T)), count * sizeof(T));
    return values;
  }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }
  [[nodiscard]] std::size_t position() const { return at_; }
  void fail() { ok_ = false; }

 private:
  const char* take(std::uint64_t count) {
    if (!ok_ || count > left()) {
      ok_ = false;
      return nullptr;
    }
    const char* from = bytes_.data() + at_;
    at_ += count;
    return from;
  }
  std::string_view bytes_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace agon
