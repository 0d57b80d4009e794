#include "agon/preference/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/data/vote_facts.h"

namespace agon {
namespace {

/// The labelled votes with their predictions, and where they stand in the file.
struct Labelled {
  std::vector<std::size_t> index;
  std::vector<ScoredRow> rows, prior_rows, length_rows;
  std::vector<Prediction> prior, length_only;
};

/// A value for each labelled vote; rows whose value is empty belong to no slice.
struct Dimension {
  std::string name;
  std::vector<std::string> values;
};

Labelled labelled(std::span<const Vote> votes, std::span<const Prediction> predictions,
                  std::span<const Prediction> prior, std::span<const Prediction> length_only,
                  std::span<const std::uint32_t> clusters) {
  Labelled out;
  for (std::size_t i = 0; i < votes.size(); ++i) {
    if (votes[i].outcome == Outcome::kUnknown) continue;
    const ScoredRow row{predictions[i], votes[i].outcome, votes[i].weight, clusters[i]};
    out.index.push_back(i);
    out.rows.push_back(row);
    out.prior_rows.push_back({prior[i], row.outcome, row.weight, row.cluster});
    out.length_rows.push_back({length_only[i], row.outcome, row.weight, row.cluster});
    out.prior.push_back(prior[i]);
    out.length_only.push_back(length_only[i]);
  }
  return out;
}

std::vector<Dimension> built_in(std::span<const Vote> votes, const std::vector<std::size_t>& index) {
  std::vector<std::string> language(index.size()), turns(index.size()), length(index.size()),
      code(index.size());
  parallel_chunks(index.size(), 64, [&](std::size_t begin, std::size_t end) {
    for (std::size_t k = begin; k < end; ++k) {
      const Vote& vote = votes[index[k]];
      language[k] = language_of(vote);
      turns[k] = vote.prompt.size() > 2 ? "3+" : std::to_string(vote.prompt.size());
      const std::size_t characters = answer_characters(vote);
      length[k] = characters < kShortAnswers ? "short" : characters < kLongAnswers ? "medium" : "long";
      code[k] = has_code(vote) ? "code" : "no code";
    }
  });
  return {{"language", std::move(language)},
          {"turns", std::move(turns)},
          {"length", std::move(length)},
          {"code", std::move(code)}};
}

std::optional<double> number(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

bool named_like_an_id(std::string name) {
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return name == "id" || name.ends_with("_id") || name.ends_with("uuid") || name.ends_with("hash") ||
         name == "tstamp" || name == "timestamp";
}

/// Values replaced by their quarter, "2 to 7.5"; nothing when a value is no number.
bool cut_at_quartiles(std::vector<std::string>& values) {
  std::vector<double> numbers, sorted;
  for (const std::string& value : values) {
    const std::optional<double> n = value.empty() ? std::optional(0.0) : number(value);
    if (!n) return false;
    numbers.push_back(*n);
    if (!value.empty()) sorted.push_back(*n);
  }
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> cuts = {sorted_quantile(sorted, 0.25), sorted_quantile(sorted, 0.5),
                              sorted_quantile(sorted, 0.75)};
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i].empty()) continue;
    const auto above = std::upper_bound(cuts.begin(), cuts.end(), numbers[i]) - cuts.begin();
    const auto at = static_cast<std::size_t>(above);
    values[i] = at == 0             ? fmt::format("below {:g}", cuts.front())
                : at == cuts.size() ? fmt::format("{:g} and above", cuts.back())
                                    : fmt::format("{:g} to {:g}", cuts[at - 1], cuts[at]);
  }
  return true;
}

/// The column as a dimension, or nothing with a note that says why.
std::optional<Dimension> extra_dimension(const std::string& name, std::vector<std::string> values,
                                         std::size_t max_values, std::vector<std::string>& notes) {
  std::map<std::string_view, std::size_t> count;
  std::size_t filled = 0;
  for (const std::string& value : values) {
    if (value.empty()) continue;
    ++count[value];
    ++filled;
  }
  if (count.size() < 2) {
    notes.push_back(fmt::format("column '{}' is not sliced: it has {} value{}", name, count.size(),
                                count.size() == 1 ? "" : "s"));
    return std::nullopt;
  }
  if (count.size() <= max_values) return Dimension{name, std::move(values)};
  if (named_like_an_id(name)) {
    notes.push_back(fmt::format("column '{}' is not sliced: it looks like an identifier, with {} values",
                                name, count.size()));
    return std::nullopt;
  }
  std::vector<std::size_t> sizes;
  for (const auto& [value, n] : count) sizes.push_back(n);
  std::sort(sizes.begin(), sizes.end(), std::greater<>());
  const std::size_t distinct = count.size();
  if (cut_at_quartiles(values)) {
    notes.push_back(
        fmt::format("column '{}' has {} different numbers: cut at its quartiles", name, distinct));
    return Dimension{name, std::move(values)};
  }
  const std::size_t covered =
      std::accumulate(sizes.begin(), sizes.begin() + static_cast<std::ptrdiff_t>(max_values), std::size_t{0});
  if (2 * covered < filled) {
    notes.push_back(
        fmt::format("column '{}' is not sliced: {} values, the {} most frequent cover {} of {} rows", name,
                    distinct, max_values, covered, filled));
    return std::nullopt;
  }
  notes.push_back(fmt::format("column '{}' has {} values: only the {} most frequent are shown", name,
                              distinct, max_values));
  return Dimension{name, std::move(values)};
}

void add_slices(const Dimension& dimension, const Labelled& data, const EvaluationOptions& options,
                std::vector<Slice>& slices) {
  std::map<std::string, std::vector<std::size_t>> members;
  for (std::size_t k = 0; k < data.rows.size(); ++k)
    if (!dimension.values[k].empty()) members[dimension.values[k]].push_back(k);
  std::vector<const std::pair<const std::string, std::vector<std::size_t>>*> order;
  for (const auto& value : members)
    if (value.second.size() >= std::max<std::size_t>(1, options.min_slice_rows)) order.push_back(&value);
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return a->second.size() > b->second.size(); });
  if (order.size() > options.max_values_per_dimension) order.resize(options.max_values_per_dimension);
  for (const auto* value : order) {
    std::vector<ScoredRow> rows;
    std::vector<Prediction> prior;
    for (const std::size_t k : value->second) {
      rows.push_back(data.rows[k]);
      prior.push_back(data.prior[k]);
    }
    slices.push_back({dimension.name, value->first, measure(rows, options.bootstrap),
                      paired_log_loss_difference(rows, prior, options.bootstrap)});
  }
}

std::vector<SurprisingRow> most_surprising(const Labelled& data, std::size_t count) {
  std::vector<SurprisingRow> rows;
  for (std::size_t k = 0; k < data.rows.size(); ++k)
    rows.push_back({data.index[k], log_loss(data.rows[k].p, data.rows[k].outcome)});
  std::stable_sort(rows.begin(), rows.end(),
                   [](const SurprisingRow& a, const SurprisingRow& b) { return a.loss > b.loss; });
  if (rows.size() > count) rows.resize(count);
  return rows;
}

}  // namespace

Evaluation evaluate(std::span<const Vote> votes, const std::vector<std::string>& extra_names,
                    std::span<const Prediction> predictions, std::span<const Prediction> prior,
                    std::span<const Prediction> length_only, std::span<const std::uint32_t> clusters,
                    const EvaluationOptions& options) {
  AGON_CHECK(predictions.size() == votes.size() && prior.size() == votes.size());
  AGON_CHECK(length_only.size() == votes.size() && clusters.size() == votes.size());
  const Labelled data = labelled(votes, predictions, prior, length_only, clusters);

  Evaluation out;
  out.overall = measure(data.rows, options.bootstrap);
  out.prior = measure(data.prior_rows, options.bootstrap);
  out.length_only = measure(data.length_rows, options.bootstrap);
  out.vs_prior = paired_log_loss_difference(data.rows, data.prior, options.bootstrap);
  out.vs_length_only = paired_log_loss_difference(data.rows, data.length_only, options.bootstrap);

  std::vector<Dimension> dimensions = built_in(votes, data.index);
  for (std::size_t column = 0; column < extra_names.size(); ++column) {
    std::vector<std::string> values;
    for (const std::size_t i : data.index)
      values.push_back(column < votes[i].extras.size() ? votes[i].extras[column] : "");
    auto dimension =
        extra_dimension(extra_names[column], std::move(values), options.max_values_per_dimension, out.notes);
    if (dimension) dimensions.push_back(std::move(*dimension));
  }
  for (const Dimension& dimension : dimensions) add_slices(dimension, data, options, out.slices);

  out.reliability_a = reliability(data.rows, Outcome::kA);
  out.reliability_b = reliability(data.rows, Outcome::kB);
  out.reliability_tie = reliability(data.rows, Outcome::kTie);
  out.surprising = most_surprising(data, options.surprising_rows);
  return out;
}

}  // namespace agon
