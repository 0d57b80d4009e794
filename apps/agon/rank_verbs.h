// The verbs below `agon rank`; each registers itself and its options.
#pragma once

namespace CLI {
class App;
}

namespace agon {

/// `agon rank watch`: a board that follows a file of votes as it grows.
void add_rank_watch(CLI::App& rank, int& exit_code);

}  // namespace agon
