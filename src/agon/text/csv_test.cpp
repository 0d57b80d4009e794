#include "agon/text/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace agon {
namespace {

using Rows = std::vector<std::vector<std::string>>;

/// Gives a text in pieces of `step` bytes, so that every border between two reads is met.
class DripSource final : public ByteSource {
 public:
  DripSource(std::string text, std::size_t step) : text_(std::move(text)), step_(step) {}
  Result<std::size_t> read(char* buffer, std::size_t capacity) override {
    const std::size_t n = std::min({capacity, step_, text_.size() - at_});
    std::memcpy(buffer, text_.data() + at_, n);
    at_ += n;
    return n;
  }
  std::uint64_t raw_bytes_read() const override { return at_; }
  std::uint64_t raw_size() const override { return text_.size(); }

 private:
  std::string text_;
  std::size_t step_, at_ = 0;
};

Result<Rows> read_all(const std::string& text, std::size_t step = 1 << 16, CsvOptions options = {}) {
  AGON_ASSIGN(auto csv, CsvReader::open(std::make_unique<DripSource>(text, step), "t.csv", options));
  Rows rows{csv.header()};
  std::vector<std::string_view> fields;
  for (;;) {
    AGON_ASSIGN(const bool more, csv.next(fields));
    if (!more) return rows;
    rows.emplace_back(fields.begin(), fields.end());
  }
}

/// What read_all() says, or the error in words.
std::string outcome(const std::string& text, std::size_t step = 1 << 16, CsvOptions options = {}) {
  const auto rows = read_all(text, step, options);
  if (!rows) return rows.error().to_string();
  std::string out;
  for (const auto& row : *rows) {
    for (const auto& field : row) out += "<" + field + ">";
    out += "\n";
  }
  return out;
}

/// The same grammar, slowly: one pass over the whole text, a byte at a time. Nothing when the text is
/// not CSV as the header of csv.h has it.
std::optional<Rows> naive(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF") || text.contains('\0')) return {};
  Rows rows;
  std::size_t at = 0;
  while (at < text.size()) {
    if (text[at] == '\r' || text[at] == '\n') {
      ++at;
      continue;
    }
    auto& row = rows.emplace_back();
    for (bool again = true; again;) {
      auto& field = row.emplace_back();
      if (at < text.size() && text[at] == '"') {
        for (++at;; ++at) {
          if (at >= text.size()) return {};
          if (text[at] == '"' && !(at + 1 < text.size() && text[at + 1] == '"')) break;
          at += text[at] == '"';
          field += text[at];
        }
        ++at;
        if (at < text.size() && text[at] != ',' && text[at] != '\r' && text[at] != '\n') return {};
      } else {
        while (at < text.size() && text[at] != ',' && text[at] != '\r' && text[at] != '\n')
          field += text[at++];
      }
      again = at < text.size() && text[at] == ',';
      at += again;
    }
    if (row.size() != rows[0].size()) return {};
  }
  if (rows.empty()) return {};
  for (auto& name : rows[0]) {
    name.erase(0, std::min(name.find_first_not_of(" \t"), name.size()));
    name.erase(name.find_last_not_of(" \t") + 1);
  }
  auto names = rows[0];
  std::ranges::sort(names);
  if (std::ranges::adjacent_find(names) != names.end()) return {};
  return rows;
}

RC_GTEST_PROP(Csv, AgreesWithANaiveReaderOnAnyText, ()) {
  const auto text = *rc::gen::container<std::string>(
      rc::gen::element('"', '"', '"', ',', ',', '\n', '\r', 'a', 'b', 'c', ' ', '\0', '\xEF'));
  const auto step = *rc::gen::inRange<std::size_t>(1, 8);
  const auto expected = naive(text);
  const auto rows = read_all(text, step);
  RC_ASSERT(rows.has_value() == expected.has_value());
  if (rows) RC_ASSERT(*rows == *expected);
}

RC_GTEST_PROP(Csv, ReadsBackWhatItWrites, ()) {
  const auto field =
      rc::gen::container<std::string>(rc::gen::element('"', ',', '\n', '\r', 'a', ' ', '\xC3'));
  const auto width = *rc::gen::inRange<std::size_t>(2, 5);
  const auto cells = *rc::gen::container<Rows>(rc::gen::container<std::vector<std::string>>(width, field));
  std::string text;
  Rows expected{{}};
  for (std::size_t i = 0; i < width; ++i) {
    expected[0].push_back("c" + std::to_string(i));
    text += (i == 0 ? "c" : ",c") + std::to_string(i);
  }
  for (const auto& row : cells) {
    text += "\r\n";
    for (std::size_t i = 0; i < width; ++i) {
      if (i != 0) text += ',';
      append_csv_field(text, row[i]);
    }
    expected.push_back(row);
  }
  const auto rows = read_all(text, *rc::gen::inRange<std::size_t>(1, 50));
  RC_ASSERT(rows.has_value());
  RC_ASSERT(*rows == expected);
}

TEST(Csv, ReadsWhatRfc4180Allows) {
  const std::string expected = "<a><b>\n<1><x\"y>\n<2><p,\nq>\n<><>\n";
  for (const std::size_t step : {1, 2, 3, 1000}) {
    EXPECT_EQ(outcome("a,b\n1,\"x\"\"y\"\n2,\"p,\nq\"\n,\n", step), expected);
    EXPECT_EQ(outcome("\xEF\xBB\xBF"
                      "a,b\r\n1,\"x\"\"y\"\r\n\r\n2,\"p,\nq\"\r\n,",
                      step),
              expected);
    EXPECT_EQ(outcome("\n a , b\n1,x\"y\n2,\"p,\nq\"\n\"\",\"\"\r", step), expected);
  }
}

TEST(Csv, ErrorsNameRowLineAndByte) {
  EXPECT_EQ(outcome(""), "t.csv: the file is empty");
  EXPECT_EQ(outcome("\n\r\n"), "t.csv: the file is empty");
  EXPECT_EQ(outcome("a,b,a\n"), "t.csv: two columns are named 'a'");
  EXPECT_EQ(outcome(std::string("\xFF\xFE"
                                "a\0,\0",
                                6)),
            "t.csv: the file is UTF-16 (expected UTF-8)");
  EXPECT_EQ(outcome("a,b\n1,\"p\nq\"\n1,2,3\n"),
            "t.csv: row 2, byte 12: 3 fields where the header has 2 (record on line 4)");
  EXPECT_EQ(outcome("a,b\n1\n"), "t.csv: row 1, byte 4: 1 fields where the header has 2 (record on line 2)");
  EXPECT_EQ(outcome("a,b\n1,2\n3,\"x\n"), "t.csv: row 2, byte 10: unterminated quote, opened on line 3");
  EXPECT_EQ(outcome("a,\"b"), "t.csv: byte 2: in the header: unterminated quote, opened on line 1");
  EXPECT_EQ(outcome("a,b\n\"1\"2,3\n"),
            "t.csv: row 1, byte 7: text after a closing quote, on line 2 (expected a comma or the end of the "
            "line; quotes inside a field are doubled)");
  EXPECT_EQ(outcome(std::string("a,b\n1,\0\n", 8)),
            "t.csv: row 1, byte 4: a NUL byte (record on line 2) (expected text in UTF-8)");
}

TEST(Csv, GoesOnAfterABadRecord) {
  const std::string text = "a,b\n1,one\n2\n3,\"x\"y,\"no\nend\"\n4," + std::string(3000, 'z') + "\n5,\"" +
                           std::string(3000, '\n') + "\"\n6,six\n";
  for (const std::size_t step : {1, 5, 1 << 16}) {
    auto csv = CsvReader::open(std::make_unique<DripSource>(text, step), "t.csv", {.max_row_bytes = 1000});
    ASSERT_TRUE(csv);
    std::vector<std::string> good, bad;
    std::vector<std::string_view> fields;
    for (;;) {
      const auto more = csv->next(fields);
      if (more && !*more) break;
      if (more)
        good.emplace_back(std::string(fields[0]) + std::string(fields[1]));
      else
        bad.push_back(more.error().to_string().substr(0, 12));
      ASSERT_FALSE(csv->broken());
    }
    EXPECT_THAT(good, testing::ElementsAre("1one", "6six"));
    EXPECT_THAT(bad, testing::ElementsAre("t.csv: row 2", "t.csv: row 3", "t.csv: row 4", "t.csv: row 5"));
    EXPECT_EQ(csv->line(), 3008u);  // counted through all of it
  }
}

TEST(Csv, ARowTooLongIsRefusedInBoundedMemory) {
  // The quote of row 1 never closes: the rest of the file is one field, and is not kept.
  const std::string text = "a,b\n1,\"" + std::string(std::size_t{1} << 22, 'x');
  EXPECT_EQ(outcome(text, 1 << 16, {.max_row_bytes = 1 << 16}),
            "t.csv: row 1: longer than 65536 bytes; is the quote on line 2 never closed?");
  EXPECT_EQ(outcome("a\n" + std::string(11, 'x') + "\n", 1 << 16, {.max_row_bytes = 10}),
            "t.csv: row 1: longer than 10 bytes");
  EXPECT_EQ(outcome("a\n" + std::string(10, 'x') + "\n", 1 << 16, {.max_row_bytes = 10}),
            "<a>\n<" + std::string(10, 'x') + ">\n");
}

}  // namespace
}  // namespace agon
