// What encoding needs beside the vocabulary: buffers that are reused, and a cache of words.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "agon/llm/tokenizer/byte_text.h"
#include "agon/llm/tokenizer/special_matcher.h"
#include "agon/llm/tokenizer/tokenizer.h"

namespace agon::llm {

/// Tokens that are appended one word at a time; grows a vector without filling it word by word.
class TokenSink {
 public:
  explicit TokenSink(std::vector<Token>& out) : out_(out), size_(out.size()) {}
  ~TokenSink() { out_.resize(size_); }
  TokenSink(const TokenSink&) = delete;
  TokenSink& operator=(const TokenSink&) = delete;

  void push(Token token) { *room(1) = token, ++size_; }
  /// Room for `count` more tokens; add() says how many were written.
  Token* room(std::size_t count) {
    if (out_.size() < size_ + count) out_.resize(2 * out_.size() + count + 64);
    return out_.data() + size_;
  }
  void add(std::size_t count) { size_ += count; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] Token at(std::size_t i) const { return out_[i]; }
  void cut(std::size_t size) { size_ = size; }
  Token* data() { return out_.data(); }

 private:
  std::vector<Token>& out_;
  std::size_t size_;
};

/// Tokens of words of up to 31 bytes and 7 tokens: one cache line each, in the place their hash gives; a
/// newer word drives an older one out. It only saves time: tokens are the same with and without it.
class WordCache {
 public:
  struct alignas(64) Slot {
    std::array<std::uint64_t, 4> key{};  ///< The bytes, zeros, and the length in the last byte.
    std::array<Token, 7> tokens{};
    std::uint32_t count = 0;
  };
  static constexpr std::size_t kLongestWord = 31, kMostTokens = 7;

  /// The slot for `word` (1 to 31 bytes); `hit` when it holds the word's tokens. `readable` says that 32
  /// bytes may be read from where the word begins.
  Slot& find(std::string_view word, bool readable, bool& hit) {
    if (misses_ >= slots_.size()) grow();
    std::array<std::uint64_t, 4> key{};
    if (readable) {
      std::memcpy(key.data(), word.data(), 32);
      const std::size_t bits = 8 * word.size();
      for (std::size_t i = 0; i < 4; ++i)
        key[i] &= bits >= 64 * (i + 1) ? ~std::uint64_t{0}
                  : bits <= 64 * i     ? 0
                                       : ~std::uint64_t{0} >> (64 * (i + 1) - bits);
    } else {
      std::memcpy(key.data(), word.data(), word.size());
    }
    key[3] |= std::uint64_t{word.size()} << 56;
    const std::uint64_t hash = mix64(key[0] ^ key[2] * 0xC2B2AE3D27D4EB4Fu, key[1] ^ key[3]);
    Slot& slot = slots_[(hash ^ hash >> 32) & (slots_.size() - 1)];
    hit = slot.key == key;
    if (!hit) {
      ++misses_;
      slot.key = key;
      slot.count = 0;
    }
    return slot;
  }
  /// The slot's word has other than 0 to 7 tokens: forget it.
  static void forget(Slot& slot) { slot.key = {}; }

 private:
  static constexpr std::size_t kMostSlots = std::size_t{1} << 14;  // 1 MiB, about a core's own cache
  // Short texts need few slots: begins with 16 KiB and grows with the words it did not know.
  void grow() {
    misses_ = 0;
    const std::size_t size = slots_.empty() ? 256 : std::min(8 * slots_.size(), kMostSlots);
    if (size == slots_.size()) return;
    slots_.clear();
    slots_.resize(size);
  }
  std::vector<Slot> slots_;
  std::size_t misses_ = 0;
};

/// A part of a word while pairs of parts are merged.
struct MergePart {
  std::uint32_t id = 0;  ///< Of the symbol (byte-level BPE), or where it begins (SentencePiece).
  std::uint32_t bytes = 0;
  std::int32_t previous = -1, next = -1;
};

/// A pair that may be merged. Greater is sooner.
struct MergeCandidate {
  float score = 0;         ///< Greater first (SentencePiece).
  std::uint32_t rank = 0;  ///< Smaller first (byte-level BPE).
  std::int32_t left = 0, right = 0;
  std::uint32_t left_state = 0, right_state = 0;  ///< id or bytes of the parts when the pair was found.
  std::uint32_t merged = 0;

  friend bool operator<(const MergeCandidate& a, const MergeCandidate& b) {
    if (a.score != b.score) return a.score < b.score;
    if (a.rank != b.rank) return a.rank > b.rank;
    return a.left > b.left;
  }
};

struct EncodeScratch {
  WordCache cache;
  std::string text, encoded;
  std::vector<MergePart> parts;
  std::vector<MergeCandidate> heap;
  std::vector<Fragment> fragments;
  std::vector<std::uint32_t> seen;
};

/// Hands out scratch to callers on any thread.
class ScratchPool {
 public:
  class Lease {
   public:
    Lease(ScratchPool& pool, std::unique_ptr<EncodeScratch> scratch)
        : pool_(pool), scratch_(std::move(scratch)) {}
    ~Lease() { pool_.give_back(std::move(scratch_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    EncodeScratch& operator*() { return *scratch_; }

   private:
    ScratchPool& pool_;
    std::unique_ptr<EncodeScratch> scratch_;
  };
  [[nodiscard]] Lease take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return {*this, std::make_unique<EncodeScratch>()};
    auto scratch = std::move(free_.back());
    free_.pop_back();
    return {*this, std::move(scratch)};
  }

 private:
  void give_back(std::unique_ptr<EncodeScratch> scratch);
  std::mutex mutex_;
  std::vector<std::unique_ptr<EncodeScratch>> free_;
};

}  // namespace agon::llm
