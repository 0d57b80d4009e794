#include "agon/llm/engine/reading.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "agon/base/check.h"

namespace agon::llm {
namespace {

// Read together at most: many rows, as the last piece of a batch is seldom full; few sequences, as each takes
// pages of its own.
constexpr std::size_t kBatchRows = 4096, kBatchSequences = 128;
constexpr std::size_t kHiddenBytes = std::size_t{64} << 20U;

// Neighbours with one start.
struct Family {
  std::size_t first = 0, count = 0;  // requests
  std::size_t shared = 0;            // tokens that all of them begin with
};

std::size_t common_start(std::span<const Token> a, std::span<const Token> b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

// One token less than what is equal is shared: the row before the first difference is then each request's
// own, and tells how likely its own next token is.
std::vector<Family> families(std::span<const ReadRequest> requests) {
  std::vector<Family> out;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const std::vector<Token>& tokens = requests[i].tokens;
    if (i == 0 || requests[i - 1].family != requests[i].family) {
      out.push_back({i, 1, 0});
      continue;
    }
    Family& family = out.back();
    const std::size_t equal = common_start(requests[i - 1].tokens, tokens);
    const std::size_t shared = equal == 0 ? 0 : equal - 1;
    family.shared = family.count == 1 ? shared : std::min(family.shared, shared);
    ++family.count;
  }
  return out;
}

// What all requests begin with, before anything that is observed.
std::size_t preamble_of(std::span<const ReadRequest> requests, std::span<const Family> all) {
  std::size_t shared = requests[0].tokens.size() - 1;
  for (const Family& family : all) {
    const std::size_t equal = common_start(requests[0].tokens, requests[family.first].tokens);
    shared = std::min(shared, equal == 0 ? 0 : equal - 1);
    if (family.count > 1) shared = std::min(shared, family.shared);
  }
  for (const ReadRequest& request : requests) {
    shared = std::min(shared, request.tokens.size() - 1);
    if (!request.observed.empty())
      shared = std::min(shared, static_cast<std::size_t>(request.observed.front().begin) - 1);
  }
  // Less than a page saves nothing: it would be copied for every sequence that goes on from it.
  return shared < static_cast<std::size_t>(kPageTokens) ? 0 : shared;
}

// A reading on its way. Sums are in double and in the order of the tokens, whether a part of them comes from
// a shared start or not.
struct Sums {
  std::vector<double> sum;
  std::vector<float> last;
  std::vector<double> logprobs;
  std::size_t count = 0;
  double end = 0;
};

// Tokens of a request that are read in one go, and where what is seen goes.
struct Part {
  const ReadRequest* request;
  std::size_t from, to;
  Sums* sums;
};

class Reader {
 public:
  Reader(Engine& engine, const ReadOptions& options, KvCache& cache)
      : options_(options),
        cache_(cache),
        forward_(engine.make_forward(cache)),
        width_(static_cast<std::size_t>(engine.config().embedding)) {}

  // The start of everything, which later groups go on from.
  Status read_preamble(const ReadRequest& request, std::size_t length) {
    if (length == 0) return {};
    preamble_ = cache_.open();
    preamble_length_ = length;
    const Part part{&request, 0, length, nullptr};
    return pass({&part, 1}, {&preamble_, 1});
  }

  // Families' starts, then what follows them.
  Status run(std::span<const ReadRequest> requests, std::span<const Family> group, std::span<Reading> out) {
    std::vector<Sums> starts(group.size());
    std::vector<int> sequences;
    std::vector<Part> parts;
    for (std::size_t g = 0; g < group.size(); ++g) {
      AGON_ASSIGN(const int sequence, begin(preamble_, preamble_length_));
      sequences.push_back(sequence);
      parts.push_back({&requests[group[g].first], preamble_length_, group[g].shared, &starts[g]});
    }
    AGON_TRY(pass(parts, sequences));

    std::vector<Sums> sums;
    std::vector<int> own;
    for (std::size_t g = 0; g < group.size(); ++g)
      for (std::size_t k = 0; k < group[g].count; ++k) {
        AGON_ASSIGN(const int sequence, begin(sequences[g], group[g].shared));
        own.push_back(sequence);
        sums.push_back(starts[g]);
      }
    parts.clear();
    std::size_t at = 0;
    for (const Family& family : group)
      for (std::size_t k = 0; k < family.count; ++k, ++at) {
        const ReadRequest& request = requests[family.first + k];
        parts.push_back({&request, family.shared, request.tokens.size(), &sums[at]});
      }
    AGON_TRY(pass(parts, own));
    for (const int sequence : sequences) cache_.close(sequence);
    for (const int sequence : own) cache_.close(sequence);
    for (std::size_t i = 0; i < sums.size(); ++i) out[i] = finished(std::move(sums[i]));
    return {};
  }

 private:
  Result<int> begin(int parent, std::size_t length) {
    if (length == 0) return cache_.open();
    return cache_.fork(parent, static_cast<int>(length));
  }

  Status pass(std::span<const Part> parts, std::span<const int> sequences) {
    Batch batch;
    if (!options_.logprobs) batch.stop_layer = options_.layers.empty() ? 0 : options_.layers.back();
    batch.hidden_layers = options_.layers;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const Part& part = parts[i];
      const int row = static_cast<int>(batch.tokens.size());
      const auto tokens = std::span(part.request->tokens).subspan(part.from, part.to - part.from);
      batch.segments.push_back({sequences[i], static_cast<int>(tokens.size())});
      batch.tokens.insert(batch.tokens.end(), tokens.begin(), tokens.end());
      if (part.sums != nullptr && options_.logprobs) want(part, row, batch);
    }
    if (batch.tokens.empty()) return {};
    AGON_TRY(forward_->run(batch, result_));
    std::size_t row = 0, score = 0;
    for (const Part& part : parts) {
      if (part.sums != nullptr) gather(part, row, batch.tokens.size(), score);
      row += part.to - part.from;
    }
    return {};
  }

  // Calls body(index) for every observed token that the rows [from, to) predict; for the end it is the number
  // of tokens.
  template <class Body>
  static void each_target(const Part& part, Body body) {
    for (const TokenRun& run : part.request->observed) {
      const auto begin = std::max(static_cast<std::size_t>(run.begin), part.from + 1);
      const auto end = std::min(static_cast<std::size_t>(run.end), part.to + 1);
      for (std::size_t i = begin; i < end; ++i) body(i);
    }
    const std::size_t all = part.request->tokens.size();
    if (part.to == all && part.request->end != kNoToken) body(all);
  }

  static void want(const Part& part, int row, Batch& batch) {
    each_target(part, [&](std::size_t i) {
      const std::vector<Token>& tokens = part.request->tokens;
      batch.targets.push_back(
          {row + static_cast<int>(i - 1 - part.from), i < tokens.size() ? tokens[i] : part.request->end});
    });
  }

  void gather(const Part& part, std::size_t first_row, std::size_t rows, std::size_t& score) {
    Sums& sums = *part.sums;
    const std::size_t layers = options_.layers.size();
    sums.sum.resize(layers * width_);
    sums.last.resize(layers * width_);
    for (const TokenRun& run : part.request->observed) {
      const auto begin = std::max(static_cast<std::size_t>(run.begin), part.from);
      const auto end = std::min(static_cast<std::size_t>(run.end), part.to);
      for (std::size_t i = begin; i < end; ++i) {
        for (std::size_t l = 0; l < layers; ++l) {
          const float* state = result_.hidden.data() + (l * rows + first_row + i - part.from) * width_;
          double* sum = sums.sum.data() + l * width_;
          for (std::size_t c = 0; c < width_; ++c) sum[c] += static_cast<double>(state[c]);
          std::copy_n(state, width_, sums.last.data() + l * width_);
        }
        ++sums.count;
      }
    }
    if (!options_.logprobs) return;
    each_target(part, [&](std::size_t i) {
      const double logprob = result_.scores[score++].logprob;
      if (i == part.request->tokens.size()) {
        sums.end = logprob;
      } else {
        sums.logprobs.push_back(logprob);
      }
    });
  }

  static Reading finished(Sums sums) {
    Reading out;
    out.mean.reserve(sums.sum.size());
    const auto count = static_cast<double>(std::max<std::size_t>(sums.count, 1));
    for (const double s : sums.sum) out.mean.push_back(static_cast<float>(s / count));
    out.last = std::move(sums.last);
    out.logprobs = std::move(sums.logprobs);
    out.end_logprob = sums.end;
    return out;
  }

  const ReadOptions& options_;
  KvCache& cache_;
  std::unique_ptr<Forward> forward_;
  std::size_t width_;
  int preamble_ = -1;
  std::size_t preamble_length_ = 0;
  BatchResult result_;
};

// Tokens that a family's requests are read in, once the preamble was.
std::size_t rows_of(std::span<const ReadRequest> requests, const Family& family, std::size_t preamble) {
  std::size_t rows = family.shared - preamble;
  for (const ReadRequest& request : requests.subspan(family.first, family.count))
    rows += request.tokens.size() - family.shared;
  return rows;
}

Status check(const Engine& engine, std::span<const ReadRequest> requests, const ReadOptions& options) {
  AGON_CHECK(std::ranges::is_sorted(options.layers) &&
             (options.layers.empty() ||
              (options.layers.front() >= 0 && options.layers.back() <= engine.config().layer_count())));
  for (const ReadRequest& request : requests) {
    int last = 1;
    for (const TokenRun& run : request.observed) {
      AGON_CHECK(run.begin >= last && run.end > run.begin);
      last = run.end;
    }
    AGON_CHECK(!request.tokens.empty() && (request.observed.empty() || last <= std::ssize(request.tokens)));
    AGON_TRY(engine.check_length(request.tokens.size(), "a text"));
  }
  return {};
}

}  // namespace

Result<std::vector<Reading>> read_texts(Engine& engine, std::span<const ReadRequest> requests,
                                        const ReadOptions& options, const ScoreProgress& progress) {
  AGON_TRY(check(engine, requests, options));
  std::vector<Reading> out(requests.size());
  if (requests.empty()) return out;
  std::vector<Family> all = families(requests);
  const std::size_t preamble = preamble_of(requests, all);
  std::size_t total = preamble, largest = 0, most = 1;
  for (Family& family : all) {
    family.shared = std::max(family.shared, preamble);
    const std::size_t rows = rows_of(requests, family, preamble);
    total += rows;
    largest = std::max(largest, rows);
    most = std::max(most, family.count);
  }
  const std::size_t state_bytes = std::max<std::size_t>(options.layers.size(), 1) *
                                  static_cast<std::size_t>(engine.config().embedding) * sizeof(float);
  const std::size_t group_rows =
      std::max(largest, std::clamp(kHiddenBytes / state_bytes, std::size_t{512}, kBatchRows));
  // A sequence begins with a copy of the page that it goes on in, and ends in one of its own.
  const std::size_t room = preamble + group_rows + 2 * kPageTokens * (2 * kBatchSequences + 2 * most + 2);
  AGON_ASSIGN(KvCache cache, engine.make_cache(static_cast<int>(room)));
  Reader reader(engine, options, cache);
  AGON_TRY(reader.read_preamble(requests[0], preamble));
  std::size_t done = preamble;
  for (std::size_t g = 0; g < all.size();) {
    std::size_t count = 0, rows = 0, sequences = 0;
    while (g + count < all.size()) {
      const Family& family = all[g + count];
      const std::size_t more = rows_of(requests, family, preamble);
      if (count > 0 && (rows + more > group_rows || sequences + family.count + 1 > kBatchSequences)) break;
      rows += more;
      sequences += family.count + 1;
      ++count;
    }
    const std::size_t first = all[g].first, last = all[g + count - 1].first + all[g + count - 1].count;
    AGON_TRY(
        reader.run(requests, std::span(all).subspan(g, count), std::span(out).subspan(first, last - first)));
    g += count;
    done += rows;
    if (progress) progress(done, total);
  }
  const auto finite = [](const auto& numbers) {
    return std::ranges::all_of(numbers, [](auto x) { return std::isfinite(x); });
  };
  for (const Reading& r : out)
    if (!finite(r.mean) || !finite(r.last) || !finite(r.logprobs) || !std::isfinite(r.end_logprob))
      return not_finite(engine.file().path());
  return out;
}

}  // namespace agon::llm
