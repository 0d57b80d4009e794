#include "agon/llm/engine/speed.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "agon/base/check.h"
#include "agon/base/random.h"
#include "agon/llm/engine/scoring.h"

namespace agon::llm {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// What the matrices of the layers that run cost.
struct Work {
  double bytes = 0;            // of the matrices
  double output_bytes = 0;     // of the vocabulary's alone
  double weights = 0;          // of the layers
  double output_weights = 0;   // of the vocabulary product
  double byte_weights = 0;     // of both, in quantised formats
  double attention_width = 0;  // operations of attention for each key a token sees: this times 2
};

Work work_of(const Engine& engine, int layers, bool vocabulary) {
  Work work;
  const auto add = [&](const PackedMatrix& matrix, double& weights) {
    const double count = static_cast<double>(matrix.rows) * matrix.columns;
    work.bytes += static_cast<double>(matrix.data.size());
    weights += count;
    if (!is_float(matrix.type)) work.byte_weights += count;
  };
  const ModelConfig& config = engine.config();
  for (int i = 0; i < layers; ++i) {
    const LayerWeights& layer = engine.weights().layer(i);
    for (const PackedMatrix* matrix : layer.matrices()) add(*matrix, work.weights);
    work.attention_width += static_cast<double>(config.heads) * (config.key_length + config.value_length);
  }
  if (vocabulary) {
    add(engine.weights().output(), work.output_weights);
    work.output_bytes = static_cast<double>(engine.weights().output().data.size());
  }
  return work;
}

std::vector<Token> random_tokens(const Engine& engine, int count, Random& random) {
  std::vector<Token> tokens;
  const auto words = static_cast<std::uint64_t>(engine.tokenizer().vocabulary());
  for (int i = 0; i < count; ++i) tokens.push_back(static_cast<Token>(random.below(words)));
  return tokens;
}

class Runs {
 public:
  Runs(Engine& engine, const SpeedOptions& options, KvCache& cache)
      : engine_(engine), options_(options), cache_(cache), forward_(engine.make_forward(cache)) {}

  // One reading of the prompt.
  Result<double> prompt(std::span<const Token> tokens) {
    const int sequence = cache_.open();
    Batch batch;
    batch.tokens.assign(tokens.begin(), tokens.end());
    batch.segments = {{sequence, static_cast<int>(tokens.size())}};
    batch.stop_layer = options_.layers;
    if (options_.layers < 0) batch.logit_rows = {static_cast<int>(tokens.size()) - 1};
    const auto start = Clock::now();
    AGON_TRY(forward_->run(batch, result_));
    const double seconds = seconds_since(start);
    cache_.close(sequence);
    return seconds;
  }

  // One generation after `start`, of all sequences together, token by token: nothing is guessed
  // (lookahead.h).
  Result<double> generation(std::span<const std::vector<Token>> starts) {
    Batch batch;
    batch.stop_layer = options_.layers;
    for (const std::vector<Token>& start : starts) {
      batch.segments.push_back({cache_.open(), static_cast<int>(start.size())});
      batch.tokens.insert(batch.tokens.end(), start.begin(), start.end());
      if (options_.layers < 0) batch.best_rows.push_back(static_cast<int>(batch.tokens.size()) - 1);
    }
    forward_->watch(nullptr);
    AGON_TRY(forward_->run(batch, result_));
    forward_->watch(times_);
    Batch step = batch;
    for (Batch::Segment& segment : step.segments) {
      segment.count = 1;
      segment.step = true;
    }
    step.tokens.resize(starts.size());
    for (std::size_t i = 0; i < step.best_rows.size(); ++i) step.best_rows[i] = static_cast<int>(i);
    if (options_.all_logits) step.logit_rows = step.best_rows;
    const std::uint64_t before = forward_->vocabulary_bytes();
    const auto begin = Clock::now();
    for (int n = 0; n < options_.generate; ++n) {
      for (std::size_t i = 0; i < starts.size(); ++i) {
        // Where the numbers are not finite the speed is still that of the model.
        step.tokens[i] = options_.layers < 0 ? std::max(result_.best[i], 0)
                                             : starts[i][static_cast<std::size_t>(n) % starts[i].size()];
      }
      AGON_TRY(forward_->run(step, result_));
    }
    const double seconds = seconds_since(begin);
    vocabulary_bytes_ = forward_->vocabulary_bytes() - before;
    for (const Batch::Segment& segment : step.segments) cache_.close(segment.sequence);
    return seconds;
  }

  /// Prompts and generated tokens are watched; what is read before these is not.
  void watch(StepTimes* times) {
    times_ = times;
    forward_->watch(times);
  }
  [[nodiscard]] bool reads_in_pairs() const { return forward_->reads_in_pairs(); }
  /// That the last generation read of the output matrix and its screen.
  [[nodiscard]] std::uint64_t vocabulary_bytes() const { return vocabulary_bytes_; }

 private:
  Engine& engine_;
  const SpeedOptions& options_;
  KvCache& cache_;
  std::unique_ptr<Forward> forward_;
  StepTimes* times_ = nullptr;
  std::uint64_t vocabulary_bytes_ = 0;
  BatchResult result_;
};

}  // namespace

std::string_view products_name(Products products) {
  switch (products) {
    case Products::kBytes:
      return "int8";
    case Products::kPairs:
      return "bf16";
    case Products::kFloats:
      return "f32";
  }
  AGON_CHECK(false);
}

double Rate::median() const {
  if (seconds.empty()) return 0;
  const std::size_t half = seconds.size() / 2;
  const double middle = seconds.size() % 2 == 1 ? seconds[half] : (seconds[half - 1] + seconds[half]) / 2;
  return tokens / middle;
}

Result<Speed> measure_speed(Engine& engine, const SpeedOptions& options, const Progress& progress) {
  const int all_layers = engine.config().layer_count();
  if (options.layers > all_layers)
    return fail(fmt::format("there are no {} layers: this model has {}", options.layers, all_layers));
  const int layers = options.layers < 0 ? all_layers : options.layers;
  AGON_TRY(engine.check_length(static_cast<std::size_t>(options.prompt), "the prompt"));
  const int length = options.depth + options.generate;
  AGON_TRY(engine.check_length(static_cast<std::size_t>(length), "a generated sequence"));
  const int pages = (length + kPageTokens - 1) / kPageTokens;
  AGON_TRY(engine.check_length(
      static_cast<std::size_t>(
          options.continuations > 0 ? options.score_context + options.continuation_tokens - 1 : 0),
      "a text to score"));
  AGON_ASSIGN(KvCache cache,
              engine.make_cache(std::max({options.prompt, options.sequences * pages * kPageTokens, 1})));
  Random random(options.seed);
  Speed speed;

  const auto start = Clock::now();
  Runs runs(engine, options, cache);
  const std::vector<Token> one = random_tokens(engine, 1, random);
  AGON_TRY(runs.prompt(one));
  speed.first_token_seconds = seconds_since(start);

  const Work work = work_of(engine, layers, options.layers < 0);
  const bool quantised =
      !engine.options().exact && 2 * work.byte_weights > work.weights + work.output_weights;
  speed.generation.products = quantised ? Products::kBytes : Products::kFloats;
  speed.prompt.products = !quantised              ? Products::kFloats
                          : runs.reads_in_pairs() ? Products::kPairs
                                                  : Products::kBytes;
  speed.score.products = speed.score_alone.products = speed.prompt.products;
  const auto cache_bytes =
      static_cast<double>(cache.token_bytes()) * layers / std::max(1, all_layers);  // of a position
  speed.cache_bytes =
      cache.token_bytes() * static_cast<std::size_t>(std::max(options.prompt, options.sequences * length));
  // Windows are passed over: they only matter to prompts longer than they are.
  const auto attention = [&](double tokens, double before) {
    return 2 * work.attention_width * tokens * (before + (tokens + 1) / 2);
  };
  const int turns =
      (options.prompt > 0 ? 1 : 0) + (options.generate > 0 ? 1 : 0) + (options.continuations > 0 ? 2 : 0);
  const auto total = static_cast<std::uint64_t>(turns * (options.repeats + 1));
  std::uint64_t done = 0;
  const auto repeat = [&](Rate& rate, const auto& run) -> Status {
    for (int i = 0; i <= options.repeats; ++i) {
      if (progress) progress("measure", done++, total);
      AGON_ASSIGN(const double seconds, run());
      if (i > 0) rate.seconds.push_back(seconds);  // the first one touches memory for the first time
    }
    std::ranges::sort(rate.seconds);
    return {};
  };
  const auto profile = [&](Rate& rate, const auto& run) -> Status {
    if (!options.profile) return {};
    runs.watch(&rate.steps);
    const auto seconds = run();
    runs.watch(nullptr);
    if (!seconds) return std::unexpected(seconds.error());
    double inside = 0;
    for (const double step : rate.steps.seconds) inside += step;
    rate.outside = std::max(0.0, *seconds * engine.team().size() - inside);
    return {};
  };
  if (options.prompt > 0) {
    const std::vector<Token> tokens = random_tokens(engine, options.prompt, random);
    AGON_TRY(repeat(speed.prompt, [&] { return runs.prompt(tokens); }));
    AGON_TRY(profile(speed.prompt, [&] { return runs.prompt(tokens); }));
    const double n = options.prompt;
    speed.prompt.tokens = n;
    speed.prompt.bytes = work.bytes + cache_bytes * n;
    speed.prompt.operations = 2 * (work.weights * n + work.output_weights) + attention(n, 0);
  }
  if (options.generate > 0) {
    std::vector<std::vector<Token>> starts;
    for (int i = 0; i < options.sequences; ++i)
      starts.push_back(random_tokens(engine, options.depth, random));
    AGON_TRY(repeat(speed.generation, [&] { return runs.generation(starts); }));
    AGON_TRY(profile(speed.generation, [&] { return runs.generation(starts); }));
    const double n = options.generate, s = options.sequences;
    speed.generation.tokens = n * s;
    speed.generation.bytes = (work.bytes - work.output_bytes) * n +
                             static_cast<double>(runs.vocabulary_bytes()) +
                             s * cache_bytes * n * (options.depth + (n + 1) / 2);
    speed.generation.operations =
        s * (2 * (work.weights + work.output_weights) * n + attention(n, options.depth));
  }
  if (options.continuations > 0) {
    const std::vector<Token> context = random_tokens(engine, options.score_context, random);
    std::vector<ScoreRequest> requests;
    for (int i = 0; i < options.continuations; ++i) {
      ScoreRequest request;
      request.tokens = context;
      const std::vector<Token> rest = random_tokens(engine, options.continuation_tokens, random);
      request.tokens.insert(request.tokens.end(), rest.begin(), rest.end());
      request.first = options.score_context;
      requests.push_back(std::move(request));
    }
    const auto timed = [&](std::size_t count) -> Result<double> {
      const auto begin = Clock::now();
      AGON_ASSIGN(const auto scores, score(engine, std::span(requests).first(count)));
      return seconds_since(begin);
    };
    AGON_TRY(repeat(speed.score, [&] { return timed(requests.size()); }));
    AGON_TRY(repeat(speed.score_alone, [&] { return timed(1); }));
    speed.score_alone.tokens = options.continuation_tokens;
    speed.score.tokens = speed.score_alone.tokens * options.continuations;
    // The context once, then all tokens but each continuation's last; logits from the context's last token
    // on.
    const auto operations = [&](double count) {
      const double before = options.score_context, n = options.continuation_tokens - 1;
      return 2 * work.weights * (before + count * n) + 2 * work.output_weights * (1 + count * n) +
             attention(before, 0) + count * attention(n, before);
    };
    speed.score.operations = operations(options.continuations);
    speed.score_alone.operations = operations(1);
    speed.score.bytes = speed.score_alone.bytes = work.bytes;
  }
  return speed;
}

}  // namespace agon::llm
