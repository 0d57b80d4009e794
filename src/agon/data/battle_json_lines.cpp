// JSON Lines in pieces.
#include <fmt/format.h>

#include "agon/base/parallel.h"
#include "agon/data/battle_json.h"

namespace agon::battle_parts {
namespace {

constexpr std::size_t kBlock = std::size_t{1} << 18;
constexpr std::size_t kBlocksAtOnce = 32;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

}  // namespace

BattleRecord BattleRecordPool::borrow() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      BattleRecord record = std::move(idle_.back());
      idle_.pop_back();
      return record;
    }
  }
  return BattleRecord(options_);
}

void BattleRecordPool::give_back(BattleRecord record) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(record));
}

void BattleJsonLines::read_block(std::string_view block, BattleRecord& record, BattlePart& part) const {
  while (!block.empty()) {
    const std::size_t end = block.find('\n');  // there is one: blocks are whole lines
    std::string_view line = block.substr(0, end);
    block.remove_prefix(end + 1);
    while (!line.empty() && is_space(line.front())) line.remove_prefix(1);
    if (line.empty()) continue;
    if (line.size() > options_.max_row_bytes) {
      ++part.records;
      const bool go_on =
          part.error || part.bad_row({.message = fmt::format("longer than {} bytes", options_.max_row_bytes)},
                                     options_.skip_bad);
      if (!go_on) return;
      continue;
    }
    if (!record.read(line, part)) return;
  }
}

Result<std::size_t> BattleJsonLines::feed(std::string_view bytes) {
  parts_.resize(kBlocksAtOnce);
  std::size_t at = 0;
  while (at < bytes.size()) {
    if (skipping_) {
      const std::size_t end = bytes.find('\n', at);
      skipping_ = end == std::string_view::npos;
      at = skipping_ ? bytes.size() : end + 1;
      continue;
    }
    std::vector<std::string_view> blocks;
    while (blocks.size() < kBlocksAtOnce && at < bytes.size()) {
      std::size_t end = at + kBlock < bytes.size() ? bytes.find('\n', at + kBlock) : std::string_view::npos;
      if (end == std::string_view::npos) end = bytes.rfind('\n');
      if (end == std::string_view::npos || end < at) break;
      blocks.push_back(bytes.substr(at, end + 1 - at));
      at = end + 1;
    }
    if (blocks.empty()) {
      if (bytes.size() - at <= options_.max_row_bytes) break;
      BattlePart& part = parts_[0];
      part.clear();
      ++part.records;
      part.bad_row({.message = fmt::format("longer than {} bytes", options_.max_row_bytes)},
                   options_.skip_bad);
      AGON_TRY(builder_.merge({&part, 1}));
      skipping_ = true;
      continue;
    }
    parallel_for(blocks.size(), [&](std::size_t k) {
      BattleRecord record = pool_.borrow();
      parts_[k].clear();
      read_block(blocks[k], record, parts_[k]);
      pool_.give_back(std::move(record));
    });
    AGON_TRY(builder_.merge(std::span(parts_).first(blocks.size())));
  }
  return at;
}

}  // namespace agon::battle_parts
