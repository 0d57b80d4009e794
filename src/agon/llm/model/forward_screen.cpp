// The last step of a forward pass where only the most probable token is wanted: a screen of the vocabulary
// tells which words it may be, and the logits of those alone are computed, as without a screen.
#include <algorithm>
#include <cmath>
#include <limits>

#include "agon/llm/model/forward.h"

namespace agon::llm {
namespace {

constexpr std::size_t wide(int n) { return static_cast<std::size_t>(n); }

}  // namespace

// Fills summaries_ but for their sums, which nobody asked for. False, for every member alike, where the
// screen cannot tell.
bool Forward::screen_out(Member& member, const Activations& inputs) {
  const VocabularyScreen& screen = *screen_;
  const PackedMatrix& output = weights_.output();
  const std::size_t blocks = wide(screen.blocks());
  const int wanted = inputs.rows, chunks = (output.panels + kChunkPanels - 1) / kChunkPanels;
  const auto panels_of = [&](int chunk) { return std::min((chunk + 1) * kChunkPanels, screen.panels()); };
  Own& mine = own_[wide(member.index())];
  // Every member prepares all rows for itself: they are few.
  mine.screened.resize(2 * wide(wanted) * blocks);
  const std::span<float> numbers(mine.screened);
  ScreenedRow rows[kScreenRows];
  for (int i = 0; i < wanted; ++i) {
    const std::span<float> offsets = numbers.subspan(2 * wide(i) * blocks, blocks);
    const std::span<float> squares = numbers.subspan((2 * wide(i) + 1) * blocks, blocks);
    rows[i] = {inputs.blocks + Activations::block_index(i, 0, inputs.columns), offsets.data(),
               squares.data()};
    if (!screen.prepare(rows[i].blocks, offsets, squares)) return false;
  }
  const auto most = [&](int row) { return bounds_.data() + wide(row) * wide(screen.panels()); };
  const auto estimate = [&](int row) { return estimates_.data() + wide(row) * wide(chunks); };
  for (int chunk = member.take(chunks); chunk < chunks; chunk = member.take(chunks)) {
    for (int i = 0; i < wanted; ++i) estimate(i)[chunk] = {-INFINITY, chunk * kChunkPanels, 0};
    for (int panel = chunk * kChunkPanels; panel < panels_of(chunk); ++panel) {
      for (int i = 0; i < wanted; ++i) {
        const ScreenBounds found = kernels_.screen(screen.panel(panel), screen.blocks(), rows[i]);
        most(i)[panel] = found.most;
        ChunkSummary& best = estimate(i)[chunk];
        if (found.estimate > best.largest) best = {found.estimate, panel, 0};
      }
    }
    mine.vocabulary_bytes +=
        wide(std::max(0, panels_of(chunk) - chunk * kChunkPanels)) * screen.panel_bytes();
  }
  member.barrier();
  // A word whose bound is below the logit of another cannot be the most probable one: the closer to the
  // largest that logit is, the fewer are left, so it is that of the best estimate.
  alignas(64) float logits[kScreenRows * kPanelRows];
  const auto compute = [&](int panel) {
    panels(output, panel, 1, inputs, logits, kPanelRows, mine.kernel.data());
    mine.vocabulary_bytes += output.panel_bytes;
  };
  float least[kScreenRows];
  for (int i = 0; i < wanted; ++i) {
    const ChunkSummary* found = estimate(i);
    compute(std::max_element(found, found + chunks, [](const ChunkSummary& a, const ChunkSummary& b) {
              return a.largest < b.largest;
            })->place);
    least[i] = *std::max_element(logits + i * kPanelRows, logits + (i + 1) * kPanelRows);
  }
  for (int chunk = member.take(chunks); chunk < chunks; chunk = member.take(chunks)) {
    for (int i = 0; i < wanted; ++i) summaries_[wide(i) * wide(chunks) + wide(chunk)] = {-INFINITY, 0, 0};
    const int end = std::min((chunk + 1) * kChunkPanels, output.panels);
    for (int panel = chunk * kChunkPanels; panel < end; ++panel) {
      bool open = panel >= screen.panels();
      for (int i = 0; i < wanted && !open; ++i) open = !(most(i)[panel] < least[i]);
      if (!open) continue;
      compute(panel);
      const int words = std::min(kPanelRows, config().vocabulary - panel * kPanelRows);
      for (int i = 0; i < wanted; ++i) {
        ChunkSummary& best = summaries_[wide(i) * wide(chunks) + wide(chunk)];
        for (int w = 0; w < words; ++w) {
          const float logit = logits[i * kPanelRows + w];
          if (logit > best.largest) best = {logit, panel * kPanelRows + w - chunk * kChunk, 0};
        }
      }
    }
  }
  return true;
}

}  // namespace agon::llm
