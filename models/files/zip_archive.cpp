#include "models/files/zip_archive.hpp"

#include <algorithm>
#include <vector>

#include "models/files/byte_reader.hpp"
#include "models/files/quote_bytes.hpp"

namespace meshfold::models {
namespace {

constexpr std::uint32_t kLocalHeader = 0x04034b50, kDirectoryHeader = 0x02014b50, kDirectoryEnd = 0x06054b50,
                        kDirectoryEnd64 = 0x06064b50, kDirectoryEnd64Locator = 0x07064b50;
constexpr std::uint64_t kDirectoryEndBytes = 22, kLocatorBytes = 20;
constexpr std::uint16_t kZip64Extra = 1;
constexpr std::uint32_t kSeeZip64 = 0xFFFFFFFF;  // the real value is in the zip64 record
constexpr std::uint16_t kEncrypted = 1, kStored = 0;

[[noreturn]] void fail(const std::string& problem) { throw ZipError("the zip archive " + problem); }

[[noreturn]] void fail_as_compressed(const std::string& name) {
  fail("has the compressed entry " + quote_bytes(name) + "; torch.save compresses nothing (TorchScript does)");
}

/// The rest of `bytes` from `offset`.
ByteReader reader_at(std::string_view bytes, std::uint64_t offset) {
  if (offset > bytes.size()) throw EndOfBytes();
  return ByteReader(bytes.substr(offset));
}

struct Directory {
  std::uint64_t num_entries, size, offset;
};

/// The end record is the last thing in the file but for a comment of at most 65,535 bytes.
std::uint64_t find_directory_end(std::string_view bytes) {
  constexpr std::uint64_t kLongestComment = 65535;
  if (bytes.size() < kDirectoryEndBytes) fail("is cut short");
  const std::uint64_t last = bytes.size() - kDirectoryEndBytes;
  for (std::uint64_t comment = 0; comment <= std::min(last, kLongestComment); ++comment) {
    ByteReader reader(bytes.substr(last - comment));
    if (reader.u32() != kDirectoryEnd) continue;
    reader.skip(kDirectoryEndBytes - 6);
    if (reader.u16() == comment) return last - comment;
  }
  fail("has no directory at its end: it is cut short");
}

Directory read_directory64(std::string_view bytes, std::uint64_t end) {
  if (end < kLocatorBytes) fail("has no zip64 directory, though its sizes need one");
  ByteReader locator = reader_at(bytes, end - kLocatorBytes);
  if (locator.u32() != kDirectoryEnd64Locator) fail("has no zip64 directory, though its sizes need one");
  if (locator.u32() != 0) fail("is spread over several files");
  ByteReader record = reader_at(bytes.substr(0, end - kLocatorBytes), locator.u64());
  if (record.u32() != kDirectoryEnd64) fail("has a damaged zip64 directory");
  record.skip(8 + 2 + 2);  // its own size and two versions
  if (record.u32() != 0 || record.u32() != 0) fail("is spread over several files");
  Directory directory{};
  const std::uint64_t on_this_disk = record.u64();
  directory.num_entries = record.u64();
  if (directory.num_entries != on_this_disk) fail("is spread over several files");
  directory.size = record.u64();
  directory.offset = record.u64();
  return directory;
}

Directory read_directory(std::string_view bytes) {
  const std::uint64_t end = find_directory_end(bytes);
  ByteReader record = reader_at(bytes, end);
  record.skip(4);
  const std::uint16_t disk = record.u16(), directory_disk = record.u16(), on_this_disk = record.u16();
  Directory directory{};
  directory.num_entries = record.u16();
  directory.size = record.u32();
  directory.offset = record.u32();
  const bool needs_zip64 =
      directory.num_entries == 0xFFFF || directory.size == kSeeZip64 || directory.offset == kSeeZip64;
  if (needs_zip64) {
    directory = read_directory64(bytes, end);
  } else if (disk != 0 || directory_disk != 0 || on_this_disk != directory.num_entries) {
    fail("is spread over several files");
  }
  if (directory.offset > end || directory.size > end - directory.offset) fail("has a directory beyond its end");
  return directory;
}

/// One entry of the directory.
struct Listed {
  std::string name;
  std::uint32_t crc;
  std::uint64_t compressed_size, size, offset;
};

/// Sizes and offset that do not fit 32 bits stand in the zip64 extra field, in this order, each only if it is needed.
void take_zip64_extra(std::string_view extra, Listed& entry) {
  ByteReader reader(extra);
  while (!reader.at_end()) {
    const std::uint16_t id = reader.u16(), size = reader.u16();
    ByteReader field(reader.take(size));
    if (id != kZip64Extra) continue;
    for (std::uint64_t* value : {&entry.size, &entry.compressed_size, &entry.offset}) {
      if (*value == kSeeZip64) *value = field.u64();
    }
    return;
  }
}

Listed read_listed(ByteReader& reader) {
  if (reader.u32() != kDirectoryHeader) fail("has a damaged directory");
  reader.skip(2 + 2);  // versions
  const std::uint16_t flags = reader.u16(), method = reader.u16();
  reader.skip(2 + 2);  // time and date
  Listed entry{};
  entry.crc = reader.u32();
  entry.compressed_size = reader.u32();
  entry.size = reader.u32();
  const std::uint16_t name_size = reader.u16(), extra_size = reader.u16(), comment_size = reader.u16();
  if (reader.u16() != 0) fail("is spread over several files");
  reader.skip(2 + 4);  // attributes
  entry.offset = reader.u32();
  entry.name = reader.take(name_size);
  take_zip64_extra(reader.take(extra_size), entry);
  reader.skip(comment_size);
  if ((flags & kEncrypted) != 0) fail("has an encrypted entry");
  if (method != kStored || entry.compressed_size != entry.size) fail_as_compressed(entry.name);
  return entry;
}

/// Where the data of an entry begin. The header before them repeats what the directory says; its sizes may be absent.
std::uint64_t data_offset(std::string_view before_directory, const Listed& entry) {
  ByteReader header = reader_at(before_directory, entry.offset);
  if (header.u32() != kLocalHeader) fail("has an entry without its header");
  header.skip(2 + 2);
  if (header.u16() != kStored) fail_as_compressed(entry.name);
  header.skip(2 + 2 + 4 + 4 + 4);
  const std::uint16_t name_size = header.u16(), extra_size = header.u16();
  if (header.take(name_size) != entry.name) fail("names an entry in two ways");
  header.skip(extra_size);
  return entry.offset + 30 + name_size + extra_size;
}

void check_no_overlap(std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges) {
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first < ranges[i - 1].second) fail("has entries that overlap");
  }
}

}  // namespace

ZipArchive::ZipArchive(std::string_view bytes) {
  try {
    const Directory directory = read_directory(bytes);
    const std::string_view before_directory = bytes.substr(0, directory.offset);
    ByteReader reader(bytes.substr(directory.offset, directory.size));
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
    for (std::uint64_t i = 0; i < directory.num_entries; ++i) {
      const Listed listed = read_listed(reader);
      const std::uint64_t begin = data_offset(before_directory, listed);
      const Entry entry{reader_at(before_directory, begin).take(listed.size), listed.crc};
      ranges.emplace_back(listed.offset, begin + listed.size);
      if (!entries_.emplace(listed.name, entry).second) fail("has two entries of one name");
    }
    if (!reader.at_end()) fail("lists more entries than it counts");
    check_no_overlap(std::move(ranges));
  } catch (const EndOfBytes&) {
    fail("is damaged: an entry or the directory leaves the file");
  }
}

const ZipArchive::Entry* ZipArchive::find(const std::string& name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

bool looks_like_zip(std::string_view bytes) {
  return bytes.starts_with("PK\x03\x04") || bytes.starts_with("PK\x05\x06");
}

}  // namespace meshfold::models
