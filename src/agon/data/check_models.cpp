// Findings about the models and the graph that their comparisons make.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "agon/base/disjoint_sets.h"
#include "agon/data/check_parts.h"
#include "agon/text/fold.h"

namespace agon::check {
namespace {

/// Names that are equal but for case, spaces and punctuation.
void find_alike_names(const std::vector<NamedCount>& models, Findings& findings) {
  std::map<std::string, std::vector<std::string>> by_fold;
  for (const NamedCount& model : models)
    if (const std::string key = folded(model.name); !key.empty()) by_fold[key].push_back(model.name);
  for (const auto& [key, names] : by_fold) {
    if (names.size() < 2) continue;
    findings.add({Finding::Level::kLook,
                  "alike-names",
                  names.size(),
                  fmt::format("'{}' and '{}' may be one model under two names", names[0], names[1]),
                  "rename one of them if so: each name gets a rating of its own",
                  {}});
  }
}

}  // namespace

ModelGraph model_graph(const std::vector<Vote>& votes, Findings& findings) {
  ModelGraph out;
  std::unordered_map<std::string_view, std::uint32_t> number;
  std::vector<NamedCount> models;
  const auto number_of = [&](const std::string& name) {
    const auto [it, fresh] = number.try_emplace(name, static_cast<std::uint32_t>(models.size()));
    if (fresh) models.push_back({name, 0});
    return it->second;
  };
  std::set<std::pair<std::uint32_t, std::uint32_t>> pairs;
  std::vector<std::size_t> against_itself, half_named;
  for (std::size_t i = 0; i < votes.size(); ++i) {
    const Vote& vote = votes[i];
    if (vote.model_a.empty() || vote.model_b.empty()) {
      if (vote.model_a.empty() != vote.model_b.empty()) half_named.push_back(i);
      continue;
    }
    ++out.rows_with_names;
    const std::uint32_t a = number_of(vote.model_a), b = number_of(vote.model_b);
    ++models[a].count;
    if (a == b) {
      against_itself.push_back(i);
      continue;
    }
    ++models[b].count;
    pairs.emplace(std::min(a, b), std::max(a, b));
  }
  out.pairs = pairs.size();
  DisjointSets sets(models.size());
  for (const auto& [a, b] : pairs) sets.link(a, b);
  std::map<std::uint32_t, std::uint64_t> sizes;
  for (std::uint32_t i = 0; i < models.size(); ++i) ++sizes[sets.root(i)];
  for (const auto& [root, size] : sizes) out.components.push_back(size);
  std::sort(out.components.begin(), out.components.end(), std::greater<>());

  std::stable_sort(models.begin(), models.end(),
                   [](const NamedCount& x, const NamedCount& y) { return x.count > y.count; });
  out.votes_per_model = std::move(models);

  findings.rows(Finding::Level::kLook, "half-named", half_named, "row names only one of its two models",
                "rows name only one of their two models", "they say nothing about how strong a model is");
  findings.rows(Finding::Level::kNote, "same-model", against_itself, "row compares a model with itself",
                "rows compare a model with itself",
                "they say how noisy votes are, not which model is better");
  if (out.components.size() > 1)
    findings.add({Finding::Level::kLook,
                  "unconnected-models",
                  out.components.size(),
                  fmt::format("the models fall into {} groups that were never compared with each other",
                              out.components.size()),
                  "ratings of two such groups can't be put on one scale: add votes that link them",
                  {}});
  find_alike_names(out.votes_per_model, findings);
  return out;
}

}  // namespace agon::check
