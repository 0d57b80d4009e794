#include "agon/llm/gguf/file.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "agon/base/check.h"
#include "agon/base/mapped_file.h"
#include "agon/llm/gguf/parse.h"

namespace agon::gguf {

std::uint64_t Tensor::rows() const { return elements() / columns(); }

std::uint64_t Tensor::elements() const {
  std::uint64_t product = 1;
  for (const std::uint64_t size : shape) product *= size;
  return product;
}

struct File::State {
  std::optional<MappedFile> map;       ///< Of open().
  std::vector<std::max_align_t> copy;  ///< Of parse(), when the caller's bytes lie at an odd address.
  std::string path;
  std::uint64_t size = 0;
  Contents contents;
  std::unordered_map<std::string_view, std::size_t> by_name;  ///< Views of the names in `contents`.

  static Result<std::unique_ptr<State>> make(std::unique_ptr<State> state, std::span<const std::byte> bytes) {
    state->size = bytes.size();
    AGON_ASSIGN(state->contents, parse_contents(bytes, state->path));
    const std::vector<Tensor>& tensors = state->contents.tensors;
    state->by_name.reserve(tensors.size());
    for (std::size_t i = 0; i < tensors.size(); ++i) state->by_name.emplace(tensors[i].name, i);
    return state;
  }
};

File::File(std::unique_ptr<State> state) : state_(std::move(state)) {}
File::File(File&&) noexcept = default;
File& File::operator=(File&&) noexcept = default;
File::~File() = default;

Result<File> File::open(const std::string& path) {
  auto state = std::make_unique<State>();
  state->path = path;
  AGON_ASSIGN(state->map, MappedFile::open(path));
  const std::span<const std::byte> bytes = state->map->bytes();
  AGON_ASSIGN(state, State::make(std::move(state), bytes));
  return File(std::move(state));
}

Result<File> File::parse(std::span<const std::byte> bytes, const std::string& name) {
  auto state = std::make_unique<State>();
  state->path = name;
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(std::max_align_t) != 0) {
    state->copy.resize((bytes.size() + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t));
    std::memcpy(state->copy.data(), bytes.data(), bytes.size());
    bytes = std::as_bytes(std::span(state->copy)).first(bytes.size());
  }
  AGON_ASSIGN(state, State::make(std::move(state), bytes));
  return File(std::move(state));
}

const std::string& File::path() const { return state_->path; }
std::uint64_t File::size() const { return state_->size; }
int File::version() const { return state_->contents.version; }
const Metadata& File::metadata() const { return state_->contents.metadata; }
const std::vector<Tensor>& File::tensors() const { return state_->contents.tensors; }

const Tensor* File::find(std::string_view name) const {
  const auto found = state_->by_name.find(name);
  return found == state_->by_name.end() ? nullptr : &state_->contents.tensors[found->second];
}

Status File::check_not_truncated() const {
  return state_->map ? state_->map->check_not_truncated() : Status();
}

void File::drop_pages(std::span<const std::byte> part) const {
  if (state_->map) state_->map->drop_pages(part);
}

void File::read(std::span<const std::byte> part, std::span<std::byte> to) const {
  if (state_->map) return state_->map->read(part, to);
  AGON_CHECK(part.size() == to.size());
  std::ranges::copy(part, to.begin());
}

}  // namespace agon::gguf
