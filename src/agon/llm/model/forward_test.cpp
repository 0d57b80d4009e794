#include "agon/llm/model/forward.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "agon/base/random.h"
#include "agon/llm/gguf/random_model.h"
#include "agon/llm/model/reference.h"
#include "agon/llm/model/test_models.h"

namespace agon::llm {
namespace {

using Tokens = std::vector<std::int32_t>;

std::size_t wide(int n) { return static_cast<std::size_t>(n); }

/// A file in memory and its weights.
struct Loaded {
  std::vector<std::byte> bytes;
  std::unique_ptr<gguf::File> file;
  std::unique_ptr<Weights> weights;

  explicit Loaded(std::vector<std::byte> from) : bytes(std::move(from)) {
    auto parsed = gguf::File::parse(bytes, "memory");
    if (!parsed) {
      ADD_FAILURE() << parsed.error().to_string();
      return;
    }
    file = std::make_unique<gguf::File>(std::move(*parsed));
    Team team(2);
    auto loaded = Weights::load(*file, team);
    if (!loaded) {
      ADD_FAILURE() << loaded.error().to_string();
      return;
    }
    weights = std::move(*loaded);
  }
};

const char* const kArchitectures[] = {"llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3"};

/// Blocks of 256 numbers, of which rows have to be a whole number.
bool wide_blocks(const std::string& format) { return format.contains("_K") || format == "IQ4_XS"; }
int width(const std::string& format) { return wide_blocks(format) ? 256 : 192; }

/// Small, and awkward in every size: a vocabulary of one and a bit chunks that is no multiple of a panel, an
/// odd number of panels to the feed-forward, windows shorter than the texts.
gguf::RandomModelOptions small(const std::string& architecture, const std::string& format) {
  gguf::RandomModelOptions options;
  options.architecture = architecture;
  options.layers = architecture == "gemma3" ? 6 : 2;  // the sixth is the first that sees all
  options.embedding = width(format);
  options.heads = wide_blocks(format) ? 4 : 6;
  options.kv_heads = 2;
  options.feed_forward = wide_blocks(format) ? 512 : 224;
  options.vocabulary = 1101;
  options.format = format;
  options.window = architecture.starts_with("gemma") || architecture == "phi3" ? 23 : 0;
  return options;
}

const Loaded& model(const std::string& architecture, const std::string& format) {
  static std::map<std::string, std::unique_ptr<Loaded>> models;
  std::unique_ptr<Loaded>& it = models[architecture + " " + format];
  if (it == nullptr) {
    auto writer = gguf::random_model(small(architecture, format));
    EXPECT_TRUE(writer) << writer.error().to_string();
    it = std::make_unique<Loaded>(writer->bytes());
  }
  return *it;
}

Tokens random_tokens(std::size_t count, std::uint64_t seed, int vocabulary = 1101) {
  Random random(41, seed);
  Tokens tokens(count);
  for (std::int32_t& token : tokens)
    token = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(vocabulary)));
  return tokens;
}

/// All there is to ask about a text: logits after every token, and the scores of the tokens that follow, of
/// word 0 and of the last.
struct Answers {
  std::vector<float> logits;
  std::vector<TargetScore> scores;

  bool operator==(const Answers& other) const {
    return logits.size() == other.logits.size() && scores.size() == other.scores.size() &&
           std::memcmp(logits.data(), other.logits.data(), logits.size() * sizeof(float)) == 0 &&
           std::ranges::equal(scores, other.scores, [](const TargetScore& a, const TargetScore& b) {
             return std::memcmp(&a.logprob, &b.logprob, sizeof(double)) == 0 && a.best == b.best;
           });
  }
  void append(const Answers& other) {
    logits.insert(logits.end(), other.logits.begin(), other.logits.end());
    scores.insert(scores.end(), other.scores.begin(), other.scores.end());
  }
};

/// A pass with its own threads and cache.
struct Pass {
  Team team;
  KvCache cache;
  Forward forward;

  Pass(const Weights& weights, int threads, Forward::Options options = {}, CacheType type = CacheType::kF16,
       int room = 2048)
      : team(threads),
        cache(KvCache::create(weights.config(), type, room).value()),
        forward(weights, cache, team, options) {}

  struct Piece {
    int sequence;
    Tokens tokens;
    bool step = false;
  };
  /// Reads the pieces in one batch; the answers of each.
  std::vector<Answers> read(const std::vector<Piece>& pieces) {
    Batch batch;
    const std::int32_t last = forward.config().vocabulary - 1;
    for (const Piece& piece : pieces) {
      batch.segments.push_back({piece.sequence, static_cast<int>(piece.tokens.size()), piece.step});
      for (std::size_t i = 0; i < piece.tokens.size(); ++i) {
        const int row = static_cast<int>(batch.tokens.size());
        batch.tokens.push_back(piece.tokens[i]);
        batch.logit_rows.push_back(row);
        // Depends on the token alone, so that a text gives the same questions however it is cut.
        for (const std::int32_t token : {piece.tokens[i], 0, last}) batch.targets.push_back({row, token});
      }
    }
    BatchResult result;
    const Status status = forward.run(batch, result);
    EXPECT_TRUE(status) << status.error().to_string();
    std::vector<Answers> answers;
    const auto vocabulary = wide(forward.config().vocabulary);
    std::size_t row = 0;
    for (const Piece& piece : pieces) {
      const std::size_t end = row + piece.tokens.size();
      const auto at = [](auto& all, std::size_t i) { return all.begin() + static_cast<std::ptrdiff_t>(i); };
      answers.push_back({{at(result.logits, row * vocabulary), at(result.logits, end * vocabulary)},
                         {at(result.scores, row * 3), at(result.scores, end * 3)}});
      row = end;
    }
    return answers;
  }
  Answers read(int sequence, const Tokens& tokens, bool step = false) {
    return read({{sequence, tokens, step}}).front();
  }
};

Tokens slice(const Tokens& tokens, std::size_t begin, std::size_t end) {
  return {tokens.begin() + static_cast<std::ptrdiff_t>(begin),
          tokens.begin() + static_cast<std::ptrdiff_t>(end)};
}

struct Kind {
  std::string architecture, format;
};

class EachModel : public testing::TestWithParam<Kind> {
 protected:
  [[nodiscard]] const Weights& weights() const {
    return *model(GetParam().architecture, GetParam().format).weights;
  }
};

TEST_P(EachModel, SameBitsHoweverTheTextIsCutAndOnAnyThreads) {
  const Tokens tokens = random_tokens(70, 1);
  Pass first(weights(), 1);
  const Answers whole = first.read(first.cache.open(), tokens);
  struct Way {
    int threads, rows;
  };
  for (const Way& way : {Way{1, 1}, Way{1, 64}, Way{2, 7}, Way{2, 512}, Way{3, 7}, Way{3, 64}}) {
    Pass pass(weights(), way.threads, {.exact = false, .max_rows = way.rows});
    EXPECT_TRUE(whole == pass.read(pass.cache.open(), tokens))
        << way.threads << " threads, " << way.rows << " rows";
    if (way.rows != 7) continue;
    // In two calls.
    const int sequence = pass.cache.open();
    Answers parts = pass.read(sequence, slice(tokens, 0, 29));
    parts.append(pass.read(sequence, slice(tokens, 29, 70)));
    EXPECT_TRUE(whole == parts) << way.threads << " threads, two calls";
  }
  // Token by token, as when generating.
  Pass pass(weights(), 2);
  const int sequence = pass.cache.open();
  Answers parts;
  for (std::size_t i = 0; i < tokens.size(); ++i) parts.append(pass.read(sequence, slice(tokens, i, i + 1)));
  EXPECT_TRUE(whole == parts);
}

TEST_P(EachModel, SameBitsWhateverElseIsInTheBatchAndInAnyOrder) {
  std::vector<Tokens> texts;
  for (const std::size_t length : {1U, 40U, 3U, 17U, 16U}) texts.push_back(random_tokens(length, 2 + length));
  std::vector<Answers> alone;
  for (const Tokens& text : texts) {
    Pass pass(weights(), 1);
    alone.push_back(pass.read(pass.cache.open(), text));
  }
  for (const int threads : {1, 3}) {
    for (const int rows : {7, 512}) {
      Pass pass(weights(), threads, {.exact = false, .max_rows = rows});
      std::vector<std::size_t> order = {0, 1, 2, 3, 4};
      for (int round = 0; round < 3; ++round) {
        std::vector<Pass::Piece> pieces;
        for (const std::size_t i : order) pieces.push_back({pass.cache.open(), texts[i]});
        const std::vector<Answers> together = pass.read(pieces);
        for (std::size_t i = 0; i < order.size(); ++i)
          EXPECT_TRUE(alone[order[i]] == together[i]) << "text " << order[i] << ", " << threads << " threads";
        for (const Pass::Piece& piece : pieces) pass.cache.close(piece.sequence);
        Random(42, static_cast<std::uint64_t>(round)).shuffle(std::span<std::size_t>(order));
      }
    }
  }
}

// Steps are computed otherwise than what is read on some machines; on all, each is the same in any company.
TEST_P(EachModel, StepsAreTheSameBesideWhatIsRead) {
  const Tokens prompt = random_tokens(21, 6), steps = random_tokens(5, 7), text = random_tokens(40, 8);
  Pass first(weights(), 1);
  const int sequence = first.cache.open();
  const Answers read = first.read(sequence, prompt);
  Answers stepped;
  for (std::size_t i = 0; i < steps.size(); ++i)
    stepped.append(first.read(sequence, slice(steps, i, i + 1), true));
  const Answers whole = first.read(first.cache.open(), text);
  for (const int threads : {1, 3}) {
    Pass pass(weights(), threads, {.exact = false, .max_rows = 16});
    const int a = pass.cache.open(), b = pass.cache.open();
    EXPECT_TRUE(read == pass.read(a, prompt));
    EXPECT_TRUE(read == pass.read(b, prompt));
    Answers mine, others;
    // One step of a, three tokens of another text, one step of b; then what is left.
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const Tokens step = slice(steps, i, i + 1);
      const int c = pass.cache.open();
      const std::vector<Answers> all = pass.read({{a, step, true}, {c, text}, {b, step, true}});
      mine.append(all[0]);
      EXPECT_TRUE(whole == all[1]);
      others.append(all[2]);
      pass.cache.close(c);
    }
    EXPECT_TRUE(stepped == mine) << threads << " threads";
    EXPECT_TRUE(stepped == others) << threads << " threads";
  }
  // The bits differ only where it is said.
  Pass again(weights(), 2);
  const int other = again.cache.open();
  EXPECT_TRUE(read == again.read(other, prompt));
  const Answers as_read = again.read(other, steps);
  if (!again.forward.steps_differ()) {
    EXPECT_TRUE(stepped == as_read);
  }
}

TEST_P(EachModel, SameBitsFromASharedPrefixAndFromAPageUsedBefore) {
  const Tokens tokens = random_tokens(60, 3);
  Pass first(weights(), 1);
  const Answers whole = first.read(first.cache.open(), tokens);
  Pass pass(weights(), 2, {}, CacheType::kF16, 320);
  const int stem = pass.cache.open();
  (void)pass.read(stem, slice(tokens, 0, 50));
  const auto vocabulary = wide(pass.forward.config().vocabulary);
  for (const std::size_t shared : {0U, 1U, 15U, 16U, 17U, 32U, 47U, 50U}) {
    // Another continuation of the same prefix first, which leaves its traces in the pages it gives back.
    const int other = pass.cache.fork(stem, static_cast<int>(shared)).value();
    const int mine = pass.cache.fork(stem, static_cast<int>(shared)).value();
    (void)pass.read(other, random_tokens(30, shared));
    const Answers rest = pass.read(mine, slice(tokens, shared, 60));
    EXPECT_EQ(0, std::memcmp(rest.logits.data(), whole.logits.data() + shared * vocabulary,
                             rest.logits.size() * sizeof(float)))
        << shared << " shared";
    // Cut back and read again.
    pass.cache.truncate(mine, static_cast<int>(shared));
    EXPECT_TRUE(rest == pass.read(mine, slice(tokens, shared, 60))) << shared << " shared, again";
    pass.cache.close(mine);
    pass.cache.close(other);
  }
}

TEST_P(EachModel, ScoresAreThoseOfTheLogits) {
  const Tokens tokens = random_tokens(20, 4);
  Pass pass(weights(), 2);
  const Answers answers = pass.read(pass.cache.open(), tokens);
  const auto vocabulary = wide(pass.forward.config().vocabulary);
  for (std::size_t row = 0; row < tokens.size(); ++row) {
    const float* logits = answers.logits.data() + row * vocabulary;
    const float* top = std::max_element(logits, logits + vocabulary);
    double sum = 0;
    for (std::size_t word = 0; word < vocabulary; ++word)
      sum += std::exp(static_cast<double>(logits[word]) - static_cast<double>(*top));
    const std::int32_t targets[] = {tokens[row], 0, static_cast<std::int32_t>(vocabulary) - 1};
    for (std::size_t i = 0; i < 3; ++i) {
      const TargetScore& score = answers.scores[row * 3 + i];
      EXPECT_EQ(score.best, top - logits);
      // The sum's relative error (see RowsSummarize) is that of the log-probability, absolutely.
      EXPECT_NEAR(score.logprob,
                  static_cast<double>(logits[targets[i]]) - static_cast<double>(*top) - std::log(sum), 2e-6);
    }
  }
  // Only what is asked for, in a later call, gives the same.
  Batch batch;
  batch.tokens = tokens;
  batch.segments = {{pass.cache.open(), 20}};
  batch.targets = {{3, tokens[3]}, {19, 0}};
  BatchResult result;
  ASSERT_TRUE(pass.forward.run(batch, result));
  EXPECT_TRUE(result.logits.empty());
  ASSERT_EQ(result.scores.size(), 2U);
  EXPECT_EQ(result.scores[0].logprob, answers.scores[9].logprob);
  EXPECT_EQ(result.scores[1].logprob, answers.scores[19 * 3 + 1].logprob);
}

TEST_P(EachModel, TheBestTokenIsThatOfTheLogitsWhateverElseIsAsked) {
  const Tokens tokens = random_tokens(90, 5);
  Pass whole(weights(), 2);
  const Answers answers = whole.read(whole.cache.open(), tokens);
  const auto vocabulary = wide(whole.forward.config().vocabulary);
  std::vector<std::int32_t> expected;
  for (std::size_t row = 0; row < tokens.size(); ++row) {
    const float* logits = answers.logits.data() + row * vocabulary;
    expected.push_back(static_cast<std::int32_t>(std::max_element(logits, logits + vocabulary) - logits));
  }
  // Beside logits and scores of other rows and of the same ones, in pieces of 32 rows.
  Pass pass(weights(), 2, {.max_rows = 32});
  Batch batch;
  batch.tokens = tokens;
  batch.segments = {{pass.cache.open(), 90}};
  for (int row = 0; row < 90; ++row) {
    if (row % 2 == 0) batch.best_rows.push_back(row);
    if (row % 3 == 0) batch.logit_rows.push_back(row);
    if (row % 5 == 0) batch.targets.push_back({row, tokens[wide(row)]});
  }
  BatchResult result;
  ASSERT_TRUE(pass.forward.run(batch, result));
  ASSERT_EQ(result.best.size(), 45U);
  for (std::size_t i = 0; i < 45; ++i) EXPECT_EQ(result.best[i], expected[2 * i]);
  for (std::size_t i = 0; i < batch.logit_rows.size(); ++i)
    EXPECT_EQ(0, std::memcmp(result.logits.data() + i * vocabulary,
                             answers.logits.data() + 3 * i * vocabulary, vocabulary * sizeof(float)));
  for (std::size_t i = 0; i < batch.targets.size(); ++i) {
    EXPECT_EQ(result.scores[i].logprob, answers.scores[5 * i * 3].logprob);
    EXPECT_EQ(result.scores[i].best, expected[5 * i]);
  }
  // Alone.
  batch.logit_rows.clear();
  batch.targets.clear();
  batch.segments = {{pass.cache.open(), 90}};
  ASSERT_TRUE(pass.forward.run(batch, result));
  EXPECT_TRUE(result.logits.empty());
  for (std::size_t i = 0; i < 45; ++i) EXPECT_EQ(result.best[i], expected[2 * i]);
}

/// Mean over positions of KL(truth || got).
double divergence(const std::vector<double>& truth, const std::vector<float>& got, std::size_t vocabulary) {
  const auto log_total = [&](const auto* x) {
    const double top = static_cast<double>(*std::max_element(x, x + vocabulary));
    double sum = 0;
    for (std::size_t i = 0; i < vocabulary; ++i) sum += std::exp(static_cast<double>(x[i]) - top);
    return top + std::log(sum);
  };
  double total = 0;
  for (std::size_t at = 0; at < truth.size(); at += vocabulary) {
    const double* p = truth.data() + at;
    const float* q = got.data() + at;
    const double lp = log_total(p), lq = log_total(q);
    for (std::size_t i = 0; i < vocabulary; ++i)
      total += std::exp(p[i] - lp) * (p[i] - lp - static_cast<double>(q[i]) + lq);
  }
  return total * static_cast<double>(vocabulary) / static_cast<double>(truth.size());
}

double divergence(const Loaded& loaded, const Tokens& tokens, bool exact, CacheType type) {
  const auto truth = ReferenceModel::load(*loaded.file);
  EXPECT_TRUE(truth);
  Pass pass(*loaded.weights, 2, {.exact = exact, .max_rows = 64}, type);
  return divergence(truth->logits(tokens), pass.read(pass.cache.open(), tokens).logits,
                    wide(loaded.weights->config().vocabulary));
}

TEST_P(EachModel, IsCloseToTheTruth) {
  const Loaded& loaded = model(GetParam().architecture, GetParam().format);
  const Tokens tokens = random_tokens(80, 5);
  const double floats = divergence(loaded, tokens, true, CacheType::kF32);
  const double exact = divergence(loaded, tokens, true, CacheType::kF16);
  const double fast = divergence(loaded, tokens, false, CacheType::kF16);
  const double bytes = divergence(loaded, tokens, false, CacheType::kQ8_0);
  const std::string& format = GetParam().format;
  EXPECT_EQ(loaded.file->find("blk.0.attn_q.weight") == nullptr
                ? gguf::type_of_name(format).value()
                : loaded.file->find("blk.0.attn_q.weight")->type,
            gguf::type_of_name(format == "Q4_K_M" ? "Q4_K" : format).value());
  // The promises.
  if (format == "F32") {
    EXPECT_LT(divergence(loaded, tokens, false, CacheType::kF32), 1e-7);
  }
  EXPECT_LT(exact, 1e-5);
  // No promises, but several times what rounding gives here (5e-13; with bytes as activations 2.5e-4, as
  // keys and values too 3.4e-4): mistakes are far beyond.
  EXPECT_LT(floats, 1e-10);
  EXPECT_LT(fast, 1e-3);
  EXPECT_LT(bytes, 1e-3);
}

TEST_P(EachModel, GivesTheHiddenStatesOfAnyLayer) {
  const Loaded& loaded = model(GetParam().architecture, GetParam().format);
  const auto truth = ReferenceModel::load(*loaded.file);
  ASSERT_TRUE(truth);
  const Tokens tokens = random_tokens(30, 6);
  for (const int layer : {0, 1, loaded.weights->config().layer_count()}) {
    std::vector<float> first;
    for (const auto& [threads, rows] : {std::pair{1, 512}, std::pair{3, 3}}) {
      Pass pass(*loaded.weights, threads, {.exact = true, .max_rows = rows}, CacheType::kF32);
      Batch batch;
      batch.tokens = tokens;
      batch.segments = {{pass.cache.open(), 30}};
      batch.stop_layer = layer;
      batch.hidden_layers = {layer};
      BatchResult result;
      ASSERT_TRUE(pass.forward.run(batch, result));
      if (first.empty()) first = result.hidden;
      ASSERT_EQ(first.size(), 30U * static_cast<std::size_t>(width(GetParam().format)));
      EXPECT_TRUE(first == result.hidden) << threads << " threads, " << rows << " rows";
    }
    const std::vector<double> hidden = truth->hidden(tokens, layer);
    double error = 0, norm = 0;
    for (std::size_t i = 0; i < hidden.size(); ++i) {
      error += std::pow(static_cast<double>(first[i]) - hidden[i], 2);
      norm += hidden[i] * hidden[i];
    }
    // A few roundings of 6e-8 a layer, some of sums of hundreds.
    EXPECT_LT(std::sqrt(error / norm), layer == 0 ? 1e-7 : 3e-6) << "layer " << layer;
  }
}

std::vector<Kind> kinds() {
  std::vector<Kind> all;
  for (const char* architecture : kArchitectures)
    for (const char* format : {"F32", "Q4_0"}) all.push_back({architecture, format});
  for (const char* format : {"F16", "BF16", "Q8_0", "Q4_1", "Q5_0", "Q5_1", "IQ4_NL", "Q4_K_M", "Q2_K",
                             "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"})
    all.push_back({"llama", format});
  return all;
}
INSTANTIATE_TEST_SUITE_P(Forward, EachModel, testing::ValuesIn(kinds()),
                         [](const auto& info) { return info.param.architecture + "_" + info.param.format; });

// Heads that are no multiple of a register are filled up with zeros, under both ways of pairing.
TEST(Forward, TakesHeadsOfAnyEvenLength) {
  for (const char* architecture : {"llama", "qwen2", "gemma2"}) {
    for (const int length : {2, 6, 20, 40}) {
      gguf::RandomModelOptions options = small(architecture, "F32");
      options.key_length = length;
      const Loaded loaded(gguf::random_model(options)->bytes());
      ASSERT_NE(loaded.weights, nullptr) << architecture << " " << length;
      EXPECT_LT(divergence(loaded, random_tokens(40, 7), false, CacheType::kF32), 1e-7)
          << architecture << " " << length;
      EXPECT_LT(divergence(loaded, random_tokens(40, 7), false, CacheType::kF16), 1e-5)
          << architecture << " " << length;
    }
  }
}

// Models with every kind of scaling and of partial turning, whose truth has been compared with llama.cpp.
TEST(Forward, IsCloseToTheTruthOnTheModelsOfTheReference) {
  for (const std::string& name : test_model_names()) {
    SCOPED_TRACE(name);
    const TestModel test = read_test_model(name);
    const std::vector<std::byte> bytes = test.bytes();
    if (name == "qwen3") {
      // Its heads have 12 numbers; zeros that fill them up would count in the norm of a head.
      const auto file = gguf::File::parse(bytes, name);
      Team team(1);
      const auto refused = Weights::load(*file, team);
      ASSERT_FALSE(refused);
      EXPECT_NE(refused.error().message.find("multiple of 16"), std::string::npos);
      continue;
    }
    const Loaded loaded(bytes);
    ASSERT_NE(loaded.weights, nullptr);
    EXPECT_LT(divergence(loaded, test.tokens, false, CacheType::kF32), 1e-7);
  }
}

TEST(Forward, LeavesAllSequencesAsTheyWereWhenTheCacheIsFull) {
  const Weights& weights = *model("llama", "F32").weights;
  Pass pass(weights, 1, {}, CacheType::kF16, 48);
  const int first = pass.cache.open(), second = pass.cache.open();
  const Tokens tokens = random_tokens(60, 8);
  (void)pass.read(first, slice(tokens, 0, 10));
  (void)pass.read(second, slice(tokens, 0, 10));
  Batch batch;
  batch.tokens = slice(tokens, 10, 60);
  batch.segments = {{first, 20}, {second, 30}};
  BatchResult result;
  const Status status = pass.forward.run(batch, result);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("48 tokens is full"), std::string::npos) << status.error().message;
  EXPECT_EQ(pass.cache.length(first), 10);
  EXPECT_EQ(pass.cache.length(second), 10);
  EXPECT_EQ(pass.cache.free_pages(), 1);
  // And they go on as if nothing had happened.
  Pass fresh(weights, 1);
  const Answers whole = fresh.read(fresh.cache.open(), slice(tokens, 0, 20));
  const Answers rest = pass.read(first, slice(tokens, 10, 20));
  EXPECT_EQ(0, std::memcmp(rest.logits.data(), whole.logits.data() + rest.logits.size(),
                           rest.logits.size() * sizeof(float)));
}

TEST(Forward, TakesABatchOfNothing) {
  Pass pass(*model("llama", "F32").weights, 2);
  EXPECT_TRUE(pass.read(pass.cache.open(), {}).logits.empty());
}

}  // namespace
}  // namespace agon::llm
