#include "agon/data/submission.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "agon/base/check.h"
#include "agon/text/csv.h"
#include "agon/text/json.h"

namespace agon {
namespace {

constexpr std::int64_t kUnits = 1'000'000'000;
static_assert(kProbabilityDigits == 9);

struct Units {
  std::int64_t a, b, tie;
};

/// Whole units of 1e-9 that sum to exactly 1 with none below 1. Every step treats a and b alike, so
/// that exchanging them exchanges the result.
Units units_of(const Prediction& p) {
  AGON_CHECK(std::isfinite(p.a) && std::isfinite(p.b) && std::isfinite(p.tie));
  AGON_CHECK(p.a >= 0 && p.b >= 0 && p.tie >= 0);
  const double sum = (p.a + p.b) + p.tie;
  AGON_CHECK(sum > 0.5 && sum < 2.0);
  const auto rounded = [&](double x) {
    return std::max<std::int64_t>(1, std::llround(x / sum * static_cast<double>(kUnits)));
  };
  Units u{rounded(p.a), rounded(p.b), 0};
  // The tie takes the rounding error; where it cannot, the larger of a and b gives way, or both.
  for (;;) {
    u.tie = kUnits - u.a - u.b;
    if (u.tie >= 1) return u;
    const std::int64_t lacking = 1 - u.tie;
    if (u.a == u.b) {
      u.a -= (lacking + 1) / 2;
      u.b = u.a;
    } else {
      (u.a > u.b ? u.a : u.b) -= lacking;
    }
  }
}

double from_units(std::int64_t units) { return static_cast<double>(units) / static_cast<double>(kUnits); }

}  // namespace

Prediction quantised(const Prediction& p) {
  const Units u = units_of(p);
  return {from_units(u.a), from_units(u.b), from_units(u.tie)};
}

SubmissionFormat submission_format(const std::string& path) {
  std::string_view name = path;
  for (const std::string_view ending : {".gz", ".zst"}) {
    if (name.ends_with(ending)) name.remove_suffix(ending.size());
  }
  return name.ends_with(".jsonl") || name.ends_with(".ndjson") ? SubmissionFormat::kJsonl
                                                               : SubmissionFormat::kCsv;
}

Result<SubmissionWriter> SubmissionWriter::create(const std::string& path, SubmissionFormat format) {
  AGON_ASSIGN(auto file, AtomicFile::create(path));
  SubmissionWriter writer(std::move(file), format);
  if (format == SubmissionFormat::kCsv) writer.buffer_ = "id,winner_model_a,winner_model_b,winner_tie\n";
  return writer;
}

Status SubmissionWriter::write(const std::string& id, const Prediction& p) {
  const Units u = units_of(p);
  auto out = std::back_inserter(buffer_);
  if (format_ == SubmissionFormat::kCsv) {
    append_csv_field(buffer_, id);
    fmt::format_to(out, ",0.{:09d},0.{:09d},0.{:09d}\n", u.a, u.b, u.tie);
  } else {
    buffer_ += "{\"id\":";
    append_json_string(buffer_, id);
    fmt::format_to(out,
                   ",\"winner_model_a\":0.{:09d},\"winner_model_b\":0.{:09d},\"winner_tie\":0.{:09d}}}\n",
                   u.a, u.b, u.tie);
  }
  if (buffer_.size() < (std::size_t{1} << 16)) return {};
  auto status = file_->write(buffer_);
  buffer_.clear();
  return status;
}

Status SubmissionWriter::commit() {
  AGON_TRY(file_->write(buffer_));
  buffer_.clear();
  return file_->commit();
}

}  // namespace agon
