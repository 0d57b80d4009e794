#include "agon/preference/dataset.h"

#include <algorithm>

#include "agon/data/prompt_groups.h"

namespace agon {
namespace {

/// Entries of all sparse rows together: bounds their memory at 0.5 GB (8 bytes each).
constexpr double kMaxEntries = 60e6;

/// About how many n-grams the answers have, from their bytes: four character and three word n-grams
/// begin at a character or a word, and three fifths of them occur once in an answer.
double keep_share(const std::vector<Vote>& votes) {
  double bytes = 0;
  for (const Vote& vote : votes)
    for (const Turns* turns : {&vote.response_a, &vote.response_b})
      for (const Turn& turn : *turns)
        bytes += static_cast<double>(std::min<std::size_t>(turn.text.size(), 12000));
  return std::min(1.0, kMaxEntries / std::max(1.0, 2.5 * bytes));
}

}  // namespace

Result<Dataset> prepare(VoteSet set, Ratings ratings, AnswerSource* source, const Progress& progress) {
  Dataset data;
  data.set = std::move(set);
  data.ratings = std::move(ratings);
  const std::vector<Vote>& votes = data.set.votes;
  if (votes.empty()) return fail("no votes to learn from");
  for (std::size_t i = 0; i < votes.size(); ++i) {
    const Vote& vote = votes[i];
    if (vote.outcome == Outcome::kUnknown)
      return std::unexpected(Error{.message = "the row has no winner",
                                   .file = data.set.sources.empty() ? "" : data.set.sources[vote.source].path,
                                   .row = vote.row,
                                   .expected = "labelled votes"});
    data.outcomes.push_back(vote.outcome);
    data.weights.push_back(vote.weight);
    if (vote.source == 0) data.main_rows.push_back(static_cast<std::uint32_t>(i));
  }
  if (data.main_rows.empty()) return fail("the first file has no votes");
  data.features = text_features(votes, progress);
  data.columns = text_columns();
  data.ngram_options.keep = keep_share(votes);
  data.ngrams = answer_ngrams(votes, data.ngram_options, progress);
  data.groups = prompt_groups(votes);
  if (source != nullptr) {
    AGON_ASSIGN(data.lm, source->read(votes, progress));
  }
  return data;
}

}  // namespace agon
