#include "data/text_template.hpp"

#include <algorithm>
#include <cctype>
#include <stdexcept>

namespace meshfold::data {
namespace {

using Piece = TextTemplate::Piece;

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// The templates between bars that are not escaped; escapes stay as they are.
std::vector<std::string_view> split_at_bars(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t start = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '|') {
      parts.push_back(text.substr(start, i - start));
      start = i + 1;
    }
  }
  parts.push_back(text.substr(start));
  return parts;
}

TextTemplate parse_template(std::string_view text) {
  TextTemplate parsed;
  std::string literal;
  const auto end_literal = [&] {
    if (!literal.empty()) parsed.pieces.push_back({Piece::Kind::kLiteral, unescape(literal)});
    literal.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      literal.append(text.substr(i++, 2));
    } else if ((c == '{' || c == '}') && i + 1 < text.size() && text[i + 1] == c) {
      literal += text[i++];
    } else if (c == '{') {
      const std::size_t end = text.find('}', i);
      if (end == std::string_view::npos) throw std::invalid_argument("a closing } for every {; a brace itself is {{");
      end_literal();
      parsed.pieces.push_back({Piece::Kind::kColumn, std::string(trimmed(text.substr(i + 1, end - i - 1)))});
      i = end;
    } else if (c == '}') {
      throw std::invalid_argument("an opening { for every }; a brace itself is }}");
    } else {
      literal += c;
    }
  }
  end_literal();
  return parsed;
}

}  // namespace

std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      plain += text[i];
      continue;
    }
    const char c = ++i < text.size() ? text[i] : 'x';
    if (c == 'n') {
      plain += '\n';
    } else if (c == 't') {
      plain += '\t';
    } else if (c == 's') {
      plain += ' ';
    } else if (std::isalnum(static_cast<unsigned char>(c)) == 0) {
      plain += c;
    } else {
      throw std::invalid_argument(
          "after a backslash n (line), t (tab), s (blank), or a sign such as another backslash");
    }
  }
  return plain;
}

std::vector<TextTemplate> parse_templates(std::string_view templates) {
  std::vector<TextTemplate> parsed;
  for (const std::string_view part : split_at_bars(templates)) parsed.push_back(parse_template(trimmed(part)));
  return parsed;
}

std::vector<TextTemplate> make_templates(std::string_view templates, const std::vector<std::string>& own_columns) {
  const std::vector<TextTemplate> parsed = parse_templates(trimmed(templates).empty() ? "{}" : templates);
  if (parsed.size() > 1 && own_columns.size() > 1 && parsed.size() != own_columns.size()) {
    throw std::invalid_argument("one template for all views or one a view; there are " + std::to_string(parsed.size()) +
                                " for " + std::to_string(own_columns.size()) + " columns");
  }
  std::vector<TextTemplate> views;
  for (std::size_t view = 0; view < std::max(parsed.size(), own_columns.size()); ++view) {
    TextTemplate made = parsed[parsed.size() == 1 ? 0 : view];
    bool has_column = false;
    for (Piece& piece : made.pieces) {
      if (piece.kind != Piece::Kind::kColumn) continue;
      has_column = true;
      if (piece.text.empty()) piece.text = own_columns[own_columns.size() == 1 ? 0 : view];
    }
    if (!has_column) throw std::invalid_argument("a column such as {text} in every template");
    views.push_back(std::move(made));
  }
  return views;
}

}  // namespace meshfold::data
