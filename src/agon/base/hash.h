// Content hashes: XXH3 for tables and caches, SHA-256 for what people compare by eye.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agon/base/error.h"

namespace agon {

/// 64-bit XXH3; stable across machines and versions.
[[nodiscard]] std::uint64_t hash64(std::string_view bytes, std::uint64_t seed = 0);
/// SHA-256 as 64 lower-case hex digits.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);
/// The same of a file's bytes as they lie on disk (not decompressed), as `sha256sum` prints it.
[[nodiscard]] Result<std::string> sha256_file(const std::string& path);

}  // namespace agon
