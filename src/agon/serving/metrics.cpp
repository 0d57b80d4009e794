#include "agon/serving/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>

namespace agon::serving {
namespace {

// A label's value: the format escapes backslash, quote and line end.
std::string label(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

}  // namespace

void Histogram::add(double seconds) {
  const auto at = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
  ++counts_[static_cast<std::size_t>(at - kBounds.begin())];
  sum_ += seconds;
}

void Histogram::append(std::string& out, std::string_view name, const std::string& labels) const {
  std::uint64_t total = 0;
  const std::string comma = labels.empty() ? "" : ",", braces = labels.empty() ? "" : "{" + labels + "}";
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    total += counts_[i];
    const std::string bound = i < kBounds.size() ? fmt::format("{}", kBounds[i]) : "+Inf";
    fmt::format_to(std::back_inserter(out), "{}_bucket{{{}{}le=\"{}\"}} {}\n", name, labels, comma, bound,
                   total);
  }
  fmt::format_to(std::back_inserter(out), "{}_sum{} {}\n{}_count{} {}\n", name, braces, sum_, name, braces,
                 total);
}

void Metrics::answered(std::string_view path, int status) {
  const std::lock_guard lock(mutex_);
  ++answers_[{std::string(path), status}];
}
void Metrics::first_token(const std::string& model, double seconds) {
  const std::lock_guard lock(mutex_);
  first_token_[model].add(seconds);
}
void Metrics::between_tokens(const std::string& model, double seconds) {
  const std::lock_guard lock(mutex_);
  between_tokens_[model].add(seconds);
}
void Metrics::client_gone(const std::string& model) {
  const std::lock_guard lock(mutex_);
  ++gone_[model];
}

std::string Metrics::text(int connections) const {
  const std::lock_guard lock(mutex_);
  std::string out;
  head(out, "agon_uptime_seconds", "gauge", "Seconds since the start.");
  const std::chrono::duration<double> up = std::chrono::steady_clock::now() - start_;
  fmt::format_to(std::back_inserter(out), "agon_uptime_seconds {:.3f}\n", up.count());
  head(out, "agon_http_connections", "gauge", "Open connections.");
  fmt::format_to(std::back_inserter(out), "agon_http_connections {}\n", connections);
  head(out, "agon_http_requests_total", "counter", "Answers by path and status.");
  for (const auto& [key, count] : answers_)
    fmt::format_to(std::back_inserter(out), "agon_http_requests_total{{path=\"{}\",status=\"{}\"}} {}\n",
                   label(key.first), key.second, count);
  head(out, "agon_clients_gone_total", "counter", "Clients that hung up before their answer was complete.");
  for (const auto& [model, count] : gone_)
    fmt::format_to(std::back_inserter(out), "agon_clients_gone_total{{model=\"{}\"}} {}\n", label(model),
                   count);
  const auto histograms = [&](std::string_view name, std::string_view help, const auto& by_model) {
    head(out, name, "histogram", help);
    for (const auto& [model, histogram] : by_model)
      histogram.append(out, name, fmt::format("model=\"{}\"", label(model)));
  };
  histograms("agon_first_token_seconds", "From a request to its first token.", first_token_);
  histograms("agon_between_tokens_seconds", "From a token of an answer to the next one.", between_tokens_);
  return out;
}

std::string service_metrics(const std::map<std::string, llm::ServiceStats>& services) {
  using Stats = llm::ServiceStats;
  std::string out;
  const auto family = [&](std::string_view name, std::string_view type, std::string_view help,
                          const std::function<double(const Stats&)>& value) {
    head(out, name, type, help);
    for (const auto& [model, stats] : services)
      fmt::format_to(std::back_inserter(out), "{}{{model=\"{}\"}} {}\n", name, label(model), value(stats));
  };
  const auto whole = [](auto member) {
    return [member](const Stats& s) { return static_cast<double>(s.*member); };
  };
  family("agon_requests_running", "gauge", "Sequences in slots now.", whole(&Stats::running));
  family("agon_requests_queued", "gauge", "Requests that wait for a slot.", whole(&Stats::queued));
  family("agon_slots", "gauge", "Sequences that can run at once.", whole(&Stats::slots));
  family("agon_cache_pages", "gauge", "Pages of the KV cache.", whole(&Stats::cache_pages));
  family("agon_cache_pages_used", "gauge", "Pages in use, kept prefixes included.",
         whole(&Stats::cache_pages_used));
  family("agon_cache_pages_kept", "gauge", "Pages of kept prefixes.", whole(&Stats::cache_pages_kept));
  family("agon_requests_total", "counter", "Requests that were taken.", whole(&Stats::requests));
  family("agon_prompt_tokens_total", "counter", "Tokens of prompts, cached ones included.",
         whole(&Stats::prompt_tokens));
  family("agon_prompt_tokens_cached_total", "counter", "Of these, found in the cache.",
         whole(&Stats::cached_tokens));
  family("agon_prompt_tokens_computed_total", "counter", "Prompt tokens that went through the model.",
         whole(&Stats::computed_tokens));
  family("agon_generated_tokens_total", "counter", "Tokens drawn.", whole(&Stats::generated_tokens));
  family("agon_preemptions_total", "counter", "Requests put back for want of cache.",
         whole(&Stats::preemptions));
  family("agon_steps_total", "counter", "Passes of the model.", whole(&Stats::steps));
  family("agon_busy_seconds_total", "counter", "Seconds in passes.", whole(&Stats::busy_seconds));
  head(out, "agon_requests_finished_total", "counter", "Requests that ended, by reason.");
  for (const auto& [model, stats] : services)
    for (std::size_t i = 0; i < llm::kFinishReasons; ++i)
      fmt::format_to(std::back_inserter(out),
                     "agon_requests_finished_total{{model=\"{}\",reason=\"{}\"}} {}\n", label(model),
                     llm::finish_reason_name(static_cast<llm::FinishReason>(i)), stats.finished[i]);
  head(out, "agon_requests_refused_total", "counter", "Requests that were not taken, by reason.");
  for (const auto& [model, s] : services)
    for (const auto& [reason, count] : {std::pair{"invalid", s.refused_invalid},
                                        {"too_long", s.refused_too_long},
                                        {"queue_full", s.refused_full},
                                        {"stopping", s.refused_draining}})
      fmt::format_to(std::back_inserter(out),
                     "agon_requests_refused_total{{model=\"{}\",reason=\"{}\"}} {}\n", label(model), reason,
                     count);
  head(out, "agon_step_seconds", "histogram", "Duration of passes.");
  for (const auto& [model, stats] : services) {
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < Stats::kLatencyBuckets; ++i) {
      total += stats.step_latency[i];
      const std::string bound =
          i + 1 < Stats::kLatencyBuckets ? fmt::format("{}", Stats::kLatencyBounds[i]) : "+Inf";
      fmt::format_to(std::back_inserter(out), "agon_step_seconds_bucket{{model=\"{}\",le=\"{}\"}} {}\n",
                     label(model), bound, total);
    }
    fmt::format_to(
        std::back_inserter(out),
        "agon_step_seconds_sum{{model=\"{0}\"}} {1}\nagon_step_seconds_count{{model=\"{0}\"}} {2}\n",
        label(model), stats.busy_seconds, total);
  }
  return out;
}

}  // namespace agon::serving
