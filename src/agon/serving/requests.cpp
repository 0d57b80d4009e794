#include "agon/serving/requests.h"

#include <fmt/format.h>

#include <algorithm>

#include "agon/llm/engine/service.h"
#include "agon/serving/json_fields.h"
#include "agon/serving/request_parts.h"

namespace agon::serving {
namespace {

/// Reads the body and hands its fields to `read`.
template <class Body, class Read>
ApiResult<Body> read_body(std::string_view text, const Read& read) {
  auto json = parse_json_body(text);
  if (!json) return std::unexpected(std::move(json.error()));
  Fields fields(*json);
  Body body;
  read(fields, body);
  AGON_API_TRY(fields.finish());
  return body;
}

std::vector<std::string> read_texts(Fields& fields, std::string_view name, std::size_t most) {
  const Json* value = fields.find(name);
  if (value == nullptr || !value->is_array() || value->empty()) {
    fields.complain(name, "missing or empty (expected a list of strings)");
    return {};
  }
  return fields.texts(name, most);
}

ScoreBody::Item read_score_item(Fields& fields) {
  ScoreBody::Item item;
  const bool context = fields.has("context"), messages = fields.has("messages");
  if (context && messages)
    fields.complain("messages", "given together with a context (expected one of them)");
  else if (messages)
    item.messages = read_messages(fields, "messages");
  else if (context)
    item.context = fields.text("context");
  else
    fields.complain("context", "missing (expected a string, or messages)");
  item.continuations = read_texts(fields, "continuations", kMaxTexts);
  for (std::size_t i = 0; i < item.continuations.size(); ++i)
    if (item.continuations[i].empty())
      fields.complain(fmt::format("continuations[{}]", i), "empty: it has no log-probability");
  return item;
}

}  // namespace

ApiResult<CompletionBody> read_completion(std::string_view text) {
  return read_body<CompletionBody>(text, [](Fields& fields, CompletionBody& body) {
    GenerationBody& generation = body.generation;
    read_generation(fields, generation);
    body.prompts = read_prompts(fields, "prompt");
    body.echo = fields.flag("echo", false);
    if (const auto top = fields.integer("logprobs", 0, llm::kMaxTopLogprobs))
      generation.top_logprobs = static_cast<int>(*top);
    if (const auto best = fields.integer("best_of", 1, static_cast<std::int64_t>(kMaxChoices))) {
      generation.best_of = static_cast<int>(*best);
      if (generation.best_of < generation.n)
        fields.complain("best_of", fmt::format("{} is less than n, {}", generation.best_of, generation.n));
      if (generation.stream && generation.best_of > generation.n)
        fields.complain("best_of", "the best of several is only known when all are done, and cannot stream");
    }
    fields.unsupported("suffix", "", "no text can be put before a given one");
    if (body.prompts.size() * static_cast<std::size_t>(generation.best_of) > kMaxTexts)
      fields.complain("prompt", fmt::format("{} prompts of {} choices each (expected at most {} in all)",
                                            body.prompts.size(), generation.best_of, kMaxTexts));
  });
}

ApiResult<ChatBody> read_chat(std::string_view text) {
  return read_body<ChatBody>(text, [](Fields& fields, ChatBody& body) {
    GenerationBody& generation = body.generation;
    read_generation(fields, generation);
    body.messages = read_messages(fields, "messages");
    if (const auto most = fields.integer("max_completion_tokens", 0, 1 << 27)) {
      if (generation.max_tokens && *generation.max_tokens != *most)
        fields.complain("max_completion_tokens", "differs from max_tokens, its older name");
      generation.max_tokens = static_cast<int>(*most);
    }
    const bool logprobs = fields.flag("logprobs", false);
    const auto top = fields.integer("top_logprobs", 0, llm::kMaxTopLogprobs);
    if (logprobs) generation.top_logprobs = static_cast<int>(top.value_or(0));
    if (top && *top > 0 && !logprobs) fields.complain("top_logprobs", "belongs to \"logprobs\": true");
    for (const std::string_view name : {"tools", "functions"})
      fields.unsupported(name, Json::array(), "the model is not told of tools");
    fields.unsupported("tool_choice", "none", "the model is not told of tools");
    fields.unsupported("function_call", "none", "the model is not told of tools");
    fields.unsupported("parallel_tool_calls", nullptr, "the model is not told of tools");
    fields.unsupported("modalities", Json::array({"text"}), "answers are text");
    fields.unsupported("audio", nullptr, "answers are text");
    fields.unsupported("prediction", nullptr, "nothing is predicted ahead");
    fields.unsupported("reasoning_effort", nullptr, "the model decides");
    fields.unsupported("verbosity", nullptr, "the model decides");
    fields.unsupported("web_search_options", nullptr, "nothing is searched");
    fields.unsupported("echo", false, "/v1/completions has it");
    fields.unsupported("best_of", nullptr, "/v1/completions has it");
    fields.unsupported("add_generation_prompt", true, "an answer always begins anew");
    fields.unsupported("continue_final_message", false, "an answer always begins anew");
  });
}

ApiResult<EmbeddingBody> read_embedding(std::string_view text) {
  return read_body<EmbeddingBody>(text, [](Fields& fields, EmbeddingBody& body) {
    body.model = fields.text("model");
    body.inputs = read_prompts(fields, "input");
    const std::string format = fields.text("encoding_format", "float");
    if (format != "float" && format != "base64")
      fields.complain("encoding_format", fmt::format("'{}' (expected float or base64)", format));
    body.base64 = format == "base64";
    body.normalize = fields.flag("normalize", true);
    const std::string pooling = fields.text("pooling", "mean");
    if (pooling != "mean" && pooling != "last")
      fields.complain("pooling", fmt::format("'{}' (expected mean or last)", pooling));
    body.last_token = pooling == "last";
    fields.unsupported("dimensions", nullptr, "an embedding has the model's width");
    fields.harmless("user");
  });
}

ApiResult<RerankBody> read_rerank(std::string_view text) {
  return read_body<RerankBody>(text, [](Fields& fields, RerankBody& body) {
    body.model = fields.text("model");
    body.query = fields.text("query");
    if (body.query.empty()) fields.complain("query", "missing or empty (expected a string)");
    const Json* documents = fields.find("documents");
    if (documents == nullptr || !documents->is_array() || documents->empty()) {
      fields.complain("documents", "missing or empty (expected a list of strings)");
    } else if (documents->size() > kMaxTexts) {
      fields.complain("documents",
                      fmt::format("{} documents (expected at most {})", documents->size(), kMaxTexts));
    } else {
      for (const Json& one : *documents) {
        const std::string at = fmt::format("documents[{}]", body.documents.size());
        if (one.is_string()) {
          body.documents.push_back(one.get<std::string>());
        } else if (one.is_object()) {
          Fields document(one, at + ".");
          if (!document.has("text")) document.complain("text", "missing (expected a string)");
          body.documents.push_back(document.text("text"));
          if (auto end = document.finish(); !end) fields.complain(std::move(end.error()));
        } else {
          fields.complain(at, fmt::format("{} where a string was expected", json_kind(one)));
          break;
        }
      }
    }
    body.top_n =
        static_cast<std::size_t>(fields.integer("top_n", 1, static_cast<std::int64_t>(1) << 31).value_or(0));
    body.return_documents = fields.flag("return_documents", true);
    fields.unsupported("max_chunks_per_doc", nullptr, "documents are read whole");
    fields.unsupported("max_tokens_per_doc", nullptr, "documents are read whole");
    fields.unsupported("rank_fields", nullptr, "documents are plain text");
    fields.harmless("user");
  });
}

ApiResult<ScoreBody> read_score(std::string_view text) {
  return read_body<ScoreBody>(text, [](Fields& fields, ScoreBody& body) {
    body.model = fields.text("model");
    fields.unsupported("text_1", nullptr,
                       "continuations are scored, not pairs; use context and continuations");
    fields.unsupported("text_2", nullptr,
                       "continuations are scored, not pairs; use context and continuations");
    fields.harmless("user");
    const Json* items = fields.find("items");
    if (items == nullptr) {
      body.single = true;
      body.items.push_back(read_score_item(fields));
      return;
    }
    if (!items->is_array() || items->empty())
      return fields.complain("items", "empty or no list (expected {\"context\", \"continuations\"}, ...)");
    std::size_t continuations = 0;
    for (const Json& one : *items) {
      const std::string at = fmt::format("items[{}]", body.items.size());
      if (!one.is_object())
        return fields.complain(at, fmt::format("{} where an object was expected", json_kind(one)));
      Fields item(one, at + ".");
      body.items.push_back(read_score_item(item));
      if (auto end = item.finish(); !end) return fields.complain(std::move(end.error()));
      continuations += body.items.back().continuations.size();
      if (continuations > kMaxTexts)
        return fields.complain("items", fmt::format("more than {} continuations in all", kMaxTexts));
    }
  });
}

ApiResult<TokenizeBody> read_tokenize(std::string_view text) {
  return read_body<TokenizeBody>(text, [](Fields& fields, TokenizeBody& body) {
    body.model = fields.text("model");
    if (fields.has("prompt") && fields.has("messages"))
      fields.complain("messages", "given together with a prompt (expected one of them)");
    else if (fields.has("messages"))
      body.messages = read_messages(fields, "messages");
    else if (fields.has("prompt"))
      body.prompt = fields.text("prompt");
    else
      fields.complain("prompt", "missing (expected a string, or messages)");
    body.add_special = fields.flag("add_special_tokens", true);
    body.parse_special = fields.flag("parse_special", true);
    body.add_generation_prompt = fields.flag("add_generation_prompt", true);
    body.pieces = fields.flag("return_token_strs", false);
  });
}

ApiResult<DetokenizeBody> read_detokenize(std::string_view text) {
  return read_body<DetokenizeBody>(text, [](Fields& fields, DetokenizeBody& body) {
    body.model = fields.text("model");
    const Json* tokens = fields.find("tokens");
    if (tokens == nullptr || !tokens->is_array())
      return fields.complain("tokens", "missing (expected a list of token numbers)");
    body.tokens = read_tokens(fields, "tokens", *tokens);
    body.skip_special = fields.flag("skip_special_tokens", false);
  });
}

}  // namespace agon::serving
