// Counts of rows that the compiler knows, so that their sums lie in registers.
#pragma once

namespace agon::llm {

/// Calls body<n>() with n = count, for 1 <= count <= most.
template <int most, class Body>
inline void with_count(int count, Body body) {
  if constexpr (most > 1) {
    if (count < most) return with_count<most - 1>(count, body);
  }
  body.template operator()<most>();
}

}  // namespace agon::llm
