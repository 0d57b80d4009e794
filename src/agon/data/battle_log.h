// A file of battles that grows: what was appended since the last look.
//
//   AGON_ASSIGN(BattleLog log, BattleLog::open("votes.jsonl", {}));
//   for (;;) {
//     AGON_ASSIGN(const BattleLog::News news, log.poll());   // the first one reads what is there
//     if (news.battles > 0 || news.restarted) refit(log.battles());
//     ... wait
//   }
#pragma once

#include <memory>
#include <string>

#include "agon/base/error.h"
#include "agon/data/battles.h"

namespace agon {

/// JSON Lines or CSV, told by the first byte; a plain file, since an archive or a JSON array has no end to
/// append to. Only whole lines are read: a last line that is still being written waits for its line end (in
/// CSV, for the end of its quotes too).
class BattleLog {
 public:
  struct News {
    std::uint64_t battles = 0;  ///< read by this poll
    std::uint64_t skipped = 0;  ///< bad rows passed over by this poll (with skip_bad)
    /// The file became shorter, or another file took its name, or what was read of it was changed: all was
    /// read anew, and the competitors' numbers are new ones.
    bool restarted = false;
  };

  /// The file has to be there; it may be empty.
  [[nodiscard]] static Result<BattleLog> open(const std::string& path, const ReadBattles& options);
  ~BattleLog();
  BattleLog(BattleLog&&) noexcept;
  BattleLog& operator=(BattleLog&&) noexcept;

  /// Reads what was appended. A whole line that is bad is an Error that names its record, unless skip_bad; an
  /// Error is final, later calls give it again. A file that is gone for the moment (as while it is rotated)
  /// has no news.
  [[nodiscard]] Result<News> poll();
  /// All battles so far. `sources` has one entry, without a hash. Columns and styles that were asked for are
  /// there once a row had them. Holds until the next poll.
  [[nodiscard]] const BattleSet& battles() const;
  /// Bytes behind the last whole line read.
  [[nodiscard]] std::uint64_t offset() const;

 private:
  struct Impl;
  explicit BattleLog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace agon
