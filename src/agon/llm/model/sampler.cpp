#include "agon/llm/model/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <set>

#include "agon/base/check.h"

namespace agon::llm {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr float kLowest = std::numeric_limits<float>::lowest();

bool is_allowed(std::span<const std::uint64_t> allowed, std::size_t token) {
  return token / 64 < allowed.size() && (allowed[token / 64] >> (token % 64) & 1) != 0;
}

// What is taken when no logit is a number.
std::int32_t lowest_allowed(std::span<const std::uint64_t> allowed) {
  for (std::size_t word = 0; word < allowed.size(); ++word)
    if (allowed[word] != 0) return static_cast<std::int32_t>(64 * word) + std::countr_zero(allowed[word]);
  return 0;
}

Status in_range(bool holds, const char* name, double value, const char* expected) {
  if (holds) return {};
  Error error;
  error.message = fmt::format("{} is {}", name, value);
  error.expected = expected;
  error.kind = ErrorKind::kUsage;
  return std::unexpected(std::move(error));
}

}  // namespace

bool SamplerOptions::takes_best() const {
  return temperature == 0 && !minds_repeats() && !minds_draws() && logit_bias.empty();
}

Status SamplerOptions::check() const {
  AGON_TRY(in_range(temperature >= 0 && temperature <= 1e6, "temperature", temperature, "0 to 1e6"));
  AGON_TRY(in_range(top_k >= 0, "top-k", top_k, "0 or more"));
  AGON_TRY(in_range(top_p > 0 && top_p <= 1, "top-p", top_p, "above 0, up to 1"));
  AGON_TRY(in_range(min_p >= 0 && min_p <= 1, "min-p", min_p, "0 to 1"));
  AGON_TRY(in_range(repetition_penalty > 0 && repetition_penalty <= 1e6, "repetition penalty",
                    repetition_penalty, "above 0, up to 1e6"));
  AGON_TRY(in_range(repeat_last >= -1, "number of last tokens that the repetition penalty looks at",
                    repeat_last, "-1 for all, or 0 and more"));
  AGON_TRY(in_range(frequency_penalty >= -2 && frequency_penalty <= 2, "frequency penalty", frequency_penalty,
                    "-2 to 2"));
  AGON_TRY(in_range(presence_penalty >= -2 && presence_penalty <= 2, "presence penalty", presence_penalty,
                    "-2 to 2"));
  std::set<std::int32_t> seen;
  for (const LogitBias& one : logit_bias) {
    AGON_TRY(in_range(one.token >= 0, "token of a logit bias", one.token, "0 or more"));
    AGON_TRY(in_range(one.bias >= -100 && one.bias <= 100, "logit bias", one.bias, "-100 to 100"));
    AGON_TRY(in_range(seen.insert(one.token).second, "token of two logit biases", one.token, "each once"));
  }
  return {};
}

Sampler::Sampler(const SamplerOptions& options) : options_(options), random_(options.seed) {
  AGON_CHECK(options.check().has_value());
}

void Sampler::accept(std::int32_t token) {
  accept_prompt(token);
  if (options_.minds_draws()) ++drawn_[token];
}

void Sampler::accept_prompt(std::int32_t token) {
  if (!options_.minds_repeats()) return;
  recent_.push_back(token);
  if (options_.repeat_last > 0 && recent_.size() > static_cast<std::size_t>(options_.repeat_last))
    recent_.pop_front();
}

std::span<const float> Sampler::adjusted(std::span<const float> logits,
                                         std::span<const std::uint64_t> allowed) const {
  if (recent_.empty() && drawn_.empty() && options_.logit_bias.empty() && allowed.empty()) return logits;
  adjusted_.assign(logits.begin(), logits.end());
  if (!allowed.empty()) {
    for (std::size_t begin = 0; begin < logits.size(); begin += 64) {
      const std::uint64_t word = begin / 64 < allowed.size() ? allowed[begin / 64] : 0;
      if (word == ~std::uint64_t{0}) continue;
      const std::size_t end = std::min(logits.size(), begin + 64);
      for (std::size_t i = begin; i < end; ++i)
        if ((word >> (i - begin) & 1) == 0) adjusted_[i] = kNever;
    }
  }
  const auto known = [&](std::int32_t token) {
    return token >= 0 && static_cast<std::size_t>(token) < logits.size();
  };
  // In double, rounded once; minus infinity and what is no number stay as they are.
  const auto add = [&](std::int32_t token, double what) {
    float& logit = adjusted_[static_cast<std::size_t>(token)];
    logit = static_cast<float>(static_cast<double>(logit) + what);
  };
  for (const LogitBias& one : options_.logit_bias)
    if (known(one.token)) add(one.token, one.bias);
  const float penalty = static_cast<float>(options_.repetition_penalty);
  // A token counts once however often it was said.
  const std::set<std::int32_t> said(recent_.begin(), recent_.end());
  for (const std::int32_t token : said) {
    if (!known(token)) continue;
    float& logit = adjusted_[static_cast<std::size_t>(token)];
    logit = logit > 0 ? logit / penalty : logit * penalty;
  }
  for (const auto& [token, count] : drawn_)
    if (known(token)) add(token, -(count * options_.frequency_penalty + options_.presence_penalty));
  return adjusted_;
}

// Steps 2 to 4, in an order that depends on nothing but the logits; empty when no logit is a number.
std::vector<TokenLogit> Sampler::remaining(std::span<const float> logits) const {
  AGON_CHECK(!logits.empty());
  std::vector<TokenLogit> kept;
  float top = kNever;
  if (options_.top_k > 0 && static_cast<std::size_t>(options_.top_k) < logits.size()) {
    kept = most_probable(logits, static_cast<std::size_t>(options_.top_k));
    if (kept.empty()) return kept;
    top = kept.front().logit;
    double sum = 0, seen = 0;
    const auto weight = [&](const TokenLogit& s) {
      return std::exp(static_cast<double>(s.logit) - static_cast<double>(top));
    };
    for (const TokenLogit& s : kept) sum += weight(s);
    for (std::size_t i = 0; i < kept.size() && options_.top_p < 1; ++i)
      if ((seen += weight(kept[i])) >= options_.top_p * sum) kept.resize(i + 1);
  } else {
    top = largest_of(logits);
    if (!(top > kNever)) return kept;
    if (options_.top_p < 1) {
      add_up(logits, 1.0, total_);
      find_nucleus(logits, total_, options_.top_p * total_.sum, nucleus_);
      kept = nucleus_.tokens;
    } else {
      // Down to a float below the floor of step 4.
      const auto floor = static_cast<float>(static_cast<double>(top) + std::log(options_.min_p));
      kept = tokens_from(logits, std::nextafter(std::max(floor, kLowest), kNever));
    }
  }
  // Top-p and min-p cut the same descending list, so the shorter piece stays.
  if (options_.min_p > 0) {
    const double floor = static_cast<double>(top) + std::log(options_.min_p);
    std::erase_if(kept, [&](const TokenLogit& s) { return static_cast<double>(s.logit) < floor; });
  }
  return kept;
}

std::vector<Sampler::Candidate> Sampler::candidates(std::span<const float> logits,
                                                    std::span<const std::uint64_t> allowed) const {
  if (options_.temperature == 0) return {{.token = greedy(logits, allowed), .probability = 1.0}};
  std::vector<TokenLogit> kept = remaining(adjusted(logits, allowed));
  if (kept.empty()) return {{.token = lowest_allowed(allowed), .probability = 1.0}};
  std::ranges::sort(kept, more_probable);
  const double top = static_cast<double>(kept.front().logit);
  double sum = 0;
  std::vector<Candidate> out;
  out.reserve(kept.size());
  for (const TokenLogit& s : kept) {
    const double weight = std::exp((static_cast<double>(s.logit) - top) / options_.temperature);
    sum += weight;
    out.push_back({.token = s.token, .probability = weight});
  }
  for (Candidate& c : out) c.probability /= sum;
  return out;
}

std::int32_t Sampler::greedy(std::span<const float> logits, std::span<const std::uint64_t> allowed) const {
  const std::int32_t best = greedy_token(adjusted(logits, allowed));
  const bool may = allowed.empty() || is_allowed(allowed, static_cast<std::size_t>(best));
  return may ? best : lowest_allowed(allowed);
}

std::int32_t Sampler::sample(std::span<const float> logits, std::span<const std::uint64_t> allowed) {
  if (options_.temperature == 0) return greedy(logits, allowed);
  const std::span<const float> mine = adjusted(logits, allowed);
  const bool filtered = options_.top_k > 0 || options_.top_p < 1 || options_.min_p > 0;
  if (!filtered) {
    add_up(mine, 1 / options_.temperature, total_);
    return total_.token_at(mine, random_.uniform() * total_.sum).value_or(lowest_allowed(allowed));
  }
  const std::vector<TokenLogit> kept = remaining(mine);
  kept_.clear();
  for (const TokenLogit& one : kept) kept_.push_back(one.logit);
  add_up(kept_, 1 / options_.temperature, total_);
  const auto place = total_.token_at(kept_, random_.uniform() * total_.sum);
  return place ? kept[static_cast<std::size_t>(*place)].token : lowest_allowed(allowed);
}

// Part by part, so that only the part that holds the largest is searched for it.
std::int32_t greedy_token(std::span<const float> logits) {
  constexpr std::size_t kPart = 1024;
  float largest = kNever;
  std::size_t from = 0;
  for (std::size_t begin = 0; begin < logits.size(); begin += kPart) {
    const float its = largest_of(logits.subspan(begin, std::min(kPart, logits.size() - begin)));
    if (!(its > largest)) continue;
    largest = its;
    from = begin;
  }
  if (!(largest > kNever)) return 0;
  return static_cast<std::int32_t>(std::ranges::find(logits.subspan(from), largest) - logits.begin());
}

double log_sum_exp(std::span<const float> logits) {
  AGON_CHECK(!logits.empty());
  const double top = static_cast<double>(*std::ranges::max_element(logits));
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - top);
  return top + std::log(sum);
}

std::vector<double> log_softmax(std::span<const float> logits) {
  const double total = log_sum_exp(logits);
  std::vector<double> out;
  out.reserve(logits.size());
  for (const float logit : logits) out.push_back(static_cast<double>(logit) - total);
  return out;
}

}  // namespace agon::llm
