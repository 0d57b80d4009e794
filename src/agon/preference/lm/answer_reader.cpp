#include "agon/preference/lm/answer_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <initializer_list>
#include <numeric>
#include <optional>
#include <unordered_set>

#include "agon/base/bytes.h"
#include "agon/base/check.h"
#include "agon/base/hash.h"
#include "agon/llm/access/embedded_model.h"
#include "agon/preference/lm/answer_request.h"
#include "agon/preference/lm/conversation_parts.h"
#include "agon/preference/lm/conversation_text.h"

namespace agon {
namespace {

constexpr std::size_t kWindow = 64;  // votes that are read and then kept together

/// Is the block made of hidden states?
bool is_of_states(std::string_view block) {
  return block == answer_blocks::kStates || block == answer_blocks::kLast;
}

/// Does it come out of a pass over the texts, as other blocks do?
bool is_of_passes(std::string_view block) {
  return is_of_states(block) || block == answer_blocks::kLikelihood || block == answer_blocks::kRatio;
}

double mean_of(const std::vector<double>& v) {
  return v.empty() ? 0.0 : std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}

/// Of the turns alone: nulls are empty texts to a model.
std::uint64_t key_of(std::initializer_list<const Turns*> parts) {
  ByteWriter text;
  for (const Turns* turns : parts) {
    text.put<std::uint64_t>(turns->size());
    for (const Turn& turn : *turns) text.put(std::string_view(turn.text));
  }
  return hash64(text.bytes());
}

llm::Engine* engine_of(llm::LanguageModel& model) {
  auto* embedded = dynamic_cast<llm::EmbeddedModel*>(&model);
  return embedded == nullptr ? nullptr : &embedded->engine();
}

/// Can the model give the block? If not, what it would take.
std::optional<std::string_view> what_lacks(llm::LanguageModel& model, std::string_view block) {
  const llm::Engine* engine = engine_of(model);
  if (engine == nullptr)
    return block == answer_blocks::kLast || block == answer_blocks::kRatio
               ? std::optional<std::string_view>("a model file")
               : std::nullopt;
  if (block == answer_blocks::kReward)
    return engine->config().head
               ? std::nullopt
               : std::optional<std::string_view>("a reward model: a file with a classification head");
  return is_of_states(block) || engine->config().causal
             ? std::nullopt
             : std::optional<std::string_view>("a causal model: a file with probabilities of next tokens");
}

/// The spec's blocks in their order; see create().
Result<std::vector<std::string>> chosen_blocks(llm::LanguageModel& model, const AnswerSpec& spec) {
  const bool every = spec.blocks == std::vector<std::string>{std::string(answer_blocks::kEvery)};
  if (spec.blocks.empty()) {
    const llm::Engine* engine = engine_of(model);
    const bool rewards = engine != nullptr && engine->config().head && !engine->config().causal;
    return std::vector<std::string>{std::string(rewards ? answer_blocks::kReward : answer_blocks::kStates)};
  }
  std::vector<std::string> blocks;
  for (const std::string_view block : answer_blocks::kAll) {
    const auto lacks = what_lacks(model, block);
    // Few servers rerank, and which do can only be found by asking.
    if (every && !lacks && !(model.is_remote() && block == answer_blocks::kReward))
      blocks.emplace_back(block);
    if (every || std::ranges::find(spec.blocks, block) == spec.blocks.end()) continue;
    if (lacks)
      return std::unexpected(
          Error{.message = fmt::format("{} does not give the block '{}'", spec.name, block),
                .expected = std::string(*lacks),
                .kind = ErrorKind::kUsage});
    blocks.emplace_back(block);
  }
  AGON_CHECK(every || blocks.size() == spec.blocks.size());
  return blocks;
}

/// The question for a verdict, in the model's chat template; as plain text for a file without one.
llm::ChoiceInput verdict_input(const llm::Engine* engine, const std::string& question) {
  if (engine == nullptr) return {.context = {.messages = {{"user", question}}}, .choices = {"A", "B"}};
  const auto& chat = engine->chat_template();
  if (!chat)
    return {.context = {.text = ConversationText{.asked = question}.opening()}, .choices = {" A", " B"}};
  std::vector<llm::ChatMessage> messages = opening_messages(*chat);
  messages.push_back({"user", question});
  return {.context = {.messages = std::move(messages)}, .choices = {"A", "B"}};
}

/// A vote is named, not a place in a window.
Error about(const Vote& vote, Error error) {
  error.message = fmt::format("vote '{}': {}", vote.id, error.message);
  error.row = vote.row;
  error.column.clear();
  return error;
}

/// What a model says of one of many items, said of the item's vote.
std::unexpected<Error> about_item(std::span<const Vote* const> votes_of_items, Error error) {
  if (error.row == 0 || error.row > votes_of_items.size()) return std::unexpected(std::move(error));
  return std::unexpected(about(*votes_of_items[error.row - 1], std::move(error)));
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
  spec.file_bytes = identity.bytes;
  AGON_ASSIGN(spec.blocks, chosen_blocks(*model, spec));
  const bool states = std::ranges::any_of(spec.blocks, is_of_states);
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
  }
  std::unique_ptr<AnswerReader> reader(new AnswerReader(std::move(model), std::move(spec)));
  AGON_TRY(reader->open_stores(cache_folder));
  return reader;
}

Result<std::size_t> AnswerReader::embedding_width(const std::string& path, std::string_view what) {
  if (const llm::Engine* engine = engine_of(*model_))
    return static_cast<std::size_t>(engine->config().embedding) * spec_.layers.size();
  if (const std::size_t kept = RowStore::width_of(path, what); kept != 0) return kept;
  const std::string probe = "width";
  AGON_ASSIGN(const auto embedding, model_->embed(std::span(&probe, 1)));
  return embedding[0].values.size();
}

Status AnswerReader::open_stores(const std::string& cache_folder) {
  for (const std::string& block : spec_.blocks) {
    Kept kept{.block = block, .width = 1, .by_vote = block == answer_blocks::kVerdict, .rows = nullptr};
    std::string layers;
    if (is_of_states(block))
      for (const int layer : spec_.layers) layers += fmt::format(" {}", layer);
    const std::string what =
        fmt::format("answers, version {}, {} of the model {}{}{}, {} prompt and {} answer tokens",
                    kAnswerNumbersVersion, block, spec_.key, layers.empty() ? "" : ", layers" + layers,
                    spec_.chat_template.empty() ? "" : ", template " + spec_.chat_template,
                    spec_.budget.prompt_tokens, spec_.budget.answer_tokens);
    const std::string path = cache_folder.empty() ? std::string()
                                                  : fmt::format("{}/answers-{}-{}-{:016x}.rows", cache_folder,
                                                                spec_.key.substr(0, 12), block, hash64(what));
    if (is_of_states(block)) {
      AGON_ASSIGN(kept.width, embedding_width(path, what));
    } else if (block == answer_blocks::kLikelihood) {
      kept.width = kLikelihoodWidth;
    }
    AGON_ASSIGN(kept.rows, RowStore::open(path, what, kept.width));
    kept_.push_back(std::move(kept));
  }
  return {};
}

std::vector<BlockCost> AnswerReader::block_costs() const {
  std::vector<BlockCost> costs;
  for (const Kept& kept : kept_) costs.push_back({kept.block, kept.seconds});
  return costs;
}

template <class Reading>
auto AnswerReader::timed(std::span<Kept* const> blocks, const Reading& reading) {
  const auto begin = std::chrono::steady_clock::now();
  auto result = reading();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  for (Kept* kept : blocks) kept->seconds += seconds;
  return result;
}

AnswerReader::Kept* AnswerReader::find(std::string_view block) {
  const auto found = std::ranges::find(kept_, block, &Kept::block);
  return found == kept_.end() ? nullptr : &*found;
}

Result<std::vector<AnswerBlock>> AnswerReader::read(std::span<const Vote> votes, const Progress& progress) {
  std::vector<KeyedVote> keyed, missing;
  for (const Vote& vote : votes) {
    keyed.push_back({&vote,
                     {key_of({&vote.prompt, &vote.response_a}), key_of({&vote.prompt, &vote.response_b})},
                     key_of({&vote.prompt, &vote.response_a, &vote.response_b})});
    const bool kept = std::ranges::all_of(kept_, [&](const Kept& k) {
      return k.rows->contains(keyed.back().key(k, 0)) && k.rows->contains(keyed.back().key(k, 1));
    });
    if (!kept) missing.push_back(keyed.back());
  }
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t at = 0; at < missing.size(); at += kWindow) {
    if (progress) progress("language model", at, missing.size());
    const auto window =
        std::span<const KeyedVote>(missing).subspan(at, std::min(kWindow, missing.size() - at));
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
        AGON_ASSIGN(const bool found, k.rows->find(keyed[i].key(k, s), to));
        AGON_CHECK(found);
        // A verdict is one number for A; for B it is the opposite.
        if (k.by_vote && s == 1) std::ranges::transform(to, to.begin(), std::negate<>());
      }
    out.push_back(std::move(block));
  }
  return out;
}

std::vector<AnswerReader::Missing> AnswerReader::missing(std::span<const KeyedVote> votes, const Kept& kept) {
  std::vector<Missing> out;
  std::unordered_set<std::uint64_t> seen;
  for (std::size_t i = 0; i < votes.size(); ++i)
    for (std::size_t s = 0; s < (kept.by_vote ? 1 : 2); ++s) {
      const std::uint64_t key = votes[i].key(kept, s);
      if (!kept.rows->contains(key) && seen.insert(key).second) out.push_back({votes[i].vote, i, s, key});
    }
  return out;
}

Status AnswerReader::keep(Kept& kept, std::span<const Missing> missing, std::span<const float> rows) {
  std::vector<std::uint64_t> keys;
  for (const Missing& m : missing) keys.push_back(m.key);
  return kept.rows->append(keys, rows);
}

Status AnswerReader::compute(std::span<const KeyedVote> votes) {
  if (engine_of(*model_) != nullptr) {
    AGON_TRY(compute_passes(votes));
  } else {
    AGON_TRY(compute_alone(answer_blocks::kStates, &AnswerReader::compute_embeddings, votes));
    AGON_TRY(compute_alone(answer_blocks::kLikelihood, &AnswerReader::compute_scores, votes));
  }
  AGON_TRY(compute_alone(answer_blocks::kVerdict, &AnswerReader::compute_verdicts, votes));
  return compute_alone(answer_blocks::kReward, &AnswerReader::compute_rewards, votes);
}

Status AnswerReader::compute_alone(std::string_view block,
                                   Status (AnswerReader::*work)(std::span<const KeyedVote>, Kept&),
                                   std::span<const KeyedVote> votes) {
  Kept* const kept = find(block);
  if (kept == nullptr) return {};
  return timed(std::span(&kept, 1), [&] { return (this->*work)(votes, *kept); });
}

// States and likelihoods come out of the same pass over each conversation. Only the blocks that miss a row
// take part, and only the sides that one of them misses are read.
Status AnswerReader::compute_passes(std::span<const KeyedVote> votes) {
  llm::Engine& engine = *engine_of(*model_);
  struct Part {
    Kept* kept;
    std::vector<Missing> rows;
  };
  std::vector<Part> parts;
  std::vector<Kept*> taking_part;
  std::vector<bool> is_read(2 * votes.size());
  llm::ReadOptions options;
  for (Kept& kept : kept_) {
    if (!is_of_passes(kept.block)) continue;
    std::vector<Missing> rows = missing(votes, kept);
    if (rows.empty()) continue;
    for (const Missing& row : rows) is_read[2 * row.place + row.side] = true;
    if (is_of_states(kept.block))
      options.layers = spec_.layers;
    else
      options.logprobs = true;
    taking_part.push_back(&kept);
    parts.push_back({&kept, std::move(rows)});
  }
  if (parts.empty()) return {};

  std::vector<llm::ReadRequest> requests;
  std::vector<std::size_t> reading_of(2 * votes.size());
  for (std::size_t i = 0; i < is_read.size(); ++i) {
    if (!is_read[i]) continue;
    const Vote& vote = *votes[i / 2].vote;
    AGON_ASSIGN(llm::ReadRequest request, request_of(vote, i % 2, vote.prompt));
    request.family = i / 2;
    reading_of[i] = requests.size();
    requests.push_back(std::move(request));
  }
  const llm::ScoreProgress count = [&](std::size_t done, std::size_t total) {
    if (done == total) tokens_ += total;
  };
  AGON_ASSIGN(const auto readings,
              timed(taking_part, [&] { return llm::read_texts(engine, requests, options, count); }));
  for (const Part& part : parts) {
    std::vector<llm::Reading> bare;  // of the ratio's rows, without their prompts
    if (part.kept->block == answer_blocks::kRatio) {
      std::vector<llm::ReadRequest> alone;
      for (const Missing& row : part.rows) {
        AGON_ASSIGN(llm::ReadRequest request, request_of(*row.vote, row.side, {}));
        request.family = alone.size();
        alone.push_back(std::move(request));
      }
      AGON_ASSIGN(bare, timed(std::span(&part.kept, 1), [&] {
                    return llm::read_texts(engine, alone, {.layers = {}, .logprobs = true}, count);
                  }));
    }
    std::vector<float> rows(part.rows.size() * part.kept->width);
    for (std::size_t k = 0; k < part.rows.size(); ++k) {
      const llm::Reading& reading = readings[reading_of[2 * part.rows[k].place + part.rows[k].side]];
      const auto row = std::span(rows).subspan(k * part.kept->width, part.kept->width);
      if (part.kept->block == answer_blocks::kStates)
        std::ranges::copy(reading.mean, row.begin());
      else if (part.kept->block == answer_blocks::kLast)
        std::ranges::copy(reading.last, row.begin());
      else if (part.kept->block == answer_blocks::kLikelihood)
        likelihood_numbers(reading.logprobs, reading.end_logprob, row);
      else
        row[0] = static_cast<float>(mean_of(reading.logprobs) - mean_of(bare[k].logprobs));
    }
    AGON_TRY(keep(*part.kept, part.rows, rows));
  }
  return {};
}

Result<llm::ReadRequest> AnswerReader::request_of(const Vote& vote, std::size_t side, const Turns& prompts) {
  const llm::Engine& engine = *engine_of(*model_);
  auto request = answer_request(engine, prompts, side == 0 ? vote.response_a : vote.response_b, spec_.budget);
  if (!request) return std::unexpected(about(vote, request.error()));
  if (const Status fits = engine.check_length(request->tokens.size(), "the conversation"); !fits)
    return std::unexpected(about(vote, fits.error()));
  return request;
}

Status AnswerReader::compute_embeddings(std::span<const KeyedVote> votes, Kept& kept) {
  const std::vector<Missing> wanted = missing(votes, kept);
  if (wanted.empty()) return {};
  std::vector<std::string> texts;
  std::vector<const Vote*> votes_of_items;
  for (const Missing& m : wanted) {
    texts.push_back(conversation_text(*m.vote, m.side, spec_.budget).whole());
    votes_of_items.push_back(m.vote);
  }
  const auto result = model_->embed(texts);
  if (!result) return about_item(votes_of_items, result.error());
  const std::vector<llm::TextEmbedding>& embeddings = *result;
  std::vector<float> rows;
  for (const llm::TextEmbedding& e : embeddings) {
    if (e.values.size() != kept.width)
      return fail(fmt::format("the server gave an embedding of {} numbers after ones of {}", e.values.size(),
                              kept.width),
                  spec_.location);
    rows.insert(rows.end(), e.values.begin(), e.values.end());
  }
  return keep(kept, wanted, rows);
}

// An answer without text has no log-probabilities: its row stays zero.
Status AnswerReader::compute_scores(std::span<const KeyedVote> votes, Kept& kept) {
  const std::vector<Missing> wanted = missing(votes, kept);
  std::vector<llm::ScoreInput> items;
  std::vector<std::size_t> row_of;  // of each item
  std::vector<const Vote*> votes_of_items;
  for (std::size_t k = 0; k < wanted.size(); ++k) {
    ConversationText text = conversation_text(*wanted[k].vote, wanted[k].side, spec_.budget);
    if (text.answer.empty()) continue;
    items.push_back({.context = {.text = text.opening()}, .continuations = {" " + text.answer}});
    row_of.push_back(k);
    votes_of_items.push_back(wanted[k].vote);
  }
  std::vector<std::vector<llm::ContinuationScore>> scores;
  if (!items.empty()) {
    auto result = model_->score(items);
    if (!result) return about_item(votes_of_items, std::move(result.error()));
    scores = std::move(*result);
  }
  std::vector<float> rows(wanted.size() * kept.width);
  for (std::size_t i = 0; i < items.size(); ++i)
    likelihood_numbers(scores[i][0].token_logprobs, 0,
                       std::span(rows).subspan(row_of[i] * kept.width, kept.width));
  return keep(kept, wanted, rows);
}

Status AnswerReader::compute_verdicts(std::span<const KeyedVote> votes, Kept& kept) {
  const std::vector<Missing> wanted = missing(votes, kept);
  if (wanted.empty()) return {};
  std::vector<llm::ChoiceInput> items;
  std::vector<const Vote*> votes_of_items;
  for (const Missing& m : wanted)
    for (const bool exchanged : {false, true}) {
      items.push_back(verdict_input(engine_of(*model_), verdict_question(*m.vote, exchanged, spec_.budget)));
      votes_of_items.push_back(m.vote);
    }
  const auto result = model_->choose(items);
  if (!result) return about_item(votes_of_items, result.error());
  const std::vector<llm::ChoiceResult>& choices = *result;
  const auto first_over_second = [&](std::size_t i) {
    return choices[i].logprobs[0] - choices[i].logprobs[1];
  };
  std::vector<float> rows;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const double verdict = (first_over_second(2 * i) - first_over_second(2 * i + 1)) / 2;
    if (!choices[2 * i].untold.empty() && !choices[2 * i + 1].untold.empty()) ++verdicts_untold_;
    rows.push_back(static_cast<float>(std::isfinite(verdict) ? std::clamp(verdict, -50.0, 50.0) : 0.0));
  }
  return keep(kept, wanted, rows);
}

Status AnswerReader::compute_rewards(std::span<const KeyedVote> votes, Kept& kept) {
  const std::vector<Missing> wanted = missing(votes, kept);
  if (wanted.empty()) return {};
  std::vector<llm::RerankInput> items;
  std::vector<const Vote*> votes_of_items;
  for (const Missing& m : wanted) {
    votes_of_items.push_back(m.vote);
    ConversationText text = conversation_text(*m.vote, m.side, spec_.budget);
    items.push_back({.query = text_or_empty(std::move(text.asked)),
                     .documents = {text_or_empty(std::move(text.answer))},
                     .before = std::move(text.before)});
  }
  const auto rewards = model_->rerank(items);
  if (!rewards) return about_item(votes_of_items, rewards.error());
  std::vector<float> rows;
  for (const std::vector<double>& reward : *rewards) rows.push_back(static_cast<float>(reward[0]));
  return keep(kept, wanted, rows);
}

}  // namespace agon
