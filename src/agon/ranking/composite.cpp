#include "agon/ranking/composite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "agon/base/check.h"
#include "agon/ranking/paired_kernel.h"
#include "agon/ranking/scores.h"

namespace agon {
namespace {

// A part made ready: its weight, its numbers of the battles' competitors, and which battles it holds.
struct Board {
  const PairedFit* fit = nullptr;
  double weight = 0;
  std::vector<std::uint32_t> number;
  std::vector<char> holds;
  std::size_t offset = 0;  // of its scores among all parts'
  Matrix inverse;
};

Result<std::vector<Board>> prepare(const BattleRows& battles, std::span<const CompositePart> parts,
                                   std::size_t competitors) {
  double sum = 0;
  for (const CompositePart& part : parts) {
    if (!(part.weight >= 0) || !std::isfinite(part.weight))
      return fail(fmt::format("weight {} of a board in a composite", part.weight));
    sum += part.weight;
  }
  if (!(sum > 0)) return fail("a composite needs at least one board with a positive weight");
  std::vector<Board> boards;
  std::size_t offset = 0;
  for (const CompositePart& part : parts) {
    if (part.weight == 0) continue;
    Board board;
    board.fit = part.fit;
    board.weight = part.weight / sum;
    board.offset = offset;
    offset += part.fit->layout.size();
    if (!part.fit->converged) return fail("a board of the composite did not converge");
    AGON_CHECK(part.kept.empty() ? part.fit->competitors() == competitors
                                 : part.kept.size() == part.fit->competitors());
    board.number.assign(competitors, CodeColumn::kNone);
    for (std::uint32_t i = 0; i < part.fit->competitors(); ++i)
      board.number[part.kept.empty() ? i : part.kept[i]] = i;
    board.holds.assign(battles.size(), part.rows.empty());
    for (const std::uint32_t r : part.rows) board.holds[r] = 1;
    // A board of some competitors was fitted on the battles among them.
    for (std::size_t r = 0; r < battles.size(); ++r)
      if (board.number[battles.a[r]] == CodeColumn::kNone || board.number[battles.b[r]] == CodeColumn::kNone)
        board.holds[r] = 0;
    auto inverse = paired::sum_zero_inverse(part.fit->hessian, part.fit->layout);
    if (!inverse) return fail("the information matrix of a board in the composite is singular");
    board.inverse = std::move(*inverse);
    boards.push_back(std::move(board));
  }
  return boards;
}

}  // namespace

Result<Composite> composite_board(const BattleRows& battles, std::span<const CompositePart> parts,
                                  std::size_t competitors, std::span<const std::uint32_t> cluster) {
  AGON_CHECK(cluster.empty() || cluster.size() == battles.size());
  AGON_ASSIGN(const std::vector<Board> boards, prepare(battles, parts, competitors));
  Composite out;
  for (std::uint32_t i = 0; i < competitors; ++i)
    if (std::ranges::all_of(boards, [&](const Board& b) { return b.number[i] != CodeColumn::kNone; }))
      out.competitors.push_back(i);
  const std::size_t m = out.competitors.size();
  if (m < 2) return fail("fewer than two competitors are on every board of the composite");

  std::vector<std::uint32_t> rows;
  for (std::uint32_t r = 0; r < battles.size(); ++r)
    if (std::ranges::any_of(boards, [&](const Board& b) { return b.holds[r] != 0; })) rows.push_back(r);
  if (rows.empty()) return fail("the boards of the composite hold no battles");
  const RowGroups groups = group_rows(cluster, rows, battles.size());
  if (groups.count() < 2) return fail("a composite needs votes of at least two clusters");
  std::vector<PairedScores> scores;
  scores.reserve(boards.size());
  for (const Board& b : boards) scores.emplace_back(*b.fit, battles);
  const std::size_t size = boards.back().offset + boards.back().fit->layout.size();
  const Matrix meat = clustered_meat(groups.count(), size, [&](std::size_t g, SparseVector& into) {
    for (const std::uint32_t row : groups.rows_of(g))
      for (std::size_t k = 0; k < boards.size(); ++k)
        if (boards[k].holds[row] != 0) scores[k].add(row, boards[k].offset, into, boards[k].number);
  });

  // What a score of each part does to the composite's strengths, centred over those on all boards.
  Matrix effect(m, size);
  out.strengths.assign(m, 0);
  for (const Board& b : boards)
    for (std::size_t i = 0; i < m; ++i) {
      const std::uint32_t own = b.number[out.competitors[i]];
      out.strengths[i] += b.weight * b.fit->strength(own);
      for (std::size_t p = 0; p < b.fit->layout.size(); ++p)
        effect(i, b.offset + p) = b.weight * b.inverse(own, p);
    }
  const auto centre = [&](auto&& at) {
    double mean = 0;
    for (std::size_t i = 0; i < m; ++i) mean += at(i) / static_cast<double>(m);
    for (std::size_t i = 0; i < m; ++i) at(i) -= mean;
  };
  centre([&](std::size_t i) -> double& { return out.strengths[i]; });
  for (std::size_t p = 0; p < size; ++p) centre([&](std::size_t i) -> double& { return effect(i, p); });

  out.covariance = {CovarianceKind::kClustered, {}, sandwich(effect, meat), groups.count()};
  out.covariance.layout.competitors = m;
  const auto g = static_cast<double>(groups.count());
  for (double& v : out.covariance.matrix.values) v *= g / (g - 1);
  return out;
}

}  // namespace agon
