// Battles from CSV: cut into blocks, read on all threads. Internal to the readers of battles.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/file.h"
#include "agon/base/progress.h"
#include "agon/data/battle_csv_scan.h"
#include "agon/data/battle_part.h"

namespace agon::battle_parts {

/// Which columns mean what: their places in the header, kNoColumn where there is none.
struct BattleColumns {
  static constexpr std::size_t kNoColumn = static_cast<std::size_t>(-1);
  struct Code {
    std::string name;
    std::size_t at;
  };
  struct Style {
    std::string name;
    std::size_t a, b;
    bool asked;  ///< by name: what is no number is an Error
  };
  std::size_t width = 0;
  std::size_t first = kNoColumn, second = kNoColumn, winner = kNoColumn;
  std::size_t flag[3] = {kNoColumn, kNoColumn, kNoColumn};
  std::size_t weight = kNoColumn, time = kNoColumn;
  std::vector<Code> codes;
  std::vector<Style> style;
  std::size_t response_a = kNoColumn, response_b = kNoColumn;  ///< only when texts are asked for
  std::vector<char> wanted;                                    ///< by column
  bool bare = false;  ///< nothing but competitors and one winner column
};
/// An Error (without a file) says what is missing and what is there.
[[nodiscard]] Result<BattleColumns> find_columns(const std::vector<std::string>& header,
                                                 const ReadBattles& options);

/// Takes the bytes of one file in pieces and hands whole blocks to the builder.
///
/// A block is a fixed stretch of the file, and the records that begin in it are its own. In a stretch
/// without quotes a record begins behind every line end, so blocks are read at once on all threads and
/// each finds its own borders. As soon as a block has a quote in it, the borders of that group of blocks
/// are found one after the other by following the grammar, and then the blocks are read at once.
class BattleCsv {
 public:
  /// A block and the places of its separators stay in a core's second-level cache.
  static constexpr std::size_t kBlock = std::size_t{1} << 18;
  BattleCsv(const ReadBattles& options, BattleBuilder& builder, std::size_t block = kBlock)
      : options_(options), builder_(builder), block_(block) {}

  /// Reads what is whole in `bytes`, which begins where the last call stopped; returns how many bytes
  /// were used. With `last`, uses all. `bytes` has to grow until something can be used.
  [[nodiscard]] Result<std::size_t> feed(std::string_view bytes, bool last);
  [[nodiscard]] bool has_header() const { return has_header_; }
  /// Bytes used so far.
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  /// Drives feed() from a source.
  [[nodiscard]] Status read_all(ByteSource& source, const Progress& progress);
  /// The same from a plain file of known size: threads read their shares of it.
  [[nodiscard]] Status read_all(int fd, std::uint64_t size, const Progress& progress);

 private:
  struct Block {
    std::size_t begin, end;  // in the bytes at hand
  };
  Result<std::size_t> read_header(std::string_view bytes, bool last);
  std::vector<Block> line_blocks(std::string_view bytes, std::size_t at, bool last) const;
  std::vector<Block> exact_blocks(std::string_view bytes, std::size_t at, bool last) const;
  bool read_plain(std::string_view block, std::uint64_t offset, BattlePart& part) const;
  void read_exact(std::string_view block, std::uint64_t offset, BattlePart& part) const;
  void add_fault(const CsvSplit& split, std::string_view record, std::uint64_t offset,
                 BattlePart& part) const;
  template <class Fields>
  bool add_row(const Fields& field, BattlePart& part) const;
  template <class Fields>
  __attribute__((noinline)) bool add_full_row(const Fields& field, BattlePart& part) const;
  template <class Fields>
  __attribute__((noinline)) bool add_odd_row(const Fields& field, const BattleLabel& label,
                                             BattlePart& part) const;
  template <class Fields>
  Result<BattleLabel> read_flags(const Fields& field) const;
  bool bad_width(std::size_t fields, std::uint64_t byte, BattlePart& part) const;
  bool too_long(std::size_t bytes, BattlePart& part) const;

  const ReadBattles& options_;
  BattleBuilder& builder_;
  const std::size_t block_;
  BattleColumns columns_;
  std::uint64_t offset_ = 0;
  bool has_header_ = false, quoted_ = false, skipping_ = false;
  CsvRecordEnd skip_;
  std::vector<BattlePart> parts_;
};

}  // namespace agon::battle_parts
