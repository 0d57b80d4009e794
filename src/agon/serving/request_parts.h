// Pieces that several kinds of requests are read from. Internal to request_*.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agon/serving/json_fields.h"
#include "agon/serving/requests.h"

namespace agon::serving {

/// "prompt" or "input": a string, a list of strings, a list of token numbers, or a list of such lists.
[[nodiscard]] std::vector<Prompt> read_prompts(Fields& fields, std::string_view name);
/// A list of token numbers (not negative).
[[nodiscard]] std::vector<llm::Token> read_tokens(Fields& fields, const std::string& name, const Json& list);
/// A conversation: roles, and contents that are strings or lists of text parts.
[[nodiscard]] std::vector<llm::ChatMessage> read_messages(Fields& fields, std::string_view name);
/// response_format, guided_* and structured_outputs; at most one of them may ask for something.
[[nodiscard]] ConstraintSpec read_constraint(Fields& fields);
/// Everything of GenerationBody but the log-probabilities, whose names differ.
void read_generation(Fields& fields, GenerationBody& body);

}  // namespace agon::serving
