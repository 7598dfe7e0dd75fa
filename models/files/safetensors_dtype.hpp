#pragma once

#include <c10/core/ScalarType.h>

#include <array>
#include <string_view>
#include <utility>

namespace meshfold::models {

/// The format's names of element types, and ours.
inline constexpr std::array<std::pair<std::string_view, at::ScalarType>, 15> kSafetensorsTypes{{
    {"F64", at::kDouble},
    {"I64", at::kLong},
    {"U64", at::kUInt64},
    {"F32", at::kFloat},
    {"I32", at::kInt},
    {"U32", at::kUInt32},
    {"F16", at::kHalf},
    {"BF16", at::kBFloat16},
    {"I16", at::kShort},
    {"U16", at::kUInt16},
    {"F8_E4M3", at::kFloat8_e4m3fn},
    {"F8_E5M2", at::kFloat8_e5m2},
    {"I8", at::kChar},
    {"U8", at::kByte},
    {"BOOL", at::kBool},
}};

}  // namespace meshfold::models
