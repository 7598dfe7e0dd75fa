#include "jobs/prepare/lone_dataset.hpp"

#include <stdlib.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <system_error>

#include "data/dataset_writer.hpp"
#include "data/hdf5_handle.hpp"
#include "jobs/error.hpp"
#include "jobs/prepare/dataset_recipe.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;

/// A directory of this process, removed with its files.
class TemporaryDirectory {
 public:
  TemporaryDirectory() : path_((fs::temp_directory_path() / "meshfold-XXXXXX").string()) {
    if (::mkdtemp(path_.data()) == nullptr) {
      throw StorageError(path_ + ": cannot be made: " + std::strerror(errno) + "; set TMPDIR to a directory with room");
    }
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  fs::path path() const { return path_; }

 private:
  std::string path_;
};

void write_alone(DatasetRecipe& recipe, const fs::path& file) {
  recipe.table.scan();
  const data::DatasetPart part = recipe.table.tokenize(0, recipe.table.table().num_rows(), *recipe.tokenizer);
  std::uint64_t id_bytes = 0;
  for (const std::string& id : part.ids) id_bytes += id.size();
  const data::DatasetLayout layout = recipe.layout(part.tokens.size(), id_bytes);
  data::silence_hdf5();
  const data::Hdf5Properties access(H5Pcreate(H5P_FILE_ACCESS), "H5Pcreate", "the file-access list");
  data::DatasetWriter writer(file, layout, access.get());
  writer.write(part);
  if (layout.has_groups) writer.write_groups(recipe.table.group_names());
  writer.close();
}

}  // namespace

PreparedDataset prepare_dataset_alone(const RunConfig& config, const fs::path& table, TableRole role,
                                      Console& console) {
  const auto start = std::chrono::steady_clock::now();
  DatasetRecipe recipe(config, table, role);
  PreparedDataset prepared;
  prepared.from_cache = recipe.is_cached(console);
  if (prepared.from_cache) {
    prepared.file = recipe.file;
    prepared.dataset = data::Dataset::open(recipe.file, config.data.read);
  } else {
    const TemporaryDirectory directory;
    const fs::path file = directory.path() / recipe.file.filename();
    write_alone(recipe, file);
    prepared.dataset = data::Dataset::open(file);
  }
  prepared.class_names = class_names_of(prepared.dataset);
  prepared.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return prepared;
}

}  // namespace meshfold::jobs
