// Rows of numbers that are dear to compute, kept on disk by the hash of what they were computed from.
//
// A file is a header and then records of one size: key, numbers, checksum. Records are only ever added, whole
// blocks at a time, so a run that is killed keeps all it had added; a record cut off at the end is dropped by
// the next run, and a damaged one counts as missing, so that the others are still of use. Any number of runs
// may use one file at once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "agon/base/error.h"
#include "agon/data/vote.h"

namespace agon {

class RowStore {
 public:
  /// Opens or makes the file, and its folder. `what` stands in its header and says what the rows are: a file
  /// of other rows, of another width or version, or no such file at all, is an Error that names it. An empty
  /// path keeps rows in memory only.
  [[nodiscard]] static Result<std::unique_ptr<RowStore>> open(const std::string& path, std::string_view what,
                                                              std::size_t width);
  /// Of the rows of such a file; 0 when there is none, it holds something else, or no model is that wide.
  [[nodiscard]] static std::size_t width_of(const std::string& path, std::string_view what);
  ~RowStore();
  RowStore(const RowStore&) = delete;
  RowStore& operator=(const RowStore&) = delete;

  /// Fills `out` (width numbers); false when there is no such row. One that was damaged since open() is an
  /// Error.
  [[nodiscard]] Result<bool> find(std::uint64_t key, std::span<float> out) const;
  [[nodiscard]] bool contains(std::uint64_t key) const { return places_.contains(key); }
  /// Adds rows (keys.size() * width numbers); on an Error (a full disk) the file is as before.
  [[nodiscard]] Status append(std::span<const std::uint64_t> keys, std::span<const float> rows);

  [[nodiscard]] std::size_t width() const { return width_; }
  [[nodiscard]] std::size_t size() const { return places_.size(); }

 private:
  RowStore(std::string path, std::size_t width) : path_(std::move(path)), width_(width) {}
  [[nodiscard]] Status read_header(std::string_view what);
  [[nodiscard]] Status read_keys();
  [[nodiscard]] std::size_t record_bytes() const { return 16 + 4 * width_; }
  /// Whole records in a file of `size` bytes.
  [[nodiscard]] std::size_t records_in(std::size_t size) const {
    return (size - std::min(size, header_bytes_)) / record_bytes();
  }

  std::string path_;
  std::size_t width_;
  int file_ = -1;
  std::size_t header_bytes_ = 0;
  std::unordered_map<std::uint64_t, std::uint64_t>
      places_;  // key to offset, or to number of the row in memory
  std::vector<float> memory_;
};

}  // namespace agon
