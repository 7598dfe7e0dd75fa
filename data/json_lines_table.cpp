#include "data/json_lines_table.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "data/json_reader.hpp"
#include "data/map_input.hpp"
#include "data/utf8.hpp"

namespace meshfold::data {
namespace {

struct Index {
  std::vector<std::string> columns;
  std::vector<std::uint64_t> starts, lines;  ///< byte offset and text line of each row
};

std::string_view line_at(std::string_view text, std::size_t start) {
  return text.substr(start, std::min(text.find('\n', start), text.size()) - start);
}

/// One pass over the text.
class Indexer {
 public:
  Indexer(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  Index run() {
    std::size_t start = text_.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
    for (line_ = 1; start < text_.size(); ++line_) {
      const std::string_view line = line_at(text_, start);
      if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
        index_.starts.push_back(start);
        index_.lines.push_back(line_);
        key_.clear();
        try {
          take_row(line);
        } catch (const JsonError& error) {
          refuse(error, line, start + line.size() == text_.size());
        }
      }
      start += line.size() + 1;
    }
    if (index_.starts.empty()) throw InputError({file_, {}, {}, ""}, "no rows; each line must hold one JSON object");
    return std::move(index_);
  }

 private:
  void take_row(std::string_view line) {
    JsonReader reader(line);
    const JsonReader::Kind kind = reader.kind();
    if (kind != JsonReader::Kind::kObject) {
      fail(kind == JsonReader::Kind::kList
               ? "a JSON list where a row must be an object; jq -c '.[]' turns a list of objects into lines"
               : "each line must hold one JSON object, as {\"id\": 1, \"text\": \"...\"}");
    }
    if (reader.enter('{')) {
      do {
        key_ = reader.key();
        const auto [column, is_new] = column_of_.emplace(key_, index_.columns.size());
        if (is_new) {
          index_.columns.push_back(key_);
          last_row_.push_back(0);
        }
        std::size_t& last_row = last_row_[column->second];
        if (last_row == index_.starts.size()) fail("the object has this key twice; remove one of them");
        last_row = index_.starts.size();
        reader.skip();
        key_.clear();
      } while (reader.more('}'));
    }
    if (!reader.at_end()) throw JsonError(reader.at(), "more text behind the object; write one object a line");
  }

  [[noreturn]] void refuse(const JsonError& error, std::string_view line, bool is_last) const {
    std::string problem = "byte " + std::to_string(error.at() + 1) + " of the line: " + error.what();
    if (error.at() >= line.find_last_not_of(" \t\r") + 1) {
      problem += is_last ? "; the last line was cut off: fetch or write the file again"
                         : "; an object must end on the line that it begins on (jq -c writes it so)";
    }
    fail(problem);
  }
  [[noreturn]] void fail(const std::string& problem) const {
    throw InputError({file_, index_.starts.size(), line_, key_}, problem);
  }

  std::string_view text_;
  const std::string& file_;
  Index index_;
  std::unordered_map<std::string, std::size_t> column_of_;
  std::vector<std::size_t> last_row_;  ///< of each column: the last row (from 1) that has it
  std::uint64_t line_ = 1;
  std::string key_;  ///< whose value is being read
};

/// The value that begins here; the text was checked before.
Cell read_value(JsonReader& reader, std::string_view line) {
  using Kind = JsonReader::Kind;
  const Kind kind = reader.kind();
  if (kind == Kind::kString) return {Cell::Type::kText, reader.string()};
  const std::size_t start = reader.at();
  reader.skip();
  std::string written(line.substr(start, reader.at() - start));
  switch (kind) {
    case Kind::kNull:
      return {Cell::Type::kNull, {}};
    case Kind::kNumber:
      return {Cell::Type::kNumber, std::move(written)};
    case Kind::kList:
      return {Cell::Type::kList, std::move(written)};
    case Kind::kObject:
      return {Cell::Type::kObject, std::move(written)};
    default:
      return {Cell::Type::kBoolean, std::move(written)};
  }
}

}  // namespace

struct JsonLinesTable::Contents {
  std::filesystem::path file;
  base::MappedFile mapping;
  Index index;
};

JsonLinesTable::JsonLinesTable(std::unique_ptr<Contents> contents) : contents_(std::move(contents)) {}
JsonLinesTable::JsonLinesTable(JsonLinesTable&&) noexcept = default;
JsonLinesTable& JsonLinesTable::operator=(JsonLinesTable&&) noexcept = default;
JsonLinesTable::~JsonLinesTable() = default;

JsonLinesTable JsonLinesTable::open(const std::filesystem::path& file) {
  base::MappedFile mapping = map_input(file);
  Index index = Indexer(mapping.bytes(), file.string()).run();
  return JsonLinesTable(std::make_unique<Contents>(Contents{file, std::move(mapping), std::move(index)}));
}

const std::filesystem::path& JsonLinesTable::file() const { return contents_->file; }
std::size_t JsonLinesTable::num_rows() const { return contents_->index.starts.size(); }
const std::vector<std::string>& JsonLinesTable::columns() const { return contents_->index.columns; }
std::uint64_t JsonLinesTable::line_of(std::size_t row) const { return contents_->index.lines[row]; }
std::string_view JsonLinesTable::bytes() const { return contents_->mapping.bytes(); }

Cell JsonLinesTable::read(std::size_t row, std::size_t column) const {
  const std::string_view line = line_at(bytes(), contents_->index.starts[row]);
  JsonReader reader(line);
  if (reader.enter('{')) {
    do {
      if (reader.key() == columns()[column]) return read_value(reader, line);
      reader.skip();
    } while (reader.more('}'));
  }
  return {Cell::Type::kMissing, {}};
}

}  // namespace meshfold::data
