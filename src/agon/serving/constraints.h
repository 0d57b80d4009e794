// From what a request asks an answer to be, to what the engine makes of it.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>

#include "agon/llm/tokenizer/tokenizer.h"
#include "agon/serving/api_error.h"
#include "agon/serving/requests.h"

namespace agon::llm {
class Constraint;
}

namespace agon::serving {

/// Compiles constraints and keeps the latest ones: who asks for many answers of one form pays for its
/// automaton, and for the masks of tokens that were worked out on the way, only once. For many threads.
class Constraints {
 public:
  /// A constraint takes up to about 100 MiB (llm/constrain/limits.h), so few are kept.
  static constexpr std::size_t kKept = 4;

  /// Null for kNone. An error, which is not kept, names the field of the request. The tokenizer must outlive
  /// this.
  [[nodiscard]] ApiResult<std::shared_ptr<const llm::Constraint>> compile(const ConstraintSpec& spec,
                                                                          const llm::Tokenizer& tokenizer);

 private:
  struct Kept {
    const llm::Tokenizer* tokenizer;
    ConstraintSpec spec;
    std::shared_ptr<const llm::Constraint> constraint;
  };
  /// Null, or the kept one, which becomes the latest; the mutex is held.
  [[nodiscard]] std::shared_ptr<const llm::Constraint> find(const ConstraintSpec& spec,
                                                            const llm::Tokenizer& tokenizer);

  std::mutex mutex_;
  std::list<Kept> kept_;  // the latest first
};

}  // namespace agon::serving
