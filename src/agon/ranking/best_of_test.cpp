#include "agon/ranking/best_of.h"

#include <gtest/gtest.h>

#include <cmath>

#include "agon/base/parallel.h"

namespace agon {
namespace {

Covariance with(const Matrix& matrix) {
  Covariance c;
  c.layout.competitors = matrix.rows;
  c.matrix = matrix;
  return c;
}

TEST(BestOf, ExpectedMaximaAreThoseOfTheTables) {
  // Independent standard normals: 1/sqrt(pi), 3/(2 sqrt(pi)), and 1.16296 for five (Teichroew 1956).
  Matrix unit(5, 5);
  for (std::size_t i = 0; i < 5; ++i) unit(i, i) = 1;
  const std::vector<std::string> names = {"a", "b", "c", "d", "e"};
  const std::vector<double> strengths = {0.1, 0.4, 0, -0.1, 0.3};
  const auto two = best_of({"x", {"a", "b"}, 0}, names, strengths, with(unit), 1);
  ASSERT_TRUE(two);
  EXPECT_NEAR(two->inflation, 0.56419, 5 * two->simulation_error);
  EXPECT_LT(two->simulation_error, 0.004);
  EXPECT_EQ(two->best, 1U);
  const auto five = best_of({"x", names, 0}, names, strengths, with(unit), 1);
  EXPECT_NEAR(five->inflation, 1.16296, 5 * five->simulation_error);
  // Hidden variants are as many independent errors of the published model's size.
  const auto hidden = best_of({"a", {}, 3}, names, strengths, with(unit), 1);
  EXPECT_NEAR(hidden->inflation, 0.84628, 5 * hidden->simulation_error);
  EXPECT_TRUE(hidden->hidden);
}

TEST(BestOf, CorrelationLessensIt) {
  // Of two with correlation r: sqrt((1 - r) / pi).
  Matrix m(2, 2);
  m(0, 0) = m(1, 1) = 1;
  m(0, 1) = m(1, 0) = 0.75;
  const std::vector<double> strengths = {0, 0};
  const auto two = best_of({"x", {"a", "b"}, 0}, {"a", "b"}, strengths, with(m), 2);
  EXPECT_NEAR(two->inflation, std::sqrt(0.25 / 3.14159265), 5 * two->simulation_error);
  set_thread_count(1);
  EXPECT_EQ(best_of({"x", {"a", "b"}, 0}, {"a", "b"}, strengths, with(m), 2)->inflation, two->inflation);
  set_thread_count(0);
}

TEST(BestOf, ReadsGroups) {
  const auto group = parse_variants("llama=v1,v2,v3");
  ASSERT_TRUE(group);
  EXPECT_EQ(group->name, "llama");
  EXPECT_EQ(group->variants, (std::vector<std::string>{"v1", "v2", "v3"}));
  EXPECT_EQ(parse_variants("llama=27")->hidden, 27U);
  for (const char* bad : {"", "llama", "=a,b", "x=", "x=a", "x=a,", "x=a,,b", "x=a,a", "x=1", "x=0",
                          "x=99999999999", "x=20000"}) {
    const auto read = parse_variants(bad);
    ASSERT_FALSE(read) << bad;
    EXPECT_EQ(read.error().kind, ErrorKind::kUsage);
  }
  Matrix m(2, 2);
  const std::vector<double> strengths = {0, 0};
  EXPECT_FALSE(best_of({"x", {"a", "c"}, 0}, {"a", "b"}, strengths, with(m), 2));
}

}  // namespace
}  // namespace agon
