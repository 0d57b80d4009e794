// What a request is refused with: a status of HTTP and OpenAI's error object.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace agon::serving {

/// {"error": {"message", "type", "param", "code"}} with a status.
struct ApiError {
  int status = 400;
  std::string message = {};                    ///< For a person: what was wrong and what would be right.
  std::string type = "invalid_request_error";  ///< OpenAI's classes of errors.
  std::string param = {};                      ///< The field that was wrong, empty for none.
  std::string code = {};                       ///< For programs, e.g. "context_length_exceeded"; or empty.
  double retry_after = 0;                      ///< Seconds, for the header Retry-After; 0: none.

  /// The body of the answer, as JSON in one line.
  [[nodiscard]] std::string json() const;
};

template <class T>
using ApiResult = std::expected<T, ApiError>;

/// A request that is wrong in one field.
[[nodiscard]] inline std::unexpected<ApiError> refuse(std::string param, std::string message) {
  ApiError error;
  error.param = std::move(param);
  error.message = std::move(message);
  return std::unexpected(std::move(error));
}

}  // namespace agon::serving

/// Returns the error of an ApiResult<void>-like expression from the enclosing function.
#define AGON_API_TRY(expr)                                                              \
  do {                                                                                  \
    auto agon_api_status_ = (expr);                                                     \
    if (!agon_api_status_) return std::unexpected(std::move(agon_api_status_.error())); \
  } while (0)
