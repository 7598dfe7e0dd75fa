#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace meshfold::data {

/// How one text is made of a row: literal text and columns in turn.
struct TextTemplate {
  struct Piece {
    enum class Kind { kLiteral, kColumn };
    Kind kind = Kind::kLiteral;
    std::string text;  ///< the literal text, or the column's name
  };
  std::vector<Piece> pieces;
};

/// `\n`, `\t`, `\s` (a blank, which would be trimmed at either end of an option) and a backslash before any other
/// character that is no letter or digit, which then stands for itself. Throws invalid_argument that says what is
/// allowed.
std::string unescape(std::string_view text);

/// Templates between bars: "{prompt} | Question: {prompt}\nAnswer: {}". `{name}` is a column, `{}` the view's own
/// column, whose name is empty here; `{{` and `}}` are braces; escapes as in unescape(), so `\|` is a bar. Blanks
/// around a template are dropped. Throws invalid_argument.
std::vector<TextTemplate> parse_templates(std::string_view templates);

/// One template a view. `own_columns` are the columns of the views; one template serves all views, and one column all
/// templates; without templates each view is its column. Throws invalid_argument, also for a template without columns.
std::vector<TextTemplate> make_templates(std::string_view templates, const std::vector<std::string>& own_columns);

}  // namespace meshfold::data
