// The verbs of the program; each registers itself and its options, and runs in a callback.
#pragma once

namespace CLI {
class App;
}

namespace agon {

/// `agon data ...`: what is in files of votes. Callbacks set `exit_code` (0 done, 1 bad data, 2 bad call).
void add_data_command(CLI::App& app, int& exit_code);

}  // namespace agon
