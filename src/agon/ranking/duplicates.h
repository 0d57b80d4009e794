// The same vote more than once: by its id, or by voter, prompt and pair.
#pragma once

#include <cstdint>
#include <string>

#include "agon/data/battles.h"

namespace agon {

struct Duplicates {
  bool looked = false;         ///< the columns for it are there
  std::string by;              ///< "voter, prompt and pair", or "id"
  std::uint64_t groups = 0;    ///< sets of equal votes of two or more
  std::uint64_t extra = 0;     ///< votes beyond the first of each set
  std::uint64_t disagree = 0;  ///< sets whose votes do not all have the same outcome
  /// Sets in which a voter judged a prompt and pair in both orders of show: a check of position on purpose,
  /// not a repetition.
  std::uint64_t both_orders = 0;
};

/// Equal voter, prompt, first and second. Rows without a voter or a prompt are passed over.
[[nodiscard]] Duplicates find_duplicates(const BattleRows& battles, const CodeColumn* voter,
                                         const CodeColumn* prompt);
/// Equal ids.
[[nodiscard]] Duplicates find_duplicate_ids(const BattleRows& battles, const CodeColumn& id);

}  // namespace agon
