#include "agon/llm/model/packer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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

// Tells model files apart without reading all of one: names, shapes, places, and the start and end of every
// tensor.
std::uint64_t fingerprint(const gguf::File& file) {
  std::string facts;
  const auto add = [&facts](const void* bytes, std::size_t count) {
    facts.append(static_cast<const char*>(bytes), count);
  };
  const std::uint64_t size = file.size();
  add(&size, sizeof size);
  for (const gguf::Tensor& tensor : file.tensors()) {
    add(tensor.name.data(), tensor.name.size());
    add(&tensor.type, sizeof tensor.type);
    add(tensor.shape.data(), tensor.shape.size() * sizeof(std::uint64_t));
    const std::size_t part = std::min<std::size_t>(tensor.bytes.size(), 512);
    add(tensor.bytes.data(), part);
    add(tensor.bytes.data() + tensor.bytes.size() - part, part);
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

Status Packer::run(const gguf::File& file, Team& team, const std::string& packed_path) {
  const std::uint64_t source = packed_path.empty() ? 0 : fingerprint(file);
  if (!packed_path.empty() && map_all(packed_path, source)) return {};
  pack_all(file, team);
  if (packed_path.empty()) return {};
  return write_all(packed_path, source);
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

bool Packer::map_all(const std::string& path, std::uint64_t source) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  std::uint64_t bytes = kPage;
  for (const Job& job : jobs_) bytes += to_page(packed_bytes(*job.matrix));
  Header header{};
  struct stat facts{};
  bool fits = ::fstat(descriptor, &facts) == 0 && static_cast<std::uint64_t>(facts.st_size) == bytes &&
              ::pread(descriptor, &header, sizeof header, 0) == static_cast<ssize_t>(sizeof header) &&
              std::memcmp(header.magic, kMagic, sizeof kMagic) == 0 && header.layout == kLayout &&
              header.matrices == jobs_.size() && header.source == source && header.bytes == bytes;
  std::uint64_t offset = kPage;
  for (const Job& job : jobs_) {
    if (!fits) break;
    const std::size_t size = packed_bytes(*job.matrix);
    job.matrix->data = AlignedBytes::map(descriptor, offset, size);
    fits = job.matrix->data.size() == size;
    offset += to_page(size);
  }
  ::close(descriptor);
  return fits;
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
