// What runs when, and in which pages. Internal to service*.cpp; service.h says what it promises.
//
// A step: take what came in, drop what was cancelled, admit from the queue, share out the budget for prompts,
// make room in the cache, run the model, hand out what it said.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agon/llm/engine/prefix_cache.h"
#include "agon/llm/engine/service.h"
#include "agon/llm/engine/service_task.h"

namespace agon::llm {

class Service::Scheduler {
 public:
  Scheduler(Engine& engine, const ServiceOptions& options, KvCache cache);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  std::expected<Ticket, Refusal> submit(Submission submission);
  void drain();
  bool wait_idle(std::chrono::milliseconds timeout);
  ServiceStats stats() const;
  double retry_after() const;
  int max_context() const { return room_; }
  bool step();

 private:
  using TaskPtr = std::unique_ptr<ServiceTask>;
  struct Client {
    std::string name;
    std::deque<TaskPtr> queue;
  };
  // A task's part of a batch.
  struct Share {
    ServiceTask* task;
    int from;                            // its position of the first row
    int row;                             // that row in the batch
    std::size_t first_logit, logit_end;  // its rows among logit_rows
  };

  std::expected<void, Refusal> check(const ServiceRequest& request) const;
  // Of these tokens the last `unread` are not read.
  std::expected<void, Refusal> check_tokens(std::span<const Token> tokens, std::string_view what,
                                            int unread) const;
  double retry_after_locked() const;
  // Whether there is a place for another submission of this client.
  bool has_place_locked(const std::string& client) const;
  void loop();
  void start();
  void publish();

  // Waiting (service_scheduler.cpp).
  void take_incoming();
  void drop_cancelled();
  void cancel_all();
  void no_longer_waits(ServiceTask& task);
  void admit();
  bool admit_next_client();
  bool try_admit(TaskPtr& task);
  bool waits_for_another(ServiceTask& task);
  [[nodiscard]] bool fits(const ServiceTask& task, std::span<const std::int32_t> shared_pages) const;
  [[nodiscard]] int planned_pages(const ServiceTask& task) const;

  // Running (service_step.cpp).
  [[nodiscard]] int pending_of(const ServiceTask& task) const;
  // Of its prompt nothing is left to read.
  [[nodiscard]] bool is_stepping(const ServiceTask& task) const { return length(task) >= task.prompt_end; }
  // Up to here its tokens are what another's prompt would be.
  [[nodiscard]] int shared_end(const ServiceTask& task) const {
    return steps_differ_ ? task.prompt_end : task.end;
  }
  void grant();
  void claim_pages();
  void give_back(std::size_t running);
  void keep(ServiceTask& task, bool partial);
  void run_text();
  void run_embeddings();
  void draw(const Batch& batch, const std::vector<Share>& shares, std::vector<ServiceTask::Draw>& draws);
  void after_best(ServiceTask& task, int from, std::span<const std::int32_t> best);
  void after_rows(ServiceTask& task, int from, std::optional<ServiceTask::Draw> draw);
  void finish(ServiceTask& task, FinishReason reason, std::string message = {});
  void remove_finished();
  [[nodiscard]] int length(const ServiceTask& task) const { return cache_.length(task.sequence); }
  [[nodiscard]] double now() const;

  Engine& engine_;
  const ServiceOptions options_;
  const std::shared_ptr<std::atomic<std::uint64_t>> cancellations_;

  // The service thread's.
  KvCache cache_;
  PrefixCache prefixes_;
  std::unique_ptr<Forward> forward_;
  bool steps_differ_;             // what was drawn is computed otherwise than what is read
  int room_;                      // longest sequence
  std::list<Client> clients_;     // that have something in the queue; whose turn it is first
  std::deque<TaskPtr> returned_;  // that ran and had to make room, the oldest first
  std::vector<TaskPtr> running_;  // the oldest first
  std::uint64_t cancellations_seen_ = 0, age_ = 0;
  // Of submissions of which nothing waits any more, since the last publish(): whose, and what they took.
  std::vector<std::string> started_;
  std::size_t started_bytes_ = 0;
  double mean_seconds_ = 0;  // that a request runs, smoothed
  ServiceStats counted_;
  BatchResult result_;
  std::vector<ServiceTask::Draw> draws_;

  // Shared with callers.
  mutable std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::vector<TaskPtr> incoming_;
  ServiceStats published_, intake_;
  int waiting_submissions_ = 0;
  std::map<std::string, int, std::less<>> waiting_of_;  // by client, those that have any
  std::size_t waiting_bytes_ = 0;
  double published_mean_ = 0;
  bool draining_ = false, stop_ = false, is_idle_ = true;
  std::thread thread_;
};

}  // namespace agon::llm
