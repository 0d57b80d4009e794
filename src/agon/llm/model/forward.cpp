#include "agon/llm/model/forward.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "agon/base/check.h"

namespace agon::llm {
namespace {

constexpr int round_up(int n, int to) { return (n + to - 1) / to * to; }
constexpr std::size_t wide(int n) { return static_cast<std::size_t>(n); }

// By the bits, which the compiler takes many at a time.
bool is_finite(const float* x, int n) {
  constexpr std::uint32_t kExponent = 0x7F800000;
  std::uint32_t found = 0;
  for (int i = 0; i < n; ++i)
    found |= static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(x[i]) & kExponent) == kExponent);
  return found == 0;
}

// Pieces of work of at most `most` panels, small enough that every thread gets several.
int grain_of(int panels, int threads, int most) { return std::clamp(panels / (8 * threads), 1, most); }

}  // namespace

void Forward::Inputs::reserve(int rows, int width, bool rests) {
  columns = round_up(width, kBlock);
  stride = wide(columns);
  // The kernels read whole tiles.
  values = AlignedBytes(wide(round_up(rows, Activations::kTile)) * stride * sizeof(float));
  const std::size_t count = Activations::block_count(rows, columns);
  blocks = AlignedBytes((rests ? 2 : 1) * count * sizeof(ActivationBlock));
  rest = rests ? static_cast<std::ptrdiff_t>(count) : 0;
}

Forward::Forward(const Weights& weights, KvCache& cache, Team& team, const Options& options)
    : weights_(weights), cache_(cache), team_(team), options_(options), kernels_(kernels()) {
  const ModelConfig& config = weights.config();
  AGON_CHECK(options.max_rows >= 1);
  const int rows = options.max_rows;
  embedding_ = config.embedding;
  feed_forward_ = round_up(config.feed_forward, kBlock);
  AGON_CHECK(embedding_ % kBlock == 0);
  key_length_ = padded_head(config.key_length);
  value_length_ = padded_head(config.value_length);
  quantise_heads_ = value_length_ % kBlock == 0;
  query_stride_ = wide(config.heads * key_length_);
  key_stride_ = wide(config.kv_heads * key_length_);
  value_stride_ = wide(config.kv_heads * value_length_);
  output_stride_ = wide(round_up(embedding_, kPanelRows));
  const auto floats = [&](std::size_t stride) { return AlignedBytes(wide(rows) * stride * sizeof(float)); };
  query_ = floats(query_stride_);
  key_ = floats(key_stride_);
  value_ = floats(value_stride_);
  block_out_ = floats(output_stride_);
  stream_.x = floats(wide(embedding_));
  stream_.normed.reserve(rows, embedding_, true);
  attended_.reserve(rows, config.heads * value_length_, false);
  gated_.reserve(rows, feed_forward_, false);
  own_.resize(wide(team.size()));
  for (Own& own : own_) {
    own.stream.x = AlignedBytes(wide(kOwnRows) * wide(embedding_) * sizeof(float));
    own.stream.normed.reserve(kOwnRows, embedding_, true);
    own.kernel = AlignedBytes(kMatmulScratch);
    own.gate = AlignedBytes(wide(rows) * kGateColumns * sizeof(float));
    own.up = AlignedBytes(wide(rows) * kGateColumns * sizeof(float));
  }
  for (const RopeConfig& rope : config.ropes) {
    frequencies_.push_back(rope.frequencies());
    turns_.push_back(floats(wide(rope.dimensions)));
  }
}

std::unexpected<Error> not_finite(const std::string& path) {
  return fail("what the model computes is not finite: its weights leave the range of floats", path);
}

std::unexpected<Error> no_output_matrix() {
  Error error;
  error.message =
      "this is a reward model: it has a classification head and no output matrix, so that it gives no "
      "probabilities of next tokens";
  error.expected = "a causal model, or a use of its rewards or hidden states";
  return std::unexpected(std::move(error));
}

Status Forward::run(const Batch& batch, BatchResult& result) {
  const ModelConfig& config = weights_.config();
  const bool reads_out = !(batch.logit_rows.empty() && batch.best_rows.empty() && batch.targets.empty());
  if (!config.causal && reads_out) return no_output_matrix();
  std::vector<int> starts;
  int total = 0;
  for (std::size_t i = 0; i < batch.segments.size(); ++i) {
    const Batch::Segment& segment = batch.segments[i];
    starts.push_back(cache_.length(segment.sequence));
    total += segment.count;
    if (Status status = cache_.extend(segment.sequence, segment.count); !status) {
      for (std::size_t j = 0; j < i; ++j) cache_.truncate(batch.segments[j].sequence, starts[j]);
      return status;
    }
  }
  AGON_CHECK(total == static_cast<int>(batch.tokens.size()));
  for (const std::int32_t token : batch.tokens) AGON_CHECK(token >= 0 && token < config.vocabulary);
  const bool stops = batch.stop_layer >= 0;
  const int layers = stops ? batch.stop_layer : config.layer_count();
  AGON_CHECK(layers <= config.layer_count() && std::ranges::is_sorted(batch.hidden_layers) &&
             (batch.hidden_layers.empty() ||
              (batch.hidden_layers.front() >= 0 && batch.hidden_layers.back() <= layers)));
  result.logits.resize(stops ? 0 : batch.logit_rows.size() * wide(config.vocabulary));
  result.log_totals.resize(stops ? 0 : batch.logit_rows.size());
  result.best.assign(stops ? 0 : batch.best_rows.size(), -1);
  result.scores.assign(stops ? 0 : batch.targets.size(), {});
  result.hidden.resize(batch.hidden_layers.size() * wide(total) * wide(embedding_));
  target_logits_.assign(batch.targets.size(), 0.0F);

  std::size_t segment = 0;
  int used = 0;  // rows of the segment that are done
  for (int first = 0; first < total;) {
    Piece piece;
    piece.first_row = first;
    const int most = std::min(options_.max_rows, total - first);
    while (batch.segments[segment].count == 0) ++segment;
    piece.step = batch.segments[segment].step;
    int rows = 0;
    while (rows < most) {
      const Batch::Segment& it = batch.segments[segment];
      if (it.count > 0 && it.step != piece.step) break;
      const int count = std::min(it.count - used, most - rows);
      if (count > 0) piece.parts.push_back({it.sequence, starts[segment] + used, rows, count});
      for (int i = 0; i < count; ++i) piece.positions.push_back(starts[segment] + used + i);
      rows += count;
      used += count;
      if (used == it.count) {
        ++segment;
        used = 0;
      }
    }
    piece.tokens = std::span(batch.tokens).subspan(wide(first), wide(rows));
    const auto want = [&](int row) {
      if (row >= first && row < first + rows) piece.wanted.push_back(row - first);
    };
    for (const int row : batch.logit_rows) want(row);
    for (const Batch::Target& target : batch.targets) want(target.row);
    piece.best_only = piece.wanted.empty();
    for (const int row : batch.best_rows) want(row);
    piece.best_only &= !piece.wanted.empty();
    std::ranges::sort(piece.wanted);
    piece.wanted.erase(std::ranges::unique(piece.wanted).begin(), piece.wanted.end());
    run_piece(piece, batch, result);
    first += rows;
  }
  return {};
}

void Forward::run_piece(const Piece& piece, const Batch& batch, BatchResult& result) {
  rounding_ = options_.exact                    ? Rounding::kNone
              : reads_in_pairs() && !piece.step ? Rounding::kPairs
                                                : Rounding::kBytes;
  rests_ = rounding_ == Rounding::kBytes && !piece.step;
  lost_rows_.assign(wide(piece.rows()), 0);
  screen_ = nullptr;
  if (piece.step && piece.best_only && batch.stop_layer < 0 && rounding_ == Rounding::kBytes &&
      static_cast<int>(piece.wanted.size()) <= kScreenRows) {
    if (screenable_ >= options_.screen_after)
      screen_ = weights_.screen(team_);
    else
      ++screenable_;
  }
  StepTimes whole;
  StepClock clock(times_ == nullptr ? nullptr : &whole);
  team_.run([&](Member& member) { work(member, piece, batch, result); });
  clock.done(PassStep::kHandOver);
  for (Own& own : own_) vocabulary_bytes_ += std::exchange(own.vocabulary_bytes, 0);
  if (times_ != nullptr) {
    double inside = 0;
    for (Own& own : own_) {
      for (const double seconds : own.times.seconds) inside += seconds;
      *times_ += std::exchange(own.times, {});
    }
    times_->of(PassStep::kHandOver) += std::max(0.0, whole.of(PassStep::kHandOver) * team_.size() - inside);
  }
  find_lost(piece, batch, result);
  if (batch.stop_layer < 0) merge_scores(piece, batch, result);
}

// A state that is not finite spoils all that comes behind it in its sequence, even where products with bytes
// have made numbers of it again.
void Forward::find_lost(const Piece& piece, const Batch& batch, BatchResult& result) {
  for (const Part& part : piece.parts) {
    bool lost = cache_.has_lost(part.sequence);
    for (int row = part.row; row < part.row + part.count; ++row) {
      if (lost_rows_[wide(row)] != 0) cache_.mark_lost(part.sequence, piece.positions[wide(row)]);
      lost = lost || lost_rows_[wide(row)] != 0;
      if (!lost) continue;
      lost_rows_[wide(row)] = 1;
      for (std::size_t which = 0; which < batch.hidden_layers.size(); ++which)
        std::fill_n(result.hidden.data() +
                        (which * batch.tokens.size() + wide(piece.first_row + row)) * wide(embedding_),
                    embedding_, std::numeric_limits<float>::quiet_NaN());
    }
  }
}

void Forward::panels(const PackedMatrix& matrix, int first, int count, const Activations& inputs, float* out,
                     std::size_t stride, std::uint8_t* scratch) const {
  const auto product = rounding_ == Rounding::kPairs   ? kernels_.matmul_pairs
                       : rounding_ == Rounding::kBytes ? kernels_.matmul
                                                       : kernels_.matmul_exact;
  product(matrix, first, count, inputs, out, stride, scratch);
}

void Forward::into_blocks(const float* values, int count, ActivationBlock* to, std::ptrdiff_t rest) const {
  if (rounding_ == Rounding::kBytes) kernels_.quantize(values, count, to, rest);
  if (rounding_ == Rounding::kPairs) kernels_.round_pairs(values, count, to);
}

void Forward::multiply(Member& member, const Activations& inputs, std::span<const Product> products) {
  int total = 0;
  for (const Product& product : products) total += product.matrix->panels;
  int grain = grain_of(total, member.size(), most_panels());
  // Pairs' kernel takes two panels at a time: an odd one would leave half of its registers empty.
  if (rounding_ == Rounding::kPairs && grain > 1) grain &= ~1;
  std::array<int, 4> first{};
  for (std::size_t i = 0; i < products.size(); ++i) {
    first[i + 1] = first[i] + (products[i].matrix->panels + grain - 1) / grain;
  }
  std::uint8_t* scratch = own_[wide(member.index())].kernel.data();
  const int pieces = first[products.size()];
  for (int piece = member.take(pieces); piece < pieces; piece = member.take(pieces)) {
    std::size_t at = 0;
    while (first[at + 1] <= piece) ++at;
    const Product& product = products[at];
    const int panel = (piece - first[at]) * grain;
    Activations mine = inputs;
    if (!product.rests) mine.rest = 0;
    panels(*product.matrix, panel, std::min(grain, product.matrix->panels - panel), mine,
           product.out + panel * kPanelRows, product.stride, scratch);
  }
}

// Everything between the products of queries, keys and values and the attention: biases, norms, rope, the
// cache.
void Forward::positions(Member& member, const Piece& piece, int index) {
  const ModelConfig& config = weights_.config();
  const LayerWeights& layer = weights_.layer(index);
  const int rope = config.layers[wide(index)].rope;
  const int pairs = config.ropes[wide(rope)].dimensions / 2;
  const auto scale = static_cast<float>(config.attention_scale);
  const auto epsilon = static_cast<float>(config.norm_epsilon);
  each_row(member, piece.rows(), false, [&](int row) {
    float* query = query_.as<float>() + wide(row) * query_stride_;
    float* key = key_.as<float>() + wide(row) * key_stride_;
    float* value = value_.as<float>() + wide(row) * value_stride_;
    if (!layer.query_bias.empty())
      kernels_.add(query, layer.query_bias.data(), static_cast<int>(query_stride_));
    if (!layer.key_bias.empty()) kernels_.add(key, layer.key_bias.data(), static_cast<int>(key_stride_));
    if (!layer.value_bias.empty())
      kernels_.add(value, layer.value_bias.data(), static_cast<int>(value_stride_));
    const float* cosines = turn(rope, row);
    const float* sines = cosines + pairs;
    for (int head = 0; head < config.heads; ++head) {
      float* q = query + head * key_length_;
      if (config.qk_norm) kernels_.rms_norm(q, layer.query_norm.data(), key_length_, epsilon, q);
      kernels_.rope(q, cosines, sines, pairs);
      for (int i = 0; i < key_length_; ++i) q[i] *= scale;
    }
    const Part& part = *std::prev(std::ranges::upper_bound(piece.parts, row, {}, &Part::row));
    const int position = piece.positions[wide(row)];
    const auto page = wide(cache_.pages(part.sequence)[wide(position / kPageTokens)]) * cache_.page_stride();
    for (int head = 0; head < config.kv_heads; ++head) {
      float* k = key + head * key_length_;
      if (config.qk_norm) kernels_.rms_norm(k, layer.key_norm.data(), key_length_, epsilon, k);
      kernels_.rope(k, cosines, sines, pairs);
      kernels_.store_key(cache_.type(), k, key_length_, position % kPageTokens,
                         cache_.keys(index, head) + page);
      kernels_.store_value(cache_.type(), value + head * value_length_, value_length_, position % kPageTokens,
                           cache_.values(index, head) + page);
    }
  });
}

void Forward::attend(Member& member, const Piece& piece, int index) {
  const ModelConfig& config = weights_.config();
  const int group = config.heads / config.kv_heads;
  AttentionTile tile;
  tile.page_stride = cache_.page_stride();
  tile.key_length = key_length_;
  tile.value_length = value_length_;
  tile.window = config.layers[wide(index)].window;
  tile.softcap = static_cast<float>(config.attention_softcap);
  tile.type = cache_.type();
  std::uint8_t* scratch = own_[wide(member.index())].kernel.data();
  // Queries of one sequence that share keys: rows times the heads of a group. Few of them are spread thinly,
  // so that every thread has some; of many, whole eights, as the kernels take them.
  const int spread = (piece.rows() * config.heads + 2 * member.size() - 1) / (2 * member.size());
  const bool pairs = kernels_.attention_pairs != nullptr && steps_differ() && !piece.step;
  const int size = pairs ? std::clamp(spread, 1, AttentionTile::kRows)
                         : std::max(std::clamp(spread, 1, 8), std::min(spread / 16 * 8, 32));
  const auto tiles_of = [&](const Part& part) { return (part.count * group + size - 1) / size; };
  int total = 0;
  for (const Part& part : piece.parts) total += tiles_of(part) * config.kv_heads;
  const Part* part = piece.parts.data();
  int first = 0;  // tiles of the parts before `part`
  for (int taken = member.take(total); taken < total; taken = member.take(total)) {
    if (taken < first) {  // a share before this member's own
      part = piece.parts.data();
      first = 0;
    }
    while (taken >= first + tiles_of(*part) * config.kv_heads) first += tiles_of(*part++) * config.kv_heads;
    // One head's tiles follow each other, so that its keys and values stay in the core's own cache: 512 KiB
    // for 2,048 positions of 64 numbers.
    const int head = (taken - first) / tiles_of(*part);
    const int begin = (taken - first) % tiles_of(*part) * size;
    tile.rows = std::min(size, part->count * group - begin);
    for (int i = 0; i < tile.rows; ++i) {
      const int row = part->row + (begin + i) / group;
      const int query_head = head * group + (begin + i) % group;
      tile.query[i] = query_.as<float>() + wide(row) * query_stride_ + query_head * key_length_;
      tile.out[i] = attended_.row(row) + query_head * value_length_;
      tile.position[i] = part->start + (begin + i) / group;
    }
    tile.pages = cache_.pages(part->sequence).data();
    tile.keys = cache_.keys(index, head);
    tile.values = cache_.values(index, head);
    (pairs ? kernels_.attention_pairs : kernels_.attention)(tile, scratch);
    if (!quantise_heads_) continue;
    for (int i = 0; i < tile.rows; ++i) {
      const int query_head = head * group + (begin + i) % group;
      into_blocks(tile.out[i], value_length_,
                  attended_.block(part->row + (begin + i) / group, query_head * value_length_ / kBlock));
    }
  }
  if (!quantise_heads_) {
    member.barrier();
    each_row(member, piece.rows(), false,
             [&](int row) { into_blocks(attended_.row(row), attended_.columns, attended_.block(row, 0)); });
  }
}

// Gate and up, some columns at a time: whole blocks of the next product's input.
void Forward::feed_forward(Member& member, const Activations& inputs, const LayerWeights& layer) {
  Own& own = own_[wide(member.index())];
  const Gate kind =
      weights_.config().activation == ModelConfig::Activation::kSilu ? Gate::kSilu : Gate::kGeluTanh;
  const bool keep_values = options_.exact || is_float(layer.down.type);
  float* gate = own.gate.as<float>();
  float* up = own.up.as<float>();
  // Bytes: what one block needs, so that few rows give every thread work. Pairs: more, as what is read again
  // for each piece are the activations.
  const int wanted = rounding_ == Rounding::kPairs ? kGateColumns / kPanelRows : kBlock / kPanelRows;
  const int grain = std::clamp(layer.gate.panels / (8 * member.size()) & ~1, kBlock / kPanelRows, wanted);
  const int width = grain * kPanelRows;
  const int pieces = (layer.gate.panels + grain - 1) / grain;
  for (int piece = member.take(pieces); piece < pieces; piece = member.take(pieces)) {
    const int count = std::min(grain, layer.gate.panels - grain * piece);
    panels(layer.gate, grain * piece, count, inputs, gate, wide(width), own.kernel.data());
    panels(layer.up, grain * piece, count, inputs, up, wide(width), own.kernel.data());
    const int columns = round_up(count * kPanelRows, kBlock);
    for (int row = 0; row < inputs.rows; ++row) {
      float* mine = gate + row * width;
      if (count % 2 == 1) {
        std::memset(mine + count * kPanelRows, 0, kPanelRows * sizeof(float));
        std::memset(up + row * width + count * kPanelRows, 0, kPanelRows * sizeof(float));
      }
      kernels_.gated(kind, mine, up + row * width, columns);
      if (keep_values) {
        std::memcpy(gated_.row(row) + piece * width, mine, wide(columns) * sizeof(float));
      }
      into_blocks(mine, columns, gated_.block(row, piece * (width / kBlock)));
    }
  }
}

void Forward::work(Member& member, const Piece& piece, const Batch& batch, BatchResult& result) {
  const ModelConfig& config = weights_.config();
  const int rows = piece.rows();
  const bool own = rows <= kOwnRows;
  Stream& stream = own ? own_[wide(member.index())].stream : stream_;
  float* x = stream.x.as<float>();
  const auto at = [&](int row) { return x + wide(row) * wide(embedding_); };
  const auto added = [&](int row) { return block_out_.as<float>() + wide(row) * output_stride_; };
  const auto epsilon = static_cast<float>(config.norm_epsilon);
  StepClock clock(times_ == nullptr ? nullptr : &own_[wide(member.index())].times);
  const auto barrier = [&](PassStep step) {
    clock.done(step);
    member.barrier();
    clock.done(PassStep::kWaiting);
  };
  const auto next = [&] {
    if (own)
      clock.done(PassStep::kNorms);
    else
      barrier(PassStep::kNorms);
  };
  const auto norm_into = [&](int row, const std::vector<float>& weight, bool rests) {
    kernels_.rms_norm(at(row), weight.data(), embedding_, epsilon, stream.normed.row(row));
    into_blocks(stream.normed.row(row), embedding_, stream.normed.block(row, 0),
                rests ? stream.normed.rest : 0);
  };
  // What a block has put out goes into the stream, through a norm of its own in some models.
  const auto add_block = [&](int row, const std::vector<float>& post_norm, const std::vector<float>& bias) {
    // No model here has both a bias and a norm behind it.
    if (!bias.empty()) kernels_.add(at(row), bias.data(), embedding_);
    if (post_norm.empty()) {
      kernels_.add(at(row), added(row), embedding_);
      return;
    }
    // The stream's normed row is free here: it is about to be overwritten.
    kernels_.rms_norm(added(row), post_norm.data(), embedding_, epsilon, stream.normed.row(row));
    kernels_.add(at(row), stream.normed.row(row), embedding_);
  };

  // Angles are shared even where rows are not, so each thread does its part and a barrier follows.
  each_row(member, rows, false, [&](int row) {
    for (std::size_t r = 0; r < frequencies_.size(); ++r) {
      float* cosines = turn(static_cast<int>(r), row);
      float* sines = cosines + frequencies_[r].size();
      const double factor = config.ropes[r].attention_factor;
      for (std::size_t i = 0; i < frequencies_[r].size(); ++i) {
        const double angle = piece.positions[wide(row)] * frequencies_[r][i];
        cosines[i] = static_cast<float>(factor * std::cos(angle));
        sines[i] = static_cast<float>(factor * std::sin(angle));
      }
    }
  });
  barrier(PassStep::kNorms);
  const int layers = batch.stop_layer >= 0 ? batch.stop_layer : config.layer_count();
  const std::vector<float> none;
  // The stream after `index` layers is complete where the next layer begins.
  const auto keep_hidden = [&](int row, int index) {
    const auto found = std::ranges::find(batch.hidden_layers, index);
    if (found == batch.hidden_layers.end() || (own && member.index() != 0)) return;
    const auto which = wide(static_cast<int>(found - batch.hidden_layers.begin()));
    std::copy_n(at(row), embedding_,
                result.hidden.data() +
                    (which * batch.tokens.size() + wide(piece.first_row + row)) * wide(embedding_));
  };
  for (int index = 0; index < layers; ++index) {
    const LayerWeights& layer = weights_.layer(index);
    each_row(member, rows, own, [&](int row) {
      if (index == 0) {
        weights_.embed(piece.tokens[wide(row)], {at(row), wide(embedding_)});
      } else {
        add_block(row, weights_.layer(index - 1).post_feed_forward_norm, none);
      }
      keep_hidden(row, index);
      norm_into(row, layer.attention_norm, rests_);
    });
    next();
    // All later tokens see keys and values: their rests take away four fifths of the error that these three
    // products bring, for a third of what the rests of all would cost.
    const std::array<Product, 3> products = {Product{&layer.query, query_.as<float>(), query_stride_},
                                             Product{&layer.key, key_.as<float>(), key_stride_, true},
                                             Product{&layer.value, value_.as<float>(), value_stride_, true}};
    multiply(member, stream.normed.view(rows, rests_), products);
    barrier(PassStep::kQueries);
    positions(member, piece, index);
    barrier(PassStep::kPositions);
    attend(member, piece, index);
    barrier(PassStep::kAttention);
    const Product output{&layer.output, block_out_.as<float>(), output_stride_};
    multiply(member, attended_.view(rows, false), {&output, 1});
    barrier(PassStep::kAttentionOutput);
    each_row(member, rows, own, [&](int row) {
      add_block(row, layer.post_attention_norm, layer.output_bias);
      norm_into(row, layer.feed_forward_norm, false);
    });
    // Where every thread adds for itself, all must have read block_out_ before it is written again: the
    // barrier after the gates sees to that.
    next();
    feed_forward(member, stream.normed.view(rows, false), layer);
    barrier(PassStep::kGates);
    const Product down{&layer.down, block_out_.as<float>(), output_stride_};
    multiply(member, gated_.view(rows, false), {&down, 1});
    barrier(PassStep::kDown);
  }
  each_row(member, rows, own, [&](int row) {
    if (layers == 0) {
      weights_.embed(piece.tokens[wide(row)], {at(row), wide(embedding_)});
    } else {
      add_block(row, weights_.layer(layers - 1).post_feed_forward_norm, none);
    }
    keep_hidden(row, layers);
    if (!own || member.index() == 0) lost_rows_[wide(row)] = is_finite(at(row), embedding_) ? 0 : 1;
  });
  next();
  if (batch.stop_layer >= 0 || piece.wanted.empty()) return;
  read_out(member, piece, stream, batch, result);
  clock.done(PassStep::kVocabulary);
}

}  // namespace agon::llm
