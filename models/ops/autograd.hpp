#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

namespace meshfold::models::ops {

/// The backward of a block: takes the gradient of its one output, hands weight gradients to the sink, returns the
/// gradients of its inputs in order.
using Backward = std::function<std::vector<at::Tensor>(const at::Tensor& output_gradient)>;

/// Makes `output` the result of a hand-written block over `inputs` in LibTorch's graph and returns it. `output` must be
/// new and `backward` must not hold it (that would be a cycle; hold output.detach()). `inputs` may be empty: backward
/// still runs, for the sake of the weights. LibTorch's headers for this cost 13 s to compile; they are in this unit's
/// .cpp alone.
at::Tensor attach_backward(at::Tensor output, const std::vector<at::Tensor>& inputs, std::string name,
                           Backward backward);

/// Backward from several roots at once; gradients[i] is that of outputs[i]. Roots without a graph are passed over.
void run_backward(const std::vector<at::Tensor>& outputs, const std::vector<at::Tensor>& gradients);

}  // namespace meshfold::models::ops
