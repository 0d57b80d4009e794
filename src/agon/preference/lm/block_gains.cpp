#include "agon/preference/lm/block_gains.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <utility>

#include "agon/stats/metrics.h"

namespace agon {
std::span<const BlockGain> shown_gains(std::span<const BlockGain> gains) {
  return gains.size() == 2 ? gains.first(1) : gains;
}

std::vector<std::string> block_lines(std::span<const BlockGain> gains) {
  std::vector<std::string> lines;
  for (const BlockGain& g : shown_gains(gains)) {
    lines.push_back(
        fmt::format("{}: {:+.4f} \u00b1 {:.4f} log loss (direction on in {}, tie in {} of {} fits)", g.block,
                    g.mean, g.error, g.direction_on, g.tie_on, g.fits));
  }
  return lines;
}

BlockGains::BlockGains(std::vector<std::string> blocks, std::span<const std::uint32_t> groups)
    : groups_(groups.begin(), groups.end()) {
  for (std::string& block : blocks) gains_.push_back({.block = std::move(block)});
  gains_.push_back({.block = "all"});
  differences_.assign(gains_.size(), std::vector<double>(groups_.size()));
}

void BlockGains::add_drawing(std::span<const Prediction> without, std::span<const std::vector<Shift>> shifts,
                             std::span<const Outcome> outcomes) {
  const std::size_t blocks = gains_.size() - 1;
  double sum = 0;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const double with = log_loss(shifted(without[i], sum_of(shifts[i])), outcomes[i]);
    for (std::size_t b = 0; b < blocks; ++b)
      differences_[b][i] += with - log_loss(shifted(without[i], sum_of(shifts[i], b)), outcomes[i]);
    const double none = log_loss(without[i], outcomes[i]);
    differences_[blocks][i] += with - none;
    sum += none;
  }
  without_.push_back(sum / static_cast<double>(outcomes.size()));
}

void BlockGains::add_fit(std::span<const Correction> corrections) {
  for (std::size_t b = 0; b < gains_.size(); ++b) {
    ++gains_[b].fits;
    bool direction = false, tie = false;
    for (const Correction& c : corrections)
      if (c.block() == gains_[b].block || b + 1 == gains_.size()) {
        direction = direction || c.moves_direction();
        tie = tie || c.moves_tie();
      }
    gains_[b].direction_on += direction;
    gains_[b].tie_on += tie;
  }
}

std::vector<BlockGain> BlockGains::result() const {
  std::vector<BlockGain> out = gains_;
  const auto n = static_cast<double>(groups_.size());
  const auto drawings = static_cast<double>(without_.size());
  for (std::size_t b = 0; b < out.size(); ++b) {
    double sum = 0;
    for (const double d : differences_[b]) sum += d / drawings;
    out[b].mean = sum / n;
    std::map<std::uint32_t, double> by_group;  // deviations from the mean
    for (std::size_t i = 0; i < groups_.size(); ++i)
      by_group[groups_[i]] += differences_[b][i] / drawings - out[b].mean;
    double squares = 0;
    for (const auto& [group, deviation] : by_group) squares += deviation * deviation;
    out[b].error = std::sqrt(squares) / n;
  }
  return out;
}

}  // namespace agon
