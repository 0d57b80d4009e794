// CSV in pieces of any size reads as CSV in one piece, and whatever the bytes, reading ends.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "agon/base/check.h"
#include "agon/text/csv.h"

namespace {

using namespace agon;

class DripSource final : public ByteSource {
 public:
  DripSource(std::string_view text, std::size_t step) : text_(text), step_(step) {}
  Result<std::size_t> read(char* buffer, std::size_t capacity) override {
    const std::size_t n = std::min({capacity, step_, text_.size() - at_});
    std::memcpy(buffer, text_.data() + at_, n);
    at_ += n;
    return n;
  }
  std::uint64_t raw_bytes_read() const override { return at_; }
  std::uint64_t raw_size() const override { return text_.size(); }

 private:
  std::string_view text_;
  std::size_t step_, at_ = 0;
};

/// All that a reader says: fields, places and errors.
std::vector<std::string> transcript(std::string_view text, std::size_t step) {
  std::vector<std::string> out;
  auto csv = CsvReader::open(std::make_unique<DripSource>(text, step), "f", {.max_row_bytes = 200});
  if (!csv) return {csv.error().to_string()};
  std::vector<std::string_view> fields;
  std::uint64_t last = 0;
  for (;;) {
    const auto more = csv->next(fields);
    AGON_CHECK(!csv->broken());
    if (more && !*more) break;
    AGON_CHECK(csv->record() == last + 1);
    last = csv->record();
    out.push_back(std::to_string(csv->record()) + " " + std::to_string(csv->byte()));
    if (!more) {
      out.push_back(more.error().to_string());
      continue;
    }
    AGON_CHECK(fields.size() == csv->header().size());
    out.insert(out.end(), fields.begin(), fields.end());
  }
  out.push_back(std::to_string(csv->line()));
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t step = 1 + data[0] % 40;
  AGON_CHECK(transcript(text, 1 << 20) == transcript(text, step));
  return 0;
}
