#include "agon/llm/tokenizer/special_matcher.h"

#include <fmt/format.h>

#include <algorithm>

namespace agon::llm {
namespace {

constexpr std::size_t kLongestSpecial = 1024;  // bounds the walk that starts at every byte

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

Result<SpecialMatcher> SpecialMatcher::make(const Vocabulary& vocabulary) {
  SpecialMatcher matcher;
  for (Token token = 0; token < vocabulary.size(); ++token) {
    if (!(vocabulary.attributes(token) & (kControlToken | kUserDefinedToken | kUnknownToken))) continue;
    if (vocabulary.text(token).size() > kLongestSpecial)
      return fail(fmt::format("tokenizer.ggml.tokens: special token {} has {} bytes (expected at most {})",
                              token, vocabulary.text(token).size(), kLongestSpecial));
    matcher.ranked_.push_back(token);
  }
  std::ranges::stable_sort(matcher.ranked_, std::ranges::greater{},
                           [&](Token token) { return vocabulary.text(token).size(); });
  for (std::size_t rank = 0; rank < matcher.ranked_.size(); ++rank) {
    const Token token = matcher.ranked_[rank];
    matcher.all_.insert(vocabulary.text(token), std::int32_t(rank));
    if (!(vocabulary.attributes(token) & (kControlToken | kUnknownToken)))
      matcher.always_.insert(vocabulary.text(token), std::int32_t(rank));
  }
  return matcher;
}

void SpecialMatcher::find_ranks(const Trie& trie, std::string_view text, std::vector<std::uint32_t>& seen) {
  seen.clear();
  if (trie.empty()) return;
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    Trie::Node node = trie.child(Trie::kRoot, text[begin]);
    for (std::size_t at = begin + 1; node != Trie::kNone; ++at) {
      if (const std::int32_t rank = trie.value(node); rank != Trie::kNoValue) {
        const auto found = std::ranges::lower_bound(seen, std::uint32_t(rank));
        if (found == seen.end() || *found != std::uint32_t(rank)) seen.insert(found, std::uint32_t(rank));
      }
      if (at == text.size()) break;
      node = trie.child(node, text[at]);
    }
  }
}

void SpecialMatcher::cut(const Vocabulary& vocabulary, std::string_view text, bool parse_special,
                         std::vector<Fragment>& fragments, std::vector<std::uint32_t>& seen) const {
  fragments.clear();
  if (text.empty()) return;
  fragments.push_back({kNoToken, 0, text.size()});
  find_ranks(parse_special ? all_ : always_, text, seen);
  std::vector<Fragment> next;
  for (const std::uint32_t rank : seen) {
    const Token token = ranked_[rank];
    const std::string_view wanted = vocabulary.text(token);
    const std::uint8_t attributes = vocabulary.attributes(token);
    next.clear();
    for (const Fragment& fragment : fragments) {
      std::size_t begin = fragment.begin;
      if (fragment.token == kNoToken) {
        const std::string_view within = text.substr(0, fragment.end);
        for (std::size_t found; (found = within.find(wanted, begin)) != std::string_view::npos;) {
          std::size_t left_end = found;
          if (attributes & kStripLeft)
            while (left_end > begin && is_space(text[left_end - 1])) --left_end;
          if (left_end > begin) next.push_back({kNoToken, begin, left_end});
          next.push_back({token, found, found + wanted.size()});
          begin = found + wanted.size();
          if (attributes & kStripRight)
            while (begin < fragment.end && is_space(text[begin])) ++begin;
        }
        if (begin < fragment.end) next.push_back({kNoToken, begin, fragment.end});
      } else {
        next.push_back(fragment);
      }
    }
    fragments.swap(next);
  }
}

}  // namespace agon::llm
