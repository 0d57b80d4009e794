// The forward pass: tokens of several sequences in, log-probabilities, logits or hidden states out.
//
// All threads of the team go through the same function together, with barriers between the steps of a layer;
// inside a step they take pieces of work from a shared counter. Every number is computed by one fixed chain
// of operations (kernels.h), so results do not depend on what else is in the batch, on the number of threads,
// or on whether a prefix came from the cache.
//
// Tokens are either read (prompts, texts to score) or steps (what a sequence was continued with, token by
// token). Unless nothing is rounded, the two are computed in different precision, each the best for its work.
// What a token's numbers are depends on which of the two it was, never on the company it was computed in.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/kernels/kernels.h"
#include "agon/llm/kernels/team.h"
#include "agon/llm/model/kv_cache.h"
#include "agon/llm/model/step_times.h"
#include "agon/llm/model/weights.h"

namespace agon::llm {

/// New tokens for some sequences, and what is wanted of them. Rows are the tokens, in order over all
/// segments.
struct Batch {
  struct Segment {
    int sequence;  ///< Of the cache; each at most once in a batch.
    int count;     ///< Its tokens here; they continue the sequence.
    /// They are steps. Segments of one kind side by side go through the layers together.
    bool step = false;
  };
  struct Target {
    int row;
    std::int32_t token;  ///< The log-probability of this token after `row` is wanted.
  };
  std::vector<std::int32_t> tokens;
  std::vector<Segment> segments;
  std::vector<int> logit_rows;  ///< Rows whose logits are wanted, ascending.
  /// Rows of which the most probable token is wanted, ascending: where that is all, the vocabulary is neither
  /// summed up nor kept.
  std::vector<int> best_rows;
  std::vector<Target> targets;  ///< Ascending by row; several for one row are welcome.
  /// If not negative: only this many layers are run, and the vocabulary is not touched.
  int stop_layer = -1;
  /// After so many layers every row's hidden state is wanted: ascending, each once, 0 for the embeddings, at
  /// most the layers that are run.
  std::vector<int> hidden_layers;
};

struct TargetScore {
  double logprob;     ///< Natural logarithm. Not finite where the model's numbers leave the range of floats.
  std::int32_t best;  ///< The most probable token there; the lowest of equals.
  double best_logprob;
};

struct BatchResult {
  std::vector<float> logits;  ///< logit_rows.size() * V.
  /// As logit_rows: log(sum(exp(logits))), so that logit - log_total is what a target's logprob would be. NaN
  /// where the hidden state or the logits left the range of floats: then nothing is to be made of the row.
  std::vector<double> log_totals;
  /// As best_rows: the token of the largest logit, the lowest of equals; -1 where log_totals would be NaN.
  std::vector<std::int32_t> best;
  std::vector<TargetScore> scores;  ///< As targets.
  /// hidden_layers.size() * rows * E: what the residual stream holds after those layers, before the final
  /// norm; NaN where nothing is to be made of the row.
  std::vector<float> hidden;
};

/// What is said where the numbers of a model are not finite. `path` is its file; empty where strangers hear
/// it.
[[nodiscard]] std::unexpected<Error> not_finite(const std::string& path);

/// What is said where probabilities of next tokens are asked of a model that is not causal.
[[nodiscard]] std::unexpected<Error> no_output_matrix();

/// Runs one model over one cache. Buffers are reused from call to call. Not thread-safe.
class Forward {
 public:
  struct Options {
    bool exact = false;  ///< Float activations throughout: no rounding to bytes.
    int max_rows = 512;  ///< Rows that go through a layer together; larger batches are cut.
    /// So many steps of which only the most probable token is wanted read all of the vocabulary, before a
    /// screen of it is made: that takes as long as a few of them, and memory.
    int screen_after = 8;
  };
  Forward(const Weights& weights, KvCache& cache, Team& team, const Options& options);
  Forward(const Weights& weights, KvCache& cache, Team& team) : Forward(weights, cache, team, Options()) {}

  /// Appends the batch's tokens to their sequences. An error when the cache is full, or when outputs are
  /// wanted of a model that is not causal; sequences are then as before.
  [[nodiscard]] Status run(const Batch& batch, BatchResult& result);

  /// From now on, adds what each step takes to `times`; null: no longer.
  void watch(StepTimes* times) { times_ = times; }

  /// Whether steps are computed otherwise than what is read: what steps left in the cache is then no part of
  /// a prompt that was read. Everywhere but where nothing is rounded: exact passes, and models of float
  /// weights. A step's speed is that of the memory, or of 16 sequences and more together; what is read is
  /// multiplied in bfloat16 on tile registers, and elsewhere in bytes with the rests of those that matter
  /// most.
  [[nodiscard]] bool steps_differ() const { return !options_.exact && !weights_.floats_only(); }
  /// Whether what is read goes through products of pairs of bfloat16, not of bytes.
  [[nodiscard]] bool reads_in_pairs() const { return steps_differ() && kernels_.matmul_pairs != nullptr; }

  /// Bytes read so far of the output matrix and its screen.
  [[nodiscard]] std::uint64_t vocabulary_bytes() const { return vocabulary_bytes_; }

  [[nodiscard]] KvCache& cache() { return cache_; }
  [[nodiscard]] const ModelConfig& config() const { return weights_.config(); }

 private:
  // Up to here every thread does the rows' work for itself: cheaper than to hand it over.
  static constexpr int kOwnRows = 4;
  static constexpr int kRowGrain = 8;  // rows taken at a time
  // Columns of gate and up that are made together at most.
  static constexpr int kGateColumns = 128;
  // The vocabulary is gone through in chunks, so that no buffer is as long as it.
  static constexpr int kChunkPanels = 64;
  static constexpr int kChunk = kChunkPanels * kPanelRows;
  // More rows than this are bound by arithmetic, of which a screen saves nothing.
  static constexpr int kScreenRows = 8;
  static_assert(kGateColumns / kPanelRows <= kPairPanels && kBlock / kPanelRows <= kMatmulPanels);
  // What activations are before products with quantised weights.
  enum class Rounding : std::uint8_t { kNone, kBytes, kPairs };
  // A part of a batch that goes through the layers together.
  struct Part {
    int sequence;
    int start;  // position of its first row
    int row;    // its first row within the piece
    int count;
  };
  struct Piece {
    std::span<const std::int32_t> tokens;
    int first_row = 0;  // in the batch
    bool step = false;
    std::vector<Part> parts;
    std::vector<int> positions;  // of every row
    std::vector<int> wanted;     // rows whose outputs are wanted, ascending
    bool best_only = false;      // of them no more than the most probable token
    [[nodiscard]] int rows() const { return static_cast<int>(tokens.size()); }
  };
  // Activations on their way into a product.
  struct Inputs {
    std::size_t stride = 0;
    int columns = 0;
    AlignedBytes values, blocks;
    std::ptrdiff_t rest = 0;  // how far behind its block a rest lies, where there is room for rests
    void reserve(int rows, int width, bool rests);
    [[nodiscard]] float* row(int index) {
      return values.as<float>() + static_cast<std::size_t>(index) * stride;
    }
    [[nodiscard]] ActivationBlock* block(int row, int block) {
      return blocks.as<ActivationBlock>() + Activations::block_index(row, block, columns);
    }
    [[nodiscard]] Activations view(int rows, bool with_rests) {
      return {rows, columns, blocks.as<ActivationBlock>(), values.as<float>(), stride, with_rests ? rest : 0};
    }
  };
  // The residual stream and its normed form; one for all threads, or one for each where few rows make it
  // cheaper to do the same work on every thread than to hand it over.
  struct Stream {
    AlignedBytes x;
    Inputs normed;
  };
  // A thread's own memory.
  struct Own {
    Stream stream;
    AlignedBytes kernel, gate, up, strip;
    std::vector<float> screened;  // of each wanted row: offsets, then squares
    std::uint64_t vocabulary_bytes = 0;
    StepTimes times;  // of the piece that runs
  };
  struct ChunkSummary {
    float largest;
    std::int32_t place;
    double sum;
  };
  // One product of a step.
  struct Product {
    const PackedMatrix* matrix;
    float* out;
    std::size_t stride;
    bool rests = false;  // of the inputs are multiplied too, where they are kept
  };

  void run_piece(const Piece& piece, const Batch& batch, BatchResult& result);
  void work(Member& member, const Piece& piece, const Batch& batch, BatchResult& result);
  template <class Body>
  void each_row(Member& member, int rows, bool own, Body body);
  void multiply(Member& member, const Activations& inputs, std::span<const Product> products);
  void panels(const PackedMatrix& matrix, int first, int count, const Activations& inputs, float* out,
              std::size_t stride, std::uint8_t* scratch) const;
  [[nodiscard]] int most_panels() const {
    return rounding_ == Rounding::kPairs ? kPairPanels : kMatmulPanels;
  }
  void into_blocks(const float* values, int count, ActivationBlock* to, std::ptrdiff_t rest = 0) const;
  void positions(Member& member, const Piece& piece, int layer);
  void attend(Member& member, const Piece& piece, int layer);
  void feed_forward(Member& member, const Activations& inputs, const LayerWeights& layer);
  void read_out(Member& member, const Piece& piece, Stream& stream, const Batch& batch, BatchResult& result);
  bool screen_out(Member& member, const Activations& inputs);
  void find_lost(const Piece& piece, const Batch& batch, BatchResult& result);
  void merge_scores(const Piece& piece, const Batch& batch, BatchResult& result);
  [[nodiscard]] float* turn(int rope, int row) {
    return turns_[static_cast<std::size_t>(rope)].as<float>() +
           static_cast<std::size_t>(row) *
               static_cast<std::size_t>(config().ropes[static_cast<std::size_t>(rope)].dimensions);
  }

  const Weights& weights_;
  KvCache& cache_;
  Team& team_;
  Options options_;
  const Kernels& kernels_;
  Rounding rounding_ = Rounding::kNone;  // of the piece that runs
  bool rests_ = false;                   // whether its normed rows keep rests
  int key_length_, value_length_, embedding_, feed_forward_;
  std::size_t query_stride_, key_stride_, value_stride_, output_stride_;
  bool quantise_heads_;  // heads are whole blocks: their outputs are rounded where they are made
  std::vector<std::vector<double>> frequencies_;
  std::vector<AlignedBytes> turns_;  // for each rope: cosines, then sines, of every row
  Stream stream_;
  Inputs attended_, gated_;
  AlignedBytes query_, key_, value_, block_out_;
  std::vector<Own> own_;
  std::vector<ChunkSummary> summaries_;  // [wanted row][vocabulary chunk]
  // Where the vocabulary is screened: of each wanted row the upper bound of every panel, and the best
  // estimate of each chunk with its panel.
  const VocabularyScreen* screen_ = nullptr;
  int screenable_ = 0;  // steps so far that a screen would have served
  std::vector<float> bounds_;
  std::vector<ChunkSummary> estimates_;
  std::uint64_t vocabulary_bytes_ = 0;
  std::vector<std::uint8_t> lost_rows_;  // by row: its hidden state, or one that it sees, is not finite
  std::vector<float> target_logits_;     // as the batch's targets
  StepTimes* times_ = nullptr;
};

// Calls body(row) for rows shared out over the members, or for all of them on each.
template <class Body>
void Forward::each_row(Member& member, int rows, bool own, Body body) {
  if (own) {
    for (int row = 0; row < rows; ++row) body(row);
    return;
  }
  const int grain = rows >= kRowGrain * member.size() ? kRowGrain : 1;
  const int pieces = (rows + grain - 1) / grain;
  for (int piece = member.take(pieces); piece < pieces; piece = member.take(pieces)) {
    for (int row = piece * grain; row < std::min(rows, (piece + 1) * grain); ++row) body(row);
  }
}

}  // namespace agon::llm
