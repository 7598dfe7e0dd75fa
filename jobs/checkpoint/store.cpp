#include "jobs/checkpoint/store.hpp"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <utility>

#include <unistd.h>

#include "dist/agreement.hpp"
#include "jobs/checkpoint/box.hpp"
#include "jobs/checkpoint/manifest.hpp"
#include "jobs/checkpoint/shard_writer.hpp"
#include "jobs/checkpoint/verified_file.hpp"
#include "jobs/error.hpp"

namespace meshfold::jobs::checkpoint {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kCommittedPrefix = "checkpoint-";
constexpr const char* kTemporaryPrefix = ".tmp-";

fs::path committed_path(const fs::path& directory, std::int64_t step) {
  return directory / (kCommittedPrefix + std::to_string(step));
}

/// Unique enough that two crashed attempts at one step never share a directory.
std::string temporary_name(std::int64_t step) {
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  return kTemporaryPrefix + std::to_string(step) + "-" + std::to_string(::getpid()) + "-" + std::to_string(now);
}

/// Whatever goes wrong while a checkpoint is written is a storage failure that names the checkpoint.
template <typename Write>
void writing(const fs::path& what, Write write) {
  try {
    write();
  } catch (const StorageError&) {
    throw;
  } catch (const std::invalid_argument&) {
    throw;  // our own mistake in the pieces
  } catch (const std::exception& error) {
    throw StorageError(what.string() + ": the checkpoint could not be written: " + error.what());
  }
}

/// Makes the directory of a complete set of shards a checkpoint.
void seal(const fs::path& temporary, const fs::path& committed, const Manifest& manifest) {
  const std::vector<std::string> faults = tiling_faults(manifest);
  if (!faults.empty()) throw StorageError(committed.string() + ": " + faults.front());
  base::write_new_file(temporary / kManifestName, manifest_text(manifest));
  base::sync_directory(temporary);
  base::rename_durably(temporary, committed);
}

/// Why the checkpoint cannot be resumed from; empty if it can.
std::string unusable(const fs::path& checkpoint) {
  const std::vector<std::string> faults = verify_checkpoint(checkpoint);
  if (!faults.empty()) return faults.front();
  if (!read_manifest(checkpoint).finite) return checkpoint.string() + ": it holds infinities or NaNs";
  return {};
}

/// Renames a checkpoint out of the way, keeping it for inspection.
fs::path set_aside(const fs::path& checkpoint) {
  fs::path aside = checkpoint.parent_path() / ("bad-" + checkpoint.filename().string());
  for (int copy = 2; fs::exists(aside); ++copy) {
    aside = checkpoint.parent_path() / ("bad-" + checkpoint.filename().string() + "-" + std::to_string(copy));
  }
  fs::rename(checkpoint, aside);
  return aside;
}

/// `wanted`: the names of all ranks' pieces, for kExact.
void check_names(const Manifest& manifest, const std::vector<Piece>& pieces, Store::Names names,
                 const std::set<std::string>& wanted, const fs::path& checkpoint) {
  for (const Piece& piece : pieces) {
    const auto found = manifest.tensors.find(piece.name);
    if (found == manifest.tensors.end()) {
      throw CheckpointError(checkpoint.string() + ": tensor '" + piece.name + "' is missing; the model is another one");
    }
    if (found->second.shape != piece.global_shape || found->second.type != piece.tensor.scalar_type()) {
      throw CheckpointError(checkpoint.string() + ": tensor '" + piece.name +
                            "' has another shape or dtype than the model's");
    }
  }
  if (names == Store::Names::kSubset) return;
  for (const auto& [name, tensor] : manifest.tensors) {
    if (!wanted.contains(name)) {
      throw CheckpointError(checkpoint.string() + ": tensor '" + name +
                            "' is not part of the model; the model is another one");
    }
  }
}

/// Reads checkpoint tensors by box; opens each shard once.
class PieceReader {
 public:
  PieceReader(const fs::path& checkpoint, const Manifest& manifest) : checkpoint_(checkpoint), manifest_(manifest) {}

  void fill(const Piece& piece) {
    std::int64_t filled = 0;
    for (const StoredPiece& stored : manifest_.tensors.at(piece.name).pieces) {
      const std::optional<models::Box> common = intersection(stored.box, piece.box);
      if (!common) continue;
      copy(stored, *common, piece);
      filled += volume(*common);
    }
    if (filled != volume(piece.box)) {
      throw CheckpointError(checkpoint_.string() + ": tensor '" + piece.name + "' is stored incompletely");
    }
  }

 private:
  /// Copies the box in bands of rows: never more than a few MiB beyond the piece are held, however wide the stored
  /// tensor is.
  void copy(const StoredPiece& stored, const models::Box& common, const Piece& piece) {
    if (stored.box.start.empty()) return copy_band(stored, common, 0, piece);
    const std::uint64_t row_bytes = (stored.end - stored.begin) / static_cast<std::uint64_t>(stored.box.extent[0]);
    const auto band_rows =
        static_cast<std::int64_t>(std::max<std::uint64_t>(1, kBandBytes / std::max<std::uint64_t>(1, row_bytes)));
    const std::int64_t end = common.start[0] + common.extent[0];
    for (std::int64_t first = common.start[0]; first < end; first += band_rows) {
      models::Box band = common;
      band.start[0] = first;
      band.extent[0] = std::min(band_rows, end - first);
      copy_band(stored, band, static_cast<std::uint64_t>(first - stored.box.start[0]) * row_bytes, piece);
    }
  }

  /// Reads the rows of `stored` that `band` touches, which lie together in the file from `offset` on.
  void copy_band(const StoredPiece& stored, const models::Box& band, std::uint64_t offset, const Piece& piece) {
    models::Box rows = stored.box;
    if (!rows.start.empty()) {
      rows.start[0] = band.start[0];
      rows.extent[0] = band.extent[0];
    }
    const at::Tensor read = at::empty(rows.extent, piece.tensor.options().device(at::kCPU));
    const std::uint64_t begin = stored.begin + offset;
    file(stored.file).read(begin, begin + read.nbytes(), static_cast<char*>(read.mutable_data_ptr()));
    view_of(piece.tensor, piece.box, band).copy_(view_of(read, rows, band));
  }

  VerifiedFile& file(const std::string& name) {
    std::unique_ptr<VerifiedFile>& file = files_[name];
    if (!file) file = std::make_unique<VerifiedFile>(checkpoint_ / name, manifest_.files.at(name));
    return *file;
  }

  static constexpr std::uint64_t kBandBytes = std::uint64_t{4} << 20;

  const fs::path& checkpoint_;
  const Manifest& manifest_;
  std::map<std::string, std::unique_ptr<VerifiedFile>> files_;
};

}  // namespace

Store::Store(fs::path job_directory, dist::ProcessGroup& group) : directory_(std::move(job_directory)), group_(group) {}

void Store::commit(std::int64_t step, const std::vector<Piece>& pieces, const json& state) {
  const fs::path committed = committed_path(directory_, step);
  std::string name;
  dist::agree(group_, "begin checkpoint-" + std::to_string(step), [&] {
    if (group_.rank() != 0) return;
    writing(committed, [&] {
      if (fs::exists(committed)) return;
      name = temporary_name(step);
      fs::create_directories(directory_ / name);
    });
  });
  name = group_.broadcast_bytes(name, 0);
  if (name.empty()) return;

  const fs::path temporary = directory_ / name;
  Manifest shard;
  dist::agree(group_, "write checkpoint-" + std::to_string(step),
              [&] { writing(committed, [&] { shard = write_shard(temporary, pieces, group_.rank()); }); });
  const std::vector<std::string> shards = group_.all_gather_bytes(shard_text(shard));
  dist::agree(group_, "commit checkpoint-" + std::to_string(step), [&] {
    if (group_.rank() != 0) return;
    writing(committed, [&] {
      Manifest manifest;
      manifest.step = step;
      manifest.state = state;
      for (const std::string& text : shards) merge_shard(manifest, text);
      seal(temporary, committed, manifest);
    });
  });
}

std::vector<std::int64_t> Store::list() const {
  std::vector<std::int64_t> steps;
  if (!fs::is_directory(directory_)) return steps;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory_)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kCommittedPrefix)) continue;
    const std::string digits = name.substr(std::string(kCommittedPrefix).size());
    if (digits.empty() || digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string::npos) continue;
    steps.push_back(std::stoll(digits));
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::optional<Store::Found> Store::find_newest(std::vector<std::string>& notes) {
  json answer = {{"notes", json::array()}};
  dist::agree(group_, "look for checkpoints in " + directory_.string(), [&] {
    if (group_.rank() != 0) return;
    std::vector<std::int64_t> steps = list();
    for (; !steps.empty() && !answer.contains("step"); steps.pop_back()) {
      const fs::path checkpoint = committed_path(directory_, steps.back());
      const std::string fault = unusable(checkpoint);
      if (fault.empty()) {
        answer["step"] = steps.back();
        answer["state"] = read_manifest(checkpoint).state;
      } else {
        const fs::path aside = set_aside(checkpoint);
        answer["notes"].push_back(fault + "; set aside as " + aside.filename().string() +
                                  ", an older one is looked for");
      }
    }
  });
  answer = json::parse(group_.broadcast_bytes(answer.dump(), 0));
  for (const json& note : answer["notes"]) notes.push_back(note.get<std::string>());
  if (!answer.contains("step")) return std::nullopt;
  return Found{answer["step"].get<std::int64_t>(), answer["state"]};
}

Store::Found Store::find(std::int64_t step) {
  const fs::path checkpoint = committed_path(directory_, step);
  json state;
  dist::agree(group_, "verify " + checkpoint.filename().string(), [&] {
    if (group_.rank() != 0) return;
    const std::vector<std::string> faults = verify_checkpoint(checkpoint);
    if (!faults.empty()) throw CheckpointError(faults.front());
    state = read_manifest(checkpoint).state;
  });
  return {step, json::parse(group_.broadcast_bytes(state.dump(), 0))};
}

void Store::load(std::int64_t step, const std::vector<Piece>& pieces, Names names) {
  const fs::path checkpoint = committed_path(directory_, step);
  std::set<std::string> wanted;
  if (names == Names::kExact) {  // a rank may hold pieces of some tensors only
    json own = json::array();
    for (const Piece& piece : pieces) own.push_back(piece.name);
    for (const std::string& list : group_.all_gather_bytes(own.dump())) {
      for (const json& name : json::parse(list)) wanted.insert(name.get<std::string>());
    }
  }
  dist::agree(group_, "load " + checkpoint.filename().string(), [&] {
    const Manifest manifest = read_manifest(checkpoint);
    check_names(manifest, pieces, names, wanted, checkpoint);
    PieceReader reader(checkpoint, manifest);
    for (const Piece& piece : pieces) reader.fill(piece);
  });
}

void Store::retain(int keep_last, const std::vector<std::int64_t>& protected_steps) {
  dist::agree(group_, "remove old checkpoints of " + directory_.string(), [&] {
    if (group_.rank() != 0 || !fs::is_directory(directory_)) return;
    writing(directory_, [&] {
      std::vector<std::int64_t> steps = list();
      std::reverse(steps.begin(), steps.end());
      std::vector<std::int64_t> removed;
      bool kept_good = false;
      for (std::size_t age = 0; age < steps.size(); ++age) {
        const bool wanted = age < static_cast<std::size_t>(std::max(keep_last, 1)) ||
                            std::ranges::count(protected_steps, steps[age]) > 0;
        // Newest first: as long as none of the kept ones is known to be good, an older good one is the last resort.
        const bool good = !kept_good && unusable(committed_path(directory_, steps[age])).empty();
        if (wanted || good) {
          kept_good = kept_good || good;
        } else {
          removed.push_back(steps[age]);
        }
      }
      for (const fs::directory_entry& entry : fs::directory_iterator(directory_)) {
        if (entry.path().filename().string().starts_with(kTemporaryPrefix)) fs::remove_all(entry.path());
      }
      for (const std::int64_t step : removed) {
        // Renamed first: what is half removed must not look committed.
        const fs::path leaving = directory_ / temporary_name(step);
        fs::rename(committed_path(directory_, step), leaving);
        fs::remove_all(leaving);
      }
    });
  });
}

std::vector<std::string> verify_checkpoint(const fs::path& checkpoint_directory) {
  try {
    const Manifest manifest = read_manifest(checkpoint_directory);
    std::vector<std::string> faults;
    for (const std::string& fault : tiling_faults(manifest)) {
      faults.push_back((checkpoint_directory / kManifestName).string() + ": " + fault);
    }
    for (const auto& [name, digest] : manifest.files) {
      try {
        VerifiedFile file(checkpoint_directory / name, digest);
        file.verify();
      } catch (const CheckpointError& error) {
        faults.push_back(error.what());
      }
    }
    return faults;
  } catch (const CheckpointError& error) {
    return {error.what()};
  }
}

}  // namespace meshfold::jobs::checkpoint
