#include "agon/ranking/duplicates.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>
#include <vector>

#include "agon/base/check.h"

namespace agon {
namespace {

struct Key {
  std::array<std::uint32_t, 4> of{};
  std::uint32_t row = 0;
  bool operator<(const Key& other) const { return std::tie(of, row) < std::tie(other.of, other.row); }
};

// Walks runs of equal keys.
void count_runs(std::vector<Key>& keys, const BattleRows& battles, Duplicates& out) {
  std::sort(keys.begin(), keys.end());
  for (std::size_t begin = 0; begin < keys.size();) {
    std::size_t end = begin + 1;
    bool same = true;
    while (end < keys.size() && keys[end].of == keys[begin].of) {
      same &= battles.outcome[keys[end].row] == battles.outcome[keys[begin].row];
      ++end;
    }
    if (end - begin > 1) {
      ++out.groups;
      out.extra += end - begin - 1;
      out.disagree += !same;
    }
    begin = end;
  }
}

}  // namespace

Duplicates find_duplicates(const BattleRows& battles, const CodeColumn* voter, const CodeColumn* prompt) {
  Duplicates out;
  out.by = "voter, prompt and pair";
  if (voter == nullptr || prompt == nullptr) return out;
  AGON_CHECK(voter->code.size() == battles.size() && prompt->code.size() == battles.size());
  out.looked = true;
  std::vector<Key> keys;
  for (std::uint32_t r = 0; r < battles.size(); ++r) {
    if (voter->code[r] == CodeColumn::kNone || prompt->code[r] == CodeColumn::kNone) continue;
    keys.push_back({{voter->code[r], prompt->code[r], battles.a[r], battles.b[r]}, r});
  }
  count_runs(keys, battles, out);
  // The distinct keys with their pair folded: twice there means both orders.
  const auto equal = [](const Key& a, const Key& b) { return a.of == b.of; };
  keys.erase(std::unique(keys.begin(), keys.end(), equal), keys.end());
  for (Key& key : keys)
    if (key.of[2] > key.of[3]) std::swap(key.of[2], key.of[3]);
  std::sort(keys.begin(), keys.end());
  for (std::size_t k = 1; k < keys.size(); ++k) out.both_orders += equal(keys[k - 1], keys[k]);
  return out;
}

Duplicates find_duplicate_ids(const BattleRows& battles, const CodeColumn& id) {
  AGON_CHECK(id.code.size() == battles.size());
  Duplicates out;
  out.by = "id";
  out.looked = true;
  std::vector<Key> keys;
  for (std::uint32_t r = 0; r < battles.size(); ++r)
    if (id.code[r] != CodeColumn::kNone) keys.push_back({{id.code[r], 0, 0, 0}, r});
  count_runs(keys, battles, out);
  return out;
}

}  // namespace agon
