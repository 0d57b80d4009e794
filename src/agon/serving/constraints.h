// From what a request asks an answer to be, to what the engine makes of it.
#pragma once

#include <memory>

#include "agon/llm/tokenizer/tokenizer.h"
#include "agon/serving/api_error.h"
#include "agon/serving/requests.h"

namespace agon::llm {
class Constraint;
}

namespace agon::serving {

/// Null for kNone. An error names the field of the request.
[[nodiscard]] ApiResult<std::shared_ptr<const llm::Constraint>> compile_constraint(
    const ConstraintSpec& spec, const llm::Tokenizer& tokenizer);

}  // namespace agon::serving
