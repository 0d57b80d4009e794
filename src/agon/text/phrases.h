// Counts phrases of several categories in a stream of words, by the words' hashes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agon/text/words.h"

namespace agon {

/// A set of phrases, each of one category. At every word the longest phrase that fits is counted,
/// and the words it covers are passed over.
class PhraseSet {
 public:
  /// `phrases` are separated by '|' and split into words as scan_words does.
  void add(std::size_t category, std::string_view phrases);
  /// Adds to counts[category] for every match.
  void count(std::span<const Word> words, std::span<std::uint32_t> counts) const;

 private:
  struct Phrase {
    std::vector<std::uint64_t> rest;  ///< hashes after the first word
    std::size_t category = 0;
  };
  std::unordered_map<std::uint64_t, std::vector<Phrase>> by_first_;
  /// 65,536 bits that say "no phrase begins with this word" for nearly all words.
  std::vector<std::uint64_t> filter_ = std::vector<std::uint64_t>(1024);
};

}  // namespace agon
