// One step of the service: who reads how much, in which pages, and what becomes of the model's answers.
#include <algorithm>
#include <map>

#include "agon/base/check.h"
#include "agon/llm/engine/service_scheduler.h"

namespace agon::llm {
namespace {

constexpr int kGrain = kPageTokens;  // tokens of a prompt that are granted at a time
// Logits of prompt rows, where more than the best alternative is wanted, that a step may make.
constexpr std::size_t kLogitBytes = std::size_t{64} << 20U;
// Up to so many requests that run, those that take the most probable tokens read guessed ones along: with few
// rows a step takes the time of the memory, which more rows do not lengthen by much.
constexpr std::size_t kGuessers = 2;

}  // namespace

bool Service::Scheduler::step() {
  take_incoming();
  drop_cancelled();
  const double begin = now();
  admit();
  const bool works = !running_.empty();
  if (works) {
    grant();
    claim_pages();
    run_text();
    run_embeddings();
    remove_finished();
    const double seconds = now() - begin;
    ++counted_.steps;
    counted_.busy_seconds += seconds;
    const auto& bounds = ServiceStats::kLatencyBounds;
    ++counted_.step_latency[std::ranges::lower_bound(bounds, seconds) - std::begin(bounds)];
  }
  publish();
  return works;
}

// Tokens that may be read together. Where steps are computed otherwise than prompts, one that comes back
// reads its prompt as a prompt and then, as steps, what it had drawn.
int Service::Scheduler::pending_of(const ServiceTask& task) const {
  const int from = length(task);
  return (steps_differ_ && from < task.prompt_end ? task.prompt_end : task.end) - from;
}

// Every generation's next token, and of prompts as much as the budget allows: page by page, the clients in
// turn. Of a client's prompts the one that has the least left to read and the oldest take turns: short ones
// are soon done, equal ones one after another, and a long one is not put off for ever.
void Service::Scheduler::grant() {
  struct Reader {
    std::string_view client;
    std::vector<ServiceTask*> tasks;  // the oldest first
    int turns = 0;
  };
  std::vector<Reader> readers;
  for (const TaskPtr& task : running_) {
    const int pending = pending_of(*task);
    task->granted = pending == 1 ? 1 : 0;
    task->guess = {};
    if (pending == 1) {
      if (is_stepping(*task) && running_.size() <= kGuessers && task->takes_best())
        task->guess_ahead(static_cast<int>(Lookahead::kMost));
      continue;
    }
    auto reader = std::ranges::find(readers, task->client, &Reader::client);
    if (reader == readers.end()) reader = readers.insert(readers.end(), Reader{task->client, {}, 0});
    reader->tasks.push_back(task.get());
  }
  if (readers.empty()) return;
  int budget = options_.prompt_budget;
  int logit_rows = std::max(1, static_cast<int>(kLogitBytes / sizeof(float) /
                                                static_cast<std::size_t>(engine_.config().vocabulary)));
  const auto makes_logits = [](const ServiceTask& task) { return task.top > 0 && !task.prompt_done; };
  std::ranges::rotate(readers,
                      readers.begin() + static_cast<std::ptrdiff_t>(counted_.steps % readers.size()));
  for (bool more = true; more && budget > 0;) {
    more = false;
    for (Reader& reader : readers) {
      const bool oldest = reader.turns++ % 2 == 1;
      ServiceTask* chosen = nullptr;
      int left = 0;
      for (ServiceTask* task : reader.tasks) {
        const int its = pending_of(*task) - task->granted;
        if (its == 0 || (makes_logits(*task) && logit_rows == 0)) continue;
        if (chosen != nullptr && (oldest || its >= left)) continue;
        chosen = task;
        left = its;
      }
      if (chosen == nullptr) continue;
      int count = std::min({left, budget, kGrain});
      if (makes_logits(*chosen)) logit_rows -= count = std::min(count, logit_rows);
      chosen->granted += count;
      budget -= count;
      more = true;
    }
  }
}

// The oldest come first and so always get on; the youngest give their pages back when there are no others.
void Service::Scheduler::claim_pages() {
  int claimed = 0;
  for (std::size_t i = 0; i < running_.size(); ++i) {
    ServiceTask& task = *running_[i];
    while (true) {
      // Asked for again each time: a page that a kept prefix, or a request that gave its pages back, no
      // longer shares need not be copied.
      const int needed = cache_.pages_for(task.sequence, task.rows());
      if (prefixes_.make_room(claimed + needed)) {
        claimed += needed;
        break;
      }
      if (cache_.pages_for(task.sequence, task.rows()) < needed) continue;
      if (!task.guess.empty()) {  // nobody makes room for guesses
        task.guess = {};
        continue;
      }
      AGON_CHECK(running_.size() > 1);
      const bool itself = running_.size() - 1 == i;
      give_back(running_.size() - 1);
      if (itself) return;
    }
  }
}

void Service::Scheduler::give_back(std::size_t index) {
  TaskPtr task = std::move(running_[index]);
  running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(index));
  keep(*task, true);
  cache_.close(task->sequence);
  task->sequence = -1;
  ++counted_.preemptions;
  const auto place =
      std::ranges::upper_bound(returned_, task->age, {}, [](const TaskPtr& it) { return it->age; });
  returned_.insert(place, std::move(task));
}

void Service::Scheduler::keep(ServiceTask& task, bool partial) {
  if (!task.shares()) return;
  const auto read = static_cast<std::size_t>(std::min(length(task), shared_end(task)));
  std::vector<TokenScore> scores;
  if (!task.scores.empty()) {
    scores = task.scores;
    scores.resize(read);
  }
  prefixes_.insert(task.reading().first(read), cache_.pages(task.sequence), scores, partial);
}

void Service::Scheduler::run_text() {
  Batch batch;
  std::vector<Share> shares;
  const auto add = [&](ServiceTask& task, bool step) {
    const int row = static_cast<int>(batch.tokens.size());
    const int from = length(task);
    const auto tokens = std::span(task.tokens)
                            .subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(task.granted));
    batch.tokens.insert(batch.tokens.end(), tokens.begin(), tokens.end());
    batch.segments.push_back({task.sequence, task.rows(), step});
    const std::size_t first_logit = batch.logit_rows.size();
    task.want(batch, row, from, task.granted);
    for (const Token token : task.guess) {
      batch.best_rows.push_back(static_cast<int>(batch.tokens.size()));
      batch.tokens.push_back(token);
    }
    shares.push_back({&task, from, row, first_logit, batch.logit_rows.size()});
  };
  // Those of a kind side by side, as they go through the layers together.
  for (const bool step : {true, false}) {
    for (const TaskPtr& task : running_) {
      if (!task->is_embedding() && task->granted > 0 && is_stepping(*task) == step) add(*task, step);
    }
  }
  if (shares.empty()) return;
  if (const Status status = forward_->run(batch, result_); !status) {
    for (const Share& share : shares) finish(*share.task, FinishReason::kError, status.error().to_string());
    return;
  }
  draw(batch, shares, draws_);
  std::size_t score = 0, best = 0;
  for (const Share& share : shares) {
    ServiceTask& task = *share.task;
    task.read_scores(result_, score, share.from, task.granted);
    if (!task.draws(share.from, task.granted)) {
      after_rows(task, share.from, std::nullopt);
    } else if (!task.takes_best()) {
      after_rows(task, share.from, std::move(draws_[share.logit_end - 1]));
    } else {
      const auto its = std::span<const std::int32_t>(result_.best).subspan(best, 1 + task.guess.size());
      best += its.size();
      after_best(task, share.from, its);
    }
  }
}

// `best`: after its last granted token and after each guessed one. As many tokens are new as were guessed
// right, and one more.
void Service::Scheduler::after_best(ServiceTask& task, int from, std::span<const std::int32_t> best) {
  std::size_t right = 0;
  if (!task.guess.empty()) {
    right = task.right_guesses(best);
    cache_.truncate(task.sequence, from + task.granted + static_cast<int>(right));
  }
  after_rows(task, from, ServiceTask::draw(best[0]));
  for (std::size_t i = 1; i <= right && !task.finished; ++i)
    after_rows(task, from + static_cast<int>(i), ServiceTask::draw(best[i]));
}

// Draws of all generations, and alternatives of prompt tokens: the vocabulary is long enough that the team
// shares them.
void Service::Scheduler::draw(const Batch& batch, const std::vector<Share>& shares,
                              std::vector<ServiceTask::Draw>& draws) {
  const auto vocabulary = static_cast<std::size_t>(engine_.config().vocabulary);
  const int count = static_cast<int>(batch.logit_rows.size());
  draws.assign(batch.logit_rows.size(), {});
  if (count == 0) return;
  std::vector<const Share*> owners(batch.logit_rows.size());
  for (const Share& share : shares)
    std::fill(owners.begin() + static_cast<std::ptrdiff_t>(share.first_logit),
              owners.begin() + static_cast<std::ptrdiff_t>(share.logit_end), &share);
  const auto one = [&](int index) {
    const auto i = static_cast<std::size_t>(index);
    const Share& share = *owners[i];
    ServiceTask& task = *share.task;
    const auto logits = std::span<const float>(result_.logits).subspan(i * vocabulary, vocabulary);
    if (i + 1 == share.logit_end && task.draws(share.from, task.granted) && !task.takes_best()) {
      draws[i] = task.draw(logits, result_.log_totals[i]);
    } else {
      const int position = share.from + batch.logit_rows[i] - share.row;
      task.tops[static_cast<std::size_t>(position) + 1] =
          top_logprobs(logits, result_.log_totals[i], task.top);
    }
  };
  if (count == 1) {
    one(0);
    return;
  }
  engine_.team().run([&](Member& member) {
    for (int i = member.take(count); i < count; i = member.take(count)) one(i);
  });
}

// Apart from the others, as the layers that are run are a batch's own.
void Service::Scheduler::run_embeddings() {
  std::map<int, std::vector<ServiceTask*>> layers;
  for (const TaskPtr& task : running_)
    if (task->is_embedding() && task->granted > 0) layers[task->stop_layer].push_back(task.get());
  const auto width = static_cast<std::size_t>(engine_.config().embedding);
  for (const auto& [layer, tasks] : layers) {
    Batch batch;
    batch.stop_layer = layer;
    batch.hidden_layers = {layer};
    for (const ServiceTask* task : tasks) {
      const auto tokens =
          std::span(task->tokens)
              .subspan(static_cast<std::size_t>(length(*task)), static_cast<std::size_t>(task->granted));
      batch.tokens.insert(batch.tokens.end(), tokens.begin(), tokens.end());
      batch.segments.push_back({task->sequence, task->granted});
    }
    if (const Status status = forward_->run(batch, result_); !status) {
      for (ServiceTask* task : tasks) finish(*task, FinishReason::kError, status.error().to_string());
      continue;
    }
    std::size_t row = 0;
    for (ServiceTask* task : tasks) {
      const auto count = static_cast<std::size_t>(task->granted);
      const int from = length(*task) - task->granted;
      task->pool(engine_, std::span<const float>(result_.hidden).subspan(row * width, count * width), from);
      row += count;
      after_rows(*task, from, std::nullopt);
    }
  }
}

void Service::Scheduler::after_rows(ServiceTask& task, int from, std::optional<ServiceTask::Draw> drawn) {
  const int to = from + task.granted;
  task.next_row = std::max(task.next_row, to);
  // Beyond the prompt several at once are those of a request that had to make room.
  if (from < task.prompt_end || task.granted > 1)
    counted_.computed_tokens += static_cast<std::uint64_t>(task.granted);
  if (!task.prompt_done) {
    const bool whole = to >= task.prompt_end;
    if (whole || task.waited_for) keep(task, whole && task.waited_for);
    if (!whole) return;
    counted_.prompt_tokens += static_cast<std::uint64_t>(task.usage.prompt_tokens);
    counted_.cached_tokens += static_cast<std::uint64_t>(task.usage.cached_tokens);
    if (const Status status = task.give_prompt(engine_); !status) {
      finish(task, FinishReason::kError, status.error().to_string());
      return;
    }
    if (!drawn) {
      const bool generates = std::holds_alternative<GenerateRequest>(task.request);
      finish(task, generates ? FinishReason::kLength : FinishReason::kEnd);
    }
  }
  if (!drawn) return;
  if (drawn->lost) {
    finish(task, FinishReason::kError, not_finite({}).error().to_string());
    return;
  }
  const int before = task.usage.generated_tokens;
  const std::optional<FinishReason> reason = task.give(engine_, std::move(*drawn));
  counted_.generated_tokens += static_cast<std::uint64_t>(task.usage.generated_tokens - before);
  if (reason) finish(task, *reason);
}

// The task's pages go to the kept prefixes; it is removed from where it stands by the caller.
void Service::Scheduler::finish(ServiceTask& task, FinishReason reason, std::string message) {
  if (task.sequence >= 0) {
    keep(task, true);
    cache_.close(task.sequence);
    task.sequence = -1;
    const double seconds = now() - task.admitted_at;
    mean_seconds_ = mean_seconds_ == 0 ? seconds : 0.9 * mean_seconds_ + 0.1 * seconds;
  }
  no_longer_waits(task);
  task.finished = true;
  ++counted_.finished[static_cast<std::size_t>(reason)];
  task.give_finish(reason, std::move(message));
}

void Service::Scheduler::remove_finished() {
  std::erase_if(running_, [](const TaskPtr& task) { return task->finished; });
}

}  // namespace agon::llm
