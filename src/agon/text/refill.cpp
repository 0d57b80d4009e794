#include "agon/text/refill.h"

#include <cstring>

namespace agon {

Result<bool> refill(ByteSource& source, std::vector<char>& buffer, const WindowEnds& window) {
  if (window.begin > 0) {
    std::memmove(buffer.data(), buffer.data() + window.begin, window.end - window.begin);
    window.byte += window.begin;
    window.at -= window.begin;
    window.end -= window.begin;
    window.begin = 0;
  }
  if (window.end == buffer.size()) buffer.resize(2 * buffer.size());
  AGON_ASSIGN(const std::size_t got, source.read(buffer.data() + window.end, buffer.size() - window.end));
  window.end += got;
  return got != 0;
}

}  // namespace agon
