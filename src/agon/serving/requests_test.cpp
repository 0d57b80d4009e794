#include "agon/serving/requests.h"

#include <gtest/gtest.h>

#include <string>

namespace agon::serving {
namespace {

using Kind = ConstraintSpec::Kind;

// What is wrong with `fields` beside those that a request needs; "" when it is taken.
std::string chat_refusal(const std::string& fields) {
  const auto body = read_chat(R"({"messages":[{"role":"user","content":"x"}])" + fields + "}");
  return body ? "" : body.error().param;
}
std::string completion_refusal(const std::string& fields) {
  const auto body = read_completion(R"({"prompt":"x")" + fields + "}");
  return body ? "" : body.error().param;
}

TEST(Requests, NamesTheFieldThatItRefuses) {
  const std::pair<const char*, const char*> both[] = {
      {R"(,"temperature":2.1)", "temperature"},
      {R"(,"temperature":-1)", "temperature"},
      {R"(,"top_p":0)", "top_p"},
      {R"(,"min_p":1.5)", "min_p"},
      {R"(,"top_k":-2)", "top_k"},
      {R"(,"n":0)", "n"},
      {R"(,"n":129)", "n"},
      {R"(,"n":"2")", "n"},
      {R"(,"seed":1.5)", "seed"},
      {R"(,"stop":7)", "stop"},
      {R"(,"stop":"")", "stop"},
      {R"(,"stop":["a",1])", "stop[1]"},
      {R"(,"stop":["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"])", "stop"},
      {R"(,"presence_penalty":2.5)", "presence_penalty"},
      {R"(,"frequency_penalty":-3)", "frequency_penalty"},
      {R"(,"repetition_penalty":0)", "repetition_penalty"},
      {R"(,"logit_bias":[1])", "logit_bias"},
      {R"(,"logit_bias":{"x":1})", "logit_bias.x"},
      {R"(,"logit_bias":{"-1":1})", "logit_bias.-1"},
      {R"(,"logit_bias":{"01":1})", "logit_bias.01"},
      {R"(,"logit_bias":{"1":101})", "logit_bias.1"},
      {R"(,"max_tokens":-1)", "max_tokens"},
      {R"(,"stream":"yes")", "stream"},
      {R"(,"stream_options":{"include_usage":true})", "stream_options"},
      {R"(,"stream":true,"stream_options":{"x":true})", "stream_options.x"},
      {R"(,"store":true)", "store"},
      {R"(,"service_tier":"flex")", "service_tier"},
      {R"(,"response_format":{"type":"xml"})", "response_format.type"},
      {R"(,"response_format":{"type":"json_schema"})", "response_format.json_schema"},
      {R"(,"response_format":{"type":"json_schema","json_schema":{"name":"x"}})",
       "response_format.json_schema.schema"},
      {R"(,"response_format":{"type":"json_object","x":1})", "response_format.x"},
      {R"(,"guided_choice":[])", "guided_choice"},
      {R"(,"guided_grammar":"root ::= x")", "guided_grammar"},
      {R"(,"structured_outputs":{"grammar":"x"})", "structured_outputs.grammar"},
      {R"(,"guided_regex":"a","guided_choice":["b"])", "guided_choice"},
      {R"(,"response_format":{"type":"json_object"},"structured_outputs":{"regex":"b"})",
       "structured_outputs.regex"},
      {R"(,"use_beam_search":true)", "use_beam_search"},
      {R"(,"no_such_field":null)", "no_such_field"},
  };
  for (const auto& [fields, refused] : both) {
    EXPECT_EQ(chat_refusal(fields), refused) << fields;
    EXPECT_EQ(completion_refusal(fields), refused) << fields;
  }
  for (const char* field :
       {R"("tools":[{}])", R"("tool_choice":"auto")", R"("functions":[{}])", R"("parallel_tool_calls":true)",
        R"("modalities":["audio"])", R"("audio":{})", R"("prediction":{})", R"("reasoning_effort":"low")",
        R"("web_search_options":{})", R"("echo":true)", R"("best_of":2)", R"("top_logprobs":2)",
        R"("logprobs":5)", R"("prompt":"x")"})
    EXPECT_EQ(chat_refusal(std::string(",") + field),
              std::string(field).substr(1, std::string(field).find(':') - 2));
  for (const char* field : {R"("suffix":"x")", R"("logprobs":21)", R"("logprobs":true)",
                            R"("top_logprobs":1)", R"("best_of":0)", R"("messages":[])"})
    EXPECT_EQ(completion_refusal(std::string(",") + field),
              std::string(field).substr(1, std::string(field).find(':') - 2));
  EXPECT_EQ(completion_refusal(R"(,"n":3,"best_of":2)"), "best_of");
  EXPECT_EQ(completion_refusal(R"(,"stream":true,"best_of":2)"), "best_of");
}

TEST(Requests, PassesOverWhatChangesNothing) {
  EXPECT_EQ(chat_refusal(R"(,"user":"me","metadata":{"a":"b"},"store":false,"service_tier":"auto",
                             "safety_identifier":"x","prompt_cache_key":"y","tools":[],"tool_choice":"none",
                             "modalities":["text"],"logit_bias":null,"stop":null,"n":1,"temperature":null)"),
            "");
}

TEST(Requests, ReadsEveryFieldOfACompletion) {
  const auto body = read_completion(
      R"({"model":"m","prompt":["a",[1,2]],"suffix":null,"max_tokens":0,"temperature":0.5,"top_p":0.9,"min_p":0.1,
          "top_k":-1,"n":2,"best_of":3,"logprobs":4,"echo":true,"stop":"end","presence_penalty":1,
          "frequency_penalty":-1,"repetition_penalty":1.1,"logit_bias":{"5":-100},"seed":-7,"ignore_eos":true,
          "guided_json":{"type":"integer"}})");
  ASSERT_TRUE(body) << body.error().message;
  const GenerationBody& g = body->generation;
  EXPECT_EQ(g.model, "m");
  ASSERT_EQ(body->prompts.size(), 2u);
  EXPECT_EQ(std::get<std::string>(body->prompts[0]), "a");
  EXPECT_EQ(std::get<std::vector<llm::Token>>(body->prompts[1]), (std::vector<llm::Token>{1, 2}));
  EXPECT_TRUE(body->echo && g.ignore_end && g.has_seed && !g.stream);
  EXPECT_EQ(g.max_tokens, 0);
  EXPECT_EQ(g.n, 2);
  EXPECT_EQ(g.best_of, 3);
  EXPECT_EQ(g.top_logprobs, 4);
  EXPECT_EQ(g.stop, std::vector<std::string>{"end"});
  EXPECT_EQ(g.sampler.temperature, 0.5);
  EXPECT_EQ(g.sampler.top_k, 0);
  EXPECT_EQ(g.sampler.seed, static_cast<std::uint64_t>(-7));
  EXPECT_EQ(g.sampler.presence_penalty, 1);
  EXPECT_EQ(g.sampler.frequency_penalty, -1);
  ASSERT_EQ(g.sampler.logit_bias.size(), 1u);
  EXPECT_EQ(g.sampler.logit_bias[0].token, 5);
  EXPECT_EQ(g.constraint.kind, Kind::kJsonSchema);
  EXPECT_EQ(g.constraint.text, R"({"type":"integer"})");
  EXPECT_EQ(g.constraint.field, "guided_json");
}

TEST(Requests, ReadsPromptsInAllForms) {
  const auto prompts = [](const std::string& prompt) {
    const auto body = read_completion("{\"prompt\":" + prompt + "}");
    return body ? static_cast<int>(body->prompts.size()) : -1;
  };
  EXPECT_EQ(prompts("\"\""), 1);
  EXPECT_EQ(prompts("[1,2,3]"), 1);
  EXPECT_EQ(prompts("[[1],[2,3]]"), 2);
  EXPECT_EQ(prompts("[\"a\",\"b\",\"c\"]"), 3);
  for (const char* bad :
       {"null", "[]", "7", "{}", "[1,\"a\"]", "[\"a\",1]", "[1.5]", "[-1]", "[[1],[true]]", "[3000000000]"})
    EXPECT_EQ(prompts(bad), -1) << bad;
}

TEST(Requests, ReadsConversations) {
  const auto chat = read_chat(
      R"({"messages":[{"role":"developer","content":"s"},
          {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
          {"role":"assistant","content":"c","tool_calls":[],"refusal":null}],
          "logprobs":true,"top_logprobs":3,"max_completion_tokens":5})");
  ASSERT_TRUE(chat) << chat.error().message;
  ASSERT_EQ(chat->messages.size(), 3u);
  EXPECT_EQ(chat->messages[0].role, "system");
  EXPECT_EQ(chat->messages[1].content, "ab");
  EXPECT_EQ(chat->generation.top_logprobs, 3);
  EXPECT_EQ(chat->generation.max_tokens, 5);
  const std::pair<const char*, const char*> bad[] = {
      {R"([])", "messages"},
      {R"(7)", "messages"},
      {R"([7])", "messages[0]"},
      {R"([{"role":"tool","content":"x"}])", "messages[0].role"},
      {R"([{"role":"user"}])", "messages[0].content"},
      {R"([{"role":"user","content":null}])", "messages[0].content"},
      {R"([{"role":"user","content":[{"type":"image_url","image_url":{}}]}])", "messages[0].content[0].type"},
      {R"([{"role":"user","content":"x","name":"ann"}])", "messages[0].name"},
      {R"([{"role":"assistant","content":"x","tool_calls":[{}]}])", "messages[0].tool_calls"},
      {R"([{"role":"user","content":"x","colour":"red"}])", "messages[0].colour"},
  };
  for (const auto& [messages, param] : bad) {
    const auto body = read_chat(std::string("{\"messages\":") + messages + "}");
    ASSERT_FALSE(body) << messages;
    EXPECT_EQ(body.error().param, param);
  }
}

TEST(Requests, ReadsConstraintsByAllTheirNames) {
  const auto spec = [](const std::string& fields) {
    const auto body = read_chat(R"({"messages":[{"role":"user","content":"x"}],)" + fields + "}");
    EXPECT_TRUE(body) << body.error().message;
    return body ? body->generation.constraint : ConstraintSpec{};
  };
  EXPECT_EQ(spec(R"("response_format":{"type":"text"})").kind, Kind::kNone);
  EXPECT_EQ(spec(R"("response_format":{"type":"json_object"})").kind, Kind::kJsonObject);
  // The order of a schema's members is that of the answer.
  EXPECT_EQ(
      spec(
          R"("response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","strict":true,
                     "schema":{"z":1,"a":2}}})")
          .text,
      R"({"z":1,"a":2})");
  EXPECT_EQ(spec(R"("guided_json":"{\"type\": \"null\"}")").text, R"({"type": "null"})");
  EXPECT_EQ(spec(R"("guided_regex":"[0-9]+")").text, "[0-9]+");
  EXPECT_EQ(spec(R"("guided_choice":["a","b"])").choices.size(), 2u);
  EXPECT_EQ(spec(R"("structured_outputs":{"choice":["a"]})").kind, Kind::kChoice);
  EXPECT_EQ(spec(R"("structured_outputs":{"json_object":true})").kind, Kind::kJsonObject);
  EXPECT_EQ(spec(R"("structured_outputs":{"regex":"x"})").field, "structured_outputs.regex");
}

TEST(Requests, ReadsTheOthers) {
  const auto embedding =
      read_embedding(R"({"input":["a"],"encoding_format":"base64","pooling":"last","normalize":false})");
  ASSERT_TRUE(embedding);
  EXPECT_TRUE(embedding->base64 && embedding->last_token && !embedding->normalize);
  EXPECT_EQ(read_embedding(R"({"input":"a","dimensions":3})").error().param, "dimensions");
  const auto rerank = read_rerank(R"({"query":"q","documents":["a",{"text":"b"}],"top_n":1})");
  ASSERT_TRUE(rerank);
  EXPECT_EQ(rerank->documents, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(read_rerank(R"({"query":"","documents":["a"]})").error().param, "query");
  EXPECT_EQ(read_rerank(R"({"query":"q","documents":[1]})").error().param, "documents[0]");
  const auto one = read_score(R"({"context":"a","continuations":["b"]})");
  ASSERT_TRUE(one);
  EXPECT_TRUE(one->single);
  const auto two = read_score(R"({"items":[{"context":"","continuations":["b"]},
      {"messages":[{"role":"user","content":"x"}],"continuations":["c","d"]}]})");
  ASSERT_TRUE(two) << two.error().message;
  EXPECT_EQ(two->items.size(), 2u);
  EXPECT_EQ(read_score(R"({"items":[{"context":"a","continuations":[""]}]})").error().param,
            "items[0].continuations[0]");
  EXPECT_EQ(read_score(R"({"text_1":"a","text_2":"b"})").error().param, "text_1");
  EXPECT_EQ(read_tokenize(R"({"prompt":"a","messages":[]})").error().param, "messages");
  EXPECT_EQ(read_detokenize(R"({"tokens":"a"})").error().param, "tokens");
}

}  // namespace
}  // namespace agon::serving
