// What all verbs of `agon rank` share: files of votes, the columns in them, what to do with bad rows.
#pragma once

#include <string>
#include <vector>

#include "agon/base/progress.h"
#include "agon/data/battles.h"
#include "agon/ranking/paired_model.h"
#include "common.h"

namespace CLI {
class App;
}

namespace agon {

/// The command line is wrong: exit code 2.
[[nodiscard]] std::unexpected<Error> bad_call(std::string message, std::string expected);

struct RankInput {
  std::vector<std::string> files;
  ReadBattles read;
  CommonOptions common;

  [[nodiscard]] Progress progress() const;
};

/// Adds the files and these options to a verb. `required`: the files are.
void add_input_options(CLI::App& verb, RankInput& input, bool required = true);
/// --tie, into `ties`, which must outlive the parsing.
void add_tie_option(CLI::App& verb, TieModel& ties);
/// Sets the threads, reads the files, and says on standard error what was skipped.
[[nodiscard]] Result<BattleSet> read_input(const RankInput& input);
/// Files with their votes and hashes; program, seed, command.
[[nodiscard]] Facts rank_facts(const BattleSet& set, const CommonOptions& options);

}  // namespace agon
