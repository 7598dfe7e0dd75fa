#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace meshfold::data {

/// Which of a conversation's turns make up a text.
enum class Turns {
  kNone,  ///< the cell is no conversation but one text
  kRaw,   ///< a list is no conversation but one text: its JSON as it is written
  kFirst,
  kLast,
  kAll,
};

/// The turns in a cell that holds a JSON list of strings; a null among them is an empty turn. A cell that is blank or
/// null has no turns. Strings as JsonReader gives them: only lone surrogates are lost. Throws JsonError for all else.
std::vector<std::string> read_turns(std::string_view cell);

/// One text of a conversation: the first, the last, or all turns with `joiner` between them (empty turns too). No turns
/// give an empty text. Not for kNone and kRaw.
std::string choose_turns(const std::vector<std::string>& turns, Turns which, std::string_view joiner);

}  // namespace meshfold::data
