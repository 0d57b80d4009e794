#include "agon/llm/engine/embedding.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "agon/llm/engine/reward.h"

namespace agon::llm {
namespace {

Embedding pool(std::span<const float> rows, std::size_t width, Pooling pooling) {
  if (pooling == Pooling::kNone) return {rows.begin(), rows.end()};
  if (pooling == Pooling::kLast) return {rows.end() - static_cast<std::ptrdiff_t>(width), rows.end()};
  std::vector<double> sums(width, 0.0);
  for (std::size_t i = 0; i < rows.size(); ++i) sums[i % width] += static_cast<double>(rows[i]);
  Embedding mean(width);
  const auto count = static_cast<double>(rows.size() / width);
  for (std::size_t i = 0; i < width; ++i) mean[i] = static_cast<float>(sums[i] / count);
  return mean;
}

}  // namespace

Result<std::vector<Embedding>> embed(Engine& engine, std::span<const std::vector<Token>> texts, int layer,
                                     Pooling pooling) {
  const int layers = engine.config().layer_count();
  if (layer < -1 || layer > layers) {
    return fail(fmt::format("there is no layer {}: this model has 0 (the embeddings) to {}", layer, layers));
  }
  if (pooling == Pooling::kRank) {
    AGON_TRY(check_head(engine));
    if (layer >= 0 && layer != layers)
      return fail(
          fmt::format("the classification head is behind all {} layers, not behind {}", layers, layer));
  }
  constexpr std::size_t kBatchRows = 2048;
  std::size_t longest = 0;
  for (const std::vector<Token>& text : texts) {
    if (text.empty()) return fail("an empty text has no hidden states");
    AGON_TRY(engine.check_length(text.size(), "the text"));
    longest = std::max(longest, text.size());
  }
  AGON_ASSIGN(KvCache cache, engine.make_cache(static_cast<int>(
                                 longest + (kBatchRows + kPageTokens) * (kPageTokens + 1) / kPageTokens +
                                 kBatchRows * kPageTokens / 4)));
  const auto forward = engine.make_forward(cache);
  const auto width = static_cast<std::size_t>(engine.config().embedding);
  std::vector<Embedding> result(texts.size());
  BatchResult states;
  for (std::size_t first = 0; first < texts.size();) {
    Batch batch;
    batch.stop_layer = layer < 0 ? layers : layer;
    batch.hidden_layers = {batch.stop_layer};
    std::size_t last = first;
    int pages = cache.free_pages();
    while (last < texts.size()) {
      const std::vector<Token>& text = texts[last];
      const int needed = (static_cast<int>(text.size()) + kPageTokens - 1) / kPageTokens;
      if (last > first && (batch.tokens.size() + text.size() > kBatchRows || needed > pages)) break;
      pages -= needed;
      batch.segments.push_back({cache.open(), static_cast<int>(text.size())});
      batch.tokens.insert(batch.tokens.end(), text.begin(), text.end());
      ++last;
    }
    AGON_TRY(forward->run(batch, states));
    std::size_t row = 0;
    for (std::size_t i = first; i < last; ++i) {
      const auto rows = std::span<const float>(states.hidden).subspan(row * width, texts[i].size() * width);
      if (pooling == Pooling::kRank) {
        AGON_ASSIGN(result[i], head_outputs(engine, rows.last(width), false));
      } else {
        result[i] = pool(rows, width, pooling);
      }
      if (!std::ranges::all_of(result[i], [](float x) { return std::isfinite(x); }))
        return not_finite(engine.file().path());
      row += texts[i].size();
      cache.close(batch.segments[i - first].sequence);
    }
    first = last;
  }
  return result;
}

}  // namespace agon::llm
