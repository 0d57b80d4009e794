// JSON Schemas as networks.
#pragma once

#include <string_view>

#include "agon/base/error.h"
#include "agon/llm/constrain/network.h"

namespace agon::llm::constrain {

/// Adds the JSON texts under a schema to an empty network, as rule 0. docs/engine.md lists the keywords;
/// others are refused with their JSON pointer.
[[nodiscard]] Status add_json_schema(Network& network, std::string_view schema);

}  // namespace agon::llm::constrain
