#include "models/files/safetensors_header.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "models/error.hpp"
#include "models/files/safetensors_dtype.hpp"

namespace meshfold::models {
namespace {

using Json = nlohmann::json;

/// Parses and refuses repeated keys, of which a JSON library keeps one without a word.
Json parse_without_repeated_keys(const std::string& file, std::string_view text) {
  std::vector<std::set<std::string>> open_objects;
  const auto watch = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == Json::parse_event_t::object_end) open_objects.pop_back();
    if (event == Json::parse_event_t::key && !open_objects.back().insert(parsed.get<std::string>()).second) {
      throw ModelFileError(file, "key '" + parsed.get<std::string>() + "' is in the header twice; write the file anew");
    }
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), watch);
  } catch (const Json::exception& error) {
    throw ModelFileError(file, "the header is not JSON (" + std::string(error.what()) + "); fetch the file again");
  }
}

class EntryParser {
 public:
  EntryParser(std::string file, std::string name, const Json& json)
      : file_(std::move(file)), name_(std::move(name)), json_(json) {}

  SafetensorsFile::Entry parse(std::uint64_t data_bytes) const {
    if (!json_.is_object() || json_.size() != 3) fail("needs exactly dtype, shape and data_offsets");
    SafetensorsFile::Entry entry{{type(), {}}, 0, 0};
    for (const Json& extent : list("shape")) {
      entry.shape.push_back(static_cast<std::int64_t>(number(extent, "shape", std::uint64_t{INT64_MAX})));
    }
    const Json& offsets = list("data_offsets");
    if (offsets.size() != 2) fail("needs two data_offsets");
    entry.begin = number(offsets[0], "data_offsets", data_bytes);
    entry.end = number(offsets[1], "data_offsets", data_bytes);
    if (entry.begin > entry.end) fail("ends before it begins");
    if (num_bytes(entry) != entry.end - entry.begin) fail("has a shape that does not fit its data_offsets");
    return entry;
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw ModelFileError(file_, "tensor '" + name_ + "' " + problem + "; the file is damaged, fetch it again");
  }

  const Json& member(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end()) fail(std::string("lacks ") + key);
    return *found;
  }

  const Json& list(const char* key) const {
    const Json& value = member(key);
    if (!value.is_array()) fail(std::string("has a ") + key + " that is no list");
    return value;
  }

  std::uint64_t number(const Json& value, const char* key, std::uint64_t limit) const {
    if (!value.is_number_unsigned()) fail(std::string("has a ") + key + " entry that is no natural number");
    const auto result = value.get<std::uint64_t>();
    if (result > limit) fail(std::string("has a ") + key + " entry beyond the end of the file");
    return result;
  }

  at::ScalarType type() const {
    const Json& value = member("dtype");
    for (const auto& [name, scalar_type] : kSafetensorsTypes) {
      if (value.is_string() && value.get<std::string>() == name) return scalar_type;
    }
    throw ModelFileError(file_, "tensor '" + name_ + "' has dtype " + value.dump() +
                                    ", which is not supported; convert it to F32, F16 or BF16");
  }

  std::uint64_t num_bytes(const SafetensorsFile::Entry& entry) const {
    std::uint64_t bytes = c10::elementSize(entry.type);
    for (const std::int64_t extent : entry.shape) {
      if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(extent), &bytes)) fail("is larger than any file");
    }
    return bytes;
  }

  std::string file_, name_;
  const Json& json_;
};

/// The tensors, in the order of their bytes, must fill the data part exactly.
void check_tiling(const std::string& file, const std::map<std::string, SafetensorsFile::Entry>& entries,
                  std::uint64_t data_bytes) {
  std::vector<std::pair<const std::string*, const SafetensorsFile::Entry*>> ordered;
  for (const auto& [name, entry] : entries) ordered.emplace_back(&name, &entry);
  std::sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second->begin, a.second->end) < std::pair(b.second->begin, b.second->end);
  });
  std::uint64_t end = 0;
  for (const auto& [name, entry] : ordered) {
    if (entry->begin == end) {
      end = entry->end;
      continue;
    }
    const char* fault = entry->begin < end ? "' overlaps the tensor before it" : "' begins after a gap";
    throw ModelFileError(file, "tensor '" + *name + fault + "; the file is damaged, fetch it again");
  }
  if (end != data_bytes) {
    throw ModelFileError(file, "the tensors end at byte " + std::to_string(end) + " of " + std::to_string(data_bytes) +
                                   " bytes of data; the file is damaged, fetch it again");
  }
}

}  // namespace

SafetensorsHeader parse_safetensors_header(const std::filesystem::path& file, std::string_view text,
                                           std::uint64_t data_bytes) {
  const std::string path = file.string();
  if (text.empty() || text.front() != '{')
    throw ModelFileError(path, "the header is no JSON object; fetch the file again");
  const Json json = parse_without_repeated_keys(path, text);
  SafetensorsHeader header;
  for (const auto& [name, value] : json.items()) {
    if (name != "__metadata__") {
      header.entries.emplace(name, EntryParser(path, name, value).parse(data_bytes));
      continue;
    }
    if (!value.is_object()) throw ModelFileError(path, "__metadata__ is no JSON object; write the file anew");
    for (const auto& [key, text_value] : value.items()) {
      if (!text_value.is_string())
        throw ModelFileError(path, "__metadata__ '" + key + "' is no string; write the file anew");
      header.metadata.emplace(key, text_value.get<std::string>());
    }
  }
  check_tiling(path, header.entries, data_bytes);
  return header;
}

}  // namespace meshfold::models
