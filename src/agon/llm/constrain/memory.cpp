#include "agon/llm/constrain/memory.h"

#include <algorithm>

#include "agon/base/check.h"
#include "agon/base/hash.h"

namespace agon::llm::constrain {
namespace {

// Looked through for every reading, so that the square of it is the work of a step.
constexpr std::size_t kMaxReached = 8 * kMaxReadings;

}  // namespace

Memory::Memory(std::shared_ptr<const Program> program)
    : program_(std::move(program)), automaton_(program_->automaton) {
  frames_.push_back({.parent = 0, .return_to = Automaton::kDead, .depth = 0});
  begin_place();
  AGON_CHECK(end_place() == kDead);
  std::ranges::fill(next_, kDead);
  path_.resize(std::size_t{program_->trie->depth()} + 1);
}

std::uint32_t Memory::push(std::uint32_t parent, Automaton::State return_to) {
  const auto [at, is_new] = frame_of_.try_emplace((std::uint64_t{parent} << 32) | return_to,
                                                  static_cast<std::uint32_t>(frames_.size()));
  if (is_new)
    frames_.push_back({.parent = parent, .return_to = return_to, .depth = frames_[parent].depth + 1});
  return at->second;
}

bool Memory::can_go_on(const Reading& reading) const {
  const int left = kMaxNesting - frames_[reading.frame].depth;
  for (std::uint32_t c = 1; c < automaton_.classes(); ++c) {
    const Automaton::State to = automaton_.next(reading.state, c);
    if (to != Automaton::kDead && automaton_.need(to) <= left) return true;
  }
  return false;
}

void Memory::begin_place() {
  reached_.clear();
  kept_.clear();
  accepting_ = false;
}

// A reading with all that it can become before the next byte. Each call opens a rule or leaves one, and no
// rule is left before a byte of it was read, so that this is at most twice kMaxNesting deep.
void Memory::reach(Automaton::State state, std::uint32_t frame) {
  const int left = kMaxNesting - frames_[frame].depth;
  if (state == Automaton::kDead || automaton_.need(state) > left) return;
  const Reading reading = {state, frame};
  if (reached_.size() >= kMaxReached || std::ranges::find(reached_, reading) != reached_.end()) return;
  reached_.push_back(reading);
  if (automaton_.takes_bytes(state) && kept_.size() < kMaxReadings) kept_.push_back(reading);
  if (automaton_.accepting(state)) {
    if (frame == 0)
      accepting_ = true;
    else
      reach(frames_[frame].return_to, frames_[frame].parent);
  }
  for (const Automaton::Call& call : automaton_.calls(state)) {
    if (automaton_.need(call.start) + 1 > left || automaton_.need(call.return_to) > left) continue;
    reach(call.start, push(frame, call.return_to));
  }
}

Memory::Place Memory::end_place() {
  const std::uint64_t hash = hash64(
      {reinterpret_cast<const char*>(kept_.data()), kept_.size() * sizeof(Reading)}, accepting_ ? 1 : 0);
  const auto [first, last] = place_of_.equal_range(hash);
  for (auto at = first; at != last; ++at) {
    const Known& known = places_[at->second];
    if (known.accepting == accepting_ &&
        std::ranges::equal(std::span(readings_).subspan(known.begin, known.end - known.begin), kept_))
      return at->second;
  }
  const auto place = static_cast<Place>(places_.size());
  const bool finished =
      std::ranges::none_of(kept_, [&](const Reading& reading) { return can_go_on(reading); });
  const std::size_t begin = readings_.size();
  readings_.insert(readings_.end(), kept_.begin(), kept_.end());
  places_.push_back({begin, readings_.size(), nullptr, accepting_, finished});
  next_.resize(next_.size() + automaton_.classes(), kUnknown);
  next_[std::size_t{place} * automaton_.classes()] = kDead;
  place_of_.emplace(hash, place);
  return place;
}

Memory::Place Memory::start() {
  begin_place();
  reach(automaton_.start(), 0);
  return end_place();
}

Memory::Place Memory::step(Place place, std::uint32_t byte_class) {
  const std::size_t cell = std::size_t{place} * automaton_.classes() + byte_class;
  if (next_[cell] != kUnknown) return next_[cell];
  begin_place();
  for (std::size_t i = places_[place].begin; i < places_[place].end; ++i) {
    const Reading reading = readings_[i];
    reach(automaton_.next(reading.state, byte_class), reading.frame);
  }
  const Place to = end_place();
  next_[cell] = to;
  return to;
}

Memory::Place Memory::after(Place place, std::string_view bytes) {
  for (const char c : bytes) {
    if (place == kDead) break;
    place = step(place, automaton_.class_of(static_cast<std::uint8_t>(c)));
  }
  return place;
}

Memory::Place Memory::import(const Memory& other, Place place) {
  const Known& known = other.places_[place];
  begin_place();
  accepting_ = known.accepting;
  std::vector<Automaton::State> stack;
  for (std::size_t i = known.begin; i < known.end; ++i) {
    stack.clear();
    for (std::uint32_t f = other.readings_[i].frame; f != 0; f = other.frames_[f].parent)
      stack.push_back(other.frames_[f].return_to);
    std::uint32_t frame = 0;
    for (; !stack.empty(); stack.pop_back()) frame = push(frame, stack.back());
    kept_.push_back({other.readings_[i].state, frame});
  }
  return end_place();
}

void Memory::fill(Place place, std::span<std::uint64_t> mask) {
  const TokenTrie& trie = *program_->trie;
  const std::span<const TokenTrie::Node> nodes = trie.nodes();
  const std::size_t classes = automaton_.classes();
  const auto set = [&](Token token) {
    mask[static_cast<std::size_t>(token) / 64] |= std::uint64_t{1} << (static_cast<std::size_t>(token) % 64);
  };
  path_[0] = place;
  for (std::size_t i = 1; i < nodes.size();) {
    const TokenTrie::Node& node = nodes[i];
    const Place from = path_[node.depth - 1];
    const std::uint32_t byte_class = automaton_.class_of(node.byte);
    Place to = next_[from * classes + byte_class];
    if (to == kUnknown) to = step(from, byte_class);
    if (to == kDead) {
      i = node.end;
      continue;
    }
    path_[node.depth] = to;
    if (node.token != kNoToken) {
      set(node.token);
      if (node.alike)
        for (Token t = trie.next_alike(node.token); t != kNoToken; t = trie.next_alike(t)) set(t);
    }
    ++i;
  }
  if (places_[place].accepting)
    for (const Token token : trie.end_of_generation()) set(token);
}

std::span<const std::uint64_t> Memory::mask(Place place) {
  const std::size_t words = (static_cast<std::size_t>(program_->trie->vocabulary()) + 63) / 64;
  if (places_[place].mask != nullptr) return {places_[place].mask, words};
  auto made = std::make_unique<std::uint64_t[]>(words);
  fill(place, {made.get(), words});
  const std::uint64_t hash = hash64({reinterpret_cast<const char*>(made.get()), 8 * words});
  const auto [first, last] = mask_of_.equal_range(hash);
  for (auto at = first; at != last; ++at)
    if (std::equal(made.get(), made.get() + words, masks_[at->second].get()))
      return {places_[place].mask = masks_[at->second].get(), words};
  mask_of_.emplace(hash, masks_.size());
  masks_.push_back(std::move(made));
  return {places_[place].mask = masks_.back().get(), words};
}

bool Memory::full() const {
  // Tables of hashes take about four words an entry.
  const std::size_t words = (static_cast<std::size_t>(program_->trie->vocabulary()) + 63) / 64;
  return next_.size() * sizeof(Place) + readings_.size() * sizeof(Reading) +
             places_.size() * (sizeof(Known) + 32) + frames_.size() * (sizeof(Frame) + 32) +
             masks_.size() * 8 * words >
         kMemory;
}

Machine::Machine(Program program)
    : program_(std::make_shared<const Program>(std::move(program))),
      memory_(std::make_shared<Memory>(program_)) {}

std::shared_ptr<Memory> Machine::memory() {
  const std::lock_guard lock(mutex_);
  return memory_;
}

std::shared_ptr<Memory> Machine::renewed(const std::shared_ptr<Memory>& full) {
  const std::lock_guard lock(mutex_);
  if (memory_ == full) memory_ = std::make_shared<Memory>(program_);
  return memory_;
}

}  // namespace agon::llm::constrain
