// Texts that the page is made of. Internal to page*.cpp.
#pragma once

#include <string_view>

namespace agon::serving {

[[nodiscard]] std::string_view playground_style();
[[nodiscard]] std::string_view playground_body();
[[nodiscard]] std::string_view playground_script();

}  // namespace agon::serving
