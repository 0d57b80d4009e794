// A model that runs in this process.
#pragma once

#include <memory>
#include <string>

#include "agon/llm/access/language_model.h"
#include "agon/llm/engine/engine.h"

namespace agon::llm {

class EmbeddedModel final : public LanguageModel {
 public:
  /// `key` is the file's SHA-256 where the caller has just read it: identity() then need not.
  static Result<std::unique_ptr<EmbeddedModel>> open(const std::string& path, const EngineOptions& options,
                                                     std::string key = {});
  /// Of an engine that is open and outlives it; `path` is its file.
  EmbeddedModel(Engine& engine, std::string path) : engine_(&engine), path_(std::move(path)) {}

  /// For what only an engine can do: layers, tokens, sessions.
  [[nodiscard]] Engine& engine() { return *engine_; }

  /// Reads the file once to hash it, when it is first asked.
  [[nodiscard]] Result<ModelIdentity> identity() override;
  [[nodiscard]] bool is_remote() const override { return false; }
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
  /// The first output of the classification head where the file has one; else the query's likelihood, 0 to 1:
  /// see relevance_request().
  [[nodiscard]] Result<std::vector<std::vector<double>>> rerank(std::span<const RerankInput> items,
                                                                const Progress& progress = {}) override;

 private:
  [[nodiscard]] Result<std::vector<std::vector<double>>> rerank_by_head(std::span<const RerankInput> items,
                                                                        const Progress& progress);
  std::unique_ptr<Engine> owned_;
  Engine* engine_;
  std::string path_;
  std::string key_;
};

}  // namespace agon::llm
