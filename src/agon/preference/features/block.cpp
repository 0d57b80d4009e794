#include "agon/preference/features/block.h"

#include <atomic>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/preference/features/blocks.h"

namespace agon {
namespace {

constexpr std::size_t kGrain = 64;  ///< rows a task: long enough to amortise, short enough to balance

/// Buffers that live as long as their thread: a row then allocates nothing.
AnalyzedVote& scratch() {
  thread_local AnalyzedVote analyzed;
  return analyzed;
}

}  // namespace

Status TextBlock::compute(std::span<const Vote> votes, std::span<float> out, const Progress& progress) const {
  const std::size_t width = columns().size();
  AGON_CHECK(out.size() == votes.size() * width);
  parallel_chunks(votes.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      analyze(votes[i], scratch());
      compute_row(scratch(), out.subspan(i * width, width));
    }
  });
  if (progress) progress(name(), votes.size(), votes.size());
  return {};
}

const std::vector<const TextBlock*>& text_blocks() {
  static const std::vector<const TextBlock*> blocks = {
      &length_block(),  &structure_block(),  &character_block(), &tone_block(),
      &overlap_block(), &repetition_block(), &turns_block(),     &prompt_block()};
  return blocks;
}

const std::vector<Column>& text_columns() {
  static const std::vector<Column> all = [] {
    std::vector<Column> columns;
    for (const TextBlock* block : text_blocks())
      columns.insert(columns.end(), block->columns().begin(), block->columns().end());
    return columns;
  }();
  return all;
}

void text_feature_row(const AnalyzedVote& vote, std::span<float> out) {
  for (const TextBlock* block : text_blocks()) {
    const std::size_t width = block->columns().size();
    block->compute_row(vote, out.first(width));
    out = out.subspan(width);
  }
}

FeatureMatrix text_features(std::span<const Vote> votes, const Progress& progress) {
  FeatureMatrix matrix{.rows = votes.size(), .columns = text_columns().size(), .values = {}};
  matrix.values.resize(matrix.rows * matrix.columns);
  std::atomic<std::size_t> done = 0;
  parallel_chunks(votes.size(), kGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      analyze(votes[i], scratch());
      text_feature_row(scratch(), matrix.row(i));
    }
    const std::size_t now = done += end - begin;
    if (progress) progress("text features", now, votes.size());
  });
  return matrix;
}

}  // namespace agon
