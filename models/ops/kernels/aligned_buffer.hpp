#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace meshfold::models::ops {

/// Uninitialised elements that start at a cache line and end with one.
template <typename T>
class AlignedBuffer {
 public:
  explicit AlignedBuffer(std::int64_t count)
      : data_(static_cast<T*>(std::aligned_alloc(64, (static_cast<std::size_t>(count) * sizeof(T) / 64 + 1) * 64))) {
    if (!data_) throw std::bad_alloc();
  }
  T* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(T* data) const { std::free(data); }
  };
  std::unique_ptr<T, Free> data_;
};

}  // namespace meshfold::models::ops
