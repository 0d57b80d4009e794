// Reads answers with a language model, in this process or behind a URL, and keeps what it found on disk.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "agon/llm/access/language_model.h"
#include "agon/llm/engine/reading.h"
#include "agon/preference/features/row_store.h"
#include "agon/preference/lm/answer_source.h"

namespace agon {

class AnswerReader final : public AnswerSource {
 public:
  /// Completes `spec`: the model's name and key, its blocks (where none are given the states, or the reward
  /// of a reward model; kEvery: all that such a model gives) and their order, and its layers where none are
  /// given (a third of them) and blocks are to be read that need some. A block that such a model can't give
  /// is an Error. Rows are kept in `cache_folder`, in one file for each model, block and setting; empty: in
  /// memory.
  static Result<std::unique_ptr<AnswerReader>> create(std::unique_ptr<llm::LanguageModel> model,
                                                      AnswerSpec spec, const std::string& cache_folder);

  [[nodiscard]] const AnswerSpec& spec() const override { return spec_; }
  /// What is not kept yet is read in windows, each of which is kept when it is done. The numbers of a vote do
  /// not depend on its company, and those of a swapped vote are the same with A and B exchanged, bit for bit.
  [[nodiscard]] Result<std::vector<AnswerBlock>> read(std::span<const Vote> votes,
                                                      const Progress& progress) override;

  /// Votes that the model had to read anew, and the time that it took.
  [[nodiscard]] std::size_t votes_read() const { return votes_read_; }
  [[nodiscard]] double seconds() const { return seconds_; }
  /// What each block took of that, in the order of spec().blocks: blocks that come out of one pass over the
  /// texts take all of its time, each of them, as each would need the pass alone. Blocks whose rows were kept
  /// take no part and no time.
  [[nodiscard]] std::vector<BlockCost> block_costs() const;
  /// Votes that were read anew whose verdict counts as none: neither answer was among the most probable first
  /// tokens that a server lists.
  [[nodiscard]] std::size_t verdicts_untold() const { return verdicts_untold_; }
  /// Tokens that went through a model file's layers for them, what answers share once; 0 behind a URL.
  [[nodiscard]] std::size_t tokens() const { return tokens_; }
  [[nodiscard]] llm::LanguageModel& model() { return *model_; }

 private:
  /// One block: its rows are of a side (or, for verdicts, of a vote).
  struct Kept {
    std::string block;
    std::size_t width = 0;
    bool by_vote = false;
    std::unique_ptr<RowStore> rows;
    double seconds = 0;  ///< Of readings that gave it.
  };
  /// A vote and what its rows are kept under.
  struct KeyedVote {
    const Vote* vote;
    std::array<std::uint64_t, 2> sides;  ///< Of prompt and answer.
    std::uint64_t both;
    [[nodiscard]] std::uint64_t key(const Kept& kept, std::size_t side) const {
      return kept.by_vote ? both : sides[side];
    }
  };
  /// A row that is not kept yet.
  struct Missing {
    const Vote* vote;
    std::size_t place, side;  ///< Of the vote in its window; side 0 where rows are of votes.
    std::uint64_t key;
  };

  AnswerReader(std::unique_ptr<llm::LanguageModel> model, AnswerSpec spec)
      : model_(std::move(model)), spec_(std::move(spec)) {}
  [[nodiscard]] Status open_stores(const std::string& cache_folder);
  /// Each row once, in the order of the votes.
  [[nodiscard]] static std::vector<Missing> missing(std::span<const KeyedVote> votes, const Kept& kept);
  [[nodiscard]] static Status keep(Kept& kept, std::span<const Missing> missing, std::span<const float> rows);
  [[nodiscard]] Status compute(std::span<const KeyedVote> votes);
  /// Of a block with readings of its own; nothing where it is not wanted.
  [[nodiscard]] Status compute_alone(std::string_view block,
                                     Status (AnswerReader::*work)(std::span<const KeyedVote>, Kept&),
                                     std::span<const KeyedVote> votes);
  [[nodiscard]] Status compute_passes(std::span<const KeyedVote> votes);
  /// One side behind these prompts, for a model file.
  [[nodiscard]] Result<llm::ReadRequest> request_of(const Vote& vote, std::size_t side, const Turns& prompts);
  [[nodiscard]] Status compute_embeddings(std::span<const KeyedVote> votes, Kept& kept);
  [[nodiscard]] Status compute_scores(std::span<const KeyedVote> votes, Kept& kept);
  [[nodiscard]] Status compute_verdicts(std::span<const KeyedVote> votes, Kept& kept);
  [[nodiscard]] Status compute_rewards(std::span<const KeyedVote> votes, Kept& kept);
  [[nodiscard]] Kept* find(std::string_view block);
  /// What `reading` returns; its time counts for `blocks`.
  template <class Reading>
  static auto timed(std::span<Kept* const> blocks, const Reading& reading);
  /// A server is asked, with one text, unless rows of its are kept in the file: see RowStore::width_of().
  [[nodiscard]] Result<std::size_t> embedding_width(const std::string& path, std::string_view what);

  std::unique_ptr<llm::LanguageModel> model_;
  AnswerSpec spec_;
  std::vector<Kept> kept_;  // as spec_.blocks
  std::size_t votes_read_ = 0, tokens_ = 0, verdicts_untold_ = 0;
  double seconds_ = 0;
};

/// Numbers of the likelihood block, of a text's token log-probabilities and that of its end: the mean, the
/// sum, the 10th, 25th, 50th and 75th percentile, the mean of the first 16, and the end's. A text
/// without tokens has zeros and its end.
inline constexpr std::size_t kLikelihoodWidth = 8;
void likelihood_numbers(std::span<const double> logprobs, double end, std::span<float> out);

}  // namespace agon
