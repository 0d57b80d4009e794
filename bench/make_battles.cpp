// Makes a CSV of battles out of pair counts, for benchmarks: every counted vote is a row, in shuffled order
// and with its two models on sides drawn by chance.
//
//   make_battles COUNTS OUT [--rows N] [--seed S] [--plain] [--judges J] [--style]
//
// Columns: id, model_a, model_b, winner, tstamp (seconds); with --plain only model_a, model_b, winner; with
// --judges also judge, one of J, the first ones voting most; with --style also four pairs of numbers of the
// answers, in the names of the Arena. With --rows the first N votes of the shuffled order; when N is more
// than there are, votes drawn by chance follow. OUT "-" is standard output: rows stream, whatever their
// number. The same arguments give the same bytes.

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/file.h"
#include "agon/base/random.h"
#include "agon/data/battles.h"
#include "agon/text/csv.h"

namespace {

using agon::BattleOutcome;
using agon::Random;

struct Options {
  std::string counts, target;
  std::uint64_t rows = 0, seed = 1, judges = 0;
  bool plain = false, style = false;
};

void append_number(std::string& out, std::uint64_t value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}

/// A vote: two models and which of them won.
struct Ballot {
  std::uint32_t first, second;
  BattleOutcome outcome;
};

std::vector<Ballot> ballots_of(const agon::PairTable& pairs) {
  std::vector<Ballot> ballots;
  for (const agon::PairCount& pair : pairs) {
    for (std::size_t k = 0; k < agon::kBattleClasses; ++k) {
      ballots.insert(ballots.end(), static_cast<std::size_t>(pair.weight[k]),
                     {pair.first, pair.second, static_cast<BattleOutcome>(k)});
    }
  }
  return ballots;
}

/// Four pairs of numbers that look like an answer's: long tails, and more structure where there is more text.
void append_style(std::string& out, Random& random) {
  std::array<std::array<std::uint64_t, 2>, 4> numbers{};
  for (std::size_t side = 0; side < 2; ++side) {
    const double tokens = std::exp(5.6 + 1.6 * (random.uniform() + random.uniform() - 1));
    numbers[0][side] = static_cast<std::uint64_t>(tokens);
    for (std::size_t k = 1; k < 4; ++k)
      numbers[k][side] = static_cast<std::uint64_t>(random.uniform() * tokens / 60);
  }
  for (const auto& pair : numbers) {
    for (const std::uint64_t number : pair) {
      out += ',';
      append_number(out, number);
    }
  }
}

agon::Status make(const Options& options) {
  AGON_ASSIGN(const agon::BattleSet set, agon::read_battles({options.counts}, {}));
  std::vector<Ballot> ballots = ballots_of(set.pairs);
  Random random(options.seed);
  random.shuffle(std::span(ballots));
  std::vector<std::string> names;
  for (const std::string& name : set.competitors) agon::append_csv_field(names.emplace_back(), name);

  AGON_ASSIGN(const auto file, agon::AtomicFile::create(options.target));
  std::string out = options.plain ? "model_a,model_b,winner" : "id,model_a,model_b,winner,tstamp";
  if (options.judges > 0) out += ",judge";
  if (options.style)
    out +=
        ",sum_assistant_a_tokens,sum_assistant_b_tokens,header_count_a,header_count_b,list_count_a,list_"
        "count_b,"
        "bold_count_a,bold_count_b";
  out += '\n';
  const std::uint64_t rows = options.rows > 0 ? options.rows : ballots.size();
  std::uint64_t time = 1'682'351'968;  // the Arena's first day
  std::uint64_t begin = 0;
  for (std::uint64_t i = 0; i < rows; ++i) {
    // Beyond the real votes, runs of them from drawn places: single ones would each wait for memory.
    if (i >= ballots.size() && i % 64 == 0) begin = random.below(ballots.size());
    const Ballot& vote = ballots[i < ballots.size() ? i : (begin + i % 64) % ballots.size()];
    const std::uint64_t draw = random.next();
    const bool swap = (draw & 1) != 0;
    if (!options.plain) {
      append_number(out, i);
      out += ',';
    }
    out += names[swap ? vote.second : vote.first];
    out += ',';
    out += names[swap ? vote.first : vote.second];
    switch (vote.outcome) {
      case BattleOutcome::kA:
        out += swap ? ",model_b" : ",model_a";
        break;
      case BattleOutcome::kB:
        out += swap ? ",model_a" : ",model_b";
        break;
      case BattleOutcome::kTie:
        out += ",tie";
        break;
      default:
        out += ",tie (bothbad)";
    }
    if (!options.plain) {
      time += draw >> 1 & 31;  // a vote every 15 seconds
      out += ',';
      append_number(out, time);
    }
    if (options.judges > 0) {
      const double at = random.uniform();
      out += ",judge_";
      append_number(out, static_cast<std::uint64_t>(at * at * static_cast<double>(options.judges)));
    }
    if (options.style) append_style(out, random);
    out += '\n';
    if (out.size() >= std::size_t{1} << 18) {
      AGON_TRY(file->write(out));
      out.clear();
    }
  }
  AGON_TRY(file->write(out));
  return file->commit();
}

bool parse(std::string_view text, std::uint64_t& value) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  return result.ec == std::errc() && result.ptr == end;
}

bool parse(int argc, char** argv, Options& options) {
  if (argc < 3) return false;
  options.counts = argv[1];
  options.target = argv[2];
  for (int i = 3; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--plain") {
      options.plain = true;
    } else if (name == "--style") {
      options.style = true;
    } else {
      std::uint64_t* value = name == "--rows"     ? &options.rows
                             : name == "--seed"   ? &options.seed
                             : name == "--judges" ? &options.judges
                                                  : nullptr;
      if (value == nullptr || ++i == argc || !parse(argv[i], *value)) return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) {
    std::fprintf(stderr,
                 "usage: make_battles COUNTS OUT [--rows N] [--seed S] [--plain] [--judges J] [--style]\n");
    return 2;
  }
  const agon::Status status = make(options);
  if (!status) {
    std::fprintf(stderr, "make_battles: %s\n", status.error().to_string().c_str());
    return status.error().exit_code();
  }
  return 0;
}
