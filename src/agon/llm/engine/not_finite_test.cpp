// Weights that leave the range of floats: an error that names the file for whoever uses them, and the same
// numbers as ever for everybody else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>

#include "agon/base/random.h"
#include "agon/llm/engine/embedding.h"
#include "agon/llm/engine/generation.h"
#include "agon/llm/engine/scoring.h"
#include "agon/llm/engine/test_service.h"
#include "agon/llm/gguf/random_model.h"

namespace agon::llm {
namespace {

using ::testing::HasSubstr;
using Edit = std::function<void(const gguf::Tensor&, std::vector<std::byte>&)>;

constexpr Token kBad = 400;  // the token whose embedding is spoilt

/// A random model some of whose tensors are changed, in a file that is removed at the end.
class SpoiltFile {
 public:
  SpoiltFile(const std::string& format, const Edit& edit, int embedding = 64) {
    static int number = 0;
    path_ = (std::filesystem::temp_directory_path() /
             ("agon_spoilt_" + std::to_string(::getpid()) + "_" + std::to_string(number++) + ".gguf"))
                .string();
    gguf::RandomModelOptions options;
    options.tied = false;
    options.format = format;
    options.embedding = embedding;
    const std::vector<std::byte> bytes = gguf::random_model(options)->bytes();
    const auto file = gguf::File::parse(bytes, "m");
    gguf::Writer writer;
    writer.metadata = file->metadata();
    for (const gguf::Tensor& tensor : file->tensors()) {
      std::vector<std::byte> content(tensor.bytes.begin(), tensor.bytes.end());
      edit(tensor, content);
      writer.add(tensor.name, tensor.type, tensor.shape, content);
    }
    EXPECT_TRUE(writer.write(path_));
  }
  ~SpoiltFile() { std::filesystem::remove(path_); }
  SpoiltFile(const SpoiltFile&) = delete;
  SpoiltFile& operator=(const SpoiltFile&) = delete;
  [[nodiscard]] std::unique_ptr<Engine> open(bool exact = false,
                                             std::optional<CacheType> cache_type = {}) const {
    auto engine = Engine::open(path_, {.threads = 2, .cache_type = cache_type, .exact = exact});
    EXPECT_TRUE(engine) << engine.error().to_string();
    return std::move(*engine);
  }

 private:
  std::string path_;
};

/// The embedding of kBad begins with a number that is none, or an infinite scale.
void spoil_one_token(const gguf::Tensor& tensor, std::vector<std::byte>& bytes) {
  if (tensor.name != "token_embd.weight") return;
  const std::size_t row = bytes.size() / tensor.rows();
  std::byte* to = bytes.data() + static_cast<std::size_t>(kBad) * row;
  if (tensor.type == gguf::TensorType::kF32) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(to, &nan, sizeof nan);
  } else {
    const std::uint16_t infinite = 0x7C00;
    std::memcpy(to, &infinite, sizeof infinite);
  }
}

std::vector<Token> text_of(int length, std::uint64_t seed) {
  Random random(3, seed);
  std::vector<Token> tokens;
  for (int i = 0; i < length; ++i) tokens.push_back(static_cast<Token>(random.below(kBad)));
  return tokens;
}

TEST(NotFinite, OnlyWhoReadsTheSpoiltTokenHearsOfIt) {
  for (const std::string format : {"F32", "Q8_0", "Q4_0"}) {
    for (const bool exact : {false, true}) {
      const SpoiltFile file(format, spoil_one_token);
      const SpoiltFile whole(format, [](const gguf::Tensor&, std::vector<std::byte>&) {});
      const auto engine = file.open(exact), sane = whole.open(exact);
      std::vector<ScoreRequest> good;
      for (std::uint64_t i = 0; i < 5; ++i)
        good.push_back({.tokens = text_of(20 + 7 * static_cast<int>(i), i), .first = 4});
      std::vector<Token> spoilt = text_of(30, 9);
      spoilt[12] = kBad;
      // The token is in the continuation: its probability is finite, and what comes behind it is not.
      const std::vector<ScoreRequest> bad = {{.tokens = spoilt, .first = 5}};
      const std::vector<ScoreRequest> before = {
          {.tokens = {spoilt.begin(), spoilt.begin() + 13}, .first = 5}};
      const auto scores = score(*engine, good), truth = score(*sane, good);
      ASSERT_TRUE(scores && truth);
      for (std::size_t i = 0; i < good.size(); ++i)
        EXPECT_EQ((*scores)[i].token_logprobs, (*truth)[i].token_logprobs) << format;
      EXPECT_TRUE(score(*engine, before)) << format;
      const auto none = score(*engine, bad);
      ASSERT_FALSE(none) << format;
      EXPECT_THAT(none.error().to_string(), HasSubstr("leave the range of floats"));
      EXPECT_THAT(none.error().file, HasSubstr("agon_spoilt"));
      const std::vector<std::vector<Token>> texts = {spoilt};
      EXPECT_FALSE(embed(*engine, texts, -1, Pooling::kMean)) << format;
      auto session = *Session::create(*engine);
      EXPECT_FALSE(session.generate(spoilt, {.max_tokens = 3})) << format;
      EXPECT_TRUE(session.generate(good[0].tokens, {.max_tokens = 3})) << format;
    }
  }
}

TEST(NotFinite, AServiceFailsTheOneRequest) {
  for (const std::string format : {"F32", "Q8_0"}) {
    const SpoiltFile file(format, spoil_one_token);
    const auto engine = file.open();
    auto service = Service::create(*engine, {.slots = 10, .prompt_budget = 32}).value();
    std::vector<Token> spoilt = text_of(40, 9);
    spoilt[20] = kBad;
    const std::vector<Token> fine = text_of(40, 10);
    Submission submission{.client = "c"};
    for (const std::vector<Token>& tokens : {spoilt, fine}) {
      submission.requests.emplace_back(
          GenerateRequest{.prompt = tokens, .max_tokens = 4, .ignore_end = true});
      submission.requests.emplace_back(GenerateRequest{
          .prompt = tokens, .sampler = {.temperature = 1}, .max_tokens = 4, .ignore_end = true});
      submission.requests.emplace_back(
          GenerateRequest{.prompt = tokens, .max_tokens = 0, .prompt_logprobs = 3});
      submission.requests.emplace_back(ScoreRequest{.tokens = tokens, .first = 2});
      submission.requests.emplace_back(EmbedRequest{.tokens = tokens});
    }
    auto ticket = service->submit(std::move(submission));
    ASSERT_TRUE(ticket);
    std::vector<Finished> ends(10);
    while (!ticket->finished()) {
      auto event = ticket->next(std::chrono::seconds(60));
      ASSERT_TRUE(event);
      if (auto* end = std::get_if<Finished>(&event->what)) ends[event->request] = *end;
    }
    for (std::size_t i = 0; i < 10; ++i) {
      EXPECT_EQ(ends[i].reason == FinishReason::kError, i < 5) << format << ", request " << i;
      EXPECT_THAT(ends[i].message, HasSubstr(i < 5 ? "leave the range of floats" : ""));
    }
  }
}

// Positions before the spoilt one are read in the same pass; what they hold is kept, and serves others.
TEST(NotFinite, WhatStandsBeforeASpoiltTokenStaysGood) {
  for (const CacheType type : {CacheType::kF16, CacheType::kBF16, CacheType::kQ8_0, CacheType::kF32}) {
    for (const std::string format : {"F32", "Q8_0"}) {
      for (const int place : {13, 15, 17}) {  // in the middle and at the end of what kernels take together
        const SpoiltFile file(format, spoil_one_token, 128);
        const auto engine = file.open(false, type);
        auto service = Service::create(*engine, {.slots = 2, .threaded = false}).value();
        std::vector<Token> spoilt = text_of(40, 9);
        const std::vector<Token> shared(spoilt.begin(), spoilt.begin() + place);
        std::vector<Token> other = shared;
        for (const Token token : text_of(5, 11)) other.push_back(token);
        spoilt[static_cast<std::size_t>(place)] = kBad;
        const auto run = [&](Service& its, const std::vector<Token>& prompt) {
          auto ticket = its.submit(
              {"c",
               {GenerateRequest{.prompt = prompt, .max_tokens = 4, .ignore_end = true, .top_logprobs = 0}}});
          std::vector<double> logprobs;
          Finished finished;
          while (its.step()) {
          }
          while (!ticket->finished()) {
            auto event = ticket->next(std::chrono::seconds(1));
            if (auto* token = std::get_if<TokenEvent>(&event->what)) logprobs.push_back(token->logprob);
            if (auto* end = std::get_if<Finished>(&event->what)) finished = *end;
          }
          return std::pair(finished, logprobs);
        };
        EXPECT_EQ(run(*service, spoilt).first.reason, FinishReason::kError);
        const auto [end, logprobs] = run(*service, other);
        EXPECT_EQ(end.reason, FinishReason::kLength) << format << " " << place << ": " << end.message;
        auto fresh = Service::create(*engine, {.slots = 2, .threaded = false}).value();
        EXPECT_EQ(run(*fresh, other).second, logprobs) << format << " " << place;
      }
    }
  }
}

// Every matrix with the largest scale there is: sums overflow everywhere. Errors or finite numbers, whatever
// the format.
TEST(NotFinite, HugeWeightsEndInAnErrorOrInNumbers) {
  for (const std::string format : {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_1", "IQ4_NL"}) {
    const SpoiltFile file(format, [](const gguf::Tensor& tensor, std::vector<std::byte>& bytes) {
      if (!tensor.name.starts_with("blk.") || tensor.shape.size() != 2) return;
      const gguf::TypeTraits traits = gguf::type_traits(tensor.type);
      for (std::size_t at = 0; at < bytes.size(); at += traits.bytes) {
        const bool wide = tensor.type == gguf::TensorType::kF32 || tensor.type == gguf::TensorType::kBF16;
        bytes[at + traits.bytes - (traits.elements == 1 ? 1 : traits.bytes - 1)] =
            static_cast<std::byte>(wide ? 0x7F : 0x7B);
      }
    });
    for (const bool exact : {false, true}) {
      const auto engine = file.open(exact);
      const std::vector<ScoreRequest> requests = {{.tokens = text_of(50, 1), .first = 3}};
      if (const auto scores = score(*engine, requests)) {
        for (const double logprob : scores->front().token_logprobs)
          EXPECT_TRUE(std::isfinite(logprob)) << format;
      } else {
        EXPECT_THAT(scores.error().to_string(), HasSubstr("leave the range of floats")) << format;
      }
      const std::vector<std::vector<Token>> texts = {requests[0].tokens};
      for (const Pooling pooling : {Pooling::kMean, Pooling::kLast, Pooling::kNone}) {
        if (const auto states = embed(*engine, texts, 1, pooling)) {
          for (const float x : states->front()) EXPECT_TRUE(std::isfinite(x)) << format;
        }
      }
      auto session = *Session::create(*engine);
      for (const double temperature : {0.0, 1.0}) {
        const auto text = session.generate(
            requests[0].tokens, {.sampler = {.temperature = temperature, .top_p = 0.9}, .max_tokens = 4});
        EXPECT_THAT(text ? "" : text.error().to_string(), HasSubstr(text ? "" : "leave the range of floats"));
      }
    }
  }
}

}  // namespace
}  // namespace agon::llm
