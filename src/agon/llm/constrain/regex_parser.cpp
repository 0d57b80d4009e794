#include <fmt/format.h>

#include <optional>

#include "agon/llm/constrain/regex.h"
#include "agon/text/utf8.h"

namespace agon::llm::constrain {
namespace {

const CodeSet& digits() {
  static const CodeSet set = {{'0', '9'}};
  return set;
}
const CodeSet& word_characters() {
  static const CodeSet set = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
  return set;
}
// WhiteSpace and LineTerminator of ECMA-262, which JSON Schema's patterns refer to.
const CodeSet& white_space() {
  static const CodeSet set = {{'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680},
                              {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                              {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
  return set;
}
const CodeSet& any_but_line_ends() {
  static const CodeSet set = CodeSet{{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}.inverse();
  return set;
}

}  // namespace

class RegexParser {
 public:
  RegexParser(std::string_view pattern, Anchoring anchoring) : text_(pattern), anchoring_(anchoring) {}

  Result<Regex> run() {
    if (text_.size() > kMaxPattern)
      return over_limit("the regular expression", kMaxPattern, "bytes", text_.size());
    if (!is_valid_utf8(text_)) return fail("the regular expression is not UTF-8");
    AGON_ASSIGN(regex_.root_, either(0));
    if (!at_end()) return here("a ')' closes no group");
    return std::move(regex_);
  }

 private:
  using Kind = Regex::Kind;

  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  [[nodiscard]] bool next_is(std::string_view what) const { return text_.substr(at_).starts_with(what); }
  bool take(std::string_view what) {
    if (!next_is(what)) return false;
    at_ += what.size();
    return true;
  }
  [[nodiscard]] std::unexpected<Error> here(std::string message, std::string expected = {}) const {
    return at(at_, std::move(message), std::move(expected));
  }
  [[nodiscard]] static std::unexpected<Error> at(std::size_t byte, std::string message,
                                                 std::string expected = {}) {
    Error error;
    error.message = fmt::format("byte {} of the regular expression: {}", byte, message);
    error.expected = std::move(expected);
    return std::unexpected(std::move(error));
  }

  std::uint32_t node(Kind kind, std::vector<std::uint32_t> parts, std::uint32_t least = 0,
                     std::uint32_t most = 0) {
    regex_.nodes_.push_back({kind, least, most, std::move(parts)});
    return static_cast<std::uint32_t>(regex_.nodes_.size() - 1);
  }
  std::uint32_t set_node(CodeSet set) {
    regex_.sets_.push_back(std::move(set));
    return node(Kind::kSet, {static_cast<std::uint32_t>(regex_.sets_.size() - 1)});
  }

  // What stands between '|', up to the end of the group or of everything.
  Result<std::uint32_t> either(int depth) {
    std::vector<std::uint32_t> parts;
    do {
      AGON_ASSIGN(const std::uint32_t part, sequence(depth));
      parts.push_back(part);
    } while (take("|"));
    return parts.size() == 1 ? parts[0] : node(Kind::kEither, std::move(parts));
  }

  Result<std::uint32_t> sequence(int depth) {
    std::vector<std::uint32_t> parts;
    const bool search = depth == 0 && anchoring_ == Anchoring::kSearch;
    const auto anything = [&] {
      return node(Kind::kRepeat, {set_node(CodeSet::all())}, 0, Regex::kUnbounded);
    };
    const bool begins = depth == 0 && take("^");
    if (search && !begins) parts.push_back(anything());
    bool ends = false;
    while (!at_end() && !next_is("|") && !next_is(")")) {
      if (depth == 0 && next_is("$") && (at_ + 1 == text_.size() || text_[at_ + 1] == '|')) {
        ++at_;
        ends = true;
        break;
      }
      AGON_ASSIGN(const std::uint32_t one, atom(depth));
      AGON_ASSIGN(const std::uint32_t repeated, repetition(one));
      parts.push_back(repeated);
    }
    if (search && !ends) parts.push_back(anything());
    if (parts.empty()) return node(Kind::kNothing, {});
    return parts.size() == 1 ? parts[0] : node(Kind::kSequence, std::move(parts));
  }

  Result<std::uint32_t> atom(int depth) {
    const std::size_t begin = at_;
    const char c = text_[at_];
    switch (c) {
      case '(':
        return group(depth);
      case '[':
        return bracket();
      case '.':
        ++at_;
        return set_node(any_but_line_ends());
      case '*':
      case '+':
      case '?':
        return here(fmt::format("'{}' repeats nothing", c));
      case '{':
        return here("'{' repeats nothing", "\\{ for the character");
      case '^':
      case '$':
        return here(fmt::format("'{}' inside the expression is not supported", c),
                    fmt::format("it at the {}, or \\{}", c == '^' ? "beginning" : "end", c));
      case '\\': {
        ++at_;
        AGON_ASSIGN(CodeSet set, escape(begin, false));
        return set_node(std::move(set));
      }
      default: {
        const char32_t code = decode_utf8(text_, at_);
        return set_node({{code, code}});
      }
    }
  }

  Result<std::uint32_t> group(int depth) {
    const std::size_t begin = at_;
    if (depth + 1 > kMaxGroups) return over_limit("the regular expression", kMaxGroups, "open groups");
    ++at_;
    if (take("?:")) {
    } else if (next_is("?=") || next_is("?!") || next_is("?<=") || next_is("?<!")) {
      return at(begin, "lookaround is not supported");
    } else if (next_is("?<") || next_is("?P") || next_is("?'")) {
      return at(begin, "named groups are not supported", "(...)");
    } else if (next_is("?")) {
      return at(begin, "flags and other groups that begin with '(?' are not supported", "(...) or (?:...)");
    }
    AGON_ASSIGN(const std::uint32_t inner, either(depth + 1));
    if (!take(")")) return at(begin, "the group is not closed", ")");
    return inner;
  }

  Result<std::uint32_t> number() {
    const std::size_t begin = at_;
    std::uint32_t value = 0;
    for (; !at_end() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      value = 10 * value + static_cast<std::uint32_t>(text_[at_] - '0');
      if (value > kMaxRepeats)
        return at(begin, fmt::format("a repetition over the limit of {}", kMaxRepeats));
    }
    if (at_ == begin) return here("no number of repetitions", "{m}, {m,} or {m,n}; \\{ for the character");
    return value;
  }

  Result<std::uint32_t> repetition(std::uint32_t what) {
    const std::size_t begin = at_;
    std::uint32_t least = 0, most = Regex::kUnbounded;
    if (take("*")) {
    } else if (take("+")) {
      least = 1;
    } else if (take("?")) {
      most = 1;
    } else if (take("{")) {
      AGON_ASSIGN(least, number());
      most = least;
      if (take(",")) {
        most = Regex::kUnbounded;
        if (!next_is("}")) {
          AGON_ASSIGN(most, number());
        }
      }
      if (!take("}")) return at(begin, "the repetition is not closed", "}");
      if (most < least) return at(begin, fmt::format("at least {} and at most {}", least, most));
    } else {
      return what;
    }
    if (next_is("?")) return here("lazy repetition is not supported: a text matches or not");
    if (next_is("+")) return here("possessive repetition is not supported");
    if (next_is("*") || next_is("{")) return here("a repetition of a repetition", "(...) around the first");
    return node(Kind::kRepeat, {what}, least, most);
  }

  Result<char32_t> hex(std::size_t begin, std::size_t least, std::size_t most) {
    char32_t value = 0;
    std::size_t count = 0;
    for (; count < most && !at_end(); ++count, ++at_) {
      const char c = text_[at_];
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) break;
      value = 16 * value + static_cast<char32_t>(digit);
    }
    if (count < least) return at(begin, "too few hexadecimal digits");
    if (value > 0x10FFFF) return at(begin, "no character has this number", "10FFFF at most");
    return value;
  }

  Result<char32_t> unicode_escape(std::size_t begin) {
    char32_t code = 0;
    if (take("{")) {
      AGON_ASSIGN(code, hex(begin, 1, 6));
      if (!take("}")) return at(begin, "the escape is not closed", "}");
    } else {
      AGON_ASSIGN(code, hex(begin, 4, 4));
      if (code >= 0xD800 && code < 0xDC00 && take("\\u")) {
        AGON_ASSIGN(const char32_t low, hex(begin, 4, 4));
        if (low < 0xDC00 || low > 0xDFFF) return at(begin, "half of a surrogate pair is no character");
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      }
    }
    if (code >= 0xD800 && code <= 0xDFFF) return at(begin, "half of a surrogate pair is no character");
    return code;
  }

  // Behind the backslash at `begin`.
  Result<CodeSet> escape(std::size_t begin, bool in_class) {
    if (at_end()) return at(begin, "a backslash at the end", "a character behind it");
    const auto one = [](char32_t code) { return CodeSet{{code, code}}; };
    const char c = text_[at_];
    if (static_cast<signed char>(c) < 0) return at(begin, "a backslash before a character beyond ASCII");
    ++at_;
    switch (c) {
      case 'd':
        return digits();
      case 'D':
        return digits().inverse();
      case 'w':
        return word_characters();
      case 'W':
        return word_characters().inverse();
      case 's':
        return white_space();
      case 'S':
        return white_space().inverse();
      case 'n':
        return one('\n');
      case 'r':
        return one('\r');
      case 't':
        return one('\t');
      case 'v':
        return one('\v');
      case 'f':
        return one('\f');
      case '0':
        if (!at_end() && text_[at_] >= '0' && text_[at_] <= '9')
          return at(begin, "octal escapes are not supported", "\\xHH");
        return one(0);
      case 'x': {
        AGON_ASSIGN(const char32_t code, hex(begin, 2, 2));
        return one(code);
      }
      case 'u': {
        AGON_ASSIGN(const char32_t code, unicode_escape(begin));
        return one(code);
      }
      case 'b':
        if (in_class) return one('\b');
        return at(begin, "word boundaries (\\b, \\B) are not supported");
      case 'B':
        return at(begin, "word boundaries (\\b, \\B) are not supported");
      case 'p':
      case 'P':
        return at(begin, "Unicode properties (\\p, \\P) are not supported");
      case 'k':
        return at(begin, "backreferences are not supported");
      default:
        break;
    }
    if (c >= '1' && c <= '9') return at(begin, "backreferences are not supported");
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
      return at(begin, fmt::format("the escape \\{} is not supported", c));
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
      return at(begin, "a backslash before a control character");
    return one(static_cast<char32_t>(c));
  }

  Result<std::uint32_t> bracket() {
    const std::size_t begin = at_++;
    const bool negated = take("^");
    CodeSet set;
    // "[]" is an empty class in this dialect, and a bracket in others: it is refused below.
    while (!at_end() && !next_is("]")) {
      const std::size_t from = at_;
      if (next_is("[:")) return here("classes by name ([:alpha:]) are not supported");
      std::optional<char32_t> low;
      AGON_ASSIGN(const CodeSet first, class_member(low));
      if (!next_is("-") || at_ + 1 >= text_.size() || text_[at_ + 1] == ']') {
        set.add(first);
        continue;
      }
      ++at_;
      std::optional<char32_t> high;
      AGON_ASSIGN(const CodeSet second, class_member(high));
      if (!low || !high) return at(from, "a range from or to a class", "single characters at its ends");
      if (*low > *high) return at(from, "the range is the wrong way round");
      set.add(*low, *high);
    }
    if (!take("]")) return at(begin, "the class is not closed", "]");
    if (negated) set = set.inverse();
    if (set.empty()) return at(begin, "the class has no characters");
    return set_node(std::move(set));
  }

  // One character, which is then also in `single`, or an escape of several.
  Result<CodeSet> class_member(std::optional<char32_t>& single) {
    const std::size_t begin = at_;
    if (take("\\")) {
      AGON_ASSIGN(CodeSet set, escape(begin, true));
      if (set.ranges().size() == 1 && set.ranges()[0].low == set.ranges()[0].high)
        single = set.ranges()[0].low;
      return set;
    }
    const char32_t code = decode_utf8(text_, at_);
    single = code;
    return CodeSet{{code, code}};
  }

  std::string_view text_;
  Anchoring anchoring_;
  std::size_t at_ = 0;
  Regex regex_;
};

Result<Regex> Regex::parse(std::string_view pattern, Anchoring anchoring) {
  return RegexParser(pattern, anchoring).run();
}

}  // namespace agon::llm::constrain
