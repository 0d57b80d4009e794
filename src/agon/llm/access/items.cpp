#include "agon/llm/access/items.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cmath>

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

  // What all items begin with: a row, an id, and a text under `key` or a conversation; false at the end.
  template <class Item>
  Result<bool> begin(Object& object, Item& item, const std::string& key, std::string& text) {
    AGON_ASSIGN(const bool some, next(object));
    if (!some) return false;
    item = {};
    item.row = records.record();
    AGON_ASSIGN(item.id, id(object));
    Element value;
    if (object["messages"].get(value) == simdjson::SUCCESS) {
      if (object[key].error() == simdjson::SUCCESS)
        return bad(fmt::format("both '{}' and 'messages' are given", key), "messages", "one of them");
      AGON_ASSIGN(item.messages, messages(value));
    } else {
      AGON_ASSIGN(text, string(object, key, key));
    }
    return true;
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
  AGON_ASSIGN(const bool some, state_->begin(object, item, "context", item.context));
  if (!some) return false;
  Element value;
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
  AGON_ASSIGN(const bool some, state_->begin(object, item, "text", item.text));
  if (!some) return false;
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

void append_score(std::string& out, const ContinuationScore& score) {
  out += "{\"logprob\":";
  append_number(out, score.logprob);
  out += ",\"token_logprobs\":";
  append_list(out, std::span<const double>(score.token_logprobs));
  out += ",\"tokens\":[";
  for (std::size_t i = 0; i < score.tokens.size(); ++i) {
    out += i > 0 ? ",{" : "{";
    if (score.tokens[i].id >= 0) fmt::format_to(std::back_inserter(out), "\"id\":{},", score.tokens[i].id);
    out += "\"piece\":";
    append_json_string(out, score.tokens[i].text);
    out += '}';
  }
  out += "],\"is_greedy\":";
  out += !score.is_greedy ? "null}" : *score.is_greedy ? "true}" : "false}";
}

void append_reward(std::string& out, std::string_view id, std::int64_t tokens,
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
  /// For the operation on the window, whose own stage is left out.
  [[nodiscard]] Progress progress() const {
    if (!progress_) return {};
    return [this](std::string_view, std::uint64_t done, std::uint64_t total) { show(done, total); };
  }

 private:
  void show(std::uint64_t done, std::uint64_t total) const {
    if (total == 0) return;
    const double part = static_cast<double>(done) / static_cast<double>(total);
    const double whole = to_ > 0 ? from_ + (to_ - from_) * part : part;
    progress_(stage_, static_cast<std::uint64_t>(whole * 1e6), 1'000'000);
  }

  const ItemReader& reader_;
  const Progress& progress_;
  std::string_view stage_;
  double from_ = 0, to_ = 0;
};

// An error of the model, whose row is an item of the window; one about another file stays as it is.
template <class Item>
std::unexpected<Error> in_file(const ItemReader& reader, std::span<const Item> items, Error error) {
  if (!error.file.empty() || error.row == 0 || error.row > items.size())
    return std::unexpected(std::move(error));
  std::string field = std::move(error.column);
  return std::unexpected(reader.at(items[error.row - 1].row, std::move(field), std::move(error)));
}

}  // namespace

Result<ItemCounts> score_items(LanguageModel& model, ItemReader& reader, const ItemOptions& options,
                               const LineSink& sink, const Progress& progress) {
  ItemCounts counts;
  FileProgress part(reader, progress, "score");
  for (;;) {
    AGON_ASSIGN(std::vector<ScoreItem> items, read_window<ScoreItem>(reader, options));
    if (items.empty()) return counts;
    part.begin_window();
    std::vector<ScoreInput> inputs;
    for (ScoreItem& item : items)
      inputs.push_back({.context = {std::move(item.context), std::move(item.messages)},
                        .continuations = std::move(item.continuations)});
    const auto scores = model.score(inputs, {.truncate = options.truncate}, part.progress());
    if (!scores) return in_file<ScoreItem>(reader, items, scores.error());
    std::string lines;
    for (std::size_t i = 0; i < items.size(); ++i) {
      lines += "{\"id\":" + items[i].id + ",\"continuations\":[";
      bool first = true;
      for (const ContinuationScore& score : (*scores)[i]) {
        if (!std::exchange(first, false)) lines += ',';
        append_score(lines, score);
        counts.tokens += score.tokens.size();
        counts.cut += score.cut > 0 ? 1 : 0;
        ++counts.continuations;
      }
      lines += "]}\n";
    }
    counts.items += items.size();
    AGON_TRY(sink(lines));
  }
}

Result<ItemCounts> embed_items(LanguageModel& model, ItemReader& reader, EmbedSettings settings, int layer,
                               const ItemOptions& options, const LineSink& sink, const Progress& progress) {
  constexpr std::size_t kStatesBytes = 1u
                                       << 14;  // of texts, when the states of all their tokens are in memory
  ItemCounts counts;
  FileProgress part(reader, progress, "embed");
  settings.truncate = options.truncate;
  ItemOptions window = options;
  if (settings.pooling == Pooling::kNone) window.window_bytes = std::min(window.window_bytes, kStatesBytes);
  for (;;) {
    AGON_ASSIGN(std::vector<TextItem> items, read_window<TextItem>(reader, window));
    if (items.empty()) return counts;
    part.begin_window();
    std::vector<ModelInput> inputs;
    for (TextItem& item : items) inputs.push_back({std::move(item.text), std::move(item.messages)});
    auto embeddings = model.embed(std::span<const ModelInput>(inputs), settings, part.progress());
    if (!embeddings) return in_file<TextItem>(reader, items, embeddings.error());
    for (std::size_t i = 0; i < items.size(); ++i) {
      const TextEmbedding& one = (*embeddings)[i];
      const std::span<const float> numbers = one.values;
      std::string line;
      if (settings.pooling == Pooling::kRank) {
        append_reward(line, items[i].id, one.tokens, numbers);
        AGON_TRY(sink(line));
        counts.tokens += static_cast<std::uint64_t>(one.tokens);
        counts.cut += one.cut > 0 ? 1 : 0;
        continue;
      }
      line = "{\"id\":" + items[i].id;
      if (layer >= 0) fmt::format_to(std::back_inserter(line), ",\"layer\":{}", layer);
      if (one.tokens > 0) fmt::format_to(std::back_inserter(line), ",\"tokens\":{}", one.tokens);
      if (settings.pooling == Pooling::kNone && one.tokens > 0) {
        const std::size_t width = numbers.size() / static_cast<std::size_t>(one.tokens);
        line += ",\"embeddings\":[";
        for (std::size_t t = 0; t < static_cast<std::size_t>(one.tokens); ++t) {
          if (t > 0) line += ',';
          append_list(line, numbers.subspan(t * width, width));
        }
        line += ']';
      } else {
        line += ",\"embedding\":";
        append_list(line, numbers);
      }
      line += "}\n";
      AGON_TRY(sink(line));
      counts.tokens += static_cast<std::uint64_t>(one.tokens);
      counts.cut += one.cut > 0 ? 1 : 0;
    }
    counts.items += items.size();
  }
}

}  // namespace agon::llm
