// How a failure travels: as a value that says what was wrong, where, and what was expected.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

namespace agon {

/// Whose mistake it was; decides the exit code of the program (1 or 2).
enum class ErrorKind : std::uint8_t {
  kData,   ///< The data or the run failed: a bad file, a full disk, a model that does not fit.
  kUsage,  ///< The command line or the call was wrong.
};

/// A failure that the user can act on. Bugs are AGON_CHECK, never an Error.
struct Error {
  std::string message;      ///< What was wrong, without place, lower case, no final stop.
  std::string file = {};    ///< Path of the file, empty when no file is meant.
  std::uint64_t row = 0;    ///< 1-based record number (a CSV header is not counted), 0 when none.
  std::string column = {};  ///< Column or JSON field, empty when none.
  std::uint64_t byte = 0;   ///< Offset in the file, printed when `has_byte`.
  bool has_byte = false;
  std::string expected = {};  ///< What would have been right, empty when the message says it.
  ErrorKind kind = ErrorKind::kData;

  /// "votes.csv: row 12, column 'prompt': not a JSON list (expected [\"turn\", ...])"
  [[nodiscard]] std::string to_string() const;
  /// 1 for kData, 2 for kUsage.
  [[nodiscard]] int exit_code() const { return kind == ErrorKind::kUsage ? 2 : 1; }
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

/// Shorthand for the plainest failure.
[[nodiscard]] inline std::unexpected<Error> fail(std::string message, std::string file = {}) {
  Error error;
  error.message = std::move(message);
  error.file = std::move(file);
  return std::unexpected(std::move(error));
}

}  // namespace agon

#define AGON_CONCAT_INNER(a, b) a##b
#define AGON_CONCAT(a, b) AGON_CONCAT_INNER(a, b)
/// Returns the error of a Status-like expression from the enclosing function.
#define AGON_TRY(expr)                                                          \
  do {                                                                          \
    auto agon_status_ = (expr);                                                 \
    if (!agon_status_) return std::unexpected(std::move(agon_status_.error())); \
  } while (0)
/// `AGON_ASSIGN(auto x, f());` binds the value or returns the error.
#define AGON_ASSIGN(decl, expr)                                                     \
  auto AGON_CONCAT(agon_result_, __LINE__) = (expr);                                \
  if (!AGON_CONCAT(agon_result_, __LINE__))                                         \
    return std::unexpected(std::move(AGON_CONCAT(agon_result_, __LINE__).error())); \
  decl = std::move(*AGON_CONCAT(agon_result_, __LINE__))
