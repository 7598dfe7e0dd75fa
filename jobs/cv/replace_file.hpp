#pragma once

#include <filesystem>
#include <string_view>

namespace meshfold::jobs {

/// Makes `file` hold `contents`, or leaves what was there: written under a temporary name in the same directory,
/// synced, renamed, the directory synced. Throws StorageError with the file, the failed call and the system's words.
void replace_file(const std::filesystem::path& file, std::string_view contents);
/// The renaming half: `temporary` is complete and synced.
void rename_durably(const std::filesystem::path& temporary, const std::filesystem::path& file);

}  // namespace meshfold::jobs
