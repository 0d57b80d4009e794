// The verbs below `agon rank`; each registers itself and its options.
#pragma once

namespace CLI {
class App;
}

namespace agon {

/// `agon rank check`: are these votes fit to rank from? Exit code 1 when no finite ratings exist.
void add_rank_check(CLI::App& rank, int& exit_code);
/// `agon rank next`: which pairs to ask about next, and what it would buy.
void add_rank_next(CLI::App& rank, int& exit_code);
/// `agon rank powered`: narrower intervals by predictions on battles without votes.
void add_rank_powered(CLI::App& rank, int& exit_code);
/// `agon rank watch`: a board that follows a file of votes as it grows.
void add_rank_watch(CLI::App& rank, int& exit_code);

}  // namespace agon
