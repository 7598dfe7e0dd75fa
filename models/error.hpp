#pragma once

#include <stdexcept>
#include <string>

namespace meshfold::models {

/// A model directory or tensor file that cannot be used; one line with file, key or tensor, problem, advice. Exit
/// code 3.
class ModelFileError : public std::runtime_error {
 public:
  ModelFileError(const std::string& file, const std::string& problem_and_advice)
      : std::runtime_error(file + ": " + problem_and_advice) {}
};

/// A layout map that does not fit the model or the mesh. Exit code 2.
class LayoutError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace meshfold::models
