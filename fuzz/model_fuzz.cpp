// Whatever a model's file holds, reading it ends in an Error or in a model that works.
//
// The first byte's lowest bits choose: 0, the rest is a whole file; 1, the rest is a payload, and gets a
// header and a checksum that fit; 2, the rest is a list of changes (3 bytes of place, 1 of value) to the
// payload of a small model trained here; 3, two bytes of length to which that payload is cut, then changes.
// With bit 2 the model has learned from a language model, and places count from its payload's end, where that
// stands.
#include <cmath>
#include <cstdint>
#include <string>

#include "../tests/tiny_model.h"

using namespace agon;

namespace {

const std::string& tiny_payload(bool reading) {
  static const std::string plain = tiny_model().to_bytes().substr(kModelHeaderBytes),
                           with = tiny_model(true).to_bytes().substr(kModelHeaderBytes);
  return reading ? with : plain;
}

void change(std::string& payload, const std::uint8_t* data, std::size_t size, bool from_end) {
  for (std::size_t i = 0; i + 4 <= size && !payload.empty(); i += 4) {
    const std::size_t place = (std::size_t{data[i]} << 16 | std::size_t{data[i + 1]} << 8 | data[i + 2]);
    const std::size_t at = place % payload.size();
    payload[from_end ? payload.size() - 1 - at : at] = static_cast<char>(data[i + 3]);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const char mode = static_cast<char>(data[0] & 3);
  const bool reading = (data[0] & 4) != 0;
  const std::uint32_t version = reading ? 3 : 1;
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (mode == 2) {
    std::string payload = tiny_payload(reading);
    change(payload, data + 1, size - 1, reading);
    bytes = model_file_of(payload, version);
  } else if (mode == 3 && size >= 3) {
    std::string payload = tiny_payload(reading);
    const std::size_t cut = (std::size_t{data[1]} << 8 | data[2]) % (payload.size() + 1);
    payload.resize(reading ? payload.size() - cut : cut);
    change(payload, data + 3, size - 3, reading);
    bytes = model_file_of(payload, version);
  } else if (mode == 1) {
    bytes = model_file_of(bytes, version);
  }
  auto model = PreferenceModel::from_bytes(bytes, "f");
  if (!model) {
    (void)model.error().to_string();
    return 0;
  }
  if (model->language_model() != nullptr) {
    auto source = std::make_shared<TinySource>(*model->language_model());
    source->widths.clear();
    for (const Correction& correction : model->corrections()) {
      if (correction.width() > 1 << 16) return 0;
      source->widths.emplace_back(correction.block(), correction.width());
    }
    model->attach(std::move(source));
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
