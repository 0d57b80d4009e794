// One interface to a model, whether it runs in this process or answers over HTTP.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/progress.h"
#include "agon/llm/engine/embedding.h"
#include "agon/llm/model/sampler.h"
#include "agon/llm/tokenizer/chat_template.h"

namespace agon::llm {

/// What stands before the model's text: a text as it is, or a conversation in the model's chat template, up
/// to where its answer begins.
struct ModelInput {
  std::string text = {};  ///< When there are no messages.
  std::vector<ChatMessage> messages = {};
};

struct ScoreInput {
  ModelInput context = {};
  std::vector<std::string> continuations = {};  ///< None of them empty.
};

/// A token of a continuation as the model's owner shows it.
struct ShownToken {
  std::int64_t id = -1;  ///< -1: a server that does not give numbers.
  std::string text = {};
};

/// What the model says of one continuation.
struct ContinuationScore {
  double logprob = 0;                       ///< Sum of the tokens', natural logarithm, at most 0.
  std::vector<double> token_logprobs = {};  ///< One a token.
  std::vector<ShownToken> tokens = {};
  std::optional<bool> is_greedy =
      {};       ///< Every token is the most probable one at its place; unset: not given.
  int cut = 0;  ///< Tokens taken off the context's front so that the rest fits.
};

struct EmbedSettings {
  int layer = -1;                    ///< States after so many layers; -1: all. Remote models: -1 only.
  Pooling pooling = Pooling::kMean;  ///< kRank: the outputs of the classification head. Remote models: what
                                     ///< the server does, and kMean is asked for.
  bool truncate = false;             ///< Cut what is too long at its front. Remote models: false only.
};

struct TextEmbedding {
  std::vector<float> values = {};  ///< Finite; kNone: tokens times width.
  std::int64_t tokens = 0;         ///< Of the text; 0: not known.
  int cut = 0;
};

struct ScoreSettings {
  bool truncate = false;  ///< Cut what is too long at its front. Remote models: false only.
};

struct ChoiceInput {
  ModelInput context = {};
  std::vector<std::string> choices = {};  ///< Two or more, different, none of them empty.
};

struct ChoiceResult {
  std::vector<double> probabilities = {};  ///< As the choices; they sum to 1.
  std::vector<double> logprobs = {};       ///< Of each choice, before they were made to sum to 1.
  std::size_t best = 0;                    ///< The most probable one, the first of equals.
  /// True: whole choices were scored. False: they were told by the first token of an answer, from the most
  /// probable ones that the server lists; a choice that was not among them has the last one's probability,
  /// which its own is at most.
  bool is_exact = true;
  /// Set when none of the choices was among those tokens: what was in their place. All are equally probable
  /// then, at the last token's log-probability.
  std::string untold = {};
};

struct GenerateSettings {
  SamplerOptions sampler = {};
  std::vector<std::string> stop = {};
  int max_tokens = 512;  ///< 0: as many as the context or the server allows.
  bool truncate = false;
  std::string json_schema = {};  ///< A JSON Schema that the answer has to be valid under; empty: none.
  bool json_object = false;      ///< The answer is a JSON object.
};

struct Answer {
  std::string text = {};
  std::string stopped_by = {};     ///< "end", "stop", "length", "context", or what else a server says.
  std::int64_t prompt_tokens = 0;  ///< 0: not known.
  std::int64_t tokens = 0;         ///< Of the answer; 0: not known.
};

struct RerankInput {
  std::string query = {};
  std::vector<std::string> documents = {};  ///< One or more.
  std::vector<ChatMessage> before = {};     ///< Turns of a conversation whose latest message is the query.
};

struct ModelIdentity {
  std::string name = {};  ///< For people: the file's name, or "NAME at URL".
  std::string key =
      {};  ///< 64 hex digits: SHA-256 of the file's bytes, or of URL and name. Results may be kept by it.
  std::uint64_t bytes = 0;  ///< Of the file; 0 of a remote model.
};

/// Every operation takes many items, so that they run together, and gives results in their order. An Error
/// names the item it is about by `row` (from 1, 0 when it is about none), and its part by `column`
/// ("continuations[2]"). What a model or server cannot do is an Error that says what was missing. After an
/// Error a remote model with a journal has kept what was finished: the same call goes on from there. For one
/// thread at a time.
class LanguageModel {
 public:
  virtual ~LanguageModel() = default;

  [[nodiscard]] virtual Result<ModelIdentity> identity() = 0;
  [[nodiscard]] virtual bool is_remote() const = 0;

  /// Conversations are whole ones: no answer is begun. A remote model takes texts only.
  [[nodiscard]] virtual Result<std::vector<TextEmbedding>> embed(std::span<const ModelInput> inputs,
                                                                 const EmbedSettings& settings = {},
                                                                 const Progress& progress = {}) = 0;
  [[nodiscard]] Result<std::vector<TextEmbedding>> embed(std::span<const std::string> texts,
                                                         const EmbedSettings& settings = {},
                                                         const Progress& progress = {}) {
    std::vector<ModelInput> inputs;
    for (const std::string& text : texts) inputs.push_back({.text = text});
    return embed(std::span<const ModelInput>(inputs), settings, progress);
  }
  /// Log-probabilities of continuations, an item's in a list of its own.
  [[nodiscard]] virtual Result<std::vector<std::vector<ContinuationScore>>> score(
      std::span<const ScoreInput> items, const ScoreSettings& settings = {},
      const Progress& progress = {}) = 0;
  /// How probable each of the given answers is beside the others, at temperature 1.
  [[nodiscard]] virtual Result<std::vector<ChoiceResult>> choose(std::span<const ChoiceInput> items,
                                                                 const Progress& progress = {}) = 0;
  [[nodiscard]] virtual Result<std::vector<Answer>> generate(std::span<const ModelInput> inputs,
                                                             const GenerateSettings& settings,
                                                             const Progress& progress = {}) = 0;
  /// How well each document answers the query, as the documents; higher is better, and only scores of one
  /// query compare unless the model promises more (a reward model does).
  [[nodiscard]] virtual Result<std::vector<std::vector<double>>> rerank(std::span<const RerankInput> items,
                                                                        const Progress& progress = {}) = 0;
};

}  // namespace agon::llm
