// The last step of a forward pass: from hidden states to logits and log-probabilities, the vocabulary in
// chunks so that no buffer is as long as it.
#include <algorithm>
#include <cmath>
#include <limits>

#include "agon/llm/model/forward.h"

namespace agon::llm {
namespace {

constexpr std::size_t wide(int n) { return static_cast<std::size_t>(n); }

}  // namespace

void Forward::read_out(Member& member, const Piece& piece, Stream& stream, const Batch& batch,
                       BatchResult& result) {
  const ModelConfig& config = weights_.config();
  const PackedMatrix& output = weights_.output();
  const int wanted = static_cast<int>(piece.wanted.size());
  const int chunks = (output.panels + kChunkPanels - 1) / kChunkPanels;
  const bool own = piece.rows() <= kOwnRows;
  // Wanted rows move up: the normed row i is that of wanted row i.
  each_row(member, wanted, own, [&](int i) {
    const float* x = stream.x.as<float>() + wide(piece.wanted[wide(i)]) * wide(embedding_);
    kernels_.rms_norm(x, weights_.output_norm().data(), embedding_, static_cast<float>(config.norm_epsilon),
                      stream.normed.row(i));
    into_blocks(stream.normed.row(i), embedding_, stream.normed.block(i, 0), rests_ ? stream.normed.rest : 0);
  });
  if (member.index() == 0) {
    summaries_.resize(wide(wanted) * wide(chunks));
    if (screen_ != nullptr) {
      bounds_.resize(wide(wanted) * wide(screen_->panels()));
      estimates_.resize(summaries_.size());
    }
  }
  member.barrier();
  Own& mine = own_[wide(member.index())];
  const std::size_t needed = wide(wanted) * kChunk * sizeof(float);
  if (mine.strip.size() < needed) mine.strip = AlignedBytes(needed);
  float* strip = mine.strip.as<float>();
  const auto cap = static_cast<float>(config.final_softcap);
  const Activations inputs = stream.normed.view(wanted, rests_);
  if (screen_ != nullptr && screen_out(member, inputs)) return;
  for (int chunk = member.take(chunks); chunk < chunks; chunk = member.take(chunks)) {
    const int end = std::min((chunk + 1) * kChunkPanels, output.panels);
    for (int panel = chunk * kChunkPanels; panel < end; panel += most_panels()) {
      panels(output, panel, std::min(most_panels(), end - panel), inputs,
             strip + (panel - chunk * kChunkPanels) * kPanelRows, kChunk, mine.kernel.data());
    }
    mine.vocabulary_bytes += wide(end - chunk * kChunkPanels) * output.panel_bytes;
    const int first = chunk * kChunk;
    const int words = std::min(kChunk, config.vocabulary - first);
    auto logit = std::ranges::lower_bound(batch.logit_rows, piece.first_row);
    auto target = std::ranges::lower_bound(batch.targets, piece.first_row, {}, &Batch::Target::row);
    for (int i = 0; i < wanted; ++i) {
      const int row = piece.first_row + piece.wanted[wide(i)];
      const bool keeps = logit != batch.logit_rows.end() && *logit == row;
      const bool scores = target != batch.targets.end() && target->row == row;
      float* logits = strip + wide(i) * kChunk;
      ChunkSummary& summary = summaries_[wide(i) * wide(chunks) + wide(chunk)];
      const int padded = (words + kPanelRows - 1) / kPanelRows * kPanelRows;
      const auto summarize = [&](float capped_at) {
        kernels_.summarize(logits, padded, capped_at, &summary.largest, &summary.place,
                           keeps || scores ? &summary.sum : nullptr);
      };
      // Words that are not there must not count: the last panel is filled up with zeros. Capped, they would
      // be no more than the cap below zero, so they are put out after that.
      if (cap != 0) summarize(cap);
      if (cap == 0 || padded != words) {
        std::fill(logits + words, logits + padded, -INFINITY);
        summarize(0);
      }
      if (keeps) {
        std::copy_n(logits, words,
                    result.logits.begin() + (logit - batch.logit_rows.begin()) * config.vocabulary + first);
        ++logit;
      }
      for (; target != batch.targets.end() && target->row == row; ++target) {
        if (target->token >= first && target->token < first + words) {
          target_logits_[static_cast<std::size_t>(target - batch.targets.begin())] =
              logits[target->token - first];
        }
      }
    }
  }
}

void Forward::merge_scores(const Piece& piece, const Batch& batch, BatchResult& result) {
  const auto wanted = piece.wanted.size();
  if (wanted == 0) return;
  const std::size_t chunks = summaries_.size() / wanted;
  auto logit = std::ranges::lower_bound(batch.logit_rows, piece.first_row);
  auto best_row = std::ranges::lower_bound(batch.best_rows, piece.first_row);
  auto target = std::ranges::lower_bound(batch.targets, piece.first_row, {}, &Batch::Target::row);
  for (std::size_t i = 0; i < wanted; ++i) {
    const ChunkSummary* parts = summaries_.data() + i * chunks;
    float largest = parts[0].largest;
    std::size_t best = 0;
    for (std::size_t c = 1; c < chunks; ++c) {
      if (parts[c].largest > largest) {
        largest = parts[c].largest;
        best = c;
      }
    }
    // The largest is not finite where there is no number among the logits, or an infinite one.
    const bool lost = lost_rows_[wide(piece.wanted[i])] != 0 || !std::isfinite(largest);
    const auto top = static_cast<std::int32_t>(best) * kChunk + parts[best].place;
    const int row = piece.first_row + piece.wanted[i];
    if (best_row != batch.best_rows.end() && *best_row == row) {
      if (!lost) result.best[static_cast<std::size_t>(best_row - batch.best_rows.begin())] = top;
      ++best_row;
    }
    const bool keeps = logit != batch.logit_rows.end() && *logit == row;
    const bool scores = target != batch.targets.end() && target->row == row;
    if (!keeps && !scores) continue;
    double sum = 0;
    for (std::size_t c = 0; c < chunks; ++c) {
      sum += parts[c].sum * std::exp(static_cast<double>(parts[c].largest) - static_cast<double>(largest));
    }
    const double log_total =
        lost ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(largest) + std::log(sum);
    if (keeps) {
      result.log_totals[static_cast<std::size_t>(logit - batch.logit_rows.begin())] = log_total;
      ++logit;
    }
    for (; target != batch.targets.end() && target->row == row; ++target) {
      const auto index = static_cast<std::size_t>(target - batch.targets.begin());
      result.scores[index] = {static_cast<double>(target_logits_[index]) - log_total, top,
                              static_cast<double>(largest) - log_total};
    }
  }
}

}  // namespace agon::llm
