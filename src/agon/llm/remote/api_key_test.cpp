#include "agon/llm/remote/api_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "agon/base/file.h"

namespace agon::llm {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(ApiKey, FromTheEnvironment) {
  ::setenv("AGON_TEST_KEY", " sk-secret\n", 1);
  EXPECT_EQ(ApiKey::from_environment("AGON_TEST_KEY", false)->authorization(), "Bearer sk-secret");
  ::setenv("AGON_TEST_KEY", "two words", 1);
  const auto bad = ApiKey::from_environment("AGON_TEST_KEY", false);
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().to_string(), AllOf(HasSubstr("AGON_TEST_KEY"), Not(HasSubstr("words"))));
  ::unsetenv("AGON_TEST_KEY");
  EXPECT_TRUE(ApiKey::from_environment("AGON_TEST_KEY", true)->empty());
  EXPECT_THAT(ApiKey::from_environment("AGON_TEST_KEY", false).error().to_string(),
              HasSubstr("AGON_TEST_KEY is not set"));
}

TEST(ApiKey, AKeyInPlaceOfItsVariablesNameIsNotShown) {
  for (const char* name : {"sk-secret", "", "9secret", "sec ret", "secret=",
                           "s\xC3\xA9"
                           "cret"}) {
    const auto refused = ApiKey::from_environment(name, false);
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().exit_code(), 2);
    EXPECT_THAT(refused.error().to_string(), AllOf(HasSubstr("--key-env"), Not(HasSubstr("cret"))));
  }
}

TEST(ApiKey, FromTheFirstLineOfAFile) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("agon_key_" + std::to_string(::getpid()))).string();
  ASSERT_TRUE(write_file(path, "sk-file\r\nsecond\n"));
  EXPECT_EQ(ApiKey::from_file(path)->authorization(), "Bearer sk-file");
  for (const char* text : {"", "\n", "k\xc3\xa9y\n"}) {
    ASSERT_TRUE(write_file(path, text));
    const auto key = ApiKey::from_file(path);
    ASSERT_FALSE(key);
    EXPECT_THAT(key.error().to_string(), HasSubstr(path));
  }
  std::filesystem::remove(path);
  EXPECT_FALSE(ApiKey::from_file(path));
}

TEST(ApiKey, IsTakenOutOfTexts) {
  ::setenv("AGON_TEST_KEY", "abc", 1);
  const ApiKey key = ApiKey::from_environment("AGON_TEST_KEY", false).value();
  ::unsetenv("AGON_TEST_KEY");
  EXPECT_EQ(key.redact("wrong key abc, abcabc"), "wrong key [key], [key][key]");
  EXPECT_EQ(ApiKey().redact("abc"), "abc");
}

}  // namespace
}  // namespace agon::llm
