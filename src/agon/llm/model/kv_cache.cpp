#include "agon/llm/model/kv_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "agon/base/check.h"

namespace agon::llm {

Result<KvCache> KvCache::create(const ModelConfig& config, CacheType type, int tokens) {
  const int key_length = padded_head(config.key_length);
  const int value_length = padded_head(config.value_length);
  if (type == CacheType::kQ8_0 && (key_length % kBlock != 0 || value_length % kBlock != 0)) {
    return fail(fmt::format("a cache of Q8_0 needs heads of a multiple of {} numbers; this model has {}",
                            kBlock, config.key_length));
  }
  if (tokens < 1) return fail("a cache needs room for at least one token");
  KvCache cache;
  cache.type_ = type;
  cache.key_bytes_ = cache_page_bytes(type, key_length);
  cache.value_bytes_ = cache_page_bytes(type, value_length);
  cache.page_stride_ = (cache.key_bytes_ + cache.value_bytes_) * static_cast<std::size_t>(config.kv_heads);
  const std::size_t pages = (static_cast<std::size_t>(tokens) + kPageTokens - 1) / kPageTokens;
  try {
    for (int layer = 0; layer < config.layer_count(); ++layer) {
      cache.layers_.emplace_back(pages * cache.page_stride_);
    }
  } catch (const std::bad_alloc&) {
    return fail(fmt::format("not enough memory for a cache of {} tokens", tokens));
  }
  cache.users_.assign(pages, 0);
  cache.lost_from_.assign(pages, kPageTokens);
  cache.free_.resize(pages);
  // Taken from the back: low pages first, so that memory is touched in order.
  for (std::size_t i = 0; i < pages; ++i) cache.free_[i] = static_cast<std::int32_t>(pages - 1 - i);
  return cache;
}

std::int32_t KvCache::take_page() {
  const std::int32_t page = free_.back();
  free_.pop_back();
  users_[static_cast<std::size_t>(page)] = 1;
  lost_from_[static_cast<std::size_t>(page)] = kPageTokens;
  return page;
}

void KvCache::mark_lost(int sequence, int position) {
  const Sequence& it = sequences_[index(sequence)];
  AGON_CHECK(position >= 0 && position < it.length);
  std::uint8_t& from = lost_from_[index(it.pages[index(position / kPageTokens)])];
  from = std::min(from, static_cast<std::uint8_t>(position % kPageTokens));
}

bool KvCache::has_lost(int sequence) const {
  const Sequence& it = sequences_[index(sequence)];
  for (std::size_t i = 0; i < it.pages.size(); ++i) {
    const int used = std::min(kPageTokens, it.length - static_cast<int>(i) * kPageTokens);
    if (lost_from_[index(it.pages[i])] < used) return true;
  }
  return false;
}

void KvCache::retain(std::int32_t page) {
  AGON_CHECK(users_[static_cast<std::size_t>(page)] > 0);
  ++users_[static_cast<std::size_t>(page)];
}

void KvCache::release(std::int32_t page) {
  AGON_CHECK(users_[static_cast<std::size_t>(page)] > 0);
  if (--users_[static_cast<std::size_t>(page)] == 0) free_.push_back(page);
}

int KvCache::open() {
  for (std::size_t i = 0; i < sequences_.size(); ++i) {
    if (sequences_[i].open) continue;
    sequences_[i] = {.open = true, .length = 0, .pages = {}};
    return static_cast<int>(i);
  }
  sequences_.push_back({.open = true, .length = 0, .pages = {}});
  return static_cast<int>(sequences_.size() - 1);
}

Result<int> KvCache::fork(int sequence, int length) {
  AGON_CHECK(length >= 0 && length <= this->length(sequence));
  const auto shared = static_cast<std::size_t>((length + kPageTokens - 1) / kPageTokens);
  const std::vector<std::int32_t> pages(sequences_[index(sequence)].pages);
  return adopt(std::span(pages).first(shared), length);
}

int KvCache::adopt(std::span<const std::int32_t> pages, int length) {
  AGON_CHECK(static_cast<int>(pages.size()) == (length + kPageTokens - 1) / kPageTokens);
  for (const std::int32_t page : pages) retain(page);
  const int result = open();
  sequences_[index(result)].pages.assign(pages.begin(), pages.end());
  sequences_[index(result)].length = length;
  return result;
}

void KvCache::close(int sequence) {
  Sequence& it = sequences_[index(sequence)];
  AGON_CHECK(it.open);
  for (const std::int32_t page : it.pages) release(page);
  it = {};
}

void KvCache::truncate(int sequence, int length) {
  Sequence& it = sequences_[index(sequence)];
  AGON_CHECK(length >= 0 && length <= it.length);
  const auto keep = static_cast<std::size_t>((length + kPageTokens - 1) / kPageTokens);
  while (it.pages.size() > keep) {
    release(it.pages.back());
    it.pages.pop_back();
  }
  it.length = length;
}

// A shared page that is only partly filled must be our own before it is written on.
bool KvCache::copies(const Sequence& it, int count) const {
  return count > 0 && it.length % kPageTokens != 0 && users_[static_cast<std::size_t>(it.pages.back())] > 1;
}

int KvCache::pages_for(int sequence, int count) const {
  const Sequence& it = sequences_[index(sequence)];
  AGON_CHECK(it.open && count >= 0);
  return (it.length + count + kPageTokens - 1) / kPageTokens - static_cast<int>(it.pages.size()) +
         (copies(it, count) ? 1 : 0);
}

Status KvCache::extend(int sequence, int count) {
  Sequence& it = sequences_[index(sequence)];
  AGON_CHECK(it.open && count >= 0);
  const auto wanted = static_cast<std::size_t>((it.length + count + kPageTokens - 1) / kPageTokens);
  const bool copy = copies(it, count);
  if (pages_for(sequence, count) > free_pages()) {
    return fail(fmt::format("the cache of {} tokens is full", users_.size() * kPageTokens));
  }
  if (copy) {
    const std::int32_t mine = take_page();
    for (AlignedBytes& layer : layers_) {
      std::memcpy(layer.data() + static_cast<std::size_t>(mine) * page_stride_,
                  layer.data() + static_cast<std::size_t>(it.pages.back()) * page_stride_, page_stride_);
    }
    lost_from_[index(mine)] = lost_from_[index(it.pages.back())];
    release(it.pages.back());
    it.pages.back() = mine;
  }
  if (count > 0 && it.length % kPageTokens != 0) {  // from here on it is written anew
    std::uint8_t& from = lost_from_[index(it.pages.back())];
    if (from >= it.length % kPageTokens) from = kPageTokens;
  }
  while (it.pages.size() < wanted) it.pages.push_back(take_page());
  it.length += count;
  return {};
}

}  // namespace agon::llm
