#include "agon/ranking/lanes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "agon/base/random.h"

namespace agon {
namespace {

using lanes::Doubles;

double uniform(Random& random) { return static_cast<double>(random.next() >> 11) * 0x1p-53; }

// All eight places of a function of one argument, against the C library's.
template <class Ours, class Theirs>
void expect_close(double x, const Ours& ours, const Theirs& theirs, double error) {
  const Doubles in = Doubles{} + x;
  Doubles out;
  ours(in, out);
  for (std::size_t k = 0; k < lanes::kWidth; ++k)
    ASSERT_NEAR(out[k], theirs(x), error * std::max(1e-300, std::abs(theirs(x)))) << x;
}

TEST(Lanes, LogarithmsAndExponentialsAreThoseOfTheLibrary) {
  const auto log_ours = [](const Doubles& x, Doubles& out) { lanes::log_positive(x, out); };
  const auto exp_ours = [](const Doubles& x, Doubles& out) { lanes::exp_negative(x, out); };
  const auto log1p_ours = [](const Doubles& x, Doubles& out) { lanes::log1p_unit(x, out); };
  Random random(3);
  for (int i = 0; i < 20000; ++i) {
    const double x = uniform(random);
    // Next to 1 the logarithm is small and right to 2 units of 1, so the relative error is looked at away
    // from there.
    const double y = std::exp(1400 * (x - 0.5));
    if (std::abs(std::log(y)) > 0.5) expect_close(y, log_ours, [](double v) { return std::log(v); }, 5e-16);
    expect_close(-700 * x, exp_ours, [](double v) { return std::exp(v); }, 5e-16);
    expect_close(x, log1p_ours, [](double v) { return std::log1p(v); }, 5e-16);
    expect_close(std::exp(-600 * x), log1p_ours, [](double v) { return std::log1p(v); }, 5e-16);
    Doubles near;
    lanes::log_positive(Doubles{} + (0.6 + x), near);
    ASSERT_NEAR(near[0], std::log(0.6 + x), 3e-16);
  }
  for (const double x : {1.0, 2.0, 0x1p-1022, 0x1p1023, std::numeric_limits<double>::max()})
    expect_close(x, log_ours, [](double v) { return std::log(v); }, 5e-16);
  Doubles out;
  lanes::log_positive(Doubles{} + std::numeric_limits<double>::infinity(), out);
  EXPECT_TRUE(std::isinf(out[3]));
  lanes::log_positive(Doubles{} + std::numeric_limits<double>::quiet_NaN(), out);
  EXPECT_TRUE(std::isnan(out[5]));
  lanes::exp_negative(Doubles{} - 800.0, out);
  EXPECT_EQ(out[0], 0);
}

}  // namespace
}  // namespace agon
