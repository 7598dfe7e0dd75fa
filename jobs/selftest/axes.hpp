#pragma once

#include <string>
#include <vector>

#include "dist/mesh.hpp"

namespace meshfold::jobs::selftest {

/// One axis of the mesh as this rank is on it.
struct Axis {
  std::string name;
  dist::ProcessGroup* group;
};

/// The axes of more than one rank; the same ones on every rank.
inline std::vector<Axis> axes_of(const dist::Mesh& mesh) {
  std::vector<Axis> axes;
  for (const Axis& axis :
       {Axis{"data", &mesh.data()}, Axis{"pipeline", &mesh.pipeline()}, Axis{"tensor", &mesh.tensor()}}) {
    if (axis.group->size() > 1) axes.push_back(axis);
  }
  return axes;
}

}  // namespace meshfold::jobs::selftest
