// Models in the format of llama2.c, to GGUF.
#pragma once

#include <string>
#include <string_view>

#include "agon/base/error.h"
#include "agon/llm/gguf/writer.h"

namespace agon::gguf {

/// A llama model from the two files of llama2.c (github.com/karpathy/llama2.c): weights in its first format
/// ("legacy": seven 32-bit sizes, then floats) and tokenizer.bin. Matrices are stored as `type`, or what fits
/// (see fitting_type); with F32 nothing is lost. Sizes are checked against the files' lengths before they are
/// used; `model_name` and `tokenizer_name` stand for the files in errors.
[[nodiscard]] Result<Writer> convert_llama2c(std::string_view model, const std::string& model_name,
                                             std::string_view tokenizer, const std::string& tokenizer_name,
                                             TensorType type = TensorType::kF32);

}  // namespace agon::gguf
