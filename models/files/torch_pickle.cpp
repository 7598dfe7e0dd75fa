#include "models/files/torch_pickle.hpp"

#include <bit>
#include <unordered_map>

#include "base/text.hpp"
#include "models/files/byte_reader.hpp"
#include "models/files/quote_bytes.hpp"

namespace meshfold::models {
namespace {

[[noreturn]] void refuse(const std::string& problem) { throw PickleRefusal(problem); }

/// The instructions of Python's pickletools that tables of tensors are made of.
enum class Instruction : std::uint8_t {
  kMark = '(',
  kStop = '.',
  kNone = 'N',
  kInteger4 = 'J',
  kInteger1 = 'K',
  kInteger2 = 'M',
  kPersistentId = 'Q',
  kReduce = 'R',
  kText = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kName = 'c',
  kAppends = 'e',
  kGet1 = 'h',
  kGet4 = 'j',
  kPut1 = 'q',
  kPut4 = 'r',
  kSetItem = 's',
  kTuple = 't',
  kSetItems = 'u',
  kFloat = 'G',
  kEmptyTuple = ')',
  kEmptyList = ']',
  kEmptyDictionary = '}',
  kProtocol = 0x80,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kTrue = 0x88,
  kFalse = 0x89,
  kLongInteger = 0x8a,
  kShortText = 0x8c,
  kText8 = 0x8d,
  kNameFromStack = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

/// The stack machine of a pickle. One instruction takes constant time but for the values that it moves, which were
/// pushed one by one, so the whole takes time linear in the pickle.
class Machine {
 public:
  explicit Machine(std::string_view pickle) : reader_(pickle) {}

  const PickleValue& run() {
    for (;;) {
      const std::uint8_t code = reader_.u8();
      if (static_cast<Instruction>(code) == Instruction::kStop) break;
      execute(static_cast<Instruction>(code), code);
    }
    if (stack_.size() != 1 || !marks_.empty()) refuse("ends with values left over");
    return *stack_.back();
  }

 private:
  void execute(Instruction instruction, std::uint8_t code);

  template <typename Content>
  void push(Content content) {
    stack_.push_back(arena_.make(std::move(content)));
  }
  void push_value(PickleValue value) { stack_.push_back(arena_.make(std::move(value.content))); }

  /// Values above the newest mark; those below belong to what was begun before it.
  std::size_t available() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }
  PickleRef top() const {
    if (available() == 0) refuse("takes a value where there is none");
    return stack_.back();
  }
  PickleRef pop() {
    const PickleRef value = top();
    stack_.pop_back();
    return value;
  }
  std::vector<PickleRef> pop_last(std::size_t count) {
    if (available() < count) refuse("takes a value where there is none");
    const auto first = stack_.end() - static_cast<std::ptrdiff_t>(count);
    std::vector<PickleRef> values(first, stack_.end());
    stack_.erase(first, stack_.end());
    return values;
  }
  std::vector<PickleRef> pop_to_mark() {
    if (marks_.empty()) refuse("goes back to a mark where there is none");
    std::vector<PickleRef> values = pop_last(available());
    marks_.pop_back();
    return values;
  }

  void push_tuple(std::vector<PickleRef> items) {
    push(PickleSequence{PickleSequence::Kind::kTuple, std::move(items)});
  }
  void push_text(std::uint64_t size) { push(std::string(reader_.take(size))); }
  void push_long_integer();
  void push_name(std::string_view module, std::string_view name) { push_value(find_pickled_name(module, name)); }
  void push_name_from_stack();
  void append(const std::vector<PickleRef>& values);
  void set_items(const std::vector<PickleRef>& keys_and_values);
  void reduce();
  void build();
  void remember(std::uint32_t place) { memo_[place] = top(); }
  void recall(std::uint32_t place) {
    const auto found = memo_.find(place);
    if (found == memo_.end()) refuse("recalls a value that it never stored");
    stack_.push_back(found->second);
  }
  template <typename Content>
  Content& target(const char* what) const {
    auto* content = std::get_if<Content>(&top()->content);
    if (!content) refuse(std::string("adds to ") + describe(*top()) + " as if it were " + what);
    return *content;
  }

  ByteReader reader_;
  PickleArena arena_;
  std::vector<PickleRef> stack_;
  std::vector<std::size_t> marks_;  ///< heights of the stack
  std::unordered_map<std::uint32_t, PickleRef> memo_;
};

void Machine::execute(Instruction instruction, std::uint8_t code) {
  switch (instruction) {
    case Instruction::kProtocol: {
      const int version = reader_.u8();
      if (version > 5) refuse("is of pickle protocol " + std::to_string(version));
      return;
    }
    case Instruction::kFrame:
      return reader_.skip(8);  // a hint for buffering
    case Instruction::kMark:
      return marks_.push_back(stack_.size());
    case Instruction::kNone:
      return push(PickleNone{});
    case Instruction::kTrue:
      return push(true);
    case Instruction::kFalse:
      return push(false);
    case Instruction::kInteger1:
      return push(std::int64_t{reader_.u8()});
    case Instruction::kInteger2:
      return push(std::int64_t{reader_.u16()});
    case Instruction::kInteger4:
      return push(std::int64_t{static_cast<std::int32_t>(reader_.u32())});
    case Instruction::kLongInteger:
      return push_long_integer();
    case Instruction::kFloat:
      return push(std::bit_cast<double>(__builtin_bswap64(reader_.u64())));
    case Instruction::kShortText:
      return push_text(reader_.u8());
    case Instruction::kText:
      return push_text(reader_.u32());
    case Instruction::kText8:
      return push_text(reader_.u64());
    case Instruction::kEmptyTuple:
      return push_tuple({});
    case Instruction::kTuple1:
      return push_tuple(pop_last(1));
    case Instruction::kTuple2:
      return push_tuple(pop_last(2));
    case Instruction::kTuple3:
      return push_tuple(pop_last(3));
    case Instruction::kTuple:
      return push_tuple(pop_to_mark());
    case Instruction::kEmptyList:
      return push(PickleSequence{PickleSequence::Kind::kList, {}});
    case Instruction::kAppend:
      return append(pop_last(1));
    case Instruction::kAppends:
      return append(pop_to_mark());
    case Instruction::kEmptyDictionary:
      return push(PickleDictionary{});
    case Instruction::kSetItem:
      return set_items(pop_last(2));
    case Instruction::kSetItems:
      return set_items(pop_to_mark());
    case Instruction::kGet1:
      return recall(reader_.u8());
    case Instruction::kGet4:
      return recall(reader_.u32());
    case Instruction::kPut1:
      return remember(reader_.u8());
    case Instruction::kPut4:
      return remember(reader_.u32());
    case Instruction::kMemoize:
      return remember(static_cast<std::uint32_t>(memo_.size()));
    case Instruction::kName: {
      const std::string_view module = reader_.line();
      return push_name(module, reader_.line());
    }
    case Instruction::kNameFromStack:
      return push_name_from_stack();
    case Instruction::kPersistentId:
      return push_value(find_pickled_storage(*pop()));
    case Instruction::kReduce:
      return reduce();
    case Instruction::kBuild:
      return build();
    case Instruction::kStop:
      return;
  }
  refuse(base::format("has the instruction 0x%02x", code) + ", which no table of tensors needs; nothing of it was run");
}

void Machine::push_long_integer() {
  const std::size_t width = reader_.u8();
  if (width > 8) refuse("has an integer of more than 64 bits");
  const std::uint64_t bits = reader_.number(width);
  const std::size_t missing = 64 - 8 * width;  // two's complement
  push(width == 0 ? std::int64_t{0} : static_cast<std::int64_t>(bits << missing) >> missing);
}

void Machine::push_name_from_stack() {
  const std::vector<PickleRef> names = pop_last(2);
  const auto* module = std::get_if<std::string>(&names[0]->content);
  const auto* name = std::get_if<std::string>(&names[1]->content);
  if (!module || !name) refuse("has a name that is no text");
  push_name(*module, *name);
}

void Machine::append(const std::vector<PickleRef>& values) {
  auto& sequence = target<PickleSequence>("a list");
  if (sequence.kind != PickleSequence::Kind::kList) refuse("adds to a tuple as if it were a list");
  sequence.items.insert(sequence.items.end(), values.begin(), values.end());
}

void Machine::set_items(const std::vector<PickleRef>& keys_and_values) {
  auto& dictionary = target<PickleDictionary>("a dictionary");
  if (keys_and_values.size() % 2 != 0) refuse("has a key without a value");
  for (std::size_t i = 0; i < keys_and_values.size(); i += 2) {
    dictionary.items.emplace_back(keys_and_values[i], keys_and_values[i + 1]);
  }
}

void Machine::reduce() {
  const std::vector<PickleRef> call = pop_last(2);
  push_value(call_pickled(*call[0], *call[1]));
}

/// Attributes of an object: torch hangs `_metadata`, the versions of modules, on the state dict. Nothing reads them.
void Machine::build() {
  const PickleRef state = pop();
  target<PickleDictionary>("a dictionary with attributes");
  const auto* attributes = std::get_if<PickleDictionary>(&state->content);
  if (!attributes) refuse("sets the state of an object, and it is no dictionary");
  for (const auto& [key, value] : attributes->items) {
    const auto* name = std::get_if<std::string>(&key->content);
    if (!name || *name != "_metadata") refuse("sets an attribute other than _metadata");
  }
}

}  // namespace

std::map<std::string, PickledTensor> read_torch_pickle(std::string_view pickle) {
  constexpr std::size_t kMaxBytes = 16 << 20;  // tables of real models have some 100 bytes a tensor
  if (pickle.size() > kMaxBytes) refuse("is larger than 16 MiB");
  std::map<std::string, PickledTensor> tensors;
  try {
    Machine machine(pickle);
    const PickleValue& result = machine.run();
    const auto* table = std::get_if<PickleDictionary>(&result.content);
    if (!table) refuse("holds " + describe(result) + " where a dictionary of tensors belongs");
    for (const auto& [key, value] : table->items) {
      const auto* name = std::get_if<std::string>(&key->content);
      if (!name) refuse("has " + describe(*key) + " as the name of a tensor");
      const auto* tensor = std::get_if<PickledTensor>(&value->content);
      if (!tensor) refuse("has " + describe(*value) + " under " + quote_bytes(*name) + ", where only tensors belong");
      if (!tensors.emplace(*name, *tensor).second) refuse("has two tensors of the name " + quote_bytes(*name));
    }
  } catch (const EndOfBytes&) {
    refuse("is cut short");
  }
  return tensors;
}

}  // namespace meshfold::models
