#include "agon/preference/lm/answer_source.h"

#include <fmt/format.h>

#include <algorithm>
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
  spec.layers = in.get_vector<int>();
  spec.budget.prompt_tokens = in.get<std::int32_t>();
  spec.budget.answer_tokens = in.get<std::int32_t>();
  const auto count = in.get<std::uint64_t>();
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
    spec.blocks.push_back(in.get_string());
    if (std::ranges::find(answer_blocks::kAll, spec.blocks.back()) == std::end(answer_blocks::kAll))
      in.fail();
  }
  const auto good = [](int tokens) { return tokens >= 1 && tokens <= 1 << 20; };
  if (spec.layers.size() > 1024 || !std::ranges::is_sorted(spec.layers) ||
      std::ranges::any_of(spec.layers, [](int l) { return l < 0 || l > 65536; }) ||
      !good(spec.budget.prompt_tokens) || !good(spec.budget.answer_tokens))
    in.fail();
  return spec;
}

std::string cost_line(std::span<const BlockCost> costs, std::size_t votes) {
  std::string line;
  for (const BlockCost& cost : costs)
    line += fmt::format("{}{} {:.3f}", line.empty() ? "" : ", ", cost.block,
                        cost.seconds / static_cast<double>(votes));
  return line;
}

}  // namespace agon
