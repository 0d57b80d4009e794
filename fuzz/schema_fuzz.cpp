// JSON Schemas by strangers: refused, or compiled to an automaton that writes nothing but JSON. The first
// byte of an input decides whether it is a schema or choices, one a line.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "agon/base/check.h"
#include "agon/llm/constrain/constraint.h"
#include "agon/llm/constrain/test_vocabulary.h"
#include "agon/text/utf8.h"
#include "walk_constraint.h"

using namespace agon;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 4000) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  std::vector<std::string> choices;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    choices.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  const bool json = data[0] != 'c';
  const auto constraint = json ? llm::Constraint::from_json_schema(text, fuzz::constraint_tokenizer())
                               : llm::Constraint::from_choices(choices, fuzz::constraint_tokenizer());
  if (!constraint) {
    AGON_CHECK(!constraint.error().message.empty() && is_valid_utf8(constraint.error().to_string()));
    return 0;
  }
  for (std::uint64_t seed = 0; seed < 2; ++seed) {
    bool whole = false;
    const std::string written = fuzz::walk_constraint(**constraint, seed, seed == 0, &whole);
    if (json && whole) AGON_CHECK(nlohmann::json::accept(written));
    if (!json && whole) AGON_CHECK(std::ranges::find(choices, written) != choices.end());
  }
  return 0;
}
