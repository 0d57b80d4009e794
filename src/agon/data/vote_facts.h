// Plain facts about one vote that figures are sliced by and files are described by.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "agon/data/vote.h"

namespace agon {

/// Characters (code points) of UTF-8 text, and words: runs of anything but white space. In scripts
/// without spaces a sentence is one word, so compare words within a language only.
[[nodiscard]] std::size_t count_characters(std::string_view utf8);
[[nodiscard]] std::size_t count_words(std::string_view utf8);

/// All turns with a newline between.
[[nodiscard]] std::string joined(const Turns& turns);
/// True when no turn has anything but white space.
[[nodiscard]] bool is_blank(const Turns& turns);
/// The same texts, turn by turn; null turns count as empty.
[[nodiscard]] bool same_text(const Turns& a, const Turns& b);

/// Language of the prompt (text/language.h); when that says nothing, of the answers if they agree.
[[nodiscard]] std::string_view language_of(const Vote& vote);
/// A fenced block (``` or ~~~) in the prompt or an answer, or a prompt with three lines that end as
/// lines of code do or start with a keyword of a programming language.
[[nodiscard]] bool has_code(const Vote& vote);
/// Characters of both answers together.
[[nodiscard]] std::size_t answer_characters(const Vote& vote);

}  // namespace agon
