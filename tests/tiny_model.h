// A whole predictor of a few kilobytes, trained in milliseconds, for tests of its file.
#pragma once

#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agon/base/bytes.h"
#include "agon/base/check.h"
#include "agon/base/hash.h"
#include "agon/preference/model.h"

namespace agon {

/// Twelve votes about nothing much: longer answers win, equal ones tie.
inline VoteSet tiny_votes() {
  VoteSet set;
  set.sources.push_back(
      {.path = "tiny.csv", .weight = 1, .auto_weight = false, .sha256 = "", .bytes = 0, .counts = {}});
  const std::vector<std::pair<std::string, std::string>> answers = {
      {"Yes, it is so. Here is why:\n- one\n- two", "No."},
      {"No", "Well, that depends on what you mean by it. **Often** it does."},
      {"Perhaps", "Perhaps"},
  };
  const std::vector<std::string> prompts = {"Is water wet?", "May cats fly over the moon?",
                                            "Write a poem about seven green stones",
                                            "How do I sort a list in Python?"};
  for (std::size_t i = 0; i < 12; ++i) {
    Vote vote;
    vote.id = std::to_string(i);
    vote.row = i + 1;
    vote.model_a = i % 2 == 0 ? "alpha" : "beta";
    vote.model_b = i % 2 == 0 ? "beta" : "gamma";
    vote.prompt = {{.text = prompts[i % prompts.size()], .null = false}};
    vote.response_a = {{.text = answers[i % 3].first, .null = false}};
    vote.response_b = {{.text = answers[i % 3].second, .null = false}};
    vote.outcome = static_cast<Outcome>(i % 3);
    set.votes.push_back(vote);
  }
  return set;
}

inline Dataset tiny_dataset() {
  auto data = prepare(tiny_votes(), {{"alpha", 1200}, {"beta", 1000}}, nullptr, {});
  AGON_CHECK(data.has_value());
  data->ngram_options.bits = 8;  // few buckets: a small file, quickly read
  data->ngrams = answer_ngrams(data->votes(), data->ngram_options);
  return std::move(*data);
}

/// What a language model might say of these votes: two blocks, of which the first knows the winner.
inline void add_tiny_blocks(Dataset& data) {
  AnswerBlock states{"states", 3, {}}, verdict{"verdict", 1, {}};
  for (std::size_t i = 0; i < data.outcomes.size(); ++i)
    for (std::size_t side = 0; side < 2; ++side) {
      const bool won = data.outcomes[i] == (side == 0 ? Outcome::kA : Outcome::kB);
      const auto other = static_cast<float>((7 * i + 3 * side) % 5);
      states.values.insert(states.values.end(), {won ? 1.0F : 0.0F, other, -other});
      verdict.values.push_back((side == 0 ? 1.0F : -1.0F) * static_cast<float>(i % 4));
    }
  data.lm = {std::move(states), std::move(verdict)};
}

inline AnswerSpec tiny_spec() {
  AnswerSpec spec;
  spec.name = "tiny.gguf";
  spec.key = std::string(64, 'a');
  spec.file_bytes = 1000;
  spec.location = "models/tiny.gguf";
  spec.layers = {1, 2};
  spec.blocks = {"states", "verdict"};
  return spec;
}

/// Says something of any vote, in blocks of these widths.
class TinySource final : public AnswerSource {
 public:
  [[nodiscard]] const AnswerSpec& spec() const override { return spec_; }
  [[nodiscard]] Result<std::vector<AnswerBlock>> read(std::span<const Vote> votes,
                                                      const Progress& /*progress*/) override {
    std::vector<AnswerBlock> blocks;
    for (const auto& [name, width] : widths) {
      AnswerBlock block{name, width, {}};
      for (std::size_t j = 0; j < 2 * votes.size() * width; ++j)
        block.values.push_back(static_cast<float>(j % 7) - 3);
      blocks.push_back(std::move(block));
    }
    return blocks;
  }
  std::vector<std::pair<std::string, std::size_t>> widths{{"states", 3}, {"verdict", 1}};
  explicit TinySource(AnswerSpec spec) : spec_(std::move(spec)) {}

 private:
  AnswerSpec spec_;
};

/// `reading`: with corrections of add_tiny_blocks().
inline PreferenceModel tiny_model(bool reading = false) {
  Dataset data = tiny_dataset();
  if (reading) add_tiny_blocks(data);
  Recipe recipe = default_recipe(data.main_rows.size());
  recipe.boosted.rounds = 2;
  recipe.boosted.min_child_weight = 0.1;
  recipe.inner_folds = 2;
  recipe.correction.doubt = HUGE_VAL;
  auto stack = Stack::fit(data, data.main_rows, data.weights, recipe, 1);
  AGON_CHECK(stack.has_value());
  return {std::move(*stack),
          BlendWeights{},
          Baselines::fit(data, data.main_rows, data.weights),
          data.ngram_options,
          ModelCard{{"kind", "tiny"}, {"limits", "all"}},
          tiny_spec()};
}

inline constexpr std::size_t kModelHeaderBytes = 96;

/// A whole file around a payload (version 3: with corrections), with its size and checksum put right.
inline std::string model_file_of(std::string_view payload, std::uint32_t version = 1) {
  ByteWriter numbers;
  numbers.put<std::uint32_t>(version);
  numbers.put<std::uint32_t>(0);
  numbers.put<std::uint64_t>(payload.size());
  return "agon-preference\n" + numbers.bytes() + sha256_hex(payload) + std::string(payload);
}

}  // namespace agon
