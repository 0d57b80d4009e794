// The seam for features: a block has a name, a version and columns, and its rows depend on text alone.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/progress.h"
#include "agon/data/vote.h"
#include "agon/preference/features/analysis.h"

namespace agon {

/// What swapping A and B does to a column: an odd one changes its sign, an even one stays.
enum class Parity : std::uint8_t { kOdd, kEven };

struct Column {
  std::string name;         ///< "length.words.rel"
  std::string description;  ///< "words, A minus B over their sum"
  Parity parity = Parity::kOdd;
};

/// Rows of numbers, row-major.
struct FeatureMatrix {
  std::size_t rows = 0, columns = 0;
  std::vector<float> values;

  [[nodiscard]] std::span<float> row(std::size_t i) {
    return std::span(values).subspan(i * columns, columns);
  }
  [[nodiscard]] std::span<const float> row(std::size_t i) const {
    return std::span(values).subspan(i * columns, columns);
  }
  /// Some rows, one after the other.
  [[nodiscard]] std::vector<float> rows_of(std::span<const std::uint32_t> which) const {
    std::vector<float> out;
    out.reserve(which.size() * columns);
    for (const std::uint32_t i : which) out.insert(out.end(), row(i).begin(), row(i).end());
    return out;
  }
};

/// A source of columns. The promise that everything else rests on: computing the swapped vote gives
/// exactly the negated odd columns and exactly the same even columns, bit for bit; all are finite.
class FeatureBlock {
 public:
  virtual ~FeatureBlock() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// Raised whenever the same text would give other numbers: old models then no longer fit.
  [[nodiscard]] virtual int version() const = 0;
  [[nodiscard]] virtual std::span<const Column> columns() const = 0;
  /// One row a vote into `out` (votes.size() x columns().size(), row-major).
  [[nodiscard]] virtual Status compute(std::span<const Vote> votes, std::span<float> out,
                                       const Progress& progress) const = 0;
};

/// A block computed from the shared analysis of a row, so that the text is read once for all of them.
class TextBlock : public FeatureBlock {
 public:
  virtual void compute_row(const AnalyzedVote& vote, std::span<float> out) const = 0;
  [[nodiscard]] Status compute(std::span<const Vote> votes, std::span<float> out,
                               const Progress& progress) const final;
};

/// The built-in text blocks, in the order of their columns.
[[nodiscard]] const std::vector<const TextBlock*>& text_blocks();
/// Columns of all built-in blocks, in order.
[[nodiscard]] const std::vector<Column>& text_columns();
/// All built-in columns of all votes, in parallel.
[[nodiscard]] FeatureMatrix text_features(std::span<const Vote> votes, const Progress& progress = {});
/// One row, with buffers that the caller keeps.
void text_feature_row(const AnalyzedVote& vote, std::span<float> out);

}  // namespace agon
