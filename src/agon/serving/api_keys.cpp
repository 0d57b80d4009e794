#include "agon/serving/api_keys.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>

#include "agon/base/file.h"
#include "agon/base/hash.h"

namespace agon::serving {
namespace {

constexpr std::size_t kMinKey = 8, kMaxKey = 512;

std::string_view trimmed(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

Result<ApiKeys> ApiKeys::read(const std::string& path) {
  AGON_ASSIGN(const std::string text, read_file(path, 1 << 20));
  return parse(text, path);
}

Result<ApiKeys> ApiKeys::parse(std::string_view text, const std::string& name) {
  ApiKeys keys;
  std::uint64_t row = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view key = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++row;
    if (key.empty() || key.front() == '#') continue;
    // The message must not show the key.
    const auto bad = [&](std::string message) {
      Error error;
      error.message = std::move(message);
      error.file = name;
      error.row = row;
      return std::unexpected(std::move(error));
    };
    if (key.size() < kMinKey || key.size() > kMaxKey)
      return bad(fmt::format("a key of {} characters (expected {} to {})", key.size(), kMinKey, kMaxKey));
    if (!std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7F; }))
      return bad("a key with spaces or characters beyond ASCII");
    keys.hashes_.push_back(sha256_hex(key));
  }
  if (keys.hashes_.empty()) return fail("no key in it (expected one a line)", name);
  return keys;
}

std::size_t ApiKeys::find(std::string_view authorization) const {
  const auto is_bearer = [&] {
    constexpr std::string_view kWord = "bearer ";
    return authorization.size() > kWord.size() &&
           std::equal(kWord.begin(), kWord.end(), authorization.begin(),
                      [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); });
  };
  const std::string_view key = is_bearer() ? trimmed(authorization.substr(7)) : std::string_view();
  // Hashes of equal length, all of them compared to their ends.
  const std::string hash = sha256_hex(key);
  std::size_t found = 0;
  for (std::size_t i = 0; i < hashes_.size(); ++i)
    if (CRYPTO_memcmp(hash.data(), hashes_[i].data(), hash.size()) == 0) found = i + 1;
  return found;
}

}  // namespace agon::serving
