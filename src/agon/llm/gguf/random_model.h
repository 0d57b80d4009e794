// Models of random weights: any architecture and shape in any format, for tests and benchmarks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/gguf/file.h"
#include "agon/llm/gguf/writer.h"

namespace agon::gguf {

struct RandomModelOptions {
  /// "llama", "qwen2", "qwen3", "gemma2", "gemma3" or "phi3".
  std::string architecture = "llama";
  int layers = 2;
  int embedding = 64;
  int heads = 4;
  int kv_heads = 2;    ///< Divides `heads`.
  int key_length = 0;  ///< Numbers of a head, even; 0: embedding / heads. Other values: not for phi3.
  int feed_forward = 128;
  int vocabulary = 512;  ///< At least 320; ignored with `vocabulary_of`.
  int context = 2048;    ///< What the metadata says it was trained for.
  /// The output matrix is the token embedding (always so for gemma2 and gemma3).
  bool tied = true;
  int window =
      0;  ///< Sliding window; 0: the architecture's usual one for gemma (4096, 1024), none for others.
  double rope_theta = 10000;
  /// "", "linear", "yarn" (by metadata); "llama3" (llama: a tensor of divisors); "longrope" (phi3: two of
  /// them).
  std::string rope_scaling = {};
  double rope_factor = 8;    ///< How many times longer than `rope_original`.
  int rope_original = 1024;  ///< Trained context before scaling.
  /// A format's name ("Q4_0", "F32"), or a mix as llama-quantize makes it: "Q4_K_M", "Q5_K_M". Matrices whose
  /// rows are no whole number of blocks get the next format of smaller blocks.
  std::string format = "F32";
  /// Format of the token embedding and the output matrix; empty: as `format` says.
  std::string embedding_format = {};
  /// Outputs of a classification head ("cls.output.weight"); 0: none. Then there is no output matrix, unless
  /// `tied` is false.
  int labels = 0;
  bool dense_head = false;                    ///< A layer with tanh before it ("cls.weight").
  std::vector<std::string> label_names = {};  ///< Of the outputs; as many, or none.
  std::uint64_t seed = 1;
  /// Take every key "tokenizer.*" from there; null: a small SentencePiece vocabulary is made up.
  const Metadata* vocabulary_of = nullptr;
};

/// A model that other programs load too: llama.cpp's names of tensors and keys. Vectors of norms are about 1,
/// matrices N(0, 1/inputs), so that hidden states stay of order 1 and logits are about N(0, 1). The same
/// options give the same bytes, whatever the number of threads.
///
/// A matrix of more than 2^18 weights is put together from blocks drawn out of a pool of quantised ones,
/// which takes a second or so for 10^9 weights; its distribution is the same. Tensors are made when the
/// writer writes them, so memory holds one at a time. Options that contradict each other are errors.
[[nodiscard]] Result<Writer> random_model(const RandomModelOptions& options);

/// The format of that name; an error lists all.
[[nodiscard]] Result<TensorType> type_of_name(std::string_view name);

/// `type`, or what stands in for it when rows of `columns` weights are no whole number of its blocks: a plain
/// format of about the same size for a K format, and F16 when not even 32 fit. As llama-quantize does.
[[nodiscard]] TensorType fitting_type(TensorType type, std::uint64_t columns);

/// Keys "tokenizer.*" of a made-up vocabulary of `size` (at least 320) pieces: <unk>, <s>, </s>, 256 bytes,
/// a space, the printable letters of ASCII, then words of one to five small letters with and without a space.
[[nodiscard]] Metadata made_up_vocabulary(int size);

}  // namespace agon::gguf
