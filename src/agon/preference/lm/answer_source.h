// Where numbers about answers come from: what a predictor that was trained with a language model needs again.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/bytes.h"
#include "agon/base/error.h"
#include "agon/base/progress.h"
#include "agon/data/vote.h"
#include "agon/preference/lm/correction.h"
#include "agon/preference/lm/reading_budget.h"

namespace agon {

/// The kinds of numbers that a language model gives about an answer.
namespace answer_blocks {
inline constexpr std::string_view kStates = "states";          ///< Hidden states, mean over the answer.
inline constexpr std::string_view kLast = "last";              ///< Hidden states of the answer's last token.
inline constexpr std::string_view kLikelihood = "likelihood";  ///< How probable the model finds the answer.
/// How much more probable it finds the answer after its prompt than without: the means of a token's
/// log-probability.
inline constexpr std::string_view kRatio = "ratio";
inline constexpr std::string_view kVerdict =
    "verdict";  ///< Which answer the model prefers, asked in both orders.
inline constexpr std::string_view kReward =
    "reward";  ///< What a reward model or a reranker gives the answer.
inline constexpr std::string_view kAll[] = {kStates, kLast, kLikelihood, kRatio, kVerdict, kReward};
inline constexpr std::string_view kEvery = "all";  ///< In place of names: all that a model gives.
}  // namespace answer_blocks

/// Raised whenever the same model and text would give other numbers: kept rows and old predictors then no
/// longer fit.
inline constexpr int kAnswerNumbersVersion = 3;

/// What is read, and by which model: all that numbers depend on beside the votes.
struct AnswerSpec {
  std::string name;  ///< Of the model, for people: "SmolLM2-135M-Instruct.Q4_1.gguf", "NAME at URL".
  std::string key;   ///< SHA-256 of the model's file, or of URL and name.
  std::uint64_t file_bytes = 0;  ///< Of the model's file.
  std::string location;          ///< Where it was: a path, or a URL.
  std::string served_name;       ///< A server's name of it; empty for a file.
  std::string chat_template;     ///< The family that was asked for; empty: the file's own.
  std::vector<int> layers;       ///< Of kStates and kLast, ascending.
  ReadingBudget budget;
  std::vector<std::string> blocks;  ///< Of answer_blocks::kAll, in that order.

  [[nodiscard]] bool is_remote() const { return !served_name.empty(); }
  /// The same numbers for the same votes, wherever the model lies?
  [[nodiscard]] bool gives_the_same(const AnswerSpec& other) const;
  void save(ByteWriter& out) const;
  /// Bounds are checked; a block or layer that is unknown, double or out of order fails the reader.
  [[nodiscard]] static AnswerSpec load(ByteReader& in);
};

/// What a block took to read.
struct BlockCost {
  std::string block;
  double seconds = 0;
};

/// "0.081": seconds a vote; "kept" where nothing was read.
[[nodiscard]] std::string cost_a_vote(double seconds, std::size_t votes);
/// "states 0.081, verdict 0.310": cost_a_vote() of each block.
[[nodiscard]] std::string cost_line(std::span<const BlockCost> costs, std::size_t votes);

/// "3 votes have no verdict: ...", of AnswerReader::verdicts_untold().
[[nodiscard]] std::string untold_line(std::size_t verdicts);

class AnswerSource {
 public:
  virtual ~AnswerSource() = default;
  [[nodiscard]] virtual const AnswerSpec& spec() const = 0;
  /// One block for each of spec().blocks, of all votes. What an error is about (a file, a server, a row) is
  /// in it.
  [[nodiscard]] virtual Result<std::vector<AnswerBlock>> read(std::span<const Vote> votes,
                                                              const Progress& progress) = 0;
};

}  // namespace agon
