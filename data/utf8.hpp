#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace meshfold::data {

inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// Bytes of the well-formed UTF-8 sequence at the start of `bytes` (Unicode 15, table 3-7: no overlong forms, no
/// surrogates, nothing above U+10FFFF); 0 if there is none.
inline std::size_t utf8_sequence_length(std::string_view bytes) {
  if (bytes.empty()) return 0;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const auto follows = [&](std::size_t i, unsigned low, unsigned high) {
    return i < bytes.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2) return 0;
  if (lead < 0xE0) return follows(1, 0x80, 0xBF) ? 2 : 0;
  if (lead < 0xF0) {
    const unsigned low = lead == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : 0xBF;
    return follows(1, low, high) && follows(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (lead > 0xF4) return 0;
  const unsigned low = lead == 0xF0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xF4 ? 0x8F : 0xBF;
  return follows(1, low, high) && follows(2, 0x80, 0xBF) && follows(3, 0x80, 0xBF) ? 4 : 0;
}

/// Offset of the first byte that is not part of well-formed UTF-8; npos if all is well.
inline std::size_t find_invalid_utf8(std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t length = utf8_sequence_length(bytes.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return std::string_view::npos;
}

/// Removes the first code point from the front of `bytes` (not empty). A byte that starts no well-formed sequence reads
/// as U+FFFD.
inline char32_t take_code_point(std::string_view& bytes) {
  const std::size_t length = utf8_sequence_length(bytes);
  const auto bits = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(bytes[i]) & 0x3F); };
  char32_t value = 0xFFFD;
  const auto lead = static_cast<char32_t>(static_cast<unsigned char>(bytes[0]));
  if (length == 1) value = lead;
  if (length == 2) value = (lead & 0x1F) << 6 | bits(1);
  if (length == 3) value = (lead & 0x0F) << 12 | bits(1) << 6 | bits(2);
  if (length == 4) value = (lead & 0x07) << 18 | bits(1) << 12 | bits(2) << 6 | bits(3);
  bytes.remove_prefix(length == 0 ? 1 : length);
  return value;
}

/// Appends a code point below 0x110000 that is no surrogate.
inline void append_utf8(char32_t code_point, std::string& out) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

}  // namespace meshfold::data
