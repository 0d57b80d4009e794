#include "agon/ranking/voters.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/ranking/paired_model.h"
#include "agon/ranking/scores.h"

namespace agon {
namespace {

// An honest voter gives even the weakest model a win now and then, by a slip if not by taste.
constexpr double kSlip = 0.03;
// How much further than the tolerance the bet on a pushed model goes, log odds: a win share of 0.5 at the
// edge of honesty against 0.95.
constexpr double kPush = 3;

double logit(double p) { return std::log(p / (1 - p)); }
double logistic(double x) { return 1 / (1 + std::exp(-x)); }

// log(sum of exp) of values one by one.
class LogSum {
 public:
  void add(double log_value, double times = 1) {
    if (times <= 0) return;
    if (log_value > largest_) {
      sum_ = sum_ * std::exp(largest_ - log_value) + times;
      largest_ = log_value;
    } else {
      sum_ += times * std::exp(log_value - largest_);
    }
  }
  [[nodiscard]] double value() const { return largest_ + std::log(sum_); }

 private:
  double largest_ = -1e300, sum_ = 0;
};

}  // namespace

std::string_view fault_words(VoterFault fault) {
  switch (fault) {
    case VoterFault::kRandom:
      return "votes as if by a coin";
    case VoterFault::kFirst:
      return "sides with the answer shown first";
    case VoterFault::kSecond:
      return "sides with the answer shown second";
    case VoterFault::kPushes:
      return "pushes one model";
    case VoterFault::kBuries:
      return "votes against one model";
  }
  return "";
}

VoterTest::VoterTest(std::size_t competitors, const VoterOptions& options)
    : options_(options), competitors_(competitors) {}

VoterTest::Model& VoterTest::at(std::uint32_t model) {
  const auto place = std::lower_bound(models_.begin(), models_.end(), model,
                                      [](const Model& m, std::uint32_t number) { return m.model < number; });
  if (place != models_.end() && place->model == model) return *place;
  return *models_.insert(place, {model, 0, 0});
}

void VoterTest::add(std::uint32_t first, std::uint32_t second, bool first_won, double p) {
  ++votes_;
  const double edge = 0.5 + options_.least_skill * (p - 0.5);
  random_ += std::log(0.5 / (first_won ? edge : 1 - edge));
  const double x = first_won ? 1 : 0, tolerance = options_.position_tolerance;
  const double for_first = x - std::min(p + tolerance, 1.0);
  const double for_second = (1 - x) - std::min(1 - p + tolerance, 1.0);
  for (std::size_t k = 0; k < kStakes.size(); ++k) {
    first_[k] += std::log1p(kStakes[k] * for_first);
    second_[k] += std::log1p(kStakes[k] * for_second);
  }
  // How much surer the bet is of what came than honesty's edge is.
  const auto ratio = [&](double share, bool won) {
    const double edge_odds = logit(std::clamp(share, kSlip, 1 - 1e-9)) + options_.push_tolerance;
    const double honest = logistic(edge_odds), bet = logistic(edge_odds + kPush);
    return won ? std::log(bet / honest) : std::log(logistic(-edge_odds - kPush) / logistic(-edge_odds));
  };
  Model& of_first = at(first);
  of_first.pushes += ratio(p, first_won);
  of_first.buries += ratio(1 - p, !first_won);
  Model& of_second = at(second);
  of_second.pushes += ratio(1 - p, !first_won);
  of_second.buries += ratio(p, first_won);
}

double VoterTest::log_e() const {
  // A quarter for each kind of bet.
  LogSum sum;
  sum.add(random_, 0.25);
  for (std::size_t k = 0; k < kStakes.size(); ++k) {
    sum.add(first_[k], 0.125 / kStakes.size());
    sum.add(second_[k], 0.125 / kStakes.size());
  }
  const double each = 0.25 / static_cast<double>(competitors_);
  for (const Model& m : models_) {
    sum.add(m.pushes, each);
    sum.add(m.buries, each);
  }
  sum.add(0, 2 * each * static_cast<double>(competitors_ - models_.size()));  // those not met: fortune 1
  return sum.value();
}

VoterTest::Best VoterTest::best() const {
  Best best{VoterFault::kRandom, 0, random_};
  const auto offer = [&](VoterFault fault, std::uint32_t model, double log_e) {
    if (log_e > best.log_e) best = {fault, model, log_e};
  };
  offer(VoterFault::kFirst, 0, *std::max_element(first_.begin(), first_.end()));
  offer(VoterFault::kSecond, 0, *std::max_element(second_.begin(), second_.end()));
  for (const Model& m : models_) {
    offer(VoterFault::kPushes, m.model, m.pushes);
    offer(VoterFault::kBuries, m.model, m.buries);
  }
  return best;
}

std::vector<bool> e_benjamini_hochberg(const std::vector<double>& log_e, double level) {
  std::vector<std::size_t> order(log_e.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return log_e[a] > log_e[b]; });
  std::size_t flagged = 0;
  const double threshold = std::log(static_cast<double>(log_e.size()) / level);
  for (std::size_t k = 1; k <= order.size(); ++k)
    if (log_e[order[k - 1]] >= threshold - std::log(static_cast<double>(k))) flagged = k;
  std::vector<bool> out(log_e.size(), false);
  for (std::size_t k = 0; k < flagged; ++k) out[order[k]] = true;
  return out;
}

Result<VoterReport> test_voters(const BattleRows& battles, std::size_t competitors, const CodeColumn& voters,
                                const VoterOptions& options) {
  AGON_CHECK(voters.code.size() == battles.size());
  if (!(options.level > 0 && options.level < 1))
    return fail("the level of false alarms lies between 0 and 1");
  BattleRows decided;
  std::vector<std::uint32_t> voter;
  std::vector<std::int64_t> time;
  for (std::size_t r = 0; r < battles.size(); ++r) {
    BattleOutcome outcome = battles.outcome[r];
    if (outcome == BattleOutcome::kShare) {
      if (battles.share[r] == 0.5F) continue;
      outcome = battles.share[r] > 0.5F ? BattleOutcome::kA : BattleOutcome::kB;
    }
    if (voters.code[r] == CodeColumn::kNone || (outcome != BattleOutcome::kA && outcome != BattleOutcome::kB))
      continue;
    decided.a.push_back(battles.a[r]);
    decided.b.push_back(battles.b[r]);
    decided.outcome.push_back(outcome);
    voter.push_back(voters.code[r]);
    if (!battles.time.empty()) time.push_back(battles.time[r]);
  }
  if (decided.size() == 0) return fail("no voter has a decided vote");
  RowGroups groups = group_rows(voter, {}, decided.size());
  if (groups.count() < 2) return fail("one voter can't be told from a consensus of one");
  AGON_ASSIGN(const PairedFit consensus,
              fit_paired(count_pairs(decided, competitors), competitors, {.position = true, .ridge = 1}));

  VoterReport report;
  report.options = options;
  report.tested = groups.count();
  report.votes = decided.size();
  const double alarm = std::log(static_cast<double>(groups.count()) / options.level);
  std::vector<VoterFinding> tested(groups.count());
  parallel_for(groups.count(), [&](std::size_t g) {
    const auto begin = groups.rows.begin() + static_cast<std::ptrdiff_t>(groups.begin[g]);
    const auto end = groups.rows.begin() + static_cast<std::ptrdiff_t>(groups.begin[g + 1]);
    if (!time.empty())
      std::stable_sort(begin, end, [&](std::uint32_t a, std::uint32_t b) { return time[a] < time[b]; });
    VoterTest test(competitors, options);
    VoterFinding& finding = tested[g];
    for (auto row = begin; row != end; ++row) {
      const std::uint32_t first = decided.a[*row], second = decided.b[*row];
      const double p =
          logistic(consensus.strength(first) - consensus.strength(second) + consensus.position());
      test.add(first, second, decided.outcome[*row] == BattleOutcome::kA, p);
      // A look costs a pass over the models; the bound holds for any choice of looks.
      const bool look = test.votes() <= 512 || test.votes() % 32 == 0;
      if (finding.alarm == 0 && look && test.log_e() >= alarm) finding.alarm = test.votes();
    }
    finding.voter = voter[*begin];
    finding.votes = test.votes();
    finding.best = test.best();
    finding.log_e = test.log_e();
  });
  std::vector<double> log_e;
  for (const VoterFinding& f : tested) log_e.push_back(f.log_e);
  const std::vector<bool> flagged = e_benjamini_hochberg(log_e, options.level);
  for (std::size_t g = 0; g < tested.size(); ++g) {
    tested[g].flagged = flagged[g];
    report.flagged += flagged[g];
    report.alarms += tested[g].alarm > 0;
    if (!flagged[g] && tested[g].alarm == 0) continue;
    report.flagged_votes += tested[g].votes;
    report.found.push_back(tested[g]);
  }
  std::stable_sort(report.found.begin(), report.found.end(),
                   [](const VoterFinding& a, const VoterFinding& b) { return a.log_e > b.log_e; });
  return report;
}

}  // namespace agon
