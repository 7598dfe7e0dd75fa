#include "data/json_reader.hpp"

#include <array>

#include "data/utf8.hpp"

namespace meshfold::data {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_high_surrogate(char32_t unit) { return unit >= 0xD800 && unit < 0xDC00; }
bool is_low_surrogate(char32_t unit) { return unit >= 0xDC00 && unit < 0xE000; }

// Bytes at which a scan of a string has to stop.
constexpr auto kStops = [] {
  std::array<bool, 256> stops{};
  for (std::size_t c = 0; c < 0x20; ++c) stops[c] = true;
  for (std::size_t c = 0x80; c < 256; ++c) stops[c] = true;
  stops['"'] = stops['\\'] = true;
  return stops;
}();

}  // namespace

void JsonReader::skip_blanks() {
  while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
    ++at_;
  }
}

bool JsonReader::take(char c) {
  if (at_ == text_.size() || text_[at_] != c) return false;
  ++at_;
  return true;
}

bool JsonReader::at_end() {
  skip_blanks();
  return at_ == text_.size();
}

std::string JsonReader::next_in_words() const {
  if (at_ == text_.size()) return "the text ends here";
  const std::size_t length = utf8_sequence_length(text_.substr(at_, 4));
  if (length == 0) return "here is invalid UTF-8";
  if (static_cast<unsigned char>(text_[at_]) < 0x20) return "here is a control character";
  return "here is '" + std::string(text_.substr(at_, length)) + "'";
}

JsonReader::Kind JsonReader::kind() {
  skip_blanks();
  if (at_ == text_.size()) fail("a value is missing; the text ends here");
  switch (text_[at_]) {
    case '"':
      return Kind::kString;
    case '[':
      return Kind::kList;
    case '{':
      return Kind::kObject;
    case 't':
      return Kind::kTrue;
    case 'f':
      return Kind::kFalse;
    case 'n':
      return Kind::kNull;
    case 'N':
    case 'I':
    case 'T':
    case 'F':
      fail("JSON has true, false and null, all in lower case, and no NaN or infinity");
    case '\'':
      fail("JSON strings are in double quotes; a list of Python has to be written by json.dumps");
    default:
      if (text_[at_] == '-' || is_digit(text_[at_])) return Kind::kNumber;
      fail("a value is missing; " + next_in_words());
  }
}

std::string JsonReader::string() {
  std::string value;
  read_string(&value);
  return value;
}

bool JsonReader::enter(char opener) {
  skip_blanks();
  if (!take(opener)) fail(std::string("'") + opener + "' is missing; " + next_in_words());
  skip_blanks();
  return !take(opener == '{' ? '}' : ']');
}

std::string JsonReader::key() {
  skip_blanks();
  std::string key = string();
  skip_blanks();
  if (!take(':')) fail("':' is missing behind a key; " + next_in_words());
  return key;
}

bool JsonReader::more(char closer) {
  skip_blanks();
  if (take(closer)) return false;
  if (!take(',')) fail(std::string("',' or '") + closer + "' is missing; " + next_in_words());
  return true;
}

void JsonReader::skip() {
  std::string closers;  // of the lists and objects around this place, the innermost last: no recursion, no depth limit
  while (true) {
    const Kind kind = this->kind();
    if (kind == Kind::kList || kind == Kind::kObject) {
      if (enter(text_[at_])) {
        closers += kind == Kind::kList ? ']' : '}';
        if (kind == Kind::kObject) key();
        continue;
      }
    } else {
      skip_scalar(kind);
    }
    while (!closers.empty() && !more(closers.back())) closers.pop_back();
    if (closers.empty()) return;
    if (closers.back() == '}') key();
  }
}

void JsonReader::skip_scalar(Kind kind) {
  switch (kind) {
    case Kind::kString:
      return read_string(nullptr);
    case Kind::kNumber:
      return skip_number();
    case Kind::kTrue:
      return skip_word("true");
    case Kind::kFalse:
      return skip_word("false");
    default:
      return skip_word("null");
  }
}

void JsonReader::skip_word(std::string_view word) {
  if (text_.substr(at_, word.size()) != word) fail("expected " + std::string(word));
  at_ += word.size();
}

void JsonReader::skip_number() {
  const auto skip_digits = [&] {
    if (at_ == text_.size() || !is_digit(text_[at_])) fail("a digit is missing; " + next_in_words());
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
  };
  take('-');
  if (!take('0')) skip_digits();  // behind a leading zero comes no digit
  if (take('.')) skip_digits();
  if (take('e') || take('E')) {
    if (!take('-')) take('+');
    skip_digits();
  }
}

void JsonReader::read_string(std::string* out) {
  if (!take('"')) fail("a string in double quotes is missing; " + next_in_words());
  while (true) {
    const std::size_t start = at_;
    while (at_ < text_.size() && !kStops[static_cast<unsigned char>(text_[at_])]) ++at_;
    if (out != nullptr) out->append(text_, start, at_ - start);
    if (at_ == text_.size()) fail("the text ends inside a string");
    if (take('"')) return;
    if (text_[at_] == '\\') {
      read_escape(out);
    } else if (static_cast<unsigned char>(text_[at_]) < 0x20) {
      fail("a control character inside a string; write it as an escape like \\n");
    } else {
      const std::size_t length = utf8_sequence_length(text_.substr(at_, 4));
      if (length == 0) fail("invalid UTF-8; convert the file to UTF-8");
      if (out != nullptr) out->append(text_, at_, length);
      at_ += length;
    }
  }
}

void JsonReader::read_escape(std::string* out) {
  constexpr std::string_view kLetters = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
  if (at_ + 1 == text_.size()) fail("the text ends inside a string");
  const std::size_t letter = kLetters.find(text_[at_ + 1]);
  if (letter != std::string_view::npos) {
    at_ += 2;
    if (out != nullptr) out->push_back(kMeanings[letter]);
    return;
  }
  if (text_[at_ + 1] != 'u') fail("an escape that JSON does not have; a backslash is written \\\\");
  char32_t unit = four_hex_digits();
  if (is_high_surrogate(unit) && text_.substr(at_, 2) == "\\u") {
    const std::size_t second = at_;
    const char32_t low = four_hex_digits();
    if (is_low_surrogate(low)) {
      unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    } else {
      at_ = second;  // stands for itself, perhaps with a partner of its own
    }
  }
  if (is_high_surrogate(unit) || is_low_surrogate(unit)) return;
  if (out != nullptr) append_utf8(unit, *out);
}

char32_t JsonReader::four_hex_digits() {
  char32_t value = 0;
  for (std::size_t i = at_ + 2; i < at_ + 6; ++i) {
    const char c = i < text_.size() ? text_[i] : '\0';
    const char lower = static_cast<char>(c | 0x20);
    if (!is_digit(c) && (lower < 'a' || lower > 'f')) fail("\\u needs four hexadecimal digits");
    value = value * 16 + static_cast<char32_t>(is_digit(c) ? c - '0' : lower - 'a' + 10);
  }
  at_ += 6;
  return value;
}

}  // namespace meshfold::data
