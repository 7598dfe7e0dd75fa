#include "jobs/train/state_pieces.hpp"

#include <algorithm>

namespace meshfold::jobs {
namespace {

/// Which ranks hold the same piece as this one.
checkpoint::Copies copies_of(const models::Parameter& parameter, HeldBy held_by, const dist::Mesh& mesh) {
  const bool on_all_data_ranks = held_by == HeldBy::kAllDataRanks;
  const bool on_all_tensor_ranks = !parameter.spec.sharded();
  const int data = on_all_data_ranks ? mesh.shape().data : 1, tensor = on_all_tensor_ranks ? mesh.shape().tensor : 1;
  const int data_rank = on_all_data_ranks ? mesh.coordinates().data : 0;
  const int tensor_rank = on_all_tensor_ranks ? mesh.coordinates().tensor : 0;
  return {(on_all_data_ranks ? 2 : 0) + (on_all_tensor_ranks ? 1 : 0), data_rank * tensor + tensor_rank, data * tensor};
}

}  // namespace

std::vector<checkpoint::Piece> pieces_of(const std::string& prefix, const models::ParameterStore& store,
                                         const ElementRanges& ranges, const at::Tensor& values, HeldBy held_by,
                                         const dist::Mesh& mesh) {
  std::vector<checkpoint::Piece> pieces;
  std::int64_t values_before = 0;
  for (const ElementRange& range : ranges) {
    for (const models::Parameter& parameter : store) {
      const std::int64_t begin = std::max(parameter.view.offset, range.begin);
      const std::int64_t end = std::min(parameter.view.offset + parameter.num_elements, range.end);
      if (begin >= end) continue;
      checkpoint::Piece piece;
      piece.name = prefix + parameter.spec.name;
      piece.global_shape = parameter.spec.global_shape;
      piece.box = parameter.spec.box;
      if (end - begin < parameter.num_elements) {
        const std::int64_t row = parameter.num_elements / piece.box.extent[0];
        piece.box.start[0] += (begin - parameter.view.offset) / row;
        piece.box.extent[0] = (end - begin) / row;
      }
      piece.tensor = values.narrow(0, values_before + begin - range.begin, end - begin).view(piece.box.extent);
      piece.copies = copies_of(parameter, held_by, mesh);
      pieces.push_back(std::move(piece));
    }
    values_before += range.size();
  }
  return pieces;
}

}  // namespace meshfold::jobs
