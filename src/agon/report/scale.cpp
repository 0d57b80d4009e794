#include "agon/report/scale.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "agon/report/visible.h"

namespace agon {
namespace {

/// 1, 2 or 5 times a power of ten, the nearest at or above `rough`.
double nice_step(double rough) {
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  const double fraction = rough / power;
  if (fraction <= 1 + 1e-9) return power;
  if (fraction <= 2 + 1e-9) return 2 * power;
  if (fraction <= 5 + 1e-9) return 5 * power;
  return 10 * power;
}

int decimals_of(double step) {
  return std::clamp(static_cast<int>(-std::floor(std::log10(step) + 1e-9)), 0, 17);
}

double advance(UChar32 c) {
  if (c < 0x80) {
    switch (c) {
      case 'i':
      case 'l':
      case 'j':
      case '.':
      case ',':
      case ':':
      case ';':
      case '|':
      case '\'':
      case ' ':
        return 0.34;
      case 't':
      case 'f':
      case 'r':
      case '(':
      case ')':
      case '[':
      case ']':
      case '!':
      case '-':
      case '/':
        return 0.42;
      case 'm':
      case 'w':
      case 'M':
      case 'W':
      case '@':
      case '%':
        return 1.0;
      case '+':
      case '=':
      case '<':
      case '>':
      case '~':
        return 0.84;
      default:
        return c >= 'A' && c <= 'Z' ? 0.76 : 0.64;
    }
  }
  if (c == 0xA0) return 0.34;  // no-break space
  const int cells = code_point_width(c);
  if (cells == 0) return 0;
  if (cells == 2) return 1.05;
  return c == 0x2212 ? 0.84 : 0.8;
}

}  // namespace

Ticks nice_ticks(double low, double high, int target) {
  Ticks ticks;
  if (!std::isfinite(low) || !std::isfinite(high)) return ticks;
  if (low > high) std::swap(low, high);
  target = std::clamp(target, 1, 100);
  const double range = high - low;
  const double size = std::max(std::abs(low), std::abs(high));
  // Narrower than what doubles of this size can tell apart: one value, not a hundred equal ones.
  if (!(range > size * 1e-12) || !std::isfinite(range) || range < 1e-290) {
    ticks.at = {low};
    ticks.decimals = size == 0 ? 0 : std::min(3, decimals_of(size) + 2);
    return ticks;
  }
  ticks.step = nice_step(range / target);
  ticks.decimals = decimals_of(ticks.step);
  const double first = std::ceil(low / ticks.step - 1e-9);
  const double last = std::floor(high / ticks.step + 1e-9);
  for (double k = first; k <= last; k += 1) {
    const double value = k * ticks.step;
    ticks.at.push_back(value == 0 ? 0.0 : std::clamp(value, low, high));
  }
  return ticks;
}

Ticks log_ticks(double low, double high, int target) {
  Ticks ticks;
  if (low > high) std::swap(low, high);
  if (!(low > 0) || !std::isfinite(high)) return ticks;
  const int first = static_cast<int>(std::floor(std::log10(low)));
  const int last = static_cast<int>(std::ceil(std::log10(high)));
  for (const bool powers_only : {false, true}) {
    ticks.at.clear();
    for (int e = first; e <= last; ++e) {
      for (const double m : {1.0, 2.0, 5.0}) {
        if (powers_only && m != 1.0) continue;
        const double value = m * std::pow(10.0, e);
        if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) ticks.at.push_back(value);
      }
    }
    if (static_cast<int>(ticks.at.size()) <= std::max(3, 2 * target)) break;
  }
  ticks.decimals = ticks.at.empty() ? 0 : decimals_of(ticks.at.front());
  return ticks;
}

double Scale::operator()(double value) const {
  double a = low, b = high;
  value = std::clamp(value, std::min(a, b), std::max(a, b));
  if (logarithmic) {
    a = std::log(a);
    b = std::log(b);
    value = std::log(value);
  }
  const double share = b == a ? 0.5 : (value - a) / (b - a);
  return pixel_low + share * (pixel_high - pixel_low);
}

void widen_to_nice(double& low, double& high, int target) {
  if (!(high > low)) {
    const double pad = low == 0 ? 1 : std::abs(low) * 0.1;
    low -= pad;
    high += pad;
  }
  const double step = nice_step((high - low) / std::max(1, target));
  low = std::floor(low / step + 1e-9) * step;
  high = std::ceil(high / step - 1e-9) * step;
}

std::vector<double> spread_labels(const std::vector<double>& wanted, double gap, double low, double high) {
  const std::size_t n = wanted.size();
  std::vector<double> out(n);
  if (n == 0) return out;
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t i, std::size_t j) { return wanted[i] < wanted[j]; });
  const double room = high - low;
  if (static_cast<double>(n - 1) * gap >= room) {
    for (std::size_t k = 0; k < n; ++k) {
      const double share = n == 1 ? 0.5 : static_cast<double>(k) / static_cast<double>(n - 1);
      out[order[k]] = low + share * room;
    }
    return out;
  }
  // With y_k = position - k * gap the constraint is "y ascending": isotonic regression, then a clamp.
  struct Pool {
    double sum;
    std::size_t count;
    [[nodiscard]] double mean() const { return sum / static_cast<double>(count); }
  };
  std::vector<Pool> pools;
  for (std::size_t k = 0; k < n; ++k) {
    pools.push_back({wanted[order[k]] - static_cast<double>(k) * gap, 1});
    while (pools.size() > 1 && pools[pools.size() - 2].mean() > pools.back().mean()) {
      const Pool last = pools.back();
      pools.pop_back();
      pools.back().sum += last.sum;
      pools.back().count += last.count;
    }
  }
  const double top = high - static_cast<double>(n - 1) * gap;
  std::size_t k = 0;
  for (const Pool& pool : pools) {
    for (std::size_t i = 0; i < pool.count; ++i, ++k) {
      out[order[k]] = std::clamp(pool.mean(), low, top) + static_cast<double>(k) * gap;
    }
  }
  return out;
}

double text_width(const std::string& text, double size) {
  double em = 0;
  std::size_t i = 0;
  while (i < text.size()) {
    UChar32 c = 0;
    U8_NEXT_OR_FFFD(text.data(), i, text.size(), c);
    em += advance(c);
  }
  return em * size;
}

std::string fit_text(const std::string& text, double size, double width) {
  if (text_width(text, size) <= width) return text;
  // A hair less than there is, since widths are summed in another order when they are measured again.
  const double room = width - 1e-6 - 0.8 * size;
  double used = 0;
  std::size_t i = 0;
  std::size_t keep = 0;
  while (i < text.size()) {
    UChar32 c = 0;
    U8_NEXT_OR_FFFD(text.data(), i, text.size(), c);
    used += advance(c) * size;
    if (used > room) break;
    keep = i;
  }
  while (keep > 0 && text[keep - 1] == ' ') --keep;
  return text.substr(0, keep) + "…";
}

}  // namespace agon
