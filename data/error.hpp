#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

namespace meshfold::data {

/// Where in an input something is wrong. `row` counts records from 1 after the header, as a spreadsheet user counts
/// data rows; `line` counts text lines from 1.
struct InputPlace {
  std::string file;
  std::optional<std::uint64_t> row;
  std::optional<std::uint64_t> line;
  std::string column;
};

/// Bad data from the user: exit code 3. `what()` is one line: "train.csv, row 12 (line 14), column 'text': empty text;
/// remove the row or set data.empty_text = keep".
class InputError : public std::runtime_error {
 public:
  InputError(const InputPlace& place, const std::string& problem_and_advice);
  const InputPlace& place() const { return place_; }

 private:
  InputPlace place_;
};

/// A failed HDF5 call, with file, object and the library's own error stack in one line.
class Hdf5Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace meshfold::data
