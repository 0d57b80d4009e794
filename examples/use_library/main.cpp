// Reads a file of votes with the library and prints how often each side was preferred.
//
//   use_library votes.csv[.gz|.zst]

#include <cstdio>
#include <map>

#include "agon/data/vote_reader.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: use_library VOTES\n");
    return 2;
  }
  // Errors are values: a bad file says where and what was expected, and nothing is thrown.
  const auto votes = agon::read_votes({{.path = argv[1]}}, agon::ReadOptions{});
  if (!votes) {
    std::fprintf(stderr, "use_library: %s\n", votes.error().to_string().c_str());
    return votes.error().exit_code();
  }

  std::map<agon::Outcome, std::size_t> count;
  for (const agon::Vote& vote : votes->votes) ++count[vote.outcome];
  const auto percent = [&](agon::Outcome outcome) {
    return 100.0 * static_cast<double>(count[outcome]) / static_cast<double>(votes->votes.size());
  };
  std::printf("%zu votes\n", votes->votes.size());
  std::printf("A preferred %5.1f %%\n", percent(agon::Outcome::kA));
  std::printf("B preferred %5.1f %%\n", percent(agon::Outcome::kB));
  std::printf("tie         %5.1f %%\n", percent(agon::Outcome::kTie));
  return 0;
}
