// How far the engine is from the truth: the double-precision forward pass over the same file.
//
//   llm_truth truth MODEL TOKENS TRUTH
//   llm_truth kl MODEL TRUTH [OPTION...]
//   llm_truth greedy MODEL TOKENS PROMPT N [OPTION...]
//
// The first computes the truth once (minutes) and keeps it; the second gives KL divergence, equal top tokens
// and perplexity of the engine; the third continues the first PROMPT tokens of every window greedily by N
// tokens, and asks the truth about each of them.
//
// Options: steps (each token but the first of a window as generation computes it; kl only), exact
// (--precision exact), bf16, q8_0 or f32 (the cache, else f16; the program takes f32 for exact products and
// for float weights), threads=N, windows=N (the first N only).
//
// TOKENS is a text with one window a line: token ids with spaces between, each window read on its own
// (bench/llm_kl.py writes one, and gives llama-cpp-python's distance from the same truth). TRUTH keeps the
// last hidden state of every position, from which both sides compute the logits again: they would take a
// thousand times the room. Layout, little endian: "AGTRUTH1"; u64 size of the model file; u32 windows, E, V,
// 0; for each window u32 count and i32 tokens; then E doubles a token.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "agon/base/bytes.h"
#include "agon/base/file.h"
#include "agon/base/parallel.h"
#include "agon/llm/model/forward.h"
#include "agon/llm/model/reference.h"
#include "agon/llm/model/sampler.h"

namespace {

using namespace agon;
using namespace agon::llm;

constexpr std::size_t kRowsAtOnce = 64;  // whose logits are in memory together, for the truth

struct Truth {
  std::uint64_t model_size = 0;
  std::size_t width = 0, vocabulary = 0;
  std::vector<std::vector<std::int32_t>> windows;
  std::vector<double> hidden;
};

struct Options {
  bool exact = false, steps = false;
  CacheType cache = CacheType::kF16;
  int threads = 0;
  std::size_t windows = SIZE_MAX;
  std::string logits;
};

Result<Options> parse_options(int count, char** words) {
  Options options;
  for (int i = 0; i < count; ++i) {
    const std::string word = words[i];
    if (word == "exact") {
      options.exact = true;
    } else if (word == "steps") {
      options.steps = true;
    } else if (word == "bf16") {
      options.cache = CacheType::kBF16;
    } else if (word == "f32") {
      options.cache = CacheType::kF32;
    } else if (word == "q8_0") {
      options.cache = CacheType::kQ8_0;
    } else if (word.starts_with("threads=")) {
      options.threads = std::atoi(word.c_str() + 8);
    } else if (word.starts_with("windows=")) {
      options.windows = static_cast<std::size_t>(std::atoll(word.c_str() + 8));
    } else if (word.starts_with("logits=")) {
      options.logits = word.substr(7);
    } else {
      return fail("unknown option " + word);
    }
  }
  return options;
}

Result<std::vector<std::vector<std::int32_t>>> read_tokens(const std::string& path, int vocabulary) {
  AGON_ASSIGN(const std::string text, read_file(path));
  std::vector<std::vector<std::int32_t>> windows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::vector<std::int32_t> tokens;
    std::istringstream numbers(line);
    for (std::int32_t token; numbers >> token;) {
      if (token < 0 || token >= vocabulary)
        return fail(fmt::format("token {} is not in the vocabulary", token), path);
      tokens.push_back(token);
    }
    if (!tokens.empty()) windows.push_back(std::move(tokens));
  }
  return windows;
}

Status write_truth(const Truth& truth, const std::string& path) {
  ByteWriter head;
  head.put(truth.model_size);
  for (const std::size_t n : {truth.windows.size(), truth.width, truth.vocabulary, std::size_t{0}})
    head.put(static_cast<std::uint32_t>(n));
  for (const auto& window : truth.windows) {
    head.put(static_cast<std::uint32_t>(window.size()));
    for (const std::int32_t token : window) head.put(token);
  }
  AGON_ASSIGN(const auto out, AtomicFile::create(path));
  AGON_TRY(out->write("AGTRUTH1"));
  AGON_TRY(out->write(head.take()));
  AGON_TRY(
      out->write({reinterpret_cast<const char*>(truth.hidden.data()), truth.hidden.size() * sizeof(double)}));
  return out->commit();
}

Result<Truth> read_truth(const std::string& path) {
  AGON_ASSIGN(const std::string bytes, read_file(path));
  std::size_t at = 8;
  const auto take = [&]<class T>(T& value) {
    if (bytes.size() - at < sizeof value) return false;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    at += sizeof value;
    return true;
  };
  Truth truth;
  std::uint32_t windows = 0, width = 0, vocabulary = 0, zero = 0;
  bool whole = bytes.starts_with("AGTRUTH1") && take(truth.model_size) && take(windows) && take(width) &&
               take(vocabulary) && take(zero);
  std::size_t tokens = 0;
  for (std::uint32_t w = 0; whole && w < windows; ++w) {
    std::uint32_t count = 0;
    whole = take(count) && bytes.size() - at >= count * sizeof(std::int32_t);
    if (!whole) break;
    truth.windows.emplace_back(count);
    for (std::int32_t& token : truth.windows.back()) take(token);
    tokens += count;
  }
  if (!whole || bytes.size() - at != tokens * width * sizeof(double)) return fail("not a whole truth", path);
  truth.width = width;
  truth.vocabulary = vocabulary;
  truth.hidden.resize(tokens * width);
  std::memcpy(truth.hidden.data(), bytes.data() + at, truth.hidden.size() * sizeof(double));
  return truth;
}

Status make_truth(const std::string& model, const std::string& tokens, const std::string& path) {
  AGON_ASSIGN(const gguf::File file, gguf::File::open(model));
  AGON_ASSIGN(const ReferenceModel reference, ReferenceModel::load(file));
  const ModelConfig& config = reference.config();
  Truth truth = {.model_size = file.size(),
                 .width = static_cast<std::size_t>(config.embedding),
                 .vocabulary = static_cast<std::size_t>(config.vocabulary),
                 .windows = {},
                 .hidden = {}};
  AGON_ASSIGN(truth.windows, read_tokens(tokens, config.vocabulary));
  for (const auto& window : truth.windows) {
    const std::vector<double> hidden = reference.hidden(window, config.layer_count());
    truth.hidden.insert(truth.hidden.end(), hidden.begin(), hidden.end());
    fmt::print(stderr, ".");
  }
  fmt::print(stderr, "\n");
  return write_truth(truth, path);
}

// What one position shows.
struct Row {
  double divergence = 0;  // sum of p log(p / q)
  bool same_top = false;
  double truth_loss = 0, loss = 0;  // of the token that follows, if any
  double margin = 0;                // between the truth's two best logits
};

Row compare(std::span<const double> truth, std::span<const float> fast, const std::int32_t* next) {
  const double top = *std::ranges::max_element(truth);
  double sum = 0;
  for (const double logit : truth) sum += std::exp(logit - top);
  const double total = top + std::log(sum), fast_total = log_sum_exp(fast);
  Row row;
  double second = -INFINITY;
  std::size_t best = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const double p = truth[i] - total, q = static_cast<double>(fast[i]) - fast_total;
    row.divergence += std::exp(p) * (p - q);
    if (truth[i] > truth[best]) best = i;
  }
  for (std::size_t i = 0; i < truth.size(); ++i)
    if (i != best) second = std::max(second, truth[i]);
  row.margin = truth[best] - second;
  row.same_top = static_cast<std::size_t>(greedy_token(fast)) == best;
  if (next != nullptr) {
    row.truth_loss = total - truth[static_cast<std::size_t>(*next)];
    row.loss = fast_total - static_cast<double>(fast[static_cast<std::size_t>(*next)]);
  }
  return row;
}

void print_summary(const std::vector<Row>& rows, std::size_t windows) {
  const double n = static_cast<double>(rows.size());
  double mean = 0, squares = 0, largest = 0, same = 0, truth_loss = 0, loss = 0, apart = 0;
  for (const Row& row : rows) {
    mean += row.divergence / n;
    largest = std::max(largest, row.divergence);
    same += row.same_top ? 1 : 0;
    truth_loss += row.truth_loss;
    loss += row.loss;
    apart += (row.loss - row.truth_loss) * (row.loss - row.truth_loss);
  }
  for (const Row& row : rows) squares += (row.divergence - mean) * (row.divergence - mean);
  const double predicted = n - static_cast<double>(windows);
  fmt::print("positions                 {}\n", rows.size());
  fmt::print("mean KL from the truth    {:.4g} +- {:.2g} nats\n", mean, std::sqrt(squares / (n - 1) / n));
  fmt::print("largest                   {:.4g}\n", largest);
  fmt::print("equal top tokens          {:.3f} %\n", 100 * same / n);
  fmt::print("perplexity                {:.5f}, truth {:.5f} ({:+.4f} %)\n", std::exp(loss / predicted),
             std::exp(truth_loss / predicted), 100 * std::expm1((loss - truth_loss) / predicted));
  fmt::print("log-probability of text   {:.3g} apart (root mean square)\n", std::sqrt(apart / predicted));
}

// Gives the logits of one window after another.
class Engine {
 public:
  static Result<std::unique_ptr<Engine>> open(const std::string& model, const Options& options) {
    AGON_ASSIGN(gguf::File file, gguf::File::open(model));
    std::unique_ptr<Engine> engine(new Engine(std::move(file), options));
    if (!options.logits.empty()) {
      AGON_ASSIGN(engine->source_, open_bytes(options.logits));
      return engine;
    }
    AGON_ASSIGN(engine->weights_, Weights::load(engine->file_, engine->team_));
    return engine;
  }

  Status run(const std::vector<std::int32_t>& window, std::size_t vocabulary, std::vector<float>& logits) {
    if (source_ != nullptr) {
      logits.resize(window.size() * vocabulary);
      char* to = reinterpret_cast<char*>(logits.data());
      for (std::size_t left = logits.size() * sizeof(float); left > 0;) {
        AGON_ASSIGN(const std::size_t got, source_->read(to, left));
        if (got == 0) return fail("ends before all logits were read", options_.logits);
        to += got;
        left -= got;
      }
      return {};
    }
    AGON_ASSIGN(KvCache cache,
                KvCache::create(weights_->config(), options_.cache, static_cast<int>(window.size())));
    Forward forward(*weights_, cache, team_, {.exact = options_.exact});
    const int sequence = cache.open();
    logits.clear();
    BatchResult result;
    for (std::size_t done = 0; done < window.size();) {
      const std::size_t count = options_.steps ? 1 : window.size();
      Batch batch;
      batch.tokens.assign(window.begin() + static_cast<std::ptrdiff_t>(done),
                          window.begin() + static_cast<std::ptrdiff_t>(done + count));
      batch.segments = {{.sequence = sequence, .count = static_cast<int>(count), .step = done > 0}};
      for (std::size_t i = 0; i < count; ++i) batch.logit_rows.push_back(static_cast<int>(i));
      AGON_TRY(forward.run(batch, result));
      logits.insert(logits.end(), result.logits.begin(), result.logits.end());
      done += count;
    }
    return {};
  }

 private:
  Engine(gguf::File file, const Options& options)
      : options_(options), file_(std::move(file)), team_(options.threads) {}
  Options options_;
  gguf::File file_;
  Team team_;
  std::unique_ptr<Weights> weights_;
  std::unique_ptr<ByteSource> source_;
};

Status measure(const std::string& model, const std::string& truth_path, const Options& options) {
  AGON_ASSIGN(Truth truth, read_truth(truth_path));
  AGON_ASSIGN(const gguf::File file,
              gguf::File::open(model));  // apart: the engine gives pages of its own back
  if (file.size() != truth.model_size) return fail("the truth is of another model", truth_path);
  AGON_ASSIGN(const ReferenceModel reference, ReferenceModel::load(file));
  AGON_ASSIGN(const auto engine, Engine::open(model, options));
  truth.windows.resize(std::min(truth.windows.size(), options.windows));
  std::vector<Row> rows;
  std::vector<float> logits;
  for (const std::vector<std::int32_t>& window : truth.windows) {
    AGON_TRY(engine->run(window, truth.vocabulary, logits));
    const std::size_t first = rows.size();
    rows.resize(first + window.size());
    for (std::size_t begin = 0; begin < window.size(); begin += kRowsAtOnce) {
      const std::size_t count = std::min(kRowsAtOnce, window.size() - begin);
      const std::vector<double> exact = reference.output(
          std::span(truth.hidden).subspan((first + begin) * truth.width, count * truth.width));
      parallel_for(count, [&](std::size_t i) {
        const std::size_t t = begin + i;
        rows[first + t] = compare(std::span(exact).subspan(i * truth.vocabulary, truth.vocabulary),
                                  std::span(logits).subspan(t * truth.vocabulary, truth.vocabulary),
                                  t + 1 < window.size() ? &window[t + 1] : nullptr);
      });
    }
    fmt::print(stderr, ".");
  }
  fmt::print(stderr, "\n");
  print_summary(rows, truth.windows.size());
  return {};
}

Status greedy(const std::string& model, const std::string& tokens_path, std::size_t prompt, std::size_t more,
              const Options& options) {
  AGON_ASSIGN(const gguf::File file, gguf::File::open(model));
  AGON_ASSIGN(const gguf::File plain, gguf::File::open(model));
  AGON_ASSIGN(const ReferenceModel reference, ReferenceModel::load(plain));
  Team team(options.threads);
  AGON_ASSIGN(const auto weights, Weights::load(file, team));
  AGON_ASSIGN(auto windows, read_tokens(tokens_path, weights->config().vocabulary));
  windows.resize(std::min(windows.size(), options.windows));
  const std::size_t width = static_cast<std::size_t>(weights->config().embedding);
  std::size_t asked = 0, other = 0;
  for (std::vector<std::int32_t>& window : windows) {
    window.resize(std::min(window.size(), prompt));
    AGON_ASSIGN(KvCache cache,
                KvCache::create(weights->config(), options.cache, static_cast<int>(window.size() + more)));
    Forward forward(*weights, cache, team, {.exact = options.exact});
    const int sequence = cache.open();
    std::vector<std::int32_t> next = window;
    for (std::size_t i = 0; i < more; ++i) {
      Batch batch;
      batch.tokens = next;
      batch.segments = {{.sequence = sequence, .count = static_cast<int>(next.size()), .step = i > 0}};
      batch.logit_rows = {static_cast<int>(next.size()) - 1};
      BatchResult result;
      AGON_TRY(forward.run(batch, result));
      next = {greedy_token(result.logits)};
      window.push_back(next.front());
    }
    // The truth reads the whole text and is asked about each token that was chosen.
    const std::vector<double> hidden = reference.hidden(window, weights->config().layer_count());
    for (std::size_t t = window.size() - more; t < window.size(); ++t) {
      const std::vector<double> logits = reference.output(std::span(hidden).subspan((t - 1) * width, width));
      const auto best = std::ranges::max_element(logits);
      ++asked;
      if (best - logits.begin() == window[t]) continue;
      ++other;
      fmt::print("window {}, token {}: engine {}, truth {}, by {:.4g}\n", &window - windows.data(), t,
                 window[t], best - logits.begin(), *best - logits[static_cast<std::size_t>(window[t])]);
    }
  }
  fmt::print("{} of {} greedy tokens are not the truth's\n", other, asked);
  return {};
}

Status run(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "truth" && argc == 5) return make_truth(argv[2], argv[3], argv[4]);
  if (verb == "kl" && argc >= 4) {
    AGON_ASSIGN(const Options options, parse_options(argc - 4, argv + 4));
    return measure(argv[2], argv[3], options);
  }
  if (verb == "greedy" && argc >= 6) {
    AGON_ASSIGN(const Options options, parse_options(argc - 6, argv + 6));
    return greedy(argv[2], argv[3], static_cast<std::size_t>(std::atoll(argv[4])),
                  static_cast<std::size_t>(std::atoll(argv[5])), options);
  }
  return fail(
      "llm_truth truth MODEL TOKENS TRUTH | kl MODEL TRUTH [OPTION...] | greedy MODEL TOKENS PROMPT N "
      "[OPTION...]");
}

}  // namespace

int main(int argc, char** argv) {
  const Status status = run(argc, argv);
  if (status) return 0;
  fmt::print(stderr, "{}\n", status.error().to_string());
  return 1;
}
