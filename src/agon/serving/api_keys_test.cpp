#include "agon/serving/api_keys.h"

#include <gtest/gtest.h>

namespace agon::serving {
namespace {

TEST(ApiKeys, NobodyNeedsOneByDefault) { EXPECT_FALSE(ApiKeys().required()); }

TEST(ApiKeys, FindsEachOfThem) {
  const auto keys = ApiKeys::parse("# of the team\nfirst-key-1\r\n\n  second-key-2  \nthird-key-3", "keys");
  ASSERT_TRUE(keys) << keys.error().to_string();
  EXPECT_TRUE(keys->required());
  EXPECT_EQ(keys->find("Bearer first-key-1"), 1u);
  EXPECT_EQ(keys->find("bearer second-key-2"), 2u);
  EXPECT_EQ(keys->find("BEARER  third-key-3 "), 3u);
  for (const char* wrong : {"", "Bearer", "Bearer ", "first-key-1", "Basic first-key-1", "Bearer first-key-",
                            "Bearer first-key-12", "Bearer FIRST-KEY-1", "Bearer # of the team"})
    EXPECT_EQ(keys->find(wrong), 0u) << wrong;
}

TEST(ApiKeys, RefusesBadOnesWithoutShowingThem) {
  for (const char* text : {"", "# nothing\n\n", "good-key-1\nshort", "good-key-1\nwith a space",
                           "good-key-1\n\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4"}) {
    const auto keys = ApiKeys::parse(text, "keys");
    ASSERT_FALSE(keys) << text;
    EXPECT_NE(keys.error().to_string().find("keys: "), std::string::npos);
    EXPECT_EQ(keys.error().to_string().find("short"), std::string::npos);
    EXPECT_EQ(keys.error().to_string().find("space\n"), std::string::npos);
  }
}

}  // namespace
}  // namespace agon::serving
