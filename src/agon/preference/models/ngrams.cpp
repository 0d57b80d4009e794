#include "agon/preference/models/ngrams.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "agon/base/parallel.h"
#include "agon/text/chars.h"

namespace agon {
namespace {

std::uint64_t mix(std::uint64_t h) {
  h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93ULL;
  return h ^ (h >> 32);
}

/// Code points, runs of blanks as one space and of line ends as one; a space at both ends.
void fold(std::string_view text, std::vector<char32_t>& out) {
  out.assign(1, U' ');
  std::size_t pos = 0;
  while (pos < text.size()) {
    const char32_t c = next_char(text, pos);
    if (!char_info(c).is(CharInfo::kSpace)) {
      out.push_back(c);
    } else if (c == '\n') {
      if (out.back() != '\n') out.push_back('\n');
    } else if (out.back() != ' ' && out.back() != '\n') {
      out.push_back(' ');
    }
  }
  if (out.back() != ' ') out.push_back(' ');
}

/// Words with their case, marks one by one, and runs of line ends, as hashes.
void tokens(std::span<const char32_t> folded, std::vector<std::uint64_t>& out) {
  out.clear();
  std::uint64_t word = 0;
  for (const char32_t c : folded) {
    const CharInfo info = char_info(c);
    if (info.is(CharInfo::kLetter | CharInfo::kDigit | CharInfo::kMark) && !info.is(CharInfo::kSingle)) {
      word = mix((word ^ c) * 0x9ddfea08eb382d69ULL + 1);
      continue;
    }
    if (word != 0) out.push_back(word);
    word = 0;
    if (c != ' ') out.push_back(mix(c * 0xff51afd7ed558ccdULL));
  }
  if (word != 0) out.push_back(word);
}

/// At most `limit` bytes: the first two thirds and the last third, cut between code points.
std::pair<std::string_view, std::string_view> ends(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return {text, {}};
  std::size_t head = limit * 2 / 3, tail = text.size() - limit / 3;
  const auto inside = [&](std::size_t i) { return i < text.size() && (text[i] & 0xC0) == 0x80; };
  while (inside(head)) --head;
  while (inside(tail)) ++tail;
  return {text.substr(0, head), text.substr(tail)};
}

/// The logarithm, from a table: most n-grams occur once or twice.
float log_count(std::size_t count) {
  static const std::array<float, 64> table = [] {
    std::array<float, 64> made{};
    for (std::size_t i = 1; i < made.size(); ++i) made[i] = std::log(static_cast<float>(i));
    return made;
  }();
  return count < table.size() ? table[count] : std::log(static_cast<float>(count));
}

class Collector {
 public:
  /// The two buffers are the caller's, so that they are allocated once a thread.
  Collector(const NgramOptions& o, std::vector<std::uint32_t>& buckets, std::vector<std::uint32_t>& sorted)
      : buckets_(buckets),
        sorted_(sorted),
        half_(std::uint32_t{1} << (o.bits - 1)),
        threshold_(o.keep >= 1 ? ~std::uint64_t{0} : static_cast<std::uint64_t>(o.keep * 0x1.0p64)) {}
  void add(std::uint64_t hash, bool word) {
    hash = mix(hash);
    if (hash > threshold_) return;
    const auto bucket = static_cast<std::uint32_t>(mix(hash + 0x9e3779b97f4a7c15ULL)) & (half_ - 1);
    buckets_.push_back(word ? bucket + half_ : bucket);
  }
  void finish(SparseRows& out) {
    sort_buckets();
    for (std::size_t i = 0; i < buckets_.size();) {
      std::size_t end = i + 1;
      while (end < buckets_.size() && buckets_[end] == buckets_[i]) ++end;
      out.index.push_back(buckets_[i]);
      out.value.push_back(1.0F + log_count(end - i));
      i = end;
    }
    out.start.push_back(out.index.size());
    buckets_.clear();
  }

 private:
  /// Radix sort by two digits of 11 bits, which hold every bucket: a comparison sort of the thousands of
  /// n-grams of an answer took two thirds of the time of prediction.
  void sort_buckets() {
    constexpr int kDigit = 11;
    static_assert(2 * kDigit >= kMaxNgramBits);
    sorted_.resize(buckets_.size());
    for (const int shift : {0, kDigit}) {
      std::array<std::uint32_t, (1 << kDigit) + 1> begin{};
      const auto digit = [shift](std::uint32_t b) { return (b >> shift) & ((1U << kDigit) - 1); };
      for (const std::uint32_t b : buckets_) ++begin[digit(b) + 1];
      for (std::size_t d = 1; d < begin.size(); ++d) begin[d] += begin[d - 1];
      for (const std::uint32_t b : buckets_) sorted_[begin[digit(b)]++] = b;
      buckets_.swap(sorted_);
    }
  }

  std::vector<std::uint32_t>&buckets_, &sorted_;
  std::uint32_t half_;
  std::uint64_t threshold_;
};

struct Buffers {
  std::vector<char32_t> folded;
  std::vector<std::uint64_t> tokens;
  std::vector<std::uint32_t> buckets, sorted;
};

void collect(std::string_view text, const NgramOptions& o, Buffers& buffers, Collector& out) {
  const auto run = [&](const auto& items, std::uint64_t seed, int shortest, int longest, bool word) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      std::uint64_t hash = seed;
      for (int n = 1; n <= longest && i + static_cast<std::size_t>(n) <= items.size(); ++n) {
        hash = (hash ^ items[i + static_cast<std::size_t>(n) - 1]) * 0x9ddfea08eb382d69ULL;
        hash ^= hash >> 29;
        if (n >= shortest) out.add(hash + static_cast<std::uint64_t>(n), word);
      }
    }
  };
  fold(text, buffers.folded);
  run(buffers.folded, 0x51ed270b, o.char_min, o.char_max, false);
  tokens(buffers.folded, buffers.tokens);
  run(buffers.tokens, 0x2545f491, 1, o.word_max, true);
}

}  // namespace

void append_ngrams(const Turns& answer, const NgramOptions& options, SparseRows& out) {
  thread_local Buffers buffers;
  Collector collector(options, buffers.buckets, buffers.sorted);
  for (const Turn& turn : answer) {
    const auto [head, tail] = ends(turn.text, options.max_chars / std::max<std::size_t>(1, answer.size()));
    collect(head, options, buffers, collector);
    if (!tail.empty()) collect(tail, options, buffers, collector);
  }
  collector.finish(out);
}

SparseRows answer_ngrams(std::span<const Vote> votes, const NgramOptions& options, const Progress& progress) {
  constexpr std::size_t kGrain = 256;
  std::vector<SparseRows> parts((votes.size() + kGrain - 1) / kGrain);
  parallel_chunks(votes.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    SparseRows& part = parts[begin / kGrain];
    for (std::size_t i = begin; i < end; ++i) {
      append_ngrams(votes[i].response_a, options, part);
      append_ngrams(votes[i].response_b, options, part);
    }
    if (progress) progress("n-grams", end, votes.size());
  });
  SparseRows all;
  std::size_t entries = 0;
  for (const SparseRows& part : parts) entries += part.index.size();
  all.index.reserve(entries);
  all.value.reserve(entries);
  for (SparseRows& part : parts) {
    const std::uint64_t base = all.index.size();
    all.index.insert(all.index.end(), part.index.begin(), part.index.end());
    all.value.insert(all.value.end(), part.value.begin(), part.value.end());
    for (std::size_t i = 1; i < part.start.size(); ++i) all.start.push_back(base + part.start[i]);
    part = SparseRows{};
  }
  return all;
}

}  // namespace agon
