#include "agon/llm/remote/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <map>

#include "agon/base/file.h"
#include "agon/llm/remote/http_transfer.h"
#include "agon/llm/remote/replies.h"
#include "agon/llm/remote/retry.h"

namespace agon::llm {
namespace {

using Clock = HttpTransfer::Clock;

Clock::duration seconds(double count) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(count));
}

}  // namespace

struct HttpClient::State {
  State(BaseUrl base, ApiKey secret, const HttpOptions& given)
      : url(std::move(base)),
        key(std::move(secret)),
        options(given),
        window(given.max_concurrency),
        random(given.seed) {}
  ~State() {
    if (multi != nullptr) curl_multi_cleanup(multi);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  BaseUrl url;
  ApiKey key;
  HttpOptions options;
  std::string ca_file;
  ConcurrencyWindow window;
  Random random;
  CURLM* multi = nullptr;
  std::uint64_t sent = 0;
  Clock::time_point paused_until{};  // by a Retry-After
};

namespace {

// What one run of the client holds.
class Run {
 public:
  using Failure = HttpClient::Failure;
  template <class State>
  Run(State& state, const HttpClient& client, const HttpClient::Source& source,
      const HttpClient::Handler& handler)
      : client_(client),
        source_(source),
        handler_(handler),
        url_(state.url),
        key_(state.key),
        options_(state.options),
        ca_file_(state.ca_file),
        window_(state.window),
        random_(state.random),
        multi_(state.multi),
        sent_(state.sent),
        paused_until_(state.paused_until) {}
  ~Run() {
    for (auto& [easy, transfer] : running_) curl_multi_remove_handle(multi_, easy);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  std::expected<void, Failure> operator()() {
    for (;;) {
      launch();
      if (failure_) waiting_.clear();
      if (running_.empty() && waiting_.empty() && (exhausted_ || failure_)) break;
      int active = 0;
      curl_multi_perform(multi_, &active);
      if (take_finished()) continue;
      curl_multi_poll(multi_, nullptr, 0, patience(), nullptr);
    }
    if (failure_) return std::unexpected(std::move(*failure_));
    return {};
  }

 private:
  // Starts what may start now: what waited for another try first.
  void launch() {
    const auto now = Clock::now();
    while (!failure_ && now >= paused_until_ && static_cast<int>(running_.size()) < window_.size()) {
      std::unique_ptr<HttpTransfer> transfer;
      const auto due = std::ranges::find_if(waiting_, [&](const auto& one) { return one->due <= now; });
      if (due != waiting_.end()) {
        transfer = std::move(*due);
        waiting_.erase(due);
      } else {
        // What waits for another try has a place: a server that is down is not flooded with ever more
        // requests.
        if (exhausted_ || static_cast<int>(running_.size() + waiting_.size()) >= window_.size()) return;
        auto request = source_();
        if (!request) {
          exhausted_ = true;
          return;
        }
        transfer = std::make_unique<HttpTransfer>();
        transfer->id = next_id_++;
        transfer->request = std::move(*request);
      }
      if (Status ready = transfer->prepare(url_, key_, ca_file_, options_); !ready) {
        failure_ = Failure{std::move(ready.error()), transfer->id};
        return;
      }
      ++transfer->tries;
      transfer->epoch = window_.epoch();
      CURL* const easy = transfer->easy.get();
      // A transfer that curl does not know would be waited for without an end.
      if (const CURLMcode code = curl_multi_add_handle(multi_, easy); code != CURLM_OK) {
        failure_ = Failure{
            Error{.message = fmt::format("libcurl does not take a request: {}", curl_multi_strerror(code))},
            transfer->id};
        return;
      }
      ++sent_;
      running_.emplace(easy, std::move(transfer));
    }
  }

  // Milliseconds that nothing but the network can change anything.
  int patience() const {
    auto until = Clock::now() + std::chrono::seconds(1);
    if (static_cast<int>(running_.size()) < window_.size() && !failure_) {
      for (const auto& one : waiting_) until = std::min(until, std::max(one->due, paused_until_));
      if (!exhausted_ && paused_until_ > Clock::now()) until = std::min(until, paused_until_);
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left + 1, 1, 1000));
  }

  bool take_finished() {
    bool any = false;
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      const auto found = running_.find(message->easy_handle);
      if (found == running_.end()) continue;
      std::unique_ptr<HttpTransfer> transfer = std::move(found->second);
      curl_easy_getinfo(transfer->easy.get(), CURLINFO_RESPONSE_CODE, &transfer->reply.status);
      curl_multi_remove_handle(multi_, transfer->easy.get());
      running_.erase(found);
      any = true;
      finish(std::move(transfer), code);
    }
    return any;
  }

  void finish(std::unique_ptr<HttpTransfer> transfer, CURLcode code) {
    if (transfer->too_large)
      return give_up(*transfer, fmt::format("the reply is over {} bytes", options_.max_reply));
    if (code != CURLE_OK) {
      std::string why = transfer->message[0] != '\0' ? transfer->message.data() : curl_easy_strerror(code);
      if (may_retry(code)) return again(std::move(transfer), std::move(why), std::nullopt);
      return give_up(*transfer, std::move(why));
    }
    if (!transfer->head_ended)
      return again(std::move(transfer), "the reply was cut off in its head", std::nullopt);
    const long status = transfer->reply.status;
    if (status == 429 || status == 503) window_.overload(transfer->epoch);
    // An account without money gets no better by asking again, although OpenAI says 429.
    const bool broke =
        status == 429 && transfer->reply.body.find("\"insufficient_quota\"") != std::string::npos;
    if (may_retry(status) && !broke) {
      const auto wait = retry_after(transfer->retry_after, std::time(nullptr));
      std::string why = client_.error_of(transfer->request.path, transfer->reply).message;
      if (wait && *wait > options_.max_retry_after)
        return give_up(*transfer, fmt::format("{}; the server asks to wait {:.0f} s, more than {:.0f}", why,
                                              *wait, options_.max_retry_after));
      if (wait) paused_until_ = std::max(paused_until_, Clock::now() + seconds(*wait));
      return again(std::move(transfer), std::move(why), wait);
    }
    auto verdict = handler_(transfer->id, transfer->reply);
    if (!verdict) return end(transfer->id, std::move(verdict.error()));
    if (!verdict->empty()) return again(std::move(transfer), std::move(*verdict), std::nullopt);
    window_.success();
  }

  void again(std::unique_ptr<HttpTransfer> transfer, std::string why, std::optional<double> wait) {
    if (failure_) return;  // nothing is sent any more
    if (transfer->tries >= options_.max_tries) {
      const std::string tries = transfer->tries == 1 ? "1 try" : fmt::format("{} tries", transfer->tries);
      return give_up(*transfer, fmt::format("gave up after {}: {}", tries, why));
    }
    const double delay = backoff(transfer->tries, options_.first_delay, options_.max_delay, random_);
    // With Retry-After the jitter comes on top: all that were refused would come back in the same moment.
    transfer->due = Clock::now() + seconds(wait ? *wait + std::min(delay, options_.first_delay) : delay);
    waiting_.push_back(std::move(transfer));
  }

  void give_up(const HttpTransfer& transfer, std::string why) {
    const std::string prefix = url_.text + transfer.request.path + ": ";
    if (why.find(url_.text) == std::string::npos) why = prefix + why;
    end(transfer.id, Error{.message = std::move(why)});
  }

  void end(std::size_t id, Error error) {
    error.message = key_.redact(std::move(error.message));
    error.expected = key_.redact(std::move(error.expected));
    if (!failure_) failure_ = Failure{std::move(error), id};
  }

  const HttpClient& client_;
  const HttpClient::Source& source_;
  const HttpClient::Handler& handler_;
  const BaseUrl& url_;
  const ApiKey& key_;
  const HttpOptions& options_;
  const std::string& ca_file_;
  ConcurrencyWindow& window_;
  Random& random_;
  CURLM* multi_;
  std::uint64_t& sent_;
  Clock::time_point& paused_until_;
  std::map<CURL*, std::unique_ptr<HttpTransfer>> running_;
  std::deque<std::unique_ptr<HttpTransfer>> waiting_;
  std::size_t next_id_ = 0;
  bool exhausted_ = false;
  std::optional<Failure> failure_;
};

}  // namespace

HttpClient::HttpClient(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpClient::~HttpClient() = default;

Result<std::unique_ptr<HttpClient>> HttpClient::create(const BaseUrl& url, ApiKey key,
                                                       const HttpOptions& options, bool key_over_http) {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK)
    return fail(fmt::format("libcurl does not start: {}", curl_easy_strerror(started)));
  if (!key.empty() && !url.tls && !url.loopback && !key_over_http) {
    return std::unexpected(
        Error{.message = fmt::format(
                  "{} is plain http to another machine, where anybody on the way can read the key", url.text),
              .expected = "https, no key, or --key-over-http to send it all the same",
              .kind = ErrorKind::kUsage});
  }
  auto state = std::make_unique<State>(url, std::move(key), options);
  state->ca_file = options.ca_file;
  if (const char* file = std::getenv("SSL_CERT_FILE"); state->ca_file.empty() && file != nullptr)
    state->ca_file = file;
  if (url.tls && !state->ca_file.empty()) AGON_TRY(read_file(state->ca_file, std::uint64_t{64} << 20));
  state->multi = curl_multi_init();
  if (state->multi == nullptr) return fail("out of memory for connections");
  return std::unique_ptr<HttpClient>(new HttpClient(std::move(state)));
}

std::expected<void, HttpClient::Failure> HttpClient::run(const Source& source, const Handler& handler) {
  return Run(*state_, *this, source, handler)();
}

Result<HttpReply> HttpClient::ask(const HttpRequest& request) {
  bool asked = false;
  HttpReply result;
  const auto status = run(
      [&]() -> std::optional<HttpRequest> {
        if (std::exchange(asked, true)) return std::nullopt;
        return request;
      },
      [&](std::size_t, HttpReply& reply) -> Result<std::string> {
        result = std::move(reply);
        return std::string();
      });
  if (!status) return std::unexpected(status.error().error);
  return result;
}

const BaseUrl& HttpClient::url() const { return state_->url; }
std::uint64_t HttpClient::sent() const { return state_->sent; }
const ApiKey& HttpClient::key() const { return state_->key; }

Error HttpClient::error_of(const std::string& path, const HttpReply& reply) const {
  const std::string place = state_->url.text + path;
  std::string message;
  if (reply.status >= 300 && reply.status < 400) {
    message =
        fmt::format("{}: status {}: redirects are not followed{}", place, reply.status,
                    reply.location.empty() ? "" : "; it points to " + shown(reply.location, state_->key));
  } else {
    const std::string said = error_text(reply.body, state_->key);
    message = fmt::format("{}: status {}{}{}", place, reply.status, said.empty() ? "" : ": ", said);
  }
  return Error{.message = state_->key.redact(std::move(message))};
}

}  // namespace agon::llm
