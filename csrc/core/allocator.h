// allocator.h -- host memory: 64-byte aligned blocks, cached by size class. See docs/notes/memory.md.
#pragma once
#include <cstddef>
#include <cstdint>

namespace pynn {

constexpr size_t kAlignment = 64;

// Never returns nullptr: throws Error(Memory) that names the size and the statistics. allocate(0) is a valid block.
void* allocate(size_t bytes);
void deallocate(void* block, size_t bytes);  // `bytes` as given to allocate; any thread may free

struct MemoryStats {
  int64_t allocated, peak_allocated;  // bytes asked for and not given back
  int64_t cached;                     // bytes kept for reuse
  int64_t allocations, cache_hits;    // calls since start
  int64_t limit;                      // bytes; 0: none
};
MemoryStats memory_stats();
void reset_peak_memory_stats();
void empty_cache();
void set_memory_limit(int64_t bytes);  // 0: none

}  // namespace pynn
