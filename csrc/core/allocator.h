// allocator.h -- host memory: 64-byte aligned blocks, cached by size class. See docs/notes/memory.md.
#pragma once
#include <cstddef>
#include <cstdint>

namespace pynn {

constexpr size_t kAlignment = 64;

// Never returns nullptr: throws Error(Memory) that names the size and the statistics. allocate(0) is a valid block.
void* allocate(size_t bytes);
// `bytes` as given to allocate; any thread may free.
void deallocate(void* block, size_t bytes) noexcept;

struct MemoryStats {
  int64_t allocated, peak_allocated;  // bytes asked for and not given back; the peak is exact to 32 KiB per thread
  int64_t cached;                     // bytes kept for reuse that empty_cache would give back
  int64_t reserved;                   // bytes held from the system: in use, cached, and the slabs of small blocks
  int64_t allocations, cache_hits;    // calls since start, and those that did not ask the system
  int64_t limit;                      // bytes; 0: none
};
MemoryStats memory_stats();
void reset_peak_memory_stats();
void empty_cache();
void set_memory_limit(int64_t bytes);  // of what is in use and cached; 0: none

}  // namespace pynn
