#include "agon/preference/features/pairing.h"

#include <fmt/format.h>

#include <cmath>

#include "agon/base/check.h"

namespace agon {

std::vector<Column> paired_columns(std::string_view block, std::span<const Side> sides) {
  std::vector<Column> columns;
  const auto add = [&](const Side& side, std::string_view suffix, std::string_view how, Parity parity) {
    columns.push_back({fmt::format("{}.{}.{}", block, side.name, suffix),
                       fmt::format("{}, {}", side.description, how), parity});
  };
  for (const Side& side : sides) {
    const bool count = side.kind == Side::kCount;
    add(side, "diff", count ? "A minus B, logarithms" : "A minus B", Parity::kOdd);
    if (side.relative) add(side, "rel", "A minus B over their sum", Parity::kOdd);
    if (side.even & Side::kMean)
      add(side, "mean", count ? "mean of both, logarithms" : "mean of both", Parity::kEven);
    if (side.even & Side::kGap) add(side, "gap", "distance of A and B", Parity::kEven);
  }
  return columns;
}

std::span<float> pair_values(std::span<const Side> sides, std::span<const double> a,
                             std::span<const double> b, std::span<float> out) {
  AGON_CHECK(a.size() == sides.size() && b.size() == sides.size());
  std::size_t k = 0;
  for (std::size_t i = 0; i < sides.size(); ++i) {
    const bool count = sides[i].kind == Side::kCount;
    const double u = count ? std::log1p(a[i]) : a[i], v = count ? std::log1p(b[i]) : b[i];
    out[k++] = static_cast<float>(u - v);
    if (sides[i].relative) out[k++] = static_cast<float>((a[i] - b[i]) / (a[i] + b[i] + 1.0));
    if (sides[i].even & Side::kMean) out[k++] = static_cast<float>((u + v) / 2);
    if (sides[i].even & Side::kGap) out[k++] = static_cast<float>(std::fabs(u - v));
  }
  return out.subspan(k);
}

}  // namespace agon
