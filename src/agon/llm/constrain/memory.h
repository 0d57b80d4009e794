// Where texts under a constraint can be, worked out when they first come there.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "agon/llm/constrain/automaton.h"
#include "agon/llm/tokenizer/token_trie.h"

namespace agon::llm::constrain {

/// What never changes of a constraint.
struct Program {
  Automaton automaton;
  std::shared_ptr<const TokenTrie> trie;
};

/// A text that follows rules inside rules is in a state of the automaton with a stack of states to return to;
/// an ambiguous one is in several at once. A place is such a list, in an order that depends on the text
/// alone. Places, the steps between them and their masks are made when they are first needed and kept, so
/// that a text in the middle of a string costs a look-up for each byte, and its mask nothing.
///
/// Of more than kMaxReadings the first stay: what is allowed is still right, but may not be all.
///
/// Not for two threads at once: hold the mutex.
class Memory {
 public:
  using Place = std::uint32_t;
  static constexpr Place kDead = 0;

  explicit Memory(std::shared_ptr<const Program> program);

  [[nodiscard]] Place start();
  /// The place that `other` calls `place`; its mutex is held too.
  [[nodiscard]] Place import(const Memory& other, Place place);
  /// After a text; kDead when it is not allowed.
  [[nodiscard]] Place after(Place place, std::string_view bytes);
  [[nodiscard]] bool accepting(Place place) const { return places_[place].accepting; }
  /// True when no byte can follow.
  [[nodiscard]] bool finished(Place place) const { return places_[place].finished; }
  /// One bit for each token; stays as long as this object.
  [[nodiscard]] std::span<const std::uint64_t> mask(Place place);
  /// True when it has become so large that a new one should take its place.
  [[nodiscard]] bool full() const;

  std::mutex mutex;

 private:
  struct Frame {
    std::uint32_t parent;  ///< Frame below; frame 0 is the empty stack.
    Automaton::State return_to;
    int depth;
  };
  struct Reading {
    Automaton::State state;
    std::uint32_t frame;
    bool operator==(const Reading&) const = default;
  };
  struct Known {
    std::size_t begin, end;  ///< In readings_.
    const std::uint64_t* mask;
    bool accepting, finished;
  };
  static constexpr Place kUnknown = 0xFFFFFFFF;

  void begin_place();
  void reach(Automaton::State state, std::uint32_t frame);
  [[nodiscard]] Place end_place();
  [[nodiscard]] Place step(Place place, std::uint32_t byte_class);
  [[nodiscard]] std::uint32_t push(std::uint32_t parent, Automaton::State return_to);
  [[nodiscard]] bool can_go_on(const Reading& reading) const;
  void fill(Place place, std::span<std::uint64_t> mask);

  std::shared_ptr<const Program> program_;
  const Automaton& automaton_;
  std::vector<Frame> frames_;
  std::unordered_map<std::uint64_t, std::uint32_t> frame_of_;  // parent and return_to
  std::vector<Known> places_;
  std::vector<Reading> readings_;
  std::vector<Place> next_;  // a row of classes for each place
  std::unordered_multimap<std::uint64_t, Place> place_of_;
  std::vector<std::unique_ptr<std::uint64_t[]>> masks_;
  std::unordered_multimap<std::uint64_t, std::size_t> mask_of_;  // hash to masks_, as many are alike
  // The place that is being made: all readings that were reached, and whether the text may end.
  std::vector<Reading> reached_, kept_;
  bool accepting_ = false;
  std::vector<Place> path_;
};

/// A program with the memory that its texts share.
class Machine {
 public:
  explicit Machine(Program program);
  [[nodiscard]] const Program& program() const { return *program_; }
  [[nodiscard]] std::shared_ptr<Memory> memory();
  /// A memory that is not full, in place of one that is.
  [[nodiscard]] std::shared_ptr<Memory> renewed(const std::shared_ptr<Memory>& full);

 private:
  std::shared_ptr<const Program> program_;
  std::mutex mutex_;
  std::shared_ptr<Memory> memory_;
};

}  // namespace agon::llm::constrain
