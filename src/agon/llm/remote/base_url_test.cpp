#include "agon/llm/remote/base_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace agon::llm {
namespace {

TEST(BaseUrl, TellsUrlsFromFiles) {
  for (const char* url : {"http://h/v1", "https://h", "HTTPS://h", "ftp://h", "a+b.c-d://x"})
    EXPECT_TRUE(is_url(url)) << url;
  for (const char* file : {"model.gguf", "/a/b.gguf", "./http:/x", "://x", "a b://x", "folder/http://x"})
    EXPECT_FALSE(is_url(file)) << file;
}

TEST(BaseUrl, TakesApart) {
  const auto url = parse_base_url("https://api.example.com:8443/v1/");
  ASSERT_TRUE(url) << url.error().to_string();
  EXPECT_EQ(url->text, "https://api.example.com:8443/v1");
  EXPECT_EQ(url->host, "api.example.com");
  EXPECT_TRUE(url->tls);
  EXPECT_FALSE(url->loopback);
  EXPECT_EQ(parse_base_url("http://h:1")->text, "http://h:1");
}

TEST(BaseUrl, KnowsThisMachine) {
  for (const char* host : {"localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]"})
    EXPECT_TRUE(parse_base_url(std::string("http://") + host + ":80/v1")->loopback) << host;
  for (const char* host :
       {"127.evil.com", "127.0.0.1.example.com", "localhost.example.com", "10.0.0.1", "[::2]", "0.0.0.0"})
    EXPECT_FALSE(parse_base_url(std::string("http://") + host + "/v1")->loopback) << host;
}

TEST(BaseUrl, RefusesWhatIsNone) {
  const std::pair<const char*, const char*> cases[] = {{"ftp://host/v1", "scheme 'ftp'"},
                                                       {"file:///etc/passwd", "scheme 'file'"},
                                                       {"http://", "no URL"},
                                                       {"http://h:99999/v1", "no URL"},
                                                       {"http://h/v1?key=1", "query"},
                                                       {"http://h/v1#x", "fragment"},
                                                       {"http://a b/v1", "no URL"}};
  for (const auto& [text, message] : cases) {
    const auto url = parse_base_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_THAT(url.error().to_string(), testing::HasSubstr(message)) << text;
    EXPECT_EQ(url.error().exit_code(), 2);
  }
  const auto url = parse_base_url("https://user:hunter2@host/v1");
  ASSERT_FALSE(url);
  EXPECT_THAT(url.error().to_string(), testing::HasSubstr("--key-env"));
  EXPECT_THAT(url.error().to_string(), testing::Not(testing::HasSubstr("hunter2")));
}

}  // namespace
}  // namespace agon::llm
