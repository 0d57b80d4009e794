#include "agon/llm/remote/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>

#include "agon/llm/remote/test_server.h"

namespace agon::llm {
namespace {

using testing::HasSubstr;
using testing::Not;

// Delays that no test has to wait for.
HttpOptions quick() {
  HttpOptions options;
  options.first_delay = 0.001;
  options.max_tries = 4;
  return options;
}

std::unique_ptr<HttpClient> client_of(const TestServer& server, const HttpOptions& options = quick(),
                                      ApiKey key = {}) {
  return HttpClient::create(parse_base_url(server.url()).value(), std::move(key), options).value();
}

// The reply's body, or the error.
std::string asked(TestServer& server, const HttpOptions& options = quick()) {
  const auto reply = client_of(server, options)->ask({.path = "/x", .body = "{}"});
  return reply ? reply->body : reply.error().to_string();
}

ApiKey secret() {
  ::setenv("AGON_TEST_KEY", "sk-secret-1", 1);
  return ApiKey::from_environment("AGON_TEST_KEY", false).value();
}

TEST(HttpClient, AsksAndSendsTheKey) {
  TestServer server(
      [](const TestRequest& request) { return http(200, request.is("POST /v1/x ") ? request.body : "get"); });
  const auto client = client_of(server, quick(), secret());
  EXPECT_EQ(client->ask({.path = "/x", .body = "{\"a\":1}"})->body, "{\"a\":1}");
  EXPECT_EQ(client->ask({.path = "/y", .body = {}})->body, "get");
  EXPECT_THAT(server.requests()[0].head, HasSubstr("\r\nAuthorization: Bearer sk-secret-1\r\n"));
  EXPECT_THAT(server.requests()[1].head, testing::StartsWith("GET /v1/y HTTP/1.1\r\n"));
  EXPECT_EQ(client->sent(), 2U);
}

TEST(HttpClient, TriesAgainWhatMayBeOtherNextTime) {
  for (const int status : {408, 425, 429, 500, 502, 503, 504}) {
    TestServer server([&](const TestRequest& request) {
      return request.number < 2 ? http(status, "{}") : http(200, "done");
    });
    EXPECT_EQ(asked(server), "done") << status;
    EXPECT_EQ(server.count(), 3) << status;
  }
}

TEST(HttpClient, NeverTriesAgainWhatIsWrong) {
  for (const int status : {400, 401, 404, 422, 501}) {
    TestServer server(
        [&](const TestRequest&) { return http(status, "{\"error\":{\"message\":\"not so\"}}"); });
    const auto client = client_of(server);
    const auto reply = client->ask({.path = "/x", .body = "{}"});
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, status);
    EXPECT_THAT(client->error_of("/x", *reply).to_string(),
                HasSubstr("/v1/x: status " + std::to_string(status) + ": not so"));
    EXPECT_EQ(server.count(), 1) << status;
  }
}

TEST(HttpClient, BrokenConnectionsAndCutBodies) {
  const std::string whole = http(200, "done");
  const std::string broken[] = {"", "HTTP/1.1 200 OK\r\nConte", whole.substr(0, whole.size() - 2),
                                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndo"};
  for (const std::string& bytes : broken) {
    TestServer server([&](const TestRequest& request) { return request.number == 0 ? bytes : whole; });
    EXPECT_EQ(asked(server), "done") << bytes;
    EXPECT_EQ(server.count(), 2) << bytes;
  }
}

TEST(HttpClient, GivesUpWithTheLastCause) {
  TestServer server([](const TestRequest& request) {
    return request.number == 3 ? http(500, "{\"message\":\"the last one\"}") : http(503, "{}");
  });
  EXPECT_THAT(asked(server),
              HasSubstr("gave up after 4 tries: " + server.url() + "/x: status 500: the last one"));
  EXPECT_EQ(server.count(), 4);
}

TEST(HttpClient, TimesOut) {
  TestServer server([](const TestRequest&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    return http(200, "late");
  });
  HttpOptions options = quick();
  options.timeout = 0.05;
  options.max_tries = 2;
  EXPECT_THAT(asked(server, options), HasSubstr("gave up after 2 tries: Operation timed out"));
}

TEST(HttpClient, SaysWhenNobodyListens) {
  std::string url;
  {
    TestServer gone([](const TestRequest&) { return std::string(); });
    url = gone.url();
  }
  const auto reply =
      HttpClient::create(parse_base_url(url).value(), {}, quick()).value()->ask({.path = "/x", .body = {}});
  ASSERT_FALSE(reply);
  EXPECT_THAT(reply.error().to_string(), HasSubstr("gave up after 4 tries: Failed to connect"));
}

TEST(HttpClient, ObeysRetryAfter) {
  TestServer server([](const TestRequest& request) {
    return request.number == 0 ? http(429, "{}", "Retry-After: 1\r\n") : http(200, "done");
  });
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(asked(server), "done");
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
  TestServer slow([](const TestRequest&) { return http(503, "{}", "Retry-After: 86400\r\n"); });
  EXPECT_THAT(asked(slow), HasSubstr("the server asks to wait 86400 s"));
  EXPECT_EQ(slow.count(), 1);
  TestServer broke(
      [](const TestRequest&) { return http(429, "{\"error\":{\"code\":\"insufficient_quota\"}}"); });
  (void)asked(broke);
  EXPECT_EQ(broke.count(), 1);
}

TEST(HttpClient, BoundsBodies) {
  TestServer server([](const TestRequest&) { return http(200, std::string(100'000, 'x')); });
  HttpOptions options = quick();
  options.max_reply = 99'999;
  EXPECT_THAT(asked(server, options), HasSubstr("the reply is over 99999 bytes"));
  EXPECT_EQ(server.count(), 1);
  options.max_reply = 100'000;
  EXPECT_EQ(asked(server, options).size(), 100'000U);
}

TEST(HttpClient, RedirectsAreNotFollowed) {
  TestServer other([](const TestRequest&) { return http(200, "trap"); });
  TestServer server([&](const TestRequest&) { return http(307, "", "Location: " + other.url() + "/x\r\n"); });
  const auto client = client_of(server, quick(), secret());
  const auto reply = client->ask({.path = "/x", .body = "{}"});
  ASSERT_TRUE(reply);
  EXPECT_THAT(client->error_of("/x", *reply).to_string(),
              HasSubstr("status 307: redirects are not followed; it points to " + other.url()));
  EXPECT_EQ(other.count(), 0);
}

TEST(HttpClient, TheKeyIsInNoMessage) {
  TestServer server([](const TestRequest& request) {
    return request.number == 0 ? http(401, "{\"error\":{\"message\":\"bad key sk-secret-1\"}}")
                               : http(500, "sk-secret-1");
  });
  const auto client = client_of(server, quick(), secret());
  const auto reply = client->ask({.path = "/x", .body = "{}"});
  EXPECT_THAT(client->error_of("/x", *reply).to_string(),
              AllOf(HasSubstr("bad key [key]"), Not(HasSubstr("secret"))));
  EXPECT_THAT(client->ask({.path = "/x", .body = "{}"}).error().to_string(),
              AllOf(HasSubstr("[key]"), Not(HasSubstr("secret"))));
}

TEST(HttpClient, KeysDoNotGoOverPlainHttpToOthers) {
  const auto other = parse_base_url("http://192.0.2.1/v1").value();
  const auto refused = HttpClient::create(other, secret(), quick());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().to_string(), AllOf(HasSubstr("--key-over-http"), Not(HasSubstr("secret"))));
  EXPECT_TRUE(HttpClient::create(other, {}, quick()));
  EXPECT_TRUE(HttpClient::create(other, secret(), quick(), true));
  EXPECT_TRUE(HttpClient::create(parse_base_url("https://192.0.2.1/v1").value(), secret(), quick()));
}

TEST(HttpClient, ManyAtOnceWithinTheBound) {
  TestServer server([](const TestRequest& request) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return request.number % 17 == 5 ? http(429, "{}") : http(200, request.body);
  });
  HttpOptions options = quick();
  options.max_concurrency = 6;
  options.max_tries = 50;
  const auto client = client_of(server, options);
  std::size_t next = 0;
  std::vector<std::string> got(200);
  const auto status = client->run(
      [&]() -> std::optional<HttpRequest> {
        if (next == got.size()) return std::nullopt;
        return HttpRequest{.path = "/x", .body = std::to_string(next++)};
      },
      [&](std::size_t id, HttpReply& reply) -> Result<std::string> {
        got[id] = reply.body;
        return std::string();
      });
  ASSERT_TRUE(status) << status.error().error.to_string();
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], std::to_string(i));
  EXPECT_LE(server.most_at_once(), 6);
  EXPECT_EQ(client->sent(), static_cast<std::uint64_t>(server.count()));
}

TEST(HttpClient, WhatIsInFlightIsHandedOverAfterAFailure) {
  TestServer server([](const TestRequest& request) {
    if (request.body == "1") return http(400, "{}");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return http(200, request.body);
  });
  const auto client = client_of(server);
  std::size_t next = 0;
  std::vector<std::size_t> done;
  const auto status = client->run(
      [&]() -> std::optional<HttpRequest> {
        return HttpRequest{.path = "/x", .body = std::to_string(next++)};
      },
      [&](std::size_t id, HttpReply& reply) -> Result<std::string> {
        if (reply.status != 200) return fail("no");
        done.push_back(id);
        return std::string();
      });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().id, 1U);
  EXPECT_EQ(status.error().error.message, "no");
  EXPECT_EQ(static_cast<int>(done.size()), server.count() - 1);
  EXPECT_THAT(done, testing::Contains(0U));
}

}  // namespace
}  // namespace agon::llm
