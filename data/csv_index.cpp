#include "data/csv_index.hpp"

#include <algorithm>
#include <array>

#include "data/error.hpp"
#include "data/utf8.hpp"

namespace meshfold::data {
namespace {

// Bytes at which a scan has to stop, inside and outside quotes.
constexpr auto kStops = [] {
  std::array<bool, 256> stops{};
  for (const char c : {',', '"', '\n', '\r', '\0'}) stops[static_cast<unsigned char>(c)] = true;
  for (std::size_t c = 0x80; c < 256; ++c) stops[c] = true;
  return stops;
}();

bool ends_field(char c) { return c == ',' || c == '\n' || c == '\r'; }

/// One pass over the text; `at_`, `line_` and the current record and field say where it is.
class Indexer {
 public:
  Indexer(std::string_view text, const std::string& file) : text_(text), file_(file) {
    if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
  }

  CsvIndex run() {
    read_header();
    in_header_ = false;
    while (!only_blank_lines_left()) {
      index_.starts.push_back(at_);
      index_.lines.push_back(line_);
      record_line_ = line_;
      const std::size_t fields = scan_record();
      if (fields != index_.columns.size()) {
        fail_record("has " + std::to_string(fields) + (fields == 1 ? " field" : " fields") + ", the header has " +
                    std::to_string(index_.columns.size()) + "; quote fields that hold commas or line breaks");
      }
    }
    return std::move(index_);
  }

 private:
  void read_header() {
    if (only_blank_lines_left()) {
      throw InputError({file_, {}, {}, ""}, "no header; the first line must name the columns");
    }
    std::size_t start = at_;
    const std::size_t fields = scan_record();
    for (std::size_t i = 0; i < fields; ++i) {
      std::string name = read_csv_field(text_, start);
      ++start;
      if (std::find(index_.columns.begin(), index_.columns.end(), name) != index_.columns.end()) {
        throw InputError({file_, {}, 1, name}, "the header names this column twice; rename one of them");
      }
      index_.columns.push_back(std::move(name));
    }
  }

  /// Scans from the start of a record to behind its line break; returns the number of fields.
  std::size_t scan_record() {
    for (field_ = 0;; ++field_) {
      if (at_ < text_.size() && text_[at_] == '"') {
        scan_quoted();
      } else {
        scan_plain();
      }
      if (at_ == text_.size()) return field_ + 1;
      if (text_[at_] == ',') {
        ++at_;
        continue;
      }
      if (text_[at_] == '\r') {
        if (at_ + 1 == text_.size() || text_[at_ + 1] != '\n') {
          fail("a carriage return without a line feed; end lines with LF or CRLF, or quote the field");
        }
        ++at_;
      }
      ++at_;
      ++line_;
      return field_ + 1;
    }
  }

  void scan_plain() {
    while (true) {
      skip_ordinary();
      if (at_ == text_.size() || ends_field(text_[at_])) return;
      if (text_[at_] == '"') fail("a quote inside an unquoted field; quote the whole field and double the quote");
      take_character();
    }
  }

  void scan_quoted() {
    const std::uint64_t opening_line = line_;
    ++at_;
    while (true) {
      skip_ordinary();
      if (at_ == text_.size()) {
        line_ = opening_line;
        fail("the quote that opens here is never closed");
      }
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        if (at_ == text_.size() || ends_field(text_[at_])) return;
        if (text_[at_] != '"') fail("text after the closing quote of a field; double the quotes inside it");
        ++at_;
      } else if (c == ',' || c == '\r' || c == '\n') {
        line_ += c == '\n';
        ++at_;
      } else {
        take_character();
      }
    }
  }

  void skip_ordinary() {
    const char* at = text_.data() + at_;
    const char* const end = text_.data() + text_.size();
    while (at != end && !kStops[static_cast<unsigned char>(*at)]) ++at;
    at_ = static_cast<std::size_t>(at - text_.data());
  }

  /// Checks and passes a NUL or a character beyond ASCII.
  void take_character() {
    if (text_[at_] == '\0') fail("a NUL byte; the file must be UTF-8 text (UTF-16 must be converted)");
    const std::size_t length = utf8_sequence_length(text_.substr(at_, 4));
    if (length == 0) fail("invalid UTF-8 at byte offset " + std::to_string(at_) + "; convert the file to UTF-8");
    at_ += length;
  }

  bool only_blank_lines_left() const {
    return at_ == text_.size() || ((text_[at_] == '\n' || text_[at_] == '\r') &&
                                   text_.find_first_not_of("\r\n", at_) == std::string_view::npos);
  }

  [[noreturn]] void fail(const std::string& problem) const {
    throw InputError({file_, row(), line_, !in_header_ && field_ < index_.columns.size() ? index_.columns[field_] : ""},
                     problem);
  }
  [[noreturn]] void fail_record(const std::string& problem) const {
    throw InputError({file_, row(), record_line_, ""}, problem);
  }
  std::optional<std::uint64_t> row() const {
    return in_header_ ? std::nullopt : std::optional<std::uint64_t>(index_.starts.size());
  }

  std::string_view text_;
  const std::string& file_;
  CsvIndex index_;
  std::size_t at_ = 0;
  std::size_t field_ = 0;
  std::uint64_t line_ = 1;
  std::uint64_t record_line_ = 1;
  bool in_header_ = true;
};

}  // namespace

CsvIndex index_csv(std::string_view text, const std::string& file) { return Indexer(text, file).run(); }

std::string read_csv_field(std::string_view text, std::size_t& at) {
  const std::size_t start = at;
  skip_csv_field(text, at);
  if (start == at || text[start] != '"') return std::string(text.substr(start, at - start));
  const std::string_view quoted = text.substr(start + 1, at - start - 2);
  std::string value;
  value.reserve(quoted.size());
  for (std::size_t from = 0; from < quoted.size();) {
    const std::size_t quote = std::min(quoted.find('"', from), quoted.size());
    value.append(quoted, from, quote - from + (quote < quoted.size() ? 1 : 0));
    from = quote + 2;  // inside, quotes come in pairs
  }
  return value;
}

void skip_csv_field(std::string_view text, std::size_t& at) {
  if (at == text.size() || text[at] != '"') {
    at = std::min(text.find_first_of(",\r\n", at), text.size());
    return;
  }
  do at = text.find('"', at + 1) + 1;
  while (at < text.size() && text[at] == '"');
}

}  // namespace meshfold::data
