// How many requests may be read, tokenized and compiled at once: of what that takes, clients decide how much.
#pragma once

#include <condition_variable>
#include <mutex>

namespace agon::serving {

/// Lets a few through at a time; the others wait.
class WorkGate {
 public:
  /// `places` is at least 1.
  explicit WorkGate(int places) : free_(places) {}

  /// A place, until it is left or destroyed. The gate must outlive it.
  class Place {
   public:
    explicit Place(WorkGate& gate) : gate_(&gate) {
      std::unique_lock lock(gate.mutex_);
      gate.left_.wait(lock, [&] { return gate.free_ > 0; });
      --gate.free_;
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() { leave(); }

    void leave() {
      if (gate_ == nullptr) return;
      {
        const std::lock_guard lock(gate_->mutex_);
        ++gate_->free_;
      }
      gate_->left_.notify_one();
      gate_ = nullptr;
    }

   private:
    WorkGate* gate_;
  };

 private:
  std::mutex mutex_;
  std::condition_variable left_;
  int free_;
};

}  // namespace agon::serving
