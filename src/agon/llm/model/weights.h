// A model's weights, ready for the kernels.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/mapped_file.h"
#include "agon/llm/gguf/file.h"
#include "agon/llm/kernels/packed.h"
#include "agon/llm/kernels/team.h"
#include "agon/llm/model/config.h"
#include "agon/llm/model/vocabulary_screen.h"

namespace agon::llm {

/// One layer. Heads of queries, keys and values are filled up with zeros to padded_head() numbers, and
/// dimensions that turn together as neighbours are moved half a head apart, so that the kernels see one kind
/// of rope only.
struct LayerWeights {
  std::vector<float> attention_norm, query_norm, key_norm, post_attention_norm, feed_forward_norm,
      post_feed_forward_norm;
  std::vector<float> query_bias, key_bias, value_bias, output_bias;
  PackedMatrix query, key, value, output, gate, up, down;

  [[nodiscard]] std::array<const PackedMatrix*, 7> matrices() const {
    return {&query, &key, &value, &output, &gate, &up, &down};
  }
};

/// All weights. Immutable after loading, as far as can be seen; shared by everything that runs the model.
class Weights {
 public:
  /// Repacks every matrix with the team's threads, or maps them from `packed_path` (see Packer). `file` must
  /// outlive this: token embeddings and a classification head are read from it. Pages of the mapping that are
  /// not needed any more are given back.
  static Result<std::unique_ptr<Weights>> load(const gguf::File& file, Team& team,
                                               const std::string& packed_path = {},
                                               const ConfigOptions& options = {});

  [[nodiscard]] const ModelConfig& config() const { return config_; }
  [[nodiscard]] const LayerWeights& layer(int index) const {
    return layers_[static_cast<std::size_t>(index)];
  }
  /// Empty when the model is not causal.
  [[nodiscard]] const PackedMatrix& output() const { return output_; }
  [[nodiscard]] std::span<const float> output_norm() const { return output_norm_; }
  [[nodiscard]] const HeadTensors& head() const { return head_; }
  /// The scaled embedding of a token, E floats.
  void embed(std::int32_t token, std::span<float> out) const;
  /// All matrices are F32 or F16, so that no product rounds its activations.
  [[nodiscard]] bool floats_only() const;
  /// Bytes of all packed matrices.
  [[nodiscard]] std::size_t bytes() const;
  /// The screen of the output matrix, made by the first who asks, with the team's threads; null where it does
  /// not pay or cannot be made (see VocabularyScreen), and where there is no memory for it.
  [[nodiscard]] const VocabularyScreen* screen(Team& team) const;
  /// The bytes of that screen, whether it is made yet or not; 0 where none is to be made.
  [[nodiscard]] std::size_t screen_bytes() const;

 private:
  ModelConfig config_;
  std::optional<MappedFile> packed_;  // in which the matrices lie, if they were packed before
  std::vector<LayerWeights> layers_;
  PackedMatrix output_;
  std::vector<float> output_norm_;
  const gguf::File* file_ = nullptr;  // of which embeddings are read
  MatrixView embedding_;
  HeadTensors head_;
  mutable std::once_flag screen_once_;
  mutable std::unique_ptr<const VocabularyScreen> screen_;
};

}  // namespace agon::llm
