// A model file made ready to use: tokenizer, template, weights and threads behind one door.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/gguf/file.h"
#include "agon/llm/kernels/team.h"
#include "agon/llm/model/config.h"
#include "agon/llm/model/forward.h"
#include "agon/llm/model/kv_cache.h"
#include "agon/llm/model/weights.h"
#include "agon/llm/tokenizer/chat_template.h"
#include "agon/llm/tokenizer/tokenizer.h"

namespace agon::llm {

struct EngineOptions {
  int threads = 0;  ///< 0: one for each hardware thread.
  /// Keys and values; unset: floats where nothing else is rounded (exact, or a model of float weights), else
  /// halves.
  std::optional<CacheType> cache_type = {};
  bool exact = false;              ///< `--precision exact`: activations are not rounded to bytes.
  std::string template_name = {};  ///< A family of chat templates instead of the file's own.
  /// Keeps the repacked weights in this file, so that later starts need no repacking.
  std::string packed_path = {};
  int max_rows = 512;  ///< Rows that go through a layer together.
  /// Context and rope in place of the file's. A context longer than the model is meant for is refused.
  ConfigOptions config = {};
};

/// Seconds that the steps of opening took.
struct OpenTimes {
  double file = 0;       ///< Mapping it and checking its header.
  double tokenizer = 0;  ///< With the template.
  double weights = 0;    ///< Checking and repacking them; the threads are started before.
};

/// An open model. Weights and tokenizer are immutable; passes over it take the team in turns, so one engine
/// serves one caller at a time.
class Engine {
 public:
  static Result<std::unique_ptr<Engine>> open(const std::string& path, const EngineOptions& options);

  [[nodiscard]] const gguf::File& file() const { return file_; }
  [[nodiscard]] const ModelConfig& config() const { return weights_->config(); }
  [[nodiscard]] const Weights& weights() const { return *weights_; }
  [[nodiscard]] const Tokenizer& tokenizer() const { return *tokenizer_; }
  [[nodiscard]] Team& team() { return *team_; }
  [[nodiscard]] const EngineOptions& options() const { return options_; }
  [[nodiscard]] const OpenTimes& open_times() const { return open_times_; }
  /// The longest sequence: what the model is meant for, or what the options ask for.
  [[nodiscard]] int context() const {
    return options_.config.context > 0 ? options_.config.context : config().context;
  }
  /// The chat template, or why there is none.
  [[nodiscard]] const Result<ChatTemplate>& chat_template() const { return template_; }
  /// The tokens of a conversation, up to where the assistant's answer begins.
  [[nodiscard]] Result<std::vector<Token>> encode_chat(std::span<const ChatMessage> messages) const;

  /// A cache for `tokens` positions of the engine's type.
  [[nodiscard]] Result<KvCache> make_cache(int tokens) const;
  /// A pass over `cache`, which must outlive it as the engine must.
  [[nodiscard]] std::unique_ptr<Forward> make_forward(KvCache& cache);

  /// An error when `tokens` are more than the context, saying by how much.
  [[nodiscard]] Status check_length(std::size_t tokens, const std::string& what) const;

 private:
  explicit Engine(gguf::File file) : file_(std::move(file)), template_(fail("not read")) {}

  gguf::File file_;
  EngineOptions options_;
  OpenTimes open_times_;
  std::unique_ptr<Team> team_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<Weights> weights_;
  Result<ChatTemplate> template_;
};

}  // namespace agon::llm
