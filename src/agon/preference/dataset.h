// The votes of a training run with everything that is computed once: features, n-grams, groups.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/progress.h"
#include "agon/data/ratings.h"
#include "agon/data/vote_reader.h"
#include "agon/preference/features/block.h"
#include "agon/preference/lm/answer_source.h"
#include "agon/preference/models/ngrams.h"

namespace agon {

/// Votes with labels, and aligned with them what every learner reads. Nothing here is fitted: the
/// numbers of a row depend on that row's text alone.
struct Dataset {
  VoteSet set;
  FeatureMatrix features;  ///< votes x all columns of all blocks
  std::vector<Column> columns;
  std::vector<AnswerBlock> lm;  ///< what a language model says of the answers; may be empty
  SparseRows ngrams;            ///< rows 2i and 2i+1 are the answers of vote i
  NgramOptions ngram_options;
  std::vector<Outcome> outcomes;
  std::vector<double> weights;
  std::vector<std::uint32_t> groups;     ///< of prompts, over all files
  std::vector<std::uint32_t> main_rows;  ///< rows of the first file: figures are measured on these
  Ratings ratings;

  [[nodiscard]] const std::vector<Vote>& votes() const { return set.votes; }
};

/// Computes features, n-grams and prompt groups. Votes without a label are an Error. `source`, unless null,
/// reads the answers.
[[nodiscard]] Result<Dataset> prepare(VoteSet set, Ratings ratings, AnswerSource* source,
                                      const Progress& progress);

}  // namespace agon
