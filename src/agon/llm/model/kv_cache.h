// Keys and values of sequences, in pages of sixteen positions that sequences may share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "agon/base/error.h"
#include "agon/llm/kernels/kernels.h"
#include "agon/llm/kernels/memory.h"
#include "agon/llm/model/config.h"

namespace agon::llm {

/// Head sizes as the kernels take them: filled up with zeros to a multiple of 16.
[[nodiscard]] constexpr int padded_head(int length) { return (length + 15) / 16 * 16; }

/// A pool of pages and the sequences that use them. A page that several sequences share is never written: a
/// sequence that goes on from the middle of one gets its own copy first. Not thread-safe; reading pages is.
class KvCache {
 public:
  /// Room for `tokens` positions in all (filled up to whole pages). Memory is taken from the system as it is
  /// used. An error when `type` does not fit the heads (kQ8_0 needs multiples of 32).
  static Result<KvCache> create(const ModelConfig& config, CacheType type, int tokens);

  /// A new, empty sequence.
  [[nodiscard]] int open();
  /// A new sequence that begins with the first `length` positions of another, sharing its pages.
  [[nodiscard]] Result<int> fork(int sequence, int length);
  /// A new sequence of `length` positions that lie in these pages, which it shares with whoever holds them.
  [[nodiscard]] int adopt(std::span<const std::int32_t> pages, int length);
  void close(int sequence);
  /// Forgets what lies beyond `length` positions.
  void truncate(int sequence, int length);
  /// Makes room for `count` more positions and counts them as there; an error when the pool is used up, which
  /// leaves the sequence as it was.
  [[nodiscard]] Status extend(int sequence, int count);
  /// Free pages that extend(sequence, count) takes.
  [[nodiscard]] int pages_for(int sequence, int count) const;

  /// What the model computed at this position is not finite, and so nothing that sees it is to be trusted.
  /// Known with the page, whoever shares it, until the position is written again.
  void mark_lost(int sequence, int position);
  [[nodiscard]] bool has_lost(int sequence) const;

  /// Holds a page of some sequence beyond the sequence's life, until it is released as often.
  void retain(std::int32_t page);
  void release(std::int32_t page);

  [[nodiscard]] int length(int sequence) const { return sequences_[index(sequence)].length; }
  [[nodiscard]] std::span<const std::int32_t> pages(int sequence) const {
    return sequences_[index(sequence)].pages;
  }
  [[nodiscard]] int free_pages() const { return static_cast<int>(free_.size()); }
  [[nodiscard]] int page_count() const { return static_cast<int>(users_.size()); }

  [[nodiscard]] CacheType type() const { return type_; }
  [[nodiscard]] std::size_t page_stride() const { return page_stride_; }
  /// Bytes of one position in all layers.
  [[nodiscard]] std::size_t token_bytes() const { return page_stride_ * layers_.size() / kPageTokens; }
  /// Keys (values) of one head in page 0 of a layer.
  [[nodiscard]] std::uint8_t* keys(int layer, int head) { return base(layer) + offset(head); }
  [[nodiscard]] std::uint8_t* values(int layer, int head) { return base(layer) + offset(head) + key_bytes_; }

 private:
  struct Sequence {
    bool open = false;
    int length = 0;
    std::vector<std::int32_t> pages;
  };
  KvCache() = default;
  [[nodiscard]] static std::size_t index(int sequence) { return static_cast<std::size_t>(sequence); }
  [[nodiscard]] std::uint8_t* base(int layer) { return layers_[static_cast<std::size_t>(layer)].data(); }
  [[nodiscard]] std::size_t offset(int head) const {
    return static_cast<std::size_t>(head) * (key_bytes_ + value_bytes_);
  }
  [[nodiscard]] std::int32_t take_page();
  // Is the last page, partly filled and shared, to be copied before `count` positions are written?
  [[nodiscard]] bool copies(const Sequence& it, int count) const;

  CacheType type_ = CacheType::kF16;
  std::size_t key_bytes_ = 0, value_bytes_ = 0, page_stride_ = 0;
  std::vector<AlignedBytes> layers_;
  std::vector<std::int32_t> users_;      // how many sequences and holders use a page
  std::vector<std::uint8_t> lost_from_;  // by page: its first slot that is lost, kPageTokens if none is
  std::vector<std::int32_t> free_;
  std::vector<Sequence> sequences_;
};

}  // namespace agon::llm
