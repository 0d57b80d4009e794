// Keys that clients must show, compared so that time tells nothing of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agon/base/error.h"

namespace agon::serving {

/// Only hashes of keys are kept, so that no log or dump of this object shows one.
class ApiKeys {
 public:
  /// Nobody needs a key.
  ApiKeys() = default;
  /// One key a line; empty lines and those that begin with '#' are passed over. An Error for no key at all, a
  /// key of fewer than 8 or more than 512 characters, or one with spaces or control characters.
  static Result<ApiKeys> read(const std::string& path);
  static Result<ApiKeys> parse(std::string_view text, const std::string& name);

  [[nodiscard]] bool required() const { return !hashes_.empty(); }
  /// The number of the key (from 1) in "Bearer KEY", 0 when it is none of them. Takes as long whichever it
  /// is, and whether it is one or not.
  [[nodiscard]] std::size_t find(std::string_view authorization) const;

 private:
  std::vector<std::string> hashes_;
};

}  // namespace agon::serving
