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

// N arrays in one block, for tasks so short that an allocation each would show.
template <class T, int N>
class ScratchParts {
 public:
  explicit ScratchParts(const int64_t (&sizes)[N]) : all_(padded_sum(sizes, N)) {
    for (int i = 0; i < N; ++i) parts_[i] = all_.get() + padded_sum(sizes, i);
  }
  T* operator[](int i) const { return parts_[i]; }

 private:
  static int64_t padded_sum(const int64_t* sizes, int n) {
    constexpr int64_t kLine = 64 / sizeof(T);
    int64_t sum = 0;
    for (int i = 0; i < n; ++i) sum += (sizes[i] + kLine - 1) / kLine * kLine;
    return sum;
  }

  Scratch<T> all_;
  T* parts_[N];
};

// Scratch, of up to kOnStack elements on the stack: for tasks so short that they would queue for the allocator's lock.
template <class T, int64_t kOnStack>
class ShortScratch {
 public:
  explicit ShortScratch(int64_t n)
      : bytes_(n > kOnStack ? static_cast<size_t>(n) * sizeof(T) : 0),
        data_(n > kOnStack ? static_cast<T*>(allocate(bytes_)) : stack_) {}
  ~ShortScratch() {
    if (bytes_) deallocate(data_, bytes_);
  }
  ShortScratch(const ShortScratch&) = delete;
  ShortScratch& operator=(const ShortScratch&) = delete;
  T* get() const { return data_; }

 private:
  size_t bytes_;
  T* data_;
  alignas(64) T stack_[kOnStack];
};

}  // namespace PYNN_CPU_NAMESPACE
