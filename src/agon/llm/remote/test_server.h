// A small HTTP server on loopback for tests, which does whatever a test wants of it.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "agon/base/check.h"

namespace agon::llm {

struct TestRequest {
  int number = 0;  ///< From 0, in the order of their arrival.
  std::string head, body;
  [[nodiscard]] bool is(std::string_view start) const { return head.starts_with(start); }
};

/// Answers every connection's one request with the bytes that `answer` makes of it, and closes. `answer` runs
/// on a thread for each connection.
class TestServer {
 public:
  using Answer = std::function<std::string(const TestRequest&)>;
  explicit TestServer(Answer answer)
      : answer_(std::move(answer)), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    AGON_CHECK(::bind(listener_, plain, size) == 0 && ::listen(listener_, 64) == 0 &&
               ::getsockname(listener_, plain, &size) == 0);
    port_ = ntohs(address.sin_port);
    accepting_ = std::thread([this] { accept_all(); });
  }
  ~TestServer() {
    ::shutdown(listener_, SHUT_RDWR);
    accepting_.join();
    for (std::thread& thread : threads_) thread.join();
    ::close(listener_);
  }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1"; }
  [[nodiscard]] std::vector<TestRequest> requests() {
    const std::scoped_lock lock(mutex_);
    return requests_;
  }
  [[nodiscard]] int count() { return static_cast<int>(requests().size()); }
  /// Most requests that were being answered at the same time.
  [[nodiscard]] int most_at_once() {
    const std::scoped_lock lock(mutex_);
    return most_;
  }

 private:
  void accept_all() {
    for (;;) {
      const int client = ::accept(listener_, nullptr, nullptr);
      if (client < 0) return;
      threads_.emplace_back([this, client] { serve(client); });
    }
  }

  void serve(int client) {
    std::string text;
    std::size_t end = std::string::npos, length = 0;
    char buffer[4096];
    while (end == std::string::npos || text.size() < end + 4 + length) {
      const ssize_t got = ::recv(client, buffer, sizeof buffer, 0);
      if (got <= 0) break;
      text.append(buffer, static_cast<std::size_t>(got));
      if (end == std::string::npos && (end = text.find("\r\n\r\n")) != std::string::npos) {
        const std::size_t at = text.find("Content-Length: ");
        if (at < end) length = std::stoul(text.substr(at + 16));
      }
    }
    if (end != std::string::npos) {
      TestRequest request{.head = text.substr(0, end + 2), .body = text.substr(end + 4)};
      {
        const std::scoped_lock lock(mutex_);
        request.number = static_cast<int>(requests_.size());
        requests_.push_back(request);
        most_ = std::max(most_, ++running_);
      }
      const std::string answer = answer_(request);
      {
        const std::scoped_lock lock(mutex_);
        --running_;
      }
      for (std::size_t sent = 0; sent < answer.size();) {
        const ssize_t now = ::send(client, answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
        if (now <= 0) break;
        sent += static_cast<std::size_t>(now);
      }
    }
    ::shutdown(client, SHUT_WR);
    ::close(client);
  }

  Answer answer_;
  int listener_, port_ = 0, running_ = 0, most_ = 0;
  std::mutex mutex_;
  std::vector<TestRequest> requests_;
  std::vector<std::thread> threads_;  // of the accepting thread, until it has ended
  std::thread accepting_;
};

/// A whole answer.
[[nodiscard]] inline std::string http(int status, std::string_view body, std::string_view headers = {}) {
  return "HTTP/1.1 " + std::to_string(status) +
         " X\r\nConnection: close\r\nContent-Type: application/json\r\n" + std::string(headers) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

}  // namespace agon::llm
