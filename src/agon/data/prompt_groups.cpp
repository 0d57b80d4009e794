#include "agon/data/prompt_groups.h"

#include <algorithm>
#include <string>
#include <unordered_map>

#include "agon/base/check.h"
#include "agon/base/disjoint_sets.h"
#include "agon/base/hash.h"
#include "agon/base/parallel.h"
#include "agon/base/random.h"
#include "agon/text/fold.h"
#include "agon/text/minhash.h"

// Looked at on real files: of 1,500 Arena votes 27 share a prompt with an earlier one, in 20 groups of at
// most 4 rows: greetings and "test" that are equal, one puzzle with and without a comma, one Linux
// terminal role play asked with one turn and with five. Role plays and instruction templates that share
// only their frame stay apart. The 80 questions of MT-bench make 80 groups, each with its one-turn and
// its two-turn rows, and the 13 prompts of the llmfao crowd make 13.

namespace agon {
namespace {

// Three words a shingle: one changed word in the middle of a sentence of n words leaves (n-5)/(n+1) in
// common, so 0.8 means about one change in thirty words, or one word more at the end of seven.
constexpr std::size_t kShingleTokens = 3;
constexpr double kNear = 0.8;
// Under five shingles (seven words) only equal prompts match: "write a poem about love" is not near
// "write a poem about love now" in any sense that leaks.
constexpr std::size_t kFewestShingles = 5;

/// The first turn that says anything, folded; the raw text with a mark when no turn does ("???").
std::string first_turn(const Vote& vote) {
  for (const Turn& turn : vote.prompt)
    if (std::string text = folded(turn.text); !text.empty()) return text;
  std::string raw = "\x01";  // no folded text starts so
  for (const Turn& turn : vote.prompt) raw += turn.text;
  return raw;
}

std::string whole_conversation(const Vote& vote) {
  std::string text;
  for (const Turn& turn : vote.prompt) {
    text += turn.text;
    text += '\n';
  }
  return folded(text);
}

/// Texts to compare: of each vote its first turn, and its whole conversation when that says more.
struct Documents {
  std::vector<std::uint32_t> vote;
  std::vector<bool> whole;
};

}  // namespace

std::uint64_t prompt_key(const Vote& vote) {
  std::string text = whole_conversation(vote);
  return hash64(text.empty() ? first_turn(vote) : text);
}

std::vector<std::uint32_t> prompt_groups(std::span<const Vote> votes) {
  std::vector<const Vote*> pointers;
  pointers.reserve(votes.size());
  for (const Vote& vote : votes) pointers.push_back(&vote);
  return prompt_groups_of(pointers);
}

std::vector<std::uint32_t> prompt_groups_of(std::span<const Vote* const> votes) {
  AGON_CHECK(votes.size() < (std::size_t{1} << 31));
  const std::size_t n = votes.size();
  // Equal first turns, in linear time. What is compared below is then one document for each text.
  std::vector<std::uint64_t> first_key(n), whole_key(n);
  parallel_chunks(n, 64, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      first_key[i] = hash64(first_turn(*votes[i]));
      whole_key[i] = votes[i]->prompt.size() > 1 ? hash64(whole_conversation(*votes[i])) : first_key[i];
    }
  });
  DisjointSets sets(n);
  std::unordered_map<std::uint64_t, std::uint32_t> seen;
  seen.reserve(n);
  Documents documents;
  for (std::size_t i = 0; i < n; ++i) {
    const auto vote = static_cast<std::uint32_t>(i);
    for (const bool whole : {false, true}) {
      const auto [it, fresh] = seen.try_emplace(whole ? whole_key[i] : first_key[i], vote);
      sets.link(it->second, vote);
      if (!fresh) continue;
      documents.vote.push_back(vote);
      documents.whole.push_back(whole);
    }
  }

  std::vector<Sketch> sketches(documents.vote.size());
  parallel_chunks(sketches.size(), 64, [&](std::size_t begin, std::size_t end) {
    for (std::size_t d = begin; d < end; ++d) {
      const Vote& vote = *votes[documents.vote[d]];
      std::vector<std::uint64_t> set =
          shingles(documents.whole[d] ? whole_conversation(vote) : first_turn(vote), kShingleTokens);
      if (set.size() >= kFewestShingles) sketches[d] = sketch_of(std::move(set));
    }
  });
  const std::vector<std::uint32_t> roots = near_duplicates(sketches, kNear);
  for (std::size_t d = 0; d < roots.size(); ++d) sets.link(documents.vote[roots[d]], documents.vote[d]);

  std::vector<std::uint32_t> group(n), number(n, 0);
  std::uint32_t groups = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t root = sets.root(static_cast<std::uint32_t>(i));
    if (root == i) number[i] = groups++;  // a root is the first of its set
    group[i] = number[root];
  }
  return group;
}

std::vector<std::uint32_t> grouped_folds(std::span<const std::uint32_t> groups, std::uint32_t folds,
                                         std::uint64_t seed) {
  AGON_CHECK(folds > 0);
  struct Group {
    std::uint32_t label = 0;
    std::size_t rows = 0;
  };
  std::vector<Group> sizes;
  std::unordered_map<std::uint32_t, std::size_t> place;
  for (const std::uint32_t label : groups) {
    const auto [it, fresh] = place.try_emplace(label, sizes.size());
    if (fresh) sizes.push_back({label, 0});
    ++sizes[it->second].rows;
  }
  // Largest first, each to the fold with the fewest rows (Graham 1969): folds differ by no more rows
  // than the largest group has, and by one when there are enough groups of one. Equal sizes come in an order
  // drawn by the seed.
  Random random(seed, 0x666f6c64);
  random.shuffle(std::span(sizes));
  std::stable_sort(sizes.begin(), sizes.end(),
                   [](const Group& a, const Group& b) { return a.rows > b.rows; });
  std::vector<std::size_t> rows_in(folds, 0);
  std::unordered_map<std::uint32_t, std::uint32_t> fold_of;
  fold_of.reserve(sizes.size());
  for (const Group& group : sizes) {
    const auto least = std::min_element(rows_in.begin(), rows_in.end());
    *least += group.rows;
    fold_of[group.label] = static_cast<std::uint32_t>(least - rows_in.begin());
  }
  std::vector<std::uint32_t> out;
  out.reserve(groups.size());
  for (const std::uint32_t label : groups) out.push_back(fold_of[label]);
  return out;
}

}  // namespace agon
