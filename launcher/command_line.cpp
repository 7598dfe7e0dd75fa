#include "launcher/command_line.hpp"

#include <algorithm>
#include <boost/program_options.hpp>
#include <sstream>

#include "base/text.hpp"
#include "data/nearest_name.hpp"
#include "jobs/error.hpp"
#include "launcher/commands.hpp"

namespace meshfold::launcher {
namespace {

namespace po = boost::program_options;

po::options_description general_options() {
  po::options_description options("General options");
  auto add = options.add_options();
  add("config", po::value<std::string>()->value_name("FILE"), "INI file of options");
  add("set", po::value<std::vector<std::string>>()->composing()->value_name("section.key=value"),
      "one option; may be repeated, the last one counts, and all count before the file");
  add("run", po::value<std::string>()->value_name("DIR"),
      "run directory: everything is written here, and a run in it continues");
  add("format", po::value<std::string>()->value_name("text|json"),
      "of status, plan and selftest: for people or for scripts");
  add("ranks", po::value<std::string>()->value_name("N"),
      "of plan: on so many ranks; default: the product of the mesh's axes that are given");
  add("compare", "of report: several runs beside each other");
  add("dry-run", "of sbatch: write the script, submit nothing");
  add("debug",
      "of cv and train: 100 rows by run.seed, 2 folds, 2 epochs, everything else as it is; --set goes before it");
  add("accept-changes", po::value<std::vector<std::string>>()->composing()->value_name("KEY"),
      "of cv and train: continue the run with another value of this data or training option; may be repeated");
  add("output", po::value<std::string>()->value_name("FILE"), "of report: where the page is written");
  add("dir", po::value<std::string>()->value_name("DIR"),
      "of selftest: where files are tried; default: --run, or here");
  add("help", "this text; after a command: its options");
  add("version", "the version");
  return options;
}

std::string suggestion(const std::string& name, const std::vector<std::string>& candidates) {
  const auto nearest = data::nearest_name(name, candidates);
  return nearest ? "; did you mean '" + *nearest + "'?" : std::string();
}

std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const Command& command : commands()) names.push_back(command.name);
  return names;
}

/// The words that are no options: the command, then its own words.
void take_words(const std::vector<std::string>& words, CommandLine& line, std::vector<std::string>& faults) {
  if (words.empty()) {
    if (!line.help && !line.version)
      faults.push_back("no command; one of " + base::joined(command_names()) + ", or --help");
    return;
  }
  line.command = find_command(words.front());
  if (line.command == nullptr) {
    faults.push_back("unknown command '" + words.front() + "'" + suggestion(words.front(), command_names()) +
                     " The commands are " + base::joined(command_names()));
    return;
  }
  line.words.assign(words.begin() + 1, words.end());
  if (line.command->arguments.empty() && !line.words.empty()) {
    faults.push_back("'" + line.words.front() + "' is too much: " + line.command->name +
                     " takes no further words; options are written --set section.key=value");
  }
}

/// --format and the like after a command that has no use for them would be lost without a word.
void take_flags(const po::variables_map& values, CommandLine& line, std::vector<std::string>& faults) {
  for (const char* name : {"format", "output", "dir", "ranks", "compare", "dry-run", "debug", "accept-changes"}) {
    if (values.count(name) == 0 || line.command == nullptr) continue;
    if (std::ranges::find(line.command->flags, name) == line.command->flags.end()) {
      faults.push_back("--" + std::string(name) + ": " + line.command->name + " does not take it");
    }
  }
  line.compare = values.count("compare") > 0;
  line.dry_run = values.count("dry-run") > 0;
  if (values.count("output")) line.output = values["output"].as<std::string>();
  if (values.count("ranks")) line.ranks = values["ranks"].as<std::string>();
  if (values.count("dir")) line.directory = values["dir"].as<std::string>();
  if (values.count("format")) {
    line.format = values["format"].as<std::string>();
    if (line.format != "text" && line.format != "json") {
      faults.push_back("--format " + line.format + ": expects text or json");
    }
  }
  if (values.count("accept-changes")) line.accepted_changes = values["accept-changes"].as<std::vector<std::string>>();
  line.debug = values.count("debug") > 0;
}

void take_sets(const std::vector<std::string>& sets, CommandLine& line, std::vector<std::string>& faults) {
  for (const std::string& text : sets) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      faults.push_back("--set " + text + ": expects section.key=value");
    } else {
      line.sets.emplace_back(text.substr(0, equals), text.substr(equals + 1));
    }
  }
}

}  // namespace

CommandLine parse_command_line(int argc, const char* const* argv) {
  const po::options_description options = general_options();
  std::vector<std::string> faults;
  CommandLine line;
  try {
    // Guessing of abbreviations is off: a script that says --se must not change its meaning with the next option. A
    // single dash starts no option, so that --set a.b=-1 and words like -1 mean themselves.
    namespace style = po::command_line_style;
    const auto parsed = po::command_line_parser(argc, argv)
                            .options(options)
                            .style(style::allow_long | style::long_allow_adjacent | style::long_allow_next)
                            .allow_unregistered()
                            .run();
    std::vector<std::string> words;
    std::vector<std::string> known;
    for (const auto& option : options.options()) known.push_back("--" + option->long_name());
    for (const auto& option : parsed.options) {
      if (option.position_key >= 0) {
        words.insert(words.end(), option.value.begin(), option.value.end());
      } else if (option.unregistered) {
        faults.push_back("unknown option '" + option.original_tokens.front() + "'" +
                         suggestion(option.original_tokens.front(), known) +
                         " Options of the run are written --set section.key=value");
      }
    }
    auto registered = parsed;
    std::erase_if(registered.options,
                  [](const auto& option) { return option.unregistered || option.position_key >= 0; });
    po::variables_map values;
    po::store(registered, values);
    line.help = values.count("help") > 0;
    line.version = values.count("version") > 0;
    if (values.count("config")) line.config_file = values["config"].as<std::string>();
    if (values.count("run")) line.run_directory = values["run"].as<std::string>();
    if (values.count("set")) take_sets(values["set"].as<std::vector<std::string>>(), line, faults);
    take_words(words, line, faults);
    take_flags(values, line, faults);
  } catch (const po::error& error) {
    faults.push_back(std::string(error.what()) + "; see meshfold --help");
  }
  if (!faults.empty()) throw jobs::ConfigError(faults);
  return line;
}

std::string general_help() {
  std::ostringstream text;
  text << "meshfold <command> [--config FILE] [--set section.key=value]... [--run DIR]\n"
          "On several ranks: mpirun -n RANKS meshfold <command> ...\n\nCommands:\n";
  for (const Command& command : commands()) {
    std::string name = command.name + (command.arguments.empty() ? "" : " " + command.arguments);
    name.resize(std::max<std::size_t>(name.size() + 2, 28), ' ');
    text << "  " << name << command.summary << "\n";
  }
  text << "\n"
       << general_options()
       << "\nmeshfold <command> --help lists the command's options. An option is taken from --set, else from the file, "
          "else its default.\n\nExit codes: 0 done, 1 internal fault, 2 usage or config, 3 bad input file, 4 no usable "
          "checkpoint, 5 storage,\n  6 peer lost or timed out, 7 numbers went bad, 75 stopped on request with a "
          "committed checkpoint.\n";
  return text.str();
}

std::string usage_of(const Command& command) {
  std::string flags = !command.options().is_empty() ? " [--config FILE] [--set section.key=value]... [--run DIR]" : "";
  for (const std::string& flag : command.flags) flags += " [--" + flag + (flag == "debug" ? "]" : " ...]");
  return "meshfold " + command.name + ": " + command.summary + "\n\n  meshfold " + command.name +
         (command.arguments.empty() ? "" : " " + command.arguments) + flags + "\n\nExample:\n  " +
         (command.takes_ranks() ? "mpirun -n 4 meshfold " : "meshfold ") + command.example + "\n";
}

}  // namespace meshfold::launcher
