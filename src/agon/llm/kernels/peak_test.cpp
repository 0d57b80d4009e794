#include "agon/llm/kernels/peak.h"

#include <gtest/gtest.h>

#include <cmath>

namespace agon::llm {
namespace {

// Rates can't be told in advance, but a measurement whose loop a compiler has thrown away is absurd.
TEST(Peak, IsOfThisWorldAtEveryLevel) {
  Team team(1);
  for (int i = 0; i <= static_cast<int>(machine_cpu_level()); ++i) {
    const auto level = static_cast<CpuLevel>(i);
    const Peak peak = measure_peak(team, level, 0.0005);
    EXPECT_EQ(peak.threads, 1);
    // One core: from a slow one under a sanitizer to 10 GHz times two of the widest instructions, or a tile
    // of bytes every sixteen cycles.
    for (const double rate : {peak.int8, peak.f32}) {
      EXPECT_GT(rate, 1e7) << cpu_level_name(level);
      EXPECT_LT(rate, 1e10 * (level < CpuLevel::kAmx ? 2 * 128 : 2048)) << cpu_level_name(level);
    }
    EXPECT_GT(peak.bandwidth, 1e7);
    EXPECT_LT(peak.bandwidth, 1e12);
    if (level < CpuLevel::kBf16) {
      EXPECT_EQ(peak.bf16, 0);
    } else {
      EXPECT_GT(peak.bf16, 1e7);
    }
  }
}

}  // namespace
}  // namespace agon::llm
