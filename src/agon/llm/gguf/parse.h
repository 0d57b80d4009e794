// The header of a model file: from bytes to metadata and tensors, every number checked before it is used.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "agon/llm/gguf/file.h"

namespace agon::gguf {

/// What File holds; the tensors point into the bytes.
struct Contents {
  int version = 0;
  Metadata metadata;
  std::vector<Tensor> tensors;
};

/// See File::open; `name` stands for the file in errors.
[[nodiscard]] Result<Contents> parse_contents(std::span<const std::byte> bytes, const std::string& name);

/// A name from a file, fit for a terminal: cut, and without control characters or bytes beyond ASCII.
[[nodiscard]] std::string printable(std::string_view name);

}  // namespace agon::gguf
