// The script is a few `case`s over the path of verbs so far, and the word before the cursor.

#include "cli_completion.hpp"

#include <iostream>
#include <memory>

namespace usher::cli {
namespace {

std::string in_quotes(const std::string& words) { return "'" + words + "'"; }

/// `--json -h`: how an option can be written; empty where it is a positional.
std::vector<std::string> names_of(const CLI::Option& option) {
  std::vector<std::string> out;
  for (const auto& name : option.get_lnames()) out.push_back("--" + name);
  for (const auto& name : option.get_snames()) out.push_back("-" + name);
  return out;
}

/// `json csv`, where only these will do.
std::string choices_of(const CLI::Option& option) {
  const auto type = option.get_type_name();
  const auto from = type.find('{');
  const auto end = type.find('}', from);
  if (from == std::string::npos || end == std::string::npos) return {};
  auto out = type.substr(from + 1, end - from - 1);
  std::replace(out.begin(), out.end(), ',', ' ');
  return out;
}

bool is_shown(const CLI::App& verb) { return !verb.get_group().empty(); }

struct cases {
  std::string verbs;    ///< path and word to path
  std::string values;   ///< path and option to the words that may follow
  std::string words;    ///< path to the words that may come
};

void add_cases(const CLI::App& verb, const std::string& path, cases& out) {
  std::string words;
  for (const auto* below : verb.get_subcommands(nullptr)) {
    if (!is_shown(*below)) continue;
    const auto longer = path.empty() ? below->get_name() : path + " " + below->get_name();
    words += below->get_name() + " ";
    out.verbs += "      " + in_quotes(path + ":" + below->get_name()) + ") path=" + in_quotes(longer) + " ;;\n";
    add_cases(*below, longer, out);
  }
  for (const auto* option : verb.get_options()) {
    const auto choices = choices_of(*option);
    if (option->get_positional() && names_of(*option).empty()) words += choices.empty() ? "" : choices + " ";
    for (const auto& name : names_of(*option)) {
      words += name + " ";
      if (option->get_items_expected_max() == 0) continue;
      const auto known = choices.empty() ? std::string{"files=1"} : "words=" + in_quotes(choices);
      out.values += "    " + in_quotes(path + ":" + name) + ") " + known + " ;;\n";
    }
  }
  if (!words.empty()) words.pop_back();
  out.words += "      " + in_quotes(path) + ") words=" + in_quotes(words) + " ;;\n";
}

struct completion_flags {
  std::string shell;
};

int print_script(const CLI::App& app, const completion_flags& flags) {
  if (flags.shell == "zsh") std::cout << "autoload -U +X bashcompinit && bashcompinit\n";
  std::cout << completion_script(app);
  return succeeded;
}

}  // namespace

std::string completion_script(const CLI::App& app) {
  cases all;
  add_cases(app, "", all);
  return "_usher() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path='' words='' files='' i\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    case \"$path:${COMP_WORDS[i]}\" in\n" + all.verbs +
         "    esac\n"
         "  done\n"
         "  COMPREPLY=()\n"
         "  case \"$path:$prev\" in\n" + all.values +
         "  esac\n"
         "  if [ -z \"$words$files\" ]; then\n"
         "    case \"$path\" in\n" + all.words +
         "    esac\n"
         "  fi\n"
         "  [ -z \"$words\" ] || COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
         "  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$cur\"))\n"
         "}\n"
         "complete -o filenames -F _usher usher ./usher\n";
}

void add_completion(CLI::App& app, int& code) {
  auto flags = std::make_shared<completion_flags>();
  auto* verb = app.add_subcommand("completion", "Print what a shell needs to complete verbs, options and their values");
  verb->add_option("shell", flags->shell, "bash or zsh")->required()->check(CLI::IsMember({"bash", "zsh"}));
  verb->footer("Examples:\n  eval \"$(usher completion bash)\"\n  eval \"$(usher completion zsh)\"");
  verb->callback([flags, &app, &code] { code = print_script(app, *flags); });
}

}  // namespace usher::cli
