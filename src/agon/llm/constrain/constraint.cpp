#include "agon/llm/constrain/constraint.h"

#include <fmt/format.h>

#include <algorithm>

#include "agon/base/check.h"
#include "agon/llm/constrain/json_schema.h"
#include "agon/llm/constrain/memory.h"
#include "agon/llm/constrain/regex.h"
#include "agon/text/utf8.h"

namespace agon::llm {
namespace {

Result<std::shared_ptr<constrain::Machine>> compile(const constrain::Network& network,
                                                    const Tokenizer& tokenizer) {
  constrain::Program program;
  program.trie = tokenizer.trie();
  // A byte without a token of its own could be promised (in the middle of a character, say) and never come.
  std::array<bool, 256> usable{};
  for (std::size_t b = 0; b < 256; ++b) usable[b] = program.trie->has_byte(static_cast<std::uint8_t>(b));
  AGON_ASSIGN(program.automaton, constrain::Automaton::make(network, usable));
  return std::make_shared<constrain::Machine>(std::move(program));
}

}  // namespace

Constraint::Constraint(std::shared_ptr<constrain::Machine> machine) : machine_(std::move(machine)) {}
Constraint::~Constraint() = default;

Result<std::shared_ptr<const Constraint>> Constraint::from_regex(std::string_view pattern,
                                                                 const Tokenizer& tokenizer) {
  AGON_ASSIGN(const constrain::Regex regex, constrain::Regex::parse(pattern, constrain::Anchoring::kWhole));
  constrain::Network network;
  const constrain::Network::Ends ends = network.rule(network.add_rule());
  network.nothing(regex.add_to(network, ends.start), ends.end);
  AGON_ASSIGN(auto machine, compile(network, tokenizer));
  return std::shared_ptr<const Constraint>(new Constraint(std::move(machine)));
}

Result<std::shared_ptr<const Constraint>> Constraint::from_choices(std::span<const std::string> choices,
                                                                   const Tokenizer& tokenizer) {
  if (choices.empty()) return fail("no choices are given");
  if (choices.size() > constrain::kMaxChoices)
    return constrain::over_limit("the list of choices", constrain::kMaxChoices, "texts", choices.size());
  std::size_t bytes = 0;
  for (const std::string& choice : choices) bytes += choice.size();
  if (bytes > constrain::kMaxChoiceBytes)
    return constrain::over_limit("the list of choices", constrain::kMaxChoiceBytes, "bytes", bytes);
  constrain::Network network;
  const constrain::Network::Ends ends = network.rule(network.add_rule());
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (choices[i].empty()) return fail(fmt::format("choice {} is empty", i + 1));
    if (!is_valid_utf8(choices[i])) return fail(fmt::format("choice {} is not UTF-8", i + 1));
    network.nothing(network.text(ends.start, choices[i]), ends.end);
  }
  AGON_ASSIGN(auto machine, compile(network, tokenizer));
  return std::shared_ptr<const Constraint>(new Constraint(std::move(machine)));
}

Result<std::shared_ptr<const Constraint>> Constraint::from_json_schema(std::string_view schema,
                                                                       const Tokenizer& tokenizer) {
  constrain::Network network;
  AGON_TRY(constrain::add_json_schema(network, schema));
  AGON_ASSIGN(auto machine, compile(network, tokenizer));
  return std::shared_ptr<const Constraint>(new Constraint(std::move(machine)));
}

Result<std::shared_ptr<const Constraint>> Constraint::any_json_object(const Tokenizer& tokenizer) {
  return from_json_schema(R"({"type": "object"})", tokenizer);
}

ConstraintState Constraint::start() const {
  ConstraintState state;
  state.machine_ = machine_;
  state.memory_ = machine_->memory();
  const std::lock_guard lock(state.memory_->mutex);
  state.go_to(state.memory_->start());
  return state;
}

// The memory's mutex is held.
void ConstraintState::go_to(std::uint32_t place) {
  place_ = place;
  may_end_ = memory_->accepting(place);
  must_end_ = may_end_ && memory_->finished(place);
}

std::span<const std::uint64_t> ConstraintState::allowed() {
  const std::lock_guard lock(memory_->mutex);
  return memory_->mask(place_);
}

Status ConstraintState::advance(Token token) {
  const TokenTrie& trie = *machine_->program().trie;
  if (std::ranges::binary_search(trie.end_of_generation(), token)) {
    if (!may_end_ || place_ == constrain::Memory::kDead)
      return fail(fmt::format("token {} ends a text that is not complete under its constraint", token));
    place_ = constrain::Memory::kDead;
    must_end_ = true;
    return {};
  }
  const std::string_view bytes = trie.bytes(token);
  std::shared_ptr<constrain::Memory> old;
  {
    const std::lock_guard lock(memory_->mutex);
    const std::uint32_t place = bytes.empty() ? constrain::Memory::kDead : memory_->after(place_, bytes);
    if (place == constrain::Memory::kDead)
      return fail(fmt::format("token {} is not allowed here by the constraint", token));
    go_to(place);
    if (memory_->full()) old = memory_;
  }
  if (old) {
    memory_ = machine_->renewed(old);
    const std::scoped_lock lock(old->mutex, memory_->mutex);
    go_to(memory_->import(*old, place_));
  }
  return {};
}

}  // namespace agon::llm
