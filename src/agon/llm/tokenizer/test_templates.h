// Chat templates for tests: files that list them, and model files that carry one.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "agon/llm/gguf/file.h"

namespace agon::llm {

inline nlohmann::json read_json(const std::string& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file);
}

/// What a model file with this template says of it, with two tokens: <BOS> and <EOS>.
inline gguf::Metadata with_template(const std::string& text) {
  gguf::Metadata metadata;
  metadata.set("tokenizer.chat_template", text);
  metadata.set("tokenizer.ggml.tokens", gguf::Strings{"<BOS>", "<EOS>"});
  metadata.set("tokenizer.ggml.bos_token_id", std::int64_t{0});
  metadata.set("tokenizer.ggml.eos_token_id", std::int64_t{1});
  return metadata;
}

}  // namespace agon::llm
