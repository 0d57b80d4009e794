#include "agon/preference/lm/reading_budget.h"

#include <algorithm>
#include <numeric>

namespace agon {

std::vector<std::size_t> turns_read(std::size_t turns) {
  turns = std::max<std::size_t>(turns, 1);
  std::vector<std::size_t> out;
  const std::size_t skipped = turns > ReadingBudget::kMostTurns ? turns - ReadingBudget::kMostTurns : 0;
  for (std::size_t i = 0; i < turns; ++i)
    if (i == 0 || i > skipped) out.push_back(i);
  return out;
}

std::vector<std::size_t> share_out(const std::vector<std::size_t>& wanted, std::size_t budget) {
  std::vector<std::size_t> order(wanted.size()), kept(wanted.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return wanted[i]; });
  std::size_t left = budget;
  for (std::size_t k = 0; k < order.size(); ++k) {
    kept[order[k]] = std::min(wanted[order[k]], left / (order.size() - k));
    left -= kept[order[k]];
  }
  return kept;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\f\v";
  const std::size_t first = text.find_first_not_of(kSpace);
  return first == std::string_view::npos ? std::string_view{}
                                         : text.substr(first, text.find_last_not_of(kSpace) + 1 - first);
}

}  // namespace agon
