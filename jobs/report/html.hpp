#pragma once

#include <string>
#include <utility>
#include <vector>

namespace meshfold::jobs {

// The building blocks of a page that is one file: text in, HTML out. Everything but `body` parameters is plain text and
// is escaped here.

/// `text` with the characters that mean something in HTML written as entities.
std::string html_escaped(const std::string& text);

/// A whole document with the style sheet in it: light and dark as the reader's system is, from phone to desktop width,
/// nothing loaded from elsewhere.
std::string html_page(const std::string& title, const std::string& body);

std::string html_section(const std::string& title, const std::string& body);

/// Sections two by two where there is room; empty ones are left out.
std::string html_grid(const std::vector<std::string>& sections);

/// A remark in small print below a chart or a table.
std::string html_note(const std::string& text);

/// Header and rows; the last `num_sums` rows are set off from those above. Scrolls by itself where it is too wide.
std::string html_table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows,
                       std::size_t num_sums = 0);

/// Two columns without a header: label and value.
std::string html_facts(const std::vector<std::pair<std::string, std::string>>& pairs);

/// The names of series 0, 1 ... beside their colours.
std::string html_legend(const std::vector<std::string>& names);

/// Closed until the reader opens it.
std::string html_details(const std::string& summary, const std::string& body);

/// Five significant digits without trailing zeros, from 100,000 on in thousands or millions: 150k, 2.5M; "n/a" if not
/// finite.
std::string short_number(double value);

/// `digits` after the point; "n/a" if not finite.
std::string fixed_number(double value, int digits);

}  // namespace meshfold::jobs
