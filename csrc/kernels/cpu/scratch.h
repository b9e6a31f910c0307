// scratch.h -- temporary memory of a kernel: uninitialised, 64-byte aligned, from the caching allocator.
#pragma once
#include "core/allocator.h"
#include "kernels/stub.h"

namespace PYNN_CPU_NAMESPACE {

template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t n) : bytes_(static_cast<size_t>(n) * sizeof(T)), data_(static_cast<T*>(allocate(bytes_))) {}
  ~Scratch() { deallocate(data_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* get() const { return data_; }
  T& operator[](int64_t i) const { return data_[i]; }

 private:
  size_t bytes_;
  T* data_;
};

}  // namespace PYNN_CPU_NAMESPACE
