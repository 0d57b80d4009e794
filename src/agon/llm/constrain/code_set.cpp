#include "agon/llm/constrain/code_set.h"

#include <algorithm>
#include <array>

namespace agon::llm::constrain {
namespace {

constexpr char32_t kLast = 0x10FFFF;

struct Encoded {
  std::array<std::uint8_t, 4> bytes;
  std::size_t size;
};

Encoded encode(char32_t c) {
  const auto tail = [&](int shift) { return static_cast<std::uint8_t>(0x80 | (c >> shift & 0x3F)); };
  if (c < 0x80) return {{static_cast<std::uint8_t>(c)}, 1};
  if (c < 0x800) return {{static_cast<std::uint8_t>(0xC0 | c >> 6), tail(0)}, 2};
  if (c < 0x10000) return {{static_cast<std::uint8_t>(0xE0 | c >> 12), tail(6), tail(0)}, 3};
  return {{static_cast<std::uint8_t>(0xF0 | c >> 18), tail(12), tail(6), tail(0)}, 4};
}

// Characters between two states. Whatever may end in any bytes shares the states for that.
class Utf8Writer {
 public:
  Utf8Writer(Network& network, Network::State from, Network::State to)
      : network_(network), from_(from), free_{to} {}

  // A range of characters with encodings of one length. Cut until each byte's range is free of the others':
  // all bytes behind the first that differs then run over all their values (Thompson's construction for
  // UTF-8, as in RE2 and Rust's regex).
  void add(char32_t low, char32_t high) {
    for (int bits = 6; bits <= 18; bits += 6) {
      const char32_t rest = (char32_t{1} << bits) - 1;
      if (encode(low).size <= static_cast<std::size_t>(bits / 6)) break;
      if ((low & ~rest) == (high & ~rest)) continue;
      if ((low & rest) != 0) {
        add(low, low | rest);
        add((low | rest) + 1, high);
        return;
      }
      if ((high & rest) != rest) {
        add(low, (high & ~rest) - 1);
        add(high & ~rest, high);
        return;
      }
    }
    const Encoded first = encode(low), last = encode(high);
    // Bytes at the end that may be any.
    std::size_t any = 0;
    while (any + 1 < first.size && first.bytes[first.size - 1 - any] == 0x80 &&
           last.bytes[first.size - 1 - any] == 0xBF)
      ++any;
    Network::State at = from_;
    for (std::size_t i = 0; i + any < first.size; ++i) {
      const Network::State next = i + any + 1 == first.size ? free(any) : network_.add();
      network_.bytes(at, first.bytes[i], last.bytes[i], next);
      at = next;
    }
  }

 private:
  // The state from which `count` bytes of any value that continues a character lead to the end.
  Network::State free(std::size_t count) {
    while (free_.size() <= count) {
      const Network::State state = network_.add();
      network_.bytes(state, 0x80, 0xBF, free_.back());
      free_.push_back(state);
    }
    return free_[count];
  }

  Network& network_;
  Network::State from_;
  std::vector<Network::State> free_;
};

}  // namespace

CodeSet::CodeSet(std::initializer_list<Range> ranges) {
  for (const Range& range : ranges) add(range.low, range.high);
}

void CodeSet::add(char32_t low, char32_t high) {
  high = std::min(high, kLast);
  if (low > high) return;
  if (low < 0xD800 && high >= 0xD800) {
    add(low, 0xD7FF);
    low = 0xD800;
  }
  if (low >= 0xD800 && low <= 0xDFFF) low = 0xE000;
  if (low > high) return;
  // Those that overlap or touch become one. Most come in ascending order.
  auto at = std::ranges::lower_bound(ranges_, low, {}, [](const Range& r) { return r.high + 1; });
  auto end = at;
  for (; end != ranges_.end() && end->low <= high + 1; ++end) {
    low = std::min(low, end->low);
    high = std::max(high, end->high);
  }
  at = ranges_.erase(at, end);
  ranges_.insert(at, {low, high});
}

void CodeSet::add(const CodeSet& other) {
  for (const Range& range : other.ranges_) add(range.low, range.high);
}

CodeSet CodeSet::inverse() const {
  CodeSet result;
  char32_t from = 0;
  for (const Range& range : ranges_) {
    if (range.low > from) result.add(from, range.low - 1);
    from = range.high + 1;
  }
  result.add(from, kLast);
  return result;
}

CodeSet CodeSet::without(const CodeSet& other) const {
  CodeSet either = inverse();
  either.add(other);
  return either.inverse();
}

bool CodeSet::has(char32_t code) const {
  return std::ranges::any_of(ranges_, [&](const Range& r) { return r.low <= code && code <= r.high; });
}

void add_utf8(Network& network, const CodeSet& set, Network::State from, Network::State to) {
  Utf8Writer writer(network, from, to);
  static constexpr char32_t kLengths[] = {0x7F, 0x7FF, 0xFFFF, kLast};
  for (const CodeSet::Range& range : set.ranges()) {
    char32_t low = range.low;
    for (const char32_t last : kLengths) {
      if (low > range.high || !network.ok()) break;
      if (low > last) continue;
      writer.add(low, std::min(range.high, last));
      low = last + 1;
    }
  }
}

}  // namespace agon::llm::constrain
