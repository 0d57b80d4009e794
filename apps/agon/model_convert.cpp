// agon model convert: models in other formats, to GGUF.
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "agon/base/file.h"
#include "agon/llm/gguf/llama2c.h"
#include "agon/llm/gguf/random_model.h"
#include "common.h"
#include "verbs.h"

namespace agon {
namespace {

struct ConvertOptions {
  std::string from, model, tokenizer, output, format = "F32";
};

Status run(const ConvertOptions& options) {
  AGON_ASSIGN(const gguf::TensorType type, gguf::type_of_name(options.format));
  AGON_TRY(check_outputs({options.output}));
  AGON_ASSIGN(const std::string model, read_file(options.model));
  AGON_ASSIGN(const std::string tokenizer, read_file(options.tokenizer, 64 << 20));
  AGON_ASSIGN(const gguf::Writer writer,
              gguf::convert_llama2c(model, options.model, tokenizer, options.tokenizer, type));
  return writer.write(options.output);
}

}  // namespace

void add_model_command(CLI::App& app, int& exit_code) {
  CLI::App* model = app.add_subcommand("model", "Work on files of language models");
  model->require_subcommand(1);
  CLI::App* convert = model->add_subcommand("convert", "Write a model of another format as GGUF");
  const auto options = std::make_shared<ConvertOptions>();
  convert->add_option("--from", options->from, "Format of the files: llama2c")
      ->required()
      ->check(CLI::IsMember({"llama2c"}))
      ->type_name("FORMAT");
  convert->add_option("model", options->model, "The weights (model.bin)")->required()->type_name("WEIGHTS");
  convert->add_option("tokenizer", options->tokenizer, "Its vocabulary (tokenizer.bin)")
      ->required()
      ->type_name("VOCABULARY");
  convert->add_option("-o,--output", options->output, "Where the GGUF file goes")
      ->required()
      ->type_name("OUT");
  convert
      ->add_option("--format", options->format,
                   "Format of the matrices: F32 (the default, without loss), F16, BF16, Q8_0, Q4_0, ...")
      ->type_name("TYPE");
  convert->callback([options, &exit_code] { report_status(run(*options), exit_code); });
}

}  // namespace agon
