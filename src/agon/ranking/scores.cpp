#include "agon/ranking/scores.h"

#include <algorithm>

#include "agon/base/check.h"
#include "agon/base/parallel.h"

namespace agon {

RowGroups group_rows(std::span<const std::uint32_t> cluster, std::span<const std::uint32_t> chosen,
                     std::size_t size) {
  RowGroups out;
  const std::size_t n = chosen.empty() ? size : chosen.size();
  const auto row_at = [&](std::size_t k) {
    return chosen.empty() ? static_cast<std::uint32_t>(k) : chosen[k];
  };
  std::uint32_t codes = 0;
  if (!cluster.empty())
    for (std::size_t k = 0; k < n; ++k)
      if (const std::uint32_t c = cluster[row_at(k)]; c != CodeColumn::kNone) codes = std::max(codes, c + 1);
  std::vector<std::uint64_t> count(static_cast<std::size_t>(codes) + 1, 0);
  std::uint64_t alone = 0;
  for (std::size_t k = 0; k < n; ++k) {
    const std::uint32_t c = cluster.empty() ? CodeColumn::kNone : cluster[row_at(k)];
    c == CodeColumn::kNone ? ++alone : ++count[c];
  }
  std::vector<std::uint64_t> at(codes);
  std::uint64_t sum = 0;
  out.begin.push_back(0);
  for (std::uint32_t c = 0; c < codes; ++c) {
    at[c] = sum;
    sum += count[c];
    if (count[c] > 0) out.begin.push_back(sum);
  }
  std::uint64_t single = sum;
  for (std::uint64_t k = 1; k <= alone; ++k) out.begin.push_back(sum + k);
  out.rows.resize(n);
  for (std::size_t k = 0; k < n; ++k) {
    const std::uint32_t row = row_at(k);
    const std::uint32_t c = cluster.empty() ? CodeColumn::kNone : cluster[row];
    out.rows[c == CodeColumn::kNone ? single++ : at[c]++] = row;
  }
  return out;
}

Matrix clustered_meat(std::size_t clusters, std::size_t size,
                      const std::function<void(std::size_t, SparseVector&)>& fill) {
  // A matrix a chunk; as many chunks as 256 MB allow, and no more than keep the threads busy.
  const std::size_t bytes = size * size * sizeof(double);
  const std::size_t chunks =
      std::clamp<std::size_t>((std::size_t{256} << 20) / std::max<std::size_t>(bytes, 1), 1, 16);
  std::vector<Matrix> part(chunks);
  parallel_for(chunks, [&](std::size_t chunk) {
    part[chunk] = Matrix(size, size);
    SparseVector score(size);
    const std::size_t from = clusters * chunk / chunks, to = clusters * (chunk + 1) / chunks;
    for (std::size_t g = from; g < to; ++g) {
      fill(g, score);
      const auto touched = score.touched();
      for (const std::uint32_t i : touched)
        for (const std::uint32_t j : touched) part[chunk](i, j) += score[i] * score[j];
      score.clear();
    }
  });
  for (std::size_t chunk = 1; chunk < chunks; ++chunk)
    for (std::size_t k = 0; k < size * size; ++k) part[0].values[k] += part[chunk].values[k];
  return std::move(part[0]);
}

void PairedScores::add(std::uint32_t row, std::size_t offset, SparseVector& out,
                       std::span<const std::uint32_t> number) const {
  const auto competitor = [&](std::uint32_t c) { return number.empty() ? c : number[c]; };
  const std::uint32_t first = competitor(battles_.a[row]), second = competitor(battles_.b[row]);
  AGON_CHECK(first < fit_.competitors() && second < fit_.competitors());
  BattleOutcome outcome = battles_.outcome[row];
  const bool threshold = fit_.options.ties == TieModel::kBadThreshold;
  if (outcome == BattleOutcome::kBothBad && !threshold) {
    if (fit_.options.drop_both_bad) return;
    outcome = BattleOutcome::kTie;
  }
  paired::LocalTerms terms;
  paired::local_terms(shape_.model, shape_.point(fit_.parameters, first, second), terms);
  std::array<double, 3> g;
  if (outcome == BattleOutcome::kShare) {
    const double share = static_cast<double>(battles_.share[row]);
    for (std::size_t d = 0; d < 3; ++d)
      g[d] = share * terms.gradient[0][d] + (1 - share) * terms.gradient[1][d];
  } else {
    g = terms.gradient[static_cast<std::size_t>(outcome)];
  }
  const double weight = battles_.weight.empty() ? 1 : battles_.weight[row];
  for (double& d : g) d *= weight;
  const ParameterLayout& layout = fit_.layout;
  out.add(offset + first, g[0]);
  out.add(offset + second, g[1]);
  if (layout.tie >= 0) out.add(offset + static_cast<std::size_t>(layout.tie), g[2]);
  if (layout.bad >= 0) out.add(offset + static_cast<std::size_t>(layout.bad), -(g[0] + g[1]));
  if (layout.position >= 0) out.add(offset + static_cast<std::size_t>(layout.position), 0.5 * (g[0] - g[1]));
}

}  // namespace agon
