// What the streaming readers of this folder share: a window on a file that is topped up. Not for use
// elsewhere.
#pragma once

#include <cstdint>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/file.h"

namespace agon {

/// buffer[begin, end) is kept, `at` lies within it, `byte` is the offset in the file of buffer[0].
struct WindowEnds {
  std::size_t &begin, &at, &end;
  std::uint64_t& byte;
};
/// Moves what is kept to the front, doubles a full buffer and reads on; false at the end of the file.
[[nodiscard]] Result<bool> refill(ByteSource& source, std::vector<char>& buffer, const WindowEnds& window);

}  // namespace agon
