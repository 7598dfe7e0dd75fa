#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace meshfold::data {

/// Where the records of a CSV text begin. `starts[i]` is the byte offset of data record i (the header is none of them),
/// `lines[i]` its text line from 1.
struct CsvIndex {
  std::vector<std::string> columns;
  std::vector<std::uint64_t> starts;
  std::vector<std::uint64_t> lines;
};

/// Reads the whole text once and checks all that CsvTable promises; `file` is for the messages of its InputErrors.
CsvIndex index_csv(std::string_view text, const std::string& file);

/// The field that starts at `at`, without its quotes; moves `at` to the comma or the end behind it. The text has been
/// indexed.
std::string read_csv_field(std::string_view text, std::size_t& at);
/// Moves `at` from the start of a field to the comma or the end behind it.
void skip_csv_field(std::string_view text, std::size_t& at);

}  // namespace meshfold::data
