#include "agon/llm/model/packer.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>

#include "agon/base/file.h"
#include "agon/base/hash.h"

namespace agon::llm {
namespace {

// A packed file: this header, then every matrix in the order of the plan, each at a multiple of kPage.
struct Header {
  char magic[8];
  std::uint32_t layout;  // changes with the layout of packed.h
  std::uint32_t matrices;
  std::uint64_t source;  // of the model file
  std::uint64_t bytes;   // of the packed file
};
constexpr char kMagic[8] = {'A', 'G', 'O', 'N', 'P', 'A', 'C', 'K'};
constexpr std::uint32_t kLayout = 1;
constexpr std::uint64_t kPage = 4096;

std::uint64_t to_page(std::uint64_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

bool is_identity(const std::vector<int>& order) {
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (order[i] != static_cast<int>(i)) return false;
  }
  return true;
}

PackSource source_of(const MatrixView& view) {
  const gguf::Tensor& tensor = *view.tensor;
  const gguf::TypeTraits traits = gguf::type_traits(tensor.type);
  const std::size_t row_bytes = tensor.columns() / traits.elements * traits.bytes;
  return {.type = tensor.type,
          .bytes = tensor.bytes.subspan(view.first_row * row_bytes, view.rows * row_bytes),
          .columns = static_cast<int>(tensor.columns()),
          .row_order = {},
          .column_order = {}};
}

// The bytes of rows [begin, end) of a source, as far as there are so many.
std::span<const std::byte> rows_of(const PackSource& source, const PackedMatrix& matrix, int begin, int end) {
  const auto rows = static_cast<std::size_t>(matrix.rows);
  const std::size_t row_bytes = source.bytes.size() / rows;
  const std::size_t first = static_cast<std::size_t>(begin),
                    last = std::min(static_cast<std::size_t>(end), rows);
  return source.bytes.subspan(first * row_bytes, (last - first) * row_bytes);
}

// Tells model files apart without reading all of one: metadata (which decide the order of rows and columns),
// names, shapes, places, and pieces of every tensor from its start to its end.
std::uint64_t fingerprint(const gguf::File& file) {
  std::string facts;
  const auto add = [&facts](const void* bytes, std::size_t count) {
    facts.append(static_cast<const char*>(bytes), count);
  };
  const std::uint64_t size = file.size();
  add(&size, sizeof size);
  // Of metadata what is short, and the start of lists: long ones are the tokenizer's.
  for (const auto& [key, value] : file.metadata().entries()) {
    add(key.data(), key.size());
    if (const auto* text = std::get_if<std::string>(&value)) add(text->data(), text->size());
    if (const auto* number = std::get_if<std::int64_t>(&value)) add(number, sizeof *number);
    if (const auto* flag = std::get_if<bool>(&value)) add(flag, sizeof *flag);
    if (const auto* number = std::get_if<double>(&value)) add(number, sizeof *number);
    if (const auto* numbers = std::get_if<gguf::Integers>(&value))
      add(numbers->data(), std::min<std::size_t>(numbers->size(), 1024) * sizeof((*numbers)[0]));
  }
  for (const gguf::Tensor& tensor : file.tensors()) {
    add(tensor.name.data(), tensor.name.size());
    add(&tensor.type, sizeof tensor.type);
    add(tensor.shape.data(), tensor.shape.size() * sizeof(std::uint64_t));
    constexpr std::size_t kPieces = 16, kPiece = 128;
    const std::size_t piece = std::min(tensor.bytes.size(), kPiece), rest = tensor.bytes.size() - piece;
    std::byte bytes[kPiece];
    for (std::size_t i = 0; i < kPieces; ++i) {
      file.read(tensor.bytes.subspan(rest * i / (kPieces - 1), piece), std::span(bytes).first(piece));
      add(bytes, piece);
    }
  }
  return hash64(facts);
}

}  // namespace

void Packer::add(const MatrixView& view, PackedMatrix& matrix, std::vector<int> row_order,
                 std::vector<int> column_order) {
  Job job{source_of(view), &matrix, view.tensor};
  if (!is_identity(row_order)) job.source.row_order = std::move(row_order);
  if (!is_identity(column_order)) job.source.column_order = std::move(column_order);
  const int rows = job.source.row_order.empty() ? static_cast<int>(view.rows)
                                                : static_cast<int>(job.source.row_order.size());
  matrix = plan_packed(job.source, rows);
  jobs_.push_back(std::move(job));
}

Result<std::optional<MappedFile>> Packer::run(const gguf::File& file, Team& team,
                                              const std::string& packed_path) {
  const std::uint64_t source = packed_path.empty() ? 0 : fingerprint(file);
  if (!packed_path.empty()) {
    if (auto map = map_all(packed_path, source)) return map;
  }
  pack_all(file, team);
  if (!packed_path.empty()) AGON_TRY(write_all(packed_path, source));
  return std::nullopt;
}

void Packer::pack_all(const gguf::File& file, Team& team) {
  constexpr int kGrain = 8;  // panels taken at a time
  std::vector<int> first(jobs_.size() + 1, 0);
  // Pieces left of each tensor, which may feed several matrices (tied output, fused projections).
  std::vector<std::size_t> owner(jobs_.size());
  std::vector<std::atomic<int>> left(jobs_.size());
  std::vector<char> alone(jobs_.size());  // whether the tensor feeds this matrix only, row after row
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    reserve_packed(*jobs_[i].matrix);
    const int pieces = (jobs_[i].matrix->panels + kGrain - 1) / kGrain;
    first[i + 1] = first[i] + pieces;
    owner[i] = i;
    alone[i] = jobs_[i].source.row_order.empty() ? 1 : 0;
    for (std::size_t j = i; j-- > 0;) {
      if (jobs_[j].tensor != jobs_[i].tensor) continue;
      owner[i] = j;
      alone[i] = alone[j] = 0;
    }
    left[owner[i]] += pieces;
  }
  team.run([&](Member& member) {
    for (int piece = member.take(first.back()); piece < first.back(); piece = member.take(first.back())) {
      const auto at = static_cast<std::size_t>(std::ranges::upper_bound(first, piece) - first.begin()) - 1;
      Job& job = jobs_[at];
      const int begin = (piece - first[at]) * kGrain;
      const int end = std::min(begin + kGrain, job.matrix->panels);
      for (int panel = begin; panel < end; ++panel) pack_panel(job.source, panel, *job.matrix);
      // Bit by bit, for a vocabulary may be most of a file. What others read too, or in another order, waits.
      if (alone[at]) file.drop_pages(rows_of(job.source, *job.matrix, begin * kPanelRows, end * kPanelRows));
      if (--left[owner[at]] == 0) file.drop_pages(job.tensor->bytes);
    }
  });
}

std::optional<MappedFile> Packer::map_all(const std::string& path, std::uint64_t source) {
  auto map = MappedFile::open(path);
  if (!map) return std::nullopt;
  const std::span<const std::byte> bytes = map->bytes();
  std::uint64_t size = kPage;
  for (const Job& job : jobs_) size += to_page(packed_bytes(*job.matrix));
  if (bytes.size() != size) return std::nullopt;
  Header header{};
  std::memcpy(&header, bytes.data(), sizeof header);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0 || header.layout != kLayout ||
      header.matrices != jobs_.size() || header.source != source || header.bytes != size)
    return std::nullopt;
  std::uint64_t offset = kPage;
  for (const Job& job : jobs_) {
    const std::size_t part = packed_bytes(*job.matrix);
    job.matrix->data = AlignedBytes::view(bytes.subspan(offset, part));
    offset += to_page(part);
  }
  return std::move(*map);
}

Status Packer::write_all(const std::string& path, std::uint64_t source) const {
  AGON_ASSIGN(const auto file, AtomicFile::create(path));
  Header header{.magic = {},
                .layout = kLayout,
                .matrices = static_cast<std::uint32_t>(jobs_.size()),
                .source = source,
                .bytes = kPage};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  for (const Job& job : jobs_) header.bytes += to_page(packed_bytes(*job.matrix));
  std::string page(kPage, '\0');
  std::memcpy(page.data(), &header, sizeof header);
  AGON_TRY(file->write(page));
  for (const Job& job : jobs_) {
    const AlignedBytes& data = job.matrix->data;
    AGON_TRY(file->write({reinterpret_cast<const char*>(data.data()), data.size()}));
    AGON_TRY(file->write(std::string(to_page(data.size()) - data.size(), '\0')));
  }
  return file->commit();
}

}  // namespace agon::llm
