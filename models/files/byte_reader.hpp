#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string_view>

namespace meshfold::models {

/// The bytes of a file format ended in the middle of something. Whoever reads turns it into an error with the file.
struct EndOfBytes : std::runtime_error {
  EndOfBytes() : std::runtime_error("ends in the middle of an entry") {}
};

/// Reads little-endian numbers and runs of bytes one after the other. Throws EndOfBytes, never reads past the end.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  bool at_end() const { return rest_.empty(); }
  std::string_view take(std::uint64_t count) {
    if (count > rest_.size()) throw EndOfBytes();
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  void skip(std::uint64_t count) { take(count); }
  /// What comes before the next line feed, which is taken too.
  std::string_view line() {
    const std::size_t end = rest_.find('\n');
    if (end == std::string_view::npos) throw EndOfBytes();
    const std::string_view text = take(end);
    skip(1);
    return text;
  }
  /// The number in the next `width` bytes, at most 8.
  std::uint64_t number(std::size_t width) {
    const std::string_view bytes = take(width);
    std::uint64_t value = 0;
    for (std::size_t i = width; i-- > 0;) value = (value << 8) | static_cast<unsigned char>(bytes[i]);
    return value;
  }
  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }

 private:
  std::string_view rest_;
};

}  // namespace meshfold::models
