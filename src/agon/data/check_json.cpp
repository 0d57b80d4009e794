#include <cmath>
#include <nlohmann/json.hpp>

#include "agon/data/check.h"

namespace agon {
namespace {

using Json = nlohmann::ordered_json;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json counts(const std::vector<NamedCount>& items) {
  Json out = Json::array();
  for (const NamedCount& item : items) out.push_back({{"name", item.name}, {"count", item.count}});
  return out;
}

Json source(const VoteSource& s) {
  Json skipped = Json::array();
  for (const Error& error : s.counts.skip_list) skipped.push_back(error.to_string());
  return {{"path", s.path},
          {"sha256", s.sha256},
          {"bytes", s.bytes},
          {"rows", s.counts.rows},
          {"skipped", s.counts.skipped},
          {"null_turns", s.counts.null_turns},
          {"lone_surrogates", s.counts.lone_surrogates},
          {"invalid_utf8", s.counts.invalid_utf8},
          {"skip_list", std::move(skipped)}};
}

Json finding(const Finding& f) {
  Json examples = Json::array();
  for (const RowRef& row : f.examples)
    examples.push_back({{"file", row.file}, {"row", row.row}, {"id", row.id}});
  return {{"level", f.level == Finding::Level::kLook ? "look" : "note"},
          {"code", f.code},
          {"count", f.count},
          {"message", f.message},
          {"advice", f.advice},
          {"examples", std::move(examples)}};
}

}  // namespace

std::string to_json(const DataReport& r) {
  Json out;
  out["format"] = "agon data check 1";
  out["sources"] = Json::array();
  for (const VoteSource& s : r.sources) out["sources"].push_back(source(s));
  out["rows"] = r.rows;
  out["classes"] = {{"a", r.classes.a},
                    {"b", r.classes.b},
                    {"tie", r.classes.tie},
                    {"unlabelled", r.classes.unlabelled},
                    {"both_bad", r.classes.both_bad},
                    {"prior_log_loss", number(r.classes.prior_log_loss)},
                    {"longer_wins", number(r.classes.longer_wins)},
                    {"longer_wins_of", r.classes.longer_wins_of}};
  out["lengths"] = Json::array();
  for (const LengthSummary& s : r.lengths)
    out["lengths"].push_back({{"name", s.name},
                              {"least", s.least},
                              {"p10", s.p10},
                              {"median", s.median},
                              {"p90", s.p90},
                              {"most", s.most},
                              {"mean", number(s.mean)}});
  out["turns"] = counts(r.turns);
  out["languages"] = counts(r.languages);
  out["rows_with_code"] = r.rows_with_code;
  out["models"] = {{"rows_with_names", r.models.rows_with_names},
                   {"pairs", r.models.pairs},
                   {"components", r.models.components},
                   {"votes_per_model", counts(r.models.votes_per_model)}};
  out["prompts"] = {{"different", r.prompts.different},
                    {"groups", r.prompts.groups},
                    {"largest_group", r.prompts.largest_group},
                    {"most_repeated", counts(r.prompts.most_repeated)}};
  if (r.leaks)
    out["leaks"] = {{"file", r.leaks->file},
                    {"rows", r.leaks->rows},
                    {"same_prompt", r.leaks->same_prompt},
                    {"near_prompt", r.leaks->near_prompt},
                    {"same_comparison", r.leaks->same_comparison},
                    {"same_id", r.leaks->same_id}};
  out["extra_columns"] = r.extra_columns;
  out["findings"] = Json::array();
  for (const Finding& f : r.findings) out["findings"].push_back(finding(f));
  // Paths come from the command line and may be no UTF-8: replaced, not thrown on.
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace agon
