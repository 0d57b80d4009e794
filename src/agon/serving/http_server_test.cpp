#include "agon/serving/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>

namespace agon::serving {
namespace {

using std::chrono::milliseconds;

/// Echoes bodies; "/wait" waits until the client is gone or it is released, "/stream" writes without end.
class Echo : public HttpHandler {
 public:
  std::optional<HttpReply> check(const HttpHead& head, const std::string&) override {
    if (head.path == "/early") return HttpReply{.status = 401, .body = "early"};
    if (head.method == "GET" || head.method == "HEAD")
      return HttpReply{.type = "text/plain", .body = "got " + head.path};
    return {};
  }
  HttpReply handle(const HttpRequest& request, HttpPeer& peer) override {
    if (request.head.path == "/wait") {
      peer.with_watch(
          [&] {
            const std::lock_guard lock(mutex);
            gone = true;
            changed.notify_all();
          },
          [&] {
            std::unique_lock lock(mutex);
            waiting = true;
            changed.notify_all();
            changed.wait(lock, [&] { return gone || released; });
          });
      return {.body = "waited"};
    }
    if (request.head.path == "/throws") throw std::bad_alloc();
    if (request.head.path == "/throws-later") {
      HttpReply reply{.type = "text/event-stream"};
      reply.stream = [](HttpSink& sink) {
        (void)sink.write("so far");
        throw std::bad_alloc();
      };
      return reply;
    }
    if (request.head.path == "/stream") {
      HttpReply reply{.type = "text/event-stream"};
      reply.stream = [this](HttpSink& sink) {
        const std::string piece(1000, 'x');
        while (sink.write(piece)) {
        }
        const std::lock_guard lock(mutex);
        gone = true;
        changed.notify_all();
      };
      return reply;
    }
    if (request.head.path == "/watched") {
      HttpReply reply{.type = "text/event-stream"};
      reply.stream = [&peer](HttpSink& sink) {
        peer.with_watch([] {}, [&] { (void)sink.write("watched"); });
      };
      return reply;
    }
    if (request.head.path == "/three") {
      HttpReply reply{.type = "text/event-stream"};
      reply.stream = [](HttpSink& sink) {
        for (const char* piece : {"one ", "", "two ", "three"}) (void)sink.write(piece);
      };
      return reply;
    }
    return {.body = request.head.path + ":" + request.body};
  }
  HttpReply refusal(int status, const std::string& message) override {
    return {.status = status, .body = message};
  }

  bool wait_for(bool Echo::* what) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(60), [&] { return this->*what; });
  }
  void release() {
    const std::lock_guard lock(mutex);
    released = true;
    changed.notify_all();
  }

  std::mutex mutex;
  std::condition_variable changed;
  bool gone = false, waiting = false, released = false;
};

/// A client that says exactly what it is told.
class Client {
 public:
  /// `from`: the address it comes from, of this machine.
  explicit Client(int port, const char* from = "127.0.0.1") : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    EXPECT_EQ(::inet_pton(AF_INET, from, &address.sin_addr), 1);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ~Client() { hang_up(); }
  void hang_up() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  void say(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return;  // the server has had enough
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  /// All until the text ends in `end`, or the server closes (always, if empty).
  std::string hear(std::string_view end = {}) {
    std::string text;
    char bytes[4096];
    while (end.empty() || !text.ends_with(end)) {
      const ssize_t count = ::recv(socket_, bytes, sizeof(bytes), 0);
      if (count <= 0) break;
      text.append(bytes, static_cast<std::size_t>(count));
    }
    return text;
  }

 private:
  int socket_;
};

class HttpServerTest : public testing::Test {
 protected:
  void start(HttpOptions options = {}) {
    options.port = 0;
    auto made = HttpServer::listen(options, echo_);
    ASSERT_TRUE(made) << made.error().to_string();
    server_ = std::move(*made);
    server_->start();
  }
  std::string ask(const std::string& bytes) {
    Client client(server_->port());
    client.say(bytes);
    return client.hear();
  }

  Echo echo_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersOneAfterTheOtherOnOneConnection) {
  start();
  Client client(server_->port());
  for (int i = 0; i < 10; ++i) {
    client.say("POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
    EXPECT_NE(client.hear("/a:abc").find("HTTP/1.1 200 OK\r\n"), std::string::npos);
  }
  // Two at once, the first in chunks.
  client.say(
      "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n0\r\n\r\nGET /c "
      "HTTP/1.1\r\nConnection: close\r\n\r\n");
  const std::string both = client.hear();
  EXPECT_NE(both.find("/b:xy"), std::string::npos);
  EXPECT_TRUE(both.ends_with("got /c")) << both;
}

TEST_F(HttpServerTest, AnswersAHeadWithoutABody) {
  start();
  const std::string reply = ask("HEAD /x HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_NE(reply.find("Content-Length: 6\r\n"), std::string::npos);
  EXPECT_TRUE(reply.ends_with("\r\n\r\n"));
}

TEST_F(HttpServerTest, StreamsInChunksOrUntilTheEnd) {
  start();
  const std::string chunked = ask("POST /three HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(chunked.ends_with("\r\n\r\n4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n")) << chunked;
  const std::string plain = ask("POST /three HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(plain.ends_with("\r\n\r\none two three")) << plain;
  EXPECT_EQ(plain.find("chunked"), std::string::npos);
}

TEST_F(HttpServerTest, TellsAClientToGoOnWithItsBody) {
  start();
  Client client(server_->port());
  client.say("POST /a HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.hear("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.say("abc");
  EXPECT_TRUE(client.hear().ends_with("/a:abc"));
}

TEST_F(HttpServerTest, RefusesAndStillAnswersOthers) {
  HttpOptions options;
  options.limits.max_body = 1000;
  start(options);
  EXPECT_TRUE(ask("nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(ask("POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n" + std::string(1001, 'x'))
                  .starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(ask("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + std::string(1001, 'x'))
                  .starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(ask("GET / HTTP/1.1\r\nX: " + std::string(kMaxHeadBytes, 'x')).starts_with("HTTP/1.1 431 "));
  // The body that nobody reads is no next request.
  const std::string early =
      ask("POST /early HTTP/1.1\r\nContent-Length: 27\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(early.starts_with("HTTP/1.1 401 "));
  EXPECT_EQ(early.find("smuggled"), std::string::npos);
  EXPECT_TRUE(ask("GET /fine HTTP/1.1\r\nConnection: close\r\n\r\n").ends_with("got /fine"));
}

TEST_F(HttpServerTest, LetsGoOfHalfSentRequestsAndIdleConnections) {
  HttpOptions options;
  options.limits.request = milliseconds(200);
  options.limits.idle = milliseconds(200);
  start(options);
  EXPECT_TRUE(ask("POST / HTTP/1.1\r\nContent-Le").starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(ask("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab").starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(
      ask("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab").starts_with("HTTP/1.1 408 "));
  EXPECT_EQ(ask(""), "");
  // A byte now and then does not help: the request as a whole is late.
  Client slow(server_->port());
  std::atomic<bool> done{false};
  std::thread drip([&] {
    while (!done) {
      slow.say("X");
      std::this_thread::sleep_for(milliseconds(20));
    }
  });
  EXPECT_TRUE(slow.hear().starts_with("HTTP/1.1 408 "));
  done = true;
  drip.join();
}

TEST_F(HttpServerTest, NoticesAtOnceThatAWaitingClientHungUp) {
  start();
  Client client(server_->port());
  client.say("POST /wait HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(echo_.wait_for(&Echo::waiting));
  client.hang_up();
  EXPECT_TRUE(echo_.wait_for(&Echo::gone));
}

TEST_F(HttpServerTest, NoticesThatAStreamIsNotWanted) {
  start();
  {
    Client client(server_->port());
    client.say("POST /stream HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    (void)client.hear("x");
  }
  EXPECT_TRUE(echo_.wait_for(&Echo::gone));
}

TEST_F(HttpServerTest, LetsGoOfAClientThatTakesNothing) {
  HttpOptions options;
  options.limits.stall = milliseconds(200);
  start(options);
  Client client(server_->port());
  client.say("POST /stream HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(echo_.wait_for(&Echo::gone));
}

TEST_F(HttpServerTest, AStreamMayWatchItsClient) {
  start();
  EXPECT_NE(
      ask("POST /watched HTTP/1.1\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx").find("watched\r\n"),
      std::string::npos);
}

TEST_F(HttpServerTest, SlowClientsDoNotHoldUpOthers) {
  start();
  std::vector<std::unique_ptr<Client>> slow;
  for (int i = 0; i < 64; ++i) {
    slow.push_back(std::make_unique<Client>(server_->port()));
    slow.back()->say(i % 2 == 0 ? "POST /stream HTTP/1.1\r\nContent-Length: 0\r\n\r\n" : "POST /half HTT");
  }
  for (int i = 0; i < 20; ++i)
    EXPECT_TRUE(ask("GET /x HTTP/1.1\r\nConnection: close\r\n\r\n").ends_with("got /x"));
}

TEST_F(HttpServerTest, SaysWhenItHasTooManyConnections) {
  HttpOptions options;
  options.max_connections = 4;
  start(options);
  std::vector<std::unique_ptr<Client>> kept;
  for (int i = 0; i < 3; ++i) {
    kept.push_back(std::make_unique<Client>(server_->port()));
    kept.back()->say("GET /1 HTTP/1.1\r\n\r\n");
    EXPECT_NE(kept.back()->hear("got /1").find("Connection: keep-alive"), std::string::npos);
  }
  // The last one is answered and not kept.
  EXPECT_NE(ask("GET /2 HTTP/1.1\r\n\r\n").find("Connection: close"), std::string::npos);
  while (server_->connections() > 3) std::this_thread::yield();
  Client waits(server_->port());
  waits.say("POST /wait HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(echo_.wait_for(&Echo::waiting));
  EXPECT_TRUE(ask("").starts_with("HTTP/1.1 503 "));
  // Those that are open still work, and when one goes there is room again.
  kept[0]->say("GET /3 HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(kept[0]->hear().ends_with("got /3"));
  kept[0]->hang_up();
  while (server_->connections() > 3) std::this_thread::yield();
  EXPECT_TRUE(ask("GET /4 HTTP/1.1\r\nConnection: close\r\n\r\n").ends_with("got /4"));
  echo_.release();
}

TEST_F(HttpServerTest, OneAddressLeavesConnectionsForOthers) {
  HttpOptions options;
  options.host = "0.0.0.0";
  options.max_connections = 8;
  start(options);
  std::vector<std::unique_ptr<Client>> held;
  for (int i = 0; i < 6; ++i) {
    held.push_back(std::make_unique<Client>(server_->port()));
    held.back()->say("GET /half");
  }
  while (server_->connections() < 6) std::this_thread::yield();
  const std::string request = "GET /x HTTP/1.1\r\nConnection: close\r\n\r\n";
  EXPECT_TRUE(ask("").starts_with("HTTP/1.1 503 "));
  // All of 127.0.0.0/8 is this machine: another client's address.
  Client other(server_->port(), "127.0.0.2");
  other.say(request);
  EXPECT_TRUE(other.hear().ends_with("got /x"));
  // One that lets go may come again.
  held.pop_back();
  while (server_->connections() > 5) std::this_thread::yield();
  EXPECT_TRUE(ask(request).ends_with("got /x"));
}

TEST_F(HttpServerTest, BoundsTheBodiesOfAllConnectionsTogether) {
  HttpOptions options;
  options.max_bodies = 1000;
  start(options);
  const auto post = [](const std::string& path, std::size_t bytes) {
    return "POST " + path + " HTTP/1.1\r\nConnection: close\r\nContent-Length: " + std::to_string(bytes) +
           "\r\n\r\n" + std::string(bytes, 'x');
  };
  Client waits(server_->port());
  waits.say(post("/wait", 800));
  ASSERT_TRUE(echo_.wait_for(&Echo::waiting));
  EXPECT_TRUE(ask(post("/b", 201)).starts_with("HTTP/1.1 503 "));
  EXPECT_TRUE(ask("POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nc9\r\n" + std::string(201, 'x') +
                  "\r\n0\r\n\r\n")
                  .starts_with("HTTP/1.1 503 "));
  EXPECT_TRUE(ask(post("/b", 200)).starts_with("HTTP/1.1 200 "));
  echo_.release();
  (void)waits.hear();
  // What was taken was given back, and a single long one is always taken.
  EXPECT_TRUE(ask(post("/b", 1500)).starts_with("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, AnswersThatFailHarmNobodyElse) {
  start();
  EXPECT_EQ(ask("POST /throws HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"), "");
  EXPECT_TRUE(ask("POST /throws-later HTTP/1.1\r\nContent-Length: 1\r\n\r\nx").ends_with("so far\r\n"));
  EXPECT_TRUE(ask("GET /fine HTTP/1.1\r\nConnection: close\r\n\r\n").ends_with("got /fine"));
  while (server_->connections() > 0) std::this_thread::yield();
}

TEST_F(HttpServerTest, FinishesWhatRunsBeforeItStops) {
  start();
  Client client(server_->port()), idle(server_->port());
  idle.say("GET /1 HTTP/1.1\r\n\r\n");
  (void)idle.hear("got /1");
  client.say("POST /wait HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(echo_.wait_for(&Echo::waiting));
  std::thread stopper([&] { server_->stop(); });
  EXPECT_EQ(idle.hear(), "");  // closed at once
  echo_.release();
  const std::string reply = client.hear();
  stopper.join();
  EXPECT_TRUE(reply.ends_with("waited")) << reply;
  EXPECT_NE(reply.find("Connection: close"), std::string::npos);
  EXPECT_FALSE(echo_.gone);
}

TEST(HttpServer, SaysWhyItCannotListen) {
  Echo echo;
  EXPECT_FALSE(HttpServer::listen({.host = "no such host."}, echo));
  auto first = HttpServer::listen({.port = 0}, echo);
  ASSERT_TRUE(first);
  EXPECT_TRUE((*first)->is_loopback());
  const auto second = HttpServer::listen({.port = (*first)->port()}, echo);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("cannot listen at 127.0.0.1 port"), std::string::npos);
  const auto open = HttpServer::listen({.host = "0.0.0.0", .port = 0}, echo);
  ASSERT_TRUE(open);
  EXPECT_FALSE((*open)->is_loopback());
}

}  // namespace
}  // namespace agon::serving
