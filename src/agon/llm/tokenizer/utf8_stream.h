// Text that arrives token by token, given out in whole characters.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace agon::llm {

/// Holds back the bytes of a character that is not complete yet. Bytes that can start or continue no
/// character are let through at once: nothing is lost and nothing is replaced.
class Utf8Stream {
 public:
  /// Takes the next bytes; gives all bytes up to the last whole character.
  [[nodiscard]] std::string push(std::string_view bytes);
  /// What is still held back, at the end of the text.
  [[nodiscard]] std::string flush() { return std::exchange(held_, {}); }
  [[nodiscard]] bool holds() const { return !held_.empty(); }

 private:
  std::string held_;
};

}  // namespace agon::llm
