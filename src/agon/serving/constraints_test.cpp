#include "agon/serving/constraints.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "agon/llm/constrain/test_vocabulary.h"

namespace agon::serving {
namespace {

using Kind = ConstraintSpec::Kind;

ConstraintSpec regex(const std::string& text) {
  return {.kind = Kind::kRegex, .text = text, .field = "regex"};
}

TEST(Constraints, TheSameIsCompiledOnce) {
  const auto one = llm::make_tokenizer({"ab"}), other = llm::make_tokenizer({"ab"});
  Constraints constraints;
  const auto of = [&](const ConstraintSpec& spec, const llm::Tokenizer& tokenizer) {
    auto compiled = constraints.compile(spec, tokenizer);
    EXPECT_TRUE(compiled.has_value());
    return *compiled;
  };
  const auto first = of(regex("a+"), *one);
  ASSERT_NE(first, nullptr);
  ConstraintSpec renamed = regex("a+");
  renamed.field = "response_format.regex";
  EXPECT_EQ(of(renamed, *one), first);
  EXPECT_NE(of(regex("a+"), *other), first) << "of another vocabulary";
  EXPECT_NE(of(regex("a*b"), *one), first);
  const auto choice = of({.kind = Kind::kChoice, .choices = {"a", "b"}}, *one);
  EXPECT_NE(of({.kind = Kind::kChoice, .choices = {"ab"}}, *one), choice);
  EXPECT_EQ(of({.kind = Kind::kChoice, .choices = {"a", "b"}}, *one), choice);
  EXPECT_EQ(of({}, *one), nullptr);
}

TEST(Constraints, KindsOfOneTextAreApart) {
  const auto tokenizer = llm::make_tokenizer({});
  Constraints constraints;
  const auto schema = constraints.compile({.kind = Kind::kJsonSchema, .text = "true"}, *tokenizer);
  ASSERT_TRUE(schema.has_value());
  EXPECT_NE(*constraints.compile(regex("true"), *tokenizer), *schema);
}

TEST(Constraints, TheOneThatWasAskedForLongestAgoGoes) {
  const auto tokenizer = llm::make_tokenizer({});
  Constraints constraints;
  std::vector<std::shared_ptr<const llm::Constraint>> held;  // so that no address comes again
  const auto of = [&](std::size_t i) {
    held.push_back(*constraints.compile(regex("a{" + std::to_string(i + 1) + "}"), *tokenizer));
    return held.back();
  };
  const auto first = of(0), second = of(1);
  for (std::size_t i = 2; i < Constraints::kKept; ++i) (void)of(i);
  EXPECT_EQ(of(0), first);
  (void)of(Constraints::kKept);
  EXPECT_EQ(of(0), first);
  EXPECT_NE(of(1), second);
}

TEST(Constraints, AnErrorNamesItsFieldEachTime) {
  const auto tokenizer = llm::make_tokenizer({});
  Constraints constraints;
  for (const char* field : {"regex", "guided_regex"}) {
    ConstraintSpec wrong = regex("(");
    wrong.field = field;
    const auto compiled = constraints.compile(wrong, *tokenizer);
    ASSERT_FALSE(compiled.has_value());
    EXPECT_EQ(compiled.error().param, field);
  }
}

TEST(Constraints, ManyMayAskAtOnce) {
  const auto tokenizer = llm::make_tokenizer({"aa", "bb"});
  Constraints constraints;
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < 50; ++i) {
        const auto compiled =
            constraints.compile(regex("(a|b){" + std::to_string((t + i) % 6 + 1) + "}"), *tokenizer);
        EXPECT_TRUE(compiled.has_value() && *compiled != nullptr);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace agon::serving
