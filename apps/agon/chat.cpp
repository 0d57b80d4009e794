// agon chat: a conversation with a language model, line by line.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <memory>

#include "agon/report/terminal.h"
#include "common.h"
#include "llm_options.h"
#include "verbs.h"

namespace agon {
namespace {

constexpr int kUsualContext = 8192;  // when none is asked for: memory for more is rarely wanted

struct ChatCommand {
  LlmOptions llm;
  SamplingOptions sampling;
  std::string system;
};

volatile std::sig_atomic_t interrupted = 0;
void interrupt(int) { interrupted = 1; }

// Lines of standard input; a signal ends the wait for one.
class Lines {
 public:
  enum class Kind : std::uint8_t { kLine, kEnd, kInterrupted };
  Kind next(std::string& line) {
    for (;;) {
      if (const std::size_t end = held_.find('\n'); end != std::string::npos) {
        line = held_.substr(0, end);
        held_.erase(0, end + 1);
        return Kind::kLine;
      }
      char bytes[4096];
      const ssize_t count = ::read(0, bytes, sizeof(bytes));
      if (count < 0 && errno == EINTR) {
        if (!interrupted) continue;
        held_.clear();
        return Kind::kInterrupted;
      }
      if (count <= 0) {
        line = std::exchange(held_, {});
        return line.empty() ? Kind::kEnd : Kind::kLine;
      }
      held_.append(bytes, static_cast<std::size_t>(count));
    }
  }

 private:
  std::string held_;
};

class Chat {
 public:
  /// `room`: positions of the session.
  Chat(llm::Engine& engine, llm::Session session, int room, const ChatCommand& command, bool talks)
      : engine_(engine), session_(std::move(session)), room_(room), command_(command), talks_(talks) {
    reset();
  }

  void reset() {
    messages_.clear();
    if (!command_.system.empty()) messages_.push_back({"system", command_.system});
  }

  // One question and its answer. An error leaves the conversation as it was.
  Status ask(const std::string& question) {
    messages_.push_back({"user", question});
    auto answer = this->answer();
    if (!answer) {
      messages_.pop_back();
      return std::unexpected(std::move(answer.error()));
    }
    messages_.push_back({"assistant", std::move(*answer)});
    return {};
  }

 private:
  Result<std::string> answer() {
    AGON_ASSIGN(std::vector<llm::Token> tokens, engine_.encode_chat(messages_));
    // With --truncate the oldest exchanges are forgotten, whole ones, while anything of them is left.
    const auto limit = static_cast<std::size_t>(room_) * 3 / 4;
    while (command_.sampling.truncate && tokens.size() > limit && forget_oldest()) {
      AGON_ASSIGN(tokens, engine_.encode_chat(messages_));
    }
    interrupted = 0;
    Status written;
    const auto sink = [&](std::string_view piece) {
      if (!piece.empty()) written = print(std::string(piece));
      return written.has_value() && !interrupted;
    };
    auto result = session_.generate(tokens, command_.sampling.generation(), sink);
    if (!result) {
      if (messages_.size() > 2)
        result.error().expected = "/reset forgets the conversation, --truncate its oldest part";
      return std::unexpected(std::move(result.error()));
    }
    AGON_TRY(written);
    AGON_TRY(print("\n"));
    if (talks_ && result->reason == llm::StopReason::kInterrupted) fmt::print(stderr, "(stopped)\n");
    if (result->reason == llm::StopReason::kContext)
      fmt::print(stderr, "agon: the context of {} tokens is full\n", room_);
    return std::move(result->text);
  }

  bool forget_oldest() {
    const std::size_t first = messages_.front().role == "system" ? 1 : 0;
    if (messages_.size() < first + 3) return false;
    messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(first),
                    messages_.begin() + static_cast<std::ptrdiff_t>(first) + 2);
    return true;
  }

  llm::Engine& engine_;
  llm::Session session_;
  int room_;
  const ChatCommand& command_;
  bool talks_;
  std::vector<llm::ChatMessage> messages_;
};

Status run(ChatCommand c) {
  const bool talks = ::isatty(0) == 1 && ::isatty(1) == 1;
  AGON_ASSIGN(const auto engine, open_engine(c.llm));
  if (!engine->chat_template()) return std::unexpected(engine->chat_template().error());
  const int room = c.llm.context > 0 ? engine->context() : std::min(engine->context(), kUsualContext);
  AGON_ASSIGN(llm::Session session, llm::Session::create(*engine, room));
  struct sigaction action{};
  action.sa_handler = interrupt;  // without SA_RESTART: it ends a read
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  if (talks) fmt::print(stderr, "/reset begins anew, /exit or Ctrl-D leaves, Ctrl-C stops an answer\n");
  Chat chat(*engine, std::move(session), room, c, talks);
  Lines lines;
  std::string line;
  for (;;) {
    if (talks) AGON_TRY(print("> "));
    interrupted = 0;
    const Lines::Kind kind = lines.next(line);
    if (kind == Lines::Kind::kInterrupted) {
      if (talks) fmt::print(stderr, "\n(/exit or Ctrl-D leaves)\n");
      continue;
    }
    if (kind == Lines::Kind::kEnd) break;
    if (line.ends_with('\r')) line.pop_back();
    if (line == "/exit") break;
    if (line == "/reset") {
      chat.reset();
      continue;
    }
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    if (line.front() == '/' && line.find(' ') == std::string::npos && talks) {
      fmt::print(stderr, "agon: there is no {}; there are /reset and /exit\n", line);
      continue;
    }
    const Status status = chat.ask(line);
    if (status) continue;
    // A person may go on; a pipe's later answers would stand on a hole.
    if (!talks) return status;
    fmt::print(stderr, "agon: {}\n", status.error().to_string());
  }
  return talks ? print("\n") : Status();
}

}  // namespace

void add_chat_command(CLI::App& app, int& exit_code) {
  CLI::App* chat = app.add_subcommand("chat", "Talk with a language model");
  const auto c = std::make_shared<ChatCommand>();
  chat->add_option("--system", c->system, "A system message before the conversation")->type_name("TEXT");
  c->sampling.sampler.top_p = 0.95;
  add_sampling_options(*chat, c->sampling, 0.7);
  add_llm_options(*chat, c->llm);
  chat->callback([c, &exit_code] { report_status(run(*c), exit_code); });
}

}  // namespace agon
