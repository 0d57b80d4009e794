#include "agon/serving/constraints.h"

#include <fmt/format.h>

#include <algorithm>

#include "agon/llm/constrain/constraint.h"

namespace agon::serving {

std::shared_ptr<const llm::Constraint> Constraints::find(const ConstraintSpec& spec,
                                                         const llm::Tokenizer& tokenizer) {
  const auto found = std::ranges::find_if(kept_, [&](const Kept& it) {
    return it.tokenizer == &tokenizer && it.spec.kind == spec.kind && it.spec.text == spec.text &&
           it.spec.choices == spec.choices;
  });
  if (found == kept_.end()) return nullptr;
  kept_.splice(kept_.begin(), kept_, found);
  return found->constraint;
}

ApiResult<std::shared_ptr<const llm::Constraint>> Constraints::compile(const ConstraintSpec& spec,
                                                                       const llm::Tokenizer& tokenizer) {
  using Kind = ConstraintSpec::Kind;
  if (spec.kind == Kind::kNone) return nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (auto kept = find(spec, tokenizer)) return kept;
  }
  // Not under the lock: it may take a while, and others need not wait for it.
  auto constraint = spec.kind == Kind::kJsonObject   ? llm::Constraint::any_json_object(tokenizer)
                    : spec.kind == Kind::kJsonSchema ? llm::Constraint::from_json_schema(spec.text, tokenizer)
                    : spec.kind == Kind::kRegex      ? llm::Constraint::from_regex(spec.text, tokenizer)
                                                     : llm::Constraint::from_choices(spec.choices, tokenizer);
  if (!constraint)
    return refuse(spec.field, fmt::format("'{}': {}", spec.field, constraint.error().to_string()));
  std::list<Kept> gone;  // destroyed after the lock is let go
  const std::lock_guard lock(mutex_);
  if (auto kept = find(spec, tokenizer)) return kept;  // another request was as fast
  kept_.push_front({&tokenizer, spec, *constraint});
  if (kept_.size() > kKept) gone.splice(gone.begin(), kept_, std::prev(kept_.end()));
  return std::move(*constraint);
}

}  // namespace agon::serving
