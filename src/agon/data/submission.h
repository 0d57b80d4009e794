// Predictions in the competition's form, in and out.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/file.h"
#include "agon/data/vote.h"

namespace agon {

/// Decimal digits printed; the three printed numbers sum to exactly 1 and none is 0 or 1.
inline constexpr int kProbabilityDigits = 9;
/// Rounds to kProbabilityDigits so that the printed digits sum to 1; exactly symmetric in a and b:
/// quantised(swapped(p)) == swapped(quantised(p)), bit for bit. Input must be finite, sum near 1.
[[nodiscard]] Prediction quantised(const Prediction& p);

enum class SubmissionFormat { kCsv, kJsonl };
/// By the name's ending: .jsonl or .ndjson (before .gz/.zst) is JSON Lines, all else CSV.
[[nodiscard]] SubmissionFormat submission_format(const std::string& path);

/// Streams id,winner_model_a,winner_model_b,winner_tie, atomically.
class SubmissionWriter {
 public:
  [[nodiscard]] static Result<SubmissionWriter> create(const std::string& path, SubmissionFormat format);
  [[nodiscard]] Status write(const std::string& id, const Prediction& p);
  [[nodiscard]] Status commit();

 private:
  SubmissionWriter(std::unique_ptr<AtomicFile> file, SubmissionFormat format)
      : file_(std::move(file)), format_(format) {}
  std::unique_ptr<AtomicFile> file_;
  SubmissionFormat format_;
  std::string buffer_;
};

/// id and probabilities, in file order. NaN, negative or not summing to 1 (tolerance 1e-3) is an
/// Error with row and column; a sum within tolerance is normalised.
[[nodiscard]] Result<std::vector<std::pair<std::string, Prediction>>> read_submission(
    const std::string& path);

}  // namespace agon
