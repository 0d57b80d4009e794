#include "agon/preference/models/boosted.h"

#include <fmt/format.h>
#include <xgboost/c_api.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <utility>

#include "agon/base/check.h"
#include "agon/base/parallel.h"
#include "agon/preference/models/tree_bytes.h"

namespace agon {
namespace {

std::unexpected<Error> xgboost_failed(const char* what) {
  return fail(fmt::format("XGBoost could not {}: {}", what, XGBGetLastError()));
}

struct Matrix {
  DMatrixHandle handle = nullptr;
  Matrix() = default;
  Matrix(const Matrix&) = delete;
  Matrix& operator=(const Matrix&) = delete;
  ~Matrix() {
    if (handle) XGDMatrixFree(handle);
  }
};

/// The swapped row: odd columns with the other sign.
void append_swapped(std::span<const float> row, std::span<const Parity> parity, std::vector<float>& out) {
  for (std::size_t j = 0; j < row.size(); ++j) out.push_back(parity[j] == Parity::kOdd ? -row[j] : row[j]);
}

/// Rows as given, then all of them swapped.
std::vector<float> both_orders(std::span<const float> rows, std::span<const Parity> parity) {
  std::vector<float> out(rows.begin(), rows.end());
  out.reserve(2 * rows.size());
  for (std::size_t at = 0; at < rows.size(); at += parity.size())
    append_swapped(rows.subspan(at, parity.size()), parity, out);
  return out;
}

Status make_matrix(std::span<const float> values, std::size_t columns, Matrix& out) {
  // Missing values do not occur; NAN only names what would be one. One thread, for the same reason as above.
  const std::string data =
      fmt::format(R"({{"data":[{},true],"shape":[{},{}],"typestr":"<f4","version":3}})",
                  reinterpret_cast<std::uintptr_t>(values.data()), values.size() / columns, columns);
  if (XGDMatrixCreateFromDense(data.c_str(), R"({"missing":NaN,"nthread":1})", &out.handle) != 0)
    return xgboost_failed("take the features");
  return {};
}

}  // namespace

struct BoostedModel::Booster {
  BoosterHandle handle = nullptr;
  std::mutex use;  ///< a booster predicts for one thread at a time
  Booster() = default;
  Booster(const Booster&) = delete;
  Booster& operator=(const Booster&) = delete;
  ~Booster() {
    if (handle) XGBoosterFree(handle);
  }
};

Result<BoostedModel> BoostedModel::fit(const TrainingRows& data, const BoostedOptions& o) {
  const FeatureMatrix& x = *data.features;
  const std::size_t n = data.rows.size();
  AGON_CHECK(n > 0 && data.parity.size() == x.columns);
  BoostedModel model;
  model.parity_.assign(data.parity.begin(), data.parity.end());
  std::vector<float> once, labels, weights;
  once.reserve(n * x.columns);
  for (const std::uint32_t r : data.rows) {
    once.insert(once.end(), x.row(r).begin(), x.row(r).end());
    labels.push_back(static_cast<float>(data.outcomes[r]));
    weights.push_back(static_cast<float>(data.weights[r] / 2));
  }
  for (std::size_t i = 0; i < n; ++i) {
    labels.push_back(labels[i] == 2 ? 2 : 1 - labels[i]);
    weights.push_back(weights[i]);
  }
  const std::vector<float> values = both_orders(once, data.parity);
  const std::vector<std::pair<std::string, std::string>> parameters = {
      {"objective", "multi:softprob"},
      {"num_class", "3"},
      {"tree_method", "hist"},
      {"nthread", "1"},
      {"verbosity", "0"},
      {"base_score", "0.5"},
      {"max_depth", std::to_string(o.depth)},
      {"eta", fmt::format("{}", o.eta)},
      {"subsample", fmt::format("{}", o.subsample)},
      {"colsample_bytree", fmt::format("{}", o.columns_by_tree)},
      {"lambda", fmt::format("{}", o.l2)},
      {"min_child_weight", fmt::format("{}", o.min_child_weight)},
      {"max_bin", std::to_string(o.max_bins)}};
  const auto grow = [&](std::size_t bag) -> Result<std::shared_ptr<Booster>> {
    // XGBoost keeps its histograms' index with the matrix, so bags that grow side by side have one each.
    Matrix matrix;
    AGON_TRY(make_matrix(values, x.columns, matrix));
    if (XGDMatrixSetFloatInfo(matrix.handle, "label", labels.data(), labels.size()) != 0 ||
        XGDMatrixSetFloatInfo(matrix.handle, "weight", weights.data(), weights.size()) != 0)
      return xgboost_failed("take the labels");
    auto booster = std::make_shared<Booster>();
    if (XGBoosterCreate(&matrix.handle, 1, &booster->handle) != 0) return xgboost_failed("start");
    for (const auto& [name, value] : parameters)
      if (XGBoosterSetParam(booster->handle, name.c_str(), value.c_str()) != 0)
        return xgboost_failed("be set up");
    // XGBoost takes a 32-bit seed.
    const std::string seed = std::to_string((o.seed * 1000003 + bag) & 0x7FFFFFFF);
    if (XGBoosterSetParam(booster->handle, "seed", seed.c_str()) != 0) return xgboost_failed("be seeded");
    for (int round = 0; round < o.rounds; ++round)
      if (XGBoosterUpdateOneIter(booster->handle, round, matrix.handle) != 0)
        return xgboost_failed("grow a tree");
    return booster;
  };
  std::vector<Result<std::shared_ptr<Booster>>> bags(static_cast<std::size_t>(o.bags), fail("not grown"));
  parallel_for(bags.size(), [&](std::size_t bag) { bags[bag] = grow(bag); });
  for (auto& bag : bags) {
    if (!bag) return std::unexpected(bag.error());
    model.boosters_.push_back(std::move(*bag));
  }
  return model;
}

struct BoostedModel::Question {
  int type;             ///< XGBoost's: 0 probabilities, 3 approximate contributions
  int rounds;           ///< 0: all
  std::size_t numbers;  ///< expected for a row and class
  const char* verb;
};

template <class Take>
Status BoostedModel::ask(std::span<const float> rows, const Question& question, const Take& take) const {
  const std::size_t n = rows.size() / parity_.size();
  const std::vector<float> values = both_orders(rows, parity_);
  Matrix matrix;
  AGON_TRY(make_matrix(values, parity_.size(), matrix));
  const std::string config = fmt::format(
      R"({{"type":{},"training":false,"iteration_begin":0,"iteration_end":{},"strict_shape":true}})",
      question.type, question.rounds);
  for (const auto& booster : boosters_) {
    const std::lock_guard lock(booster->use);
    const bst_ulong* shape = nullptr;
    bst_ulong dimensions = 0;
    const float* numbers = nullptr;
    if (XGBoosterPredictFromDMatrix(booster->handle, matrix.handle, config.c_str(), &shape, &dimensions,
                                    &numbers) != 0)
      return xgboost_failed(question.verb);
    std::size_t per_row = 1;
    for (bst_ulong d = 1; d < dimensions; ++d) per_row *= shape[d];
    if (dimensions < 2 || shape[0] != 2 * n || per_row != 3 * question.numbers)
      return fail("the boosted trees give no three classes");
    take(numbers);
  }
  return {};
}

Result<std::vector<Prediction>> BoostedModel::predict(std::span<const float> rows, int rounds) const {
  const std::size_t n = rows.size() / parity_.size();
  std::vector<Prediction> out(n, Prediction{0, 0, 0});
  if (n == 0) return out;
  AGON_TRY(ask(rows, {.type = 0, .rounds = rounds, .numbers = 1, .verb = "predict"}, [&](const float* p) {
    for (std::size_t i = 0; i < n; ++i) {
      const float* there = p + 3 * i;
      const float* back = p + 3 * (n + i);
      out[i].a += static_cast<double>(there[0]) + back[1];
      out[i].b += static_cast<double>(there[1]) + back[0];
      out[i].tie += static_cast<double>(there[2]) + back[2];
    }
  }));
  for (Prediction& q : out) {
    const double sum = (q.a + q.b) + q.tie;
    q = {q.a / sum, q.b / sum, q.tie / sum};
  }
  return out;
}

Status BoostedModel::contributions(std::span<const float> rows, std::vector<double>& direction,
                                   std::vector<double>& tie) const {
  const std::size_t width = parity_.size(), n = rows.size() / width;
  direction.assign(n * width, 0);
  tie.assign(n * width, 0);
  if (n == 0) return {};
  const double share = 0.5 / static_cast<double>(boosters_.size());
  const Question question{.type = 3, .rounds = 0, .numbers = width + 1, .verb = "explain"};
  return ask(rows, question, [&](const float* c) {
    const auto at = [&](std::size_t row, int cls, std::size_t j) {
      return static_cast<double>(c[(row * 3 + static_cast<std::size_t>(cls)) * (width + 1) + j]);
    };
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < width; ++j) {
        direction[i * width + j] +=
            share * ((at(i, 0, j) - at(i, 1, j)) + (at(n + i, 1, j) - at(n + i, 0, j)));
        const double here = at(i, 2, j) - (at(i, 0, j) + at(i, 1, j)) / 2;
        const double back = at(n + i, 2, j) - (at(n + i, 1, j) + at(n + i, 0, j)) / 2;
        tie[i * width + j] += share * (here + back);
      }
  });
}

void BoostedModel::save(ByteWriter& out) const {
  std::vector<std::uint8_t> odd;
  for (const Parity p : parity_) odd.push_back(p == Parity::kOdd);
  out.put(odd);
  out.put<std::uint64_t>(boosters_.size());
  for (const auto& booster : boosters_) {
    const std::lock_guard lock(booster->use);
    bst_ulong size = 0;
    const char* bytes = nullptr;
    // UBJSON is XGBoost's documented, stable form; it holds the trees and not the training state.
    AGON_CHECK(XGBoosterSaveModelToBuffer(booster->handle, R"({"format":"ubj"})", &size, &bytes) == 0);
    out.put(std::string_view(bytes, size));
  }
}

Result<BoostedModel> BoostedModel::load(ByteReader& in) {
  BoostedModel model;
  for (const std::uint8_t odd : in.get_vector<std::uint8_t>())
    model.parity_.push_back(odd ? Parity::kOdd : Parity::kEven);
  const auto count = in.get<std::uint64_t>();
  if (!in.ok() || count == 0 || count > 1000) return fail("the boosted trees of the model are damaged");
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string bytes = in.get_string();
    if (!in.ok() || bytes.empty()) return fail("the boosted trees of the model are cut short");
    AGON_TRY(check_tree_bytes(bytes, model.parity_.size()));
    auto booster = std::make_shared<Booster>();
    if (XGBoosterCreate(nullptr, 0, &booster->handle) != 0 ||
        XGBoosterLoadModelFromBuffer(booster->handle, bytes.data(), bytes.size()) != 0 ||
        XGBoosterSetParam(booster->handle, "nthread", "1") != 0)
      return xgboost_failed("read the trees of the model");
    bst_ulong features = 0;
    if (XGBoosterGetNumFeature(booster->handle, &features) != 0 || features != model.parity_.size())
      return fail("the boosted trees of the model have another number of columns");
    model.boosters_.push_back(std::move(booster));
  }
  return model;
}

}  // namespace agon
