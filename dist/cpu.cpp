#include "dist/cpu.hpp"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "dist/process_group.hpp"

namespace meshfold::dist {
namespace {

bool have_one_in_common(const std::vector<int>& left, const std::vector<int>& right) {
  return std::ranges::any_of(left, [&](int core) { return std::ranges::binary_search(right, core); });
}

std::string counted(std::size_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

/// "1, 2, ..., 9": the first ones and the last of a long list.
std::string join_shortened(const std::vector<std::string>& items, const std::string& separator) {
  constexpr std::size_t kShown = 4;
  std::string text;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const bool is_shown = items.size() <= kShown || i + 2 < kShown || i + 1 == items.size();
    if (is_shown) text += (i == 0 ? "" : separator) + items[i];
    if (!is_shown && i + 2 == kShown) text += separator + "...";
  }
  return text;
}

std::string named_ranks(const std::vector<int>& ranks) {
  return (ranks.size() == 1 ? "rank " : "ranks ") + ranges_of(ranks);
}

/// Ranks of a machine that have as many cores, sharers and threads each.
struct Kind {
  std::size_t num_cores;
  int sharers, threads;
  auto operator<=>(const Kind&) const = default;
};

std::string describe(const Kind& kind, const std::vector<std::string>& masks) {
  const std::string shared = kind.sharers > 1 ? " shared by " + std::to_string(kind.sharers) : "";
  const std::string noun = kind.num_cores == 1 ? "core " : "cores ";
  const std::string cores =
      masks.size() == 1 ? noun + masks.front() + shared
                        : counted(kind.num_cores, "core") + " each (" + join_shortened(masks, " | ") + ")" + shared;
  return cores + ", " + counted(static_cast<std::size_t>(kind.threads), "thread");
}

}  // namespace

std::vector<int> usable_cores() {
  // The kernel refuses a mask that is too small for the machine, and cpu_set_t ends at 1,024 cores.
  for (std::size_t num_sets = 1; num_sets <= 64; num_sets *= 2) {
    std::vector<cpu_set_t> mask(num_sets);
    const std::size_t num_bytes = num_sets * sizeof(cpu_set_t);
    if (sched_getaffinity(0, num_bytes, mask.data()) == 0) {
      std::vector<int> cores;
      for (std::size_t core = 0; core < num_bytes * 8; ++core) {
        if (CPU_ISSET_S(core, num_bytes, mask.data())) cores.push_back(static_cast<int>(core));
      }
      return cores;
    }
    if (errno != EINVAL) break;
  }
  throw std::system_error(errno, std::generic_category(), "sched_getaffinity");
}

std::vector<RankCores> gather_cores(ProcessGroup& group, const std::string& host) {
  std::string mine = host + "\n";
  for (const int core : usable_cores()) mine += std::to_string(core) + " ";
  std::vector<RankCores> ranks;
  for (const std::string& text : group.all_gather_bytes(mine)) {
    std::istringstream stream(text);
    RankCores& rank = ranks.emplace_back();
    std::getline(stream, rank.host);
    rank.cores.assign(std::istream_iterator<int>(stream), {});
  }
  return ranks;
}

int ranks_that_share(std::span<const RankCores> ranks, int rank) {
  const RankCores& own = ranks[static_cast<std::size_t>(rank)];
  return static_cast<int>(std::ranges::count_if(ranks, [&](const RankCores& other) {
    return other.host == own.host && have_one_in_common(own.cores, other.cores);
  }));
}

int threads_per_rank(std::span<const RankCores> ranks, int rank) {
  if (rank < 0 || static_cast<std::size_t>(rank) >= ranks.size() ||
      ranks[static_cast<std::size_t>(rank)].cores.empty()) {
    throw std::invalid_argument("threads_per_rank: no cores are known of rank " + std::to_string(rank) + " of " +
                                std::to_string(ranks.size()));
  }
  const auto num_cores = static_cast<int>(ranks[static_cast<std::size_t>(rank)].cores.size());
  return std::max(1, num_cores / ranks_that_share(ranks, rank));
}

std::string ranges_of(std::span<const int> ids) {
  std::string text;
  for (std::size_t first = 0, last = 0; first < ids.size(); first = ++last) {
    while (last + 1 < ids.size() && ids[last + 1] == ids[last] + 1) ++last;
    text += (first == 0 ? "" : ", ") + std::to_string(ids[first]);
    if (last > first) text += "-" + std::to_string(ids[last]);
  }
  return text;
}

std::string describe_placement(std::span<const RankCores> ranks, std::span<const int> threads) {
  struct Members {
    std::vector<int> ranks;
    std::vector<std::string> masks;
  };
  std::map<std::pair<std::string, Kind>, Members> alike;
  for (int rank = 0; rank < static_cast<int>(ranks.size()); ++rank) {
    const auto& [host, cores] = ranks[static_cast<std::size_t>(rank)];
    const Kind kind{cores.size(), ranks_that_share(ranks, rank), threads[static_cast<std::size_t>(rank)]};
    Members& members = alike[{host, kind}];
    members.ranks.push_back(rank);
    const std::string mask = ranges_of(cores);
    if (std::ranges::find(members.masks, mask) == members.masks.end()) members.masks.push_back(mask);
  }
  // Machines whose ranks are placed alike share a clause; clauses are in the order of their first ranks.
  struct Clause {
    std::string text;
    std::map<int, std::string> places;  ///< by first rank
    std::size_t num_ranks = 0;
  };
  std::vector<Clause> clauses;
  for (const auto& [key, members] : alike) {
    const std::string text = describe(key.second, members.masks);
    auto clause = std::ranges::find(clauses, text, &Clause::text);
    if (clause == clauses.end()) clause = clauses.insert(clauses.end(), {text, {}, 0});
    clause->places[members.ranks.front()] = ranges_of(members.ranks) + " on " + key.first;
    clause->num_ranks += members.ranks.size();
  }
  std::ranges::sort(clauses, {}, [](const Clause& clause) { return clause.places.begin()->first; });
  std::vector<std::string> texts;
  for (const Clause& clause : clauses) {
    std::vector<std::string> places;
    for (const auto& [first, place] : clause.places) places.push_back(place);
    texts.push_back((clause.num_ranks == 1 ? "rank " : "ranks ") + join_shortened(places, ", ") + ": " + clause.text +
                    (clause.num_ranks == 1 ? "" : " each"));
  }
  return join_shortened(texts, "; ");
}

std::vector<std::string> oversubscribed(std::span<const RankCores> ranks) {
  std::map<std::string, std::set<int>> cores_of_host;
  for (const auto& [host, cores] : ranks) cores_of_host[host].insert(cores.begin(), cores.end());
  std::vector<std::string> sentences;
  for (const auto& [host, all] : cores_of_host) {
    // Every mask is a set that ranks may be confined to, and so is the whole; the most crowded one is told.
    std::set<std::vector<int>> sets{{all.begin(), all.end()}};
    for (const auto& rank : ranks) {
      if (rank.host == host) sets.insert(rank.cores);
    }
    std::vector<int> worst_cores, worst_ranks;
    for (const std::vector<int>& cores : sets) {
      std::vector<int> confined;
      for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
        if (ranks[rank].host == host && std::ranges::includes(cores, ranks[rank].cores)) {
          confined.push_back(static_cast<int>(rank));
        }
      }
      const bool is_worse =
          worst_cores.empty() || confined.size() * worst_cores.size() > worst_ranks.size() * cores.size();
      if (confined.size() > cores.size() && is_worse) {
        worst_cores = cores;
        worst_ranks = confined;
      }
    }
    if (worst_cores.empty()) continue;
    sentences.push_back("more ranks than cores on " + host + ": " + named_ranks(worst_ranks) + " take turns on " +
                        (worst_cores.size() == 1 ? "core " : "cores ") + ranges_of(worst_cores) +
                        ", which is slow; start fewer ranks, or bind them to other cores");
  }
  return sentences;
}

}  // namespace meshfold::dist
