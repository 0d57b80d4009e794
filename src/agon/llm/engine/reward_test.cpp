#include "agon/llm/engine/reward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "agon/base/random.h"
#include "agon/llm/access/embedded_model.h"
#include "agon/llm/access/items.h"
#include "agon/llm/engine/embedding.h"
#include "agon/llm/engine/scoring.h"
#include "agon/llm/engine/test_service.h"
#include "agon/llm/gguf/random_model.h"
#include "agon/llm/model/reference.h"

namespace agon::llm {
namespace {

using ::testing::HasSubstr;
using Texts = std::vector<std::vector<Token>>;

/// A random model with a head, in a file that is removed at the end.
class RewardFile {
 public:
  explicit RewardFile(const gguf::RandomModelOptions& options, const std::string& rerank_template = {}) {
    static int number = 0;
    path_ = (std::filesystem::temp_directory_path() /
             ("agon_reward_" + std::to_string(::getpid()) + "_" + std::to_string(number++) + ".gguf"))
                .string();
    auto writer = gguf::random_model(options);
    EXPECT_TRUE(writer) << writer.error().to_string();
    if (!rerank_template.empty()) writer->metadata.set("tokenizer.chat_template.rerank", rerank_template);
    EXPECT_TRUE(writer->write(path_));
  }
  ~RewardFile() { std::filesystem::remove(path_); }
  RewardFile(const RewardFile&) = delete;
  RewardFile& operator=(const RewardFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::unique_ptr<Engine> open(int threads = 2) const {
    auto engine = Engine::open(path_, {.threads = threads});
    EXPECT_TRUE(engine) << engine.error().to_string();
    return std::move(*engine);
  }

 private:
  std::string path_;
};

gguf::RandomModelOptions small(const std::string& architecture, const std::string& format, int labels) {
  gguf::RandomModelOptions options;
  options.architecture = architecture;
  options.layers = architecture == "gemma3" ? 6 : 2;
  options.format = format;
  options.labels = labels;
  options.window = architecture.starts_with("gemma") ? 23 : 0;
  return options;
}

Texts random_texts(std::initializer_list<int> lengths) {
  Random random(77, 5);
  Texts texts;
  for (const int length : lengths) {
    texts.emplace_back();
    for (int i = 0; i < length; ++i) texts.back().push_back(static_cast<Token>(random.below(512)));
  }
  return texts;
}

TEST(Reward, AgreesWithTheReferenceOnAllArchitectures) {
  for (const std::string architecture : {"llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3"}) {
    for (const bool dense : {false, true}) {
      gguf::RandomModelOptions options = small(architecture, "F32", dense ? 3 : 1);
      options.dense_head = dense;
      const RewardFile file(options);
      const auto engine = file.open();
      const Texts texts = random_texts({1, 40, 17, 90});
      const auto outputs = embed(*engine, texts, -1, Pooling::kRank);
      ASSERT_TRUE(outputs) << outputs.error().to_string();
      const auto rewards = reward(*engine, texts);
      ASSERT_TRUE(rewards);
      const auto reference = ReferenceModel::load(engine->file());
      ASSERT_TRUE(reference);
      for (std::size_t i = 0; i < texts.size(); ++i) {
        const std::vector<double> truth = reference->head(texts[i]);
        ASSERT_EQ((*outputs)[i].size(), truth.size());
        for (std::size_t k = 0; k < truth.size(); ++k)
          EXPECT_NEAR((*outputs)[i][k], truth[k], 1e-4) << architecture << ", text " << i;
        EXPECT_EQ((*rewards)[i], (*outputs)[i][0]);
        if (architecture == "qwen3" && dense) {
          EXPECT_NEAR((*outputs)[i][0] + (*outputs)[i][1] + (*outputs)[i][2], 1, 1e-6);
        }
      }
    }
  }
}

TEST(Reward, DoesNotDependOnCompany) {
  for (const std::string format : {"F32", "Q4_0", "Q8_0"}) {
    const RewardFile file(small("llama", format, 1));
    const auto engine = file.open();
    const Texts texts = random_texts({5, 300, 33, 1, 64, 128, 700, 2, 900, 31});
    const auto together = reward(*engine, texts);
    ASSERT_TRUE(together);
    const auto other = file.open(1);
    const Texts turned(texts.rbegin(), texts.rend());
    const auto backwards = reward(*other, turned);
    ASSERT_TRUE(backwards);
    auto service = Service::create(*engine, {.slots = 4, .prompt_budget = 48}).value();
    Submission submission{.client = "c"};
    for (const auto& text : texts)
      submission.requests.emplace_back(EmbedRequest{.tokens = text, .pooling = Pooling::kRank});
    auto ticket = service->submit(std::move(submission));
    ASSERT_TRUE(ticket);
    std::vector<Embedding> served(texts.size());
    while (!ticket->finished()) {
      auto event = ticket->next(std::chrono::seconds(60));
      ASSERT_TRUE(event);
      if (auto* one = std::get_if<Embedding>(&event->what)) served[event->request] = *one;
    }
    service.reset();
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const auto alone = reward(*engine, std::span(&texts[i], 1));
      ASSERT_TRUE(alone);
      EXPECT_EQ((*together)[i], alone->front()) << format << ", text " << i;
      EXPECT_EQ((*together)[i], (*backwards)[texts.size() - 1 - i]) << format << ", text " << i;
      ASSERT_EQ(served[i].size(), 1u);
      EXPECT_EQ((*together)[i], served[i][0]) << format << ", text " << i << " served";
    }
  }
}

// Without an output matrix there are no probabilities of next tokens, and everybody who asks hears so.
TEST(Reward, ARewardModelIsNotTakenForACausalOne) {
  const RewardFile file(small("qwen2", "Q8_0", 1));
  const auto engine = file.open();
  const std::vector<ScoreRequest> requests = {{.tokens = {1, 5, 6, 7}, .first = 2}};
  const auto scores = score(*engine, requests);
  ASSERT_FALSE(scores);
  EXPECT_THAT(scores.error().to_string(), HasSubstr("no output matrix"));
  auto service = Service::create(*engine).value();
  const auto refused = service->submit({.client = "c", .requests = {GenerateRequest{.prompt = {1, 5}}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Refusal::Kind::kInvalid);
  EXPECT_THAT(refused.error().error.to_string(), HasSubstr("no output matrix"));
  // Hidden states are there.
  EXPECT_TRUE(service->submit({.client = "c", .requests = {EmbedRequest{.tokens = {1, 5}}}}));
  service.reset();
  EXPECT_TRUE(embed(*engine, random_texts({3}), 1, Pooling::kMean));
  const auto inner = embed(*engine, random_texts({3}), 1, Pooling::kRank);
  ASSERT_FALSE(inner);
  EXPECT_THAT(inner.error().to_string(), HasSubstr("behind all 2 layers"));

  gguf::RandomModelOptions both = small("llama", "Q8_0", 1);
  both.tied = false;
  const RewardFile other(both);
  const auto can_do_both = other.open();
  EXPECT_TRUE(score(*can_do_both, requests));
  EXPECT_TRUE(reward(*can_do_both, random_texts({3})));
}

TEST(Reward, NeedsAHead) {
  const RewardFile file(small("llama", "F32", 0));
  const auto engine = file.open();
  const auto none = reward(*engine, random_texts({3}));
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().to_string(), HasSubstr("no classification head"));
  auto service = Service::create(*engine).value();
  EXPECT_FALSE(service->submit(
      {.client = "c", .requests = {EmbedRequest{.tokens = {1, 5}, .pooling = Pooling::kRank}}}));
}

TEST(Reward, ItemsAreGivenWithAllOutputs) {
  gguf::RandomModelOptions options = small("llama", "F32", 2);
  const RewardFile file(options);
  auto engine = *Engine::open(file.path(), {.threads = 2, .template_name = "chatml"});
  auto reader = *ItemReader::parse(
      "{\"id\":\"a\",\"text\":\"abc\"}\n"
      "{\"id\":2,\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":"
      "\"y\"}]}\n",
      "items");
  std::string lines;
  EmbeddedModel model(*engine, file.path());
  const EmbedSettings settings{.pooling = Pooling::kRank};
  const auto counts = embed_items(model, *reader, settings, -1, {}, [&](std::string_view some) {
    lines += some;
    return Status();
  });
  ASSERT_TRUE(counts) << counts.error().to_string();
  EXPECT_THAT(lines, HasSubstr("{\"id\":\"a\",\"tokens\":"));
  EXPECT_THAT(lines, HasSubstr("\"outputs\":["));
  const Texts conversation = {engine->tokenizer().encode(
      "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\ny<|im_end|>\n", {.parse_special = true})};
  const auto outputs = embed(*engine, conversation, -1, Pooling::kRank);
  ASSERT_TRUE(outputs);
  EXPECT_THAT(lines, HasSubstr(fmt::format("{{\"id\":2,\"tokens\":{},\"reward\":{},\"outputs\":[{},{}]}}",
                                           conversation[0].size(), (*outputs)[0][0], (*outputs)[0][0],
                                           (*outputs)[0][1])));
  auto both = *ItemReader::parse("{\"text\":\"a\",\"messages\":[]}", "items");
  EXPECT_FALSE(embed_items(model, *both, settings, -1, {}, [](std::string_view) { return Status(); }));
}

TEST(Reward, RerankersReadTheirOwnTemplate) {
  const RewardFile with(small("llama", "F32", 1), "<s>Q: {query}\nD: {document}</s>");
  const auto engine = with.open();
  const auto encode = [&](const std::string& text) {
    return engine->tokenizer().encode(text, {.add_special = false, .parse_special = true});
  };
  EXPECT_EQ(*rerank_tokens(*engine, "what", "that"), encode("<s>Q: what\nD: that</s>"));
  // A text that looks like a place is text.
  EXPECT_EQ(*rerank_tokens(*engine, "{document}", "{query}"), encode("<s>Q: {document}\nD: {query}</s>"));

  const RewardFile plain(small("llama", "F32", 1));
  const auto chat = *Engine::open(plain.path(), {.threads = 1, .template_name = "chatml"});
  EXPECT_EQ(
      *rerank_tokens(*chat, "what", "that"),
      chat->tokenizer().encode("<|im_start|>user\nwhat<|im_end|>\n<|im_start|>assistant\nthat<|im_end|>\n",
                               {.parse_special = true}));
  const auto bare = plain.open(1);
  std::vector<Token> expected = {1};
  for (const char* text : {"what", "that"}) {
    for (const Token token : encode(text)) expected.push_back(token);
    expected.push_back(2);
  }
  EXPECT_EQ(*rerank_tokens(*bare, "what", "that"), expected);
}

}  // namespace
}  // namespace agon::llm
