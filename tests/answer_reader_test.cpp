// Answers read by a language model: one rule of cutting, A and B alike, nothing read twice.
#include "agon/preference/lm/answer_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "agon/base/test_folder.h"
#include "agon/llm/access/embedded_model.h"
#include "agon/llm/engine/test_stories.h"
#include "agon/llm/gguf/random_model.h"
#include "agon/preference/lm/answer_request.h"
#include "tiny_model.h"

namespace agon {
namespace {

using ::testing::HasSubstr;

AnswerSpec file_spec(std::vector<std::string> blocks) {
  AnswerSpec spec;
  spec.location = llm::stories_path();
  spec.blocks = std::move(blocks);
  return spec;
}
AnswerSpec served_spec(std::vector<std::string> blocks) {
  AnswerSpec spec;
  spec.served_name = "failing";
  spec.blocks = std::move(blocks);
  return spec;
}

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

const std::vector<std::string> kEvery = {"verdict", "states", "last", "likelihood", "ratio"};

/// A reader of a random model with a classification head, in a file that goes with the test.
Result<std::unique_ptr<AnswerReader>> reward_reader(const TempFolder& folder,
                                                    std::vector<std::string> blocks) {
  gguf::RandomModelOptions options;
  options.layers = 2;
  options.labels = 1;
  auto writer = gguf::random_model(options);
  AGON_CHECK(writer.has_value() && writer->write(folder / "reward.gguf"));
  auto model = llm::EmbeddedModel::open(folder / "reward.gguf", {.threads = 2});
  AGON_CHECK(model.has_value());
  AnswerSpec spec;
  spec.location = folder / "reward.gguf";
  spec.blocks = std::move(blocks);
  return AnswerReader::create(std::move(*model), std::move(spec), "");
}

/// A model behind a URL that does well until its work has `bad` in it; it gives no verdict of `untold`.
class FailingModel final : public llm::LanguageModel {
 public:
  explicit FailingModel(std::string bad, std::string untold = "nothing that is there")
      : bad_(std::move(bad)), untold_(std::move(untold)) {}
  Result<llm::ModelIdentity> identity() override {
    return llm::ModelIdentity{"failing", std::string(64, 'f'), 0};
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
    std::vector<llm::ChoiceResult> results(items.size(), {.logprobs = {-1, -1}});
    for (std::size_t i = 0; i < items.size(); ++i)
      if (items[i].context.messages[0].content.contains(untold_)) results[i].untold = "neither";
    return results;
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
  std::string bad_, untold_;
};

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
  EXPECT_EQ(names, (std::vector<std::string>{"states", "last", "likelihood", "ratio", "verdict"}));

  // States and likelihoods come out of one pass, the ratio needs another, verdicts are apart.
  const std::vector<BlockCost> costs = reader->block_costs();
  ASSERT_EQ(costs.size(), names.size());
  for (std::size_t b = 0; b < costs.size(); ++b) {
    EXPECT_EQ(costs[b].block, names[b]);
    EXPECT_GT(costs[b].seconds, 0) << costs[b].block;
  }
  EXPECT_EQ(costs[0].seconds, costs[1].seconds);
  EXPECT_EQ(costs[0].seconds, costs[2].seconds);
  EXPECT_GT(costs[3].seconds, costs[2].seconds);
  EXPECT_LE(costs[3].seconds + costs[4].seconds, reader->seconds());
}

TEST(AnswerReader, ReadsTheRewardOfARewardModel) {
  TempFolder folder;
  std::vector<Vote> votes = tiny_votes().votes;
  votes[3].prompt[0].text = "";
  votes[4].prompt.push_back({.text = "And then?"});
  votes[4].response_a.push_back({.text = "Then this."});
  votes[4].response_b.push_back({.text = ""});
  const auto reader = reward_reader(folder, {});
  ASSERT_TRUE(reader) << reader.error().to_string();
  EXPECT_EQ((*reader)->spec().blocks, std::vector<std::string>{"reward"});
  const auto blocks = (*reader)->read(votes, {});
  ASSERT_TRUE(blocks) << blocks.error().to_string();
  ASSERT_EQ(blocks->front().width, 1U);
  // The same as the model says of the conversation, turn by turn.
  auto& model = (*reader)->model();
  const llm::RerankInput conversation{
      .query = "And then?",
      .documents = {"Then this."},
      .before = {{"user", votes[4].prompt[0].text}, {"assistant", votes[4].response_a[0].text}}};
  const auto reward = model.rerank(std::span(&conversation, 1));
  ASSERT_TRUE(reward);
  EXPECT_EQ(blocks->front().side(4, 0)[0], static_cast<float>((*reward)[0][0]));
  // Another first turn gives another reward.
  std::vector<Vote> other(votes.begin() + 4, votes.begin() + 5);
  other[0].prompt[0].text += " Say it.";
  EXPECT_NE((*reader)->read(other, {})->front().side(0, 0)[0], blocks->front().side(4, 0)[0]);

  EXPECT_EQ((*reward_reader(folder, {"all"}))->spec().blocks,
            (std::vector<std::string>{"states", "last", "reward"}));
  EXPECT_EQ((*reward_reader(folder, {"states"}))->spec().blocks, std::vector<std::string>{"states"});
  const auto refused = reward_reader(folder, {"verdict"});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().to_string(), HasSubstr("reward.gguf does not give the block 'verdict'"));
  EXPECT_EQ(refused.error().kind, ErrorKind::kUsage);
}

TEST(AnswerReader, ChoosesTheBlocksThatTheModelGives) {
  EXPECT_EQ(reader_of({}, "")->spec().blocks, std::vector<std::string>{"states"});
  EXPECT_EQ(reader_of({"all"}, "")->spec().blocks,
            (std::vector<std::string>{"states", "last", "likelihood", "ratio", "verdict"}));
  auto model = llm::EmbeddedModel::open(llm::stories_path(), {.threads = 1});
  const auto refused = AnswerReader::create(std::move(*model), file_spec({"reward"}), "");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().to_string(),
              HasSubstr("does not give the block 'reward' (expected a reward model"));
  for (const char* block : {"last", "ratio"})
    EXPECT_THAT(AnswerReader::create(std::make_unique<FailingModel>("x"), served_spec({block}), "")
                    .error()
                    .to_string(),
                HasSubstr("(expected a model file)"));
  EXPECT_EQ(
      (*AnswerReader::create(std::make_unique<FailingModel>("x"), served_spec({"all"}), ""))->spec().blocks,
      (std::vector<std::string>{"states", "likelihood", "verdict"}));
}

// A file without a chat template is asked in plain text.
TEST(AnswerReader, ReadsVerdictsOfABaseModel) {
  auto model = llm::EmbeddedModel::open(llm::stories_path(), {.threads = 1});
  auto reader = AnswerReader::create(std::move(*model), file_spec({"verdict"}), "");
  ASSERT_TRUE(reader) << reader.error().to_string();
  const auto read = (*reader)->read(tiny_votes().votes, {});
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_TRUE(std::ranges::any_of(read->front().values, [](float x) { return x != 0; }));
}

// A vote that a server names neither answer of has no verdict, and the others have theirs.
TEST(AnswerReader, CountsVotesWithoutAVerdict) {
  std::vector<Vote> votes = tiny_votes().votes;
  votes[7].prompt[0].text = "Odd one out";
  auto reader = AnswerReader::create(std::make_unique<FailingModel>("nothing", "Odd one out"),
                                     served_spec({"verdict"}), "");
  ASSERT_TRUE(reader);
  const auto read = (*reader)->read(votes, {});
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ((*reader)->verdicts_untold(), 1U);
  EXPECT_EQ(read->front().side(7, 0)[0], 0);
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

TEST(AnswerReader, NamesTheVoteThatAnErrorIsAbout) {
  std::vector<Vote> votes = tiny_votes().votes;
  votes[7].response_b[0].text = "Odd one out";
  votes[7].row = 70;
  for (const char* block : {"states", "likelihood", "verdict", "reward"}) {
    auto reader =
        AnswerReader::create(std::make_unique<FailingModel>("Odd one out"), served_spec({block}), "");
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

TEST(LikelihoodNumbers, AreMeanSumPercentilesStartAndEnd) {
  std::vector<double> logprobs;
  for (int i = 1; i <= 20; ++i) logprobs.push_back(-i);  // the last sixteen places hold the least likely
  std::vector<float> row(kLikelihoodWidth);
  likelihood_numbers(logprobs, -0.5, row);
  EXPECT_EQ(row, (std::vector<float>{-10.5F, -210, -18, -15, -10, -5, -8.5F, -0.5F}));
  likelihood_numbers({}, -2, row);
  EXPECT_EQ(row, (std::vector<float>{0, 0, 0, 0, 0, 0, 0, -2}));
  const double one = -3;
  likelihood_numbers({&one, 1}, -1, row);
  EXPECT_EQ(row, (std::vector<float>{-3, -3, -3, -3, -3, -3, -3, -1}));
}

}  // namespace
}  // namespace agon
