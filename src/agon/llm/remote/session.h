// A run on a remote model: requests that go out once, replies that are checked and kept, and what it all
// costs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/progress.h"
#include "agon/llm/remote/budget.h"
#include "agon/llm/remote/http_client.h"
#include "agon/llm/remote/journal.h"
#include "agon/llm/remote/replies.h"

namespace agon::llm {

/// Where a key comes from when no option says so. A name of our own: a key that is in the environment for
/// another service must not go to whatever server a URL names.
inline constexpr const char* kDefaultKeyVariable = "AGON_API_KEY";

struct RemoteOptions {
  std::string url;             ///< Where the API begins: "http://127.0.0.1:8080/v1".
  std::string name;            ///< The model's; empty: the only one that the server lists.
  bool any_name = false;       ///< Take replies of a model with another name.
  std::string key_env = {};    ///< Environment variable with the key; it has to be set. Empty:
                               ///< kDefaultKeyVariable, which need not be.
  std::string key_file = {};   ///< File with the key, in place of a variable.
  bool key_over_http = false;  ///< Send a key over plain http to other machines too.
  HttpOptions http = {};
  BudgetOptions budget = {};
  bool ask_again = false;    ///< Send calls again whose replies of earlier runs were of no use.
  std::string journal = {};  ///< Where finished items are kept; empty: for the length of a call only.
};

/// One request, and what its results are kept under.
struct RemoteCall {
  HttpRequest request;
  std::vector<std::string> keys;   ///< As RemoteSession::key() makes them, one a result.
  std::int64_t output_tokens = 0;  ///< At most.
  std::size_t item = 0;            ///< The first item it is for, for errors and progress.
};

/// What a reply holds, each result as one line of JSON.
struct CallResults {
  ReplyHead head;
  std::vector<std::string> results;
};

class RemoteSession {
 public:
  /// Reads the key and the journal; asks the server for its models when no name is given.
  static Result<std::unique_ptr<RemoteSession>> open(const RemoteOptions& options);

  /// Takes a reply with a status of 2xx apart.
  using Reader = std::function<Result<CallResults>(const RemoteCall& call, std::string_view body)>;
  /// Sends the calls whose results are not kept yet (calls that share a key with an earlier one must be left
  /// out by the caller), and keeps what comes back, reply by reply. A reply that was paid for and is of no
  /// use is kept too, and the same call is sent again only with `ask_again`: see Journal. An Error names the
  /// item by `row` (from 1), and says how the run can go on. `progress` counts calls.
  [[nodiscard]] Status run(std::span<const RemoteCall> calls, const Reader& reader, std::string_view stage,
                           const Progress& progress);

  /// What results are kept under: SHA-256 of the model (URL and name), the kind of question, its settings and
  /// text, all of which is in `request`.
  [[nodiscard]] std::string key(std::string_view path, std::string_view request) const;
  [[nodiscard]] bool has(const std::string& key) const { return journal_->contains(key); }
  [[nodiscard]] Result<std::string> result(const std::string& key) const { return journal_->find(key); }
  /// Without a journal, forgets results, which have been handed on.
  void forget();

  [[nodiscard]] const std::string& name() const { return options_.name; }
  [[nodiscard]] const RemoteOptions& options() const { return options_; }
  [[nodiscard]] const BaseUrl& url() const { return client_->url(); }
  [[nodiscard]] Journal& journal() { return *journal_; }
  [[nodiscard]] const Budget& budget() const { return budget_; }
  [[nodiscard]] std::uint64_t sent() const { return client_->sent(); }
  /// The server is agon's own, which says so in /models; asked once. A server without /models is none.
  [[nodiscard]] Result<bool> is_agon();

 private:
  explicit RemoteSession(const RemoteOptions& options) : options_(options), budget_(options.budget) {}
  [[nodiscard]] Result<std::vector<std::pair<std::string, std::string>>> models();
  [[nodiscard]] Status choose_name();
  [[nodiscard]] Status check_model(const ReplyHead& head) const;
  [[nodiscard]] Result<std::string> take(const RemoteCall& call, const HttpReply& reply, const Reader& reader,
                                         TokenUsage& usage);
  /// The results of a reply with a status of 2xx, if it is of use.
  [[nodiscard]] Result<CallResults> results_of(const RemoteCall& call, std::string_view body,
                                               const Reader& reader) const;
  /// Into the journal; `usage` counts for the first of them.
  [[nodiscard]] Status keep(const RemoteCall& call, CallResults results, const TokenUsage& usage);
  /// What a reply that is of no use is kept under.
  [[nodiscard]] std::string refusal_key(const RemoteCall& call) const {
    return key("refused " + call.request.path, call.request.body);
  }
  /// Looks again at a reply of an earlier run that was of no use: nothing when there is none, its results are
  /// kept now, or an Error.
  [[nodiscard]] Status look_again(const RemoteCall& call, const Reader& reader);
  [[nodiscard]] Error how_to_go_on(Error error, std::string_view change = {}) const;

  RemoteOptions options_;
  std::unique_ptr<HttpClient> client_;
  std::unique_ptr<Journal> journal_;
  Budget budget_;
  int agon_ = -1;  // not asked yet
};

}  // namespace agon::llm
