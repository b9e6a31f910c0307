#include "core/allocator.h"

#include <atomic>
#include <cstdlib>

#include "core/error.h"

namespace pynn {
namespace {
std::atomic<int64_t> allocated{0}, peak{0}, calls{0}, limit{0};
}

void* allocate(size_t bytes) {
  const int64_t now = allocated.fetch_add(static_cast<int64_t>(bytes)) + static_cast<int64_t>(bytes);
  void* p = bytes > (size_t{1} << 60) ? nullptr : std::aligned_alloc(kAlignment, (bytes + kAlignment) / kAlignment * kAlignment);
  if (!p) {
    allocated.fetch_sub(static_cast<int64_t>(bytes));
    fail(ErrorKind::Memory, "allocate: out of memory for ", bytes, " bytes");
  }
  calls.fetch_add(1);
  int64_t seen = peak.load();
  while (now > seen && !peak.compare_exchange_weak(seen, now)) {
  }
  return p;
}
void deallocate(void* block, size_t bytes) {
  allocated.fetch_sub(static_cast<int64_t>(bytes));
  std::free(block);
}
MemoryStats memory_stats() { return {allocated, peak, 0, calls, 0, limit}; }
void reset_peak_memory_stats() { peak = allocated.load(); }
void empty_cache() {}
void set_memory_limit(int64_t bytes) { limit = bytes; }

}  // namespace pynn
