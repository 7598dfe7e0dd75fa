#include "jobs/console.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "jobs/error.hpp"

namespace meshfold::jobs {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPlainInterval = std::chrono::seconds(10);  // a log of a long run stays readable
constexpr auto kRewriteInterval = std::chrono::milliseconds(100);

/// Open MPI gives every rank a pseudo-terminal for stdout, whatever mpirun's own stdout is. So under mpirun it is the
/// parent's stdout that tells whether somebody watches, and how wide that terminal is; on another node than mpirun the
/// parent has none, and lines are plain. Empty if nobody watches.
std::string watched_terminal() {
  const char* terminal = std::getenv("TERM");
  if (!isatty(STDOUT_FILENO) || terminal == nullptr || std::strcmp(terminal, "dumb") == 0) return {};
  const bool under_mpirun = std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr;
  const auto process = under_mpirun ? std::to_string(getppid()) : std::string("self");
  std::error_code ignored;
  const auto target = std::filesystem::read_symlink("/proc/" + process + "/fd/1", ignored).string();
  return target.starts_with("/dev/pts/") || target.starts_with("/dev/tty") ? target : std::string();
}

/// Asked for every line: a window changes its size.
std::size_t terminal_columns(std::FILE* stream, const std::string& terminal) {
  winsize size{};
  const int watched = terminal.empty() ? -1 : ::open(terminal.c_str(), O_RDONLY | O_NOCTTY | O_CLOEXEC);
  const int known = ioctl(watched >= 0 ? watched : fileno(stream), TIOCGWINSZ, &size);
  if (watched >= 0) ::close(watched);
  if (known == 0 && size.ws_col > 0) return size.ws_col;
  const char* columns = std::getenv("COLUMNS");
  const long number = columns != nullptr ? std::strtol(columns, nullptr, 10) : 0;
  return number > 10 ? static_cast<std::size_t>(number) : 100;
}

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

/// Code points; near enough to columns for labels and figures.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_character));
}

std::string_view cut_to(std::string_view text, std::size_t width) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (starts_character(text[i]) && ++characters > width) return text.substr(0, i);
  }
  return text;
}

std::string padded(std::string_view text, std::size_t width, bool to_the_right) {
  const std::string blanks(width - std::min(width, width_of(text)), ' ');
  return to_the_right ? blanks + std::string(text) : std::string(text) + blanks;
}

bool is_figure(std::string_view text) {
  return !text.empty() && text.find_first_of("0123456789") != std::string_view::npos &&
         text.find_first_not_of("0123456789+-.,:%e ") == std::string_view::npos;
}

std::string without_trailing_blanks(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

std::string time_stamp() {
  const auto now = std::chrono::system_clock::now();
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[40];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text + length, sizeof text - length, ".%03dZ", static_cast<int>(milliseconds));
  return text;
}

}  // namespace

std::vector<std::string_view> wrapped(std::string_view text, std::size_t width) {
  std::vector<std::string_view> lines;
  while (width_of(text) > width) {
    const std::size_t within = text.rfind(' ', cut_to(text, width + 1).size() - 1);
    const std::size_t cut = within != std::string_view::npos && within > 0 ? within : text.find(' ', 1);
    if (cut == std::string_view::npos) break;
    lines.push_back(text.substr(0, cut));
    text.remove_prefix(cut + 1);
  }
  lines.push_back(text);
  return lines;
}

struct Console::State {
  int rank;
  std::FILE* stream;
  Style style;
  std::string terminal;  ///< the device that somebody watches; empty: `stream` itself
  std::ofstream log_file;
  std::string before_log;  // what was logged before the file was open
  bool line_in_place = false;
  bool progress_was_shown = false;
  std::string last_plain;  ///< nothing new is not said again
  Clock::time_point last_progress;

  void to_log(std::string_view line) {
    const std::string entry = time_stamp() + " " + std::string(line) + "\n";
    if (log_file.is_open()) {
      log_file << entry << std::flush;
    } else {
      before_log += entry;
    }
  }

  void to_terminal(std::string_view line) {
    if (rank != 0) return;
    clear_progress();
    std::fwrite(line.data(), 1, line.size(), stream);
    std::fputc('\n', stream);
    std::fflush(stream);
  }

  std::size_t columns() const { return terminal_columns(stream, terminal); }

  void clear_progress() {
    if (line_in_place) std::fputs("\r\033[K", stream);
    line_in_place = false;
  }
};

Console::Console(int rank) : Console(rank, stdout, Style::kPlain) {
  state_->terminal = watched_terminal();
  if (!state_->terminal.empty()) state_->style = Style::kTerminal;
}

Console::Console(int rank, std::FILE* stream, Style style) : state_(std::make_unique<State>()) {
  state_->rank = rank;
  state_->stream = stream;
  state_->style = style;
}

Console::~Console() {
  state_->clear_progress();
  std::fflush(state_->stream);
}

void Console::open_log(const std::string& run_directory) {
  const auto directory = std::filesystem::path(run_directory) / "logs";
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  char name[32];
  std::snprintf(name, sizeof name, "rank-%04d.log", state_->rank);
  const auto file = directory / name;
  errno = 0;
  state_->log_file.open(file, std::ios::app);
  if (!state_->log_file) throw StorageError(file.string() + ": cannot open the log: " + std::strerror(errno));
  state_->log_file << state_->before_log << std::flush;
  state_->before_log.clear();
}

void Console::say(std::string_view line) {
  state_->to_terminal(line);
  state_->to_log(line);
}

void Console::log(std::string_view line) { state_->to_log(line); }

void Console::warn(std::string_view line) { say("warning: " + std::string(line)); }

void Console::table(std::string_view title, const std::vector<std::pair<std::string, std::string>>& rows) {
  if (state_->rank != 0) return;
  std::size_t width = 0;
  for (const auto& [label, value] : rows) width = std::max(width, width_of(label));
  say(title);
  // On a terminal a long value goes on below its own beginning; in the log a fact is one line.
  const std::size_t room = state_->style == Style::kTerminal ? state_->columns() : std::string::npos;
  const std::size_t indent = width + 4;
  for (const auto& [label, value] : rows) {
    const auto lines = wrapped(value, room == std::string::npos ? room : std::max(room, indent + 20) - indent);
    state_->to_log(without_trailing_blanks("  " + padded(label, width, false) + "  " + value));
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const auto start = i == 0 ? "  " + padded(label, width, false) + "  " : std::string(indent, ' ');
      state_->to_terminal(without_trailing_blanks(start + std::string(lines[i])));
    }
  }
}

void Console::grid(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  if (state_->rank != 0) return;
  std::vector<std::size_t> widths;
  std::vector<bool> figures;  // a column of figures stands right, under a header that does too
  for (std::size_t column = 0; column < header.size(); ++column) {
    widths.push_back(width_of(header[column]));
    bool all_figures = !rows.empty();
    for (const auto& row : rows) {
      if (column >= row.size()) continue;
      widths.back() = std::max(widths.back(), width_of(row[column]));
      all_figures = all_figures && (row[column].empty() || is_figure(row[column]));
    }
    figures.push_back(all_figures);
  }
  const auto put = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t column = 0; column < header.size() && column < cells.size(); ++column) {
      const bool right = figures[column] || (&cells != &header && is_figure(cells[column]));
      line += "  " + padded(cells[column], widths[column], right);
    }
    say(without_trailing_blanks(line));
  };
  put(header);
  std::string rule;
  for (const std::size_t width : widths) rule += "  " + std::string(width, '-');
  say(rule);
  for (const auto& row : rows) put(row);
}

void Console::progress(std::string_view line) {
  if (state_->rank != 0) return;
  const auto now = Clock::now();
  const bool in_place = state_->style == Style::kTerminal;
  const Clock::duration interval = in_place ? Clock::duration(kRewriteInterval) : Clock::duration(kPlainInterval);
  if (state_->progress_was_shown && now - state_->last_progress < interval) return;
  state_->progress_was_shown = true;
  state_->last_progress = now;
  if (!in_place) {
    if (line == state_->last_plain) return;
    state_->last_plain = line;
    return say(line);
  }
  // One column stays free: a full line would wrap, and then it cannot be rewritten.
  const std::string_view shown = cut_to(line, state_->columns() - 1);
  std::fprintf(state_->stream, "\r\033[K%.*s", static_cast<int>(shown.size()), shown.data());
  std::fflush(state_->stream);
  state_->line_in_place = true;
}

}  // namespace meshfold::jobs
