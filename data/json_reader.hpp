#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

namespace meshfold::data {

/// A text that is not JSON: at which byte of it, and why.
class JsonError : public std::runtime_error {
 public:
  JsonError(std::size_t at, const std::string& problem) : std::runtime_error(problem), at_(at) {}
  std::size_t at() const { return at_; }

 private:
  std::size_t at_;
};

/// Reads JSON (RFC 8259) from left to right, one piece at a time; whatever is no JSON throws JsonError. Strings come
/// out as UTF-8: an escaped surrogate pair is one character, and an escaped surrogate without its partner, which UTF-8
/// cannot hold, is dropped. Depth of nesting is bounded by memory alone.
///
///     if (reader.enter('{')) do { key = reader.key(); reader.skip(); } while (reader.more('}'));
class JsonReader {
 public:
  enum class Kind { kString, kNumber, kTrue, kFalse, kNull, kList, kObject };

  /// `text` must outlive the reader.
  explicit JsonReader(std::string_view text) : text_(text) {}

  std::size_t at() const { return at_; }
  /// Passes blanks; whether nothing else is left.
  bool at_end();
  /// Passes blanks and looks at the value that begins here.
  Kind kind();

  std::string string();
  /// Passes any value, checking all of it.
  void skip();
  /// Passes the opening bracket, '{' or '['; false if the closing one follows, which is passed too.
  bool enter(char opener);
  /// A member's key and the colon behind it.
  std::string key();
  /// Behind an element or a member: passes a comma (true) or the closing bracket (false).
  bool more(char closer);

 private:
  void skip_blanks();
  bool take(char c);
  void skip_scalar(Kind kind);
  void skip_number();
  void skip_word(std::string_view word);
  void read_string(std::string* out);
  void read_escape(std::string* out);
  char32_t four_hex_digits();
  std::string next_in_words() const;
  [[noreturn]] void fail(const std::string& problem) const { throw JsonError(at_, problem); }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace meshfold::data
