#include "agon/text/fold.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>

#include "agon/base/check.h"
#include "agon/base/hash.h"

namespace agon {
namespace {

/// Lower-case letter or digit, else a space.
constexpr std::array<char, 128> kAsciiFold = [] {
  std::array<char, 128> table{};
  for (int c = 0; c < 128; ++c) {
    const bool keep = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
    const bool upper = c >= 'A' && c <= 'Z';
    table[static_cast<std::size_t>(c)] = static_cast<char>(keep ? c : upper ? c + 32 : ' ');
  }
  return table;
}();

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 128; });
}

std::string case_folded(std::string_view utf8) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = icu::Normalizer2::getNFKCCasefoldInstance(status);
  std::string out;
  if (U_SUCCESS(status)) {
    icu::StringByteSink<std::string> sink(&out);
    normalizer->normalizeUTF8(0, icu::StringPiece(utf8.data(), static_cast<std::int32_t>(utf8.size())), sink,
                              nullptr, status);
  }
  AGON_CHECK(U_SUCCESS(status));  // only a broken ICU installation fails here
  return out;
}

bool is_word_character(UChar32 c) {
  return (U_GET_GC_MASK(c) & (U_GC_L_MASK | U_GC_M_MASK | U_GC_N_MASK)) != 0;
}

/// Appends with single spaces between runs.
class Squeezed {
 public:
  explicit Squeezed(std::size_t size) { out_.reserve(size); }
  void word(const char* bytes, std::size_t n) {
    if (space_ && !out_.empty()) out_ += ' ';
    space_ = false;
    out_.append(bytes, n);
  }
  void space() { space_ = true; }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
  bool space_ = false;
};

}  // namespace

std::string folded(std::string_view utf8) {
  AGON_CHECK(utf8.size() < (std::size_t{1} << 30));  // readers bound a row far below this
  Squeezed out(utf8.size());
  if (is_ascii(utf8)) {
    for (const char c : utf8) {
      const char f = kAsciiFold[static_cast<unsigned char>(c)];
      if (f == ' ') {
        out.space();
      } else {
        out.word(&f, 1);
      }
    }
    return out.take();
  }
  const std::string text = case_folded(utf8);
  const auto size = static_cast<std::int32_t>(text.size());
  for (std::int32_t i = 0; i < size;) {
    const std::int32_t begin = i;
    UChar32 c = 0;
    U8_NEXT(text.data(), i, size, c);
    if (c >= 0 && is_word_character(c)) {
      out.word(text.data() + begin, static_cast<std::size_t>(i - begin));
    } else {
      out.space();
    }
  }
  return out.take();
}

std::vector<std::uint64_t> shingles(std::string_view folded_text, std::size_t width) {
  AGON_CHECK(width > 0);
  std::vector<std::uint64_t> tokens;
  std::size_t begin = 0;
  const auto close = [&](std::size_t end) {
    if (end > begin) tokens.push_back(hash64(folded_text.substr(begin, end - begin)));
    begin = end;
  };
  const auto size = static_cast<std::int32_t>(folded_text.size());
  bool unspaced_before = false;  // the token that is open is a letter of a script without spaces
  for (std::int32_t i = 0; i < size;) {
    const std::int32_t at = i;
    UChar32 c = 0;
    U8_NEXT(folded_text.data(), i, size, c);
    if (c == ' ') {
      close(static_cast<std::size_t>(at));
      begin = static_cast<std::size_t>(i);
      unspaced_before = false;
      continue;
    }
    if (c < 128 || (U_GET_GC_MASK(c) & U_GC_M_MASK) != 0) {
      if (c < 128 && unspaced_before) {
        close(static_cast<std::size_t>(at));
        unspaced_before = false;
      }
      continue;
    }
    UErrorCode status = U_ZERO_ERROR;
    const UScriptCode script = uscript_getScript(c, &status);
    const bool unspaced = U_SUCCESS(status) && uscript_breaksBetweenLetters(script);
    if (unspaced || unspaced_before) close(static_cast<std::size_t>(at));
    unspaced_before = unspaced;
  }
  close(folded_text.size());

  std::vector<std::uint64_t> out;
  for (std::size_t i = 0; i + width <= tokens.size(); ++i)
    out.push_back(hash64({reinterpret_cast<const char*>(&tokens[i]), width * sizeof(std::uint64_t)}));
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace agon
