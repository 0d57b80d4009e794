#include "agon/llm/engine/engine.h"

#include <fmt/format.h>

#include <chrono>

namespace agon::llm {
namespace {

// Seconds since it was last asked.
class Lap {
 public:
  double operator()() {
    const auto now = Clock::now();
    return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_ = Clock::now();
};

}  // namespace

Result<std::unique_ptr<Engine>> Engine::open(const std::string& path, const EngineOptions& options) {
  Lap lap;
  AGON_ASSIGN(gguf::File file, gguf::File::open(path));
  std::unique_ptr<Engine> engine(new Engine(std::move(file)));
  engine->options_ = options;
  engine->open_times_.file = lap();
  const auto named = [&](Error error) {
    if (error.file.empty()) error.file = path;
    return std::unexpected(std::move(error));
  };
  auto tokenizer = Tokenizer::read(engine->file_.metadata());
  if (!tokenizer) return named(tokenizer.error());
  engine->tokenizer_ = std::move(*tokenizer);
  engine->template_ = options.template_name.empty()
                          ? ChatTemplate::read(engine->file_.metadata())
                          : ChatTemplate::named(options.template_name, &engine->file_.metadata());
  if (!options.template_name.empty() && !engine->template_) return std::unexpected(engine->template_.error());
  engine->open_times_.tokenizer = lap();
  engine->team_ = std::make_unique<Team>(options.threads);
  lap();
  auto weights = Weights::load(engine->file_, *engine->team_, options.packed_path, options.config);
  if (!weights) return named(weights.error());
  engine->weights_ = std::move(*weights);
  engine->open_times_.weights = lap();
  if (options.config.context > engine->config().context) {
    return fail(fmt::format("a context of {} tokens is {} more than the model is meant for",
                            options.config.context, options.config.context - engine->config().context),
                path);
  }
  if (engine->tokenizer_->vocabulary() > engine->config().vocabulary) {
    return fail(fmt::format("the tokenizer has {} tokens, the embedding only {}",
                            engine->tokenizer_->vocabulary(), engine->config().vocabulary),
                path);
  }
  return engine;
}

Result<std::vector<Token>> Engine::encode_chat(std::span<const ChatMessage> messages) const {
  if (!template_) return std::unexpected(template_.error());
  AGON_ASSIGN(const std::string prompt, template_->render(messages, true));
  return tokenizer_->encode(prompt, {.add_special = true, .parse_special = true});
}

Result<KvCache> Engine::make_cache(int tokens) const {
  const PackedMatrix& typical = config().causal ? weights_->output() : weights_->layer(0).query;
  const bool rounds = !options_.exact && typical.type != PackedType::kF32;
  return KvCache::create(config(), options_.cache_type.value_or(rounds ? CacheType::kF16 : CacheType::kF32),
                         tokens);
}

std::unique_ptr<Forward> Engine::make_forward(KvCache& cache) {
  return std::make_unique<Forward>(*weights_, cache, *team_,
                                   Forward::Options{.exact = options_.exact, .max_rows = options_.max_rows});
}

Status Engine::check_length(std::size_t tokens, const std::string& what) const {
  const auto limit = static_cast<std::size_t>(context());
  if (tokens <= limit) return {};
  return fail(
      fmt::format("{} has {} tokens, {} more than the context of {}", what, tokens, tokens - limit, limit));
}

}  // namespace agon::llm
