// The file format of a trained model:
//
//   16 bytes  "agon-preference\n"
//   u32       format version; a reader takes its own and earlier ones, and refuses later ones by name
//   u32       reserved, 0
//   u64       bytes of the payload
//   64 bytes  SHA-256 of the payload in hex, as `sha256sum` prints it
//   payload   card, blocks with versions, n-gram options, blend weights, baselines, stack; in version 3 then
//             the version of a language model's numbers, which model gives them, and the corrections
//
// The checksum is verified before anything of the payload is read. Since it only guards against
// accidents, everything inside is checked as if it came from a stranger: sizes against what is left,
// numbers against bounds that keep sums finite, and the trees by models/tree_bytes before XGBoost
// sees them. What remains trusted is XGBoost's reader of bytes that passed there.

#include <fmt/format.h>

#include <cmath>

#include "agon/base/bytes.h"
#include "agon/base/file.h"
#include "agon/base/hash.h"
#include "agon/preference/model.h"

namespace agon {
namespace {

constexpr std::string_view kMagic = "agon-preference\n";
// Version 3 has what was learned from a language model at its end; models without that are of version 1.
// Version 2 was of numbers of an earlier version.
constexpr std::uint32_t kFormatVersion = 3;
constexpr std::size_t kHeader = 16 + 4 + 4 + 8 + 64;
constexpr std::uint64_t kMaxFile = std::uint64_t{1} << 30;
constexpr std::uint64_t kMaxCard = 1000;

void save_ngrams(const NgramOptions& o, ByteWriter& out) {
  for (const int x : {o.bits, o.char_min, o.char_max, o.word_max}) out.put<std::int32_t>(x);
  out.put(o.keep);
  out.put(o.max_chars);
}

NgramOptions load_ngrams(ByteReader& in) {
  NgramOptions o;
  o.bits = in.get<std::int32_t>();
  o.char_min = in.get<std::int32_t>();
  o.char_max = in.get<std::int32_t>();
  o.word_max = in.get<std::int32_t>();
  o.keep = in.get<double>();
  o.max_chars = in.get<std::uint32_t>();
  const bool good = o.bits >= 2 && o.bits <= kMaxNgramBits && o.char_min >= 1 && o.char_max >= o.char_min &&
                    o.char_max <= 16 && o.word_max >= 0 && o.word_max <= 16 && o.keep > 0 && o.keep <= 1;
  if (!good) in.fail();
  return o;
}

}  // namespace

std::string PreferenceModel::to_bytes() const {
  ByteWriter payload;
  payload.put<std::uint64_t>(card_.size());
  for (const auto& [key, value] : card_) {
    payload.put(std::string_view(key));
    payload.put(std::string_view(value));
  }
  payload.put<std::uint64_t>(text_blocks().size());
  for (const TextBlock* block : text_blocks()) {
    payload.put(block->name());
    payload.put<std::int32_t>(block->version());
  }
  save_ngrams(ngrams_, payload);
  for (const auto& part : {weights_.direction, weights_.tie})
    for (const double w : part) payload.put(w);
  baselines_.save(payload);
  stack_.save(payload);
  if (language_model() != nullptr) {
    payload.put<std::int32_t>(kAnswerNumbersVersion);
    lm_.save(payload);
    stack_.save_corrections(payload);
  }

  ByteWriter out;
  std::string bytes(kMagic);
  out.put<std::uint32_t>(language_model() != nullptr ? kFormatVersion : 1);
  out.put<std::uint32_t>(0);
  out.put<std::uint64_t>(payload.bytes().size());
  bytes += out.bytes() + sha256_hex(payload.bytes()) + payload.bytes();
  return bytes;
}

Result<PreferenceModel> PreferenceModel::from_bytes(std::string_view bytes, const std::string& name) {
  const auto refuse = [&](std::string message, std::string expected = {}) {
    return std::unexpected(
        Error{.message = std::move(message), .file = name, .expected = std::move(expected)});
  };
  if (!bytes.starts_with(kMagic.substr(0, std::min(bytes.size(), kMagic.size()))) || bytes.empty())
    return refuse("not a model of agon", "a file that `agon train` wrote");
  if (bytes.size() < kHeader) return refuse("the model is cut off inside its header");
  ByteReader header(bytes.substr(kMagic.size(), 16));
  const auto version = header.get<std::uint32_t>();
  const auto reserved = header.get<std::uint32_t>();
  const auto size = header.get<std::uint64_t>();
  if (version == 0 || reserved != 0) return refuse("the header of the model is damaged");
  if (version > kFormatVersion)
    return refuse(fmt::format("model format {} is newer than this program reads", version),
                  fmt::format("format {} or earlier; a newer agon reads it", kFormatVersion));
  const std::string_view payload = bytes.substr(kHeader);
  if (payload.size() != size)
    return refuse(fmt::format("the model is {} ({} bytes of {})",
                              payload.size() < size ? "cut short" : "too long", payload.size(), size));
  if (sha256_hex(payload) != bytes.substr(kHeader - 64, 64))
    return refuse("the model is damaged: its checksum does not match");

  ByteReader in(payload);
  PreferenceModel model;
  const auto entries = in.get<std::uint64_t>();
  if (entries > kMaxCard) return refuse("the model card is damaged");
  for (std::uint64_t i = 0; i < entries && in.ok(); ++i) {
    std::string key = in.get_string();
    model.card_.emplace_back(std::move(key), in.get_string());
  }
  const auto blocks = in.get<std::uint64_t>();
  if (!in.ok() || blocks > kMaxCard) return refuse("the list of feature blocks is damaged");
  for (std::uint64_t i = 0; i < blocks; ++i) {
    const std::string block = in.get_string();
    const auto block_version = in.get<std::int32_t>();
    if (!in.ok()) return refuse("the list of feature blocks is damaged");
    if (blocks != text_blocks().size() || block != text_blocks()[i]->name() ||
        block_version != text_blocks()[i]->version())
      return refuse(
          fmt::format("the model reads features '{}' version {}, which this program does not compute", block,
                      block_version),
          "a model trained with this version of agon; train it again");
  }
  model.ngrams_ = load_ngrams(in);
  for (auto* part : {&model.weights_.direction, &model.weights_.tie})
    for (double& w : *part) {
      w = in.get<double>();
      if (!(w >= 0 && w <= 1)) in.fail();
    }
  if (!in.ok()) return refuse("the blend of the model is damaged");
  model.baselines_ = Baselines::load(in);
  if (!in.ok()) return refuse("the baselines of the model are damaged");
  auto stack = Stack::load(in);
  if (!stack) return refuse(stack.error().message);
  model.stack_ = std::move(*stack);
  if (version >= 2) {
    const auto numbers = version == 2 ? 1 : in.get<std::int32_t>();
    if (!in.ok()) return refuse("what the model says of its language model is damaged");
    if (numbers != kAnswerNumbersVersion)
      return refuse(
          fmt::format("the model was learned from numbers of version {} about the answers, which this "
                      "program does not compute",
                      numbers),
          "a model trained with this version of agon; train it again");
    model.lm_ = AnswerSpec::load(in);
    if (!in.ok()) return refuse("what the model says of its language model is damaged");
    if (const Status loaded = model.stack_.load_corrections(in); !loaded)
      return refuse(loaded.error().message);
    std::vector<std::string> blocks;
    for (const Correction& correction : model.stack_.corrections()) blocks.push_back(correction.block());
    if (blocks != model.lm_.blocks) return refuse("the parts of the model do not fit together");
  }
  model.columns_ = model_columns(model.stack_);
  if (model.stack_.learner_columns() != text_columns().size() + score_columns().size())
    return refuse("the model has another number of columns than this program computes");
  if (!model.stack_.scores().reads_buckets(std::size_t{1} << model.ngrams_.bits))
    return refuse("the n-grams of the model do not fit its scores");
  if (in.left() != 0) return refuse("the model has bytes after its end");
  return model;
}

Status PreferenceModel::save(const std::string& path) const { return write_file(path, to_bytes()); }

Result<PreferenceModel> PreferenceModel::load(const std::string& path) {
  AGON_ASSIGN(const std::string bytes, read_file(path, kMaxFile));
  return from_bytes(bytes, path);
}

}  // namespace agon
