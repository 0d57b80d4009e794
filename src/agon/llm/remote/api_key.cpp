#include "agon/llm/remote/api_key.h"

#include <algorithm>
#include <cstdlib>

#include "agon/base/file.h"

namespace agon::llm {

Result<ApiKey> ApiKey::checked(std::string text, const std::string& where) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && is_space(text.back())) text.pop_back();
  while (!text.empty() && is_space(text.front())) text.erase(text.begin());
  if (text.empty()) return fail("holds no key", where);
  // The message must not show the key.
  if (!std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7F; }))
    return fail("holds a key with spaces or characters beyond ASCII", where);
  return ApiKey(std::move(text));
}

Result<ApiKey> ApiKey::from_environment(const std::string& name, bool optional) {
  const auto in_name = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  if (name.empty() || (name[0] >= '0' && name[0] <= '9') || !std::ranges::all_of(name, in_name))
    return std::unexpected(Error{.message = "--key-env: what was given is no name of an environment variable",
                                 .expected = "the variable's name (letters, digits, _), not the key itself",
                                 .kind = ErrorKind::kUsage});
  const char* value = std::getenv(name.c_str());
  if (value == nullptr || *value == '\0') {
    if (optional) return ApiKey();
    return fail("the environment variable " + name + " is not set, and the key was to come from it");
  }
  return checked(value, "environment variable " + name);
}

Result<ApiKey> ApiKey::from_file(const std::string& path) {
  AGON_ASSIGN(const std::string text, read_file(path, 1 << 16));
  return checked(text.substr(0, text.find('\n')), path);
}

std::string ApiKey::redact(std::string text) const {
  if (text_.empty()) return text;
  for (std::size_t at = 0; (at = text.find(text_, at)) != std::string::npos;)
    text.replace(at, text_.size(), "[key]");
  return text;
}

}  // namespace agon::llm
