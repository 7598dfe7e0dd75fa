#include "models/files/torch_pickle_value.hpp"

#include <algorithm>
#include <array>

#include "models/files/quote_bytes.hpp"

namespace meshfold::models {
namespace {

[[noreturn]] void refuse(const std::string& problem) { throw PickleRefusal(problem); }

struct NamedType {
  std::string_view storage, dtype;
  at::ScalarType type;
};

// Storages of the newer types are untyped, and a dtype stands beside them.
constexpr std::array<NamedType, 14> kTypes{{{"FloatStorage", "float32", at::kFloat},
                                            {"DoubleStorage", "float64", at::kDouble},
                                            {"HalfStorage", "float16", at::kHalf},
                                            {"BFloat16Storage", "bfloat16", at::kBFloat16},
                                            {"LongStorage", "int64", at::kLong},
                                            {"IntStorage", "int32", at::kInt},
                                            {"ShortStorage", "int16", at::kShort},
                                            {"CharStorage", "int8", at::kChar},
                                            {"ByteStorage", "uint8", at::kByte},
                                            {"BoolStorage", "bool", at::kBool},
                                            {"", "uint16", at::kUInt16},
                                            {"", "uint32", at::kUInt32},
                                            {"", "float8_e4m3fn", at::kFloat8_e4m3fn},
                                            {"", "float8_e5m2", at::kFloat8_e5m2}}};

template <typename Content>
const Content& expect(const PickleValue* value, const char* what) {
  const auto* content = std::get_if<Content>(&value->content);
  if (!content) refuse(std::string("has ") + describe(*value) + " where " + what + " belongs");
  return *content;
}

const std::vector<PickleRef>& expect_tuple(const PickleValue* value, const char* what) {
  const auto& sequence = expect<PickleSequence>(value, what);
  if (sequence.kind != PickleSequence::Kind::kTuple) refuse(std::string("has a list where ") + what + " belongs");
  return sequence.items;
}

std::vector<std::int64_t> natural_numbers(const PickleValue* value, const char* what) {
  constexpr std::size_t kMaxDims = 16;
  std::vector<std::int64_t> numbers;
  for (const PickleRef item : expect_tuple(value, what)) {
    numbers.push_back(expect<std::int64_t>(item, what));
    if (numbers.back() < 0) refuse(std::string("has a negative number in ") + what);
  }
  if (numbers.size() > kMaxDims) refuse("has a tensor of more than 16 dims");
  return numbers;
}

std::int64_t product(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) refuse("has a tensor larger than any file");
  return result;
}

std::int64_t sum(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (__builtin_add_overflow(a, b, &result)) refuse("has a tensor larger than any file");
  return result;
}

void check_inside_storage(const PickledTensor& tensor, std::int64_t storage_elements) {
  const std::vector<std::int64_t>& shape = tensor.description.shape;
  if (tensor.strides.size() != shape.size()) refuse("has a tensor with other numbers of extents than of strides");
  if (tensor.offset < 0 || tensor.offset > storage_elements) refuse("has a tensor that begins outside its storage");
  std::int64_t num_elements = 1, last = tensor.offset;
  bool empty = false;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    empty = empty || shape[d] == 0;
    num_elements = product(num_elements, std::max<std::int64_t>(shape[d], 1));
    if (shape[d] > 1) last = sum(last, product(shape[d] - 1, tensor.strides[d]));
  }
  if (empty) return;
  if (last >= storage_elements) refuse("has a tensor that reaches beyond its storage");
  // Views may share elements, but not so that a small file gives a huge tensor.
  if (num_elements > storage_elements) refuse("has an expanded tensor, which has more elements than its storage");
}

/// (storage, offset, shape, strides, requires_grad, backward_hooks), with an element type behind them for untyped
/// storages.
PickledTensor rebuild_tensor(const std::vector<PickleRef>& arguments, bool typed_by_argument) {
  const std::size_t least = typed_by_argument ? 7 : 6;
  if (arguments.size() < least || arguments.size() > least + 1) refuse("calls a tensor with a wrong number of values");
  if (arguments.size() > least) {
    const auto* metadata = std::get_if<PickleDictionary>(&arguments[least]->content);
    const bool none = std::holds_alternative<PickleNone>(arguments[least]->content);
    if (!none && (!metadata || !metadata->items.empty())) refuse("has a conjugated or negated view");
  }
  const auto& storage = expect<PickleStorage>(arguments[0], "a storage");
  if (typed_by_argument == storage.type.has_value()) refuse("has a tensor whose storage is of the wrong kind");
  PickledTensor tensor;
  tensor.description.type =
      typed_by_argument ? expect<PickleElementType>(arguments[6], "an element type").type : *storage.type;
  tensor.offset = expect<std::int64_t>(arguments[1], "an offset");
  tensor.description.shape = natural_numbers(arguments[2], "a shape");
  tensor.strides = natural_numbers(arguments[3], "strides");
  tensor.storage = storage.key;
  const auto width = static_cast<std::int64_t>(c10::elementSize(tensor.description.type));
  tensor.storage_bytes = typed_by_argument ? storage.num_elements : product(storage.num_elements, width);
  check_inside_storage(tensor, tensor.storage_bytes / width);
  return tensor;
}

}  // namespace

std::string describe(const PickleValue& value) {
  static constexpr std::array<const char*, 12> kWords{
      "None",         "a bool",     "an integer",      "a float",         "a text",    "a list or tuple",
      "a dictionary", "a function", "a storage class", "an element type", "a storage", "a tensor"};
  static_assert(std::variant_size_v<decltype(PickleValue::content)> == kWords.size());
  return kWords[value.content.index()];
}

PickleValue find_pickled_name(std::string_view module, std::string_view name) {
  if (module == "collections" && name == "OrderedDict") return {PickleFunction::kOrderedDict};
  if (module == "torch._utils") {
    if (name == "_rebuild_tensor_v2") return {PickleFunction::kRebuildTensor};
    if (name == "_rebuild_tensor_v3") return {PickleFunction::kRebuildTensorOfType};
    if (name == "_rebuild_parameter") return {PickleFunction::kRebuildParameter};
  }
  if (module == "torch.storage" && name == "UntypedStorage") return {PickleStorageClass{std::nullopt}};
  if (module == "torch" && !name.empty()) {
    for (const auto& [storage, dtype, type] : kTypes) {
      if (name == storage) return {PickleStorageClass{type}};
      if (name == dtype) return {PickleElementType{type}};
    }
  }
  refuse("asks for " + quote_bytes(std::string(module) + "." + std::string(name)) +
         ", which no table of dense tensors needs; nothing of it was run");
}

PickleValue call_pickled(const PickleValue& function, const PickleValue& arguments) {
  const auto called = expect<PickleFunction>(&function, "a function");
  const std::vector<PickleRef>& values = expect_tuple(&arguments, "a tuple of arguments");
  switch (called) {
    case PickleFunction::kOrderedDict:
      if (!values.empty()) refuse("makes an OrderedDict from values, which torch does not");
      return {PickleDictionary{}};
    case PickleFunction::kRebuildTensor:
      return {rebuild_tensor(values, false)};
    case PickleFunction::kRebuildTensorOfType:
      return {rebuild_tensor(values, true)};
    case PickleFunction::kRebuildParameter:
      if (values.size() != 3) refuse("calls a parameter with a wrong number of values");
      return {expect<PickledTensor>(values[0], "a tensor")};
  }
  refuse("calls an unknown function");
}

PickleValue find_pickled_storage(const PickleValue& persistent_id) {
  const std::vector<PickleRef>& id = expect_tuple(&persistent_id, "the tuple that names a storage");
  if (id.size() != 5) refuse("names a storage with a wrong number of values");
  if (expect<std::string>(id[0], "the word storage") != "storage") refuse("refers to an object outside the file");
  PickleStorage storage;
  storage.type = expect<PickleStorageClass>(id[1], "a storage class").type;
  storage.key = expect<std::string>(id[2], "the name of a storage");
  constexpr std::size_t kLongestKey = 64;  // torch counts them; a long one named often would fill the memory
  if (storage.key.size() > kLongestKey) refuse("names a storage by more than 64 bytes");
  expect<std::string>(id[3], "a device");
  storage.num_elements = expect<std::int64_t>(id[4], "the size of a storage");
  if (storage.num_elements < 0) refuse("has a storage of negative size");
  return {std::move(storage)};
}

}  // namespace meshfold::models
