#include "agon/llm/constrain/constraint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "agon/llm/constrain/json_schema.h"
#include "agon/llm/constrain/memory.h"
#include "agon/llm/constrain/regex.h"
#include "agon/llm/constrain/test_walks.h"
#include "agon/llm/gguf/file.h"
#include "agon/llm/tokenizer/token_trie.h"

namespace agon::llm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const char* const kSchema = R"({"type": "object", "properties": {"name": {"type": "string", "maxLength": 9},
  "tags": {"type": "array", "items": {"enum": ["a", "abc", "aab", "\u65e5"]}}, "more": {"type": "object"}},
  "required": ["name"]})";

SharedConstraint choices(const std::vector<std::string>& texts,
                         const Tokenizer& tokenizer = odd_tokenizer()) {
  auto made = Constraint::from_choices(texts, tokenizer);
  EXPECT_TRUE(made) << made.error().to_string();
  return *made;
}

std::unique_ptr<Tokenizer> stored(const std::string& name) {
  const auto file = gguf::File::open(std::string(AGON_TEST_DATA "/tokenizer/") + name + ".gguf");
  return std::move(*Tokenizer::read(file->metadata()));
}

TEST(TokenTrie, HoldsEveryTokenOnceAndInOrder) {
  for (const char* name : {"byte_bpe", "sentencepiece", "unigram", "wordpiece"}) {
    const auto tokenizer = stored(name);
    const auto trie = tokenizer->trie();
    EXPECT_EQ(trie, tokenizer->trie());
    std::vector<int> seen(static_cast<std::size_t>(tokenizer->vocabulary()));
    std::string prefix;
    const auto nodes = trie->nodes();
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (i > 0) {
        prefix.resize(nodes[i].depth - 1);
        prefix += static_cast<char>(nodes[i].byte);
      }
      ASSERT_TRUE(nodes[i].end > i && nodes[i].end <= nodes.size());
      for (std::size_t j = i + 1; j < nodes[i].end; ++j) ASSERT_GT(nodes[j].depth, nodes[i].depth);
      ASSERT_TRUE(nodes[i].end == nodes.size() || nodes[nodes[i].end].depth <= nodes[i].depth);
      for (Token t = nodes[i].token; t != kNoToken; t = trie->next_alike(t)) {
        ++seen[static_cast<std::size_t>(t)];
        ASSERT_EQ(tokenizer->piece(t), prefix);
        ASSERT_EQ(trie->bytes(t), prefix);
      }
    }
    const auto& ends = tokenizer->special().end_of_generation;
    for (Token t = 0; t < tokenizer->vocabulary(); ++t) {
      const bool held = !tokenizer->piece(t).empty() && !std::ranges::binary_search(ends, t);
      ASSERT_EQ(seen[static_cast<std::size_t>(t)], held ? 1 : 0) << name << " " << t;
    }
    EXPECT_EQ(trie->bytes(-1), "");
    EXPECT_EQ(trie->bytes(tokenizer->vocabulary()), "");
  }
}

// The twin tries every token, byte by byte, with a vocabulary that has only bytes.
TEST(Constraint, MasksAreWhatTryingEachTokenSays) {
  static const auto bytes_only = make_tokenizer({});
  for (const char* name : {"odd", "byte_bpe", "sentencepiece"}) {
    const auto own = std::string(name) == "odd" ? nullptr : stored(name);
    const Tokenizer& tokenizer = own ? *own : odd_tokenizer();
    const auto& ends = tokenizer.special().end_of_generation;
    const std::vector<std::pair<SharedConstraint, SharedConstraint>> pairs = {
        {schema(kSchema, tokenizer), schema(kSchema, *bytes_only)},
        {schema("{}", tokenizer), schema("{}", *bytes_only)},
        {regex("(the |[a-m]+\\s?|[^a-z]){3,9}", tokenizer),
         regex("(the |[a-m]+\\s?|[^a-z]){3,9}", *bytes_only)},
        {choices({"yes", "no", "not at all"}, tokenizer), choices({"yes", "no", "not at all"}, *bytes_only)}};
    for (const auto& [constraint, twin] : pairs) {
      Random random(3);
      for (int run = 0; run < 6; ++run) {
        ConstraintState state = constraint->start(), slow = twin->start();
        for (int step = 0; step < 25; ++step) {
          const auto mask = state.allowed();
          std::vector<Token> allowed;
          for (Token token = 0; token < tokenizer.vocabulary(); ++token) {
            const std::string piece = tokenizer.piece(token);
            const bool ends_it = std::ranges::binary_search(ends, token);
            bool expected = !piece.empty() && !ends_it;
            ConstraintState at = slow;
            for (std::size_t i = 0; expected && i < piece.size(); ++i)
              expected = at.advance(byte_token(piece[i])).has_value();
            if (ends_it) expected = slow.may_end();
            ASSERT_EQ(has(mask, token), expected) << name << " token " << token << " '" << piece << "'";
            // advance() agrees with the mask, and leaves a state that it refuses as it was.
            ConstraintState copy = state;
            if (random.below(16) == 0) {
              ASSERT_EQ(copy.advance(token).has_value(), expected);
              if (!expected) {
                ASSERT_EQ(copy.allowed().data(), mask.data());
              }
            }
            if (expected && !ends_it) allowed.push_back(token);
          }
          ASSERT_EQ(state.may_end(), slow.may_end());
          ASSERT_EQ(state.must_end(), state.may_end() && allowed.empty());
          if (allowed.empty()) break;
          const Token next = allowed[random.below(allowed.size())];
          ASSERT_TRUE(state.advance(next));
          for (const char c : tokenizer.piece(next)) ASSERT_TRUE(slow.advance(byte_token(c)));
        }
      }
    }
  }
}

TEST(Constraint, ChoicesAreThoseTextsAndNoOthers) {
  const SharedConstraint constraint = choices({"a", "ab", "\xE6\x97\xA5", "b b"});
  for (const char* yes : {"a", "ab", "\xE6\x97\xA5", "b b"}) EXPECT_TRUE(accepts(constraint, yes));
  for (const char* no : {"", "b", "abc", "\xE6\x97", "aa"}) EXPECT_FALSE(accepts(constraint, no));
  const auto refused = [](const std::vector<std::string>& texts) {
    const auto made = Constraint::from_choices(texts, odd_tokenizer());
    return made ? std::string() : made.error().to_string();
  };
  EXPECT_THAT(refused({}), HasSubstr("no choices"));
  EXPECT_THAT(refused({"a", ""}), HasSubstr("choice 2 is empty"));
  EXPECT_THAT(refused({"\xFF"}), HasSubstr("choice 1 is not UTF-8"));
  EXPECT_THAT(refused(std::vector<std::string>(10'001, "a")),
              HasSubstr("10001 texts, 1 more than the limit of 10000"));
  EXPECT_THAT(refused({std::string(2'000'000, 'a')}), HasSubstr("limit of 1048576"));
}

TEST(Constraint, EndsExactlyWhereTheTextIsComplete) {
  const SharedConstraint constraint = regex("ab?");
  ConstraintState state = constraint->start();
  EXPECT_FALSE(state.may_end());
  EXPECT_THAT(state.advance(kEnd).error().to_string(), HasSubstr("token 2 ends a text that is not complete"));
  EXPECT_THAT(state.advance(0).error().to_string(), HasSubstr("token 0 is not allowed"));
  EXPECT_FALSE(state.advance(-5));
  EXPECT_FALSE(state.advance(1 << 20));
  ASSERT_TRUE(state.advance(byte_token('a')));
  EXPECT_TRUE(state.may_end());
  EXPECT_FALSE(state.must_end());
  ConstraintState other = state;  // goes its own way
  ASSERT_TRUE(state.advance(byte_token('b')));
  EXPECT_TRUE(state.must_end());
  EXPECT_THAT(tokens_of(state.allowed(), odd_tokenizer().vocabulary()), ElementsAre(kEnd));
  ASSERT_TRUE(state.advance(kEnd));
  EXPECT_TRUE(tokens_of(state.allowed(), odd_tokenizer().vocabulary()).empty());
  EXPECT_TRUE(state.must_end());
  EXPECT_FALSE(state.advance(kEnd));
  EXPECT_FALSE(state.advance(byte_token('a')));
  EXPECT_FALSE(other.must_end());
  ASSERT_TRUE(other.advance(kEnd));
}

// What cannot be written to its end is not begun.
TEST(Constraint, BytesWithoutTokensAreNeverPromised) {
  const auto no_x = make_tokenizer({"ax", "xy", "abx"}, "x");
  EXPECT_THAT(Constraint::from_regex("a(x|y)", *make_tokenizer({}, "xy")).error().to_string(),
              HasSubstr("no text"));
  const SharedConstraint constraint = regex("a(b|xz)", *no_x);
  ConstraintState state = constraint->start();
  std::vector<std::string> pieces;
  for (const Token token : tokens_of(state.allowed(), no_x->vocabulary()))
    pieces.push_back(no_x->piece(token));
  EXPECT_THAT(pieces, ElementsAre("a"));
  // Characters whose second byte has no token.
  const auto no_a9 = make_tokenizer({}, "\xA9");
  EXPECT_FALSE(Constraint::from_choices(std::vector<std::string>{"\xC3\xA9"}, *no_a9));
  const auto both = Constraint::from_choices(std::vector<std::string>{"\xC3\xA9", "\xC3\xA8"}, *no_a9);
  EXPECT_TRUE(both);
}

TEST(Constraint, NestingIsBoundedAndStillEnds) {
  const auto constraint = Constraint::any_json_object(odd_tokenizer()).value();
  ConstraintState state = constraint->start();
  int levels = 0;
  for (std::string open = "{\"a\":"; levels < 1000; ++levels, open = "[") {
    ConstraintState next = state;
    bool went = true;
    for (const char c : open) went = went && next.advance(byte_token(c));
    if (!went) break;
    state = next;
  }
  EXPECT_GT(levels, 60);
  EXPECT_LE(levels, constrain::kMaxNesting + 1);
  Random random(1);
  EXPECT_FALSE(walk(state, odd_tokenizer(), random, 0).empty());
}

TEST(Constraint, OutlivesTokenizerAndItself) {
  auto tokenizer = make_tokenizer({"ab"});
  SharedConstraint constraint = regex("(ab)+", *tokenizer);
  ConstraintState state = constraint->start();
  const int vocabulary = tokenizer->vocabulary();
  constraint.reset();
  tokenizer.reset();
  EXPECT_THAT(tokens_of(state.allowed(), vocabulary), ElementsAre(byte_token('a'), vocabulary - 1));
  ASSERT_TRUE(state.advance(vocabulary - 1));
  EXPECT_TRUE(state.may_end());
}

// A full memory is left for a new one, in which every place must mean the same.
TEST(Constraint, APlaceIsTheSameInAnotherMemory) {
  constrain::Network network;
  ASSERT_TRUE(constrain::add_json_schema(network, "{}"));
  std::array<bool, 256> usable;
  usable.fill(true);
  auto program = std::make_shared<constrain::Program>();
  program->automaton = constrain::Automaton::make(network, usable).value();
  program->trie = odd_tokenizer().trie();
  constrain::Memory first(program);
  auto moving = std::make_unique<constrain::Memory>(program);
  constrain::Memory::Place a = first.start(), b = moving->start();
  const std::string text = R"({"a": [[1, {"b": "x\u00e9"}], null], "c": {"d": [true, -1.5e3]}})";
  for (const char c : text) {
    ASSERT_EQ(first.accepting(a), moving->accepting(b));
    ASSERT_EQ(first.finished(a), moving->finished(b));
    ASSERT_TRUE(std::ranges::equal(first.mask(a), moving->mask(b))) << c;
    auto next = std::make_unique<constrain::Memory>(program);
    b = next->import(*moving, b);
    moving = std::move(next);
    a = first.after(a, {&c, 1});
    b = moving->after(b, {&c, 1});
    ASSERT_NE(a, constrain::Memory::kDead);
  }
  EXPECT_TRUE(first.accepting(a) && moving->accepting(b));
  EXPECT_FALSE(first.full());
}

// Long texts with many different places fill the memory again and again, from several threads at once; what
// each reads is what it reads alone.
TEST(Constraint, ThreadsShareIt) {
  const SharedConstraint shared = schema(kSchema);
  const auto run = [](const SharedConstraint& constraint, std::uint64_t seed) {
    std::string out;
    Random random(seed);
    for (int i = 0; i < 8; ++i) out += walk(constraint->start(), odd_tokenizer(), random, 40) + "\n";
    return out;
  };
  std::vector<std::string> got(4);
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < got.size(); ++t) threads.emplace_back([&, t] { got[t] = run(shared, t); });
  }
  for (std::size_t t = 0; t < got.size(); ++t) EXPECT_EQ(got[t], run(schema(kSchema), t));
}

}  // namespace
}  // namespace agon::llm
