#include "agon/llm/remote/retry.h"

#include <curl/curl.h>

#include <algorithm>
#include <cmath>
#include <ctime>

namespace agon::llm {
namespace {

constexpr double kFirstWindow = 4;  // requests; a small server has as many slots

}  // namespace

bool may_retry(long status) {
  if (status == 408 || status == 425 || status == 429) return true;
  return status >= 500 && status <= 599 && status != 501 && status != 505;
}

std::optional<double> retry_after(const std::string& header, std::int64_t now) {
  const std::size_t first = header.find_first_not_of(" \t");
  if (first == std::string::npos) return std::nullopt;
  const std::string text = header.substr(first, header.find_last_not_of(" \t\r\n") + 1 - first);
  if (text.find_first_not_of("0123456789.") == std::string::npos) {
    // RFC 9110 has whole seconds; some servers send fractions.
    if (text.size() > 15 || std::ranges::count(text, '.') > 1 || text == ".") return std::nullopt;
    return std::stod(text);
  }
  const std::time_t date = curl_getdate(text.c_str(), nullptr);
  if (date < 0) return std::nullopt;
  return std::max(0.0, static_cast<double>(date - now));
}

double backoff(int failures, double first, double most, Random& random) {
  const double whole = std::min(most, first * std::exp2(std::clamp(failures, 1, 60) - 1));
  return whole * (0.5 + 0.5 * random.uniform());
}

ConcurrencyWindow::ConcurrencyWindow(int most)
    : size_(std::min<double>(kFirstWindow, std::max(most, 1))), most_(std::max(most, 1)) {}

void ConcurrencyWindow::success() { size_ = std::min(most_, size_ + 1 / size_); }

void ConcurrencyWindow::overload(std::uint64_t epoch) {
  if (epoch != epoch_) return;
  size_ = std::max(1.0, size_ / 2);
  ++epoch_;
}

}  // namespace agon::llm
