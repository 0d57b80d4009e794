// Makes a model of random weights: any of the engine's architectures and shapes in any format.
//
//   make_model OUT.gguf [--OPTION VALUE]...
//
// Options, with what they are when left out: --architecture llama, --layers 16, --embedding 2048, --heads 32,
// --kv-heads 8, --key-length 0 (embedding / heads), --feed-forward 8192, --vocabulary 32000, --context 8192,
// --window 0, --rope-theta 500000, --rope-scaling "" (linear, yarn, llama3, longrope), --rope-factor 8,
// --rope-original 1024, --format Q4_0 (any format, or Q4_K_M, Q5_K_M), --embedding-format "" (as --format
// says),
// --untied 0, --seed 1, --vocabulary-of FILE (takes the tokenizer of another GGUF file). What is left out
// gives a model of 10^9 weights, in the shape of Llama 3.2 1B. The same options give the same bytes.

#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "agon/llm/gguf/random_model.h"

namespace {

using agon::gguf::RandomModelOptions;

struct Arguments {
  std::string target, vocabulary_of;
  std::uint64_t untied = 0;
  RandomModelOptions model = {.layers = 16,
                              .embedding = 2048,
                              .heads = 32,
                              .kv_heads = 8,
                              .feed_forward = 8192,
                              .vocabulary = 32000,
                              .context = 8192,
                              .rope_theta = 500000,
                              .format = "Q4_0"};
};

template <class T>
bool parse_number(std::string_view text, T& value) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  return result.ec == std::errc() && result.ptr == end;
}

using Target = std::variant<int*, double*, std::uint64_t*, std::string*>;

std::optional<Target> target_of(std::string_view name, Arguments& a) {
  RandomModelOptions& m = a.model;
  const std::pair<std::string_view, Target> all[] = {
      {"--architecture", &m.architecture},
      {"--layers", &m.layers},
      {"--embedding", &m.embedding},
      {"--heads", &m.heads},
      {"--kv-heads", &m.kv_heads},
      {"--key-length", &m.key_length},
      {"--feed-forward", &m.feed_forward},
      {"--vocabulary", &m.vocabulary},
      {"--context", &m.context},
      {"--window", &m.window},
      {"--rope-theta", &m.rope_theta},
      {"--rope-scaling", &m.rope_scaling},
      {"--rope-factor", &m.rope_factor},
      {"--rope-original", &m.rope_original},
      {"--format", &m.format},
      {"--embedding-format", &m.embedding_format},
      {"--untied", &a.untied},
      {"--seed", &m.seed},
      {"--vocabulary-of", &a.vocabulary_of},
  };
  for (const auto& [option, target] : all)
    if (option == name) return target;
  return std::nullopt;
}

bool set(const Target& target, std::string_view value) {
  return std::visit(
      [&](auto* place) {
        if constexpr (std::is_same_v<decltype(place), std::string*>) {
          *place = value;
          return true;
        } else {
          return parse_number(value, *place);
        }
      },
      target);
}

bool parse(int argc, char** argv, Arguments& arguments) {
  if (argc < 2 || argv[1][0] == '-') return false;
  arguments.target = argv[1];
  for (int i = 2; i < argc; i += 2) {
    const auto target = target_of(argv[i], arguments);
    if (!target || i + 1 == argc || !set(*target, argv[i + 1])) return false;
  }
  arguments.model.tied = arguments.untied == 0;
  return true;
}

agon::Status make(Arguments& arguments) {
  std::optional<agon::gguf::File> other;
  if (!arguments.vocabulary_of.empty()) {
    AGON_ASSIGN(other, agon::gguf::File::open(arguments.vocabulary_of));
    arguments.model.vocabulary_of = &other->metadata();
  }
  AGON_ASSIGN(const agon::gguf::Writer writer, agon::gguf::random_model(arguments.model));
  return writer.write(arguments.target);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fprintf(stderr,
                 "usage: make_model OUT.gguf [--OPTION VALUE]... (see the start of make_model.cpp)\n");
    return 2;
  }
  const agon::Status status = make(arguments);
  if (!status) {
    std::fprintf(stderr, "make_model: %s\n", status.error().to_string().c_str());
    return status.error().exit_code();
  }
  return 0;
}
