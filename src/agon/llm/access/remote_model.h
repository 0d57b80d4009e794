// A model behind OpenAI's interface over HTTP.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agon/llm/access/language_model.h"
#include "agon/llm/remote/session.h"

namespace agon::llm {

/// What it asks for which operation:
/// - embed: POST /embeddings, several texts a request;
/// - score: POST /score of agon's own server, told by /models; else POST /completions with echo and logprobs,
/// which
///   knows texts only, no messages;
/// - choose: by score, or for messages at other servers than agon's by the first token of POST
/// /chat/completions with
///   top_logprobs;
/// - generate: POST /chat/completions, or /completions for texts;
/// - rerank: POST /rerank.
class RemoteModel final : public LanguageModel {
 public:
  static Result<std::unique_ptr<RemoteModel>> open(const RemoteOptions& options);

  [[nodiscard]] RemoteSession& session() { return *session_; }

  [[nodiscard]] Result<ModelIdentity> identity() override;
  [[nodiscard]] bool is_remote() const override { return true; }
  using LanguageModel::embed;
  [[nodiscard]] Result<std::vector<TextEmbedding>> embed(std::span<const ModelInput> inputs,
                                                         const EmbedSettings& settings = {},
                                                         const Progress& progress = {}) override;
  [[nodiscard]] Result<std::vector<std::vector<ContinuationScore>>> score(
      std::span<const ScoreInput> items, const ScoreSettings& settings = {},
      const Progress& progress = {}) override;
  [[nodiscard]] Result<std::vector<ChoiceResult>> choose(std::span<const ChoiceInput> items,
                                                         const Progress& progress = {}) override;
  [[nodiscard]] Result<std::vector<Answer>> generate(std::span<const ModelInput> inputs,
                                                     const GenerateSettings& settings,
                                                     const Progress& progress = {}) override;
  [[nodiscard]] Result<std::vector<std::vector<double>>> rerank(std::span<const RerankInput> items,
                                                                const Progress& progress = {}) override;

 private:
  explicit RemoteModel(std::unique_ptr<RemoteSession> session) : session_(std::move(session)) {}
  [[nodiscard]] Result<std::vector<ChoiceResult>> choose_by_chat(std::span<const ChoiceInput> items,
                                                                 const Progress& progress);
  std::unique_ptr<RemoteSession> session_;
};

}  // namespace agon::llm
