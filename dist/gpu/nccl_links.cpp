#include "dist/gpu/nccl_links.hpp"

#include <stdexcept>
#include <utility>
#include <vector>

#include "dist/agreement.hpp"
#include "dist/communicator.hpp"

namespace meshfold::dist {
namespace {

struct Edge {
  int from, to;
};

/// Both directions of every pair of neighbours on a ring of `size` ranks, in one order for all.
std::vector<Edge> edges_of_ring(int size) {
  std::vector<Edge> edges;
  const int num_pairs = size > 2 ? size : size - 1;  // two ranks are one pair
  for (int rank = 0; rank < num_pairs; ++rank) {
    const int next = (rank + 1) % size;
    edges.push_back({rank, next});
    edges.push_back({next, rank});
  }
  return edges;
}

}  // namespace

NcclLinks::NcclLinks(GpuLibraries gpu, std::shared_ptr<Communicator> communicator, ProcessGroup& host, RingLinks links)
    : gpu_(gpu), communicator_(std::move(communicator)), group_(host.name()) {
  std::string id;
  agree(host, "make the id of an NCCL communicator", [&] {
    if (host.rank() == 0) id = gpu_.nccl.unique_id();
  });
  all_ = make_channel(group_, host.broadcast_bytes(id, 0), host.rank(), host.size());
  if (links == RingLinks::kNeighbours) link_neighbours(host);
}

void NcclLinks::link_neighbours(ProcessGroup& host) {
  const std::vector<Edge> edges = edges_of_ring(host.size());
  std::map<int, std::string> own_ids;  // by receiver
  agree(host, "make the ids of NCCL communicators", [&] {
    for (const Edge& edge : edges) {
      if (edge.from == host.rank()) own_ids[edge.to] = gpu_.nccl.unique_id();
    }
  });
  for (const Edge& edge : edges) {
    const std::string id = host.broadcast_bytes(edge.from == host.rank() ? own_ids[edge.to] : "", edge.from);
    const std::string name = group_ + ", rank " + std::to_string(edge.from) + " to " + std::to_string(edge.to);
    if (edge.from == host.rank()) to_[edge.to] = make_channel(name, id, 0, 2);
    if (edge.to == host.rank()) from_[edge.from] = make_channel(name, id, 1, 2);
  }
}

std::unique_ptr<NcclChannel> NcclLinks::make_channel(const std::string& name, const std::string& unique_id, int rank,
                                                     int size) {
  return std::make_unique<NcclChannel>(gpu_, communicator_, name, unique_id, rank, size);
}

NcclChannel& NcclLinks::find(Channels& channels, int peer, const char* operation) {
  const auto found = channels.find(peer);
  if (found != channels.end()) return *found->second;
  throw std::invalid_argument(std::string(operation) + ": '" + group_ + "' has no NCCL link between ranks " +
                              std::to_string(communicator_->rank()) + " and " + std::to_string(peer) +
                              "; only neighbours on a pipeline axis have one");
}

void NcclLinks::fail(std::exception_ptr cause) noexcept {
  failure_ = std::move(cause);
  all_->abort();
  for (const auto& [peer, channel] : to_) channel->abort();
  for (const auto& [peer, channel] : from_) channel->abort();
}

}  // namespace meshfold::dist
