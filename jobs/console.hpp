#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace meshfold::jobs {

/// `text` cut at blanks into lines of at most `width` characters; a longer word has a line of its own. Views of `text`.
std::vector<std::string_view> wrapped(std::string_view text, std::size_t width);

/// What a person sees. Rank 0 speaks on the terminal; every rank has a log file once open_log() was called. On a
/// terminal the progress line is rewritten in place; otherwise progress is plain lines at most every few seconds. Not
/// thread-safe: main thread only.
class Console {
 public:
  /// How progress is shown: rewritten in place, or as plain lines.
  enum class Style { kTerminal, kPlain };

  /// Speaks on stdout; the style is found out (see watched_terminal in console.cpp).
  explicit Console(int rank);
  /// Speaks on `stream`, which must outlive this object.
  Console(int rank, std::FILE* stream, Style style);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  /// `<run>/logs/rank-0000.log`, appended to; the directory is made. Lines said earlier are written first. Throws
  /// StorageError.
  void open_log(const std::string& run_directory);
  /// One line, with time in the log; on the terminal on rank 0 only.
  void say(std::string_view line);
  /// To this rank's log file only.
  void log(std::string_view line);
  /// As say(), marked as a warning.
  void warn(std::string_view line);
  /// Two columns, aligned: the start-up table. Rank 0 only.
  void table(std::string_view title, const std::vector<std::pair<std::string, std::string>>& rows);
  /// Header and rows, columns aligned, numbers right. Rank 0 only.
  void grid(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);
  /// The present state of all running jobs in one line; see class comment.
  void progress(std::string_view line);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace meshfold::jobs
