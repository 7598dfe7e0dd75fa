#pragma once

#include <map>
#include <string>
#include <string_view>

#include "models/files/torch_pickle_value.hpp"

namespace meshfold::models {

/// The tensors of a state dict that torch.save pickled (Python's pickle protocols 2 to 5), read as data: the few
/// functions that build tensors and dictionaries are known by name, every other name and every instruction that could
/// run code is refused. Time and memory are bounded by the size of the pickle. Throws PickleRefusal; a name that occurs
/// twice and an entry that is no tensor are refused too.
std::map<std::string, PickledTensor> read_torch_pickle(std::string_view pickle);

}  // namespace meshfold::models
