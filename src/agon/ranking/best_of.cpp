#include "agon/ranking/best_of.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "agon/base/parallel.h"
#include "agon/base/random.h"
#include "agon/stats/normal.h"

namespace agon {
namespace {

constexpr std::uint32_t kMostVariants = 10000;

std::unexpected<Error> bad_group(std::string_view text, std::string why) {
  return std::unexpected(Error{.message = fmt::format("variants '{}': {}", text, why),
                               .expected = "NAME=variant1,variant2,... or NAME=12",
                               .kind = ErrorKind::kUsage});
}

}  // namespace

Result<VariantGroup> parse_variants(std::string_view text) {
  VariantGroup group;
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) return bad_group(text, "no name");
  group.name = text.substr(0, equals);
  const std::string_view list = text.substr(equals + 1);
  if (!list.empty() && std::ranges::all_of(list, [](char c) { return c >= '0' && c <= '9'; })) {
    const auto [end, failed] = std::from_chars(list.data(), list.data() + list.size(), group.hidden);
    if (failed != std::errc() || group.hidden < 2 || group.hidden > kMostVariants)
      return bad_group(text, fmt::format("a number of variants between 2 and {} is meant", kMostVariants));
    return group;
  }
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t comma = std::min(list.find(',', at), list.size());
    std::string name(list.substr(at, comma - at));
    if (name.empty()) return bad_group(text, "an empty variant");
    if (std::ranges::find(group.variants, name) != group.variants.end())
      return bad_group(text, fmt::format("'{}' twice", name));
    group.variants.push_back(std::move(name));
    at = comma + 1;
  }
  if (group.variants.size() < 2) return bad_group(text, "a choice needs two variants at least");
  if (group.variants.size() > kMostVariants) return bad_group(text, "too many variants");
  return group;
}

Result<BestOf> best_of(const VariantGroup& group, const std::vector<std::string>& names,
                       std::span<const double> strengths, const Covariance& covariance, std::uint64_t seed,
                       int draws) {
  std::vector<std::uint32_t> members;
  const auto find = [&](const std::string& name) -> Status {
    const auto place = std::ranges::find(names, name);
    if (place == names.end())
      return fail(fmt::format("variant '{}' is not among the competitors that can be compared", name));
    members.push_back(static_cast<std::uint32_t>(place - names.begin()));
    return {};
  };
  BestOf out;
  out.name = group.name;
  out.hidden = group.variants.empty();
  if (out.hidden) AGON_TRY(find(group.name));
  for (const std::string& variant : group.variants) AGON_TRY(find(variant));
  out.best = *std::ranges::max_element(members, {}, [&](std::uint32_t i) { return strengths[i]; });
  out.best_se = covariance.se(out.best);
  out.tried = out.hidden ? group.hidden : static_cast<std::uint32_t>(members.size());

  Matrix half;
  if (!out.hidden) {
    Matrix block(members.size(), members.size());
    for (std::size_t i = 0; i < members.size(); ++i)
      for (std::size_t j = 0; j < members.size(); ++j)
        block(i, j) = covariance.matrix(members[i], members[j]);
    half = half_of(block);
  }
  constexpr std::size_t kBlock = 1000;
  const std::size_t blocks = (static_cast<std::size_t>(std::max(draws, 1)) + kBlock - 1) / kBlock;
  std::vector<double> sum(blocks, 0), squares(blocks, 0);
  parallel_for(blocks, [&](std::size_t b) {
    Random random(seed, b);
    std::vector<float> z(out.tried);
    for (std::size_t d = 0; d < kBlock; ++d) {
      draw_normals(random, z);
      double largest = -1e300;
      for (std::size_t i = 0; i < z.size(); ++i) {
        double error = 0;
        if (out.hidden)
          error = out.best_se * static_cast<double>(z[i]);
        else
          for (std::size_t k = 0; k < half.cols; ++k) error += half(i, k) * static_cast<double>(z[k]);
        largest = std::max(largest, error);
      }
      sum[b] += largest;
      squares[b] += largest * largest;
    }
  });
  double total = 0, total_squares = 0;
  for (std::size_t b = 0; b < blocks; ++b) {
    total += sum[b];
    total_squares += squares[b];
  }
  const auto n = static_cast<double>(blocks * kBlock);
  out.inflation = total / n;
  out.simulation_error = std::sqrt(std::max(0.0, total_squares / n - out.inflation * out.inflation) / n);
  return out;
}

}  // namespace agon
