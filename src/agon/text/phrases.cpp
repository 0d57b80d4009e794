#include "agon/text/phrases.h"

#include <algorithm>

namespace agon {

void PhraseSet::add(std::size_t category, std::string_view phrases) {
  std::vector<Word> words;
  while (!phrases.empty()) {
    const std::size_t bar = std::min(phrases.find('|'), phrases.size());
    words.clear();
    scan_words(phrases.substr(0, bar), words);
    phrases.remove_prefix(std::min(bar + 1, phrases.size()));
    if (words.empty()) continue;
    Phrase phrase{.rest = {}, .category = category};
    for (std::size_t i = 1; i < words.size(); ++i) phrase.rest.push_back(words[i].hash);
    const std::uint64_t first = words[0].hash;
    auto& list = by_first_[first];
    list.push_back(std::move(phrase));
    std::ranges::stable_sort(list, std::ranges::greater{}, [](const Phrase& p) { return p.rest.size(); });
    filter_[(first >> 6) & 1023] |= std::uint64_t{1} << (first & 63);
  }
}

void PhraseSet::count(std::span<const Word> words, std::span<std::uint32_t> counts) const {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::uint64_t hash = words[i].hash;
    if ((filter_[(hash >> 6) & 1023] >> (hash & 63) & 1) == 0) continue;
    const auto found = by_first_.find(hash);
    if (found == by_first_.end()) continue;
    for (const Phrase& phrase : found->second) {
      if (phrase.rest.size() >= words.size() - i) continue;
      const auto same = [&](std::size_t k) { return words[i + 1 + k].hash == phrase.rest[k]; };
      std::size_t k = 0;
      while (k < phrase.rest.size() && same(k)) ++k;
      if (k < phrase.rest.size()) continue;
      ++counts[phrase.category];
      i += phrase.rest.size();
      break;
    }
  }
}

}  // namespace agon
