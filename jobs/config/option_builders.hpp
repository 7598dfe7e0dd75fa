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
#include "jobs/config/option_value.hpp"
#include "jobs/config/options.hpp"
#include "models/error.hpp"
#include "models/networks/pooling_names.hpp"

/// How the rows of the option table are made: which commands take an option, and one builder a type of value. Only the
/// table's source includes this header.
namespace meshfold::jobs {

using Kind = Option::Kind;

inline constexpr const char* kAll = "cv train predict export tokenize";
inline constexpr const char* kRanks = "cv train predict export tokenize selftest";
inline constexpr const char* kMeshes = "cv train predict selftest";
inline constexpr const char* kFitting = "cv train";
inline constexpr const char* kReading = "cv train predict tokenize";
inline constexpr const char* kComputing = "cv train predict";
inline constexpr const char* kModel = "cv train predict export";
inline constexpr const char* kTokenizer = "train-tokenizer";
inline constexpr const char* kTexts = "cv train predict tokenize train-tokenizer";

// Builders, one a type. `member` is a callable from a RunConfig (const or not) to the member's reference.

template <typename Member>
Option integer(std::string key, Member member, const Range& range, std::string unit, Kind kind, std::string commands,
               std::string help) {
  return {key,
          "integer" + range.in_words(),
          unit,
          kind,
          commands,
          help,
          "",
          [=](RunConfig& config, const std::string& text) {
            using Integer = std::remove_reference_t<decltype(member(config))>;
            const Range limits{std::max(range.low, static_cast<double>(std::numeric_limits<Integer>::min())),
                               std::min(range.high, static_cast<double>(std::numeric_limits<Integer>::max()))};
            parse_integer(text, range);  // first, for the message: the type's own limits seldom matter
            member(config) = static_cast<Integer>(parse_integer(text, limits));
          },
          [=](const RunConfig& config) { return std::to_string(member(config)); }};
}

template <typename Member>
Option number(std::string key, Member member, const Range& range, std::string unit, Kind kind, std::string commands,
              std::string help) {
  return {key,
          "number" + range.in_words(),
          unit,
          kind,
          commands,
          help,
          "",
          [=](RunConfig& config, const std::string& text) { member(config) = parse_number(text, range); },
          [=](const RunConfig& config) { return format_number(member(config)); }};
}

/// A number or nothing, which is written `none`.
template <typename Member>
Option optional_number(std::string key, Member member, const Range& range, Kind kind, std::string commands,
                       std::string help, std::string default_note) {
  return {key,
          "number" + range.in_words() + ", or none",
          "",
          kind,
          commands,
          help,
          default_note,
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
          [=](const RunConfig& config) { return member(config) ? format_number(*member(config)) : "none"; }};
}

/// An integer or nothing, which is written `none`.
template <typename Member>
Option optional_integer(std::string key, Member member, const Range& range, std::string unit, Kind kind,
                        std::string commands, std::string help, std::string default_note) {
  Option option = optional_number(key, member, range, kind, commands, help, default_note);
  option.type = "integer" + range.in_words() + ", or none";
  option.unit = unit;
  option.set = [=, plain = option.set](RunConfig& config, const std::string& text) {
    if (text != "none" && !text.empty()) parse_integer(text, range);
    plain(config, text);
  };
  return option;
}

template <typename Member>
Option numbers(std::string key, Member member, const Range& range, Kind kind, std::string commands, std::string help) {
  return {key,
          "numbers" + range.in_words() + ", comma-separated",
          "",
          kind,
          commands,
          help,
          "",
          [=](RunConfig& config, const std::string& text) {
            auto& values = member(config);
            values.clear();
            for (const std::string& item : parse_list(text)) values.push_back(parse_number(item, range));
          },
          [=](const RunConfig& config) {
            std::vector<std::string> items;
            for (const double value : member(config)) items.push_back(format_number(value));
            return format_list(items);
          }};
}

template <typename Member>
Option integers(std::string key, Member member, const Range& range, Kind kind, std::string commands, std::string help) {
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
Option names(std::string key, std::string type, Member member, Kind kind, std::string commands, std::string help,
             std::string default_note = "") {
  return {key,
          type + ", comma-separated",
          "",
          kind,
          commands,
          help,
          default_note,
          [=](RunConfig& config, const std::string& value) { member(config) = parse_list(value); },
          [=](const RunConfig& config) { return format_list(member(config)); }};
}

template <typename Member>
Option flag(std::string key, Member member, Kind kind, std::string commands, std::string help) {
  return {key,
          "true | false",
          "",
          kind,
          commands,
          help,
          "",
          [=](RunConfig& config, const std::string& text) { member(config) = parse_flag(text); },
          [=](const RunConfig& config) -> std::string { return member(config) ? "true" : "false"; }};
}

template <typename Member>
Option text(std::string key, std::string type, Member member, Kind kind, std::string commands, std::string help,
            std::string default_note = "") {
  return {key,
          type,
          "",
          kind,
          commands,
          help,
          default_note,
          [=](RunConfig& config, const std::string& value) {
            if (value.find_first_of("\r\n") != std::string::npos)
              throw std::invalid_argument("text without line breaks");
            member(config) = value;
          },
          [=](const RunConfig& config) { return member(config); }};
}

/// A number of ranks, or `auto` (0): what is left.
template <typename Member>
Option axis_size(const std::string& key, Member member, const std::string& help) {
  Option option = integer(key, member, at_least(0), "ranks", Kind::kLayout, kMeshes,
                          help + "; auto (for one axis): what the others leave");
  option.type += ", or auto";
  option.set = [plain = option.set](RunConfig& config, const std::string& value) {
    plain(config, value == "auto" ? "0" : value);
  };
  option.text = [=](const RunConfig& config) { return member(config) == 0 ? "auto" : std::to_string(member(config)); };
  return option;
}

template <typename Member>
Option layout_rules(const std::string& key, Member member, const std::string& help) {
  return {key,
          "layout rules, `;`-separated",
          "",
          Kind::kLayout,
          kComputing,
          help,
          "the architecture's",
          [=](RunConfig& config, const std::string& value) {
            try {
              member(config) = models::parse_layout_rules(value);
            } catch (const models::LayoutError& error) {
              throw std::invalid_argument(error.what());
            }
          },
          [=](const RunConfig& config) {
            std::string joined;
            for (const auto& rule : member(config)) joined += (joined.empty() ? "" : "; ") + rule.to_string();
            return joined;
          }};
}

template <typename Member, typename Enum>
Option choice(std::string key, Member member, Names<Enum> names, Kind kind, std::string commands, std::string help,
              std::string default_note = "") {
  return {key,
          choices(names),
          "",
          kind,
          commands,
          help,
          default_note,
          [=](RunConfig& config, const std::string& value) {
            for (const auto& [name, meaning] : names) {
              if (name == value) {
                member(config) = meaning;
                return;
              }
            }
            throw std::invalid_argument("one of " + choices(names));
          },
          [=](const RunConfig& config) -> std::string {
            for (const auto& [name, meaning] : names) {
              if (meaning == member(config)) return name;
            }
            return {};
          }};
}

#define MEMBER(path) \
  [](auto& c) -> auto& { return c.path; }

inline Option precision() {
  const Names<Precision> names = {{"fp32", Precision::kFp32}, {"bf16", Precision::kBf16}};
  Option option =
      choice("precision.compute", MEMBER(precision), names, Kind::kTraining, kComputing,
             "matrix products; auto takes bf16 where the first rank's CPU multiplies bf16 faster, else fp32");
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

inline Option read_mode() {
  Option option = text("data.read", "mapped | memory", MEMBER(data.read), Kind::kLayout, kReading,
                       "map the tokenized file, or copy it into memory (network file systems)");
  option.set = [](RunConfig& config, const std::string& value) {
    if (value != "mapped" && value != "memory") throw std::invalid_argument("one of mapped | memory");
    config.data.read = value;
  };
  return option;
}

}  // namespace meshfold::jobs
