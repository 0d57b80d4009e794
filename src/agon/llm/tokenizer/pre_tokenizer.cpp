#include "agon/llm/tokenizer/pre_tokenizer.h"

#include <algorithm>

namespace agon::llm {
namespace {

struct Named {
  std::string_view name;
  PreTokenizer pre;
};

constexpr PreTokenizer kGpt2{WordPattern::kGpt2}, kDigits{WordPattern::kDigitsGpt2},
    kLlama3{WordPattern::kLlama3, true, true}, kQwen2{WordPattern::kQwen2}, kGpt4o{WordPattern::kGpt4o};

// Which pattern a name stands for is llama.cpp's convention (llama-vocab.cpp), as files are made by its
// converter.
constexpr Named kNames[] = {
    {"default", {WordPattern::kDefault}},
    {"gpt-2", kGpt2},
    {"phi-2", kGpt2},
    {"mpt", kGpt2},
    {"olmo", kGpt2},
    {"jais", kGpt2},
    {"trillion", kGpt2},
    {"granite-docling", kGpt2},
    {"exaone4", kGpt2},
    {"modern-bert", kGpt2},
    {"gigachat", kGpt2},
    {"mellum", kGpt2},
    {"a.x-4.0", kGpt2},
    {"starcoder", kDigits},
    {"refact", kDigits},
    {"command-r", kDigits},
    {"smollm", kDigits},
    {"codeshell", kDigits},
    {"exaone", kDigits},
    {"minerva-7b", kDigits},
    {"mellum2", kDigits},
    {"llama3", kLlama3},
    {"llama-v3", kLlama3},
    {"llama-bpe", kLlama3},
    {"falcon3", kLlama3},
    {"falcon-h1", kLlama3},
    {"pixtral", kLlama3},
    {"midm-2.0", kLlama3},
    {"lfm2", kLlama3},
    {"dbrx", {WordPattern::kLlama3}},
    {"smaug-bpe", {WordPattern::kLlama3}},
    {"chatglm-bpe", {WordPattern::kLlama3}},
    {"glm4", {WordPattern::kLlama3, true}},
    {"qwen2", kQwen2},
    {"deepseek-r1-qwen", kQwen2},
    {"megrez", kQwen2},
    {"stablelm2", kQwen2},
    {"hunyuan", kQwen2},
    {"solar-open", kQwen2},
    {"grok-2", kQwen2},
    {"qwen35", {WordPattern::kQwen35}},
    {"falcon", {WordPattern::kFalcon}},
    {"tekken", {WordPattern::kTekken, true, true}},
    {"gpt-4o", kGpt4o},
    {"llama4", kGpt4o},
    {"kanana2", kGpt4o},
};

}  // namespace

std::optional<PreTokenizer> pre_tokenizer_named(std::string_view name) {
  const auto* found = std::ranges::find(kNames, name, &Named::name);
  if (found == std::end(kNames)) return std::nullopt;
  return found->pre;
}

}  // namespace agon::llm
