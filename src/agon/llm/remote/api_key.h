// The key that a server asks for, kept out of everything that people or files get to see.
#pragma once

#include <string>
#include <utility>

#include "agon/base/error.h"

namespace agon::llm {

/// A secret of visible ASCII characters, or none.
class ApiKey {
 public:
  ApiKey() = default;
  /// From an environment variable; when that is not set no key if `optional`, else an Error. A name that no
  /// variable has in a shell is refused and not shown: it may be the key itself, given by mistake.
  [[nodiscard]] static Result<ApiKey> from_environment(const std::string& name, bool optional);
  /// The first line of a file of at most 64 KiB.
  [[nodiscard]] static Result<ApiKey> from_file(const std::string& path);

  [[nodiscard]] bool empty() const { return text_.empty(); }
  [[nodiscard]] std::size_t size() const { return text_.size(); }
  /// "Bearer KEY", for the one header that holds it.
  [[nodiscard]] std::string authorization() const { return "Bearer " + text_; }
  /// `text` with "[key]" in place of the key: servers repeat what they were sent.
  [[nodiscard]] std::string redact(std::string text) const;

 private:
  explicit ApiKey(std::string text) : text_(std::move(text)) {}
  [[nodiscard]] static Result<ApiKey> checked(std::string text, const std::string& where);
  std::string text_;
};

}  // namespace agon::llm
