// How fast a model runs on this machine, and what share of the machine's limits that is.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/progress.h"
#include "agon/llm/engine/engine.h"
#include "agon/llm/model/step_times.h"

namespace agon::llm {

struct SpeedOptions {
  int prompt = 512;              ///< Tokens read together; 0: not measured.
  int generate = 128;            ///< Tokens generated one by one, greedily; 0: not measured.
  int depth = 8;                 ///< Tokens before the first generated one.
  int sequences = 1;             ///< Generated together.
  int layers = -1;               ///< Only so many layers and no vocabulary product; -1: the whole model.
  bool all_logits = false;       ///< Of every generated token, as where it is drawn; else the best alone.
  int continuations = 0;         ///< Scored after one context, together and then one alone; 0: not measured.
  int continuation_tokens = 32;  ///< Of each.
  int score_context = 1024;      ///< Tokens of that context.
  int repeats = 5;
  bool profile = false;    ///< Measure too where the time of prompt and generation goes.
  std::uint64_t seed = 1;  ///< Of the random tokens.
};

/// What most products of a model are of, in the way it is used.
enum class Products : std::uint8_t { kBytes, kPairs, kFloats };
/// "int8", "bf16", "f32".
[[nodiscard]] std::string_view products_name(Products products);

/// One thing that was measured.
struct Rate {
  std::vector<double> seconds;  ///< Of each repeat, ascending.
  double tokens = 0;            ///< Of one repeat.
  double bytes = 0;             ///< Weights and cache that have to be read, of one repeat.
  double operations = 0;        ///< Of all matrix products and attention (a product and a sum are two).
  Products products = Products::kFloats;
  /// Of a turn of its own: thread-seconds of each step, and those that passed outside of passes (drawing
  /// tokens). Zeros without a profile.
  StepTimes steps;
  double outside = 0;
  [[nodiscard]] double best() const { return seconds.empty() ? 0 : tokens / seconds.front(); }
  [[nodiscard]] double median() const;
};

struct Speed {
  Rate prompt, generation;
  Rate score, score_alone;         ///< Tokens scored: of all continuations together, and of one alone.
  double first_token_seconds = 0;  ///< From an open engine to the logits after one token, buffers included.
  std::size_t cache_bytes = 0;     ///< Of all positions that were used.
};

/// Runs the model on random tokens: an untimed turn, then `repeats` timed ones. An error when prompt, depth
/// and generation do not fit the context.
[[nodiscard]] Result<Speed> measure_speed(Engine& engine, const SpeedOptions& options,
                                          const Progress& progress = {});

}  // namespace agon::llm
