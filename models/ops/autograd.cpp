#include "models/ops/autograd.hpp"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <memory>

namespace meshfold::models::ops {
namespace {

class BlockNode final : public torch::autograd::Node {
 public:
  BlockNode(std::string name, Backward backward) : name_(std::move(name)), backward_(std::move(backward)) {}

  std::string name() const override { return name_; }
  void release_variables() override { backward_ = nullptr; }

 protected:
  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    TORCH_CHECK(backward_, name_, ": backward was run twice through one graph");
    if (!gradients[0].defined()) return torch::autograd::variable_list(num_outputs());
    return backward_(gradients[0]);
  }

 private:
  std::string name_;
  Backward backward_;
};

}  // namespace

at::Tensor attach_backward(at::Tensor output, const std::vector<at::Tensor>& inputs, std::string name,
                           Backward backward) {
  const std::shared_ptr<BlockNode> node(new BlockNode(std::move(name), std::move(backward)),
                                        torch::autograd::deleteNode);
  torch::autograd::edge_list edges;
  for (const auto& input : inputs) {
    edges.push_back(input.requires_grad() ? torch::autograd::impl::gradient_edge(input) : torch::autograd::Edge());
  }
  node->set_next_edges(std::move(edges));
  torch::autograd::set_history(output, node);
  return output;
}

void run_backward(const std::vector<at::Tensor>& outputs, const std::vector<at::Tensor>& gradients) {
  torch::autograd::variable_list roots, of_roots;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].requires_grad()) continue;
    roots.push_back(outputs[i]);
    of_roots.push_back(gradients.at(i));
  }
  if (!roots.empty()) torch::autograd::backward(roots, of_roots);
}

}  // namespace meshfold::models::ops
