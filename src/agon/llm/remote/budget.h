// How much a run may cost.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agon/llm/remote/replies.h"

namespace agon::llm {

struct BudgetOptions {
  std::optional<std::int64_t> max_tokens = {};  ///< Input and output together.
  std::optional<double> max_cost = {};          ///< In the currency of the prices.
  double price_in = 0, price_out = 0;           ///< For a million tokens of input and of output.
};

/// Adds up what was spent, and says whether a further request may begin. What a request will cost is not
/// known before; it is taken to have as many tokens a byte as those before (at first one for two bytes), and
/// the most output that it asks for.
class Budget {
 public:
  explicit Budget(const BudgetOptions& options) : options_(options) {}

  /// What a request may come to.
  struct Estimate {
    std::size_t input_bytes = 0;
    std::int64_t output_tokens = 0;
  };
  [[nodiscard]] bool is_limited() const { return options_.max_tokens || options_.max_cost; }
  /// True when everything spent, all that is in flight and this request stay within the budget.
  [[nodiscard]] bool allows(const Estimate& request) const;
  void begin(const Estimate& request);
  /// The request came back (`usage` as its reply says, nothing spent when it failed).
  void end(const Estimate& request, const TokenUsage& usage);
  /// A reply to a request was lost in part, and the request goes out again: what it took is not known, and
  /// its estimate counts as spent.
  void lose(const Estimate& request);
  /// Nothing is in flight (any more).
  void settle() { flying_bytes_ = 0, flying_output_ = 0; }
  /// Spent earlier.
  void add(const TokenUsage& usage);

  [[nodiscard]] const TokenUsage& spent() const { return spent_; }
  /// In the currency of the prices.
  [[nodiscard]] double cost() const { return cost_of(spent_.input, spent_.output); }
  /// "1,234 of 10,000 tokens are spent", or of money.
  [[nodiscard]] std::string text() const;
  /// "--max-tokens-total" or "--max-cost": the bound that does not allow the request.
  [[nodiscard]] std::string bound(const Estimate& request) const;

 private:
  [[nodiscard]] double tokens_a_byte() const;
  [[nodiscard]] double cost_of(std::int64_t input, std::int64_t output) const;
  [[nodiscard]] std::int64_t input_tokens(const Estimate& request) const;
  [[nodiscard]] bool within_tokens(const Estimate& request) const;
  [[nodiscard]] bool within_cost(const Estimate& request) const;

  BudgetOptions options_;
  TokenUsage spent_;
  std::size_t flying_bytes_ = 0;
  std::int64_t flying_output_ = 0;
  std::size_t seen_bytes_ = 0;  // of requests whose usage is known
  std::int64_t seen_tokens_ = 0;
};

}  // namespace agon::llm
