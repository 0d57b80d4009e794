#include "agon/preference/lm/answer_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>

namespace agon {

bool AnswerSpec::gives_the_same(const AnswerSpec& other) const {
  // Without blocks of states there are no layers to agree on.
  const bool same_layers = layers == other.layers || layers.empty() || other.layers.empty();
  return key == other.key && chat_template == other.chat_template && same_layers && budget == other.budget;
}

void AnswerSpec::save(ByteWriter& out) const {
  for (const std::string* text : {&name, &key, &location, &served_name, &chat_template})
    out.put(std::string_view(*text));
  out.put(file_bytes);
  out.put(layers);
  out.put<std::int32_t>(budget.prompt_tokens);
  out.put<std::int32_t>(budget.answer_tokens);
  out.put<std::uint64_t>(blocks.size());
  for (const std::string& block : blocks) out.put(std::string_view(block));
}

AnswerSpec AnswerSpec::load(ByteReader& in) {
  AnswerSpec spec;
  for (std::string* text : {&spec.name, &spec.key, &spec.location, &spec.served_name, &spec.chat_template}) {
    *text = in.get_string();
    if (text->size() > 65536) in.fail();
  }
  spec.file_bytes = in.get<std::uint64_t>();
  spec.layers = in.get_vector<int>();
  spec.budget.prompt_tokens = in.get<std::int32_t>();
  spec.budget.answer_tokens = in.get<std::int32_t>();
  const auto count = in.get<std::uint64_t>();
  const auto* next = std::begin(answer_blocks::kAll);
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
    spec.blocks.push_back(in.get_string());
    next = std::find(next, std::end(answer_blocks::kAll), spec.blocks.back());
    if (next == std::end(answer_blocks::kAll))
      in.fail();
    else
      ++next;
  }
  const auto good = [](int tokens) { return tokens >= 1 && tokens <= 1 << 20; };
  if (spec.layers.size() > 1024 ||
      std::ranges::adjacent_find(spec.layers, std::ranges::greater_equal{}) != spec.layers.end() ||
      std::ranges::any_of(spec.layers, [](int l) { return l < 0 || l > 65536; }) ||
      !good(spec.budget.prompt_tokens) || !good(spec.budget.answer_tokens))
    in.fail();
  return spec;
}

std::string untold_line(std::size_t verdicts) {
  return fmt::format(
      "{} {} no verdict, which counts as 0: the model named neither answer among its likeliest first words",
      verdicts, verdicts == 1 ? "vote has" : "votes have");
}

std::string cost_a_vote(double seconds, std::size_t votes) {
  return seconds > 0 ? fmt::format("{:.3f}", seconds / static_cast<double>(votes)) : "kept";
}

std::string cost_line(std::span<const BlockCost> costs, std::size_t votes) {
  std::string line;
  for (const BlockCost& cost : costs)
    line += fmt::format("{}{} {}", line.empty() ? "" : ", ", cost.block, cost_a_vote(cost.seconds, votes));
  return line;
}

}  // namespace agon
