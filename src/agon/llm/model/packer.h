// Fills the packed matrices of a model from its file, or takes them from a file of packed matrices made
// before.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agon/base/error.h"
#include "agon/base/mapped_file.h"
#include "agon/llm/gguf/file.h"
#include "agon/llm/kernels/packed.h"
#include "agon/llm/kernels/team.h"
#include "agon/llm/model/config.h"

namespace agon::llm {

/// Collects what is to be packed, then does it with all threads. Matrices must stay where they are until
/// run().
class Packer {
 public:
  /// Plans a matrix; orders as in PackSource.
  void add(const MatrixView& view, PackedMatrix& matrix, std::vector<int> row_order = {},
           std::vector<int> column_order = {});

  /// Packs everything, and gives the pages of each tensor back to the system as soon as it is done. With
  /// `packed_path`, the packed matrices are mapped from that file if it was made from the same model file by
  /// the same layout, which is returned and has to stay as long as they are used; otherwise they are packed
  /// and the file is written. Throws std::bad_alloc.
  Result<std::optional<MappedFile>> run(const gguf::File& file, Team& team, const std::string& packed_path);

 private:
  struct Job {
    PackSource source;
    PackedMatrix* matrix;
    const gguf::Tensor* tensor;
  };
  void pack_all(const gguf::File& file, Team& team);
  [[nodiscard]] std::optional<MappedFile> map_all(const std::string& path, std::uint64_t source);
  [[nodiscard]] Status write_all(const std::string& path, std::uint64_t source) const;

  std::vector<Job> jobs_;
};

}  // namespace agon::llm
