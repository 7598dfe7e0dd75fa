#pragma once

#include <memory>
#include <string>

#include "dist/group_maker.hpp"
#include "dist/process_group.hpp"

namespace meshfold::dist {

class Communicator;

/// Sizes of the three axes; their product is the number of ranks.
struct MeshShape {
  int data = 1;
  int pipeline = 1;
  int tensor = 1;

  int size() const { return data * pipeline * tensor; }
  std::string to_string() const;  ///< "2 data x 1 pipeline x 1 tensor"
};

/// Position of one rank. rank = (data * pipeline_size + pipeline) * tensor_size + tensor: the tensor axis is the
/// fastest, so that its ranks share a node.
struct MeshCoordinates {
  int data = 0;
  int pipeline = 0;
  int tensor = 0;
};

MeshCoordinates coordinates_of(int rank, const MeshShape& shape);

/// kOn: every call on the mesh's groups is first compared between the ranks (checked_process_group.hpp).
enum class CallChecks { kOff, kOn };

/// The layout of the ranks that run one job. A job sees only its mesh, never the world.
class Mesh {
 public:
  /// One rank, no MPI.
  explicit Mesh(std::string name = "single");
  /// Collective over `communicator`, which is kept for the mesh's lifetime. Throws invalid_argument if the shape's
  /// product is not the communicator's size. Sub-communicators are made by their members only.
  /// `groups` makes the axes' groups; that of all ranks is for control, and host tensors only.
  Mesh(std::shared_ptr<Communicator> communicator, MeshShape shape, std::string name,
       CallChecks checks = CallChecks::kOff, const GroupMaker& groups = host_groups());

  const MeshShape& shape() const { return shape_; }
  const MeshCoordinates& coordinates() const { return coordinates_; }
  const std::string& name() const { return name_; }

  /// Where this rank's tensors lie that the axes exchange.
  c10::Device device() const { return device_; }

  ProcessGroup& all() const { return *all_; }
  ProcessGroup& data() const { return *data_; }
  ProcessGroup& pipeline() const { return *pipeline_; }
  ProcessGroup& tensor() const { return *tensor_; }

 private:
  std::string name_;
  MeshShape shape_;
  MeshCoordinates coordinates_;
  c10::Device device_ = host_groups().device();
  std::shared_ptr<ProcessGroup> all_, data_, pipeline_, tensor_;
};

}  // namespace meshfold::dist
