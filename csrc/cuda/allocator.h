// allocator.h -- device memory, cached, in the order of streams. See docs/notes/cuda.md.
//
// A block that is freed may be handed out again at once to the stream that it was made on: work on a stream runs in
// order. Other streams that use a block say so by record_use; it then waits for them before it is handed out again.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace pynn::cuda {

constexpr int kMaxDevices = 16;

void* allocate(size_t bytes, int device, cudaStream_t stream);
void deallocate(void* block, int device) noexcept;
void record_use(void* block, int device, cudaStream_t stream);

struct DeviceMemoryStats {
  int64_t allocated, peak_allocated;  // bytes of blocks in use, rounded up to 512
  int64_t reserved, peak_reserved;    // bytes taken from the device
  int64_t allocations, retries, out_of_memory;
  int64_t segments;
};
DeviceMemoryStats memory_stats(int device);
void reset_peak_memory_stats(int device);
void empty_cache();                                // of all devices; waits for them
void set_memory_limit(int device, int64_t bytes);  // of `reserved`; 0: none

// Blocks allocated on `stream` from now on come from memory of their own, which a captured graph may use whenever it is
// replayed. `pool` names that memory; it is given back when the pool is released as often as it was begun.
void begin_pool(int device, uint64_t pool, cudaStream_t stream);
void end_pool(int device, uint64_t pool);
void release_pool(int device, uint64_t pool);

}  // namespace pynn::cuda
