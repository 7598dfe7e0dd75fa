#include "jobs/checkpoint/manifest.hpp"

#include <array>
#include <cstddef>
#include <stdexcept>
#include <utility>

#include "base/checksum.hpp"
#include "jobs/checkpoint/box.hpp"
#include "jobs/error.hpp"

namespace meshfold::jobs::checkpoint {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kFormat = "meshfold-checkpoint";
constexpr int kVersion = 1;
/// The text's first bytes, up to the digits of the hash.
constexpr std::string_view kOpening = "{\n \"sha256\": \"";
constexpr std::size_t kHashDigits = 64;

constexpr std::array<std::pair<at::ScalarType, const char*>, 6> kTypes = {{{at::kFloat, "F32"},
                                                                           {at::kDouble, "F64"},
                                                                           {at::kBFloat16, "BF16"},
                                                                           {at::kInt, "I32"},
                                                                           {at::kLong, "I64"},
                                                                           {at::kByte, "U8"}}};

at::ScalarType type_of(const std::string& name) {
  for (const auto& [type, text] : kTypes) {
    if (name == text) return type;
  }
  throw std::invalid_argument("unknown dtype '" + name + "'");
}

json tensors_json(const Manifest& manifest) {
  json tensors = json::object();
  for (const auto& [name, tensor] : manifest.tensors) {
    json pieces = json::array();
    for (const StoredPiece& piece : tensor.pieces) {
      pieces.push_back({{"start", piece.box.start},
                        {"extent", piece.box.extent},
                        {"file", piece.file},
                        {"bytes", {piece.begin, piece.end}}});
    }
    tensors[name] = {{"dtype", type_name(tensor.type)}, {"shape", tensor.shape}, {"pieces", std::move(pieces)}};
  }
  return tensors;
}

json files_json(const Manifest& manifest) {
  json files = json::object();
  for (const auto& [name, digest] : manifest.files) {
    files[name] = {{"size", digest.size}, {"block_bytes", kBlockBytes}, {"xxh3_128", digest.block_hashes}};
  }
  return files;
}

template <typename Json>
void read_tensors(const Json& tensors, Manifest& manifest) {
  for (const auto& [name, entry] : tensors.items()) {
    StoredTensor& tensor = manifest.tensors[name];
    const at::ScalarType type = type_of(entry.at("dtype").template get<std::string>());
    const auto shape = entry.at("shape").template get<std::vector<std::int64_t>>();
    if (!tensor.pieces.empty() && (tensor.type != type || tensor.shape != shape)) {
      throw StorageError("the ranks disagree on shape or dtype of checkpoint tensor '" + name + "'");
    }
    tensor.type = type;
    tensor.shape = shape;
    for (const auto& stored : entry.at("pieces")) {
      StoredPiece piece;
      piece.box.start = stored.at("start").template get<std::vector<std::int64_t>>();
      piece.box.extent = stored.at("extent").template get<std::vector<std::int64_t>>();
      piece.file = stored.at("file").template get<std::string>();
      piece.begin = stored.at("bytes").at(0).template get<std::uint64_t>();
      piece.end = stored.at("bytes").at(1).template get<std::uint64_t>();
      tensor.pieces.push_back(std::move(piece));
    }
  }
}

template <typename Json>
void read_files(const Json& files, Manifest& manifest) {
  for (const auto& [name, entry] : files.items()) {
    if (entry.at("block_bytes").template get<std::uint64_t>() != kBlockBytes)
      throw std::invalid_argument("another block size");
    manifest.files[name] = {entry.at("size").template get<std::uint64_t>(),
                            entry.at("xxh3_128").template get<std::vector<std::string>>()};
  }
}

bool hash_matches(std::string text) {
  if (text.size() < kOpening.size() + kHashDigits || text.compare(0, kOpening.size(), kOpening) != 0) return false;
  const std::string written = text.substr(kOpening.size(), kHashDigits);
  text.replace(kOpening.size(), kHashDigits, kHashDigits, '0');
  return base::sha256_hex(text) == written;
}

}  // namespace

const char* type_name(at::ScalarType type) {
  for (const auto& [known, text] : kTypes) {
    if (known == type) return text;
  }
  throw std::invalid_argument("checkpoints do not store tensors of this dtype");
}

std::string shard_text(const Manifest& shard) {
  return json{{"finite", shard.finite}, {"tensors", tensors_json(shard)}, {"files", files_json(shard)}}.dump();
}

void merge_shard(Manifest& manifest, const std::string& text) {
  const json shard = json::parse(text);
  manifest.finite = manifest.finite && shard.at("finite").get<bool>();
  read_tensors(shard.at("tensors"), manifest);
  read_files(shard.at("files"), manifest);
}

std::string manifest_text(const Manifest& manifest) {
  ordered_json document;
  document["sha256"] = std::string(kHashDigits, '0');
  document["format"] = kFormat;
  document["version"] = kVersion;
  document["step"] = manifest.step;
  document["finite"] = manifest.finite;
  document["state"] = manifest.state;
  document["files"] = files_json(manifest);
  document["tensors"] = tensors_json(manifest);
  std::string text = document.dump(1) + "\n";
  return text.replace(kOpening.size(), kHashDigits, base::sha256_hex(text));
}

Manifest parse_manifest(const std::string& text, const std::filesystem::path& file) {
  if (!hash_matches(text)) throw CheckpointError(file.string() + ": the manifest is damaged (its SHA-256 differs)");
  try {
    const json document = json::parse(text);
    if (document.at("format").get<std::string>() != kFormat || document.at("version").get<int>() != kVersion) {
      throw std::invalid_argument("not a checkpoint of version " + std::to_string(kVersion));
    }
    Manifest manifest;
    manifest.step = document.at("step").get<std::int64_t>();
    manifest.finite = document.at("finite").get<bool>();
    manifest.state = document.at("state");
    read_tensors(document.at("tensors"), manifest);
    read_files(document.at("files"), manifest);
    return manifest;
  } catch (const std::exception& error) {
    throw CheckpointError(file.string() + ": " + error.what());
  }
}

Manifest read_manifest(const std::filesystem::path& checkpoint_directory) {
  const std::filesystem::path file = checkpoint_directory / kManifestName;
  return parse_manifest(read_text(file), file);
}

std::vector<std::string> tiling_faults(const Manifest& manifest) {
  std::vector<std::string> faults;
  for (const auto& [name, tensor] : manifest.tensors) {
    std::int64_t covered = 0;
    for (std::size_t i = 0; i < tensor.pieces.size(); ++i) {
      const StoredPiece& piece = tensor.pieces[i];
      if (!lies_inside(piece.box, tensor.shape)) {
        faults.push_back("tensor '" + name + "': a piece lies outside of its shape");
        continue;
      }
      const auto bytes = static_cast<std::uint64_t>(volume(piece.box)) * c10::elementSize(tensor.type);
      const auto file = manifest.files.find(piece.file);
      if (file == manifest.files.end() || piece.begin > piece.end || piece.end - piece.begin != bytes ||
          piece.end > file->second.size) {
        faults.push_back("tensor '" + name + "': the bytes of a piece do not fit its box or its file " + piece.file);
      }
      covered += volume(piece.box);
      for (std::size_t j = 0; j < i; ++j) {
        if (lies_inside(tensor.pieces[j].box, tensor.shape) && intersection(piece.box, tensor.pieces[j].box)) {
          faults.push_back("tensor '" + name + "': two pieces overlap");
        }
      }
    }
    if (covered != volume(whole_box(tensor.shape))) {
      faults.push_back("tensor '" + name + "': the pieces hold " + std::to_string(covered) + " of " +
                       std::to_string(volume(whole_box(tensor.shape))) + " elements");
    }
  }
  return faults;
}

}  // namespace meshfold::jobs::checkpoint
