// Whatever a model's file holds, reading it ends in an Error or in a model that works.
//
// The first byte chooses: 0, the rest is a whole file; 1, the rest is a payload, and gets a header and a
// checksum that fit; 2, the rest is a list of changes (3 bytes of place, 1 of value) to the payload of a
// small model trained here; 3, two bytes of length to which that payload is cut, then changes.
#include <cmath>
#include <cstdint>
#include <string>

#include "../tests/tiny_model.h"

using namespace agon;

namespace {

const std::string& tiny_payload() {
  static const std::string payload = tiny_model().to_bytes().substr(kModelHeaderBytes);
  return payload;
}

void change(std::string& payload, const std::uint8_t* data, std::size_t size) {
  for (std::size_t i = 0; i + 4 <= size && !payload.empty(); i += 4) {
    const std::size_t place = (std::size_t{data[i]} << 16 | std::size_t{data[i + 1]} << 8 | data[i + 2]);
    payload[place % payload.size()] = static_cast<char>(data[i + 3]);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const char mode = static_cast<char>(data[0] & 3);
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (mode == 2) {
    std::string payload = tiny_payload();
    change(payload, data + 1, size - 1);
    bytes = model_file_of(payload);
  } else if (mode == 3 && size >= 3) {
    std::string payload = tiny_payload();
    payload.resize((std::size_t{data[1]} << 8 | data[2]) % (payload.size() + 1));
    change(payload, data + 3, size - 3);
    bytes = model_file_of(payload);
  } else if (mode == 1) {
    bytes = model_file_of(bytes);
  }
  const auto model = PreferenceModel::from_bytes(bytes, "f");
  if (!model) {
    (void)model.error().to_string();
    return 0;
  }
  static const VoteSet set = tiny_votes();
  const std::span<const Vote> votes = std::span(set.votes).first(3);
  const auto predictions = model->predict(votes);
  AGON_CHECK(predictions.has_value());
  for (const Prediction& p : *predictions)
    AGON_CHECK(p.a > 0 && p.b > 0 && p.tie > 0 && std::fabs(p.a + p.b + p.tie - 1) < 1e-9);
  AGON_CHECK(model->explain(votes, 3).has_value());
  // What was taken can be written again and is then the same model.
  const std::string again = model->to_bytes();
  AGON_CHECK(PreferenceModel::from_bytes(again, "f").has_value());
  return 0;
}
