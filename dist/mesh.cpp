#include "dist/mesh.hpp"

#include <array>
#include <stdexcept>
#include <utility>
#include <vector>

#include "dist/checked_process_group.hpp"
#include "dist/communicator.hpp"
#include "dist/single_process_group.hpp"

namespace meshfold::dist {
namespace {

/// Ranks that share all coordinates with `own` except the one along the axis: `size` of them, `stride` apart.
struct Axis {
  const char* name;
  int coordinate;
  int size;
  int stride;
  Traffic traffic;
};

/// How a mesh makes its groups.
struct Making {
  const GroupMaker& groups;
  CallChecks checks;

  std::shared_ptr<ProcessGroup> make(std::shared_ptr<Communicator> communicator, const std::string& name,
                                     Traffic traffic) const {
    std::unique_ptr<ProcessGroup> group = groups.make(std::move(communicator), name, traffic);
    return checks == CallChecks::kOn ? make_checked_process_group(std::move(group)) : std::move(group);
  }
};

std::shared_ptr<ProcessGroup> make_axis_group(const Communicator& communicator, const Axis& axis, int tag,
                                              const std::string& mesh_name, const Making& making) {
  const std::string name = std::string(axis.name) + " axis of " + mesh_name;
  if (axis.size == 1) return std::make_shared<SingleProcessGroup>(name);
  const int first = communicator.rank() - axis.coordinate * axis.stride;
  std::vector<int> ranks;
  for (int i = 0; i < axis.size; ++i) ranks.push_back(first + i * axis.stride);
  return making.make(communicator.create_group(ranks, tag, name), name, axis.traffic);
}

}  // namespace

std::string MeshShape::to_string() const {
  return std::to_string(data) + " data x " + std::to_string(pipeline) + " pipeline x " + std::to_string(tensor) +
         " tensor";
}

MeshCoordinates coordinates_of(int rank, const MeshShape& shape) {
  return {rank / (shape.tensor * shape.pipeline), rank / shape.tensor % shape.pipeline, rank % shape.tensor};
}

Mesh::Mesh(std::string name) : name_(std::move(name)) {
  all_ = std::make_shared<SingleProcessGroup>("all ranks of " + name_);
  data_ = std::make_shared<SingleProcessGroup>("data axis of " + name_);
  pipeline_ = std::make_shared<SingleProcessGroup>("pipeline axis of " + name_);
  tensor_ = std::make_shared<SingleProcessGroup>("tensor axis of " + name_);
}

Mesh::Mesh(std::shared_ptr<Communicator> communicator, MeshShape shape, std::string name, CallChecks checks,
           const GroupMaker& groups)
    : name_(std::move(name)), shape_(shape), device_(groups.device()) {
  const int size = communicator->size();
  if (shape.data < 1 || shape.pipeline < 1 || shape.tensor < 1 || shape.size() != size) {
    throw std::invalid_argument("the mesh of " + name_ + " is " + shape.to_string() + " = " +
                                std::to_string(shape.size()) + " ranks, but " + std::to_string(size) +
                                (size == 1 ? " rank is" : " ranks are") +
                                " given; change mesh.data, mesh.pipeline or mesh.tensor so that the product fits");
  }
  coordinates_ = coordinates_of(communicator->rank(), shape);

  const Making making{groups, checks};
  const std::string all_name = "all ranks of " + name_;
  if (size == 1) {
    all_ = std::make_shared<SingleProcessGroup>(all_name);
  } else {
    all_ = making.make(communicator, all_name, Traffic::kControl);
  }
  // Every rank makes its axes in this order. The groups of one axis are disjoint, so one tag an axis separates them.
  const std::array<Axis, 3> axes{
      {{"data", coordinates_.data, shape.data, shape.tensor * shape.pipeline, Traffic::kCollectives},
       {"pipeline", coordinates_.pipeline, shape.pipeline, shape.tensor, Traffic::kNeighbours},
       {"tensor", coordinates_.tensor, shape.tensor, 1, Traffic::kCollectives}}};
  data_ = make_axis_group(*communicator, axes[0], 1, name_, making);
  pipeline_ = make_axis_group(*communicator, axes[1], 2, name_, making);
  tensor_ = make_axis_group(*communicator, axes[2], 3, name_, making);
}

}  // namespace meshfold::dist
