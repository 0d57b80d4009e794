#include "agon/llm/tokenizer/jinja_text.h"

#include <algorithm>

namespace agon::llm {
namespace {

using Kind = JinjaWord::Kind;
constexpr std::size_t kLongestTemplate = 64 << 10;

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

class Reader {
 public:
  explicit Reader(std::string_view source) : source_(source) {
    if (source_.ends_with('\n')) source_.remove_suffix(1);  // as Jinja does
  }

  Result<std::vector<JinjaWord>> read() {
    bool strip = false, newline = false;  // of the text behind the last tag
    while (at_ <= source_.size()) {
      const std::size_t tag = next_tag();
      const bool at_end = tag == std::string_view::npos;
      std::string_view text = source_.substr(at_, at_end ? std::string_view::npos : tag - at_);
      if (newline && text.starts_with('\n')) text.remove_prefix(1);
      if (strip)
        while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
      if (!at_end) {
        const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
        if (sign == '-') {
          while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
        } else if (source_[tag + 1] != '{' && sign != '+') {
          strip_line_start(text, at_ == 0);
        }
      }
      if (!text.empty()) words_.push_back({Kind::kText, std::string(text)});
      if (at_end) break;
      AGON_TRY(read_tag(tag));
      strip = strip_after_;
      newline = newline_after_;
    }
    return std::move(words_);
  }

 private:
  [[nodiscard]] std::size_t next_tag() const {
    for (std::size_t i = at_; i + 1 < source_.size(); ++i)
      if (source_[i] == '{' && (source_[i + 1] == '{' || source_[i + 1] == '%' || source_[i + 1] == '#'))
        return i;
    return std::string_view::npos;
  }

  /// Blanks between the start of a line and a block vanish.
  static void strip_line_start(std::string_view& text, bool at_start) {
    std::size_t end = text.size();
    while (end > 0 && (text[end - 1] == ' ' || text[end - 1] == '\t')) --end;
    if (end > 0 ? text[end - 1] == '\n' : at_start) text = text.substr(0, end);
  }

  static std::unexpected<Error> open_end(std::string_view what) {
    return fail("tokenizer.chat_template: " + std::string(what) + " does not end");
  }

  Status read_tag(std::size_t tag) {
    const char kind = source_[tag + 1];
    const char closing = kind == '{' ? '}' : kind;
    at_ = tag + 2;
    if (at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+')) ++at_;
    const auto closes = [&](std::size_t i) {
      return i + 1 < source_.size() && source_[i] == closing && source_[i + 1] == '}';
    };
    newline_after_ = kind != '{';
    if (kind == '#') {
      while (!closes(at_)) {
        if (++at_ >= source_.size()) return open_end("a comment");
      }
      strip_after_ = source_[at_ - 1] == '-';
      at_ += 2;
      return {};
    }
    words_.push_back({kind == '{' ? Kind::kOutput : Kind::kBlock, ""});
    while (true) {
      while (at_ < source_.size() && is_space(source_[at_])) ++at_;
      if (at_ >= source_.size()) return open_end("a tag");
      const bool minus = source_[at_] == '-' || source_[at_] == '+';
      if (closes(at_ + (minus ? 1 : 0))) {
        strip_after_ = source_[at_] == '-';
        if (source_[at_] == '+') newline_after_ = false;
        at_ += minus ? 3 : 2;
        return {};
      }
      AGON_TRY(read_word());
    }
  }

  Status read_word() {
    const char c = source_[at_];
    if (c == '\'' || c == '"') return read_string(c);
    const std::size_t begin = at_++;
    if (is_name(c)) {
      while (at_ < source_.size() && is_name(source_[at_])) ++at_;
      const bool number = c >= '0' && c <= '9';
      words_.push_back(
          {number ? Kind::kOperator : Kind::kName, std::string(source_.substr(begin, at_ - begin))});
    } else {
      words_.push_back({Kind::kOperator, std::string(1, c)});
    }
    return {};
  }

  Status read_string(char quote) {
    std::string value;
    for (++at_;; ++at_) {
      if (at_ >= source_.size()) return open_end("a literal");
      char c = source_[at_];
      if (c == quote) break;
      if (c == '\\' && at_ + 1 < source_.size()) {
        c = source_[++at_];
        c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
      }
      value.push_back(c);
    }
    ++at_;
    const std::size_t count = words_.size();
    if (count >= 2 && words_[count - 1].is(Kind::kOperator, "+") && words_[count - 2].kind == Kind::kString) {
      words_.pop_back();
      words_.back().text += value;
    } else {
      words_.push_back({Kind::kString, std::move(value)});
    }
    return {};
  }

  std::string_view source_;
  std::size_t at_ = 0;
  bool strip_after_ = false, newline_after_ = false;
  std::vector<JinjaWord> words_;
};

}  // namespace

Result<std::vector<JinjaWord>> read_jinja(std::string_view source) {
  if (source.size() > kLongestTemplate)
    return fail("tokenizer.chat_template: " + std::to_string(source.size()) + " bytes (expected at most " +
                std::to_string(kLongestTemplate) + ")");
  return Reader(source).read();
}

}  // namespace agon::llm
