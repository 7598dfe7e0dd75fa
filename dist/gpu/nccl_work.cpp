#include "dist/gpu/nccl_work.hpp"

#include <cassert>
#include <exception>
#include <utility>

#include "dist/gpu/nccl_links.hpp"
#include "dist/polling_wait.hpp"

namespace meshfold::dist {
namespace {

class NcclWork final : public Work {
 public:
  NcclWork(GpuRuntime& runtime, std::shared_ptr<NcclLinks> links, NcclChannel& channel, std::string operation,
           std::vector<at::Tensor> tensors, OwnedGpuEvent done)
      : runtime_(runtime),
        links_(std::move(links)),
        channel_(channel),
        operation_(std::move(operation)),
        tensors_(std::make_unique<std::vector<at::Tensor>>(std::move(tensors))),
        done_(std::move(done)) {}

  ~NcclWork() override {
    if (finished_) return;
    assert(links_->has_failed() || std::uncaught_exceptions() > 0);
    static_cast<void>(tensors_.release());
  }

  void wait() override {
    if (finished_) return;
    links_->guard([&] {
      PollingWait pauses(links_->communicator(), links_->group(), operation_);
      while (!runtime_.has_happened(done_.get())) {
        channel_.check(operation_);
        pauses.pause();
      }
    });
    finished_ = true;
  }

 private:
  GpuRuntime& runtime_;
  std::shared_ptr<NcclLinks> links_;
  NcclChannel& channel_;
  std::string operation_;
  std::unique_ptr<std::vector<at::Tensor>> tensors_;
  OwnedGpuEvent done_;
  bool finished_ = false;
};

}  // namespace

std::unique_ptr<Work> make_nccl_work(GpuRuntime& runtime, std::shared_ptr<NcclLinks> links, NcclChannel& channel,
                                     std::string operation, std::vector<at::Tensor> tensors, OwnedGpuEvent done) {
  return std::make_unique<NcclWork>(runtime, std::move(links), channel, std::move(operation), std::move(tensors),
                                    std::move(done));
}

}  // namespace meshfold::dist
