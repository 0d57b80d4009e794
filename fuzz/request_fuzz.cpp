// What comes over the wire: heads of requests, bodies in chunks, and the JSON of every path. The first byte
// chooses which reader gets the rest; all of them either read it or say what is wrong in valid UTF-8.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "agon/base/check.h"
#include "agon/serving/http_body.h"
#include "agon/serving/http_head.h"
#include "agon/serving/requests.h"
#include "agon/text/utf8.h"

using namespace agon;
using namespace agon::serving;

namespace {

constexpr std::uint64_t kMaxBody = 4096;

template <class Body>
void check(const ApiResult<Body>& body) {
  if (body) return;
  const ApiError& error = body.error();
  AGON_CHECK(error.status == 400 && !error.message.empty() && error.message.size() < 4096);
  const auto json = nlohmann::json::parse(error.json());
  AGON_CHECK(json["error"]["message"].is_string());
}

void check_head(std::string_view text) {
  const auto head = parse_http_head(text, kMaxBody);
  if (!head) {
    AGON_CHECK(head.error().status >= 400 && is_valid_utf8(head.error().message));
    return;
  }
  AGON_CHECK(head->content_length <= kMaxBody && !(head->chunked && head->content_length > 0));
  AGON_CHECK(head->headers.size() <= kMaxHeaders && is_valid_utf8(head->path) && head->path[0] == '/');
}

// The body is the same however its bytes are cut.
void check_chunks(std::string_view text) {
  std::string bodies[2];
  bool ended[2];
  std::size_t used[2] = {0, 0};
  for (const int way : {0, 1}) {
    ChunkedBody chunks(kMaxBody);
    std::string_view rest = text;
    while (!rest.empty() && !chunks.ended()) {
      std::string_view piece = rest.substr(0, way == 0 ? rest.size() : 1);
      const std::size_t had = piece.size();
      if (!chunks.push(piece, bodies[way])) break;
      rest.remove_prefix(had - piece.size());
    }
    ended[way] = chunks.ended();
    used[way] = text.size() - rest.size();
    AGON_CHECK(bodies[way].size() <= kMaxBody);
  }
  AGON_CHECK(ended[0] == ended[1]);
  if (ended[0]) AGON_CHECK(bodies[0] == bodies[1] && used[0] == used[1]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 10) {
    case 0:
      check_head(text);
      break;
    case 1:
      check_chunks(text);
      break;
    case 2:
    case 3:
      check(read_completion(text));
      break;
    case 4:
    case 5:
      check(read_chat(text));
      break;
    case 6:
      check(read_embedding(text));
      break;
    case 7:
      check(read_rerank(text));
      break;
    case 8:
      check(read_score(text));
      break;
    default:
      check(read_tokenize(text));
      check(read_detokenize(text));
  }
  return 0;
}
