// What the server counts, in Prometheus's text format.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "agon/llm/engine/service.h"

namespace agon::serving {

/// Durations in seconds, counted by upper bounds.
class Histogram {
 public:
  static constexpr std::array<double, 14> kBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                     0.25,  0.5,    1,     2.5,  5,     10,   60};
  void add(double seconds);
  /// Lines of one histogram; `labels` is `model="x"` or empty.
  void append(std::string& out, std::string_view name, const std::string& labels) const;

 private:
  std::array<std::uint64_t, kBounds.size() + 1> counts_{};
  double sum_ = 0;
};

/// Counters of the HTTP side. May be used from many threads.
class Metrics {
 public:
  /// An answer was begun: `path` is one of ours, or "other".
  void answered(std::string_view path, int status);
  void first_token(const std::string& model, double seconds);
  void between_tokens(const std::string& model, double seconds);
  void client_gone(const std::string& model);
  /// Everything of the HTTP side as text.
  [[nodiscard]] std::string text(int connections) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, std::uint64_t> answers_;
  std::map<std::string, Histogram> first_token_, between_tokens_;
  std::map<std::string, std::uint64_t> gone_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// What the services say of themselves, by model.
[[nodiscard]] std::string service_metrics(const std::map<std::string, llm::ServiceStats>& services);

}  // namespace agon::serving
