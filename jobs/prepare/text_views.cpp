#include "jobs/prepare/text_views.hpp"

#include <stdexcept>
#include <utility>

#include "data/json_reader.hpp"
#include "jobs/error.hpp"

namespace meshfold::jobs {
namespace {

bool is_blank(const std::string& text) { return text.find_first_not_of(" \t\r\n\v\f") == std::string::npos; }

bool are_chosen(data::Turns turns) { return turns != data::Turns::kNone && turns != data::Turns::kRaw; }

std::vector<data::TextTemplate> templates_of(const DataSection& roles) {
  try {
    return data::make_templates(roles.templates,
                                roles.texts.empty() ? std::vector<std::string>{roles.text} : roles.texts);
  } catch (const std::invalid_argument& expected) {
    throw ConfigError("data.templates = '" + roles.templates + "': expects " + expected.what());
  }
}

}  // namespace

TextViews::TextViews(const data::Table& table, const DataSection& roles)
    : table_(table),
      empty_text_(roles.empty_text),
      turns_(roles.turns),
      joiner_(data::unescape(roles.turn_joiner)),
      holds_turns_(table.columns().size(), roles.turn_columns.empty() && roles.turns != data::Turns::kNone) {
  for (const data::TextTemplate& view : templates_of(roles)) {
    auto& pieces = views_.emplace_back();
    for (const auto& piece : view.pieces) {
      if (piece.kind == data::TextTemplate::Piece::Kind::kColumn) {
        pieces.push_back({"", table_.column(piece.text)});
      } else {
        pieces.push_back({piece.text, std::nullopt});
      }
    }
  }
  if (!roles.text_pair.empty()) pair_ = table_.column(roles.text_pair);
  for (const std::string& name : roles.turn_columns) holds_turns_[table_.column(name)] = true;
}

std::string TextViews::column_text(std::size_t row, std::size_t column) const {
  if (!holds_turns_[column]) return table_.cell(row, column);
  data::Cell cell = table_.read(row, column);
  if (!are_chosen(turns_)) return std::move(cell.text);
  try {
    return data::choose_turns(data::read_turns(cell.text), turns_, joiner_);
  } catch (const data::JsonError& error) {
    throw data::InputError(table_.place(row, column), "byte " + std::to_string(error.at() + 1) +
                                                          " of the cell: " + error.what() +
                                                          "; turns are a list like [\"Hello\", null, \"Bye\"]");
  }
}

void TextViews::refuse_empty(std::size_t row, std::size_t column) const {
  throw data::InputError(table_.place(row, column), "empty text; remove the row or set data.empty_text = keep");
}

std::string TextViews::text(std::size_t row, std::uint32_t view) const {
  std::string text;
  bool is_empty = true;
  for (const Piece& piece : views_[view]) {
    if (!piece.column) {
      text += piece.literal;
      continue;
    }
    const std::string value = column_text(row, *piece.column);
    is_empty = is_empty && is_blank(value);
    text += value;
  }
  if (is_empty && empty_text_ == EmptyText::kError) {
    for (const Piece& piece : views_[view]) {
      if (piece.column) refuse_empty(row, *piece.column);
    }
  }
  return text;
}

std::string TextViews::pair(std::size_t row) const {
  std::string text = column_text(row, *pair_);
  if (empty_text_ == EmptyText::kError && is_blank(text)) refuse_empty(row, *pair_);
  return text;
}

std::uint64_t TextViews::num_bytes(std::size_t row) const {
  std::uint64_t bytes = 0;
  for (const auto& view : views_) {
    if (pair_) bytes += table_.read(row, *pair_).text.size();
    for (const Piece& piece : view) {
      bytes += piece.column ? table_.read(row, *piece.column).text.size() : piece.literal.size();
    }
  }
  return bytes;
}

}  // namespace meshfold::jobs
