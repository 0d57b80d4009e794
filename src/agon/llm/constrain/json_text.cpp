#include "agon/llm/constrain/json_text.h"

#include <algorithm>
#include <map>

#include "agon/base/check.h"
#include "agon/text/json.h"
#include "agon/text/utf8.h"

namespace agon::llm::constrain {
namespace {

using State = Network::State;

// Of a pattern that is part of this program.
Regex own(std::string_view pattern) {
  auto regex = Regex::parse(pattern, Anchoring::kWhole);
  AGON_CHECK(regex.has_value());
  return std::move(*regex);
}

const CodeSet& needs_escape() {
  static const CodeSet set = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}};
  return set;
}
const CodeSet& plain() {
  static const CodeSet set = needs_escape().inverse();
  return set;
}

// Any character inside a string, in every way that JSON has for it.
void add_character(Network& network, State from, State to) {
  static const Regex escape =
      own(R"(\\(["\\/bfnrt]|u([0-9A-Ca-cE-Fe-f][0-9A-Fa-f]{3}|[Dd][0-7][0-9A-Fa-f]{2}|)"
          R"([Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2})))");
  add_utf8(network, plain(), from, to);
  network.nothing(escape.add_to(network, from), to);
}

// A set taken apart by how JSON writes its characters.
struct Written {
  explicit Written(const CodeSet& set) : plain(set.without(needs_escape())) {
    constexpr std::pair<char32_t, char> kLetters[] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
                                                      {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};
    CodeSet others = {{0, 0x1F}};
    for (const auto& [code, letter] : kLetters) {
      if (set.has(code)) letters += letter;
      others = others.without({{code, code}});
    }
    // By number: runs of last digits, behind "0" and behind "1".
    for (char32_t code = 0; code < 0x20; ++code) {
      if (!others.has(code) || !set.has(code)) continue;
      const char digit = "0123456789abcdef"[code % 16];
      auto& runs = numbers[code / 16];
      if (!runs.empty() && runs.back().second + 1 == digit)
        runs.back().second = digit;
      else
        runs.emplace_back(digit, digit);
    }
  }
  CodeSet plain;
  std::string letters;                            ///< Behind a backslash.
  std::vector<std::pair<char, char>> numbers[2];  ///< Behind "\u000" and "\u001".
};

// One of the characters, in one way each.
void add_written(Network& network, const Written& set, State from, State to) {
  add_utf8(network, set.plain, from, to);
  const State backslash = network.text(from, "\\");
  for (const char letter : set.letters) {
    const auto byte = static_cast<std::uint8_t>(letter);
    network.bytes(backslash, byte, byte, to);
  }
  const State number = network.text(backslash, "u00");
  for (int sixteen = 0; sixteen < 2; ++sixteen) {
    const State digit = network.text(number, sixteen == 0 ? "0" : "1");
    for (const auto& [first, last] : set.numbers[sixteen])
      network.bytes(digit, static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(last), to);
  }
}

void add_escaped(Network& network, const CodeSet& set, State from, State to) {
  add_written(network, Written(set), from, to);
}

struct NameNode {
  std::map<char32_t, std::size_t> next;
  bool taken = false;
};

}  // namespace

State add_separator(Network& network, State from, char separator) {
  const State behind = network.text(from, std::string_view(&separator, 1));
  const State to = network.text(behind, " ");
  network.nothing(behind, to);
  return to;
}

State add_quoted(Network& network, State from, std::string_view text) {
  std::string quoted;
  append_json_string(quoted, text);
  return network.text(from, quoted);
}

State add_string(Network& network, State from, std::uint64_t least, std::uint64_t most) {
  State at = network.text(from, "\"");
  if (least == 0 && most == kNoMost) {
    const State loop = network.add();
    network.nothing(at, loop);
    add_character(network, loop, loop);
    return network.text(loop, "\"");
  }
  // Where characters are counted each has one way to be written, which takes half of the states.
  const Written all(CodeSet::all());
  const State end = network.add();
  for (std::uint64_t i = 0; (i < least || (i < most && most != kNoMost)) && network.ok(); ++i) {
    if (i >= least) network.nothing(at, end);
    const State next = network.add();
    add_written(network, all, at, next);
    at = next;
  }
  if (most == kNoMost) add_written(network, all, at, at);
  network.nothing(at, end);
  return network.text(end, "\"");
}

State add_string(Network& network, State from, const Regex& content) {
  const State inside = network.text(from, "\"");
  return network.text(content.add_to(network, inside, add_escaped), "\"");
}

// A tree of the taken names; whoever leaves it may write what they like, and whoever stays must go further
// than a name's end.
State add_other_name(Network& network, State from, const std::vector<std::string>& taken) {
  std::vector<NameNode> tree(1);
  for (const std::string& name : taken) {
    std::size_t node = 0;
    for (std::size_t at = 0; at < name.size();) {
      const char32_t code = decode_utf8(name, at);
      const auto [next, is_new] = tree[node].next.try_emplace(code, tree.size());
      node = next->second;
      if (is_new) tree.emplace_back();
    }
    tree[node].taken = true;
  }
  const State begin = network.text(from, "\""), end = network.add(), free = network.add();
  add_utf8(network, plain(), free, free);
  network.nothing(free, end);
  std::vector<State> states = {begin};
  while (states.size() < tree.size()) states.push_back(network.add());
  for (std::size_t i = 0; i < tree.size() && network.ok(); ++i) {
    CodeSet stays;
    for (const auto& [code, next] : tree[i].next) {
      if (!plain().has(code)) continue;  // names with escapes are not written this way
      stays.add(code, code);
      add_utf8(network, {{code, code}}, states[i], states[next]);
    }
    add_utf8(network, plain().without(stays), states[i], free);
    if (!tree[i].taken) network.nothing(states[i], end);
  }
  return network.text(end, "\"");
}

State add_number(Network& network, State from) {
  static const Regex number = own(R"(-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,2})?)");
  return number.add_to(network, from);
}

State add_any_object(Network& network, State from, Network::Rule value) {
  const State begin = network.text(from, "{"), pair = network.add(), last = network.add();
  network.nothing(begin, pair);
  network.call(add_separator(network, add_string(network, pair), ':'), value, last);
  network.nothing(add_separator(network, last, ','), pair);
  const State end = network.add();
  network.bytes(last, '}', '}', end);
  network.bytes(begin, '}', '}', end);
  return end;
}

void add_any_value(Network& network, Network::Rule rule) {
  const auto [start, end] = network.rule(rule);
  for (const std::string_view word : {"true", "false", "null"})
    network.nothing(network.text(start, word), end);
  network.nothing(add_number(network, start), end);
  network.nothing(add_string(network, start), end);
  network.nothing(add_any_object(network, start, rule), end);
  const State begin = network.text(start, "["), item = network.add(), last = network.add();
  network.nothing(begin, item);
  network.call(item, rule, last);
  network.nothing(add_separator(network, last, ','), item);
  network.bytes(begin, ']', ']', end);
  network.bytes(last, ']', ']', end);
}

}  // namespace agon::llm::constrain
