// The parts of check_votes(); nothing here is for other rooms.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "agon/data/check.h"

namespace agon::check {

/// Collects findings; names the first few rows of each.
class Findings {
 public:
  Findings(const VoteSet& set, std::size_t examples) : set_(set), examples_(examples) {}
  [[nodiscard]] RowRef ref(std::size_t index) const;
  /// Adds a finding when `rows` is not empty; `message` follows the number of rows.
  void rows(Finding::Level level, const std::string& code, std::span<const std::size_t> rows,
            const std::string& message_one, const std::string& message_many, const std::string& advice);
  void add(Finding finding) { out_.push_back(std::move(finding)); }
  /// Those to look at first, in the order of adding otherwise.
  [[nodiscard]] std::vector<Finding> take();

 private:
  const VoteSet& set_;
  std::size_t examples_;
  std::vector<Finding> out_;
};

/// Hashes by which votes are compared. `comparison` is the same for a vote and its swapped twin, and
/// `flipped` says in which of the two orders this one is.
struct VoteKeys {
  std::uint64_t prompt = 0;      ///< normalised
  std::uint64_t comparison = 0;  ///< exact texts of prompt and both answers
  bool flipped = false;
  bool identical_answers = false;
};
[[nodiscard]] std::vector<VoteKeys> vote_keys(const std::vector<Vote>& votes);

/// "12,345", for messages.
[[nodiscard]] std::string with_commas(std::uint64_t n);

void find_class_problems(const ClassShares& classes, Findings& findings);
void find_repeats(const std::vector<Vote>& votes, std::span<const VoteKeys> keys, Findings& findings);
void find_odd_texts(const VoteSet& set, std::span<const VoteKeys> keys, Findings& findings);
[[nodiscard]] ModelGraph model_graph(const std::vector<Vote>& votes, Findings& findings);

}  // namespace agon::check
