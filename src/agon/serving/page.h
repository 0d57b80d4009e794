// The page at /: try a model by hand and see how sure it was of each token. One file, no outside resources.
#pragma once

#include <string_view>

namespace agon::serving {

[[nodiscard]] std::string_view playground_page();

}  // namespace agon::serving
