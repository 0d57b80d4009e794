#include "agon/serving/http_head.h"

#include <gtest/gtest.h>

#include <string>

#include "agon/base/random.h"
#include "agon/serving/http_body.h"

namespace agon::serving {
namespace {

constexpr std::uint64_t kMaxBody = 1000;

int status_of(const std::string& bytes) {
  const auto head = parse_http_head(bytes, kMaxBody);
  return head ? 200 : head.error().status;
}

TEST(HttpHead, ReadsARequest) {
  const auto head = parse_http_head(
      "POST /v1/a%20b?x=1 HTTP/1.1\r\nHost: me\r\nContent-LENGTH:  12 \r\nX-Empty:\r\nConnection: "
      "close\r\n\r\n",
      kMaxBody);
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->method, "POST");
  EXPECT_EQ(head->path, "/v1/a b");
  EXPECT_EQ(head->query, "x=1");
  EXPECT_EQ(head->content_length, 12u);
  EXPECT_EQ(head->header("host"), "me");
  EXPECT_EQ(head->header("x-empty"), "");
  EXPECT_FALSE(head->keep_alive);
  EXPECT_TRUE(head->has_body());
}

TEST(HttpHead, KeepsAliveByVersion) {
  EXPECT_TRUE(parse_http_head("GET / HTTP/1.1\r\n\r\n", kMaxBody)->keep_alive);
  EXPECT_FALSE(parse_http_head("GET / HTTP/1.0\r\n\r\n", kMaxBody)->keep_alive);
  EXPECT_TRUE(parse_http_head("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", kMaxBody)->keep_alive);
}

TEST(HttpHead, RefusesWhatIsWrong) {
  std::string many = "GET / HTTP/1.1\r\n";
  for (std::size_t i = 0; i <= kMaxHeaders; ++i) many += "X: y\r\n";
  const std::string post = "POST / HTTP/1.1\r\n";
  const std::pair<std::string, int> cases[] = {
      {"GET / HTTP/1.1\r\nRange: bytes=0-,0-,0-\r\nAccept-Encoding: gzip\r\n\r\n", 200},  // passed over
      {"", 400},
      {"\r\n\r\n", 400},
      {"GET /\r\n\r\n", 400},
      {"GET  HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1 \r\n\r\n", 400},
      {"GET / HTTP/2.0\r\n\r\n", 505},
      {"GET / FTP/1.1\r\n\r\n", 400},
      {"G@T / HTTP/1.1\r\n\r\n", 400},
      {"GET http://other/ HTTP/1.1\r\n\r\n", 400},
      {"GET /%zz HTTP/1.1\r\n\r\n", 400},
      {"GET /% HTTP/1.1\r\n\r\n", 400},
      {"GET /%00 HTTP/1.1\r\n\r\n", 400},
      {"GET /%ff HTTP/1.1\r\n\r\n", 400},
      {"GET /" + std::string(3000, 'a') + " HTTP/1.1\r\n\r\n", 414},
      {many + "\r\n", 431},
      {"GET / HTTP/1.1\r\nNo colon\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n: y\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nSpace : y\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n folded: y\r\n\r\n", 400},
      {std::string("GET / HTTP/1.1\r\nX: \0\r\n\r\n", 23), 400},
      {"GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", 400},
      {"GET / HTTP/1.1\nX: y\n\n", 400},
      {"GET / HTTP/1.1\r\nX: y\r\n", 400},
      {post + "\r\n", 411},
      {post + "Content-Length: 1000\r\n\r\n", 200},
      {post + "Content-Length: 1001\r\n\r\n", 413},
      {post + "Content-Length: 99999999999999999999\r\n\r\n", 400},
      {post + "Content-Length: -1\r\n\r\n", 400},
      {post + "Content-Length: +1\r\n\r\n", 400},
      {post + "Content-Length: 1x\r\n\r\n", 400},
      {post + "Content-Length: \r\n\r\n", 400},
      {post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 200},
      {post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400},
      {post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {post + "Transfer-Encoding: chunked\r\n\r\n", 200},
      {post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
      {post + "Content-Length: 5\r\nContent-Encoding: gzip\r\n\r\n", 415},
      {post + "Content-Length: 5\r\nContent-Encoding: identity\r\n\r\n", 200},
      {post + "Content-Length: 5\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n", 415},
      {post + "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", 200},
      {post + "Content-Length: 5\r\nExpect: miracles\r\n\r\n", 417},
  };
  for (const auto& [bytes, status] : cases) EXPECT_EQ(status_of(bytes), status) << bytes.substr(0, 200);
}

TEST(HttpHead, SaysByHowMuchABodyIsTooLong) {
  const auto head = parse_http_head("POST / HTTP/1.1\r\nContent-Length: 1234\r\n\r\n", kMaxBody);
  EXPECT_EQ(head.error().message, "the body has 1234 bytes, 234 more than the limit of 1000");
}

TEST(HttpHead, KnowsWhereItEnds) {
  EXPECT_EQ(http_head_length("GET / HTTP/1.1\r\n\r\nbody"), 18u);
  EXPECT_EQ(http_head_length("GET / HTTP/1.1\r\n\r"), 0u);
}

// Pushes `bytes` in pieces that `cut` chooses; the body, or the status of the refusal as text.
template <class Cut>
std::string read_chunks(std::string_view bytes, const Cut& cut, std::string* left = nullptr) {
  ChunkedBody chunks(kMaxBody);
  std::string body;
  while (!bytes.empty() && !chunks.ended()) {
    const std::size_t count = std::min<std::size_t>(cut(), bytes.size());
    std::string_view piece = bytes.substr(0, count);
    if (const auto status = chunks.push(piece, body); !status) return std::to_string(status.error().status);
    bytes.remove_prefix(count - piece.size());
  }
  if (left != nullptr) *left = bytes;
  return chunks.ended() ? body : "unfinished";
}

TEST(ChunkedBody, ReadsTheSameInAnyPieces) {
  const std::string bytes =
      "5\r\nhello\r\n1;ext=\"x\"\r\n \r\n00B\r\nworld\r\n\r\n..\r\n0\r\nTrailer: x\r\n\r\nNEXT";
  std::string left;
  EXPECT_EQ(read_chunks(bytes, [] { return 1000; }, &left), "hello world\r\n\r\n..");
  EXPECT_EQ(left, "NEXT");
  EXPECT_EQ(read_chunks(bytes, [] { return 1; }), "hello world\r\n\r\n..");
  Random random(5);
  for (int i = 0; i < 200; ++i)
    ASSERT_EQ(read_chunks(bytes, [&] { return 1 + random.below(9); }, &left), "hello world\r\n\r\n..");
}

TEST(ChunkedBody, RefusesWhatIsWrong) {
  const auto whole = [] { return 100000; };
  EXPECT_EQ(read_chunks("5\r\nhel", whole), "unfinished");
  EXPECT_EQ(read_chunks("x\r\n", whole), "400");
  EXPECT_EQ(read_chunks("-5\r\nhello\r\n", whole), "400");
  EXPECT_EQ(read_chunks("0x5\r\nhello\r\n", whole), "400");
  EXPECT_EQ(read_chunks("\r\n", whole), "400");
  EXPECT_EQ(read_chunks("5\nhello\r\n", whole), "400");
  EXPECT_EQ(read_chunks("5\r\nhelloX\r\n", whole), "400");
  EXPECT_EQ(read_chunks("ffffffffffffffff\r\n", whole), "400");
  EXPECT_EQ(read_chunks(std::string(5000, '1'), whole), "400");
  EXPECT_EQ(read_chunks("3e8\r\n" + std::string(1000, 'x') + "\r\n0\r\n\r\n", whole), std::string(1000, 'x'));
  EXPECT_EQ(read_chunks("3e9\r\n" + std::string(1001, 'x') + "\r\n0\r\n\r\n", whole), "413");
  EXPECT_EQ(read_chunks("3e8\r\n" + std::string(1000, 'x') + "\r\n1\r\ny\r\n0\r\n\r\n", whole), "413");
  // Trailers and extensions without end.
  std::string trailers = "0\r\n";
  for (int i = 0; i < 10000; ++i) trailers += "Trailer: value\r\n";
  EXPECT_EQ(read_chunks(trailers, whole), "413");
}

}  // namespace
}  // namespace agon::serving
