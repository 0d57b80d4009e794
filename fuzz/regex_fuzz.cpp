// Regular expressions by strangers: refused, or compiled to an automaton in which every token that is allowed
// leads on, and every text comes to an end.
#include <string>

#include "agon/base/check.h"
#include "agon/llm/constrain/constraint.h"
#include "agon/llm/constrain/test_vocabulary.h"
#include "agon/text/utf8.h"
#include "walk_constraint.h"

using namespace agon;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 2000) return 0;
  const auto constraint =
      llm::Constraint::from_regex({reinterpret_cast<const char*>(data), size}, fuzz::constraint_tokenizer());
  if (!constraint) {
    AGON_CHECK(!constraint.error().message.empty() && is_valid_utf8(constraint.error().to_string()));
    return 0;
  }
  for (std::uint64_t seed = 0; seed < 2; ++seed)
    AGON_CHECK(is_valid_utf8(fuzz::walk_constraint(**constraint, seed, seed == 0)));
  return 0;
}
