#pragma once

#include <algorithm>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/instruction_set.hpp"
#include "data/text_template.hpp"
#include "jobs/config/commands.hpp"
#include "jobs/config/option_value.hpp"
#include "jobs/config/options.hpp"
#include "models/error.hpp"
#include "models/networks/pooling_names.hpp"

/// How the rows of the option table are made: one builder per type of value. `member` is a callable from a RunConfig
/// (const or not) to the member's reference. Only the table's source includes this header.
namespace meshfold::jobs {

using Kind = Option::Kind;

/// What few options have.
struct Notes {
  std::string unit{};
  std::string default_note{};  ///< what the default is, where it depends on something
};

template <typename Member>
Option integer(std::string key, Member member, const Range& range, Kind kind, CommandSet commands, std::string help,
               const Notes& notes = {}) {
  return {.key = key,
          .type = "integer" + range.in_words(),
          .unit = notes.unit,
          .kind = kind,
          .commands = commands,
          .help = help,
          .default_note = notes.default_note,
          .set =
              [=](RunConfig& config, const std::string& text) {
                using Integer = std::remove_reference_t<decltype(member(config))>;
                const Range limits{std::max(range.low, static_cast<double>(std::numeric_limits<Integer>::min())),
                                   std::min(range.high, static_cast<double>(std::numeric_limits<Integer>::max()))};
                parse_integer(text, range);  // first, for the message: the type's own limits seldom matter
                member(config) = static_cast<Integer>(parse_integer(text, limits));
              },
          .text = [=](const RunConfig& config) { return std::to_string(member(config)); }};
}

template <typename Member>
Option number(std::string key, Member member, const Range& range, Kind kind, CommandSet commands, std::string help,
              const Notes& notes = {}) {
  return {.key = key,
          .type = "number" + range.in_words(),
          .unit = notes.unit,
          .kind = kind,
          .commands = commands,
          .help = help,
          .default_note = notes.default_note,
          .set = [=](RunConfig& config, const std::string& text) { member(config) = parse_number(text, range); },
          .text = [=](const RunConfig& config) { return format_number(member(config)); }};
}

/// A number or nothing, which is written `none`.
template <typename Member>
Option optional_number(std::string key, Member member, const Range& range, Kind kind, CommandSet commands,
                       std::string help, const Notes& notes = {}) {
  return {.key = key,
          .type = "number" + range.in_words() + ", or none",
          .unit = notes.unit,
          .kind = kind,
          .commands = commands,
          .help = help,
          .default_note = notes.default_note,
          .set =
              [=](RunConfig& config, const std::string& text) {
                if (text == "none" || text.empty()) {
                  member(config) = std::nullopt;
                  return;
                }
                try {
                  member(config) = static_cast<typename std::remove_reference_t<decltype(member(config))>::value_type>(
                      parse_number(text, range));
                } catch (const std::invalid_argument& expected) {
                  throw std::invalid_argument(std::string(expected.what()) + ", or none");
                }
              },
          .text = [=](const RunConfig& config) { return member(config) ? format_number(*member(config)) : "none"; }};
}

/// An integer or nothing, which is written `none`.
template <typename Member>
Option optional_integer(std::string key, Member member, const Range& range, Kind kind, CommandSet commands,
                        std::string help, const Notes& notes = {}) {
  Option option = optional_number(key, member, range, kind, commands, help, notes);
  option.type = "integer" + range.in_words() + ", or none";
  option.set = [=, plain = option.set](RunConfig& config, const std::string& text) {
    if (text != "none" && !text.empty()) parse_integer(text, range);
    plain(config, text);
  };
  return option;
}

template <typename Member>
Option numbers(std::string key, Member member, const Range& range, Kind kind, CommandSet commands, std::string help) {
  return {.key = key,
          .type = "numbers" + range.in_words() + ", comma-separated",
          .unit = "",
          .kind = kind,
          .commands = commands,
          .help = help,
          .default_note = "",
          .set =
              [=](RunConfig& config, const std::string& text) {
                auto& values = member(config);
                values.clear();
                for (const std::string& item : parse_list(text)) values.push_back(parse_number(item, range));
              },
          .text =
              [=](const RunConfig& config) {
                std::vector<std::string> items;
                for (const double value : member(config)) items.push_back(format_number(value));
                return format_list(items);
              }};
}

template <typename Member>
Option integers(std::string key, Member member, const Range& range, Kind kind, CommandSet commands, std::string help) {
  Option option = numbers(key, member, range, kind, commands, help);
  option.type = "integers" + range.in_words() + ", comma-separated";
  option.set = [=](RunConfig& config, const std::string& text) {
    auto& values = member(config);
    values.clear();
    for (const std::string& item : parse_list(text)) values.push_back(static_cast<int>(parse_integer(item, range)));
  };
  return option;
}

template <typename Member>
Option names(std::string key, std::string type, Member member, Kind kind, CommandSet commands, std::string help,
             const Notes& notes = {}) {
  return {.key = key,
          .type = type + ", comma-separated",
          .unit = notes.unit,
          .kind = kind,
          .commands = commands,
          .help = help,
          .default_note = notes.default_note,
          .set = [=](RunConfig& config, const std::string& value) { member(config) = parse_list(value); },
          .text = [=](const RunConfig& config) { return format_list(member(config)); }};
}

template <typename Member>
Option flag(std::string key, Member member, Kind kind, CommandSet commands, std::string help) {
  return {.key = key,
          .type = "true | false",
          .unit = "",
          .kind = kind,
          .commands = commands,
          .help = help,
          .default_note = "",
          .set = [=](RunConfig& config, const std::string& text) { member(config) = parse_flag(text); },
          .text = [=](const RunConfig& config) -> std::string { return member(config) ? "true" : "false"; }};
}

template <typename Member>
Option text(std::string key, std::string type, Member member, Kind kind, CommandSet commands, std::string help,
            const Notes& notes = {}) {
  return {.key = key,
          .type = type,
          .unit = notes.unit,
          .kind = kind,
          .commands = commands,
          .help = help,
          .default_note = notes.default_note,
          .set =
              [=](RunConfig& config, const std::string& value) {
                if (value.find_first_of("\r\n") != std::string::npos) {
                  throw std::invalid_argument("text without line breaks");
                }
                member(config) = value;
              },
          .text = [=](const RunConfig& config) { return member(config); }};
}

template <typename Member, typename Enum>
Option choice(std::string key, Member member, Names<Enum> names, Kind kind, CommandSet commands, std::string help,
              const Notes& notes = {}) {
  return {.key = key,
          .type = choices(names),
          .unit = notes.unit,
          .kind = kind,
          .commands = commands,
          .help = help,
          .default_note = notes.default_note,
          .set =
              [=](RunConfig& config, const std::string& value) {
                for (const auto& [name, meaning] : names) {
                  if (name == value) {
                    member(config) = meaning;
                    return;
                  }
                }
                throw std::invalid_argument("one of " + choices(names));
              },
          .text = [=](const RunConfig& config) -> std::string {
            for (const auto& [name, meaning] : names) {
              if (meaning == member(config)) return name;
            }
            return {};
          }};
}

/// A number of ranks, or `auto` (0): what is left.
template <typename Member>
Option axis_size(const std::string& key, Member member, const std::string& help) {
  Option option = integer(key, member, at_least(0), Kind::kLayout, kMeshCommands,
                          help + "; auto (for one axis): what the others leave", {.unit = "ranks"});
  option.type += ", or auto";
  option.set = [plain = option.set](RunConfig& config, const std::string& value) {
    plain(config, value == "auto" ? "0" : value);
  };
  option.text = [=](const RunConfig& config) { return member(config) == 0 ? "auto" : std::to_string(member(config)); };
  return option;
}

template <typename Member>
Option layout_rules(const std::string& key, Member member, Kind kind, CommandSet commands, const std::string& help) {
  return {.key = key,
          .type = "layout rules, `;`-separated",
          .unit = "",
          .kind = kind,
          .commands = commands,
          .help = help,
          .default_note = "the architecture's",
          .set =
              [=](RunConfig& config, const std::string& value) {
                try {
                  member(config) = models::parse_layout_rules(value);
                } catch (const models::LayoutError& error) {
                  throw std::invalid_argument(error.what());
                }
              },
          .text =
              [=](const RunConfig& config) {
                std::string joined;
                for (const auto& rule : member(config)) joined += (joined.empty() ? "" : "; ") + rule.to_string();
                return joined;
              }};
}

/// Precision, or `auto`, which is decided where the option is set: one CPU must decide for all ranks.
template <typename Member>
Option precision(const std::string& key, Member member, Kind kind, CommandSet commands, const std::string& help) {
  const Names<Precision> names = {{"fp32", Precision::kFp32}, {"bf16", Precision::kBf16}};
  Option option = choice(key, member, names, kind, commands, help);
  option.type += " | auto";
  option.set = [plain = option.set](RunConfig& config, const std::string& value) {
    if (value != "fp32" && value != "bf16" && value != "auto") throw std::invalid_argument("one of fp32 | bf16 | auto");
    plain(config, value != "auto" ? value : base::multiplies_bf16_faster() ? "bf16" : "fp32");
  };
  return option;
}

/// `check` throws invalid_argument for a value that does not do.
inline Option checked(Option option, void (*check)(const std::string&)) {
  option.set = [check, plain = option.set](RunConfig& config, const std::string& value) {
    check(value);
    plain(config, value);
  };
  return option;
}

}  // namespace meshfold::jobs
