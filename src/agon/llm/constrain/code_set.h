// Sets of Unicode characters, and how they become bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "agon/llm/constrain/network.h"

namespace agon::llm::constrain {

/// A set of code points, without surrogates, which no UTF-8 text has.
class CodeSet {
 public:
  struct Range {
    char32_t low, high;
    bool operator==(const Range&) const = default;
  };
  CodeSet() = default;
  CodeSet(std::initializer_list<Range> ranges);

  [[nodiscard]] static CodeSet all() { return {{0, 0x10FFFF}}; }
  void add(char32_t low, char32_t high);
  void add(const CodeSet& other);
  /// All characters that are not in this set.
  [[nodiscard]] CodeSet inverse() const;
  [[nodiscard]] CodeSet without(const CodeSet& other) const;
  [[nodiscard]] bool has(char32_t code) const;
  [[nodiscard]] bool empty() const { return ranges_.empty(); }
  /// Ascending, with gaps between them.
  [[nodiscard]] const std::vector<Range>& ranges() const { return ranges_; }

 private:
  std::vector<Range> ranges_;
};

/// Adds the UTF-8 of every character of the set, from one state to another.
void add_utf8(Network& network, const CodeSet& set, Network::State from, Network::State to);

}  // namespace agon::llm::constrain
