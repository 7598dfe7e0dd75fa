#include "data/dataset_columns.hpp"

#include <bit>

#include "data/error.hpp"

namespace meshfold::data {
namespace {

// The file is little-endian and columns are used as they lie.
static_assert(std::endian::native == std::endian::little);

Hdf5Properties read_access(const std::string& name) {
  Hdf5Properties access(H5Pcreate(H5P_FILE_ACCESS), "H5Pcreate", name);
  // Committed files never change, and a lock fails on network file systems that have none.
  check_hdf5(H5Pset_file_locking(access.get(), false, true), "H5Pset_file_locking", name);
  return access;
}

std::string read_attribute(hid_t file, const std::string& object, const std::string& name) {
  const std::string what = object + ", attribute '" + name + "'";
  const Hdf5Attribute attribute(H5Aopen(file, name.c_str(), H5P_DEFAULT), "H5Aopen", what);
  const Hdf5Type type(H5Aget_type(attribute.get()), "H5Aget_type", what);
  if (H5Tget_class(type.get()) != H5T_STRING || H5Tis_variable_str(type.get()) != 0) return {};  // not one of ours
  const Hdf5Space space(H5Aget_space(attribute.get()), "H5Aget_space", what);
  if (H5Sget_simple_extent_npoints(space.get()) != 1) return {};
  std::string value(H5Tget_size(type.get()), '\0');
  check_hdf5(H5Aread(attribute.get(), type.get(), value.data()), "H5Aread", what);
  value.resize(value.find_last_not_of('\0') + 1);
  return value;
}

}  // namespace

DatasetColumns::DatasetColumns(const std::filesystem::path& file, const base::MappedFile* mapped)
    : path_(file), mapped_(mapped) {
  silence_hdf5();
  if (!std::filesystem::is_regular_file(file)) reject("there is no such file");
  const Hdf5Properties access = read_access(file.string());
  const hid_t id = H5Fopen(file.c_str(), H5F_ACC_RDONLY, access.get());
  if (id < 0) {
    const std::string words = hdf5_error_text();
    if (words.find("truncated file") != std::string::npos)
      reject("the file is truncated (" + words + "); make it again");
    reject("not a readable HDF5 file (" + words + ")");
  }
  file_ = Hdf5File(id, "H5Fopen", file.string());
}

void DatasetColumns::reject(const std::string& problem) const {
  throw InputError({.file = path_.string(), .row = {}, .line = {}, .column = {}}, problem);
}

std::map<std::string, std::string> DatasetColumns::attributes() const {
  std::map<std::string, std::string> found;
  std::vector<std::string> names;
  const auto collect = [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  check_hdf5(H5Aiterate2(file_.get(), H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, collect, &names), "H5Aiterate2",
             path_.string());
  for (const std::string& name : names) found[name] = read_attribute(file_.get(), path_.string(), name);
  return found;
}

bool DatasetColumns::has(const char* name) const {
  return check_hdf5(H5Lexists(file_.get(), name, H5P_DEFAULT), "H5Lexists", path_.string() + ", " + name) > 0;
}

Column DatasetColumns::load(const char* name, hid_t type, std::size_t bytes_per_value, std::size_t num_dims) const {
  const std::string what = path_.string() + ", " + name;
  const std::string column = std::string("column /") + name;
  if (!has(name)) reject(column + " is missing");
  const Hdf5Dataset dataset(H5Dopen2(file_.get(), name, H5P_DEFAULT), "H5Dopen2", what);
  const Hdf5Type stored(H5Dget_type(dataset.get()), "H5Dget_type", what);
  if (H5Tequal(stored.get(), type) <= 0) reject(column + " has another element type than this format");
  const Hdf5Properties properties(H5Dget_create_plist(dataset.get()), "H5Dget_create_plist", what);
  if (H5Pget_layout(properties.get()) != H5D_CONTIGUOUS) reject(column + " is not stored contiguously");
  if (H5Pget_external_count(properties.get()) != 0) reject(column + " is stored in another file");

  const Hdf5Space space(H5Dget_space(dataset.get()), "H5Dget_space", what);
  if (H5Sget_simple_extent_ndims(space.get()) != static_cast<int>(num_dims)) {
    reject(column + " does not have " + std::to_string(num_dims) + " dimensions");
  }
  Column result;
  hsize_t extents[2] = {0, 0};
  check_hdf5(H5Sget_simple_extent_dims(space.get(), extents, nullptr), "H5Sget_simple_extent_dims", what);
  result.extents.assign(extents, extents + num_dims);
  const std::uint64_t bytes = result.size() * bytes_per_value;
  if (bytes == 0) return result;

  const haddr_t offset = H5Dget_offset(dataset.get());
  const std::uint64_t file_bytes = std::filesystem::file_size(path_);
  if (offset == HADDR_UNDEF || offset > file_bytes || bytes > file_bytes - offset) {
    reject(column + " needs " + std::to_string(bytes) + " bytes, but the file is truncated (" +
           std::to_string(file_bytes) + " bytes); make it again");
  }
  if (mapped_ != nullptr && offset % bytes_per_value == 0 && offset + bytes <= mapped_->bytes().size()) {
    result.data = reinterpret_cast<const std::byte*>(mapped_->bytes().data()) + offset;
  } else {
    result.copy.resize(bytes);
    check_hdf5(H5Dread(dataset.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, result.copy.data()), "H5Dread", what);
    result.data = result.copy.data();
  }
  return result;
}

}  // namespace meshfold::data
