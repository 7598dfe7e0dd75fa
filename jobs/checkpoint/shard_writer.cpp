#include "jobs/checkpoint/shard_writer.hpp"

#include <ATen/ops/sum.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>

#include "jobs/checkpoint/box.hpp"
#include "models/files/safetensors.hpp"

namespace meshfold::jobs::checkpoint {
namespace {

/// Bytes of all pieces of one kind laid end to end; copy i of n writes [total i / n, total (i + 1) / n), rounded to
/// whole rows.
class EvenCut {
 public:
  void count(const Piece& piece) {
    copies_ = piece.copies;
    total_ += piece.tensor.nbytes();
  }

  /// Rows [begin, end) of the next piece that this rank writes.
  std::pair<std::int64_t, std::int64_t> next(const Piece& piece) {
    const std::int64_t rows = piece.tensor.dim() == 0 ? 1 : piece.tensor.size(0);
    const std::uint64_t row_bytes = rows == 0 ? 0 : piece.tensor.nbytes() / static_cast<std::uint64_t>(rows);
    const std::uint64_t first = offset_;
    offset_ += piece.tensor.nbytes();
    const auto row_from = [&](std::uint64_t boundary) {  // first row that starts at or after the boundary
      if (row_bytes == 0 || boundary <= first) return std::int64_t{0};
      return std::min(rows, static_cast<std::int64_t>((boundary - first + row_bytes - 1) / row_bytes));
    };
    return {row_from(boundary(copies_.index)), row_from(boundary(copies_.index + 1))};
  }

 private:
  std::uint64_t boundary(int index) const {
    const auto i = static_cast<std::uint64_t>(index), count = static_cast<std::uint64_t>(copies_.count);
    return total_ / count * i + total_ % count * i / count;
  }
  Copies copies_;
  std::uint64_t total_ = 0, offset_ = 0;
};

bool is_finite(const at::Tensor& tensor) {
  // One pass, no temporary: infinities and NaNs survive a sum, and fp32 values cannot overflow an fp64 one.
  return !tensor.is_floating_point() || std::isfinite(tensor.sum(at::kDouble).item<double>());
}

/// Bytes before the data of a safetensors file: the length field and the header.
std::uint64_t data_offset(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::array<unsigned char, 8> field = {};
  if (!stream.read(reinterpret_cast<char*>(field.data()), field.size()))
    throw std::runtime_error("the shard cannot be read back");
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | field[static_cast<std::size_t>(i)];
  return 8 + length;
}

void check_piece(const Piece& piece) {
  if (!lies_inside(piece.box, piece.global_shape) || piece.tensor.sizes() != at::IntArrayRef(piece.box.extent) ||
      !piece.tensor.is_contiguous()) {
    throw std::invalid_argument("checkpoint piece '" + piece.name + "' is not a dense tensor of its box");
  }
}

}  // namespace

Manifest write_shard(const std::filesystem::path& directory, const std::vector<Piece>& pieces, int rank) {
  Manifest shard;
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  std::map<int, EvenCut> cuts;
  for (const Piece& piece : pieces) cuts[piece.copies.kind].count(piece);
  const std::string file_name = "shard-" + std::to_string(rank) + ".safetensors";
  for (const Piece& piece : pieces) {
    check_piece(piece);
    StoredPiece stored{piece.box, file_name};
    at::Tensor tensor = piece.tensor;
    const auto [begin, end] = cuts[piece.copies.kind].next(piece);
    if (begin == end) continue;
    if (tensor.dim() > 0) {
      tensor = tensor.narrow(0, begin, end - begin);
      stored.box.start[0] += begin;
      stored.box.extent[0] = end - begin;
    }
    tensor = tensor.cpu();
    if (shard.tensors.contains(piece.name))
      throw std::invalid_argument("checkpoint piece '" + piece.name + "' is listed twice");
    shard.tensors[piece.name] = {tensor.scalar_type(), piece.global_shape, {std::move(stored)}};
    shard.finite = shard.finite && is_finite(tensor);
    tensors.emplace_back(piece.name, std::move(tensor));
  }
  if (tensors.empty()) return shard;

  const std::filesystem::path file = directory / file_name;
  models::write_safetensors(file, tensors, {{"format", "pt"}});
  const std::uint64_t offset = data_offset(file);
  const models::SafetensorsFile written = models::SafetensorsFile::open(file);
  for (const auto& [name, entry] : written.entries()) {
    StoredPiece& stored = shard.tensors.at(name).pieces.front();
    stored.begin = offset + entry.begin;
    stored.end = offset + entry.end;
  }
  shard.files[file_name] = digest_of(file);
  return shard;
}

}  // namespace meshfold::jobs::checkpoint
