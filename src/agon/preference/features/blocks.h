// The built-in blocks; one .cpp each.
#pragma once

#include "agon/preference/features/block.h"

namespace agon {

[[nodiscard]] const TextBlock& length_block();  ///< how long, in every unit
[[nodiscard]] const TextBlock&
structure_block();  ///< Markdown: headers, lists, code, tables, formulas, links
[[nodiscard]] const TextBlock& character_block();   ///< punctuation, digits, case, script
[[nodiscard]] const TextBlock& tone_block();        ///< refusals, hedges, courtesies, persons
[[nodiscard]] const TextBlock& overlap_block();     ///< with the prompt, and of A with B
[[nodiscard]] const TextBlock& repetition_block();  ///< repeated words, pairs, phrases and lines
[[nodiscard]] const TextBlock& turns_block();       ///< turns, empty and null answers, answers cut off
[[nodiscard]] const TextBlock&
prompt_block();  ///< what is asked, and how that changes what length and lists mean

}  // namespace agon
