#include "agon/data/vote.h"

#include <utility>

namespace agon {

Vote swapped(const Vote& vote) {
  Vote out = vote;
  std::swap(out.model_a, out.model_b);
  std::swap(out.response_a, out.response_b);
  if (vote.outcome == Outcome::kA) out.outcome = Outcome::kB;
  if (vote.outcome == Outcome::kB) out.outcome = Outcome::kA;
  return out;
}

}  // namespace agon
