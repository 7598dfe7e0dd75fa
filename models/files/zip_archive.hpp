#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace meshfold::models {

/// A zip file that cannot be used; the message names the entry but not the file.
struct ZipError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The entries of a zip file in memory (PKWARE APPNOTE 6.3, with zip64), all stored: a compressed or encrypted entry is
/// refused, so an entry is as large as its bytes in the file. Entries lie one after the other before the directory,
/// without overlaps, and no two have one name. Throws ZipError.
class ZipArchive {
 public:
  /// `bytes` must outlive this object.
  explicit ZipArchive(std::string_view bytes);

  struct Entry {
    std::string_view bytes;
    std::uint32_t crc;  ///< what the directory says; not yet compared
  };
  const std::map<std::string, Entry>& entries() const { return entries_; }
  /// nullptr if there is no such entry.
  const Entry* find(const std::string& name) const;

 private:
  std::map<std::string, Entry> entries_;
};

/// Whether the bytes begin as a zip file does.
bool looks_like_zip(std::string_view bytes);

}  // namespace meshfold::models
