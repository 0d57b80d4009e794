// Rotary position embedding: what a file says about it, and the frequencies that follow.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "agon/base/check.h"
#include "agon/llm/model/architecture.h"
#include "agon/llm/model/vector_tensor.h"

namespace agon::llm {
namespace {

using Scaling = RopeConfig::Scaling;

constexpr int kMaxContext = 1 << 27;

// YaRN's pair index whose wavelength fits `rotations` times into the original context.
double yarn_pair(const RopeConfig& rope, double rotations) {
  return rope.dimensions * std::log(rope.original_context / (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(rope.theta));
}

double llama3_frequency(const RopeConfig& rope, double frequency) {
  const double turns = rope.original_context * frequency / (2 * std::numbers::pi);  // within that context
  if (turns > rope.high_frequency) return frequency;
  if (turns < rope.low_frequency) return frequency / rope.factor;
  const double smooth = (turns - rope.low_frequency) / (rope.high_frequency - rope.low_frequency);
  return (1 - smooth) * frequency / rope.factor + smooth * frequency;
}

Result<Scaling> scaling_of(const Keys& keys) {
  constexpr std::string_view key = "rope.scaling.type";
  AGON_ASSIGN(const std::string name, keys.string_or(key, "linear"));  // a bare factor is linear
  if (name == "none") return Scaling::kNone;
  if (name == "linear") return Scaling::kLinear;
  if (name == "yarn") return Scaling::kYarn;
  if (name == "longrope") return Scaling::kNone;  // its divisors and attention factor say it all
  Error error;
  error.message = fmt::format("metadata key '{}' is '{:.40}'", keys.full(key), name);
  error.file = keys.file().path();
  error.expected = "none, linear, yarn or longrope";
  return std::unexpected(std::move(error));
}

// "rope.scaling.factor" or its older name; some files write 0 for none.
Result<double> factor_of(const Keys& keys) {
  const bool old_name = !keys.has("rope.scaling.factor");
  AGON_ASSIGN(const double factor,
              keys.real_or(old_name ? "rope.scale_linear" : "rope.scaling.factor", 0.0, 0.0, 1e6));
  return factor == 0.0 ? 1.0 : factor;
}

// rope_freqs.weight, or the one of the two longrope sets that fits the longest sequence.
Status read_divisors(const Keys& keys, const ConfigOptions& options, RopeConfig& rope, int& context) {
  const gguf::File& file = keys.file();
  const bool longrope = file.find("rope_factors_long.weight") != nullptr;
  std::string name = "rope_freqs.weight";
  if (longrope) {
    const bool is_long = options.context > rope.original_context;
    if (!is_long) context = rope.original_context;
    name = is_long ? "rope_factors_long.weight" : "rope_factors_short.weight";
  } else if (file.find(name) == nullptr) {
    return {};
  }
  AGON_ASSIGN(rope.divisors, vector_tensor(file, name, static_cast<std::uint64_t>(rope.dimensions) / 2));
  for (const float divisor : rope.divisors)
    if (!(divisor > 1e-6F && divisor < 1e9F))
      return fail(fmt::format("tensor '{}' holds {}, not a positive divisor of frequencies", name, divisor),
                  file.path());
  return {};
}

Status apply(const ConfigOptions& options, RopeConfig& rope, int& context, const std::string& path) {
  if (options.rope_theta) rope.theta = *options.rope_theta;
  if (options.rope_original_context) rope.original_context = *options.rope_original_context;
  if (options.rope_factor) rope.factor = *options.rope_factor;
  if (!(rope.theta > 1.0 && rope.theta <= 1e15))
    return fail(fmt::format("rope theta is {} (expected above 1, up to 1e15)", rope.theta), path);
  if (!(rope.factor >= 1e-3 && rope.factor <= 1e6))
    return fail(fmt::format("rope scaling factor is {} (expected 0.001 to 1e6)", rope.factor), path);
  if (rope.original_context < 1 || rope.original_context > kMaxContext)
    return fail(fmt::format("original context of the rope scaling is {} (expected 1 to {})",
                            rope.original_context, kMaxContext),
                path);
  if (options.rope_factor && !options.rope_scaling && rope.scaling == Scaling::kNone) {
    Error error{.message = fmt::format(
                    "rope scaling factor is {}, and the file has no scaling that takes one", rope.factor)};
    error.file = path;
    error.expected = "--rope-scaling too, such as yarn";
    error.kind = ErrorKind::kUsage;
    return std::unexpected(std::move(error));
  }
  if (options.rope_scaling) {
    rope.scaling = *options.rope_scaling;
    rope.divisors.clear();
    rope.attention_factor = 1.0;
    if (rope.scaling == Scaling::kNtk && rope.dimensions <= 2)
      return fail("NTK-aware scaling needs more than 2 turning dimensions", path);
    const double longer = rope.scaling == Scaling::kNone ? 1.0 : rope.factor;
    context = static_cast<int>(std::min<double>(kMaxContext, std::max(1.0, rope.original_context * longer)));
  }
  // YaRN's temperature: section 3.4 of the paper puts it on the scores, which is the same as its square root
  // on both cosine and sine.
  if (rope.scaling == Scaling::kYarn && rope.factor > 1.0)
    rope.attention_factor *= 0.1 * std::log(rope.factor) + 1;
  return {};
}

}  // namespace

std::vector<double> RopeConfig::frequencies() const {
  AGON_CHECK(dimensions > 0 && dimensions % 2 == 0);
  const std::size_t pairs = static_cast<std::size_t>(dimensions) / 2;
  AGON_CHECK(divisors.empty() || divisors.size() == pairs);
  const double base =
      scaling == Scaling::kNtk ? theta * std::pow(factor, dimensions / (dimensions - 2.0)) : theta;
  // Bounds of YaRN's ramp, widened to whole pairs.
  const double low = std::max(0.0, std::floor(yarn_pair(*this, beta_fast)));
  const double high = std::min(dimensions - 1.0, std::ceil(yarn_pair(*this, beta_slow)));
  std::vector<double> out(pairs);
  for (std::size_t i = 0; i < pairs; ++i) {
    double frequency = std::pow(base, -2.0 * static_cast<double>(i) / dimensions);
    if (!divisors.empty()) frequency /= static_cast<double>(divisors[i]);
    if (scaling == Scaling::kLinear) frequency /= factor;
    if (scaling == Scaling::kLlama3 && divisors.empty()) frequency = llama3_frequency(*this, frequency);
    if (scaling == Scaling::kYarn) {
      const double ramp = std::clamp((static_cast<double>(i) - low) / std::max(0.001, high - low), 0.0, 1.0);
      frequency = frequency * (1 - ramp) + frequency / factor * ramp;
    }
    out[i] = frequency;
  }
  return out;
}

Status read_rope(const Keys& keys, const Architecture& architecture, const ConfigOptions& options,
                 ModelConfig& config) {
  RopeConfig rope;
  rope.pairing = architecture.pairing;
  AGON_ASSIGN(rope.dimensions,
              keys.integer_or("rope.dimension_count", config.key_length, 2, config.key_length));
  if (rope.dimensions % 2 != 0)
    return fail(fmt::format("metadata key '{}' is {} (expected an even number)",
                            keys.full("rope.dimension_count"), rope.dimensions),
                keys.file().path());
  AGON_ASSIGN(rope.theta, keys.real_or("rope.freq_base", 10000.0, 0.0, 1e15));
  AGON_ASSIGN(rope.scaling, scaling_of(keys));
  AGON_ASSIGN(rope.factor, factor_of(keys));
  if (rope.scaling == Scaling::kLinear && rope.factor == 1.0) rope.scaling = Scaling::kNone;
  AGON_ASSIGN(rope.original_context,
              keys.integer_or("rope.scaling.original_context_length", config.context, 1, kMaxContext));
  AGON_ASSIGN(rope.beta_fast, keys.real_or("rope.scaling.yarn_beta_fast", 32.0, 1e-3, 1e6));
  AGON_ASSIGN(rope.beta_slow, keys.real_or("rope.scaling.yarn_beta_slow", 1.0, 1e-3, 1e6));
  AGON_ASSIGN(rope.attention_factor, keys.real_or("rope.scaling.attn_factor", 1.0, 1e-3, 1e3));
  AGON_TRY(read_divisors(keys, options, rope, config.context));
  AGON_TRY(apply(options, rope, config.context, keys.file().path()));
  config.ropes.push_back(std::move(rope));
  return {};
}

}  // namespace agon::llm
