#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "agon/preference/features/blocks.h"
#include "agon/preference/features/lexicon.h"

namespace agon {
namespace {

constexpr std::array<std::string_view, kAskCount> kAskNames = {
    "brief", "long",    "code",   "math",   "creative", "list", "explain", "translate",
    "role",  "opinion", "unsafe", "format", "rewrite",  "fact", "humor",   "greeting"};
constexpr std::array<std::string_view, kAskCount> kAskWords = {"asks for brevity",
                                                               "asks for length",
                                                               "is about code",
                                                               "is about mathematics",
                                                               "asks for creative writing",
                                                               "asks for a list",
                                                               "asks for an explanation",
                                                               "asks for a translation",
                                                               "gives a role",
                                                               "asks for an opinion",
                                                               "touches unsafe matters",
                                                               "demands a format",
                                                               "asks to rewrite",
                                                               "asks for a fact",
                                                               "asks for humour",
                                                               "greets"};

/// Asks that change what length means, and those that change what a list or a refusal means.
constexpr std::array kLengthAsks = {Ask::kBrief, Ask::kLong, Ask::kCode,    Ask::kMath, Ask::kCreative,
                                    Ask::kList,  Ask::kFact, Ask::kRewrite, Ask::kHumor};

struct Direction {
  double length = 0, items = 0, code = 0, refusal = 0;
};

/// What the interactions multiply: A minus B over the sum, so that all lie in [-1, 1].
double relative(double a, double b) { return (a - b) / (a + b + 1.0); }

double refusals(const AnalyzedText& t) {
  std::array<std::uint32_t, kToneCount> counts{};
  const std::span<const Word> last = t.last_turn();
  tone_phrases().count(last.first(std::min<std::size_t>(last.size(), 40)), counts);
  return std::min(1.0, static_cast<double>(counts[static_cast<std::size_t>(Tone::kRefusal)] +
                                           counts[static_cast<std::size_t>(Tone::kApology)]));
}

class PromptBlock final : public TextBlock {
 public:
  PromptBlock() {
    const auto even = [&](std::string name, std::string text) {
      columns_.push_back({"prompt." + name, std::move(text), Parity::kEven});
    };
    const auto odd = [&](std::string name, std::string text) {
      columns_.push_back({"prompt." + name, std::move(text), Parity::kOdd});
    };
    even("words", "words in all prompts, logarithm");
    even("last_words", "words in the last prompt, logarithm");
    even("turns", "turns, logarithm");
    even("lines", "lines in the prompts, logarithm");
    even("questions", "question marks in the prompts, logarithm");
    even("digits", "share of the prompt's characters that are digits");
    even("upper", "share of the prompt's letters in upper case");
    even("code_blocks", "the prompt holds code");
    even("latin", "share of the prompt's letters that are Latin");
    even("no_capital", "the last prompt begins without a capital");
    even("no_mark", "the last prompt ends without punctuation");
    for (std::size_t i = 0; i < kAskCount; ++i)
      even("ask_" + std::string(kAskNames[i]), "the last prompt " + std::string(kAskWords[i]));
    for (const Ask ask : kLengthAsks) {
      const auto i = static_cast<std::size_t>(ask);
      odd("length_if_" + std::string(kAskNames[i]), "longer, where the prompt " + std::string(kAskWords[i]));
    }
    odd("length_by_words", "longer, by the length of the prompt");
    odd("length_by_turns", "longer, by the number of turns");
    odd("length_if_not_latin", "longer, where the prompt is not in Latin letters");
    odd("length_by_length", "longer, by how long both are");
    odd("length_squared", "longer, for large differences");
    odd("items_if_list", "more list items, where the prompt asks for a list");
    odd("items_if_code", "more list items, where the prompt is about code");
    odd("code_if_code", "more code, where the prompt is about code");
    odd("refusal_if_unsafe", "refuses, where the prompt touches unsafe matters");
    odd("refusal_if_safe", "refuses, where the prompt touches nothing unsafe");
    odd("items_by_words", "more list items, by the length of the prompt");
  }
  std::string_view name() const override { return "prompt"; }
  int version() const override { return 1; }
  std::span<const Column> columns() const override { return columns_; }

  void compute_row(const AnalyzedVote& v, std::span<float> out) const override {
    const AnalyzedText& p = v.prompt;
    std::array<std::uint32_t, kAskCount> counts{};
    ask_phrases().count(p.last_turn(), counts);
    const auto asks = [&](Ask ask) { return counts[static_cast<std::size_t>(ask)] > 0 ? 1.0 : 0.0; };
    const double words = std::log1p(static_cast<double>(p.words.size()));
    const double turns = std::log(std::max<double>(1.0, static_cast<double>(p.turns())));
    const double latin = share(p.chars.script[static_cast<std::size_t>(Script::kLatin)], p.chars.letters);
    std::size_t k = 0;
    const auto put = [&](double x) { out[k++] = static_cast<float>(x); };
    put(words);
    put(std::log1p(static_cast<double>(p.last_turn().size())));
    put(turns);
    put(std::log1p(static_cast<double>(p.markdown.lines)));
    put(std::log1p(static_cast<double>(p.chars.questions)));
    put(share(p.chars.digits, p.chars.chars));
    put(share(p.chars.upper, p.chars.letters));
    put(p.markdown.code_blocks > 0 || p.chars.braces > 1 ? 1 : 0);
    put(latin);
    put(!p.last_turn().empty() && (p.last_turn().front().flags & Word::kCapital) == 0 ? 1 : 0);
    put(p.markdown.ends_closed ? 0 : 1);
    for (std::size_t i = 0; i < kAskCount; ++i) put(counts[i] > 0 ? 1 : 0);

    const double wa = static_cast<double>(v.a.words.size()), wb = static_cast<double>(v.b.words.size());
    const Direction d{.length = relative(wa, wb),
                      .items = relative(v.a.markdown.bullets + v.a.markdown.numbered,
                                        v.b.markdown.bullets + v.b.markdown.numbered),
                      .code = relative(v.a.markdown.code_lines, v.b.markdown.code_lines),
                      .refusal = refusals(v.a) - refusals(v.b)};
    for (const Ask ask : kLengthAsks) put(d.length * asks(ask));
    put(d.length * (words - 3.0));  // about centred: the median prompt has 20 words
    put(d.length * turns);
    put(d.length * (1.0 - latin));
    put(d.length * (std::log1p(wa + wb) - 6.0));
    put(d.length * std::fabs(d.length));
    put(d.items * asks(Ask::kList));
    put(d.items * asks(Ask::kCode));
    put(d.code * asks(Ask::kCode));
    put(d.refusal * asks(Ask::kUnsafe));
    put(d.refusal * (1.0 - asks(Ask::kUnsafe)));
    put(d.items * (words - 3.0));
  }

 private:
  static double share(std::uint32_t part, std::uint32_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / whole;
  }
  std::vector<Column> columns_;
};

}  // namespace

const TextBlock& prompt_block() {
  static const PromptBlock block;
  return block;
}

}  // namespace agon
