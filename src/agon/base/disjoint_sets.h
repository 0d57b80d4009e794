// Union-find: which items are linked, directly or through others.
#pragma once

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace agon {

/// Items 0..n-1, each alone at first. The root of a set is its smallest item, so the result does not
/// depend on the order of the links. Near-constant time an operation through path halving.
class DisjointSets {
 public:
  explicit DisjointSets(std::size_t n) : parent_(n) { std::iota(parent_.begin(), parent_.end(), 0U); }

  [[nodiscard]] std::uint32_t root(std::uint32_t item) {
    while (parent_[item] != item) item = parent_[item] = parent_[parent_[item]];
    return item;
  }
  /// True when the two were apart until now.
  bool link(std::uint32_t a, std::uint32_t b) {
    a = root(a);
    b = root(b);
    if (a == b) return false;
    if (b < a) std::swap(a, b);
    parent_[b] = a;
    return true;
  }

 private:
  std::vector<std::uint32_t> parent_;
};

}  // namespace agon
