// What this machine can do at most: the limits that speeds are given as shares of.
#pragma once

#include "agon/llm/kernels/cpu.h"
#include "agon/llm/kernels/team.h"

namespace agon::llm {

/// Rates of all threads together, in operations (a product and its addition are two) or bytes a second.
struct Peak {
  int threads = 0;
  double int8 = 0;       ///< Products of bytes, summed in 32 bits, by the level's best instructions.
  double f32 = 0;        ///< Fused (at CpuLevel::kPlain: separate) products and sums of floats.
  double bf16 = 0;       ///< Products of pairs of bfloat16, summed in float; 0 below CpuLevel::kBf16.
  double bandwidth = 0;  ///< Reading memory that no cache holds, each thread its own part.
};

/// Measures with chains of instructions that touch registers only, enough of them to hide the latency, and
/// by reading 512 MiB; in short runs of about `seconds`, of which the fastest counts. Takes about a second.
/// `level` must not be above machine_cpu_level().
[[nodiscard]] Peak measure_peak(Team& team, CpuLevel level, double seconds = 0.002);

}  // namespace agon::llm
