#include "agon/data/battle_csv_scan.h"

#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace agon::battle_parts {
namespace {

/// std::popcount is a call where the compiler may not count on the instruction.
int bit_count(std::uint64_t x) {
  x -= x >> 1 & 0x5555555555555555;
  x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
  x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
  return static_cast<int>(x * 0x0101010101010101 >> 56);
}

}  // namespace

bool find_separators(std::string_view block, std::vector<std::uint32_t>& separators) {
  const char* const data = block.data();
  const std::size_t n = block.size();
  std::size_t used = separators.size(), at = 0;
#if defined(__SSE2__)
  const __m128i comma = _mm_set1_epi8(','), lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r');
  const __m128i quote = _mm_set1_epi8('"'), zero = _mm_setzero_si128();
  __m128i special = zero;
  for (; at + 64 <= n; at += 64) {
    std::uint64_t mask = 0;
    for (int k = 0; k < 4; ++k) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(data + at + 16 * k));
      special =
          _mm_or_si128(special, _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, zero)));
      const __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(bytes, comma),
                                       _mm_or_si128(_mm_cmpeq_epi8(bytes, lf), _mm_cmpeq_epi8(bytes, cr)));
      mask |= std::uint64_t{static_cast<unsigned>(_mm_movemask_epi8(hit))} << (16 * k);
    }
    if (separators.size() < used + 64) separators.resize(2 * separators.size() + 4096);
    std::uint32_t* out = separators.data() + used;
    const int found = bit_count(mask);
    used += static_cast<std::size_t>(found);
    // Eight at once without asking for each whether it is there: a battle has about as many a 64 bytes.
    for (int k = 0; k < found; k += 8) {
      for (int j = 0; j < 8; ++j) {
        out[k + j] = static_cast<std::uint32_t>(at) + static_cast<std::uint32_t>(std::countr_zero(mask) & 63);
        mask &= mask - 1;
      }
    }
  }
  if (_mm_movemask_epi8(_mm_cmpeq_epi8(special, zero)) != 0xFFFF) return false;
#endif
  separators.resize(used);
  for (; at < n; ++at) {
    const char c = data[at];
    if (c == '"' || c == '\0') return false;
    if (c == ',' || c == '\n' || c == '\r') separators.push_back(static_cast<std::uint32_t>(at));
  }
  return true;
}

std::size_t CsvRecordEnd::find(std::string_view bytes, std::size_t at) {
  const std::size_t n = bytes.size();
  while (at < n) {
    if (state_ == State::kQuoted) {
      const void* quote = std::memchr(bytes.data() + at, '"', n - at);
      if (quote == nullptr) return std::string_view::npos;
      at = static_cast<std::size_t>(static_cast<const char*>(quote) - bytes.data()) + 1;
      state_ = State::kBehindQuote;
      continue;
    }
    const char c = bytes[at++];
    if (c == '\n' || c == '\r') {
      state_ = State::kFieldStart;
      return at;
    }
    if (c == ',') {
      state_ = State::kFieldStart;
    } else if (c == '"' && state_ != State::kUnquoted) {  // the first of a field, or a doubled one
      state_ = State::kQuoted;
    } else {
      state_ = State::kUnquoted;
    }
  }
  return std::string_view::npos;
}

CsvSplit split_record(std::string_view record, const std::vector<char>& wanted,
                      std::vector<std::string_view>& fields, std::string& unescaped) {
  fields.clear();
  unescaped.clear();
  unescaped.reserve(record.size());  // views into it must hold
  CsvSplit split;
  std::size_t at = 0;
  const std::size_t n = record.size();
  for (;;) {
    if (at < n && record[at] == '"') {
      const std::size_t begin = ++at;
      bool doubled = false;
      for (;;) {
        const void* quote = at < n ? std::memchr(record.data() + at, '"', n - at) : nullptr;
        if (quote == nullptr) return {CsvFault::kUnterminated, begin - 1};
        at = static_cast<std::size_t>(static_cast<const char*>(quote) - record.data()) + 1;
        if (at == n || record[at] != '"') break;
        doubled = true;
        ++at;
      }
      std::string_view text = record.substr(begin, at - 1 - begin);
      if (doubled && fields.size() < wanted.size() && wanted[fields.size()]) {
        const std::size_t from = unescaped.size();
        for (std::size_t i = 0; i < text.size();) {
          const std::size_t quote = text.find('"', i);
          if (quote == std::string_view::npos) {
            unescaped.append(text.substr(i));
            break;
          }
          unescaped.append(text.substr(i, quote + 1 - i));
          i = quote + 2;
        }
        text = std::string_view(unescaped).substr(from);
      }
      fields.push_back(text);
      if (at < n && record[at] != ',' && record[at] != '\n' && record[at] != '\r')
        return {CsvFault::kTextAfterQuote, at};
    } else {
      const std::size_t begin = at;
      while (at < n && record[at] != ',' && record[at] != '\n' && record[at] != '\r') ++at;
      fields.push_back(record.substr(begin, at - begin));
    }
    if (at == n || record[at] != ',') break;
    ++at;
  }
  if (std::memchr(record.data(), '\0', n) != nullptr) split.fault = CsvFault::kNul;
  return split;
}

}  // namespace agon::battle_parts
