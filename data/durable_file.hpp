#pragma once

#include <filesystem>
#include <string_view>

namespace meshfold::data {

/// Each of these throws WriteError with the file, the call and the system's words. A failed fsync is never tried again
/// on the same file: the kernel may have dropped the dirty pages.

/// Makes `file` hold `contents`, or leaves what was there: temporary name in the same directory, fsync, rename, fsync
/// of the directory.
void write_file_durably(const std::filesystem::path& file, std::string_view contents);

/// Makes an existing file's bytes durable.
void sync_file(const std::filesystem::path& file);

/// Renames within one directory and makes the new name durable.
void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace meshfold::data
