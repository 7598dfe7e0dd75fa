#include "data/turns.hpp"

#include <stdexcept>
#include <utility>

#include "data/json_reader.hpp"

namespace meshfold::data {

std::vector<std::string> read_turns(std::string_view cell) {
  JsonReader reader(cell);
  std::vector<std::string> turns;
  if (reader.at_end()) return turns;
  const auto kind = reader.kind();
  const auto start = reader.at();
  if (kind == JsonReader::Kind::kNull) {
    reader.skip();
  } else if (kind != JsonReader::Kind::kList) {
    throw JsonError(start,
                    "no JSON list of turns; a column of plain text needs data.turns = none, or data.turn_columns that "
                    "leave it out");
  } else if (reader.enter('[')) {
    do {
      const auto turn = reader.kind();
      if (turn == JsonReader::Kind::kString) {
        turns.push_back(reader.string());
      } else if (turn == JsonReader::Kind::kNull) {
        reader.skip();
        turns.emplace_back();
      } else {
        throw JsonError(reader.at(), "turn " + std::to_string(turns.size() + 1) + " is neither a string nor null");
      }
    } while (reader.more(']'));
  }
  if (!reader.at_end()) throw JsonError(reader.at(), "more text behind the list of turns");
  return turns;
}

std::string choose_turns(const std::vector<std::string>& turns, Turns which, std::string_view joiner) {
  if (turns.empty()) return {};
  switch (which) {
    case Turns::kFirst:
      return turns.front();
    case Turns::kLast:
      return turns.back();
    case Turns::kAll: {
      std::string text = turns.front();
      for (std::size_t i = 1; i < turns.size(); ++i) text.append(joiner).append(turns[i]);
      return text;
    }
    case Turns::kNone:
    case Turns::kRaw:
      break;
  }
  throw std::invalid_argument("one text has no turns to choose from");
}

}  // namespace meshfold::data
