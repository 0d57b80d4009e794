#include "agon/llm/engine/items.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cmath>

#include "agon/llm/engine/generation.h"
#include "agon/text/json_value.h"

namespace agon::llm {
namespace {

using Element = simdjson::dom::element;
using Object = simdjson::dom::object;

constexpr std::uint64_t kMaxItemBytes = std::uint64_t{64} << 20;

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

}  // namespace

struct ItemReader::State {
  State(std::unique_ptr<ByteSource> source, const std::string& path)
      : name(path), records(std::move(source), path, kMaxItemBytes) {}

  Result<bool> next(Object& object) {
    std::string_view json;
    AGON_ASSIGN(const bool some, records.next(json));
    if (!some) return false;
    Element root;
    if (const auto code = parser.parse(json).get(root); code != simdjson::SUCCESS) {
      return bad(fmt::format("not JSON: {}", simdjson::error_message(code)));
    }
    if (root.get(object) != simdjson::SUCCESS)
      return bad(fmt::format("{} where an object was expected", json_type_name(root)));
    return true;
  }

  Result<std::string> id(const Object& object) {
    Element value;
    if (object["id"].get(value) != simdjson::SUCCESS) return fmt::format("{}", records.record());
    if (value.is_string()) return quoted(std::string_view(value));
    if (value.is_int64()) return fmt::format("{}", std::int64_t(value));
    return bad(fmt::format("{} is no id", json_type_name(value)), "id", "a string or an integer");
  }

  Result<std::string> string(const Object& object, std::string_view key, const std::string& field) {
    Element value;
    if (object[key].get(value) != simdjson::SUCCESS) return bad("missing", field, "a string");
    if (!value.is_string())
      return bad(fmt::format("{} is no text", json_type_name(value)), field, "a string");
    return std::string(std::string_view(value));
  }

  Result<std::vector<ChatMessage>> messages(const Element& value) {
    simdjson::dom::array list;
    if (value.get(list) != simdjson::SUCCESS || list.size() == 0)
      return bad("no conversation", "messages", "a list of {\"role\", \"content\"}");
    std::vector<ChatMessage> result;
    for (const Element one : list) {
      Object object;
      const std::string field = fmt::format("messages[{}]", result.size());
      if (one.get(object) != simdjson::SUCCESS)
        return bad(fmt::format("{} is no message", json_type_name(one)), field, "{\"role\", \"content\"}");
      AGON_ASSIGN(std::string role, string(object, "role", field + ".role"));
      AGON_ASSIGN(std::string content, string(object, "content", field + ".content"));
      result.push_back({std::move(role), std::move(content)});
    }
    return result;
  }

  std::unexpected<Error> bad(std::string message, std::string field = {}, std::string expected = {}) {
    Error error = records.error_here(std::move(message), std::move(field));
    error.expected = std::move(expected);
    return std::unexpected(std::move(error));
  }

  std::string name;
  JsonRecordReader records;
  simdjson::dom::parser parser;
};

ItemReader::ItemReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
ItemReader::~ItemReader() = default;

Result<std::unique_ptr<ItemReader>> ItemReader::open(const std::string& path) {
  AGON_ASSIGN(auto source, open_bytes(path));
  return std::unique_ptr<ItemReader>(new ItemReader(std::make_unique<State>(std::move(source), path)));
}

Result<std::unique_ptr<ItemReader>> ItemReader::parse(std::string bytes, const std::string& name) {
  AGON_ASSIGN(auto source, open_memory(std::move(bytes), name));
  return std::unique_ptr<ItemReader>(new ItemReader(std::make_unique<State>(std::move(source), name)));
}

Result<bool> ItemReader::next(ScoreItem& item) {
  Object object;
  AGON_ASSIGN(const bool some, state_->next(object));
  if (!some) return false;
  item = {};
  item.row = state_->records.record();
  AGON_ASSIGN(item.id, state_->id(object));
  Element value;
  if (object["messages"].get(value) == simdjson::SUCCESS) {
    if (object["context"].error() == simdjson::SUCCESS)
      return state_->bad("both 'context' and 'messages' are given", "messages", "one of them");
    AGON_ASSIGN(item.messages, state_->messages(value));
  } else {
    AGON_ASSIGN(item.context, state_->string(object, "context", "context"));
  }
  simdjson::dom::array list;
  if (object["continuations"].get(value) != simdjson::SUCCESS)
    return state_->bad("missing", "continuations", "a list of strings");
  if (value.get(list) != simdjson::SUCCESS)
    return state_->bad(fmt::format("{} is no list", json_type_name(value)), "continuations",
                       "a list of strings");
  for (const Element one : list) {
    const std::string field = fmt::format("continuations[{}]", item.continuations.size());
    if (!one.is_string())
      return state_->bad(fmt::format("{} is no text", json_type_name(one)), field, "a string");
    item.continuations.emplace_back(std::string_view(one));
    if (item.continuations.back().empty()) return state_->bad("empty: it has no log-probability", field);
  }
  return true;
}

Result<bool> ItemReader::next(TextItem& item) {
  Object object;
  AGON_ASSIGN(const bool some, state_->next(object));
  if (!some) return false;
  item = {};
  item.row = state_->records.record();
  AGON_ASSIGN(item.id, state_->id(object));
  Element value;
  if (object["messages"].get(value) == simdjson::SUCCESS) {
    if (object["text"].error() == simdjson::SUCCESS)
      return state_->bad("both 'text' and 'messages' are given", "messages", "one of them");
    AGON_ASSIGN(item.messages, state_->messages(value));
  } else {
    AGON_ASSIGN(item.text, state_->string(object, "text", "text"));
  }
  return true;
}

Error ItemReader::at(std::uint64_t row, std::string field, Error error) const {
  error.file = state_->name;
  error.row = row;
  error.column = std::move(field);
  return error;
}

double ItemReader::fraction() const {
  const ByteSource& source = state_->records.source();
  if (source.raw_size() == 0) return 0;
  return std::min(1.0, static_cast<double>(source.raw_bytes_read()) / static_cast<double>(source.raw_size()));
}

namespace {

// Numbers as JSON has them: shortest text that reads back as the same number; null where JSON has none.
template <class T>
void append_number(std::string& out, T value) {
  if (std::isfinite(value)) {
    fmt::format_to(std::back_inserter(out), "{}", value);
  } else {
    out += "null";
  }
}

template <class T>
void append_list(std::string& out, std::span<const T> values) {
  out += '[';
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    append_number(out, values[i]);
  }
  out += ']';
}

void append_score(std::string& out, const Score& score, const Tokenizer& tokenizer) {
  out += "{\"logprob\":";
  append_number(out, score.logprob);
  out += ",\"token_logprobs\":";
  append_list(out, std::span<const double>(score.token_logprobs));
  out += ",\"tokens\":[";
  for (std::size_t i = 0; i < score.tokens.size(); ++i) {
    fmt::format_to(std::back_inserter(out), "{}{{\"id\":{},\"piece\":", i > 0 ? "," : "", score.tokens[i]);
    append_json_string(out, tokenizer.piece(score.tokens[i], true));
    out += '}';
  }
  out += score.is_greedy ? "],\"is_greedy\":true}" : "],\"is_greedy\":false}";
}

void append_reward(std::string& out, std::string_view id, std::size_t tokens,
                   std::span<const float> outputs) {
  fmt::format_to(std::back_inserter(out), "{{\"id\":{},\"tokens\":{},\"reward\":", id, tokens);
  append_number(out, outputs.front());
  if (outputs.size() > 1) {
    out += ",\"outputs\":";
    append_list(out, outputs);
  }
  out += "}\n";
}

std::size_t bytes_of(const ScoreItem& item) {
  std::size_t bytes = item.context.size();
  for (const ChatMessage& message : item.messages) bytes += message.content.size();
  // Every continuation is a sequence of its own with the context before it.
  return bytes * std::max<std::size_t>(1, item.continuations.size()) + [&] {
    std::size_t sum = 0;
    for (const std::string& one : item.continuations) sum += one.size();
    return sum;
  }();
}
std::size_t bytes_of(const TextItem& item) {
  std::size_t bytes = item.text.size();
  for (const ChatMessage& message : item.messages) bytes += message.content.size();
  return bytes;
}

template <class Item>
Result<std::vector<Item>> read_window(ItemReader& reader, const ItemOptions& options) {
  std::vector<Item> items;
  std::size_t bytes = 0;
  while (items.size() < options.window && bytes < options.window_bytes) {
    Item item;
    AGON_ASSIGN(const bool some, reader.next(item));
    if (!some) break;
    bytes += bytes_of(item);
    items.push_back(std::move(item));
  }
  return items;
}

// The part of the whole file that is done, when `done` of `total` of the present window are.
class FileProgress {
 public:
  FileProgress(const ItemReader& reader, const Progress& progress, std::string_view stage)
      : reader_(reader), progress_(progress), stage_(stage) {}
  void begin_window() { from_ = std::exchange(to_, reader_.fraction()); }
  void operator()(std::size_t done, std::size_t total) const {
    if (!progress_ || total == 0) return;
    const double part = static_cast<double>(done) / static_cast<double>(total);
    const double whole = to_ > 0 ? from_ + (to_ - from_) * part : part;
    progress_(stage_, static_cast<std::uint64_t>(whole * 1e6), 1'000'000);
  }

 private:
  const ItemReader& reader_;
  const Progress& progress_;
  std::string_view stage_;
  double from_ = 0, to_ = 0;
};

Result<std::vector<Token>> tokens_of(const Engine& engine, const ItemReader& reader, const TextItem& item) {
  if (item.messages.empty()) return engine.tokenizer().encode(item.text);
  const auto& chat = engine.chat_template();
  if (!chat) return std::unexpected(reader.at(item.row, "messages", chat.error()));
  auto rendered = chat->render(item.messages, false);
  if (!rendered) return std::unexpected(reader.at(item.row, "messages", rendered.error()));
  return engine.tokenizer().encode(*rendered, {.add_special = true, .parse_special = true});
}

Result<std::vector<ScoreRequest>> requests_of(const Engine& engine, const ItemReader& reader,
                                              const ScoreItem& item, bool truncate) {
  std::string prompt;
  if (!item.messages.empty()) {
    const auto& chat = engine.chat_template();
    if (!chat) return std::unexpected(reader.at(item.row, "messages", chat.error()));
    auto rendered = chat->render(item.messages, true);
    if (!rendered) return std::unexpected(reader.at(item.row, "messages", rendered.error()));
    prompt = std::move(*rendered);
  }
  std::vector<ScoreRequest> requests;
  for (const std::string& continuation : item.continuations) {
    auto request = item.messages.empty() ? make_request(engine, item.context, continuation, truncate)
                                         : continue_prompt(engine, prompt, continuation, truncate);
    if (!request) {
      return std::unexpected(
          reader.at(item.row, fmt::format("continuations[{}]", requests.size()), std::move(request.error())));
    }
    requests.push_back(std::move(*request));
  }
  return requests;
}

}  // namespace

Result<ItemCounts> score_items(Engine& engine, ItemReader& reader, const ItemOptions& options,
                               const LineSink& sink, const Progress& progress) {
  ItemCounts counts;
  FileProgress part(reader, progress, "score");
  for (;;) {
    AGON_ASSIGN(const std::vector<ScoreItem> items, read_window<ScoreItem>(reader, options));
    if (items.empty()) return counts;
    part.begin_window();
    std::vector<ScoreRequest> requests;
    for (const ScoreItem& item : items) {
      AGON_ASSIGN(std::vector<ScoreRequest> more, requests_of(engine, reader, item, options.truncate));
      for (ScoreRequest& request : more) {
        counts.cut += request.cut > 0 ? 1 : 0;
        requests.push_back(std::move(request));
      }
    }
    std::vector<Score> scores;
    if (!requests.empty()) {
      AGON_ASSIGN(scores, score(engine, requests, 0, part));
    }
    std::string lines;
    std::size_t at = 0;
    for (const ScoreItem& item : items) {
      lines += "{\"id\":" + item.id + ",\"continuations\":[";
      for (std::size_t i = 0; i < item.continuations.size(); ++i) {
        if (i > 0) lines += ',';
        counts.tokens += scores[at].tokens.size();
        append_score(lines, scores[at++], engine.tokenizer());
      }
      lines += "]}\n";
    }
    counts.items += items.size();
    counts.continuations += at;
    AGON_TRY(sink(lines));
  }
}

Result<ItemCounts> embed_items(Engine& engine, ItemReader& reader, int layer, Pooling pooling,
                               const ItemOptions& options, const LineSink& sink, const Progress& progress) {
  constexpr std::size_t kGroupTokens = 1u << 14;  // whose states are in memory together
  ItemCounts counts;
  FileProgress part(reader, progress, "embed");
  const int named_layer = layer < 0 ? engine.config().layer_count() : layer;
  const auto width = static_cast<std::size_t>(engine.config().embedding);
  for (;;) {
    AGON_ASSIGN(const std::vector<TextItem> items, read_window<TextItem>(reader, options));
    if (items.empty()) return counts;
    part.begin_window();
    std::vector<std::vector<Token>> texts;
    for (const TextItem& item : items) {
      AGON_ASSIGN(std::vector<Token> tokens, tokens_of(engine, reader, item));
      if (tokens.empty())
        return std::unexpected(
            reader.at(item.row, "text", {.message = "an empty text has no hidden states"}));
      const auto limit = static_cast<std::size_t>(engine.context());
      if (tokens.size() > limit && options.truncate) {
        tokens.erase(tokens.begin(), tokens.end() - static_cast<std::ptrdiff_t>(limit));
        ++counts.cut;
      }
      if (Status status = engine.check_length(tokens.size(), "the text"); !status)
        return std::unexpected(reader.at(item.row, "text", std::move(status.error())));
      texts.push_back(std::move(tokens));
    }
    for (std::size_t first = 0; first < texts.size();) {
      std::size_t last = first, tokens = 0;
      while (last < texts.size() && (last == first || tokens + texts[last].size() <= kGroupTokens))
        tokens += texts[last++].size();
      const std::span group = std::span(texts).subspan(first, last - first);
      AGON_ASSIGN(const std::vector<Embedding> states, embed(engine, group, layer, pooling));
      std::string lines;
      for (std::size_t i = first; i < last; ++i) {
        const std::span<const float> numbers = states[i - first];
        if (pooling == Pooling::kRank) {
          append_reward(lines, items[i].id, texts[i].size(), numbers);
          continue;
        }
        fmt::format_to(std::back_inserter(lines), "{{\"id\":{},\"layer\":{},\"tokens\":{},", items[i].id,
                       named_layer, texts[i].size());
        if (pooling == Pooling::kNone) {
          lines += "\"embeddings\":[";
          for (std::size_t t = 0; t < texts[i].size(); ++t) {
            if (t > 0) lines += ',';
            append_list(lines, numbers.subspan(t * width, width));
          }
          lines += ']';
        } else {
          lines += "\"embedding\":";
          append_list(lines, numbers);
        }
        lines += "}\n";
      }
      AGON_TRY(sink(lines));
      counts.tokens += tokens;
      first = last;
      part(first, texts.size());
    }
    counts.items += items.size();
  }
}

}  // namespace agon::llm
