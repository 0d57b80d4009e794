#include "agon/ranking/graph.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "agon/base/check.h"
#include "agon/base/disjoint_sets.h"
#include "agon/ranking/matrix.h"

namespace agon {
namespace {

using Arrows = std::vector<std::vector<std::uint32_t>>;

// Numbers components by falling size, then lowest member. `counted` nodes count for sizes.
Components number_components(const std::vector<std::uint32_t>& label, std::uint32_t labels,
                             std::size_t counted) {
  std::vector<std::uint32_t> size(labels, 0), lowest(labels, std::numeric_limits<std::uint32_t>::max());
  for (std::size_t i = 0; i < label.size(); ++i) {
    size[label[i]] += i < counted;
    lowest[label[i]] = std::min(lowest[label[i]], static_cast<std::uint32_t>(i));
  }
  std::vector<std::uint32_t> order(labels);
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return size[a] != size[b] ? size[a] > size[b] : lowest[a] < lowest[b];
  });
  std::vector<std::uint32_t> place(labels);
  Components out;
  out.count = labels;
  for (std::uint32_t k = 0; k < labels; ++k) {
    place[order[k]] = k;
    out.sizes.push_back(size[order[k]]);
  }
  for (const std::uint32_t l : label) out.of.push_back(place[l]);
  return out;
}

Arrows win_arrows(const PairTable& pairs, std::size_t n, BothBadAs both_bad) {
  Arrows arrows(n + (both_bad == BothBadAs::kThreshold));
  std::vector<bool> above(arrows.size(), false), below(arrows.size(), false);  // the threshold node
  for (const PairCount& p : pairs) {
    const double tie = p.weight[2] + (both_bad == BothBadAs::kTie ? p.weight[3] : 0);
    const bool a = p.weight[0] > 0 || tie > 0, b = p.weight[1] > 0 || tie > 0;
    if (a) arrows[p.first].push_back(p.second);
    if (b) arrows[p.second].push_back(p.first);
    if (both_bad != BothBadAs::kThreshold) continue;
    if (a) above[p.first] = true;
    if (b) above[p.second] = true;
    if (p.weight[3] > 0) below[p.first] = below[p.second] = true;
  }
  const auto ground = static_cast<std::uint32_t>(n);
  for (std::uint32_t i = 0; i < n; ++i) {
    if (above[i]) arrows[i].push_back(ground);
    if (below[i]) arrows[ground].push_back(i);
  }
  for (auto& list : arrows) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  }
  return arrows;
}

// Tarjan's algorithm with a stack of its own, since a chain of competitors may be long.
std::pair<std::vector<std::uint32_t>, std::uint32_t> strong_labels(const Arrows& arrows) {
  const std::size_t n = arrows.size();
  constexpr std::uint32_t kUnseen = std::numeric_limits<std::uint32_t>::max();
  std::vector<std::uint32_t> index(n, kUnseen), low(n, 0), label(n, kUnseen), stack;
  std::vector<std::size_t> next(n, 0);
  std::vector<bool> on_stack(n, false);
  std::vector<std::uint32_t> path;
  std::uint32_t clock = 0, labels = 0;
  for (std::uint32_t root = 0; root < n; ++root) {
    if (index[root] != kUnseen) continue;
    path.push_back(root);
    while (!path.empty()) {
      const std::uint32_t v = path.back();
      if (index[v] == kUnseen) {
        index[v] = low[v] = clock++;
        stack.push_back(v);
        on_stack[v] = true;
      }
      if (next[v] < arrows[v].size()) {
        const std::uint32_t w = arrows[v][next[v]++];
        if (index[w] == kUnseen)
          path.push_back(w);
        else if (on_stack[w])
          low[v] = std::min(low[v], index[w]);
        continue;
      }
      path.pop_back();
      if (!path.empty()) low[path.back()] = std::min(low[path.back()], low[v]);
      if (low[v] != index[v]) continue;
      for (std::uint32_t w = kUnseen; w != v;) {
        w = stack.back();
        stack.pop_back();
        on_stack[w] = false;
        label[w] = labels;
      }
      ++labels;
    }
  }
  return {std::move(label), labels};
}

std::string list_names(const std::vector<std::uint32_t>& who, const std::vector<std::string>& names,
                       std::size_t limit) {
  std::string out;
  for (std::size_t k = 0; k < who.size() && k < limit; ++k) {
    if (k > 0) out += ", ";
    out += who[k] < names.size() ? "'" + names[who[k]] + "'" : "competitor " + std::to_string(who[k] + 1);
  }
  if (who.size() > limit) out += " and " + std::to_string(who.size() - limit) + " more";
  return out;
}

std::vector<std::uint32_t> members(const Components& components, std::uint32_t label, std::size_t n) {
  std::vector<std::uint32_t> out;
  for (std::uint32_t i = 0; i < n; ++i)
    if (components.of[i] == label) out.push_back(i);
  return out;
}

// Unordered links with their votes, ascending.
struct Link {
  std::uint32_t a, b;
  double votes;
};
std::vector<Link> links_of(const PairTable& pairs) {
  std::vector<Link> links;
  for (const PairCount& p : pairs)
    if (p.total() > 0) links.push_back({std::min(p.first, p.second), std::max(p.first, p.second), p.total()});
  std::stable_sort(links.begin(), links.end(),
                   [](const Link& x, const Link& y) { return std::pair(x.a, x.b) < std::pair(y.a, y.b); });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < links.size(); ++i) {
    if (kept > 0 && links[kept - 1].a == links[i].a && links[kept - 1].b == links[i].b)
      links[kept - 1].votes += links[i].votes;
    else
      links[kept++] = links[i];
  }
  links.resize(kept);
  return links;
}

// Tarjan (1974): an edge to a child is a bridge when nothing below the child reaches above it. Links are
// unique, so the edge to the parent is told by the parent's number.
std::vector<Bridge> find_bridges(const std::vector<Link>& links, std::size_t n) {
  struct Edge {
    std::uint32_t to;
    double votes;
  };
  std::vector<std::vector<Edge>> edges(n);
  for (const Link& l : links) {
    edges[l.a].push_back({l.b, l.votes});
    edges[l.b].push_back({l.a, l.votes});
  }
  constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  std::vector<std::uint32_t> index(n, kNone), low(n, 0), parent(n, kNone), path, order, root_of(n, kNone);
  std::vector<std::uint32_t> below(n, 1);  // size of the subtree
  std::vector<double> up(n, 0);            // votes of the edge to the parent
  std::vector<std::size_t> next(n, 0);
  std::uint32_t clock = 0;
  for (std::uint32_t root = 0; root < n; ++root) {
    if (index[root] != kNone) continue;
    path.push_back(root);
    while (!path.empty()) {
      const std::uint32_t v = path.back();
      if (index[v] == kNone) {
        index[v] = low[v] = clock++;
        order.push_back(v);
        root_of[v] = root;
      }
      if (next[v] < edges[v].size()) {
        const Edge e = edges[v][next[v]++];
        if (index[e.to] == kNone) {
          parent[e.to] = v;
          up[e.to] = e.votes;
          path.push_back(e.to);
        } else if (e.to != parent[v]) {
          low[v] = std::min(low[v], index[e.to]);
        }
        continue;
      }
      path.pop_back();
      if (parent[v] != kNone) {
        low[parent[v]] = std::min(low[parent[v]], low[v]);
        below[parent[v]] += below[v];
      }
    }
  }
  std::vector<Bridge> out;
  for (std::uint32_t v = 0; v < n; ++v) {
    if (parent[v] == kNone || low[v] != index[v]) continue;
    Bridge bridge{std::min(v, parent[v]), std::max(v, parent[v]), up[v], {}};
    // The subtree of v is a run of the order of discovery.
    const std::uint32_t from = index[v], to = index[v] + below[v];
    const std::uint32_t root = root_of[v], whole = below[root];
    if (2 * below[v] <= whole)
      bridge.cut_off.assign(order.begin() + from, order.begin() + to);
    else
      for (std::uint32_t k = index[root]; k < index[root] + whole; ++k)
        if (k < from || k >= to) bridge.cut_off.push_back(order[k]);
    std::sort(bridge.cut_off.begin(), bridge.cut_off.end());
    out.push_back(std::move(bridge));
  }
  std::sort(out.begin(), out.end(),
            [](const Bridge& x, const Bridge& y) { return std::pair(x.a, x.b) < std::pair(y.a, y.b); });
  return out;
}

// Second smallest eigenvalue and, when wanted, its vector of a Laplacian with null vector `null` (unit
// length). Small ones by a full decomposition; larger ones by inverse iteration, each step one solve.
std::pair<double, std::vector<double>> fiedler(Matrix laplacian, const std::vector<double>& null,
                                               bool vector_too) {
  const std::size_t n = laplacian.rows;
  if (n <= 400) {
    const Spectrum s = symmetric_eigen(laplacian, vector_too);
    std::vector<double> vector(vector_too ? n : 0);
    for (std::size_t i = 0; i < vector.size(); ++i) vector[i] = s.vectors(i, 1);
    return {std::max(0.0, s.values[1]), vector};
  }
  double largest = 0;
  for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, laplacian(i, i));
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) laplacian(i, j) += 2 * largest * null[i] * null[j];
  const auto factor = Cholesky::of(std::move(laplacian));
  std::vector<double> x(n), y;
  if (!factor) return {0, x};
  for (std::size_t i = 0; i < n; ++i) x[i] = std::sin(static_cast<double>(i + 1));
  double value = 0;
  for (int step = 0; step < 500; ++step) {
    const double along = std::inner_product(x.begin(), x.end(), null.begin(), 0.0);
    for (std::size_t i = 0; i < n; ++i) x[i] -= along * null[i];
    const double length = std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0));
    for (double& c : x) c /= length;
    y = x;
    factor->solve(y);
    const double inverse = std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
    const double fresh = 1 / inverse;
    x = y;
    if (std::abs(fresh - value) <= 1e-12 * fresh) {
      value = fresh;
      break;
    }
    value = fresh;
  }
  return {value, x};
}

}  // namespace

Components meeting_components(const PairTable& pairs, std::size_t competitors) {
  DisjointSets sets(competitors);
  for (const PairCount& p : pairs)
    if (p.total() > 0) sets.link(p.first, p.second);
  std::vector<std::uint32_t> label(competitors), seen(competitors, CodeColumn::kNone);
  std::uint32_t labels = 0;
  for (std::uint32_t i = 0; i < competitors; ++i) {
    auto& l = seen[sets.root(i)];
    if (l == CodeColumn::kNone) l = labels++;
    label[i] = l;
  }
  return number_components(label, labels, competitors);
}

Components win_components(const PairTable& pairs, std::size_t competitors, BothBadAs both_bad) {
  const auto [label, labels] = strong_labels(win_arrows(pairs, competitors, both_bad));
  return number_components(label, labels, competitors);
}

std::string explain_separation(const PairTable& pairs, std::size_t n, BothBadAs both_bad,
                               const std::vector<std::string>& names, std::size_t limit) {
  const Components meeting = meeting_components(pairs, n);
  if (meeting.count > 1) {
    // The smallest group is the one to tell of.
    const auto group = members(meeting, meeting.count - 1, n);
    std::string out = "the votes fall into " + std::to_string(meeting.count) +
                      " groups that never met: nothing compares " + list_names(group, names, limit) +
                      " with the rest";
    return out;
  }
  const Arrows arrows = win_arrows(pairs, n, both_bad);
  const auto [label, labels] = strong_labels(arrows);
  const Components wins = number_components(label, labels, n);
  if (wins.count <= 1) return "";
  std::vector<bool> beaten(wins.count, false), beats(wins.count, false);
  for (std::size_t v = 0; v < arrows.size(); ++v)
    for (const std::uint32_t w : arrows[v])
      if (wins.of[v] != wins.of[w]) beats[wins.of[v]] = beaten[wins.of[w]] = true;
  // Of the groups at the top and at the bottom, the smallest that has competitors in it.
  for (std::uint32_t k = wins.count; k-- > 0;) {
    if ((beaten[k] && beats[k]) || wins.sizes[k] == 0) continue;
    if (2 * wins.sizes[k] > n && wins.count > 1 && k == 0) continue;
    const auto group = members(wins, k, n);
    return list_names(group, names, limit) + (beaten[k] ? " lost" : " won") +
           " every battle against the rest, so the distance has no finite best value (" +
           std::to_string(wins.count) + " groups in all)";
  }
  return "the threshold of a bad answer lies beyond all competitors, so it has no finite best value";
}

GraphHealth examine_graph(const PairTable& pairs, std::size_t n, const ExamineGraph& options) {
  GraphHealth out;
  out.meeting = meeting_components(pairs, n);
  out.wins = win_components(pairs, n, options.both_bad);
  out.votes.assign(n, 0);
  out.opponents.assign(n, 0);
  const std::vector<Link> links = links_of(pairs);
  out.pairs_met = links.size();
  out.pairs_possible = n < 2 ? 0 : static_cast<std::uint64_t>(n) * (n - 1) / 2;
  for (const Link& l : links) {
    out.votes[l.a] += l.votes;
    out.votes[l.b] += l.votes;
    ++out.opponents[l.a];
    ++out.opponents[l.b];
    if (l.votes < options.thin_votes) out.thin.push_back({l.a, l.b, l.votes});
  }
  std::stable_sort(out.thin.begin(), out.thin.end(),
                   [](const ThinPair& x, const ThinPair& y) { return x.votes < y.votes; });
  for (std::uint32_t i = 0; i < n; ++i)
    if (out.opponents[i] == 1) out.one_opponent.push_back(i);
  out.bridges = find_bridges(links, n);
  if (n < 2) {
    out.algebraic_connectivity = out.normalised_connectivity = std::numeric_limits<double>::quiet_NaN();
    return out;
  }
  if (out.meeting.count > 1) return out;
  Matrix plain(n, n), normalised(n, n);
  for (const Link& l : links) {
    plain(l.a, l.b) = plain(l.b, l.a) = -l.votes;
    normalised(l.a, l.b) = normalised(l.b, l.a) = -l.votes / std::sqrt(out.votes[l.a] * out.votes[l.b]);
  }
  std::vector<double> flat(n, 1 / std::sqrt(static_cast<double>(n))), rooted(n);
  const double all = std::accumulate(out.votes.begin(), out.votes.end(), 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    plain(i, i) = out.votes[i];
    normalised(i, i) = 1;
    rooted[i] = std::sqrt(out.votes[i] / all);
  }
  out.algebraic_connectivity = fiedler(std::move(plain), flat, false).first;
  const auto [value, vector] = fiedler(std::move(normalised), rooted, true);
  out.normalised_connectivity = value;
  std::vector<std::uint32_t> low, high;
  for (std::uint32_t i = 0; i < n; ++i) (vector[i] < 0 ? low : high).push_back(i);
  out.weakest_side =
      low.size() < high.size() || (low.size() == high.size() && low.front() < high.front()) ? low : high;
  return out;
}

Restricted restrict_pairs(const PairTable& pairs, const std::vector<bool>& keep) {
  Restricted out;
  std::vector<std::uint32_t> number(keep.size(), CodeColumn::kNone);
  for (std::uint32_t i = 0; i < keep.size(); ++i) {
    if (!keep[i]) continue;
    number[i] = static_cast<std::uint32_t>(out.kept.size());
    out.kept.push_back(i);
  }
  for (const PairCount& p : pairs) {
    if (p.first >= keep.size() || p.second >= keep.size() || !keep[p.first] || !keep[p.second]) continue;
    out.pairs.push_back(p);
    out.pairs.back().first = number[p.first];
    out.pairs.back().second = number[p.second];
  }
  return out;
}

std::vector<bool> who_met(const PairTable& pairs, std::size_t competitors) {
  std::vector<bool> out(competitors, false);
  for (const PairCount& p : pairs)
    if (p.total() > 0) out[p.first] = out[p.second] = true;
  return out;
}

}  // namespace agon
