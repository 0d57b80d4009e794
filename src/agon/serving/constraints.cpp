#include "agon/serving/constraints.h"

#include <fmt/format.h>

#include "agon/llm/constrain/constraint.h"

namespace agon::serving {

ApiResult<std::shared_ptr<const llm::Constraint>> compile_constraint(const ConstraintSpec& spec,
                                                                     const llm::Tokenizer& tokenizer) {
  using Kind = ConstraintSpec::Kind;
  if (spec.kind == Kind::kNone) return nullptr;
  auto constraint = spec.kind == Kind::kJsonObject   ? llm::Constraint::any_json_object(tokenizer)
                    : spec.kind == Kind::kJsonSchema ? llm::Constraint::from_json_schema(spec.text, tokenizer)
                    : spec.kind == Kind::kRegex      ? llm::Constraint::from_regex(spec.text, tokenizer)
                                                     : llm::Constraint::from_choices(spec.choices, tokenizer);
  if (constraint) return std::move(*constraint);
  return refuse(spec.field, fmt::format("'{}': {}", spec.field, constraint.error().to_string()));
}

}  // namespace agon::serving
