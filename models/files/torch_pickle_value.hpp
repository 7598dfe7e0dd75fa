#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "models/files/tensor_file.hpp"

namespace meshfold::models {

/// A pickle that holds more than a table of tensors, or is damaged. The message does not name the file.
struct PickleRefusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A tensor as a pickle of torch describes it. Its elements lie inside the storage, and it has no more of them than the
/// storage: both are checked when one is made.
struct PickledTensor {
  TensorDescription description;
  std::vector<std::int64_t> strides;  ///< in elements
  std::int64_t offset = 0;            ///< first element in the storage
  std::string storage;                ///< the record data/<storage> of the archive
  std::int64_t storage_bytes = 0;
};

/// The only values that a pickle may build here: nothing that could run.
struct PickleValue;
using PickleRef = PickleValue*;  ///< owned by the PickleArena that made it

struct PickleNone {};
struct PickleSequence {
  enum class Kind { kTuple, kList } kind;
  std::vector<PickleRef> items;
};
struct PickleDictionary {
  std::vector<std::pair<PickleRef, PickleRef>> items;  ///< in the order of insertion; keys may repeat
};
/// The functions that may be called, by name only: calling one is a case of call_pickled().
enum class PickleFunction { kOrderedDict, kRebuildTensor, kRebuildTensorOfType, kRebuildParameter };
/// torch.FloatStorage and its like; without a type torch.storage.UntypedStorage, which counts bytes.
struct PickleStorageClass {
  std::optional<at::ScalarType> type;
};
struct PickleElementType {
  at::ScalarType type;
};
struct PickleStorage {
  std::string key;
  std::optional<at::ScalarType> type;
  std::int64_t num_elements;
};

struct PickleValue {
  std::variant<PickleNone, bool, std::int64_t, double, std::string, PickleSequence, PickleDictionary, PickleFunction,
               PickleStorageClass, PickleElementType, PickleStorage, PickledTensor>
      content;
};

/// Owns all values of one pickle, so that a value that contains itself is freed like any other, and without recursion.
class PickleArena {
 public:
  template <typename Content>
  PickleRef make(Content content) {
    if (values_.size() == kMaxValues) throw PickleRefusal("has more than a million values");
    values_.push_back({std::move(content)});
    return &values_.back();
  }

 private:
  /// Real tables have about 12 values a tensor.
  static constexpr std::size_t kMaxValues = 1'000'000;
  std::deque<PickleValue> values_;
};

/// "an integer", "a tensor", for messages.
std::string describe(const PickleValue& value);

/// What stands behind a name in a pickle. Throws PickleRefusal for every name but those that tables of tensors need.
PickleValue find_pickled_name(std::string_view module, std::string_view name);
/// The result of calling `function`, which must be a PickleFunction, with a tuple of arguments. Throws PickleRefusal
/// unless they describe a tensor inside its storage.
PickleValue call_pickled(const PickleValue& function, const PickleValue& arguments);
/// The storage of a persistent id, ("storage", class, key, device, number of elements).
PickleValue find_pickled_storage(const PickleValue& persistent_id);

}  // namespace meshfold::models
