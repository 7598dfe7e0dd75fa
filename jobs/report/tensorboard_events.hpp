#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace meshfold::jobs {

/// `data` as a record of TensorBoard's event files (TFRecord): u64 length, masked CRC of it, the bytes, masked CRC of
/// them; little endian.
std::string tf_record(std::string_view data);

// Messages of tensorflow/core/util/event.proto and framework/summary.proto in protocol-buffer encoding; `time` is
// seconds since 1970.

/// The first event of a file.
std::string version_event(double time);
/// Values of `step` and later ones that other files of the directory hold are void: an attempt that was lost.
std::string restart_event(double time, std::int64_t step);
/// One value under several tags.
std::string scalar_event(double time, std::int64_t step, std::span<const std::string> tags, float value);
/// A text for TensorBoard's text tab, in Markdown.
std::string text_event(double time, std::int64_t step, std::string_view tag, std::string_view markdown);

}  // namespace meshfold::jobs
