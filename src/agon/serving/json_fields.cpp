#include "agon/serving/json_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "agon/text/utf8.h"

namespace agon::serving {
namespace {

/// "byte 17 (line 2, column 5)": the byte from 0, the others from 1, the column in code points.
std::string place(std::string_view body, std::size_t byte) {
  byte = std::min(byte, body.size());
  const std::string_view before = body.substr(0, byte);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t begin = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  const auto column = std::count_if(before.begin() + static_cast<std::ptrdiff_t>(begin), before.end(),
                                    [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }) +
                      1;
  return fmt::format("byte {} (line {}, column {})", byte, line, column);
}

ApiError broken(std::string_view body, std::size_t byte, std::string_view what) {
  ApiError error;
  error.code = "invalid_json";
  error.message = fmt::format("the body is broken at {}: {}", place(body, byte), what);
  return error;
}

/// Where the first ill-formed sequence begins.
std::size_t first_bad_byte(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t begin = at;
    // U+FFFD itself decodes to the same value; only an ill-formed sequence is not its three bytes.
    if (decode_utf8(text, at) == kReplacement && text.substr(begin, at - begin) != "\xEF\xBF\xBD")
      return begin;
  }
  return text.size();
}

/// Goes over a body and tells how far it has come.
class Reading {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Reading(const char* at, std::size_t* read) : at_(at), read_(read) {}
  reference operator*() const { return *at_; }
  Reading& operator++() {
    ++at_;
    ++*read_;
    return *this;
  }
  Reading operator++(int) {
    const Reading before = *this;
    ++*this;
    return before;
  }
  bool operator==(const Reading& other) const { return at_ == other.at_; }

 private:
  const char* at_;
  std::size_t* read_;
};

/// Builds the value without recursion, and refuses what the parser itself would let pass.
class Builder : public nlohmann::json_sax<Json> {
 public:
  /// `read` says how many bytes of the body were read so far.
  Builder(std::string_view body, const std::size_t& read) : body_(body), read_(read) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t&) override { return put(value); }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    // An ordered_json looks names up one by one; a set for each open object keeps that from being quadratic.
    if (!names_.back().insert(name).second) {
      return complain(fmt::format("the name '{}' is given twice in one object", name));
    }
    key_ = std::move(name);
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& e) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 3: syntax error while ...; expected x"
    std::string_view what = e.what();
    if (const std::size_t at = what.find("] "); what.starts_with('[') && at != std::string_view::npos)
      what.remove_prefix(at + 2);
    if (const std::size_t at = what.find(": "); at != std::string_view::npos) what.remove_prefix(at + 2);
    if (const std::size_t at = what.find("; last read: "); at != std::string_view::npos) {
      // What was last read is quoted from the body: of no use beside the place, and of any length.
      const std::size_t next = what.rfind("; expected");
      problem_ = std::string(what.substr(0, at));
      if (next != std::string_view::npos && next > at) problem_ += what.substr(next);
    } else {
      problem_ = std::string(what.substr(0, 300));
    }
    position_ = position > 0 ? position - 1 : 0;
    return false;
  }

  /// What was wrong, when one of the above said no.
  [[nodiscard]] ApiError error() const {
    std::string what = problem_.substr(0, 300);
    repair_utf8(what);
    return broken(body_, position_, what);
  }

  Json root;

 private:
  Json* place_for(Json value) {
    if (open_.empty()) {
      root = std::move(value);
      return &root;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    auto& members = parent.get_ref<Json::object_t&>();
    members.emplace_back(std::move(key_), std::move(value));
    return &members.back().second;
  }
  bool put(Json value) {
    place_for(std::move(value));
    return true;
  }
  bool open(Json value) {
    if (open_.size() >= static_cast<std::size_t>(kMaxJsonDepth)) {
      return complain(fmt::format("nested deeper than {} levels", kMaxJsonDepth));
    }
    if (++containers_ > kMaxJsonContainers) {
      return complain(fmt::format("more than {} lists and objects", kMaxJsonContainers));
    }
    // Pointers to parents stay right: a parent's list grows only while it is the innermost one.
    open_.push_back(place_for(std::move(value)));
    names_.emplace_back();
    return true;
  }
  bool close() {
    open_.pop_back();
    names_.pop_back();
    return true;
  }

  /// The last byte that was read ends what is complained about.
  bool complain(std::string problem) {
    problem_ = std::move(problem);
    position_ = read_ > 0 ? read_ - 1 : 0;
    return false;
  }

  std::string_view body_;
  const std::size_t& read_;
  std::vector<Json*> open_;
  std::vector<std::set<std::string, std::less<>>> names_;
  std::string key_, problem_;
  std::size_t containers_ = 0;
  std::size_t position_ = 0;
};

}  // namespace

std::string ApiError::json() const {
  const auto or_null = [](const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); };
  return Json{{"error",
               {{"message", message}, {"type", type}, {"param", or_null(param)}, {"code", or_null(code)}}}}
             .dump(-1, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

ApiResult<Json> parse_json_body(std::string_view body) {
  if (!is_valid_utf8(body))
    return std::unexpected(broken(body, first_bad_byte(body), "this is no well-formed UTF-8"));
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    ApiError error;
    error.code = "invalid_json";
    error.message = "the body is empty (expected a JSON object)";
    return std::unexpected(std::move(error));
  }
  std::size_t read = 0;
  Builder builder(body, read);
  if (!Json::sax_parse(Reading(body.data(), &read), Reading(body.data() + body.size(), nullptr), &builder))
    return std::unexpected(builder.error());
  if (!builder.root.is_object())
    return refuse({}, fmt::format("the body is {} (expected an object)", json_kind(builder.root)));
  return std::move(builder.root);
}

std::string_view json_kind(const Json& value) {
  switch (value.type()) {
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "a list";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::boolean:
      return "a boolean";
    case Json::value_t::null:
      return "null";
    case Json::value_t::number_float:
      return "a number with a fraction";
    default:
      return "a number";
  }
}

Fields::Fields(const Json& object, std::string path) : object_(object), path_(std::move(path)) {}

const Json* Fields::find(std::string_view name) {
  known_.emplace(name);
  const auto at = object_.find(name);
  return at == object_.end() || at->is_null() ? nullptr : &*at;
}

bool Fields::flag(std::string_view name, bool otherwise) {
  const Json* value = find(name);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) {
    complain(name, fmt::format("{} where true or false was expected", json_kind(*value)));
    return otherwise;
  }
  return value->get<bool>();
}

double Fields::number(std::string_view name, double otherwise, double low, double high) {
  const Json* value = find(name);
  if (value == nullptr) return otherwise;
  if (!value->is_number()) {
    complain(name, fmt::format("{} where a number was expected", json_kind(*value)));
    return otherwise;
  }
  const double x = value->get<double>();
  if (!(x >= low && x <= high)) {
    complain(name, fmt::format("{} is out of range (expected {} to {})", x, low, high));
    return otherwise;
  }
  return x;
}

std::optional<std::int64_t> Fields::integer(std::string_view name, std::int64_t low, std::int64_t high) {
  const Json* value = find(name);
  if (value == nullptr) return {};
  // 16.0 is what some languages write for an integer.
  const bool whole =
      value->is_number_integer() || (value->is_number_float() && std::abs(value->get<double>()) < 0x1p53 &&
                                     value->get<double>() == std::floor(value->get<double>()));
  if (!whole) {
    complain(name, fmt::format("{} where a whole number was expected", json_kind(*value)));
    return {};
  }
  if (value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
    complain(name,
             fmt::format("{} is out of range (expected {} to {})", value->get<std::uint64_t>(), low, high));
    return {};
  }
  const auto x = value->get<std::int64_t>();
  if (x < low || x > high) {
    complain(name, fmt::format("{} is out of range (expected {} to {})", x, low, high));
    return {};
  }
  return x;
}

std::string Fields::text(std::string_view name, std::string otherwise) {
  const Json* value = find(name);
  if (value == nullptr) return otherwise;
  if (!value->is_string()) {
    complain(name, fmt::format("{} where a string was expected", json_kind(*value)));
    return otherwise;
  }
  return value->get<std::string>();
}

std::vector<std::string> Fields::texts(std::string_view name, std::size_t most) {
  const Json* value = find(name);
  if (value == nullptr) return {};
  if (value->is_string()) return {value->get<std::string>()};
  if (!value->is_array()) {
    complain(name, fmt::format("{} where a string or a list of strings was expected", json_kind(*value)));
    return {};
  }
  if (value->size() > most) {
    complain(name, fmt::format("{} entries (expected at most {})", value->size(), most));
    return {};
  }
  std::vector<std::string> result;
  for (const Json& one : *value) {
    if (!one.is_string()) {
      complain(fmt::format("{}[{}]", name, result.size()),
               fmt::format("{} where a string was expected", json_kind(one)));
      return {};
    }
    result.push_back(one.get<std::string>());
  }
  return result;
}

void Fields::unsupported(std::string_view name, const Json& same_as, std::string_view why) {
  const Json* value = find(name);
  if (value == nullptr || *value == same_as) return;
  ApiError error;
  error.param = path_of(name);
  error.code = "unsupported_parameter";
  error.message = fmt::format("'{}' is not supported: {}", error.param, why);
  complain(std::move(error));
}

void Fields::complain(std::string_view name, std::string message) {
  ApiError error;
  error.param = path_of(name);
  error.message = fmt::format("'{}': {}", error.param, message);
  complain(std::move(error));
}

void Fields::complain(ApiError error) {
  if (!error_) error_ = std::move(error);
}

ApiResult<void> Fields::finish() {
  if (error_) return std::unexpected(*error_);
  for (const auto& [name, value] : object_.items()) {
    if (known_.contains(name)) continue;
    ApiError error;
    error.param = path_of(name).substr(0, 200);
    repair_utf8(error.param);
    error.code = "unknown_parameter";
    error.message = fmt::format("the field '{}' is not known", error.param);
    return std::unexpected(std::move(error));
  }
  return {};
}

}  // namespace agon::serving
