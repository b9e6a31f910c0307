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

template <class T>
PYNN_INLINE T min_of(T a, T b) {
  return b < a ? b : a;
}
template <class T>
PYNN_INLINE T max_of(T a, T b) {
  return a < b ? b : a;
}
PYNN_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
PYNN_INLINE int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

}  // namespace PYNN_CPU_NAMESPACE
