// Reading the JSON of a request strictly: nothing unknown, nothing twice, nothing deep, and every complaint
// says where. Includes nlohmann's header; only for the sources of this room that read requests.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agon/serving/api_error.h"

namespace agon::serving {

using Json = nlohmann::ordered_json;

constexpr int kMaxJsonDepth = 64;
/// Lists and objects of one body: an empty one takes two bytes there and some thirty times that in memory.
constexpr std::size_t kMaxJsonContainers = 1 << 16;

/// The object that a body is. Refused, with byte, line and column (all but the byte counted from 1): broken
/// JSON, ill-formed UTF-8, a name twice in one object, more than kMaxJsonDepth levels or kMaxJsonContainers,
/// numbers beyond a double, anything behind the object. Memory is at most a fixed multiple of the body.
[[nodiscard]] ApiResult<Json> parse_json_body(std::string_view body);

/// "a list", "a string", ... for messages.
[[nodiscard]] std::string_view json_kind(const Json& value);

/// Takes fields out of an object one by one and remembers what was wrong first. A field that is null counts
/// as not given. `path` stands before names in complaints ("stream_options.").
class Fields {
 public:
  explicit Fields(const Json& object, std::string path = {});

  /// The value of a field, or null when it is not given; takes note that the name is known.
  [[nodiscard]] const Json* find(std::string_view name);
  [[nodiscard]] bool has(std::string_view name) { return find(name) != nullptr; }

  [[nodiscard]] bool flag(std::string_view name, bool otherwise);
  [[nodiscard]] double number(std::string_view name, double otherwise, double low, double high);
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view name, std::int64_t low,
                                                    std::int64_t high);
  [[nodiscard]] std::string text(std::string_view name, std::string otherwise = {});
  /// A string, or a list of 1 to `most` strings; empty when not given.
  [[nodiscard]] std::vector<std::string> texts(std::string_view name, std::size_t most);

  /// A field that may be given and changes nothing.
  void harmless(std::string_view name) { known_.emplace(name); }
  /// A field of others that is not supported: refused, unless it is null or `same_as` (what it is when not
  /// given).
  void unsupported(std::string_view name, const Json& same_as, std::string_view why);

  /// Notes a complaint about a field, if it is the first.
  void complain(std::string_view name, std::string message);
  void complain(ApiError error);
  /// Nothing was wrong so far.
  [[nodiscard]] bool good() const { return !error_; }
  /// Ends the reading: the first complaint, or one about a field that nobody asked for.
  [[nodiscard]] ApiResult<void> finish();
  [[nodiscard]] std::string path_of(std::string_view name) const { return path_ + std::string(name); }

 private:
  const Json& object_;
  std::string path_;
  std::set<std::string, std::less<>> known_;
  std::optional<ApiError> error_;
};

}  // namespace agon::serving
