// Notices at once when a client hangs up while its request is being worked on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "agon/base/error.h"

namespace agon::serving {

/// One thread that waits for the far ends of sockets to close.
class GoneWatch {
 public:
  static Result<std::unique_ptr<GoneWatch>> start();
  ~GoneWatch();

  /// Watches until it is destroyed; after that the callback does not run, nor is it running.
  class Guard {
   public:
    Guard(Guard&&) noexcept = delete;
    ~Guard();

   private:
    friend class GoneWatch;
    Guard(GoneWatch& watch, int socket, std::uint64_t id) : watch_(watch), socket_(socket), id_(id) {}
    GoneWatch& watch_;
    int socket_;
    std::uint64_t id_;
  };
  /// Calls `gone` once, from the watching thread, when the far end of `socket` closes (its sending half
  /// too, which clients only close when they are done). One guard a socket at a time.
  [[nodiscard]] Guard watch(int socket, std::function<void()> gone);

 private:
  struct State;
  explicit GoneWatch(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace agon::serving
