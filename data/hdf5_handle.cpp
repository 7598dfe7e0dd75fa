#include "data/hdf5_handle.hpp"

#include "data/error.hpp"

namespace meshfold::data {
namespace {

herr_t append_entry(unsigned, const H5E_error2_t* entry, void* out) {
  auto& text = *static_cast<std::string*>(out);
  if (!text.empty()) text += "; ";
  text += entry->func_name ? std::string(entry->func_name) + ": " : std::string();
  for (const char* c = entry->desc ? entry->desc : ""; *c != '\0'; ++c) text += *c == '\n' || *c == '\r' ? ' ' : *c;
  return 0;
}

}  // namespace

std::string hdf5_error_text() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, append_entry, &text);
  H5Eclear2(H5E_DEFAULT);
  return text.empty() ? "no further word from HDF5" : text;
}

void silence_hdf5() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

template <typename Result>
Result check_hdf5(Result result, const char* call, const std::string& object) {
  if (result >= 0) return result;
  throw Hdf5Error(object + ": " + call + " failed (" + hdf5_error_text() + ")");
}
template herr_t check_hdf5(herr_t, const char*, const std::string&);
template hid_t check_hdf5(hid_t, const char*, const std::string&);

}  // namespace meshfold::data
