// What a generated text may be: a regular expression, a choice, a JSON Schema; and which tokens may come
// next.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "agon/base/error.h"
#include "agon/llm/tokenizer/tokenizer.h"

namespace agon::llm {

class ConstraintState;
namespace constrain {
class Machine;
class Memory;
}  // namespace constrain

/// A set of texts, compiled for one vocabulary. Immutable to its users, who may share it among threads and
/// sequences; it outlives the tokenizer. What it allows depends on the text so far and on nothing else.
///
/// All sources come from strangers: their sizes, the nesting, the automaton and the work of compiling it are
/// bounded (constrain/limits.h), and an Error says which bound was crossed. A text that the vocabulary has no
/// tokens for is not in the set; when none is left, that is an Error too.
class Constraint {
 public:
  /// Texts that match the whole expression. The dialect is that of ECMAScript in Unicode mode, without what
  /// looks around: literals, escapes (\n \r \t \v \f \0 \xHH \uHHHH \u{H...} and punctuation), '.' (all but
  /// line ends), classes with ranges and negation, \d \D \w \W \s \S, groups (which capture nothing), '|',
  /// '*', '+', '?', '{m}', '{m,}', '{m,n}'. '^' and '$' may stand at the ends of the expression or of its
  /// outermost alternatives, where they change nothing. All else is refused by name, with its byte.
  static Result<std::shared_ptr<const Constraint>> from_regex(std::string_view pattern,
                                                              const Tokenizer& tokenizer);
  /// One of these texts (valid UTF-8, not empty), byte for byte.
  static Result<std::shared_ptr<const Constraint>> from_choices(std::span<const std::string> choices,
                                                                const Tokenizer& tokenizer);
  /// JSON texts that are valid under a schema: a subset of all valid ones, written compactly (see
  /// docs/engine.md, which lists the keywords). Keywords that are not supported are refused with their place.
  static Result<std::shared_ptr<const Constraint>> from_json_schema(std::string_view schema,
                                                                    const Tokenizer& tokenizer);
  /// Any JSON object.
  static Result<std::shared_ptr<const Constraint>> any_json_object(const Tokenizer& tokenizer);

  ~Constraint();
  Constraint(const Constraint&) = delete;
  Constraint& operator=(const Constraint&) = delete;

  /// The state of a text that has not begun. The Constraint need not outlive it.
  [[nodiscard]] ConstraintState start() const;

 private:
  explicit Constraint(std::shared_ptr<constrain::Machine> machine);
  std::shared_ptr<constrain::Machine> machine_;
};

/// How far one text has come. Cheap to copy. A state is for one thread at a time; states of one
/// Constraint may be used by many threads at once.
class ConstraintState {
 public:
  /// The tokens that may come next: token t is bit t % 64 of word t / 64, one bit for each token of the
  /// vocabulary. Tokens that end a generation are among them exactly when may_end(); other control tokens
  /// never. Valid until advance() or the end of this state. At least one bit is set, unless the text is
  /// complete, nothing can follow and the vocabulary has no token that ends a generation, or such a token
  /// was taken.
  [[nodiscard]] std::span<const std::uint64_t> allowed();
  /// True when the text so far is complete.
  [[nodiscard]] bool may_end() const { return may_end_; }
  /// True when the text so far is complete and nothing can follow: no token need be drawn any more.
  [[nodiscard]] bool must_end() const { return must_end_; }
  /// Goes on by a token. One that is not allowed is an Error and changes nothing.
  Status advance(Token token);

 private:
  friend class Constraint;
  ConstraintState() = default;
  void go_to(std::uint32_t place);
  std::shared_ptr<constrain::Machine> machine_;
  std::shared_ptr<constrain::Memory> memory_;  // in which `place_` is
  std::uint32_t place_ = 0;
  bool may_end_ = false, must_end_ = false;
};

}  // namespace agon::llm
