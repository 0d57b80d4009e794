// What clients ask for, read from the JSON of their requests: OpenAI's fields, and those of vLLM for what
// OpenAI has no name for. docs/serve.md lists them. No tokenizer and no model are looked at here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "agon/llm/model/sampler.h"
#include "agon/llm/tokenizer/chat_template.h"
#include "agon/llm/tokenizer/tokenizer.h"
#include "agon/serving/api_error.h"

namespace agon::serving {

constexpr std::size_t kMaxChoices = 128;  ///< n and best_of.
constexpr std::size_t kMaxStops = 16;
constexpr std::size_t kMaxTexts = 2048;  ///< Prompts, inputs or documents of one request.

/// What an answer must be.
struct ConstraintSpec {
  enum class Kind : std::uint8_t { kNone, kJsonObject, kJsonSchema, kRegex, kChoice };
  Kind kind = Kind::kNone;
  std::string text = {};                  ///< The schema as JSON, or the expression.
  std::vector<std::string> choices = {};  ///< For kChoice.
  std::string field = {};                 ///< Where the request says so, for complaints.
};

/// What completions and chats have in common.
struct GenerationBody {
  std::string model = {};            ///< Empty: not given.
  llm::SamplerOptions sampler = {};  ///< The seed of choice i is `sampler.seed` + i.
  bool has_seed = false;
  std::vector<std::string> stop = {};
  std::optional<int> max_tokens = {};
  int n = 1;
  int best_of = 1;  ///< At least n.
  bool stream = false, include_usage = false;
  int top_logprobs = -1;  ///< -1: no log-probabilities are wanted.
  bool ignore_end = false;
  ConstraintSpec constraint = {};
};

/// A text, or its tokens.
using Prompt = std::variant<std::string, std::vector<llm::Token>>;

/// POST /v1/completions
struct CompletionBody {
  GenerationBody generation = {};
  std::vector<Prompt> prompts = {};
  bool echo = false;
};
[[nodiscard]] ApiResult<CompletionBody> read_completion(std::string_view body);

/// POST /v1/chat/completions
struct ChatBody {
  GenerationBody generation = {};
  std::vector<llm::ChatMessage> messages = {};
};
[[nodiscard]] ApiResult<ChatBody> read_chat(std::string_view body);

/// POST /v1/embeddings
struct EmbeddingBody {
  std::string model = {};
  std::vector<Prompt> inputs = {};
  bool base64 = false;
  bool normalize = true;
  bool last_token = false;  ///< Pool by the last token, not by the mean.
};
[[nodiscard]] ApiResult<EmbeddingBody> read_embedding(std::string_view body);

/// POST /v1/rerank
struct RerankBody {
  std::string model = {};
  std::string query = {};
  std::vector<std::string> documents = {};
  std::size_t top_n = 0;  ///< 0: all.
  bool return_documents = true;
};
[[nodiscard]] ApiResult<RerankBody> read_rerank(std::string_view body);

/// POST /v1/score
struct ScoreBody {
  struct Item {
    std::string context = {};
    std::vector<llm::ChatMessage> messages = {};  ///< In place of a context, if there are any.
    std::vector<std::string> continuations = {};
  };
  std::string model = {};
  std::vector<Item> items = {};
  bool single = false;  ///< The item's fields stood at the top.
};
[[nodiscard]] ApiResult<ScoreBody> read_score(std::string_view body);

/// POST /tokenize
struct TokenizeBody {
  std::string model = {};
  std::optional<std::string> prompt = {};
  std::vector<llm::ChatMessage> messages = {};  ///< If there is no prompt.
  bool add_special = true;
  bool parse_special =
      true;  ///< Special tokens that stand in the text are those tokens, as elsewhere (vLLM).
  bool add_generation_prompt = true;
  bool pieces = false;
};
[[nodiscard]] ApiResult<TokenizeBody> read_tokenize(std::string_view body);

/// POST /detokenize
struct DetokenizeBody {
  std::string model = {};
  std::vector<llm::Token> tokens = {};
  bool skip_special = false;
};
[[nodiscard]] ApiResult<DetokenizeBody> read_detokenize(std::string_view body);

}  // namespace agon::serving
