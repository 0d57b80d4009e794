// Answers read by a language model: one rule of cutting, A and B alike, nothing read twice.
#include "agon/preference/lm/answer_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "agon/llm/access/embedded_model.h"
#include "agon/llm/engine/test_stories.h"
#include "agon/preference/lm/answer_request.h"
#include "agon/preference/lm/conversation_text.h"
#include "temp_folder.h"
#include "tiny_model.h"

namespace agon {
namespace {

std::unique_ptr<AnswerReader> reader_of(std::vector<std::string> blocks, const std::string& cache,
                                        ReadingBudget budget = {}) {
  auto model = llm::EmbeddedModel::open(llm::stories_path(), {.threads = 2, .template_name = "chatml"});
  AGON_CHECK(model.has_value());
  AnswerSpec spec;
  spec.location = llm::stories_path();
  spec.chat_template = "chatml";
  spec.budget = budget;
  spec.blocks = std::move(blocks);
  auto reader = AnswerReader::create(std::move(*model), std::move(spec), cache);
  AGON_CHECK(reader.has_value());
  return std::move(*reader);
}

const std::vector<std::string> kEvery = {"verdict", "states", "last", "likelihood", "ratio", "reward"};

TEST(AnswerReader, GivesEveryBlockAndSwapsWithTheVote) {
  const auto reader = reader_of(kEvery, "");
  EXPECT_EQ(reader->spec().layers, std::vector<int>{2});  // of 5
  std::vector<Vote> votes = tiny_votes().votes, exchanged;
  for (const Vote& vote : votes) exchanged.push_back(swapped(vote));
  const auto blocks = reader->read(votes, {});
  ASSERT_TRUE(blocks) << blocks.error().to_string();
  const auto other = reader_of(kEvery, "")->read(exchanged, {});
  ASSERT_TRUE(other);
  std::vector<std::string> names;
  for (std::size_t b = 0; b < blocks->size(); ++b) {
    const AnswerBlock& block = (*blocks)[b];
    names.push_back(block.name);
    for (std::size_t i = 0; i < votes.size(); ++i)
      for (std::size_t s = 0; s < 2; ++s)
        EXPECT_TRUE(std::ranges::equal(block.side(i, s), (*other)[b].side(i, 1 - s)))
            << block.name << " " << i;
    EXPECT_TRUE(std::ranges::any_of(block.values, [](float x) { return x != 0; })) << block.name;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"states", "last", "likelihood", "ratio", "verdict", "reward"}));

  // States and likelihoods come out of one pass, the ratio needs another, verdicts and rewards are apart.
  const std::vector<BlockCost> costs = reader->block_costs();
  ASSERT_EQ(costs.size(), names.size());
  for (std::size_t b = 0; b < costs.size(); ++b) {
    EXPECT_EQ(costs[b].block, names[b]);
    EXPECT_GT(costs[b].seconds, 0) << costs[b].block;
  }
  EXPECT_EQ(costs[0].seconds, costs[1].seconds);
  EXPECT_EQ(costs[0].seconds, costs[2].seconds);
  EXPECT_GT(costs[3].seconds, costs[2].seconds);
  EXPECT_LE(costs[3].seconds + costs[4].seconds + costs[5].seconds, reader->seconds());
}

TEST(AnswerReader, ReadsNothingTwice) {
  TempFolder folder;
  std::vector<Vote> votes = tiny_votes().votes;
  const auto first = reader_of(kEvery, folder / "c");
  const auto blocks = first->read(votes, {});
  ASSERT_TRUE(blocks);
  EXPECT_EQ(first->votes_read(), votes.size());
  const auto second = reader_of(kEvery, folder / "c");
  std::ranges::reverse(votes);
  for (Vote& vote : votes) vote.id += "x", vote.model_a = "other", vote.outcome = Outcome::kUnknown;
  const auto again = second->read(votes, {});
  ASSERT_TRUE(again);
  EXPECT_EQ(second->votes_read(), 0U);
  EXPECT_EQ(second->block_costs()[0].seconds, 0);
  for (std::size_t b = 0; b < blocks->size(); ++b)
    EXPECT_TRUE(std::ranges::equal((*again)[b].side(0, 0), (*blocks)[b].side(votes.size() - 1, 0)));
  // Another budget gives other numbers, which are kept apart.
  EXPECT_EQ(
      reader_of({"states"}, folder / "c", {.prompt_tokens = 3, .answer_tokens = 2})->read(votes, {})->size(),
      1U);
  votes[0].response_a[0].text += " and more";
  ASSERT_TRUE(second->read(votes, {}));
  EXPECT_EQ(second->votes_read(), 1U);
}

// Of blocks that were kept nothing is read again when others join them.
TEST(AnswerReader, ReadsOnlyTheBlocksThatAreMissing) {
  TempFolder folder;
  const std::vector<Vote> votes = tiny_votes().votes;
  const auto whole = reader_of({"states", "likelihood", "ratio", "verdict"}, "")->read(votes, {});
  ASSERT_TRUE(whole);
  ASSERT_TRUE(reader_of({"states", "likelihood"}, folder / "c")->read(votes, {}));

  const auto verdict = reader_of({"states", "likelihood", "verdict"}, folder / "c");
  ASSERT_TRUE(verdict->read(votes, {}));
  EXPECT_EQ(verdict->votes_read(), votes.size());
  EXPECT_EQ(verdict->tokens(), 0U);
  const std::vector<BlockCost> costs = verdict->block_costs();
  EXPECT_EQ(costs[0].seconds, 0);
  EXPECT_EQ(costs[1].seconds, 0);
  EXPECT_GT(costs[2].seconds, 0);

  const auto ratio = reader_of({"states", "likelihood", "ratio", "verdict"}, folder / "c");
  const auto read = ratio->read(votes, {});
  ASSERT_TRUE(read);
  EXPECT_GT(ratio->tokens(), 0U);
  EXPECT_EQ(ratio->block_costs()[0].seconds, 0);
  EXPECT_GT(ratio->block_costs()[2].seconds, 0);
  for (std::size_t b = 0; b < whole->size(); ++b) EXPECT_EQ((*read)[b].values, (*whole)[b].values) << b;

  // One vote of which nothing is kept: the others are not read with it.
  std::vector<Vote> more = votes;
  more.push_back(votes[0]);
  more.back().response_a[0].text += " and more";
  const auto alone = reader_of({"states", "likelihood"}, "");
  ASSERT_TRUE(alone->read(std::span(more).last(1), {}));
  const auto joined = reader_of({"states", "likelihood"}, folder / "c");
  ASSERT_TRUE(joined->read(more, {}));
  EXPECT_GT(joined->tokens(), 0U);
  EXPECT_LE(joined->tokens(), alone->tokens());
}

/// A model behind a URL that does well until its work has `bad` in it.
class FailingModel final : public llm::LanguageModel {
 public:
  explicit FailingModel(std::string bad) : bad_(std::move(bad)) {}
  Result<llm::ModelIdentity> identity() override {
    return llm::ModelIdentity{"failing", std::string(64, 'f')};
  }
  [[nodiscard]] bool is_remote() const override { return true; }
  using LanguageModel::embed;
  Result<std::vector<llm::TextEmbedding>> embed(std::span<const llm::ModelInput> inputs,
                                                const llm::EmbedSettings& /*settings*/,
                                                const Progress& /*progress*/) override {
    AGON_TRY(check(inputs, [](const llm::ModelInput& input) { return input.text; }));
    return std::vector<llm::TextEmbedding>(inputs.size(), {.values = {1}});
  }
  Result<std::vector<std::vector<llm::ContinuationScore>>> score(std::span<const llm::ScoreInput> items,
                                                                 const llm::ScoreSettings& /*settings*/,
                                                                 const Progress& /*progress*/) override {
    AGON_TRY(check(items, [](const llm::ScoreInput& item) { return item.continuations[0]; }));
    return std::vector<std::vector<llm::ContinuationScore>>(items.size(), {{.token_logprobs = {-1}}});
  }
  Result<std::vector<llm::ChoiceResult>> choose(std::span<const llm::ChoiceInput> items,
                                                const Progress& /*progress*/) override {
    AGON_TRY(check(items, [](const llm::ChoiceInput& item) { return item.context.messages[0].content; }));
    return std::vector<llm::ChoiceResult>(items.size(), {.logprobs = {-1, -1}});
  }
  Result<std::vector<llm::Answer>> generate(std::span<const llm::ModelInput> /*inputs*/,
                                            const llm::GenerateSettings& /*settings*/,
                                            const Progress& /*progress*/) override {
    return fail("writes nothing");
  }
  Result<std::vector<std::vector<double>>> rerank(std::span<const llm::RerankInput> items,
                                                  const Progress& /*progress*/) override {
    AGON_TRY(check(items, [](const llm::RerankInput& item) { return item.documents[0]; }));
    return std::vector<std::vector<double>>(items.size(), {1});
  }

 private:
  template <class Item, class Text>
  [[nodiscard]] Status check(std::span<const Item> items, const Text& text_of) const {
    for (std::size_t i = 0; i < items.size(); ++i)
      if (text_of(items[i]).contains(bad_))
        return std::unexpected(Error{.message = "it is bad", .row = i + 1, .column = "text"});
    return {};
  }
  std::string bad_;
};

TEST(AnswerReader, NamesTheVoteThatAnErrorIsAbout) {
  std::vector<Vote> votes = tiny_votes().votes;
  votes[7].response_b[0].text = "Odd one out";
  votes[7].row = 70;
  for (const char* block : {"states", "likelihood", "verdict", "reward"}) {
    AnswerSpec spec;
    spec.served_name = "failing";
    spec.blocks = {block};
    auto reader = AnswerReader::create(std::make_unique<FailingModel>("Odd one out"), spec, "");
    ASSERT_TRUE(reader);
    const auto read = (*reader)->read(votes, {});
    ASSERT_FALSE(read) << block;
    EXPECT_EQ(read.error().to_string(), "row 70: vote '7': it is bad") << block;
  }
  // A model file's own: a conversation that is longer than its context.
  for (int i = 0; i < 12; ++i) votes[7].response_b[0].text += votes[7].response_b[0].text.substr(0, 2000);
  const auto read = reader_of({"states"}, "", {.prompt_tokens = 100, .answer_tokens = 5000})->read(votes, {});
  ASSERT_FALSE(read);
  EXPECT_TRUE(read.error().to_string().starts_with("row 70: vote '7': ")) << read.error().to_string();
}

TEST(AnswerRequest, KeepsTheStartOfPromptsAndBothEndsOfAnswers) {
  auto engine = llm::Engine::open(llm::stories_path(), {.threads = 1, .template_name = "chatml"});
  ASSERT_TRUE(engine);
  const auto& tokenizer = (*engine)->tokenizer();
  std::string long_answer;
  for (int i = 0; i < 60; ++i) long_answer += "one two three ";
  const Turns prompts = {{.text = "Once upon a time there was a big bad wolf in the deep dark wood"},
                         {.text = "And then?"}},
              answers = {{.text = "Yes."}, {.text = long_answer + "the end"}};
  const auto request = answer_request(**engine, prompts, answers, {.prompt_tokens = 20, .answer_tokens = 21});
  ASSERT_TRUE(request) << request.error().to_string();
  ASSERT_EQ(request->observed.size(), 3U);  // the short answer, and both ends of the long one
  const auto text_of = [&](const llm::TokenRun& run) {
    return tokenizer.decode(
        std::span(request->tokens)
            .subspan(static_cast<std::size_t>(run.begin), static_cast<std::size_t>(run.end - run.begin)));
  };
  EXPECT_EQ(text_of(request->observed[0]), "Yes.");
  const std::string head = text_of(request->observed[1]), tail = text_of(request->observed[2]);
  EXPECT_TRUE(std::string("one two three one two three one two three").starts_with(head)) << head;
  EXPECT_TRUE(tail.ends_with("the end")) << tail;
  int observed = 0;
  for (const llm::TokenRun& run : request->observed) observed += run.end - run.begin;
  EXPECT_EQ(observed, 21);
  // The whole is what the template makes of it.
  const std::string all = tokenizer.decode(request->tokens, true);
  EXPECT_NE(all.find("assistant\n Yes. <|im_end|>\n<|im_start|>user\nAnd then?"), std::string::npos) << all;
}

TEST(AnswerRequest, TakesEmptyAndOddConversations) {
  auto engine = llm::Engine::open(llm::stories_path(), {.threads = 1, .template_name = "chatml"});
  const auto empty = answer_request(**engine, {}, {{.text = "", .null = true}}, {});
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->observed.empty());
  EXPECT_FALSE(empty->tokens.empty());
  const Turns many(40, Turn{.text = "word"});
  const auto cut = answer_request(**engine, many, many, {.prompt_tokens = 400, .answer_tokens = 400});
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->observed.size(), ReadingBudget::kMostTurns);
  auto bare = llm::Engine::open(llm::stories_path(), {.threads = 1});  // no template in the file
  ASSERT_TRUE(answer_request(**bare, {{.text = "Why?"}}, {{.text = "So."}}, {}));
}

// Past answers stand where the template puts finished ones, whatever it puts before them.
TEST(AnswerRequest, TakesSeveralTurnsInEveryTemplate) {
  const Turns prompts = {{.text = "One?"}, {.text = "Two?"}, {.text = "Three?"}},
              answers = {{.text = "So."}, {.text = "Then."}, {.text = "Well."}};
  for (const char* family : {"chatml", "llama2", "llama3", "mistral", "gemma", "phi3", "zephyr"}) {
    auto engine = llm::Engine::open(llm::stories_path(), {.threads = 1, .template_name = family});
    ASSERT_TRUE(engine);
    for (const std::size_t turns : {1U, 2U, 3U}) {
      const Turns asked(prompts.begin(), prompts.begin() + static_cast<std::ptrdiff_t>(turns)),
          said(answers.begin(), answers.begin() + static_cast<std::ptrdiff_t>(turns));
      const auto request = answer_request(**engine, asked, said, {});
      ASSERT_TRUE(request) << family << ": " << request.error().to_string();
      ASSERT_EQ(request->observed.size(), turns) << family;
      const std::string all = (*engine)->tokenizer().decode(request->tokens, true);
      std::size_t at = 0;
      for (std::size_t t = 0; t < turns; ++t) {
        at = all.find(asked[t].text, at);
        ASSERT_NE(at, std::string::npos) << family << ": " << all;
        at = all.find(said[t].text, at);
        ASSERT_NE(at, std::string::npos) << family << ": " << all;
      }
    }
    EXPECT_FALSE(answer_request(**engine, {}, {}, {})->tokens.empty()) << family;
  }
}

TEST(ConversationText, IsCutAtWholeCharacters) {
  Vote vote;
  vote.prompt = {{.text = "\u00e4\u00e4\u00e4\u00e4"}};
  vote.response_a = {{.text = "\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac"}};
  vote.response_b = {{.text = "b"}};
  const ConversationText a = conversation_text(vote, 0, {.prompt_tokens = 1, .answer_tokens = 2});
  EXPECT_EQ(a.asked, "\u00e4\u00e4");
  EXPECT_EQ(a.answer, "\u20ac ... \u20ac");
  EXPECT_EQ(a.before, "User: \u00e4\u00e4\n\nAssistant:");
  EXPECT_NE(verdict_question(vote, true, {}).find("Answer A:\nb\n"), std::string::npos);
}

}  // namespace
}  // namespace agon
