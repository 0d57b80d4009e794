#include <cmath>
#include <nlohmann/json.hpp>

#include "agon/base/time_text.h"
#include "agon/ranking/board_text.h"

namespace agon {
namespace {

using Json = nlohmann::ordered_json;

Json number(double x) { return std::isfinite(x) ? Json(x) : Json(); }
Json rating(const Rating& r) {
  return {
      {"rating", number(r.rating)}, {"low", number(r.low)}, {"high", number(r.high)}, {"se", number(r.se)}};
}
Json ranks(const RankRange& r) { return Json::array({r.best, r.worst}); }
Json matrix(const Matrix& m) {
  Json out = Json::array();
  for (std::size_t i = 0; i < m.rows; ++i) {
    Json row = Json::array();
    for (const double x : m.row(i)) row.push_back(number(x));
    out.push_back(std::move(row));
  }
  return out;
}
Json effect(const StyleEffect& e) {
  return {{"name", e.name},
          {"log_odds", number(e.value)},
          {"low", number(e.low)},
          {"high", number(e.high)},
          {"se", number(e.se)}};
}

Json board_object(const Board& board, bool matrices) {
  Json models = Json::array();
  for (const BoardRow& row : board.rows) {
    Json one{{"model", row.name}, {"ranks", ranks(row.ranks)}, {"ranks_alone", ranks(row.ranks_alone)}};
    one.update(rating(row.rating));
    one.update(Json{{"low_all", number(row.low_all)},
                    {"high_all", number(row.high_all)},
                    {"votes", row.votes},
                    {"wins", row.wins},
                    {"losses", row.losses},
                    {"ties", row.ties},
                    {"both_bad", row.both_bad}});
    if (row.styled) one["style_controlled"] = rating(*row.styled);
    if (row.elo)
      one["elo"] = Json{{"in_order", row.elo->in_order},
                        {"mean", row.elo->mean},
                        {"low", row.elo->low},
                        {"high", row.elo->high}};
    models.push_back(std::move(one));
  }
  Json out{{"name", board.name},
           {"method", method_words(board)},
           {"ties", tie_model_name(board.options.model.ties)},
           {"penalty", board.fit.penalty()},
           {"intervals", interval_name(board.options.intervals)},
           {"level", board.options.level},
           {"seed", board.options.seed},
           {"battles", board.battles},
           {"votes", board.fit.votes},
           {"converged", board.fit.converged},
           {"iterations", board.fit.iterations},
           {"gradient_norm", board.fit.gradient_norm},
           {"log_likelihood", number(board.fit.log_likelihood)},
           {"critical_value", number(board.z)},
           {"critical_value_for_all", number(board.z_all)},
           {"clusters", board.clusters},
           {"failed_draws", board.failed_draws},
           {"models", std::move(models)},
           {"warnings", board.warnings}};
  if (!board.options.anchor.empty())
    out["anchor"] = Json{{"model", board.options.anchor}, {"rating", board.options.base}};
  if (board.position) out["position"] = effect(*board.position);
  if (!board.style.empty()) {
    Json effects = Json::array();
    for (const StyleEffect& e : board.style) effects.push_back(effect(e));
    out["style"] = Json{{"converged", board.style_converged},
                        {"left_out", board.style_left_out},
                        {"effects", std::move(effects)}};
  }
  Json ties = Json::array();
  for (const TieComparison& t : board.ties)
    ties.push_back(t.error.empty() ? Json{{"model", tie_model_name(t.model)},
                                          {"loss", number(t.loss)},
                                          {"votes", t.votes},
                                          {"parameter", t.parameter},
                                          {"converged", t.converged},
                                          {"iterations", t.iterations}}
                                   : Json{{"model", tie_model_name(t.model)}, {"error", t.error}});
  if (!ties.empty()) out["tie_models"] = std::move(ties);
  out["graph"] = Json{{"pairs_met", board.graph.pairs_met},
                      {"pairs_possible", board.graph.pairs_possible},
                      {"algebraic_connectivity", number(board.graph.algebraic_connectivity)},
                      {"normalised_connectivity", number(board.graph.normalised_connectivity)}};
  if (matrices)
    out["pairs"] = Json{{"votes", matrix(board.met)},
                        {"won", matrix(board.won)},
                        {"better", matrix(board.better)},
                        {"better_corrected", matrix(board.better_corrected)}};
  return out;
}

}  // namespace

std::string board_json(const Board& board, const Categories* categories, const Drift* drift,
                       const RankFacts& facts) {
  Json out{{"format", "agon board 1"}};
  Json made = Json::object();
  for (const auto& [key, value] : facts) made[key] = value;
  out["made"] = std::move(made);
  out["board"] = board_object(board, true);
  if (categories != nullptr) {
    Json boards = Json::array();
    for (const Board& b : categories->boards) boards.push_back(board_object(b, false));
    out["categories"] = Json{
        {"column", categories->column}, {"boards", std::move(boards)}, {"left_out", categories->left_out}};
  }
  if (drift != nullptr) {
    Json points = Json::array();
    for (const DriftPoint& p : drift->points)
      points.push_back(Json{
          {"begin", date_text(p.begin)}, {"end", date_text(p.end)}, {"board", board_object(p.board, false)}});
    out["drift"] = Json{{"points", std::move(points)}, {"left_out", drift->left_out}};
  }
  // Names may hold bytes that are no UTF-8.
  return out.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace agon
