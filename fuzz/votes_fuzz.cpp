// Whatever a file of votes holds, reading ends in votes that keep their promises or in an Error.
#include <string>
#include <vector>

#include "agon/base/check.h"
#include "agon/data/vote_reader.h"
#include "agon/text/utf8.h"

using namespace agon;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  ReadOptions options;
  options.need_labels = (data[0] & 1) != 0;
  options.skip_bad = (data[0] & 2) != 0;
  options.plain_text = (data[0] & 4) != 0;
  options.max_row_bytes = 2000;
  auto reader = VoteReader::open_from_memory(std::string(reinterpret_cast<const char*>(data) + 1, size - 1),
                                             "f", options);
  if (!reader) {
    AGON_CHECK(is_valid_utf8(reader.error().to_string()));
    return 0;
  }
  std::vector<Vote> votes;
  for (;;) {
    const auto got = (*reader)->read(votes, 3, 100);
    if (!got) {
      AGON_CHECK(is_valid_utf8(got.error().to_string()));
      break;
    }
    if (*got == 0) break;
  }
  AGON_CHECK((*reader)->counts().rows == votes.size());
  std::uint64_t row = 0, nulls = 0;
  for (const Vote& vote : votes) {
    AGON_CHECK(vote.row > row);
    row = vote.row;
    AGON_CHECK(vote.weight > 0 && is_valid_utf8(vote.id));
    AGON_CHECK(!options.need_labels || vote.outcome != Outcome::kUnknown);
    AGON_CHECK(!vote.both_bad || vote.outcome == Outcome::kTie);
    AGON_CHECK(vote.extras.size() <= (*reader)->extra_names().size());
    for (const Turns* turns : {&vote.prompt, &vote.response_a, &vote.response_b}) {
      AGON_CHECK(!turns->empty());
      for (const Turn& turn : *turns) {
        AGON_CHECK(is_valid_utf8(turn.text) && (!turn.null || turn.text.empty()));
        nulls += turn.null;
      }
    }
  }
  AGON_CHECK(nulls == (*reader)->counts().null_turns);
  return 0;
}
