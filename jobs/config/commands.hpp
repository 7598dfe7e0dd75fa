#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace meshfold::jobs {

/// The commands that work by a config. What runs for each is a row of launcher/commands.cpp.
enum class CommandName { kCv, kTrain, kPredict, kExport, kTokenize, kSelftest, kTrainTokenizer };

/// As on the command line, in the order of the enum.
inline constexpr std::array<std::string_view, 7> kCommandWords = {"cv",       "train",    "predict",        "export",
                                                                  "tokenize", "selftest", "train-tokenizer"};

constexpr std::string_view word_of(CommandName command) { return kCommandWords.at(static_cast<std::size_t>(command)); }

/// Some of the commands: those that take an option, or have a trait in common.
class CommandSet {
 public:
  constexpr CommandSet() = default;
  constexpr CommandSet(std::initializer_list<CommandName> commands) {
    for (const CommandName command : commands) bits_ |= bit_of(command);
  }

  constexpr bool is_empty() const { return bits_ == 0; }
  constexpr bool contains(CommandName command) const { return (bits_ & bit_of(command)) != 0; }
  /// Whether a command is in both.
  constexpr bool meets(CommandSet other) const { return (bits_ & other.bits_) != 0; }
  /// "cv train"
  std::string to_string() const;

 private:
  static constexpr std::uint32_t bit_of(CommandName command) { return 1U << static_cast<unsigned>(command); }

  std::uint32_t bits_ = 0;
};

/// Train models. A run directory is theirs: it is checked against how it began, and continued.
inline constexpr CommandSet kTrainingCommands = {CommandName::kCv, CommandName::kTrain};
/// Lay their ranks out as the meshes of jobs, on the device that run.device says.
inline constexpr CommandSet kMeshCommands = {CommandName::kCv, CommandName::kTrain, CommandName::kPredict,
                                             CommandName::kSelftest};
/// Turn tables into token ids.
inline constexpr CommandSet kTableCommands = {CommandName::kCv, CommandName::kTrain, CommandName::kPredict,
                                              CommandName::kTokenize};
/// Write into the directory of --run, their logs at least.
inline constexpr CommandSet kRecordingCommands = {CommandName::kCv,       CommandName::kTrain,
                                                  CommandName::kPredict,  CommandName::kExport,
                                                  CommandName::kTokenize, CommandName::kTrainTokenizer};

}  // namespace meshfold::jobs
