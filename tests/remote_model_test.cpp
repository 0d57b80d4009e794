// A remote model, asked over HTTP: what servers do wrong, what is kept, and what it may cost.
#include "agon/llm/access/remote_model.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "agon/base/file.h"
#include "agon/base/test_folder.h"
#include "agon/llm/remote/test_server.h"

namespace agon::llm {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

RemoteOptions options_of(const TestServer& server) {
  RemoteOptions options{.url = server.url(), .name = "m"};
  options.http.first_delay = 0.001;
  options.http.max_tries = 3;
  options.key_env = "";
  return options;
}

std::unique_ptr<RemoteModel> open(const RemoteOptions& options) {
  auto model = RemoteModel::open(options);
  EXPECT_TRUE(model) << model.error().to_string();
  return std::move(*model);
}

const std::string kNoModels = http(404, "{}");

// A server as others have it: each byte of a prompt is a token, whose log-probability is minus its number.
std::string echo_answer(const TestRequest& request) {
  const json body = json::parse(request.body);
  const std::string prompt = body["prompt"];
  json tokens = json::array(), logprobs = json::array(), top = json::array();
  for (std::size_t i = 0; i < prompt.size() + 1; ++i) {
    tokens.push_back(i < prompt.size() ? prompt.substr(i, 1) : "!");
    logprobs.push_back(i == 0 ? json() : json(-static_cast<double>(i)));
    top.push_back(i == 0 ? json() : json{{tokens.back(), -static_cast<double>(i)}});
  }
  return http(
      200, json{{"model", "m"},
                {"choices",
                 {{{"text", prompt + "!"},
                   {"logprobs", {{"tokens", tokens}, {"token_logprobs", logprobs}, {"top_logprobs", top}}}}}},
                {"usage", {{"prompt_tokens", prompt.size()}, {"completion_tokens", 1}}}}
               .dump());
}

std::string embedding_answer(const TestRequest& request) {
  const json body = json::parse(request.body);
  json data = json::array();
  for (const std::string text : body["input"])
    data.push_back({{"index", data.size()}, {"embedding", {text.size(), 0.5}}});
  return http(200,
              json{{"model", "m"}, {"data", data}, {"usage", {{"prompt_tokens", 10 * data.size()}}}}.dump());
}

std::vector<std::string> texts_of(int count) {
  std::vector<std::string> texts;
  for (int i = 0; i < count; ++i) texts.push_back(std::string(static_cast<std::size_t>(i) + 1, 'x'));
  return texts;
}

TEST(RemoteModel, ScoresByEcho) {
  TestServer server(
      [](const TestRequest& r) { return r.is("GET /v1/models ") ? kNoModels : echo_answer(r); });
  const auto model = open(options_of(server));
  const ScoreInput items[] = {{{"ab"}, {"c", "cd", "c"}}, {{"x "}, {"y"}}};
  const auto scores = model->score(items);
  ASSERT_TRUE(scores) << scores.error().to_string();
  EXPECT_EQ((*scores)[0][0].token_logprobs, (std::vector<double>{-2}));
  EXPECT_EQ((*scores)[0][1].token_logprobs, (std::vector<double>{-2, -3}));
  EXPECT_EQ((*scores)[0][1].logprob, -5);
  EXPECT_EQ((*scores)[0][1].is_greedy, true);
  EXPECT_EQ((*scores)[0][1].tokens[1].text, "d");
  EXPECT_EQ((*scores)[1][0].token_logprobs, (std::vector<double>{-1, -2}));
  // The probe, and each of three different continuations once.
  EXPECT_EQ(server.count(), 4);
  const ChoiceInput choice{{"ab"}, {"cde", "c"}};
  const auto chosen = model->choose(std::span(&choice, 1));
  ASSERT_TRUE(chosen);
  EXPECT_EQ((*chosen)[0].best, 1U);
  EXPECT_NEAR((*chosen)[0].probabilities[1], 1 / (1 + std::exp(-7)), 1e-12);
  EXPECT_TRUE((*chosen)[0].is_exact);
  const ScoreInput chat{{"", {{"user", "hi"}}}, {"c"}};
  EXPECT_THAT(model->score(std::span(&chat, 1)).error().to_string(),
              HasSubstr("row 1, column 'messages': " + server.url() + " does not score answers to messages"));
}

TEST(RemoteModel, SaysWhatAServerDoesWrong) {
  const std::pair<std::string, const char*> cases[] = {
      {http(200, R"({"choices":[{"text":"abc!","logprobs":null}]})"),
       "the server gives no log-probabilities of prompts"},
      {http(200, R"({"choices":[{"text":"abc","logprobs":{"tokens":["abc"],"token_logprobs":[NaN]}}]})"),
       "not JSON"},
      {http(200, "<html>Welcome</html>"), "in the reply, not JSON"},
      {http(200, "{}"), "'choices': missing"},
      {http(400, R"({"error":{"message":"echo is not supported"}})"), "status 400: echo is not supported"},
      {http(404, "{}"), "(expected a server with POST /completions that has the model 'm')"},
      {http(401, "{}"), "(expected a key that is valid there"},
      {http(200, R"({"choices":[{"text":"abc!")"), "gave up after 3 tries"},
  };
  for (const auto& [answer, message] : cases) {
    TestServer server([&](const TestRequest& r) { return r.is("GET ") ? kNoModels : answer; });
    const auto model = open(options_of(server));
    const ScoreInput item{{"ab"}, {"c"}};
    const auto scores = model->score(std::span(&item, 1));
    ASSERT_FALSE(scores) << message;
    EXPECT_THAT(scores.error().to_string(), HasSubstr(message));
    EXPECT_EQ(scores.error().row, 1U);
  }
}

TEST(RemoteModel, AnotherModelsNameIsAnError) {
  std::string name = "other";
  TestServer server([&](const TestRequest&) {
    return http(200, json{{"model", name}, {"data", {{{"embedding", {1.5}}}}}}.dump());
  });
  const std::vector<std::string> text = {"a"};
  RemoteOptions options = options_of(server);
  EXPECT_THAT(open(options)->embed(text).error().to_string(),
              HasSubstr("asked for the model 'm' and answered with 'other'"));
  options.any_name = true;
  EXPECT_TRUE(open(options)->embed(text));
  options.any_name = false;
  name = "m-2024-08-06";
  EXPECT_TRUE(open(options)->embed(text));
  name = "m-large";
  EXPECT_FALSE(open(options)->embed(text));
}

TEST(RemoteModel, TakesTheOnlyModelThereIs) {
  std::string models = R"({"data":[{"id":"m","owned_by":"me"}]})";
  TestServer server([&](const TestRequest& r) {
    return r.is("GET /v1/models ") ? http(200, models) : embedding_answer(r);
  });
  RemoteOptions options = options_of(server);
  options.name = "";
  const auto model = open(options);
  EXPECT_EQ(model->identity()->name, "m at " + server.url());
  EXPECT_EQ(model->identity()->key.size(), 64U);
  EXPECT_EQ(model->identity()->key, open(options_of(server))->identity()->key);
  models = R"({"data":[{"id":"m"},{"id":"n"}]})";
  const auto two = RemoteModel::open(options);
  ASSERT_FALSE(two);
  EXPECT_THAT(two.error().to_string(), HasSubstr("has 2 models: m, n (expected --name MODEL)"));
  EXPECT_EQ(two.error().exit_code(), 2);
}

TEST(RemoteModel, EmbedsInBatchesAndNoTextTwice) {
  TestServer server(embedding_answer);
  const auto model = open(options_of(server));
  std::vector<std::string> texts = texts_of(40);
  texts.push_back(texts[3]);
  const auto embeddings = model->embed(texts);
  ASSERT_TRUE(embeddings) << embeddings.error().to_string();
  for (std::size_t i = 0; i < 40; ++i)
    EXPECT_EQ((*embeddings)[i].values, (std::vector<float>{static_cast<float>(i + 1), 0.5F}));
  EXPECT_EQ((*embeddings)[40].values, (*embeddings)[3].values);
  EXPECT_EQ(server.count(), 3);
  EXPECT_EQ(model->session().budget().spent().input, 400);
  for (const EmbedSettings& settings :
       {EmbedSettings{.layer = 3}, EmbedSettings{.pooling = Pooling::kLast}, EmbedSettings{.truncate = true}})
    EXPECT_EQ(model->embed(texts, settings).error().exit_code(), 2);
  EXPECT_THAT(model->embed(std::vector<std::string>{"a", ""}).error().to_string(),
              HasSubstr("row 2, column 'text'"));
  TestServer wrong([](const TestRequest&) { return http(200, R"({"data":[{"embedding":[1]}]})"); });
  RemoteOptions one_by_one = options_of(wrong);
  one_by_one.http.max_concurrency = 1;  // else the last, smaller request may fail first
  EXPECT_THAT(open(one_by_one)->embed(texts).error().to_string(),
              HasSubstr("1 results (expected 16, one for each text)"));
}

TEST(RemoteModel, AFailedRunGoesOnWhereItStopped) {
  const TempFolder folder;
  bool broken = true;
  TestServer server([&](const TestRequest& request) {
    if (broken && request.number >= 2) return http(500, "{}");
    return embedding_answer(request);
  });
  RemoteOptions options = options_of(server);
  options.journal = folder / "run.journal";
  options.http.max_concurrency = 1;
  const std::vector<std::string> texts = texts_of(80);  // five requests
  {
    const auto failed = open(options)->embed(texts);
    ASSERT_FALSE(failed);
    EXPECT_THAT(failed.error().to_string(),
                HasSubstr("status 500: {}; finished items (32) are kept in " + options.journal +
                          ", and the same command goes on from there"));
    EXPECT_EQ(failed.error().row, 33U);
  }
  EXPECT_EQ(server.count(), 2 + 3);
  broken = false;
  const auto model = open(options);
  ASSERT_TRUE(model->embed(texts));
  EXPECT_EQ(server.count(), 2 + 3 + 3);
  // All of it is kept now, for other settings nothing.
  ASSERT_TRUE(model->embed(texts));
  EXPECT_EQ(server.count(), 8);
  EXPECT_EQ(model->session().budget().spent().input, 800);
}

TEST(RemoteModel, StopsBeforeTheBudgetIsExceeded) {
  const TempFolder folder;
  TestServer server(embedding_answer);
  RemoteOptions options = options_of(server);
  options.journal = folder / "run.journal";
  options.http.max_concurrency = 1;
  options.budget.max_tokens = 500;  // a request takes 160
  const std::vector<std::string> texts(texts_of(80));
  {
    const auto stopped = open(options)->embed(texts);
    ASSERT_FALSE(stopped);
    EXPECT_THAT(stopped.error().to_string(),
                AllOf(HasSubstr("stopped before the budget is exceeded: "),
                      HasSubstr("the same command with a higher --max-tokens-total goes on")));
    EXPECT_EQ(stopped.error().exit_code(), 1);
  }
  const int first = server.count();
  EXPECT_GE(first, 1);
  EXPECT_LE(first, 3);
  {
    // What earlier runs spent counts.
    const auto again = open(options)->embed(texts);
    ASSERT_FALSE(again);
    EXPECT_LE(server.count(), 3);
  }
  options.budget.max_tokens = 10'000;
  EXPECT_TRUE(open(options)->embed(texts));
  EXPECT_EQ(server.count(), 5);
  TestServer silent([](const TestRequest&) { return http(200, R"({"data":[{"embedding":[1]}]})"); });
  RemoteOptions other = options_of(silent);
  other.budget.max_tokens = 1000;
  EXPECT_THAT(open(other)->embed(std::vector<std::string>{"a"}).error().to_string(),
              HasSubstr("the reply has no 'usage', without which a budget cannot be kept"));
}

// The log-probabilities are missing once they are paid for: they count, and are not paid for again.
TEST(RemoteModel, RefusedRepliesArePaidForOnce) {
  const TempFolder folder;
  TestServer server([](const TestRequest& request) {
    std::string reply = embedding_answer(request);
    json body = json::parse(reply.substr(reply.find("\r\n\r\n") + 4));
    body["model"] = "other";
    return http(200, body.dump(1));
  });
  RemoteOptions options = options_of(server);
  options.journal = folder / "run.journal";
  options.budget.max_tokens = 10'000;
  const std::vector<std::string> text{"a"};
  std::int64_t paid = 0;
  {
    const auto model = open(options);
    const auto refused = model->embed(text);
    EXPECT_THAT(refused.error().to_string(), HasSubstr("answered with 'other'"));
    EXPECT_THAT(refused.error().to_string(), HasSubstr("finished items (0)"));
    paid = model->session().budget().spent().input;
    EXPECT_EQ(paid, 10);
  }
  {
    const auto model = open(options);
    EXPECT_EQ(model->session().budget().spent().input, paid);
    EXPECT_THAT(model->embed(text).error().to_string(),
                AllOf(HasSubstr("answered with 'other'"), HasSubstr("the same request is not sent again")));
  }
  EXPECT_EQ(server.count(), 1);
  options.ask_again = true;
  EXPECT_THAT(open(options)->embed(text).error().to_string(), HasSubstr("answered with 'other'"));
  EXPECT_EQ(server.count(), 2);
  options.ask_again = false;
  paid += 10;
  options.any_name = true;
  {
    const auto model = open(options);
    EXPECT_EQ(model->embed(text).value()[0].values, (std::vector<float>{1, 0.5}));
    EXPECT_EQ(model->session().budget().spent().input, paid);
  }
  EXPECT_EQ(server.count(), 2);
  EXPECT_EQ(open(options)->session().budget().spent().input, paid);
}

TEST(RemoteModel, AReplyThatIsCutOffCountsInTheBudget) {
  TestServer server([](const TestRequest& request) {
    return request.number == 0 ? http(200, R"({"data":[{)") : embedding_answer(request);
  });
  RemoteOptions options = options_of(server);
  options.budget.max_tokens = 10'000;
  const auto model = open(options);
  ASSERT_TRUE(model->embed(std::vector<std::string>{"a"}));
  EXPECT_EQ(server.count(), 2);
  const auto bytes = static_cast<std::int64_t>(server.requests()[0].body.size());
  EXPECT_EQ(model->session().budget().spent().input, (bytes + 1) / 2 + 10);
}

TEST(RemoteModel, ARunThatFindsNoModelLeavesNoJournal) {
  const TempFolder folder;
  TestServer server([](const TestRequest&) { return kNoModels; });
  RemoteOptions options = options_of(server);
  options.name = "";
  options.journal = folder / "run.journal";
  EXPECT_FALSE(RemoteModel::open(options));
  EXPECT_FALSE(std::filesystem::exists(options.journal));
}

TEST(RemoteModel, ABudgetNeedsAnswersOfBoundedLength) {
  TestServer server([](const TestRequest&) { return http(500, "{}"); });
  RemoteOptions options = options_of(server);
  options.budget.max_tokens = 1000;
  const ModelInput input{"a"};
  const auto refused = open(options)->generate(std::span(&input, 1), {.max_tokens = 0});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().to_string(), HasSubstr("a budget cannot be kept"));
  EXPECT_EQ(refused.error().exit_code(), 2);
  EXPECT_EQ(server.count(), 0);
}

TEST(RemoteModel, ChoosesByTheFirstTokenOfAnAnswer) {
  const auto answer = [](const json& top) {
    return http(
        200,
        json{{"choices",
              {{{"message", {{"content", "A"}}},
                {"logprobs", {{"content", {{{"token", "A"}, {"logprob", -0.5}, {"top_logprobs", top}}}}}}}}}}
            .dump());
  };
  json top = {{{"token", "A"}, {"logprob", std::log(0.5)}},
              {{"token", " A"}, {"logprob", std::log(0.1)}},
              {{"token", "B"}, {"logprob", std::log(0.2)}},
              {{"token", "x"}, {"logprob", std::log(0.01)}}};
  TestServer server([&](const TestRequest& r) { return r.is("GET ") ? kNoModels : answer(top); });
  const auto model = open(options_of(server));
  ChoiceInput item{{"", {{"user", "A or B?"}}}, {"A", "B"}};
  auto result = model->choose(std::span(&item, 1));
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_NEAR((*result)[0].probabilities[0], 0.75, 1e-12);
  EXPECT_FALSE((*result)[0].is_exact);
  const json sent = json::parse(server.requests()[1].body);
  EXPECT_EQ(sent["top_logprobs"], 20);
  // A choice that is not listed is at most as probable as the last one that is.
  item.choices = {"A", "tie"};
  result = model->choose(std::span(&item, 1));
  EXPECT_NEAR((*result)[0].probabilities[1], 0.01 / 0.61, 1e-12);
  item.choices = {"yes", "no"};
  result = model->choose(std::span(&item, 1));
  ASSERT_TRUE(result);
  EXPECT_THAT((*result)[0].untold,
              HasSubstr("none of the choices is among the 4 most probable first tokens"));
  EXPECT_EQ((*result)[0].probabilities, (std::vector<double>{0.5, 0.5}));
  item.choices = {"Apple", "Axe"};
  EXPECT_THAT(model->choose(std::span(&item, 1)).error().to_string(),
              HasSubstr("'A' is the beginning of more than one choice"));
  TestServer dumb([&](const TestRequest& r) {
    return r.is("GET ") ? kNoModels : http(200, R"({"choices":[{"message":{"content":"A"}}]})");
  });
  EXPECT_THAT(open(options_of(dumb))->choose(std::span(&item, 1)).error().to_string(),
              HasSubstr("the server gives no log-probabilities of answers"));
}

TEST(RemoteModel, GeneratesAndReranks) {
  TestServer server([](const TestRequest& request) {
    const json body = json::parse(request.body);
    if (request.is("POST /v1/rerank "))
      return http(200, R"({"results":[{"index":1,"relevance_score":2.5},{"index":0,"relevance_score":-1}]})");
    if (request.is("POST /v1/chat/"))
      return http(
          200,
          R"({"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":4,"completion_tokens":2}})");
    return http(
        200,
        json{{"choices", {{{"text", body["prompt"].get<std::string>() + "?"}, {"finish_reason", "length"}}}}}
            .dump());
  });
  const auto model = open(options_of(server));
  const ModelInput inputs[] = {{"a\n\"b\""}, {"", {{"system", "s"}, {"user", "u"}}}};
  const auto answers =
      model->generate(inputs, {.sampler = {.temperature = 0.5, .seed = 3}, .stop = {"."}, .max_tokens = 7});
  ASSERT_TRUE(answers) << answers.error().to_string();
  EXPECT_EQ((*answers)[0].text, "a\n\"b\"?");
  EXPECT_EQ((*answers)[0].stopped_by, "length");
  EXPECT_EQ((*answers)[1].text, "Hi");
  EXPECT_EQ((*answers)[1].stopped_by, "end");
  EXPECT_EQ((*answers)[1].tokens, 2);
  for (const TestRequest& request : server.requests()) {
    const json body = json::parse(request.body);
    EXPECT_EQ(body["seed"], 3);
    EXPECT_EQ(body["max_tokens"], 7);
    EXPECT_EQ(body["stop"], json::array({"."}));
    EXPECT_FALSE(body.contains("top_k"));
  }
  const RerankInput query{"q", {"d1", "d2"}};
  EXPECT_EQ(model->rerank(std::span(&query, 1)).value()[0], (std::vector<double>{-1, 2.5}));
}

TEST(RemoteModel, TheKeyIsInNoJournalAndNoError) {
  const TempFolder folder;
  TestServer server([](const TestRequest& request) {
    return request.number == 0 ? embedding_answer(request) : http(400, "you sent sk-top-secret");
  });
  RemoteOptions options = options_of(server);
  options.journal = folder / "run.journal";
  options.key_file = folder / "key";
  ASSERT_TRUE(write_file(options.key_file, "sk-top-secret\n"));
  const auto model = open(options);
  ASSERT_TRUE(model->embed(std::vector<std::string>{"a"}));
  EXPECT_THAT(server.requests()[0].head, HasSubstr("Authorization: Bearer sk-top-secret"));
  EXPECT_THAT(model->embed(std::vector<std::string>{"b"}).error().to_string(),
              AllOf(HasSubstr("you sent [key]"), Not(HasSubstr("secret"))));
  EXPECT_THAT(read_file(options.journal).value(), Not(HasSubstr("secret")));
}

// What is shown of a server's words is cut: nowhere may that leave the key's beginning.
TEST(RemoteModel, NoPartOfTheKeyIsLeftWhereAMessageIsCut) {
  const TempFolder folder;
  const std::string key_file = folder / "key";
  ASSERT_TRUE(write_file(key_file, "QQQQ/ZZZZZZZZZZZZZZZZ\n"));
  std::string body, model;
  TestServer server([&](const TestRequest& request) {
    if (model.empty()) return http(400, body);
    json reply =
        json::parse(embedding_answer(request).substr(embedding_answer(request).find("\r\n\r\n") + 4));
    reply["model"] = model;
    return http(200, reply.dump());
  });
  RemoteOptions options = options_of(server);
  options.key_file = key_file;
  const auto client = open(options);
  const auto said = [&] { return client->embed(std::vector<std::string>{"a"}).error().to_string(); };
  const std::string key = "QQQQ/ZZZZZZZZZZZZZZZZ";
  for (std::size_t before = 470; before <= 505; ++before) {
    body = std::string(before, 'x') + key + " is wrong";
    EXPECT_THAT(said(), Not(HasSubstr("QQ"))) << before;
    body = json{{"error", {{"message", body}}}}.dump();
    EXPECT_THAT(said(), Not(HasSubstr("QQ"))) << before;
  }
  // Servers may write a slash with a backslash before it. Of white space little is left.
  body = R"({"error":{"message":")" + std::string(490, 'x') + R"(QQQQ\/ZZZZZZZZZZZZZZZZ"}})";
  EXPECT_THAT(said(), Not(HasSubstr("QQ")));
  for (std::size_t before = 1975; before <= 2005; ++before) {
    body = std::string(before, ' ') + key + " is wrong";
    EXPECT_THAT(said(), Not(HasSubstr("QQ"))) << before;
  }
  for (std::size_t before = 175; before <= 205; ++before) {
    model = std::string(before, 'x') + key;
    EXPECT_THAT(said(), AllOf(HasSubstr("answered with"), Not(HasSubstr("QQ")))) << before;
  }
}

}  // namespace
}  // namespace agon::llm
