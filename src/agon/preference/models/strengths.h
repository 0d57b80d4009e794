// How strong each model of the training rows is: Bradley-Terry with a prior from a ratings file.
#pragma once

#include <map>
#include <span>
#include <string>

#include "agon/data/ratings.h"
#include "agon/data/vote.h"

namespace agon {

struct StrengthOptions {
  double known_sd = 0.1;    ///< of a model in the ratings file around its rating, natural-log units
  double unknown_sd = 0.7;  ///< of any other model around the mean
};

/// Maximum a posteriori strengths (natural-log odds, ties as half wins) of every named model of
/// `rows`: Newton's method on the Bradley-Terry likelihood with independent normal priors. A model
/// of the ratings file is centred on its rating there, the others on the mean of those.
[[nodiscard]] std::map<std::string, double> fit_strengths(std::span<const Vote> votes,
                                                          std::span<const std::uint32_t> rows,
                                                          std::span<const double> weights,
                                                          const Ratings& ratings,
                                                          const StrengthOptions& options);

}  // namespace agon
