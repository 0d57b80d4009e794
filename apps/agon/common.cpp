#include "common.h"

#include <fmt/format.h>
#include <xgboost/c_api.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "agon/base/file.h"
#include "agon/base/progress.h"
#include "agon/report/number.h"
#include "agon/report/terminal.h"
#include "agon/report/visible.h"

namespace agon {
namespace {

std::string remembered;

std::string quoted(const std::string& word) {
  const auto plain = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
           c == '.' || c == '_' || c == '-' || c == ':' || c == '=' || c == ',';
  };
  if (!word.empty() && std::ranges::all_of(word, plain)) return word;
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace

Result<std::vector<VoteFile>> vote_files(const std::vector<std::string>& arguments) {
  std::vector<VoteFile> files;
  for (const std::string& argument : arguments) {
    AGON_ASSIGN(VoteFile file, parse_vote_file(argument));
    files.push_back(std::move(file));
  }
  return files;
}

void report_status(const Status& status, int& exit_code) {
  finish_progress();
  if (status) return;
  // Errors quote files of strangers.
  fmt::print(stderr, "agon: {}\n", visible_text(status.error().to_string()));
  exit_code = status.error().exit_code();
}

Result<std::string> share_file(const std::string& name) {
  std::error_code failed;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (failed) return fail("cannot find out where the program lies: " + failed.message());
  for (const auto& folder :
       {program.parent_path() / "share/agon", program.parent_path().parent_path() / "share/agon"})
    if (std::filesystem::exists(folder / name, failed)) return (folder / name).string();
  return std::unexpected(
      Error{.message = fmt::format("'{}' does not lie beside the program", name),
            .expected = "share/agon beside the program or beside its folder, as `make install` puts it"});
}

Result<PreferenceModel> load_model(const std::string& name) {
  if (name != "default" || std::filesystem::exists(name)) return PreferenceModel::load(name);
  AGON_ASSIGN(const std::string path, share_file("default.agon"));
  return PreferenceModel::load(path);
}

void remember_command(int argc, char** argv) {
  remembered = "agon";
  for (int i = 1; i < argc; ++i) remembered += " " + quoted(argv[i]);
}
const std::string& command_line() { return remembered; }

std::string file_name(const std::string& path) { return std::filesystem::path(path).filename().string(); }

Facts file_facts(const std::vector<VoteSource>& sources) {
  Facts facts;
  for (const VoteSource& s : sources) {
    const std::string weight = s.auto_weight     ? ", weight chosen in training"
                               : s.weight != 1.0 ? fmt::format(", weight {:g}", s.weight)
                                                 : "";
    facts.emplace_back("file", fmt::format("{}: {} votes{}, SHA-256 {}", s.path, format_count(s.counts.rows),
                                           weight, s.sha256));
  }
  return facts;
}

Facts run_facts(const CommonOptions& options) {
  int major = 0, minor = 0, patch = 0;
  XGBoostVersion(&major, &minor, &patch);
  return {{"seed", std::to_string(options.seed)},
          {"versions", fmt::format("agon {}, XGBoost {}.{}.{}", AGON_VERSION, major, minor, patch)},
          {"command", command_line()}};
}

Status check_outputs(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    std::error_code none;
    const auto kind = std::filesystem::status(path, none).type();
    using Type = std::filesystem::file_type;
    // Opening a pipe or a device has effects of its own; those fail when they are written.
    const bool file_or_new = kind == Type::not_found || kind == Type::regular || kind == Type::directory;
    if (path.empty() || path == "-" || !file_or_new) continue;
    if (const auto probe = AtomicFile::create(path); !probe) return std::unexpected(probe.error());
  }
  return {};
}

void print_counts(const std::vector<VoteSource>& sources) {
  for (const VoteSource& s : sources) {
    const ReadCounts& c = s.counts;
    if (c.skipped > 0) fmt::print(stderr, "agon: {}: {} bad rows skipped\n", s.path, c.skipped);
    for (const Error& e : c.skip_list) fmt::print(stderr, "  {}\n", e.to_string());
    if (c.skipped > c.skip_list.size())
      fmt::print(stderr, "  ... and {} more\n", c.skipped - c.skip_list.size());
  }
}

std::string blend_words(const BlendWeights& weights) {
  const auto part = [](const char* what, const std::array<double, kLearners>& w) {
    std::string out = what;
    for (std::size_t k = 0; k < kLearners; ++k)
      out += fmt::format("{} {} {:.2f}", k == 0 ? "" : ",", learner_names()[k], w[k]);
    return out;
  };
  return part("direction", weights.direction) + "; " + part("tie", weights.tie);
}

EvaluationTextOptions evaluation_text_options() {
  const TerminalInfo info = terminal_info(1);
  return {.colour = info.colour, .width = info.width};
}

Status print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    return fail("cannot write to standard output");
  return {};
}

}  // namespace agon
