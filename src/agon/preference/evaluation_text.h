// An evaluation for terminals and for programs.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "agon/preference/evaluation.h"
#include "agon/preference/report_page.h"

namespace agon {

struct EvaluationTextOptions {
  bool colour = false;
  int width = 0;  ///< terminal columns, 0 is no limit
};
/// Tables of the figures beside the baselines, and of the slices that differ most.
[[nodiscard]] std::string evaluation_text(const Evaluation& evaluation, const EvaluationTextOptions& options);

/// Everything of an evaluation as JSON: each figure with value, low, high and n; null for what could
/// not be computed. `facts` go in as a JSON object of strings under "made_by".
[[nodiscard]] std::string evaluation_json(const Evaluation& evaluation,
                                          const std::vector<std::pair<std::string, std::string>>& facts);

}  // namespace agon
