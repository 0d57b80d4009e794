// Progress of long work: a line that updates on a terminal, nothing in a pipe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace agon {

/// Called with a stage ("features", "fold 3 of 5"), the part done and the whole (0 when unknown).
/// Every library function that may take long takes one; an empty function means silence.
using Progress = std::function<void(std::string_view stage, std::uint64_t done, std::uint64_t total)>;

/// Progress on standard error with rate and time left: empty unless standard error is a terminal.
[[nodiscard]] Progress terminal_progress();
/// Clears the line; call before other output.
void finish_progress();

}  // namespace agon
