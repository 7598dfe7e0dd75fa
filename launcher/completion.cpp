#include "launcher/completion.hpp"

#include <cstdio>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jobs/config/options.hpp"
#include "launcher/commands.hpp"

namespace meshfold::launcher {
namespace {

/// Readline breaks words at `=`, so the words are taken from the line as it is typed, and a reply after `key=` is the
/// value alone.
constexpr std::string_view kFunction = R"bash(
_meshfold() {
  local line=${COMP_LINE:0:COMP_POINT} words cur prev command= i
  read -r -a words <<< "$line"
  case $line in *[[:blank:]]) words+=("") ;; esac
  cur=${words[${#words[@]}-1]}
  prev=${words[${#words[@]}-2]}
  for ((i = 1; i < ${#words[@]} - 1; i++)); do
    case ${words[i]} in
      --help | --version | --debug | --*=*) ;;
      --*) ((i++)) ;;
      *) command=${words[i]}; break ;;
    esac
  done
  COMPREPLY=()
  case $prev in
    --set)
      if [[ $cur == *=* ]]; then
        _meshfold_reply "$(_meshfold_values "${cur%%=*}")" "${cur#*=}"
      else
        COMPREPLY=($(compgen -S = -W "$(_meshfold_keys "$command")" -- "$cur"))
        compopt -o nospace 2> /dev/null
      fi ;;
    --accept-changes) COMPREPLY=($(compgen -W "$(_meshfold_keys "$command")" -- "$cur")) ;;
    --config | --output) _meshfold_reply FILE "$cur" ;;
    --run | --dir) _meshfold_reply DIRECTORY "$cur" ;;
    --format) COMPREPLY=($(compgen -W "text json" -- "$cur")) ;;
    *)
      if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$(_meshfold_flags "$command")" -- "$cur"))
      elif [[ -z $command ]]; then
        COMPREPLY=($(compgen -W "$(_meshfold_commands)" -- "$cur"))
      elif [[ $prev == "$command" && -n $(_meshfold_words "$command") ]]; then
        COMPREPLY=($(compgen -W "$(_meshfold_words "$command")" -- "$cur"))
      else
        _meshfold_reply DIRECTORY "$cur"
      fi ;;
  esac
}
# Candidates $1 for what begins with $2; FILE and DIRECTORY are paths.
_meshfold_reply() {
  local IFS=$'\n'
  case $1 in
    FILE) COMPREPLY=($(compgen -f -- "$2")); compopt -o filenames 2> /dev/null ;;
    DIRECTORY) COMPREPLY=($(compgen -d -- "$2")); compopt -o filenames 2> /dev/null ;;
    *) IFS=$' \n'; COMPREPLY=($(compgen -W "$1" -- "$2")) ;;
  esac
}
complete -F _meshfold meshfold
)bash";

using Entries = std::vector<std::pair<std::string, std::string>>;

/// A shell function that prints the words of the entry that its argument names, else `otherwise`.
std::string lookup(const std::string& name, const Entries& entries, const std::string& otherwise) {
  std::string text = name + "() {\n  case $1 in\n";
  for (const auto& [key, words] : entries) {
    if (!words.empty()) text += "    " + key + ") echo '" + words + "' ;;\n";
  }
  return text + "    *) echo '" + otherwise + "' ;;\n  esac\n}\n";
}

void append(std::string& words, const std::string& word) { words += (words.empty() ? "" : " ") + word; }

/// "mse | mae" as "mse mae"; paths by their kind; nothing for what is typed freely.
std::string values_of(const jobs::Option& option) {
  std::string words;
  std::istringstream parts(option.type);
  if (option.type.find(" | ") != std::string::npos) {
    for (std::string word; parts >> word;) {
      if (word != "|") append(words, word);
    }
    return words;
  }
  if (option.type == "directory") return "DIRECTORY";
  return option.type.find(" file") != std::string::npos ? "FILE" : "";
}

/// The literal first word of a command's arguments: "list|verify DIR" gives "list verify", "[cv|train]" "cv train".
std::string words_of(const Command& command) {
  std::string words = command.arguments.substr(0, command.arguments.find(' '));
  std::erase_if(words, [](char c) { return c == '[' || c == ']'; });  // may be left out
  if (words.empty() || words.front() < 'a' || words.front() > 'z') return {};
  for (char& c : words) c = c == '|' ? ' ' : c;
  return words;
}

std::string bash_completion() {
  std::string names, all_keys;
  Entries keys, flags, first_words, values;
  for (const jobs::Option& option : jobs::option_table()) {
    append(all_keys, option.key);
    values.emplace_back(option.key, values_of(option));
  }
  for (const Command& command : commands()) {
    append(names, command.name);
    std::string own_flags = !command.options().is_empty() ? "--config --set --run --help" : "--help";
    for (const std::string& flag : command.flags) append(own_flags, "--" + flag);
    flags.emplace_back(command.name, own_flags);
    first_words.emplace_back(command.name, words_of(command));
    std::string own_keys;
    for (const jobs::Option& option : jobs::option_table()) {
      if (option.commands.meets(command.options())) append(own_keys, option.key);
    }
    keys.emplace_back(command.name, own_keys);
  }
  return "# Completion of meshfold in bash: source <(meshfold completion bash)\n_meshfold_commands() { echo '" + names +
         "'; }\n" + lookup("_meshfold_keys", keys, all_keys) +
         lookup("_meshfold_flags", flags, "--config --set --run --help --version") +
         lookup("_meshfold_words", first_words, "") + lookup("_meshfold_values", values, "") +
         std::string(kFunction.substr(1));
}

}  // namespace

jobs::ExitCode run_completion_command(const CommandLine& line, jobs::Console&) {
  if (line.words != std::vector<std::string>{"bash"}) throw jobs::ConfigError("usage: meshfold completion bash");
  std::fputs(bash_completion().c_str(), stdout);
  return jobs::ExitCode::kDone;
}

}  // namespace meshfold::launcher
