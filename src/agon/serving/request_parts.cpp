#include "agon/serving/request_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "agon/llm/engine/service.h"

namespace agon::serving {
namespace {

constexpr std::int64_t kMaxTokens = 1 << 27;

std::string dumped(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

// A schema: an object, true or false, or (as vLLM takes it too) a string that holds one.
std::string schema_text(Fields& fields, std::string_view name, const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_object() && !value.is_boolean())
    fields.complain(name, fmt::format("{} where a JSON schema was expected", json_kind(value)));
  return dumped(value);
}

class ConstraintReader {
 public:
  explicit ConstraintReader(Fields& fields) : fields_(fields) {}

  void json(Fields& fields, std::string_view name) {
    if (const Json* value = fields.find(name))
      set(fields, name,
          {.kind = ConstraintSpec::Kind::kJsonSchema, .text = schema_text(fields, name, *value)});
  }
  void regex(Fields& fields, std::string_view name) {
    if (fields.has(name))
      set(fields, name, {.kind = ConstraintSpec::Kind::kRegex, .text = fields.text(name)});
  }
  void choice(Fields& fields, std::string_view name) {
    const Json* value = fields.find(name);
    if (value == nullptr) return;
    if (!value->is_array() || value->empty())
      return fields.complain(name, fmt::format("{} where a list of at least one string was expected",
                                               value->is_array() ? "an empty list" : json_kind(*value)));
    set(fields, name, {.kind = ConstraintSpec::Kind::kChoice, .choices = fields.texts(name, kMaxTexts)});
  }
  void json_object(Fields& fields, std::string_view name) {
    if (fields.flag(name, false)) set(fields, name, {.kind = ConstraintSpec::Kind::kJsonObject});
  }
  void response_format(std::string_view name) {
    const Json* value = fields_.find(name);
    if (value == nullptr) return;
    if (!value->is_object())
      return fields_.complain(name, fmt::format("{} where an object was expected", json_kind(*value)));
    Fields format(*value, fields_.path_of(name) + ".");
    const std::string type = format.text("type");
    if (type == "json_object") {
      set(fields_, name, {.kind = ConstraintSpec::Kind::kJsonObject});
    } else if (type == "json_schema") {
      read_schema(format);
    } else if (type != "text") {
      format.complain("type", fmt::format("'{}' (expected text, json_object or json_schema)", type));
    }
    pass_on(format);
  }
  void structured_outputs(std::string_view name) {
    const Json* value = fields_.find(name);
    if (value == nullptr) return;
    if (!value->is_object())
      return fields_.complain(name, fmt::format("{} where an object was expected", json_kind(*value)));
    Fields outputs(*value, fields_.path_of(name) + ".");
    json(outputs, "json");
    regex(outputs, "regex");
    choice(outputs, "choice");
    json_object(outputs, "json_object");
    outputs.unsupported("grammar", nullptr, "use json, regex or choice");
    outputs.unsupported("structural_tag", nullptr, "use json, regex or choice");
    pass_on(outputs);
  }
  [[nodiscard]] ConstraintSpec take() { return std::move(spec_); }

 private:
  void read_schema(Fields& format) {
    const Json* value = format.find("json_schema");
    if (value == nullptr || !value->is_object())
      return format.complain("json_schema", "missing (expected {\"name\", \"schema\"})");
    Fields inner(*value, format.path_of("json_schema") + ".");
    inner.harmless("name");
    inner.harmless("description");
    (void)inner.flag("strict", true);  // an answer follows the schema either way
    if (const Json* schema = inner.find("schema"))
      set(inner, "schema",
          {.kind = ConstraintSpec::Kind::kJsonSchema, .text = schema_text(inner, "schema", *schema)});
    else
      inner.complain("schema", "missing (expected a JSON schema)");
    pass_on(inner);
  }
  void pass_on(Fields& inner) {
    if (auto end = inner.finish(); !end) fields_.complain(std::move(end.error()));
  }
  void set(Fields& fields, std::string_view name, ConstraintSpec spec) {
    spec.field = fields.path_of(name);
    if (spec_.kind != ConstraintSpec::Kind::kNone)
      return fields.complain(
          name, fmt::format("'{}' asks for another form already (expected one of them)", spec_.field));
    spec_ = std::move(spec);
  }

  Fields& fields_;
  ConstraintSpec spec_;
};

std::string read_content(Fields& message, std::string_view name) {
  const Json* value = message.find(name);
  if (value == nullptr) {
    message.complain(name, "missing (expected a string)");
    return {};
  }
  if (value->is_string()) return value->get<std::string>();
  if (!value->is_array()) {
    message.complain(name, fmt::format("{} where a string was expected", json_kind(*value)));
    return {};
  }
  std::string text;
  for (std::size_t i = 0; i < value->size(); ++i) {
    const std::string at = fmt::format("{}[{}]", name, i);
    const Json& one = (*value)[i];
    if (!one.is_object()) {
      message.complain(at, fmt::format("{} where an object was expected", json_kind(one)));
      return {};
    }
    Fields part(one, message.path_of(at) + ".");
    if (const std::string type = part.text("type"); type != "text")
      part.complain("type", fmt::format("parts of type '{}' are not supported (expected text)", type));
    if (!part.has("text")) part.complain("text", "missing (expected a string)");
    text += part.text("text");
    if (auto end = part.finish(); !end) {
      message.complain(std::move(end.error()));
      return {};
    }
  }
  return text;
}

}  // namespace

std::vector<llm::Token> read_tokens(Fields& fields, const std::string& name, const Json& list) {
  std::vector<llm::Token> tokens;
  tokens.reserve(list.size());
  for (const Json& one : list) {
    if (!one.is_number_integer() || one.get<double>() < 0 ||
        one.get<double>() > std::numeric_limits<llm::Token>::max()) {
      fields.complain(fmt::format("{}[{}]", name, tokens.size()),
                      one.is_number_integer()
                          ? "no token has this number"
                          : fmt::format("{} where a token's number was expected", json_kind(one)));
      return {};
    }
    tokens.push_back(one.get<llm::Token>());
  }
  return tokens;
}

std::vector<Prompt> read_prompts(Fields& fields, std::string_view name) {
  const std::string field(name);
  const Json* value = fields.find(name);
  if (value == nullptr) {
    fields.complain(name, "missing (expected a string, a list of strings, or lists of token numbers)");
    return {};
  }
  if (value->is_string()) return {value->get<std::string>()};
  if (!value->is_array()) {
    fields.complain(name, fmt::format("{} where a string or a list was expected", json_kind(*value)));
    return {};
  }
  if (value->empty()) {
    fields.complain(name, "an empty list (expected at least one text)");
    return {};
  }
  if (value->front().is_number()) return {read_tokens(fields, field, *value)};
  if (value->size() > kMaxTexts) {
    fields.complain(name, fmt::format("{} texts (expected at most {})", value->size(), kMaxTexts));
    return {};
  }
  std::vector<Prompt> prompts;
  for (const Json& one : *value) {
    const std::string at = fmt::format("{}[{}]", name, prompts.size());
    if (one.is_string()) {
      prompts.emplace_back(one.get<std::string>());
    } else if (one.is_array()) {
      prompts.emplace_back(read_tokens(fields, at, one));
    } else {
      fields.complain(
          at, fmt::format("{} where a string or a list of token numbers was expected", json_kind(one)));
      return {};
    }
  }
  return prompts;
}

std::vector<llm::ChatMessage> read_messages(Fields& fields, std::string_view name) {
  const Json* value = fields.find(name);
  if (value == nullptr || !value->is_array() || value->empty()) {
    fields.complain(name, "missing or empty (expected a list of {\"role\", \"content\"})");
    return {};
  }
  std::vector<llm::ChatMessage> messages;
  for (const Json& one : *value) {
    const std::string at = fmt::format("{}[{}]", name, messages.size());
    if (!one.is_object()) {
      fields.complain(at, fmt::format("{} where an object was expected", json_kind(one)));
      return {};
    }
    Fields message(one, fields.path_of(at) + ".");
    llm::ChatMessage read;
    read.role = message.text("role");
    if (read.role == "developer") read.role = "system";  // OpenAI's newer name for it
    if (read.role != "system" && read.role != "user" && read.role != "assistant")
      message.complain("role", fmt::format("'{}' is not supported (expected system, developer, user or "
                                           "assistant)",
                                           read.role));
    read.content = read_content(message, "content");
    message.unsupported("name", nullptr, "chat templates have no place for it");
    message.unsupported("tool_calls", Json::array(), "there are no tools");
    message.unsupported("tool_call_id", nullptr, "there are no tools");
    message.unsupported("function_call", nullptr, "there are no tools");
    message.unsupported("refusal", nullptr, "chat templates have no place for it");
    message.unsupported("audio", nullptr, "only text is");
    message.unsupported("annotations", Json::array(), "chat templates have no place for them");
    message.unsupported("reasoning_content", "", "thoughts are not given back to the model");
    if (auto end = message.finish(); !end) {
      fields.complain(std::move(end.error()));
      return {};
    }
    messages.push_back(std::move(read));
  }
  return messages;
}

ConstraintSpec read_constraint(Fields& fields) {
  ConstraintReader reader(fields);
  reader.response_format("response_format");
  reader.json(fields, "guided_json");
  reader.regex(fields, "guided_regex");
  reader.choice(fields, "guided_choice");
  reader.structured_outputs("structured_outputs");
  fields.unsupported("guided_grammar", nullptr, "use guided_json, guided_regex or guided_choice");
  fields.unsupported("guided_decoding_backend", nullptr, "there is one");
  fields.unsupported("guided_whitespace_pattern", nullptr, "JSON is written compactly");
  return reader.take();
}

void read_generation(Fields& fields, GenerationBody& body) {
  body.model = fields.text("model");
  llm::SamplerOptions& s = body.sampler;
  s.temperature = fields.number("temperature", 1.0, 0, 2);
  s.top_p = fields.number("top_p", 1.0, 1e-9, 1);
  s.min_p = fields.number("min_p", 0.0, 0, 1);
  s.top_k = static_cast<int>(fields.integer("top_k", -1, 1 << 24).value_or(0));
  s.top_k = std::max(s.top_k, 0);  // -1 is vLLM's word for all
  s.presence_penalty = fields.number("presence_penalty", 0, -2, 2);
  s.frequency_penalty = fields.number("frequency_penalty", 0, -2, 2);
  s.repetition_penalty = fields.number("repetition_penalty", 1, 0.01, 100);
  s.repeat_last = -1;  // as vLLM counts: prompt and answer, all of them
  if (const auto seed = fields.integer("seed", std::numeric_limits<std::int64_t>::min(),
                                       std::numeric_limits<std::int64_t>::max())) {
    s.seed = static_cast<std::uint64_t>(*seed);
    body.has_seed = true;
  }
  if (const Json* bias = fields.find("logit_bias")) {
    if (!bias->is_object()) {
      fields.complain("logit_bias",
                      fmt::format("{} where an object of token numbers was expected", json_kind(*bias)));
    } else {
      if (bias->size() > llm::kMaxLogitBiases)
        fields.complain("logit_bias",
                        fmt::format("{} tokens (expected at most {})", bias->size(), llm::kMaxLogitBiases));
      for (const auto& [name, value] : bias->items()) {
        if (!fields.good()) break;
        const std::string at = fmt::format("logit_bias.{}", name.substr(0, 40));
        const bool digits =
            !name.empty() && name.size() <= 9 && (name.size() == 1 || name[0] != '0') &&
            std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
        if (!digits) {
          fields.complain(at, "this is no token's number");
          break;
        }
        if (!value.is_number() || !(value.get<double>() >= -100 && value.get<double>() <= 100)) {
          fields.complain(at, "out of range (expected a number from -100 to 100)");
          break;
        }
        s.logit_bias.push_back({static_cast<llm::Token>(std::stol(name)), value.get<double>()});
      }
    }
  }
  body.stop = fields.texts("stop", kMaxStops);
  for (const std::string& stop : body.stop)
    if (stop.size() > llm::kMaxStopBytes)
      fields.complain(
          "stop", fmt::format("a text of {} bytes (expected at most {})", stop.size(), llm::kMaxStopBytes));
  if (std::find(body.stop.begin(), body.stop.end(), "") != body.stop.end())
    fields.complain("stop", "an empty text would end every answer at once");
  const auto whole = [&](std::string_view name, std::int64_t low, std::int64_t high) {
    const auto value = fields.integer(name, low, high);
    return value ? std::optional<int>(static_cast<int>(*value)) : std::nullopt;
  };
  body.max_tokens = whole("max_tokens", 0, kMaxTokens);
  const auto choices = static_cast<std::int64_t>(kMaxChoices);
  body.n = whole("n", 1, choices).value_or(1);
  body.best_of = body.n;
  body.stream = fields.flag("stream", false);
  if (const Json* options = fields.find("stream_options")) {
    if (!options->is_object()) {
      fields.complain("stream_options", fmt::format("{} where an object was expected", json_kind(*options)));
    } else {
      if (!body.stream) fields.complain("stream_options", "belongs to \"stream\": true");
      Fields inner(*options, "stream_options.");
      body.include_usage = inner.flag("include_usage", false);
      inner.harmless("include_obfuscation");  // padding against listeners; there is none
      if (auto end = inner.finish(); !end) fields.complain(std::move(end.error()));
    }
  }
  body.ignore_end = fields.flag("ignore_eos", false);
  body.constraint = read_constraint(fields);
  // Who asks and how it is filed changes no answer.
  for (const std::string_view name : {"user", "metadata", "safety_identifier", "prompt_cache_key"})
    fields.harmless(name);
  fields.unsupported("store", false, "nothing is stored");
  fields.unsupported("service_tier", "auto", "there is one");
}

}  // namespace agon::serving
