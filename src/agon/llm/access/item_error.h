// Errors about one of many items: see LanguageModel.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <utility>

#include "agon/base/error.h"

namespace agon::llm {

/// `error` about a part of item number `item`, from 0.
[[nodiscard]] inline std::unexpected<Error> about(std::size_t item, std::string part, Error error) {
  error.row = item + 1;
  error.column = std::move(part);
  return std::unexpected(std::move(error));
}

}  // namespace agon::llm
