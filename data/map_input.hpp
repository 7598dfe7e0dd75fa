#pragma once

#include <filesystem>

#include "base/mapped_file.hpp"

namespace meshfold::data {

/// A file of the user mapped into memory. Throws InputError with the file and the system's words if that fails.
base::MappedFile map_input(const std::filesystem::path& file);

}  // namespace meshfold::data
