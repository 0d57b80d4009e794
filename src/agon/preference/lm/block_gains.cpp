#include "agon/preference/lm/block_gains.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "agon/stats/metrics.h"
#include "agon/stats/paired.h"

namespace agon {
namespace {

double loss_of(const BlockShifts& drawing, std::size_t row, const std::vector<bool>& kept) {
  return log_loss(shifted(drawing.without[row], sum_of(drawing.shifts[row], kept)), drawing.outcomes[row]);
}

/// The mean of differences and its standard error over groups of rows.
Paired over_groups(std::span<const double> differences, std::span<const std::uint32_t> groups) {
  const auto n = static_cast<double>(differences.size());
  double sum = 0;
  for (const double d : differences) sum += d;
  const double mean = sum / n;
  std::map<std::uint32_t, double> by_group;  // deviations from the mean
  for (std::size_t i = 0; i < groups.size(); ++i) by_group[groups[i]] += differences[i] - mean;
  double squares = 0;
  for (const auto& [group, deviation] : by_group) squares += deviation * deviation;
  return {mean, std::sqrt(squares) / n};
}

}  // namespace

std::vector<bool> worth_keeping(std::span<const BlockShifts> drawings, std::span<const std::uint32_t> rows) {
  const std::size_t blocks =
      drawings.empty() || drawings[0].shifts.empty() ? 0 : drawings[0].shifts[0].size();
  std::vector<bool> kept(blocks, true);
  const auto loss_with = [&](const std::vector<bool>& in) {
    double sum = 0;
    for (const BlockShifts& drawing : drawings)
      for (const std::uint32_t row : rows) sum += loss_of(drawing, row, in);
    return sum;
  };
  while (std::ranges::find(kept, true) != kept.end()) {
    double best = loss_with(kept);
    std::size_t leaves = blocks;
    for (std::size_t b = 0; b < blocks; ++b) {
      if (!kept[b]) continue;
      kept[b] = false;
      if (const double without = loss_with(kept); without <= best) {
        best = without;
        leaves = b;
      }
      kept[b] = true;
    }
    if (leaves == blocks) break;
    kept[leaves] = false;
  }
  return kept;
}

std::span<const BlockGain> shown_gains(std::span<const BlockGain> gains) {
  return gains.size() == 2 && gains[0].kept == gains[0].fits ? gains.first(1) : gains;
}

std::vector<std::string> block_lines(std::span<const BlockGain> gains) {
  std::vector<std::string> lines;
  for (const BlockGain& g : shown_gains(gains)) {
    lines.push_back(fmt::format(
        "{}: {:+.4f} \u00b1 {:.4f} log loss (kept in {}, direction on in {}, tie in {} of {} fits)", g.block,
        g.mean, g.error, g.kept, g.direction_on, g.tie_on, g.fits));
  }
  return lines;
}

BlockGains::BlockGains(std::vector<std::string> blocks, std::span<const std::uint32_t> groups)
    : groups_(groups.begin(), groups.end()) {
  for (std::string& block : blocks) gains_.push_back({.block = std::move(block)});
  gains_.push_back({.block = "all"});
  differences_.assign(gains_.size(), std::vector<double>(groups_.size()));
}

void BlockGains::add_drawing(const BlockShifts& drawing, std::span<const std::uint32_t> fit_of,
                             std::span<const std::vector<bool>> kept) {
  const std::size_t blocks = gains_.size() - 1;
  double sum = 0;
  for (std::size_t i = 0; i < drawing.outcomes.size(); ++i) {
    std::vector<bool> in = kept[fit_of[i]];
    const double with = loss_of(drawing, i, in), none = log_loss(drawing.without[i], drawing.outcomes[i]);
    for (std::size_t b = 0; b < blocks; ++b) {
      in[b] = !in[b];
      const double other = loss_of(drawing, i, in);
      in[b] = !in[b];
      differences_[b][i] += in[b] ? with - other : other - with;
    }
    differences_[blocks][i] += with - none;
    sum += none;
  }
  without_.push_back(sum / static_cast<double>(drawing.outcomes.size()));
}

void BlockGains::add_fit(std::span<const Correction> corrections, const std::vector<bool>& kept) {
  bool any_kept = false, any_direction = false, any_tie = false;
  const auto count = [](BlockGain& gain, bool is_kept, bool direction, bool tie) {
    ++gain.fits;
    gain.kept += is_kept;
    gain.direction_on += direction;
    gain.tie_on += tie;
  };
  for (std::size_t b = 0; b + 1 < gains_.size(); ++b) {
    const auto correction = std::ranges::find(corrections, gains_[b].block, &Correction::block);
    const bool found = correction != corrections.end();
    const bool direction = found && correction->moves_direction(), tie = found && correction->moves_tie();
    count(gains_[b], kept[b], direction, tie);
    any_kept = any_kept || kept[b];
    any_direction = any_direction || (kept[b] && direction);
    any_tie = any_tie || (kept[b] && tie);
  }
  count(gains_.back(), any_kept, any_direction, any_tie);
}

std::vector<BlockGain> BlockGains::result() const {
  std::vector<BlockGain> out = gains_;
  for (std::size_t b = 0; b < out.size(); ++b) {
    std::vector<double> differences = differences_[b];
    for (double& d : differences) d /= static_cast<double>(without_.size());
    const Paired gain = over_groups(differences, groups_);
    out[b].mean = gain.mean;
    out[b].error = gain.error;
  }
  return out;
}

}  // namespace agon
