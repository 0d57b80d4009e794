#include "agon/preference/lm/answer_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "agon/base/bytes.h"
#include "agon/base/check.h"
#include "agon/base/hash.h"
#include "agon/llm/access/embedded_model.h"
#include "agon/preference/lm/conversation_text.h"

namespace agon {
namespace {

constexpr std::size_t kWindow = 64;  // votes that are read and then kept together

void put_turns(ByteWriter& out, const Turns& turns) {
  out.put<std::uint64_t>(turns.size());
  for (const Turn& turn : turns) out.put(std::string_view(turn.text));
}

/// Of everything that a side's numbers depend on.
std::uint64_t side_key(const Vote& vote, std::size_t side) {
  ByteWriter text;
  put_turns(text, vote.prompt);
  put_turns(text, side == 0 ? vote.response_a : vote.response_b);
  return hash64(text.bytes());
}

std::uint64_t vote_key(const Vote& vote) {
  ByteWriter text;
  for (const Turns* turns : {&vote.prompt, &vote.response_a, &vote.response_b}) put_turns(text, *turns);
  return hash64(text.bytes());
}

llm::Engine* engine_of(llm::LanguageModel& model) {
  auto* embedded = dynamic_cast<llm::EmbeddedModel*>(&model);
  return embedded == nullptr ? nullptr : &embedded->engine();
}

/// A vote is named, not a place in a window.
Error about(const Vote& vote, Error error) {
  error.message = fmt::format("vote '{}': {}", vote.id, error.message);
  error.row = vote.row;
  error.column.clear();
  return error;
}

}  // namespace

void likelihood_numbers(std::span<const double> logprobs, double end, std::span<float> out) {
  AGON_CHECK(out.size() == kLikelihoodWidth);
  std::ranges::fill(out, 0.0F);
  out[7] = static_cast<float>(end);
  if (logprobs.empty()) return;
  const auto sum = [](std::span<const double> v) { return std::accumulate(v.begin(), v.end(), 0.0); };
  std::vector<double> sorted(logprobs.begin(), logprobs.end());
  std::ranges::sort(sorted);
  const std::size_t n = sorted.size(), first = std::min<std::size_t>(n, 16);
  out[0] = static_cast<float>(sum(logprobs) / static_cast<double>(n));
  out[1] = static_cast<float>(sum(logprobs));
  out[2] = static_cast<float>(sorted[n / 10]);
  out[3] = static_cast<float>(sorted[n / 4]);
  out[4] = static_cast<float>(sorted[n / 2]);
  out[5] = static_cast<float>(sorted[3 * n / 4]);
  out[6] = static_cast<float>(sum(logprobs.first(first)) / static_cast<double>(first));
}

Result<std::unique_ptr<AnswerReader>> AnswerReader::create(std::unique_ptr<llm::LanguageModel> model,
                                                           AnswerSpec spec, const std::string& cache_folder) {
  AGON_ASSIGN(const llm::ModelIdentity identity, model->identity());
  spec.name = identity.name;
  spec.key = identity.key;
  std::vector<std::string> ordered;
  for (const std::string_view block : answer_blocks::kAll)
    if (std::ranges::find(spec.blocks, block) != spec.blocks.end()) ordered.emplace_back(block);
  AGON_CHECK(!ordered.empty() && ordered.size() == spec.blocks.size());
  spec.blocks = std::move(ordered);
  const bool states = std::ranges::any_of(spec.blocks, [](const std::string& b) {
    return b == answer_blocks::kStates || b == answer_blocks::kLast;
  });
  if (const llm::Engine* engine = engine_of(*model)) {
    const int layers = engine->config().layer_count();
    if (spec.layers.empty() && states) spec.layers = {std::max(1, (layers + 1) / 3)};
    if (!states) spec.layers.clear();
    for (const int layer : spec.layers)
      if (layer < 0 || layer > layers)
        return std::unexpected(Error{.message = fmt::format("{} has no layer {}", spec.name, layer),
                                     .expected = fmt::format("0 (the embeddings) to {}", layers),
                                     .kind = ErrorKind::kUsage});
  } else {
    if (!spec.layers.empty())
      return std::unexpected(Error{.message = "layers can't be chosen of a model behind a URL",
                                   .expected = "a model file, or no layers",
                                   .kind = ErrorKind::kUsage});
    for (const std::string_view block : {answer_blocks::kLast, answer_blocks::kRatio})
      if (std::ranges::find(spec.blocks, block) != spec.blocks.end())
        return std::unexpected(
            Error{.message = fmt::format("the block '{}' needs a model file", block),
                  .expected = "states, likelihood, verdict or reward of a model behind a URL",
                  .kind = ErrorKind::kUsage});
  }
  std::unique_ptr<AnswerReader> reader(new AnswerReader(std::move(model), std::move(spec)));
  AGON_TRY(reader->open_stores(cache_folder));
  return reader;
}

Result<std::size_t> AnswerReader::embedding_width() {
  if (const llm::Engine* engine = engine_of(*model_))
    return static_cast<std::size_t>(engine->config().embedding) * spec_.layers.size();
  const std::string probe = "width";
  AGON_ASSIGN(const auto embedding, model_->embed(std::span(&probe, 1)));
  return embedding[0].values.size();
}

Status AnswerReader::open_stores(const std::string& cache_folder) {
  for (const std::string& block : spec_.blocks) {
    Kept kept{.block = block, .width = 1, .by_vote = block == answer_blocks::kVerdict, .rows = nullptr};
    std::string layers;
    if (block == answer_blocks::kStates || block == answer_blocks::kLast) {
      AGON_ASSIGN(kept.width, embedding_width());
      for (const int layer : spec_.layers) layers += fmt::format(" {}", layer);
    } else if (block == answer_blocks::kLikelihood) {
      kept.width = kLikelihoodWidth;
    }
    const std::string what =
        fmt::format("answers, version {}, {} of the model {}{}{}, {} prompt and {} answer tokens",
                    kAnswerNumbersVersion, block, spec_.key, layers.empty() ? "" : ", layers" + layers,
                    spec_.chat_template.empty() ? "" : ", template " + spec_.chat_template,
                    spec_.budget.prompt_tokens, spec_.budget.answer_tokens);
    const std::string path = cache_folder.empty() ? std::string()
                                                  : fmt::format("{}/answers-{}-{}-{:016x}.rows", cache_folder,
                                                                spec_.key.substr(0, 12), block, hash64(what));
    AGON_ASSIGN(kept.rows, RowStore::open(path, what, kept.width));
    kept_.push_back(std::move(kept));
  }
  return {};
}

AnswerReader::Kept* AnswerReader::find(std::string_view block) {
  const auto found = std::ranges::find(kept_, block, &Kept::block);
  return found == kept_.end() ? nullptr : &*found;
}

Result<std::vector<AnswerBlock>> AnswerReader::read(std::span<const Vote> votes, const Progress& progress) {
  const auto has = [&](const Vote& vote) {
    return std::ranges::all_of(kept_, [&](const Kept& k) {
      if (k.by_vote) return k.rows->contains(vote_key(vote));
      return k.rows->contains(side_key(vote, 0)) && k.rows->contains(side_key(vote, 1));
    });
  };
  std::vector<Vote> missing;
  for (const Vote& vote : votes)
    if (!has(vote)) missing.push_back(vote);
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t at = 0; at < missing.size(); at += kWindow) {
    if (progress) progress("language model", at, missing.size());
    const auto window = std::span<const Vote>(missing).subspan(at, std::min(kWindow, missing.size() - at));
    AGON_TRY(compute(window));
    votes_read_ += window.size();
  }
  if (!missing.empty()) {
    if (progress) progress("language model", missing.size(), missing.size());
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  std::vector<AnswerBlock> out;
  for (const Kept& k : kept_) {
    AnswerBlock block{k.block, k.width, {}};
    block.values.resize(2 * votes.size() * k.width);
    for (std::size_t i = 0; i < votes.size(); ++i)
      for (std::size_t s = 0; s < 2; ++s) {
        const auto to = std::span(block.values).subspan((2 * i + s) * k.width, k.width);
        AGON_ASSIGN(const bool found,
                    k.rows->find(k.by_vote ? vote_key(votes[i]) : side_key(votes[i], s), to));
        AGON_CHECK(found);
        // A verdict is one number for A; for B it is the opposite.
        if (k.by_vote && s == 1) std::ranges::transform(to, to.begin(), std::negate<>());
      }
    out.push_back(std::move(block));
  }
  return out;
}

Status AnswerReader::compute(std::span<const Vote> votes) {
  if (engine_of(*model_) != nullptr) {
    AGON_TRY(compute_passes(votes));
  } else {
    if (Kept* kept = find(answer_blocks::kStates)) AGON_TRY(compute_embeddings(votes, *kept));
    if (Kept* kept = find(answer_blocks::kLikelihood)) AGON_TRY(compute_scores(votes, *kept));
  }
  if (Kept* kept = find(answer_blocks::kVerdict)) AGON_TRY(compute_verdicts(votes, *kept));
  if (Kept* kept = find(answer_blocks::kReward)) AGON_TRY(compute_rewards(votes, *kept));
  return {};
}

// States and likelihoods come out of the same pass over each conversation.
Status AnswerReader::compute_passes(std::span<const Vote> votes) {
  llm::Engine& engine = *engine_of(*model_);
  Kept *states = find(answer_blocks::kStates), *last = find(answer_blocks::kLast),
       *likelihood = find(answer_blocks::kLikelihood), *ratio = find(answer_blocks::kRatio);
  if (states == nullptr && last == nullptr && likelihood == nullptr && ratio == nullptr) return {};
  std::vector<llm::ReadRequest> requests, alone;
  std::vector<std::uint64_t> keys;
  for (std::size_t i = 0; i < votes.size(); ++i)
    for (std::size_t s = 0; s < 2; ++s) {
      const Vote& vote = votes[i];
      const Turns& answers = s == 0 ? vote.response_a : vote.response_b;
      auto request = answer_request(engine, vote.prompt, answers, spec_.budget);
      if (!request) return std::unexpected(about(vote, request.error()));
      request->family = i;
      requests.push_back(std::move(*request));
      keys.push_back(side_key(vote, s));
      if (ratio == nullptr) continue;
      auto bare = answer_request(engine, {}, answers, spec_.budget);
      if (!bare) return std::unexpected(about(vote, bare.error()));
      bare->family = alone.size();
      alone.push_back(std::move(*bare));
    }
  const bool logprobs = likelihood != nullptr || ratio != nullptr;
  AGON_ASSIGN(const auto readings,
              llm::read_texts(engine, requests, {.layers = spec_.layers, .logprobs = logprobs}));
  std::vector<llm::Reading> bare;
  if (ratio != nullptr) {
    AGON_ASSIGN(bare, llm::read_texts(engine, alone, {.layers = {}, .logprobs = true}));
  }
  const auto keep = [&](Kept* kept, const auto& fill) -> Status {
    if (kept == nullptr) return {};
    Fresh fresh;
    for (std::size_t i = 0; i < readings.size(); ++i) {
      if (kept->rows->contains(keys[i])) continue;
      fresh.keys.push_back(keys[i]);
      std::vector<float> row(kept->width);
      fill(i, std::span(row));
      fresh.rows.insert(fresh.rows.end(), row.begin(), row.end());
    }
    return kept->rows->append(fresh.keys, fresh.rows);
  };
  AGON_TRY(keep(states, [&](std::size_t i, std::span<float> row) {
    std::ranges::copy(readings[i].mean, row.begin());
  }));
  AGON_TRY(keep(
      last, [&](std::size_t i, std::span<float> row) { std::ranges::copy(readings[i].last, row.begin()); }));
  AGON_TRY(keep(likelihood, [&](std::size_t i, std::span<float> row) {
    likelihood_numbers(readings[i].logprobs, readings[i].end_logprob, row);
  }));
  return keep(ratio, [&](std::size_t i, std::span<float> row) {
    const auto mean = [](const std::vector<double>& v) {
      return v.empty() ? 0.0 : std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
    };
    row[0] = static_cast<float>(mean(readings[i].logprobs) - mean(bare[i].logprobs));
  });
}

Status AnswerReader::compute_embeddings(std::span<const Vote> votes, Kept& kept) {
  std::vector<std::string> texts;
  Fresh fresh;
  for (const Vote& vote : votes)
    for (std::size_t s = 0; s < 2; ++s) {
      const std::uint64_t key = side_key(vote, s);
      if (kept.rows->contains(key) || std::ranges::find(fresh.keys, key) != fresh.keys.end()) continue;
      fresh.keys.push_back(key);
      texts.push_back(conversation_text(vote, s, spec_.budget).whole());
    }
  if (texts.empty()) return {};
  AGON_ASSIGN(const auto embeddings, model_->embed(texts));
  for (const llm::TextEmbedding& e : embeddings) {
    if (e.values.size() != kept.width)
      return fail(fmt::format("the server gave an embedding of {} numbers after ones of {}", e.values.size(),
                              kept.width),
                  spec_.location);
    fresh.rows.insert(fresh.rows.end(), e.values.begin(), e.values.end());
  }
  return kept.rows->append(fresh.keys, fresh.rows);
}

Status AnswerReader::compute_scores(std::span<const Vote> votes, Kept& kept) {
  std::vector<llm::ScoreInput> items;
  Fresh fresh;
  std::vector<std::size_t> item_of;  // of each key; items.size() for an answer without text
  for (const Vote& vote : votes)
    for (std::size_t s = 0; s < 2; ++s) {
      const std::uint64_t key = side_key(vote, s);
      if (kept.rows->contains(key) || std::ranges::find(fresh.keys, key) != fresh.keys.end()) continue;
      fresh.keys.push_back(key);
      ConversationText text = conversation_text(vote, s, spec_.budget);
      item_of.push_back(text.answer.empty() ? SIZE_MAX : items.size());
      if (!text.answer.empty())
        items.push_back({.context = {.text = std::move(text.before)}, .continuations = {" " + text.answer}});
    }
  std::vector<std::vector<llm::ContinuationScore>> scores;
  if (!items.empty()) {
    AGON_ASSIGN(scores, model_->score(items));
  }
  for (const std::size_t item : item_of) {
    std::vector<float> row(kept.width);
    if (item != SIZE_MAX) likelihood_numbers(scores[item][0].token_logprobs, 0, row);
    fresh.rows.insert(fresh.rows.end(), row.begin(), row.end());
  }
  return kept.rows->append(fresh.keys, fresh.rows);
}

Status AnswerReader::compute_verdicts(std::span<const Vote> votes, Kept& kept) {
  std::vector<llm::ChoiceInput> items;
  Fresh fresh;
  for (const Vote& vote : votes) {
    const std::uint64_t key = vote_key(vote);
    if (kept.rows->contains(key) || std::ranges::find(fresh.keys, key) != fresh.keys.end()) continue;
    fresh.keys.push_back(key);
    for (const bool exchanged : {false, true})
      items.push_back({.context = {.messages = {{"user", verdict_question(vote, exchanged, spec_.budget)}}},
                       .choices = {"A", "B"}});
  }
  if (items.empty()) return {};
  AGON_ASSIGN(const auto choices, model_->choose(items));
  const auto first_over_second = [&](std::size_t i) {
    return choices[i].logprobs[0] - choices[i].logprobs[1];
  };
  for (std::size_t i = 0; i < fresh.keys.size(); ++i) {
    const double verdict = (first_over_second(2 * i) - first_over_second(2 * i + 1)) / 2;
    fresh.rows.push_back(static_cast<float>(std::isfinite(verdict) ? std::clamp(verdict, -50.0, 50.0) : 0.0));
  }
  return kept.rows->append(fresh.keys, fresh.rows);
}

Status AnswerReader::compute_rewards(std::span<const Vote> votes, Kept& kept) {
  std::vector<llm::RerankInput> items;
  Fresh fresh;
  for (const Vote& vote : votes)
    for (std::size_t s = 0; s < 2; ++s) {
      const std::uint64_t key = side_key(vote, s);
      if (kept.rows->contains(key) || std::ranges::find(fresh.keys, key) != fresh.keys.end()) continue;
      fresh.keys.push_back(key);
      ConversationText text = conversation_text(vote, s, spec_.budget);
      items.push_back({.query = std::move(text.asked), .documents = {std::move(text.answer)}});
    }
  if (items.empty()) return {};
  AGON_ASSIGN(const auto rewards, model_->rerank(items));
  for (const std::vector<double>& reward : rewards) fresh.rows.push_back(static_cast<float>(reward[0]));
  return kept.rows->append(fresh.keys, fresh.rows);
}

}  // namespace agon
