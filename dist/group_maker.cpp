#include "dist/group_maker.hpp"

#include <utility>

#include "dist/communicator.hpp"
#include "dist/mpi_process_group.hpp"

namespace meshfold::dist {
namespace {

class HostGroups final : public GroupMaker {
 public:
  c10::Device device() const override { return c10::Device(c10::DeviceType::CPU); }
  std::string description() const override { return "CPU"; }
  std::unique_ptr<ProcessGroup> make(std::shared_ptr<Communicator> communicator, const std::string& name,
                                     Traffic) const override {
    return make_mpi_process_group(std::move(communicator), name);
  }
};

}  // namespace

const GroupMaker& host_groups() {
  static const HostGroups groups;
  return groups;
}

}  // namespace meshfold::dist
