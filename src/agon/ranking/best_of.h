// Publishing the best of several private variants: how much the choice alone adds to a rating.
//
// A developer who tries N variants of a model in private and publishes the one that came out on top reports
// a maximum. Were all N equally strong, the maximum of their estimates would still lie above their common
// strength (Singh et al. 2025, "The leaderboard illusion", section 4; the winner's curse). Its expectation
// follows from the covariance of the estimates.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/ranking/covariance.h"

namespace agon {

struct VariantGroup {
  std::string name;
  std::vector<std::string> variants;  ///< competitors; or none, and
  std::uint32_t hidden = 0;           ///< so many variants tried, the published one (`name`) included
};
/// "NAME=variant1,variant2,..." or "NAME=12". An Error says what was expected.
[[nodiscard]] Result<VariantGroup> parse_variants(std::string_view text);

struct BestOf {
  std::string name;
  std::uint32_t tried = 0;
  std::uint32_t best = 0;       ///< the variant with the highest strength, or the published model
  double inflation = 0;         ///< E max(Z) of Z ~ N(0, covariance), log odds
  double simulation_error = 0;  ///< standard error of that figure
  double best_se = 0;           ///< of the best variant's strength
  bool hidden = false;          ///< errors of hidden variants taken as independent, of the same size
};
/// The group's inflation by `draws` draws. Variants that are no competitors are an Error.
[[nodiscard]] Result<BestOf> best_of(const VariantGroup& group, const std::vector<std::string>& names,
                                     std::span<const double> strengths, const Covariance& covariance,
                                     std::uint64_t seed, int draws = 100000);

}  // namespace agon
