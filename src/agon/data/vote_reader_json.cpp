// JSON Lines, or one JSON array of objects, as votes.
#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

#include "agon/data/vote_fields.h"
#include "agon/text/json.h"
#include "agon/text/json_value.h"
#include "agon/text/utf8.h"

namespace agon::vote_fields {
namespace {

namespace dom = simdjson::dom;
using simdjson::dom::element_type;

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxExtras = 1000;
constexpr std::array<std::string_view, 13> kKnown = {
    "id",         "model_a",        "model_b",        "prompt",     "response_a",
    "response_b", "winner_model_a", "winner_model_b", "winner_tie", "winner",
    "weight",     "conversation_a", "conversation_b"};
constexpr std::array<std::string_view, 3> kIds = {"id", "question_id", "conversation_id"};

std::string scalar_text(dom::element value) {
  std::string scratch;
  return std::string(json_scalar_text(value, scratch));
}

std::unexpected<Error> wrong_type(dom::element value, std::string expected) {
  Error error{.message = std::string(json_type_name(value))};
  error.expected = std::move(expected);
  return std::unexpected(std::move(error));
}

struct Conversation {
  Turns user, assistant;
};

/// The text of a message: a string, or the parts of type text, one after the other.
Result<Turn> message_text(dom::element content) {
  if (content.is_null()) return Turn{.text = {}, .null = true};
  if (content.is_string()) return Turn{.text = std::string(std::string_view(content))};
  if (!content.is_array()) return wrong_type(content, "content that is a string or a list of parts");
  Turn turn;
  for (const dom::element part : dom::array(content)) {
    if (part.is_string()) {
      turn.text += std::string_view(part);
      continue;
    }
    if (!part.is_object()) return wrong_type(part, "a part {\"type\": \"text\", \"text\": ...}");
    dom::element text;
    if (part["text"].get(text) != simdjson::SUCCESS || text.is_null()) continue;  // an image, a file
    if (!text.is_string()) return wrong_type(text, "a part whose text is a string");
    turn.text += std::string_view(text);
  }
  return turn;
}

/// Messages of one role in a row are one turn, so that prompts and answers stay side by side. What a
/// system message says belongs to the prompt that follows.
Result<Conversation> conversation_of(dom::element list) {
  if (!list.is_array()) return wrong_type(list, "a list of {\"role\": ..., \"content\": ...}");
  Conversation conversation;
  std::string before;  // text of system messages
  enum { kNobody, kUser, kAssistant } last = kNobody;
  for (const dom::element message : dom::array(list)) {
    if (!message.is_object()) return wrong_type(message, "a message {\"role\": ..., \"content\": ...}");
    dom::element role_value, content;
    if (message["role"].get(role_value) != simdjson::SUCCESS || !role_value.is_string())
      return fail("a message without a role");
    if (message["content"].get(content) != simdjson::SUCCESS) return fail("a message without content");
    const std::string_view role(role_value);
    AGON_ASSIGN(Turn turn, message_text(content));
    if (role == "system") {
      before += turn.text + "\n\n";
      continue;
    }
    const bool user = role == "user" || role == "human";
    if (!user && role != "assistant" && role != "model" && role != "gpt") {
      auto error = fail(fmt::format("unknown role '{}'", role.substr(0, 40)));
      error.error().expected = "user, assistant or system";
      return error;
    }
    if (user && !before.empty()) {
      turn.text.insert(0, before);
      turn.null = false;
      before.clear();
    }
    Turns& turns = user ? conversation.user : conversation.assistant;
    const auto now = user ? kUser : kAssistant;
    if (last == now) {
      turns.back().text += "\n\n" + turn.text;
      turns.back().null = turns.back().null && turn.null;
    } else {
      turns.push_back(std::move(turn));
    }
    last = now;
  }
  return conversation;
}

bool same_start(const Turns& a, const Turns& b) {
  const std::size_t n = std::min(a.size(), b.size());
  return std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(n), b.begin(),
                    [](const Turn& x, const Turn& y) { return x.text == y.text; });
}

class JsonVotes final : public RowReader {
 public:
  JsonVotes(std::unique_ptr<ByteSource> source, const std::string& name, const ReadOptions& options)
      : RowReader(options), records_(std::move(source), name, options.max_row_bytes) {}
  bool has_labels() const override { return has_labels_; }

 protected:
  Result<bool> read_row(Vote& vote, TextRepairs& repairs) override;
  bool broken() const override { return records_.broken(); }
  const ByteSource& source() const override { return records_.source(); }

 private:
  using Known = std::array<dom::element, kKnown.size()>;
  static constexpr std::size_t index_of(std::string_view name) {
    return static_cast<std::size_t>(std::ranges::find(kKnown, name) - kKnown.begin());
  }
  bool has(std::string_view name) const { return present_[index_of(name)]; }
  dom::element get(std::string_view name) const { return known_[index_of(name)]; }

  Result<dom::element> parse(std::string_view json, TextRepairs& repairs);
  Status sort_fields(dom::object object, Vote& vote);
  Status add_extra(const std::string& name, dom::element value, Vote& vote, std::size_t depth);
  Status read_conversations(Vote& vote);
  Status read_texts(Vote& vote, TextRepairs& repairs);
  Status read_turns(std::string_view field, Turns& turns, bool nested_json, TextRepairs& repairs);
  Status read_label(Vote& vote);
  std::unexpected<Error> in_field(Error error, std::string_view field) const {
    Error placed = records_.error_here(std::move(error.message), std::string(field));
    placed.expected = std::move(error.expected);
    return std::unexpected(std::move(placed));
  }

  JsonRecordReader records_;
  dom::parser parser_;
  std::string padded_;
  Known known_{};
  std::array<bool, kKnown.size()> present_{};
  std::unordered_map<std::string, std::size_t> extra_index_;
  JsonTextList list_;
  bool has_labels_ = false;
};

Result<dom::element> JsonVotes::parse(std::string_view json, TextRepairs& repairs) {
  padded_.assign(json);
  repair_json(padded_, repairs);
  padded_.reserve(padded_.size() + simdjson::SIMDJSON_PADDING);
  const std::size_t room = std::max(parser_.capacity(), padded_.size());
  if (parser_.capacity() < padded_.size() || parser_.max_depth() != kMaxDepth) {
    if (parser_.allocate(room, kMaxDepth) != simdjson::SUCCESS) return fail("out of memory for JSON");
  }
  dom::element document;
  const auto code = parser_.parse(padded_.data(), padded_.size(), false).get(document);
  if (code == simdjson::SUCCESS) return document;
  if (code == simdjson::DEPTH_ERROR)
    return fail(fmt::format("not valid JSON: nested deeper than {} levels", kMaxDepth));
  return fail(fmt::format("not valid JSON: {}", simdjson::error_message(code)));
}

Result<bool> JsonVotes::read_row(Vote& vote, TextRepairs& repairs) {
  std::string_view json;
  AGON_ASSIGN(const bool more, records_.next(json));
  if (!more) return false;
  vote.row = records_.record();
  auto document = parse(json, repairs);
  if (document && !document->is_object()) document = wrong_type(*document, "an object with one vote");
  if (!document) {
    auto error = in_field(std::move(document.error()), {});
    error.error().byte = records_.byte();
    error.error().has_byte = true;
    return error;
  }
  AGON_TRY(sort_fields(dom::object(*document), vote));
  if (vote.id.empty()) vote.id = std::to_string(vote.row);
  if (has("model_a")) vote.model_a = scalar_text(get("model_a"));
  if (has("model_b")) vote.model_b = scalar_text(get("model_b"));
  if (has("conversation_a") || has("conversation_b")) {
    AGON_TRY(read_conversations(vote));
  } else {
    AGON_TRY(read_texts(vote, repairs));
  }
  AGON_TRY(read_label(vote));
  if (has("weight")) {
    auto weight = weight_of(scalar_text(get("weight")));
    if (!weight) return in_field(std::move(weight.error()), "weight");
    vote.weight = *weight;
  }
  return true;
}

Status JsonVotes::sort_fields(dom::object object, Vote& vote) {
  present_.fill(false);
  std::size_t id_rank = kIds.size();
  // The best name of an id that is here; the others are extras.
  for (const auto field : object) {
    const auto rank = static_cast<std::size_t>(std::ranges::find(kIds, field.key) - kIds.begin());
    if (rank >= id_rank || field.value.is_null()) continue;
    if (field.value.is_array() || field.value.is_object())
      return in_field(std::move(wrong_type(field.value, "a string or a number").error()), field.key);
    id_rank = rank;
    vote.id = scalar_text(field.value);
  }
  for (const auto field : object) {
    if (id_rank < kIds.size() && field.key == kIds[id_rank]) continue;
    if (field.key == "id") continue;
    const std::size_t index = index_of(field.key);
    if (index == kKnown.size()) {
      AGON_TRY(add_extra(std::string(field.key), field.value, vote, 0));
      continue;
    }
    if (present_[index]) return in_field({.message = "occurs twice"}, field.key);
    present_[index] = true;
    known_[index] = field.value;
  }
  return {};
}

Status JsonVotes::add_extra(const std::string& name, dom::element value, Vote& vote, std::size_t depth) {
  if (value.is_array()) return {};
  if (value.is_object()) {
    if (depth >= 4) return {};
    for (const auto field : dom::object(value))
      AGON_TRY(add_extra(name + "." + std::string(field.key), field.value, vote, depth + 1));
    return {};
  }
  auto found = extra_index_.find(name);
  if (found == extra_index_.end()) {
    if (extra_names_.size() == kMaxExtras)
      return in_field({.message = fmt::format("more than {} different extra fields", kMaxExtras)},
                      name.substr(0, 40));
    found = extra_index_.emplace(name, extra_names_.size()).first;
    extra_names_.push_back(name);
  }
  if (vote.extras.size() <= found->second) vote.extras.resize(found->second + 1);
  vote.extras[found->second] = scalar_text(value);
  return {};
}

Status JsonVotes::read_conversations(Vote& vote) {
  for (const std::string_view field : {"conversation_a", "conversation_b"}) {
    if (!has(field)) return in_field({.message = "missing"}, field);
  }
  auto a = conversation_of(get("conversation_a"));
  if (!a) return in_field(std::move(a.error()), "conversation_a");
  auto b = conversation_of(get("conversation_b"));
  if (!b) return in_field(std::move(b.error()), "conversation_b");
  if (!same_start(a->user, b->user))
    return in_field({.message = "the user's messages differ from those of conversation_a"}, "conversation_b");
  vote.prompt = a->user.size() >= b->user.size() ? std::move(a->user) : std::move(b->user);
  vote.response_a = std::move(a->assistant);
  vote.response_b = std::move(b->assistant);
  return {};
}

Status JsonVotes::read_texts(Vote& vote, TextRepairs& repairs) {
  // A table turned into JSON Lines keeps its cells as strings that hold lists. One answer alone may
  // look like a list and mean its text; when all three are lists, they are cells.
  bool nested_json = !options_.plain_text;
  for (const std::string_view field : {"prompt", "response_a", "response_b"}) {
    if (!has(field)) return in_field({.message = "missing"}, field);
    TextRepairs ignored;
    nested_json = nested_json && get(field).is_string() && list_.parse(std::string_view(get(field)), ignored);
  }
  AGON_TRY(read_turns("prompt", vote.prompt, nested_json, repairs));
  AGON_TRY(read_turns("response_a", vote.response_a, nested_json, repairs));
  return read_turns("response_b", vote.response_b, nested_json, repairs);
}

Status JsonVotes::read_turns(std::string_view field, Turns& turns, bool nested_json, TextRepairs& repairs) {
  const dom::element value = get(field);
  if (value.is_null()) return {};
  if (value.is_string()) {
    if (!nested_json) {
      turns.push_back({.text = std::string(std::string_view(value))});
      return {};
    }
    AGON_ASSIGN(const auto items, list_.parse(std::string_view(value), repairs));
    for (const auto& item : items) turns.push_back({.text = std::string(item.text), .null = item.null});
    return {};
  }
  if (!value.is_array())
    return in_field(std::move(wrong_type(value, "a string or a list of strings").error()), field);
  for (const dom::element turn : dom::array(value)) {
    if (turn.is_null()) {
      turns.push_back({.text = {}, .null = true});
    } else if (turn.is_string()) {
      turns.push_back({.text = std::string(std::string_view(turn))});
    } else {
      auto error = wrong_type(turn, "turns that are strings or null");
      error.error().message += " in the list";
      return in_field(std::move(error.error()), field);
    }
  }
  return {};
}

Status JsonVotes::read_label(Vote& vote) {
  constexpr std::array<std::string_view, 3> kFlags = {"winner_model_a", "winner_model_b", "winner_tie"};
  const auto given = [&](std::string_view name) { return has(name) && !get(name).is_null(); };
  if (given(kFlags[0]) || given(kFlags[1]) || given(kFlags[2])) {
    int flags[3];
    for (std::size_t i = 0; i < 3; ++i) {
      if (!given(kFlags[i]))
        return in_field({.message = "missing, where other winner fields are there"}, kFlags[i]);
      const std::string text = scalar_text(get(kFlags[i]));
      flags[i] = flag_of(text);
      if (flags[i] < 0)
        return in_field({.message = fmt::format("'{}' is neither 0 nor 1", text.substr(0, 40))}, kFlags[i]);
    }
    auto outcome = outcome_of(flags);
    if (!outcome) return in_field(std::move(outcome.error()), {});
    vote.outcome = *outcome;
  } else if (given("winner")) {
    auto label = label_of(scalar_text(get("winner")));
    if (!label) return in_field(std::move(label.error()), "winner");
    vote.outcome = label->outcome;
    vote.both_bad = label->both_bad;
  } else if (options_.need_labels) {
    Error error{.message = "no winner"};
    error.expected = "winner, or winner_model_a, winner_model_b and winner_tie";
    return in_field(std::move(error), {});
  }
  has_labels_ = has_labels_ || vote.outcome != Outcome::kUnknown;
  return {};
}

}  // namespace

Result<std::unique_ptr<VoteReader>> open_json_votes(std::unique_ptr<ByteSource> source,
                                                    const std::string& name, const ReadOptions& options) {
  return std::make_unique<JsonVotes>(std::move(source), name, options);
}

}  // namespace agon::vote_fields
