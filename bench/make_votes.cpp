// Makes a large file of votes for the benchmark out of a small real one: rows are repeated with their
// sentences shuffled and a fifth of their words exchanged for others of the same file, so that lengths,
// scripts, structure and vocabulary stay real while no two rows are near-copies of each other.
//
//   make_votes SOURCE ROWS SEED OUT [--test]
//
// --test leaves out the models and the winners. The same arguments give the same bytes.

#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "agon/base/file.h"
#include "agon/base/random.h"
#include "agon/data/vote_reader.h"
#include "agon/text/json.h"

namespace {

using agon::append_json_string;
using agon::Random;
using agon::Turn;
using agon::Turns;
using agon::Vote;

bool is_word_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (static_cast<unsigned char>(c) & 0x80) != 0;
}

/// Calls `word(part)` or `gap(part)` for each maximal run of word bytes and of other bytes, in order.
template <class Word, class Gap>
void for_each_run(std::string_view text, Word word, Gap gap) {
  for (std::size_t begin = 0; begin < text.size();) {
    const bool in_word = is_word_byte(text[begin]);
    std::size_t end = begin + 1;
    while (end < text.size() && is_word_byte(text[end]) == in_word) ++end;
    const std::string_view part = text.substr(begin, end - begin);
    if (in_word) {
      word(part);
    } else {
      gap(part);
    }
    begin = end;
  }
}

/// Every word of three bytes or more, as often as it occurs, so that a uniform draw follows frequency.
std::vector<std::string_view> word_pool(const std::vector<Vote>& votes) {
  std::vector<std::string_view> pool;
  for (const Vote& vote : votes) {
    for (const Turns* turns : {&vote.prompt, &vote.response_a, &vote.response_b}) {
      for (const Turn& turn : *turns) {
        for_each_run(
            turn.text,
            [&](std::string_view part) {
              if (part.size() >= 3) pool.push_back(part);
            },
            [](std::string_view) {});
      }
    }
  }
  return pool;
}

/// One line with its sentences (told by ". ") in another order.
std::string shuffled_sentences(std::string_view line, Random& random) {
  std::vector<std::string_view> sentences;
  for (std::size_t at = line.find(". "); at != std::string_view::npos; at = line.find(". ")) {
    sentences.push_back(line.substr(0, at));
    line.remove_prefix(at + 2);
  }
  sentences.push_back(line);
  random.shuffle(std::span(sentences));
  std::string out(sentences[0]);
  for (std::size_t i = 1; i < sentences.size(); ++i) out.append(". ").append(sentences[i]);
  return out;
}

std::string altered(std::string_view text, const std::vector<std::string_view>& pool, Random& random) {
  std::string shuffled;
  for (;;) {
    const std::size_t end = text.find('\n');
    shuffled += shuffled_sentences(text.substr(0, end), random);
    if (end == std::string_view::npos) break;
    shuffled += '\n';
    text.remove_prefix(end + 1);
  }
  std::string out;
  out.reserve(shuffled.size() + shuffled.size() / 8);
  for_each_run(
      shuffled,
      [&](std::string_view part) {
        const bool exchange = part.size() >= 3 && random.below(5) == 0;
        out += exchange ? pool[random.below(pool.size())] : part;
      },
      [&](std::string_view part) { out += part; });
  return out;
}

void append_cell(std::string& out, std::string_view cell) {
  out += '"';
  for (const char c : cell) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

std::string json_list(const Turns& turns, const std::vector<std::string_view>& pool, Random& random) {
  std::string out = "[";
  for (const Turn& turn : turns) {
    if (out.size() > 1) out += ',';
    if (turn.null) {
      out += "null";
    } else {
      append_json_string(out, altered(turn.text, pool, random));
    }
  }
  return out + "]";
}

std::string csv_row(const Vote& vote, std::uint64_t id, bool test, const std::vector<std::string_view>& pool,
                    Random& random) {
  std::string row = std::to_string(id);
  if (!test) {
    row += ',';
    append_cell(row, vote.model_a);
    row += ',';
    append_cell(row, vote.model_b);
  }
  for (const Turns* turns : {&vote.prompt, &vote.response_a, &vote.response_b}) {
    row += ',';
    append_cell(row, json_list(*turns, pool, random));
  }
  if (!test) {
    for (const agon::Outcome outcome : {agon::Outcome::kA, agon::Outcome::kB, agon::Outcome::kTie}) {
      row += vote.outcome == outcome ? ",1" : ",0";
    }
  }
  return row + "\n";
}

agon::Status make(const std::string& source, std::uint64_t rows, std::uint64_t seed,
                  const std::string& target, bool test) {
  AGON_ASSIGN(const agon::VoteSet set, agon::read_votes({{.path = source}}, agon::ReadOptions{}));
  const std::vector<std::string_view> pool = word_pool(set.votes);
  if (pool.empty()) return agon::fail("no words to draw from", source);
  AGON_ASSIGN(const auto file, agon::AtomicFile::create(target));
  AGON_TRY(file->write(test ? "id,prompt,response_a,response_b\n"
                            : "id,model_a,model_b,prompt,response_a,response_b,"
                              "winner_model_a,winner_model_b,winner_tie\n"));
  for (std::uint64_t i = 0; i < rows; ++i) {
    Random random(seed, i);
    AGON_TRY(file->write(csv_row(set.votes[i % set.votes.size()], i, test, pool, random)));
  }
  return file->commit();
}

bool parse(const char* text, std::uint64_t& value) {
  const char* end = text + std::strlen(text);
  const auto result = std::from_chars(text, end, value);
  return result.ec == std::errc() && result.ptr == end;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t rows = 0;
  std::uint64_t seed = 0;
  const bool test = argc == 6 && std::string_view(argv[5]) == "--test";
  if ((argc != 5 && !test) || !parse(argv[2], rows) || !parse(argv[3], seed)) {
    std::fprintf(stderr, "usage: make_votes SOURCE ROWS SEED OUT [--test]\n");
    return 2;
  }
  const agon::Status status = make(argv[1], rows, seed, argv[4], test);
  if (!status) {
    std::fprintf(stderr, "make_votes: %s\n", status.error().to_string().c_str());
    return status.error().exit_code();
  }
  return 0;
}
