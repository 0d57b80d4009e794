#include "agon/serving/http_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "agon/serving/gone_watch.h"

namespace agon::serving {
namespace {

// Bursts of clients wait here until they are accepted; the kernel's own limit is usually larger.
constexpr int kBacklog = 511;

std::string address_of(const sockaddr_storage& address, socklen_t length, bool with_port) {
  char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";
  (void)::getnameinfo(reinterpret_cast<const sockaddr*>(&address), length, host, sizeof(host), port,
                      sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
  if (!with_port) return host;
  return address.ss_family == AF_INET6 ? fmt::format("[{}]:{}", host, port)
                                       : fmt::format("{}:{}", host, port);
}

bool is_loopback_address(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
  }
  return address.ss_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

std::string head_of(const HttpReply& reply, bool keep_alive, bool chunked, std::size_t length) {
  std::string head =
      fmt::format("HTTP/1.1 {} {}\r\nDate: {:%a, %d %b %Y %H:%M:%S} GMT\r\nContent-Type: {}\r\n",
                  reply.status, http_status_words(reply.status), fmt::gmtime(std::time(nullptr)), reply.type);
  for (const auto& [name, value] : reply.headers) head += fmt::format("{}: {}\r\n", name, value);
  if (reply.stream)
    head +=
        chunked ? "Transfer-Encoding: chunked\r\nCache-Control: no-cache\r\n" : "Cache-Control: no-cache\r\n";
  else
    head += fmt::format("Content-Length: {}\r\n", length);
  head += "X-Content-Type-Options: nosniff\r\n";
  head += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  return head;
}

class Sink : public HttpSink {
 public:
  Sink(Connection& connection, bool chunked) : connection_(connection), chunked_(chunked) {}
  bool write(std::string_view bytes) override {
    if (bytes.empty() || !alive_) return alive_;
    // In one piece: each send may become a packet.
    alive_ = chunked_ ? connection_.write(fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes))
                      : connection_.write(bytes);
    return alive_;
  }
  bool finish() {
    if (alive_ && chunked_) alive_ = connection_.write("0\r\n\r\n");
    return alive_;
  }

 private:
  Connection& connection_;
  bool chunked_, alive_ = true;
};

/// Writes a reply; false when the connection cannot go on.
bool write_reply(Connection& connection, const HttpReply& reply, bool http11, bool keep_alive,
                 bool head_only) {
  if (!reply.stream) {
    std::string bytes = head_of(reply, keep_alive, false, reply.body.size());
    if (!head_only) bytes += reply.body;
    return connection.write(bytes) && keep_alive;
  }
  keep_alive = keep_alive && http11;  // without chunks the end of the answer is that of the connection
  if (!connection.write(head_of(reply, keep_alive, http11, 0))) return false;
  Sink sink(connection, http11);
  reply.stream(sink);
  return sink.finish() && keep_alive;
}

class Peer : public HttpPeer {
 public:
  Peer(GoneWatch& watch, int socket) : watch_(watch), socket_(socket) {}
  void with_watch(const std::function<void()>& gone, const std::function<void()>& work) override {
    const GoneWatch::Guard guard = watch_.watch(socket_, gone);
    work();
  }

 private:
  GoneWatch& watch_;
  int socket_;
};

/// A body's part of what all bodies together may take, while it lives.
class BodyShare {
 public:
  BodyShare(std::atomic<std::uint64_t>& held, std::uint64_t most) : held_(held), most_(most) {}
  BodyShare(const BodyShare&) = delete;
  BodyShare& operator=(const BodyShare&) = delete;
  ~BodyShare() { held_.fetch_sub(bytes_); }
  /// False when there is no room for a body that has become so long, unless it is the only one.
  [[nodiscard]] bool grow_to(std::uint64_t bytes) {
    const std::uint64_t now = held_.fetch_add(bytes - bytes_) + bytes - bytes_;
    bytes_ = bytes;
    return now <= most_ || now == bytes_;
  }

 private:
  std::atomic<std::uint64_t>& held_;
  std::uint64_t most_, bytes_ = 0;
};

/// Whose connections are counted together: an address, or of IPv6 the 64 bits of a network, as whoever has
/// one address there has them all.
std::string network_of(const sockaddr_storage& address, const std::string& host) {
  if (address.ss_family != AF_INET6) return host;
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return host;
  return std::string(reinterpret_cast<const char*>(v6.s6_addr), 8);
}

struct Accepted {
  int socket;
  std::string remote, network;
};

}  // namespace

struct HttpServer::State {
  State(const HttpOptions& o, HttpHandler& h) : options(o), handler(h) {}
  ~State() {
    if (listener >= 0) ::close(listener);
    if (wake >= 0) ::close(wake);
  }

  Status bind();
  void accept_loop();
  void take(Accepted accepted);
  [[nodiscard]] bool is_full_for(const std::string& network) const;
  void worker();
  void serve(Connection& connection);

  HttpOptions options;
  HttpHandler& handler;
  std::unique_ptr<GoneWatch> watch;
  int listener = -1, wake = -1, port = 0;
  bool loopback = false;
  std::string address;

  std::thread acceptor;
  mutable std::mutex mutex;
  std::condition_variable arrived;
  std::vector<std::thread> workers;
  std::deque<Accepted> waiting;
  std::set<int> idle;                     // sockets between two requests
  std::map<std::string, int> by_network;  // connections that are open
  int connections = 0, free_workers = 0;
  std::atomic<std::uint64_t> body_bytes{0};
  bool stopping = false;
};

Status HttpServer::State::bind() {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* list = nullptr;
  if (const int code =
          ::getaddrinfo(options.host.c_str(), std::to_string(options.port).c_str(), &hints, &list);
      code != 0)
    return fail(fmt::format("'{}' is no address to listen at: {}", options.host, ::gai_strerror(code)));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
  int why = 0;
  for (const addrinfo* at = list; at != nullptr && listener < 0; at = at->ai_next) {
    const int socket = ::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket < 0) continue;
    const int on = 1;
    (void)::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (::bind(socket, at->ai_addr, at->ai_addrlen) == 0 && ::listen(socket, kBacklog) == 0) {
      listener = socket;
    } else {
      why = errno;
      ::close(socket);
    }
  }
  if (listener < 0)
    return fail(
        fmt::format("cannot listen at {} port {}: {}", options.host, options.port, std::strerror(why)));
  sockaddr_storage bound{};
  socklen_t length = sizeof(bound);
  (void)::getsockname(listener, reinterpret_cast<sockaddr*>(&bound), &length);
  address = address_of(bound, length, true);
  loopback = is_loopback_address(bound);
  port = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                                           : reinterpret_cast<const sockaddr_in&>(bound).sin_port);
  wake = ::eventfd(0, EFD_CLOEXEC);
  if (wake < 0) return fail("no more files can be opened");
  AGON_ASSIGN(watch, GoneWatch::start());
  return {};
}

void HttpServer::State::accept_loop() {
  for (;;) {
    pollfd wanted[2] = {{listener, POLLIN, 0}, {wake, POLLIN, 0}};
    if (::poll(wanted, 2, -1) < 0 && errno != EINTR) return;
    if (wanted[1].revents != 0) return;
    sockaddr_storage remote{};
    socklen_t length = sizeof(remote);
    const int socket = ::accept4(listener, reinterpret_cast<sockaddr*>(&remote), &length, SOCK_CLOEXEC);
    if (socket < 0) {
      // Out of files or memory: others will give theirs back; the client waits in the backlog.
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        pollfd pause{wake, POLLIN, 0};
        if (::poll(&pause, 1, 20) > 0) return;
      }
      continue;
    }
    const int on = 1;
    (void)::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    std::string host = address_of(remote, length, false);
    std::string network = network_of(remote, host);
    take({socket, std::move(host), std::move(network)});
  }
}

// The last quarter is kept for others than who holds the rest, except where all come from this machine.
bool HttpServer::State::is_full_for(const std::string& network) const {
  if (connections >= options.max_connections) return true;
  const auto its = by_network.find(network);
  return !loopback && its != by_network.end() &&
         its->second >= options.max_connections - options.max_connections / 4;
}

void HttpServer::State::take(Accepted accepted) {
  const int socket = accepted.socket;
  bool full = false;
  {
    const std::lock_guard lock(mutex);
    full = is_full_for(accepted.network);
    if (!full) {
      ++connections;
      ++by_network[accepted.network];
      waiting.push_back(std::move(accepted));
      if (static_cast<int>(waiting.size()) > free_workers) {
        try {
          workers.emplace_back([this] { worker(); });
        } catch (const std::system_error&) {  // no more threads: the others get to it
        }
      }
    }
  }
  if (!full) return arrived.notify_one();
  // Nothing is read and nothing waited for: this thread is everybody's.
  const HttpReply reply = handler.refusal(503, "too many connections are open; try again later");
  const std::string bytes = head_of(reply, false, false, reply.body.size()) + reply.body;
  (void)!::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  ::shutdown(socket, SHUT_WR);
  ::close(socket);
}

void HttpServer::State::worker() {
  std::unique_lock lock(mutex);
  for (;;) {
    ++free_workers;
    arrived.wait(lock, [&] { return stopping || !waiting.empty(); });
    --free_workers;
    if (waiting.empty()) return;
    Accepted next = std::move(waiting.front());
    waiting.pop_front();
    lock.unlock();
    {
      Connection connection(next.socket, std::move(next.remote), options.limits);
      try {
        serve(connection);
      } catch (const std::exception&) {  // no memory: this client is let go, the others stay
      }
      lock.lock();
      idle.erase(next.socket);  // before it is closed: the number may be another's then
      --connections;
      if (const auto its = by_network.find(next.network); --its->second == 0) by_network.erase(its);
    }
  }
}

void HttpServer::State::serve(Connection& connection) {
  bool keep_alive = true;
  while (keep_alive) {
    {
      const std::lock_guard lock(mutex);
      if (stopping) return;
      idle.insert(connection.socket());
    }
    const bool some = connection.wait_for_request();
    {
      const std::lock_guard lock(mutex);
      idle.erase(connection.socket());
      if (!some) return;
    }
    const auto refuse = [&](const HeadRefusal& refusal) {
      if (refusal.status == 0) return;
      if (write_reply(connection, handler.refusal(refusal.status, refusal.message), true, false, false))
        return;
      connection.close_gently();
    };
    const auto head = connection.read_head();
    if (!head) return refuse(head.error());
    const auto goes_on = [&] {
      const std::lock_guard lock(mutex);
      // When connections become scarce nobody keeps one for later.
      return head->keep_alive && !stopping &&
             connections <= options.max_connections - options.max_connections / 4;
    };
    if (const auto early = handler.check(*head, connection.remote())) {
      // The body, if there is one, is not read.
      keep_alive = write_reply(connection, *early, head->minor == 1, goes_on() && !head->has_body(),
                               head->method == "HEAD");
    } else {
      HttpReply reply;
      Peer peer(*watch, connection.socket());  // a stream watches it until the end of the answer
      std::optional<HeadRefusal> refused;
      {
        // Given back before the answer goes out: whoever hears it may send the next body.
        BodyShare share(body_bytes, options.max_bodies);
        auto body = connection.read_body(*head, [&](std::size_t bytes) { return share.grow_to(bytes); });
        if (body) {
          reply = handler.handle({*head, connection.remote(), std::move(*body)}, peer);
        } else {
          refused = body.error();
        }
      }
      if (refused) return refuse(*refused);
      keep_alive = write_reply(connection, reply, head->minor == 1, goes_on(), false);
    }
  }
  connection.close_gently();
}

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<HttpServer>> HttpServer::listen(const HttpOptions& options, HttpHandler& handler) {
  auto state = std::make_unique<State>(options, handler);
  AGON_TRY(state->bind());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

void HttpServer::start() {
  state_->acceptor = std::thread([s = state_.get()] { s->accept_loop(); });
}

void HttpServer::stop() {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->stopping) return;
    state_->stopping = true;
    for (const int socket : state_->idle) ::shutdown(socket, SHUT_RD);
  }
  const std::uint64_t one = 1;
  (void)!::write(state_->wake, &one, sizeof(one));
  if (state_->acceptor.joinable()) state_->acceptor.join();
  ::close(std::exchange(state_->listener, -1));
  state_->arrived.notify_all();
  // No thread is added any more: only the acceptor did that.
  for (std::thread& thread : state_->workers) thread.join();
}

HttpServer::~HttpServer() { stop(); }

int HttpServer::port() const { return state_->port; }
const std::string& HttpServer::address() const { return state_->address; }
bool HttpServer::is_loopback() const { return state_->loopback; }
int HttpServer::connections() const {
  const std::lock_guard lock(state_->mutex);
  return state_->connections;
}

}  // namespace agon::serving
