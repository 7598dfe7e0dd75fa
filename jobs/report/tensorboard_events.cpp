#include "jobs/report/tensorboard_events.hpp"

#include <bit>

#include "base/checksum.hpp"

namespace meshfold::jobs {
namespace {

/// As TFRecord stores it, so that a CRC over data that holds CRCs stays strong.
std::uint32_t masked(std::uint32_t crc) { return std::rotr(crc, 15) + 0xA282EAD8U; }

template <typename Integer>
void append_little_endian(std::string& out, Integer value) {
  for (std::size_t i = 0; i < sizeof value; ++i) out += static_cast<char>(value >> (8 * i) & 0xFFU);
}

/// A protocol-buffer message under construction.
class Message {
 public:
  Message& varint(int field, std::uint64_t value) {
    append_varint(static_cast<std::uint64_t>(field) << 3);
    append_varint(value);
    return *this;
  }
  Message& fixed64(int field, double value) {
    append_varint(static_cast<std::uint64_t>(field) << 3 | 1U);
    append_little_endian(bytes_, std::bit_cast<std::uint64_t>(value));
    return *this;
  }
  Message& fixed32(int field, float value) {
    append_varint(static_cast<std::uint64_t>(field) << 3 | 5U);
    append_little_endian(bytes_, std::bit_cast<std::uint32_t>(value));
    return *this;
  }
  Message& bytes(int field, std::string_view value) {
    append_varint(static_cast<std::uint64_t>(field) << 3 | 2U);
    append_varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(int field, const Message& value) { return bytes(field, value.bytes_); }
  const std::string& encoded() const { return bytes_; }

 private:
  void append_varint(std::uint64_t value) {
    for (; value >= 0x80U; value >>= 7) bytes_ += static_cast<char>((value & 0x7FU) | 0x80U);
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

/// Event: wall_time 1, step 2, file_version 3, summary 5, session_log 7.
Message event(double time, std::int64_t step) {
  Message message;
  message.fixed64(1, time);
  if (step != 0) message.varint(2, static_cast<std::uint64_t>(step));
  return message;
}

}  // namespace

std::string tf_record(std::string_view data) {
  std::string record;
  append_little_endian(record, static_cast<std::uint64_t>(data.size()));
  append_little_endian(record, masked(base::crc32c(record)));
  record += data;
  append_little_endian(record, masked(base::crc32c(data)));
  return record;
}

std::string version_event(double time) {
  // Readers heed restart events from version 2 on.
  return event(time, 0).bytes(3, "brain.Event:2").encoded();
}

std::string restart_event(double time, std::int64_t step) {
  constexpr std::uint64_t kStart = 1;  // SessionLog.status
  return event(time, step).message(7, Message().varint(1, kStart)).encoded();
}

std::string scalar_event(double time, std::int64_t step, std::span<const std::string> tags, float value) {
  Message summary;
  for (const auto& tag : tags) summary.message(1, Message().bytes(1, tag).fixed32(2, value));
  return event(time, step).message(5, summary).encoded();
}

std::string text_event(double time, std::int64_t step, std::string_view tag, std::string_view markdown) {
  constexpr std::uint64_t kTensorClass = 2, kString = 7;  // DataClass.DATA_CLASS_TENSOR, DataType.DT_STRING
  const Message metadata = Message().message(1, Message().bytes(1, "text")).varint(4, kTensorClass);
  const Message shape = Message().message(2, Message().varint(1, 1));  // [1]
  const Message tensor = Message().varint(1, kString).message(2, shape).bytes(8, markdown);
  const Message summary_value = Message().bytes(1, tag).message(8, tensor).message(9, metadata);
  return event(time, step).message(5, Message().message(1, summary_value)).encoded();
}

}  // namespace meshfold::jobs
