#include <ATen/Version.h>
#include <mpi.h>

#include <filesystem>
#include <map>

#include "base/checksum.hpp"
#include "base/mapped_file.hpp"
#include "base/text.hpp"
#include "jobs/selftest/checks.hpp"
#include "jobs/selftest/rank_outcomes.hpp"
#include "models/ops/kernels/matmul.hpp"

namespace meshfold::jobs::selftest {
namespace {

using nlohmann::json;

std::string mpi_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string all(text, static_cast<std::size_t>(length));
  return all.substr(0, all.find(','));
}

json describe_program() {
  const std::filesystem::path program = "/proc/self/exe";
  return {{"path", std::filesystem::read_symlink(program).string()},
          {"hash", base::xxh3_64_hex(base::MappedFile(program).bytes())},
          {"mpi", mpi_version()},
          {"kernels", models::ops::kernel_paths()}};
}

std::string count_hosts(const Context& context) {
  std::map<std::string, int> ranks_of_host;
  for (const auto& rank : context.placement.ranks) ++ranks_of_host[rank.host];
  const std::string hosts = base::joined(
      ranks_of_host, ", ", [](const auto& entry) { return entry.first + ": " + std::to_string(entry.second); });
  return std::to_string(context.size()) + " on " + std::to_string(ranks_of_host.size()) +
         (ranks_of_host.size() == 1 ? " machine (" : " machines (") + hosts + ")";
}

}  // namespace

Finding check_ranks(const Context& context) {
  const auto outcomes = gather_outcomes(context.world, describe_program);
  if (const auto failed = fault_of(context, outcomes, "read its own program", "start an installed meshfold")) {
    return *failed;
  }
  const json& first = outcomes.front().value;
  const auto text = [](const json& value, const char* key) { return value[key].get<std::string>(); };
  const std::string program = "meshfold " MESHFOLD_VERSION " (" + text(first, "hash") + "), " + text(first, "mpi");
  Finding finding = ok(count_hosts(context) + "; " + program + "; " + text(first, "kernels"));
  for (int rank = 1; rank < context.size(); ++rank) {
    const json& other = outcomes[static_cast<std::size_t>(rank)].value;
    const std::string who = name_of_rank(context, rank);
    if (other["hash"] != first["hash"] || other["mpi"] != first["mpi"]) {
      return fault(ExitCode::kConfig,
                   who + " runs " + text(other, "path") + " (" + text(other, "hash") + ", " + text(other, "mpi") +
                       "), but rank 0 runs " + text(first, "path") + " (" + text(first, "hash") + ", " +
                       text(first, "mpi") + ")",
                   "install one build of Meshfold and of MPI on all machines, or start it from shared storage");
    }
    if (other["kernels"] != first["kernels"] && finding.verdict == Verdict::kOk) {
      finding = warning(who + " computes by " + text(other, "kernels") + ", but rank 0 by " + text(first, "kernels"),
                        "take machines with the same processors where bits must not differ "
                        "(training.deterministic)");
    }
  }
  return finding;
}

}  // namespace meshfold::jobs::selftest
