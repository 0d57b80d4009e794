#include "agon/llm/access/choices.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "agon/base/check.h"
#include "agon/llm/remote/replies.h"

namespace agon::llm {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") + 1 - first);
}

// Which choice a first token tells: its number, or none; an Error when it could be two.
Result<std::optional<std::size_t>> told_by(std::span<const std::string> choices, std::string_view token) {
  std::optional<std::size_t> found;
  bool several = false;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const std::string_view choice = trimmed(choices[i]);
    if (choice == token) return i;
    if (!choice.starts_with(token)) continue;
    several = found.has_value();
    found = i;
  }
  if (several)
    return fail(fmt::format("the first token '{}' is the beginning of more than one choice", shown(token)));
  return found;
}

}  // namespace

void normalise_choices(ChoiceResult& result) {
  AGON_CHECK(!result.logprobs.empty());
  const auto best = std::ranges::max_element(result.logprobs);
  result.best = static_cast<std::size_t>(best - result.logprobs.begin());
  result.probabilities.clear();
  double sum = 0;
  for (const double logprob : result.logprobs)
    sum += result.probabilities.emplace_back(std::exp(logprob - *best));
  for (double& p : result.probabilities) p /= sum;
}

Result<std::vector<ChoiceResult>> choose_by_scores(LanguageModel& model, std::span<const ChoiceInput> items,
                                                   const Progress& progress) {
  std::vector<ScoreInput> inputs;
  for (const ChoiceInput& item : items) inputs.push_back({item.context, item.choices});
  AGON_ASSIGN(const auto scores, model.score(inputs, {}, progress));
  std::vector<ChoiceResult> results;
  for (const std::vector<ContinuationScore>& item : scores) {
    ChoiceResult result;
    for (const ContinuationScore& score : item) result.logprobs.push_back(score.logprob);
    normalise_choices(result);
    results.push_back(std::move(result));
  }
  return results;
}

Result<ChoiceResult> choose_by_first_token(std::span<const std::string> choices,
                                           std::span<const std::pair<std::string, double>> top) {
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  std::vector<double> sums(choices.size(), 0.0);
  double least = 0;
  bool any = false;
  for (const auto& [text, logprob] : top) {
    least = std::min(least, logprob);
    const std::string_view token = trimmed(text);
    if (token.empty()) continue;
    AGON_ASSIGN(const auto choice, told_by(choices, token));
    if (!choice) continue;
    sums[*choice] += std::exp(logprob);
    any = true;
  }
  ChoiceResult result;
  result.is_exact = false;
  if (!any) {
    std::string seen;
    for (std::size_t i = 0; i < std::min<std::size_t>(top.size(), 5); ++i)
      seen += fmt::format("{}'{}'", i > 0 ? ", " : "", shown(top[i].first));
    result.untold = fmt::format("none of the choices is among the {} most probable first tokens ({}, ...)",
                                top.size(), seen);
  }
  for (const double sum : sums) result.logprobs.push_back(sum > 0 ? std::log(sum) : kNone);
  for (double& logprob : result.logprobs)
    if (logprob == kNone) logprob = least;
  normalise_choices(result);
  return result;
}

}  // namespace agon::llm
