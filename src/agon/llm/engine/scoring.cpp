#include "agon/llm/engine/scoring.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "agon/base/check.h"
#include "agon/llm/engine/prefix_tree.h"

namespace agon::llm {
namespace {

constexpr int kBatchRows = 2048;

// Pages that a node's tokens take beyond those it shares with its parent: a page begun by the parent is
// copied.
int pages_of(const PrefixNode& node) {
  return (node.depth % kPageTokens + static_cast<int>(node.tokens.size()) + kPageTokens - 1) / kPageTokens;
}

// Runs the model over a tree, parents before children, many nodes at a time.
class TreeRun {
 public:
  TreeRun(Forward& forward, std::size_t total, const ScoreProgress& progress)
      : forward_(forward), total_(total), progress_(progress) {}

  Status run(PrefixNode& root) {
    const int empty = forward_.cache().open();
    push_children(root, empty);
    while (!stack_.empty()) AGON_TRY(step());
    return {};
  }

 private:
  struct Ready {
    PrefixNode* node;
    int parent;  // sequence it continues
  };

  void push_children(PrefixNode& node, int sequence) {
    if (node.children.empty()) {
      forward_.cache().close(sequence);
      return;
    }
    if (children_left_.size() <= static_cast<std::size_t>(sequence))
      children_left_.resize(static_cast<std::size_t>(sequence) + 1);
    children_left_[static_cast<std::size_t>(sequence)] = static_cast<int>(node.children.size());
    // The longest first: the stack gives the last pushed, and short leaves free their memory soonest.
    for (const auto& child : node.children) stack_.push_back({child.get(), sequence});
  }

  // Takes nodes from the stack while rows and pages last, and reads them together.
  Status step() {
    Batch batch;
    std::vector<PrefixNode*> nodes;
    int pages = forward_.cache().free_pages();
    while (!stack_.empty()) {
      const Ready next = stack_.back();
      const int rows = static_cast<int>(next.node->tokens.size());
      const bool fits = pages_of(*next.node) <= pages &&
                        (nodes.empty() || static_cast<int>(batch.tokens.size()) + rows <= kBatchRows);
      if (!fits) break;
      stack_.pop_back();
      pages -= pages_of(*next.node);
      AGON_ASSIGN(const int sequence, forward_.cache().fork(next.parent, next.node->depth));
      if (--children_left_[static_cast<std::size_t>(next.parent)] == 0) forward_.cache().close(next.parent);
      const int first = static_cast<int>(batch.tokens.size());
      batch.segments.push_back({sequence, rows});
      batch.tokens.insert(batch.tokens.end(), next.node->tokens.begin(), next.node->tokens.end());
      for (const PrefixNode::Want& want : next.node->wants) {
        batch.targets.push_back({first + want.offset, want.token});
      }
      nodes.push_back(next.node);
    }
    if (nodes.empty()) {
      return fail(fmt::format("the cache of {} tokens is too small for these texts",
                              forward_.cache().page_count() * kPageTokens));
    }
    AGON_TRY(forward_.run(batch, result_));
    std::size_t at = 0;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      for (PrefixNode::Want& want : nodes[i]->wants) {
        want.logprob = result_.scores[at].logprob;
        want.best = result_.scores[at].best;
        ++at;
      }
      push_children(*nodes[i], batch.segments[i].sequence);
    }
    done_ += batch.tokens.size();
    if (progress_) progress_(done_, total_);
    return {};
  }

  Forward& forward_;
  std::size_t total_, done_ = 0;
  const ScoreProgress& progress_;
  std::vector<Ready> stack_;
  std::vector<int> children_left_;  // by sequence
  BatchResult result_;
};

}  // namespace

Result<ScoreRequest> make_request(const Engine& engine, std::string_view context,
                                  std::string_view continuation, TooLong too_long) {
  if (continuation.empty()) return fail("an empty continuation has no log-probability");
  const std::size_t end = context.find_last_not_of(" \t\n\r\f\v");
  const std::size_t kept = end == std::string_view::npos ? 0 : end + 1;
  std::string whole(context);
  whole += continuation;
  const std::string_view start = context.substr(0, kept);
  ScoreRequest request;
  const Tokenizer& tokenizer = engine.tokenizer();
  if (start.empty()) {
    const SpecialTokens& special = tokenizer.special();
    const Token prefix = special.bos != kNoToken ? special.bos : special.eos;
    if (prefix == kNoToken) return fail("an empty context needs a vocabulary with a BOS or EOS token");
    request.tokens = {prefix};
    const std::vector<Token> rest = tokenizer.encode(whole, {.add_special = false});
    request.tokens.insert(request.tokens.end(), rest.begin(), rest.end());
    request.first = 1;
  } else {
    request.tokens = tokenizer.encode(whole, {.add_end = false});
    request.first = static_cast<int>(tokenizer.encode(start, {.add_end = false}).size());
  }
  if (request.first >= static_cast<int>(request.tokens.size())) {
    // The continuation melted into the context's last token: score that one.
    request.first = static_cast<int>(request.tokens.size()) - 1;
  }
  if (request.first < 1) {
    return fail("the text is a single token: there is nothing to predict it from");
  }
  AGON_TRY(fit(engine, request, too_long));
  return request;
}

Status fit(const Engine& engine, ScoreRequest& request, TooLong too_long) {
  const auto limit = static_cast<std::size_t>(engine.context()) + 1;  // the last token is not read
  if (request.tokens.size() <= limit || too_long == TooLong::kKeep) return {};
  if (too_long == TooLong::kRefuse) return engine.check_length(request.tokens.size() - 1, "the text");
  const std::size_t cut = request.tokens.size() - limit;
  if (static_cast<std::size_t>(request.first) < cut + 1) {
    return fail(fmt::format("the continuation alone has {} tokens, {} more than the context of {}",
                            request.tokens.size() - static_cast<std::size_t>(request.first),
                            cut + 1 - static_cast<std::size_t>(request.first), limit - 1));
  }
  request.tokens.erase(request.tokens.begin(), request.tokens.begin() + static_cast<std::ptrdiff_t>(cut));
  request.first -= static_cast<int>(cut);
  request.cut = static_cast<int>(cut);
  return {};
}

Result<std::vector<Score>> score(Engine& engine, std::span<const ScoreRequest> requests, int cache_tokens,
                                 const ScoreProgress& progress) {
  PrefixTree tree;
  std::size_t longest = 1;
  for (const ScoreRequest& request : requests) {
    AGON_CHECK(request.first >= 1 && request.first < static_cast<int>(request.tokens.size()));
    for (const Token token : request.tokens) {
      if (token < 0 || token >= engine.config().vocabulary)
        return fail(fmt::format("{} is no token of this model", token));
    }
    AGON_TRY(engine.check_length(request.tokens.size() - 1, "the text"));
    tree.add(request.tokens, request.first);
    longest = std::max(longest, request.tokens.size());
  }
  tree.finish();
  // Never more than all texts need; else room for the longest, its rivals, and a full batch of short ones.
  const std::size_t all = tree.token_count() + requests.size() * 2 * kPageTokens;
  const std::size_t room = 4 * longest + std::size_t{4} * kBatchRows;
  AGON_ASSIGN(KvCache cache,
              engine.make_cache(cache_tokens > 0 ? cache_tokens : static_cast<int>(std::min(all, room))));
  const auto forward = engine.make_forward(cache);
  AGON_TRY(TreeRun(*forward, tree.token_count(), progress).run(tree.root()));
  std::vector<Score> scores;
  scores.reserve(requests.size());
  for (const ScoreRequest& request : requests) {
    Score score;
    score.is_greedy = true;
    score.tokens.assign(request.tokens.begin() + request.first, request.tokens.end());
    for (const PrefixNode::Want* want : tree.find(request.tokens, request.first)) {
      score.token_logprobs.push_back(want->logprob);
      score.logprob += want->logprob;
      score.is_greedy = score.is_greedy && want->best == want->token;
    }
    if (!std::isfinite(score.logprob)) return not_finite(engine.file().path());
    scores.push_back(std::move(score));
  }
  return scores;
}

Result<Perplexity> perplexity(Engine& engine, std::string_view text, int window,
                              const ScoreProgress& progress) {
  const std::vector<Token> tokens = engine.tokenizer().encode(text, {.add_special = false});
  const Token bos = engine.tokenizer().special().bos;
  const bool add_bos = engine.tokenizer().special().add_bos && bos != kNoToken;
  if (window <= 0) window = std::min(engine.context(), 2048);
  if (window < 2) return fail("a window needs two tokens at least");
  AGON_TRY(engine.check_length(static_cast<std::size_t>(window), "a window"));
  std::vector<ScoreRequest> requests;
  const auto step = static_cast<std::size_t>(add_bos ? window - 1 : window);
  for (std::size_t begin = 0; begin < tokens.size(); begin += step) {
    ScoreRequest request;
    if (add_bos) request.tokens.push_back(bos);
    const std::size_t end = std::min(tokens.size(), begin + step);
    request.tokens.insert(request.tokens.end(), tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                          tokens.begin() + static_cast<std::ptrdiff_t>(end));
    if (request.tokens.size() >= 2) requests.push_back(std::move(request));
  }
  if (requests.empty()) return fail("the text is too short: fewer than two tokens");
  AGON_ASSIGN(const std::vector<Score> scores, score(engine, requests, 0, progress));
  Perplexity result;
  double sum = 0, squares = 0;
  for (const Score& score : scores) {
    for (const double logprob : score.token_logprobs) {
      sum -= logprob;
      squares += logprob * logprob;
      ++result.tokens;
    }
  }
  const auto n = static_cast<double>(result.tokens);
  result.mean_loss = sum / n;
  result.standard_error =
      n > 1 ? std::sqrt(std::max(0.0, squares / n - result.mean_loss * result.mean_loss) / (n - 1)) : 0;
  result.perplexity = std::exp(result.mean_loss);
  result.bits_per_byte = sum / std::log(2.0) / static_cast<double>(text.size());
  return result;
}

}  // namespace agon::llm
