// Battles from JSON: votes, arena-hard games, alpaca_eval preferences, pair counts. Internal to the
// readers of battles.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/file.h"
#include "agon/base/progress.h"
#include "agon/data/battle_part.h"

namespace agon::battle_parts {

/// Reads one record (a JSON object) into a part, whatever form it has. Not for use by two threads.
class BattleRecord {
 public:
  explicit BattleRecord(const ReadBattles& options);
  ~BattleRecord();
  BattleRecord(BattleRecord&&) noexcept;
  BattleRecord& operator=(BattleRecord&&) = delete;
  /// Counts the record; false when the reading of this part ends with it.
  bool read(std::string_view json, BattlePart& part);
  /// "JSON votes", "arena-hard games", "pair counts" ...: what the record seems to be, empty when it is none.
  [[nodiscard]] std::string_view form_of(std::string_view json);
  /// Names of the record's fields.
  [[nodiscard]] std::vector<std::string> fields_of(std::string_view json);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Records for several threads at once: each borrows one.
class BattleRecordPool {
 public:
  explicit BattleRecordPool(const ReadBattles& options) : options_(options) {}
  [[nodiscard]] BattleRecord borrow();
  void give_back(BattleRecord record);

 private:
  const ReadBattles& options_;
  std::mutex mutex_;
  std::vector<BattleRecord> idle_;
};

/// Takes the bytes of a JSON Lines file in pieces, as BattleCsv does of a CSV: for files that grow.
class BattleJsonLines {
 public:
  BattleJsonLines(const ReadBattles& options, BattleBuilder& builder)
      : options_(options), builder_(builder), pool_(options) {}
  /// Reads the whole lines in `bytes`, which begins where the last call stopped; returns how many bytes were
  /// used. `bytes` has to grow until something can be used.
  [[nodiscard]] Result<std::size_t> feed(std::string_view bytes);

 private:
  void read_block(std::string_view block, BattleRecord& record, BattlePart& part) const;

  const ReadBattles& options_;
  BattleBuilder& builder_;
  BattleRecordPool pool_;
  std::vector<BattlePart> parts_;
  bool skipping_ = false;
};

/// {"models": [...], "X": [[i, j], ...], "Y": [[wins of i, wins of j, ties, both bad], ...]}.
[[nodiscard]] Status read_pair_counts(std::string json, BattleBuilder& builder);

/// JSON Lines or a JSON array; a file that is one object of pair counts as well.
[[nodiscard]] Status read_json_battles(std::unique_ptr<ByteSource> source, const ReadBattles& options,
                                       BattleBuilder& builder, const Progress& progress);

}  // namespace agon::battle_parts
