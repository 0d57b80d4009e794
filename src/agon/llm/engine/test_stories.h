// A small model for the tests of the engine, made once a process.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "agon/base/check.h"
#include "agon/base/file.h"
#include "agon/llm/engine/engine.h"
#include "agon/llm/gguf/llama2c.h"

#ifdef AGON_TEST_DATA  // set for the tests only

namespace agon::llm {

/// stories260K (tests/data/models) as a GGUF file of F32 weights; removed at the end of the process.
inline const std::string& stories_path() {
  struct Converted {
    Converted() {
      const std::string weights = AGON_TEST_DATA "/models/stories260K.bin";
      const std::string words = AGON_TEST_DATA "/models/tok512.bin";
      path =
          (std::filesystem::temp_directory_path() / ("agon_stories_" + std::to_string(::getpid()) + ".gguf"))
              .string();
      const auto writer = gguf::convert_llama2c(read_file(weights).value(), weights, read_file(words).value(),
                                                words, gguf::TensorType::kF32);
      AGON_CHECK(writer.has_value() && writer->write(path).has_value());
    }
    ~Converted() { std::filesystem::remove(path); }
    std::string path;
  };
  static const Converted converted;
  return converted.path;
}

inline std::unique_ptr<Engine> open_stories(EngineOptions options = {}) {
  if (options.threads == 0) options.threads = 2;
  auto engine = Engine::open(stories_path(), options);
  EXPECT_TRUE(engine) << engine.error().to_string();
  return std::move(*engine);
}

}  // namespace agon::llm

#endif
