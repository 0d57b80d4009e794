#include "agon/preference/features/cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <unordered_map>

#include "agon/base/bytes.h"
#include "agon/base/check.h"
#include "agon/base/file.h"
#include "agon/base/hash.h"

namespace agon {
namespace {

constexpr std::string_view kMagic = "agon-feature-rows 1\n";

using Rows = std::unordered_map<std::uint64_t, std::vector<float>>;

Result<Rows> read_rows(const std::string& path, std::size_t width) {
  Rows rows;
  if (!std::filesystem::exists(path)) return rows;
  AGON_ASSIGN(const std::string bytes, read_file(path));
  const auto damaged = [&] {
    return fail("the feature cache is damaged or of another width; remove it to compute the features anew",
                path);
  };
  if (bytes.size() < kMagic.size() + 8 || !bytes.starts_with(kMagic)) return damaged();
  const std::string_view body =
      std::string_view(bytes).substr(kMagic.size(), bytes.size() - kMagic.size() - 8);
  ByteReader check(std::string_view(bytes).substr(bytes.size() - 8));
  if (hash64(body) != check.get<std::uint64_t>()) return damaged();
  ByteReader in(body);
  if (in.get<std::uint64_t>() != width) return damaged();
  const auto keys = in.get_vector<std::uint64_t>();
  const auto values = in.get_vector<float>();
  if (!in.ok() || values.size() / std::max<std::size_t>(1, width) != keys.size()) return damaged();
  for (std::size_t i = 0; i < keys.size(); ++i)
    rows.emplace(keys[i], std::vector<float>(values.begin() + static_cast<std::ptrdiff_t>(i * width),
                                             values.begin() + static_cast<std::ptrdiff_t>((i + 1) * width)));
  return rows;
}

Status write_rows(const std::string& path, const Rows& rows, std::size_t width) {
  std::vector<std::uint64_t> keys;
  for (const auto& [key, _] : rows) keys.push_back(key);
  std::ranges::sort(keys);  // the same content gives the same bytes
  std::vector<float> values;
  for (const std::uint64_t key : keys) values.insert(values.end(), rows.at(key).begin(), rows.at(key).end());
  ByteWriter body;
  body.put<std::uint64_t>(width);
  body.put(keys);
  body.put(values);
  ByteWriter end;
  end.put<std::uint64_t>(hash64(body.bytes()));
  return write_file(path, std::string(kMagic) + body.bytes() + end.bytes());
}

}  // namespace

std::uint64_t content_hash(const Vote& vote) {
  ByteWriter text;
  for (const Turns* turns : {&vote.prompt, &vote.response_a, &vote.response_b}) {
    text.put<std::uint64_t>(turns->size());
    for (const Turn& turn : *turns) {
      text.put<std::uint8_t>(turn.null);
      text.put(std::string_view(turn.text));
    }
  }
  return hash64(text.bytes());
}

Status cached_block(const FeatureBlock& block, std::span<const Vote> votes, const std::string& folder,
                    std::span<float> out, std::size_t stride, const Progress& progress) {
  const std::size_t width = block.columns().size();
  const bool use_disk = block.cacheable() && !folder.empty();
  const std::string path =
      use_disk ? fmt::format("{}/{}-v{}.rows", folder, block.name(), block.version()) : std::string();
  Rows rows;
  if (use_disk) {
    std::error_code made;
    std::filesystem::create_directories(folder, made);
    if (made) return fail("cannot make the cache folder: " + made.message(), folder);
    AGON_ASSIGN(rows, read_rows(path, width));
  }
  std::vector<std::uint64_t> keys(votes.size());
  std::vector<Vote> missing;
  std::vector<std::uint64_t> missing_keys;
  for (std::size_t i = 0; i < votes.size(); ++i) {
    keys[i] = content_hash(votes[i]);
    if (rows.emplace(keys[i], std::vector<float>()).second) {
      missing.push_back(votes[i]);
      missing_keys.push_back(keys[i]);
    }
  }
  std::vector<float> fresh(missing.size() * width);
  AGON_TRY(block.compute(missing, fresh, progress));
  for (std::size_t i = 0; i < missing.size(); ++i)
    rows[missing_keys[i]].assign(fresh.begin() + static_cast<std::ptrdiff_t>(i * width),
                                 fresh.begin() + static_cast<std::ptrdiff_t>((i + 1) * width));
  if (use_disk && !missing.empty()) AGON_TRY(write_rows(path, rows, width));
  for (std::size_t i = 0; i < votes.size(); ++i)
    std::ranges::copy(rows.at(keys[i]), out.begin() + static_cast<std::ptrdiff_t>(i * stride));
  return {};
}

Result<FeatureMatrix> all_features(std::span<const Vote> votes,
                                   const std::vector<const FeatureBlock*>& extra_blocks,
                                   const std::string& cache_folder, const Progress& progress) {
  if (extra_blocks.empty()) return text_features(votes, progress);
  const FeatureMatrix text = text_features(votes, progress);
  FeatureMatrix all{.rows = votes.size(), .columns = text.columns, .values = {}};
  for (const FeatureBlock* block : extra_blocks) all.columns += block->columns().size();
  all.values.resize(all.rows * all.columns);
  for (std::size_t i = 0; i < all.rows; ++i) std::ranges::copy(text.row(i), all.row(i).begin());
  std::size_t at = text.columns;
  for (const FeatureBlock* block : extra_blocks) {
    if (!votes.empty())
      AGON_TRY(cached_block(*block, votes, cache_folder, std::span(all.values).subspan(at), all.columns,
                            progress));
    at += block->columns().size();
  }
  return all;
}

}  // namespace agon
