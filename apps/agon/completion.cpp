// agon completion: completions for a shell, made from the options that the program really has.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "common.h"
#include "verbs.h"

namespace agon {
namespace {

struct Verb {
  std::string name, description;
  std::vector<std::pair<std::string, std::string>> options;  ///< "--html", and what it does
};

std::vector<Verb> verbs_of(const CLI::App& app) {
  std::vector<Verb> verbs;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    Verb verb{sub->get_name(), sub->get_description(), {}};
    std::vector<const CLI::App*> levels{sub};
    for (const CLI::App* nested : sub->get_subcommands([](const CLI::App*) { return true; })) {
      verb.options.emplace_back(nested->get_name(), nested->get_description());
      levels.push_back(nested);
    }
    for (const CLI::App* level : levels)
      for (const CLI::Option* option : level->get_options()) {
        for (const std::string& name : option->get_lnames())
          verb.options.emplace_back("--" + name, option->get_description());
        for (const std::string& name : option->get_snames())
          verb.options.emplace_back("-" + name, option->get_description());
      }
    verbs.push_back(std::move(verb));
  }
  return verbs;
}

std::string joined(const std::vector<std::pair<std::string, std::string>>& words) {
  std::string out;
  for (const auto& [word, _] : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

/// Safe between single quotes in all three shells.
std::string in_quotes(const std::string& text) {
  std::string out;
  for (const char c : text)
    out += c == '\'' ? "" : c == '[' || c == ']' || c == ':' ? " " : std::string(1, c);
  return out;
}

std::string bash(const std::vector<Verb>& verbs) {
  std::string names, cases;
  for (const Verb& v : verbs) {
    names += (names.empty() ? "" : " ") + v.name;
    cases += fmt::format("    {}) words='{}' ;;\n", v.name, joined(v.options));
  }
  return fmt::format(R"(# Completion of agon for bash.
_agon() {{
  local words='' current=${{COMP_WORDS[COMP_CWORD]}}
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '{} --help --version' -- "$current"))
    return
  fi
  case ${{COMP_WORDS[1]}} in
{}  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    COMPREPLY=($(compgen -f -- "$current") $(compgen -W "${{words//-[!\ ]*/}}" -- "$current"))
  fi
}}
complete -o filenames -F _agon agon
)",
                     names, cases);
}

std::string zsh(const std::vector<Verb>& verbs) {
  std::string names, cases;
  for (const Verb& v : verbs) {
    names += fmt::format("    '{}:{}'\n", v.name, in_quotes(v.description));
    cases += fmt::format("    {}) _arguments", v.name);
    for (const auto& [option, text] : v.options)
      if (option.starts_with("-")) cases += fmt::format(" \\\n        '{}[{}]'", option, in_quotes(text));
    cases += " \\\n        '*:file:_files' ;;\n";
  }
  return fmt::format(R"(#compdef agon
# Completion of agon for zsh.
_agon() {{
  local -a verbs
  verbs=(
{}  )
  if (( CURRENT == 2 )); then
    _describe 'verb' verbs
    return
  fi
  case $words[2] in
{}  esac
}}
_agon "$@"
)",
                     names, cases);
}

std::string fish(const std::vector<Verb>& verbs) {
  std::string out = "# Completion of agon for fish.\n";
  for (const Verb& v : verbs) {
    out += fmt::format("complete -c agon -n __fish_use_subcommand -a {} -d '{}'\n", v.name,
                       in_quotes(v.description));
    for (const auto& [option, text] : v.options) {
      const std::string flag = option.starts_with("--")  ? "-l " + option.substr(2)
                               : option.starts_with("-") ? "-s " + option.substr(1)
                                                         : "-a " + option;
      out += fmt::format("complete -c agon -n '__fish_seen_subcommand_from {}' {} -d '{}'\n", v.name, flag,
                         in_quotes(text));
    }
  }
  return out;
}

}  // namespace

void add_completion_command(CLI::App& app, int& exit_code) {
  CLI::App* completion = app.add_subcommand("completion", "Print completions for a shell");
  const auto shell = std::make_shared<std::string>();
  completion->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->type_name("SHELL");
  completion->callback([shell, &app, &exit_code] {
    const std::vector<Verb> verbs = verbs_of(app);
    report_status(print(*shell == "bash"  ? bash(verbs)
                        : *shell == "zsh" ? zsh(verbs)
                                          : fish(verbs)),
                  exit_code);
  });
}

}  // namespace agon
