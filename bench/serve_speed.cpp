// How the service (engine/service.h) uses a batch: tokens a second with 1 to 64 generations at once, the time
// to a first token beside others, and what a shared prefix costs.
//
//   serve_speed MODEL.gguf [THREADS [GENERATE [PROMPT]]]
//
// Prints one line of JSON for each figure. Greedy and drawn generations are measured apart, as drawing from a
// long vocabulary is work of its own.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "agon/llm/engine/service.h"

namespace {

using namespace agon;
using namespace agon::llm;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Plain English, as drawing is work that depends on how sure the model is.
std::vector<Token> prompt_of(const Engine& engine, int tokens, int salt) {
  constexpr const char* kSubjects[] = {"the tides",         "bread",         "a city's traffic",
                                       "the price of land", "old languages", "chess",
                                       "migrating birds",   "steam engines", "the harvest",
                                       "public law",        "glass",         "folk songs"};
  constexpr const char* kListeners[] = {"a child", "a mayor", "a new colleague", "an old friend", "a jury"};
  std::vector<Token> prompt;
  for (int i = salt; static_cast<int>(prompt.size()) < tokens; ++i) {
    const std::string text = std::string("Question ") + std::to_string(i + 1) + ": how would you explain " +
                             kListeners[i % 5] + " what makes " + kSubjects[i % 12] +
                             " change over the years, and which two examples would you give?\n";
    const std::vector<Token> more = engine.tokenizer().encode(text);
    prompt.insert(prompt.end(), more.begin(), more.end());
  }
  prompt.resize(static_cast<std::size_t>(tokens));
  return prompt;
}

struct Run {
  double seconds = 0;
  double first = 0;  // mean seconds to a request's first token
  ServiceStats stats;
};

// Runs requests to their end and notes when their first tokens came.
Run run(Service& service, std::vector<GenerateRequest> requests) {
  Run result;
  std::vector<Ticket> tickets;
  const auto start = Clock::now();
  for (std::size_t i = 0; i < requests.size(); ++i)
    tickets.push_back(service.submit({std::to_string(i), {std::move(requests[i])}}).value());
  std::vector<double> firsts(tickets.size());
  bool more = true;
  while (more) {
    more = service.step();
    for (std::size_t i = 0; i < tickets.size(); ++i) {
      while (!tickets[i].finished()) {
        const auto event = tickets[i].next(std::chrono::milliseconds(0));
        if (!event) break;
        if (std::holds_alternative<TokenEvent>(event->what) && firsts[i] == 0)
          firsts[i] = seconds_since(start);
      }
    }
  }
  result.seconds = seconds_since(start);
  for (const double first : firsts) result.first += first / static_cast<double>(firsts.size());
  result.stats = service.stats();
  return result;
}

}  // namespace

int main(int count, char** words) {
  if (count < 2) {
    std::fprintf(stderr, "usage: serve_speed MODEL.gguf [THREADS [GENERATE [PROMPT]]]\n");
    return 2;
  }
  const auto number = [&](int at, int otherwise) { return count > at ? std::atoi(words[at]) : otherwise; };
  const int generate = number(3, 64), prompt = number(4, 32);
  auto engine = Engine::open(words[1], {.threads = number(2, 0)});
  if (!engine) {
    std::fprintf(stderr, "%s\n", engine.error().to_string().c_str());
    return 1;
  }
  const ServiceOptions options = {.slots = 64, .threaded = false};
  double alone = 0;
  for (const bool greedy : {true, false}) {
    for (const int clients : {1, 2, 4, 8, 16, 32, 64}) {
      const auto service = Service::create(**engine, options).value();
      std::vector<GenerateRequest> requests;
      for (int i = 0; i < clients; ++i) {
        GenerateRequest request{.prompt = prompt_of(**engine, prompt, i), .max_tokens = generate};
        request.ignore_end = true;
        request.sampler.temperature = greedy ? 0.0 : 0.8;
        if (!greedy) request.sampler.top_p = 0.95;
        requests.push_back(std::move(request));
      }
      // The prompts are read before the clock starts: kept prefixes.
      for (GenerateRequest request : requests) {
        request.max_tokens = 0;
        run(*service, {request});
      }
      const Run got = run(*service, requests);
      const double rate = clients * generate / got.seconds;
      if (clients == 1) alone = rate;
      std::printf(R"({"what": "generate", "greedy": %s, "clients": %d, "tokens_per_second": %.1f, )"
                  R"("times_one": %.2f, "step_ms": %.2f})"
                  "\n",
                  greedy ? "true" : "false", clients, rate, rate / alone, 1e3 * got.seconds / generate);
      std::fflush(stdout);
    }
  }
  // Sixteen at once with a long beginning in common, and with nothing in common.
  for (const bool shared : {true, false}) {
    const auto service =
        Service::create(**engine, {.slots = 16, .cache_tokens = 32768, .threaded = false}).value();
    std::vector<GenerateRequest> requests;
    for (int i = 0; i < 16; ++i) {
      GenerateRequest request{.prompt = prompt_of(**engine, 1024, shared ? 99 : i), .max_tokens = 1};
      for (int j = 0; j < 8; ++j) request.prompt.push_back(100 + 16 * j + i);
      requests.push_back(std::move(request));
    }
    const Run got = run(*service, std::move(requests));
    std::printf(
        R"({"what": "16 prompts of 1032 tokens", "shared": %s, "seconds": %.3f, "computed_tokens": %llu, )"
        R"("mean_first_token_s": %.3f})"
        "\n",
        shared ? "true" : "false", got.seconds, static_cast<unsigned long long>(got.stats.computed_tokens),
        got.first);
  }
  return 0;
}
