// A Jinja template taken apart into words, to be recognised. Nothing here runs it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"

namespace agon::llm {

struct JinjaWord {
  enum class Kind : std::uint8_t {
    kString,    ///< A literal, unescaped; 'a' + 'b' counts as one literal 'ab'.
    kName,      ///< An identifier or keyword.
    kOperator,  ///< One character, or a number.
    kOutput,    ///< The start of {{ }}.
    kBlock,     ///< The start of {% %}.
    kText,      ///< Text outside of tags that is printed.
  };
  Kind kind;
  std::string text;

  [[nodiscard]] bool is(Kind k, std::string_view t) const { return kind == k && text == t; }
};

/// Words of a template. White space outside of tags is dropped as Jinja drops it with trim_blocks and
/// lstrip_blocks on (as chat templates are run); what remains is kText. Comments vanish. A tag or literal
/// without an end, or a template above 64 KiB, is an Error.
[[nodiscard]] Result<std::vector<JinjaWord>> read_jinja(std::string_view source);

}  // namespace agon::llm
