// cuda_emulator.h -- runs a kernel's blocks one after another, a block's threads as fibers, on the CPU.
//
// A thread runs until it waits for others (__syncthreads, __syncwarp, shuffles, votes); then the next one goes on. So
// a kernel that never waits is a plain loop. What would hang or be undefined on a device is an error here: a barrier
// that some thread never reaches, a shuffle whose lanes never come. See docs/notes/cuda.md.
#pragma once
#include <cstring>
#include <memory>
#include <type_traits>

#include "cuda_runtime_api.h"

namespace emulator {

// What each thread of a launch does, with the kernel's parameters.
class Body {
 public:
  template <class F>
  explicit Body(F f) : size_(sizeof(F)), object_(new F(f), [](void* p) { delete static_cast<F*>(p); }) {
    raw_ = object_.get();
    call_ = [](void* p) { (*static_cast<F*>(p))(); };
  }
  // Inlined, and of plain pointers: no copy of it that memory_check.cpp looks at may be called.
  __attribute__((always_inline)) void operator()() const { call_(raw_); }
  const void* parameters() const { return raw_; }
  size_t size() const { return size_; }

 private:
  size_t size_;
  std::shared_ptr<void> object_;
  void* raw_;
  void (*call_)(void*);
};

// Throws pynn::Error for a launch that no device would take, for a deadlock, and whatever `body` throws.
void run(dim3 grid, dim3 block, size_t shared, Body body);
template <class F>
void run(dim3 grid, dim3 block, size_t shared, F body) {
  run(grid, block, shared, Body(body));
}
void* dynamic_shared_memory();

// ---- for cuda_runtime.h: all are called by the thread that runs ----

enum class Vote { Count, And, Or };
enum class WarpOp { Sync, Shuffle, Ballot, Match };
int block_barrier(int predicate, Vote vote);
// Waits for the lanes of `mask`. `out` gets the `size` bytes at `in` of lane `source`; of a lane that has ended, 0xFF.
void warp_exchange(WarpOp op, unsigned mask, int source, const void* in, void* out, size_t size);
int lane();
[[noreturn]] void trap(const char* what);

template <class T>
T shuffle(unsigned mask, T v, int source) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 16);
  T out;
  warp_exchange(WarpOp::Shuffle, mask, source, &v, &out, sizeof(T));
  return out;
}

}  // namespace emulator
