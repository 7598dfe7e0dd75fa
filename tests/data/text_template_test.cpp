#include "data/text_template.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace meshfold::data {
namespace {

/// "Q: <prompt>" for each view: literal text with the columns in angle brackets.
std::vector<std::string> views(std::string_view templates, const std::vector<std::string>& own_columns) {
  std::vector<std::string> texts;
  for (const TextTemplate& view : make_templates(templates, own_columns)) {
    std::string& text = texts.emplace_back();
    for (const auto& piece : view.pieces) {
      text += piece.kind == TextTemplate::Piece::Kind::kColumn ? "<" + piece.text + ">" : piece.text;
    }
  }
  return texts;
}

std::string complaint(std::string_view templates, const std::vector<std::string>& own_columns) {
  try {
    make_templates(templates, own_columns);
  } catch (const std::invalid_argument& expected) {
    return expected.what();
  }
  return "accepted";
}

TEST(TextTemplate, MakesEachColumnAViewWithoutTemplates) {
  EXPECT_EQ(views("", {"text"}), (std::vector<std::string>{"<text>"}));
  EXPECT_EQ(views(" ", {"prompt", "a", "b"}), (std::vector<std::string>{"<prompt>", "<a>", "<b>"}));
}

TEST(TextTemplate, ServesAllViewsOrEachItsOwn) {
  EXPECT_EQ(views("Q: {prompt}\\nA: {}", {"a", "b"}),
            (std::vector<std::string>{"Q: <prompt>\nA: <a>", "Q: <prompt>\nA: <b>"}));
  EXPECT_EQ(views("{prompt} | {prompt} [SEP] {} |{}!", {"x", "a", "b"}),
            (std::vector<std::string>{"<prompt>", "<prompt> [SEP] <a>", "<b>!"}));
  EXPECT_EQ(views("{title} | {}", {"text"}), (std::vector<std::string>{"<title>", "<text>"}));
}

TEST(TextTemplate, KeepsEscapedSigns) {
  EXPECT_EQ(views("{{{a}}} \\| {b c} \\{x\\} \\\\n\\s", {"text"}),
            (std::vector<std::string>{"{<a>} | <b c> {x} \\n "}));
  EXPECT_EQ(unescape("a\\n\\t\\s\\\\\\|"), "a\n\t \\|");
}

TEST(TextTemplate, SaysWhatItExpects) {
  EXPECT_EQ(complaint("no column", {"text"}), "a column such as {text} in every template");
  EXPECT_EQ(complaint("{} | none", {"text"}), "a column such as {text} in every template");
  EXPECT_EQ(complaint("{open", {"text"}), "a closing } for every {; a brace itself is {{");
  EXPECT_EQ(complaint("{a} b}", {"text"}), "an opening { for every }; a brace itself is }}");
  EXPECT_EQ(complaint("{a} | {b}", {"a", "b", "c"}),
            "one template for all views or one a view; there are 2 for 3 columns");
  EXPECT_EQ(complaint("{a} \\d", {"text"}),
            "after a backslash n (line), t (tab), s (blank), or a sign such as another backslash");
  EXPECT_EQ(complaint("{a}\\", {"text"}),
            "after a backslash n (line), t (tab), s (blank), or a sign such as another backslash");
}

}  // namespace
}  // namespace meshfold::data
