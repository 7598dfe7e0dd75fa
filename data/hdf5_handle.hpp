#pragma once

#include <hdf5.h>

#include <string>
#include <utility>

namespace meshfold::data {

/// `result` unless it is negative; then Hdf5Error with the call, the object and HDF5's own error stack in one line.
template <typename Result>
Result check_hdf5(Result result, const char* call, const std::string& object);
extern template herr_t check_hdf5(herr_t, const char*, const std::string&);
extern template hid_t check_hdf5(hid_t, const char*, const std::string&);

/// HDF5's error stack as one line, innermost first; empties it.
std::string hdf5_error_text();

/// Keeps HDF5 from printing its error stack to the terminal: we put it into the exception. Called before any other HDF5
/// call.
void silence_hdf5();

/// Owns one HDF5 identifier of the kind that `Close` closes.
template <herr_t (*Close)(hid_t)>
class UniqueHdf5 {
 public:
  UniqueHdf5() = default;
  /// Takes ownership of what an HDF5 call returned; throws Hdf5Error if the call failed.
  UniqueHdf5(hid_t id, const char* call, const std::string& object) : id_(check_hdf5(id, call, object)) {}
  UniqueHdf5(UniqueHdf5&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)) {}
  UniqueHdf5& operator=(UniqueHdf5&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  UniqueHdf5(const UniqueHdf5&) = delete;
  UniqueHdf5& operator=(const UniqueHdf5&) = delete;
  ~UniqueHdf5() {
    if (id_ >= 0) Close(id_);
  }

  hid_t get() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }
  /// Closes and reports: a file's close may be the first to see a failed write.
  void close(const char* call, const std::string& object) {
    if (id_ >= 0) check_hdf5(Close(std::exchange(id_, H5I_INVALID_HID)), call, object);
  }

 private:
  hid_t id_ = H5I_INVALID_HID;
};

using Hdf5File = UniqueHdf5<H5Fclose>;
using Hdf5Dataset = UniqueHdf5<H5Dclose>;
using Hdf5Space = UniqueHdf5<H5Sclose>;
using Hdf5Type = UniqueHdf5<H5Tclose>;
using Hdf5Attribute = UniqueHdf5<H5Aclose>;
using Hdf5Properties = UniqueHdf5<H5Pclose>;

}  // namespace meshfold::data
