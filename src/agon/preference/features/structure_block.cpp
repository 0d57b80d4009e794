#include <algorithm>
#include <array>

#include "agon/preference/features/blocks.h"
#include "agon/preference/features/pairing.h"

namespace agon {
namespace {

constexpr std::array kSides = {
    Side{"headers", "Markdown headers", Side::kCount, false, Side::kNone},
    Side{"bullets", "bulleted items", Side::kCount, true, Side::kNone},
    Side{"numbered", "numbered items", Side::kCount, true, Side::kNone},
    Side{"items", "list items of any kind", Side::kCount, true, Side::kBoth},
    Side{"nested_items", "indented list items", Side::kCount, false, Side::kNone},
    Side{"item_share", "share of lines that are list items", Side::kShare, false, Side::kNone},
    Side{"bold", "bold spans", Side::kCount, true, Side::kNone},
    Side{"bold_openers", "lines or items that begin bold", Side::kCount, false, Side::kNone},
    Side{"italic", "italic spans", Side::kCount, false, Side::kNone},
    Side{"inline_code", "inline code spans", Side::kCount, false, Side::kNone},
    Side{"code_blocks", "fenced code blocks", Side::kCount, false, Side::kMean},
    Side{"code_lines", "lines of code", Side::kCount, true, Side::kMean},
    Side{"code_share", "share of bytes that are code", Side::kShare, false, Side::kGap},
    Side{"prose_bytes", "bytes outside code", Side::kCount, true, Side::kNone},
    Side{"table_rows", "table rows", Side::kCount, false, Side::kNone},
    Side{"latex", "formulas", Side::kCount, false, Side::kNone},
    Side{"links", "links and addresses", Side::kCount, false, Side::kNone},
    Side{"quotes", "quoted lines", Side::kCount, false, Side::kNone},
    Side{"kinds", "kinds of structure used", Side::kShare, false, Side::kMean},
};

class StructureBlock final : public TextBlock {
 public:
  std::string_view name() const override { return "structure"; }
  int version() const override { return 2; }
  std::span<const Column> columns() const override { return columns_; }
  void compute_row(const AnalyzedVote& v, std::span<float> out) const override {
    pair_values(kSides, values(v.a), values(v.b), out);
  }

 private:
  static std::array<double, kSides.size()> values(const AnalyzedText& t) {
    const MarkdownCounts& m = t.markdown;
    const auto d = [](std::uint32_t n) { return static_cast<double>(n); };
    const std::uint32_t items = m.bullets + m.numbered;
    const double lines = std::max(1.0, d(m.lines - m.blank_lines));
    const int kinds = (m.headers > 0) + (m.bullets > 0) + (m.numbered > 0) + (m.bold > 0) +
                      (m.code_blocks > 0) + (m.table_rows > 0) + (m.latex > 0);
    return {d(m.headers),
            d(m.bullets),
            d(m.numbered),
            d(items),
            d(m.nested_items),
            items / lines,
            d(m.bold),
            d(m.bold_openers),
            d(m.italic),
            d(m.inline_code),
            d(m.code_blocks),
            d(m.code_lines),
            m.code_bytes / std::max(1.0, d(t.chars.bytes)),
            d(t.chars.bytes) - d(m.code_bytes),
            d(m.table_rows),
            d(m.latex),
            d(m.links + m.urls),
            d(m.quotes),
            static_cast<double>(kinds)};
  }
  std::vector<Column> columns_ = paired_columns("structure", kSides);
};

}  // namespace

const TextBlock& structure_block() {
  static const StructureBlock block;
  return block;
}

}  // namespace agon
