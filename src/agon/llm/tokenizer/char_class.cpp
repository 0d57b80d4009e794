#include "agon/llm/tokenizer/char_class.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <map>
#include <vector>

#include "agon/base/check.h"

namespace agon::llm {
namespace {

std::uint8_t class_of(std::uint32_t category_mask) {
  if (category_mask & U_GC_L_MASK) return kLetter;
  if (category_mask & U_GC_N_MASK) return kNumber;
  if (category_mask & U_GC_M_MASK) return kMark;
  if (category_mask & U_GC_P_MASK) return kPunctuation;
  if (category_mask & U_GC_S_MASK) return kSymbol;
  if (category_mask & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CS_MASK | U_GC_CO_MASK)) return kControl;
  return kNothing;
}

UBool fill(const void* context, UChar32 begin, UChar32 end, UCharCategory category) {
  auto& classes = *static_cast<std::vector<std::uint8_t>*>(const_cast<void*>(context));
  std::fill(classes.begin() + begin, classes.begin() + end, class_of(std::uint32_t{1} << category));
  return true;
}

// Unicode 15.1 (2023): CJK extension I and ideographic description characters.
constexpr struct {
  std::uint32_t first, last;
  std::uint8_t char_class;
} kAdded[] = {{0x2FFC, 0x2FFF, kSymbol}, {0x31EF, 0x31EF, kSymbol}, {0x2EBF0, 0x2EE5D, kLetter}};

}  // namespace

CharClassTable::CharClassTable() : first_{}, blocks_{} {
  std::vector<std::uint8_t> classes(0x110000, kNothing);
  u_enumCharTypes(fill, &classes);
  for (const auto& added : kAdded)
    for (std::uint32_t code = added.first; code <= added.last; ++code)
      if (classes[code] == kNothing) classes[code] = added.char_class;
  // White_Space (PropList.txt); stable since Unicode 4.0 but for U+180E.
  for (std::uint32_t code = 0; code <= 0x3000; ++code)
    if (u_isUWhiteSpace(UChar32(code))) classes[code] |= kSpace;

  std::map<std::array<std::uint8_t, 256>, std::uint16_t> known;
  for (std::size_t block = 0; block < first_.size(); ++block) {
    std::array<std::uint8_t, 256> values;
    std::copy_n(classes.begin() + std::ptrdiff_t(block * 256), 256, values.begin());
    const auto [at, added] = known.try_emplace(values, std::uint16_t(known.size()));
    if (added) {
      AGON_CHECK(at->second < blocks_.size());
      blocks_[at->second] = values;
    }
    first_[block] = at->second;
  }
}

const CharClassTable& CharClassTable::get() {
  static const CharClassTable table;
  return table;
}

}  // namespace agon::llm
