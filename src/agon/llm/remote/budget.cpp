#include "agon/llm/remote/budget.h"

#include <fmt/format.h>

#include <cmath>

#include "agon/report/number.h"

namespace agon::llm {

double Budget::cost_of(std::int64_t input, std::int64_t output) const {
  return (static_cast<double>(input) * options_.price_in + static_cast<double>(output) * options_.price_out) /
         1e6;
}

double Budget::tokens_a_byte() const {
  return seen_bytes_ > 0 ? static_cast<double>(seen_tokens_) / static_cast<double>(seen_bytes_) : 0.5;
}

std::int64_t Budget::input_tokens(const Estimate& request) const {
  return static_cast<std::int64_t>(
      std::ceil(tokens_a_byte() * static_cast<double>(request.input_bytes + flying_bytes_)));
}

bool Budget::within_tokens(const Estimate& request) const {
  if (!options_.max_tokens) return true;
  const std::int64_t more = input_tokens(request) + flying_output_ + request.output_tokens;
  return spent_.input + spent_.output + more <= *options_.max_tokens;
}

bool Budget::within_cost(const Estimate& request) const {
  if (!options_.max_cost) return true;
  return cost() + cost_of(input_tokens(request), flying_output_ + request.output_tokens) <=
         *options_.max_cost;
}

bool Budget::allows(const Estimate& request) const { return within_tokens(request) && within_cost(request); }

void Budget::begin(const Estimate& request) {
  flying_bytes_ += request.input_bytes;
  flying_output_ += request.output_tokens;
}

void Budget::end(const Estimate& request, const TokenUsage& usage) {
  flying_bytes_ -= request.input_bytes;
  flying_output_ -= request.output_tokens;
  if (!usage.given) return;
  add(usage);
  seen_bytes_ += request.input_bytes;
  seen_tokens_ += usage.input;
}

void Budget::lose(const Estimate& request) {
  if (!is_limited()) return;
  const double rate = tokens_a_byte();
  add({static_cast<std::int64_t>(std::ceil(rate * static_cast<double>(request.input_bytes))),
       request.output_tokens, true});
}

void Budget::add(const TokenUsage& usage) {
  spent_.input += usage.input;
  spent_.output += usage.output;
}

std::string Budget::bound(const Estimate& request) const {
  return within_tokens(request) ? "--max-cost" : "--max-tokens-total";
}

std::string Budget::text() const {
  const std::int64_t tokens = spent_.input + spent_.output;
  std::string out;
  if (options_.max_tokens)
    out = fmt::format("{} of {} tokens", format_count(static_cast<std::uint64_t>(tokens)),
                      format_count(static_cast<std::uint64_t>(*options_.max_tokens)));
  if (options_.max_cost)
    out += fmt::format("{}{:.6g} of {:.6g} in money", out.empty() ? "" : ", ", cost(), *options_.max_cost);
  return out + " are spent";
}

}  // namespace agon::llm
