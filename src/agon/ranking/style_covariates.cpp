// Covariates from numbers of the answers and from groups (declared in style_regression.h).
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "agon/base/check.h"
#include "agon/ranking/style_regression.h"

namespace agon {

Result<Covariate> style_covariate(const PairedColumn& column, const StyleScale& scale,
                                  std::span<const std::uint32_t> rows) {
  AGON_CHECK(column.a.size() == column.b.size());
  Covariate out;
  out.name = column.name;
  out.value.resize(column.a.size());
  for (std::size_t r = 0; r < out.value.size(); ++r) {
    const float a = column.a[r], b = column.b[r];
    if (std::isinf(a) || std::isinf(b) || (scale.relative && (a < 0 || b < 0))) {
      Error error;
      error.message = fmt::format("style number {:g} and {:g}", a, b);
      error.row = r + 1;
      error.column = column.name;
      error.expected = scale.relative ? "finite numbers of at least 0" : "finite numbers";
      return std::unexpected(std::move(error));
    }
    float x = a - b;
    if (scale.relative) {
      const float sum = a + b + (scale.add_one ? 1.0F : 0.0F);
      x = sum == 0 ? 0 : x / sum;
    }
    out.value[r] = x;
  }
  const std::size_t n = rows.empty() ? out.value.size() : rows.size();
  const auto at = [&](std::size_t k) { return static_cast<double>(out.value[rows.empty() ? k : rows[k]]); };
  double count = 0, sum = 0, squares = 0;
  for (std::size_t k = 0; k < n; ++k) {
    if (std::isnan(at(k))) continue;
    ++count;
    sum += at(k);
  }
  const double mean = scale.centre && count > 0 ? sum / count : 0;
  for (std::size_t k = 0; k < n; ++k)
    if (!std::isnan(at(k))) squares += (at(k) - mean) * (at(k) - mean);
  const double spread = count > 0 ? std::sqrt(squares / count) : 0;
  if (!(spread > 1e-12)) {
    Error error;
    error.message = "a style column without differences between the answers";
    error.column = column.name;
    return std::unexpected(std::move(error));
  }
  for (float& x : out.value) x = static_cast<float>((static_cast<double>(x) - mean) / spread);
  return out;
}

Covariate home_covariate(const BattleRows& battles, const CodeColumn& voter,
                         std::span<const std::uint32_t> competitor_group,
                         std::span<const std::uint32_t> voter_group, std::string name) {
  AGON_CHECK(voter.code.size() == battles.size());
  Covariate out;
  out.name = std::move(name);
  out.value.assign(battles.size(), 0);
  for (std::size_t r = 0; r < battles.size(); ++r) {
    const std::uint32_t who = voter.code[r];
    if (who == CodeColumn::kNone || who >= voter_group.size() || voter_group[who] == CodeColumn::kNone)
      continue;
    const std::uint32_t group = voter_group[who];
    out.value[r] = static_cast<float>(competitor_group[battles.a[r]] == group) -
                   static_cast<float>(competitor_group[battles.b[r]] == group);
  }
  return out;
}

}  // namespace agon
