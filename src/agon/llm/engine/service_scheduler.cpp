#include "agon/llm/engine/service_scheduler.h"

#include <algorithm>

#include "agon/base/check.h"

namespace agon::llm {
namespace {

// Tokens that a running generation is promised room for: fewer, and requests are admitted only to be sent
// back soon; more, and slots stay empty for answers that end early.
constexpr int kAhead = 64;
// To wait for another's prompt pays from so many common tokens on.
constexpr int kWorthWaiting = kPageTokens;
// Requests of one client that are looked at for one that can run now.
constexpr std::size_t kLookahead = 64;

int common_prefix(std::span<const Token> a, std::span<const Token> b) {
  return static_cast<int>(std::ranges::mismatch(a, b).in1 - a.begin());
}

int pages_of(int tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }

}  // namespace

void Service::Scheduler::take_incoming() {
  std::vector<TaskPtr> incoming;
  {
    const std::lock_guard lock(mutex_);
    incoming.swap(incoming_);
    if (!incoming.empty()) is_idle_ = false;
    published_.queued += static_cast<int>(incoming.size());
  }
  for (TaskPtr& task : incoming) {
    auto client = std::ranges::find(clients_, task->client, &Client::name);
    if (client == clients_.end()) client = clients_.insert(clients_.end(), Client{task->client, {}});
    client->queue.push_back(std::move(task));
  }
}

void Service::Scheduler::no_longer_waits(ServiceTask& task) {
  if (task.ran) return;
  task.ran = true;
  if (--task.ticket->waiting > 0) return;
  started_.push_back(task.client);
  started_bytes_ += task.ticket->bytes;
}

void Service::Scheduler::drop_cancelled() {
  const std::uint64_t seen = cancellations_->load();
  if (seen == cancellations_seen_) return;
  cancellations_seen_ = seen;
  const auto drop = [&](TaskPtr& task) {
    if (!task->ticket->is_cancelled(task->index)) return false;
    finish(*task, FinishReason::kCancelled);
    return true;
  };
  for (Client& client : clients_) std::erase_if(client.queue, drop);
  clients_.remove_if([](const Client& client) { return client.queue.empty(); });
  std::erase_if(returned_, drop);
  std::erase_if(running_, drop);
}

void Service::Scheduler::cancel_all() {
  take_incoming();
  for (Client& client : clients_)
    for (TaskPtr& task : client.queue) finish(*task, FinishReason::kCancelled);
  for (TaskPtr& task : returned_) finish(*task, FinishReason::kCancelled);
  for (TaskPtr& task : running_) finish(*task, FinishReason::kCancelled);
  clients_.clear();
  returned_.clear();
  running_.clear();
  publish();
}

// What had to make room comes first, and nothing overtakes it nor the client whose turn it is: else one that
// needs much room would wait for ever.
void Service::Scheduler::admit() {
  while (static_cast<int>(running_.size()) < options_.slots) {
    if (!returned_.empty()) {
      if (!try_admit(returned_.front())) return;
      returned_.pop_front();
    } else if (!admit_next_client()) {
      return;
    }
  }
}

bool Service::Scheduler::admit_next_client() {
  for (auto client = clients_.begin(); client != clients_.end(); ++client) {
    const std::size_t seen = std::min(client->queue.size(), kLookahead);
    for (std::size_t i = 0; i < seen; ++i) {
      if (waits_for_another(*client->queue[i])) continue;
      if (!try_admit(client->queue[i])) return false;
      client->queue.erase(client->queue.begin() + static_cast<std::ptrdiff_t>(i));
      clients_.splice(clients_.end(), clients_, client);
      if (clients_.back().queue.empty()) clients_.pop_back();
      return true;
    }
  }
  return false;
}

// A prompt that is being read now has more in common with this one than what is kept.
bool Service::Scheduler::waits_for_another(ServiceTask& task) {
  if (!task.shares()) return false;
  for (const TaskPtr& other : running_) {
    if (other->prompt_done || !other->shares()) continue;
    const int common = std::min(common_prefix(task.reading(), other->reading()), shared_end(*other));
    int useful = std::min({common, task.reuse_limit(), shared_end(task)});
    // Who computes the log-probabilities that are wanted here too hands them over with the pages.
    if (task.wants_scores() && task.top == 0 && other->wants_scores() &&
        other->first_score <= task.next_row + 1)
      useful = std::min(common - 1, task.end - 1);
    if (useful < kWorthWaiting) continue;
    const int there = length(*other);
    if (there >= useful) {
      keep(*other, false);
      continue;
    }
    if (prefixes_.find(task.reading().first(static_cast<std::size_t>(useful))).length >= useful) continue;
    other->waited_for = true;
    return true;
  }
  return false;
}

bool Service::Scheduler::try_admit(TaskPtr& task) {
  PrefixCache::Match match;
  task->make_room_for_scores();
  if (task->shares()) {
    match = prefixes_.find(task->reading());
    task->take_scores(match.scores);
  }
  const int shared = std::min({match.length, task->reuse_limit(), shared_end(*task)});
  if (!fits(*task, std::span(match.pages).first(static_cast<std::size_t>(pages_of(shared))))) return false;
  task->sequence = prefixes_.open(task->reading(), match, shared);
  if (!task->ran) {
    task->usage.cached_tokens = shared;
    task->age = ++age_;
    task->admitted_at = now();
    no_longer_waits(*task);
  }
  // By age, for one that comes back may be older than others.
  const auto place =
      std::ranges::upper_bound(running_, task->age, {}, [](const TaskPtr& it) { return it->age; });
  running_.insert(place, std::move(task));
  return true;
}

int Service::Scheduler::planned_pages(const ServiceTask& task) const {
  return pages_of(task.end + task.to_come(kAhead));
}

// Room for what is promised to those who run, and for this one. Kept prefixes that nobody uses count as room.
bool Service::Scheduler::fits(const ServiceTask& task, std::span<const std::int32_t> shared_pages) const {
  if (running_.empty()) return true;  // submit() saw to it that one alone always fits
  std::vector<bool> used(static_cast<std::size_t>(cache_.page_count()));
  int free = cache_.page_count();
  const auto use = [&](std::span<const std::int32_t> pages) {
    for (const std::int32_t page : pages) {
      if (used[static_cast<std::size_t>(page)]) continue;
      used[static_cast<std::size_t>(page)] = true;
      --free;
    }
  };
  for (const TaskPtr& other : running_) {
    use(cache_.pages(other->sequence));
    free -= std::max(0, planned_pages(*other) - static_cast<int>(cache_.pages(other->sequence).size()));
  }
  use(shared_pages);
  return free >= planned_pages(task) - static_cast<int>(shared_pages.size());
}

}  // namespace agon::llm
