#include "cuda/pinned.h"

#include <cuda_runtime.h>

#include <bit>
#include <map>
#include <mutex>
#include <vector>

#include "core/error.h"
#include "cuda/runtime.h"

namespace pynn::cuda {
namespace {

struct Freed {
  void* data;
  cudaEvent_t event;  // of the stream on which it was last used
};
struct Cache {
  std::mutex mutex;
  std::map<const char*, size_t> used;                // first byte: size
  std::map<size_t, std::vector<Freed>> free_blocks;  // by size
};
Cache& cache() {
  static Cache& c = *new Cache;
  return c;
}

}  // namespace

void* allocate_pinned(size_t bytes) {
  const size_t size = std::bit_ceil(bytes < 512 ? size_t{512} : bytes);
  Cache& c = cache();
  std::lock_guard lock(c.mutex);
  void* data = nullptr;
  std::vector<Freed>& blocks = c.free_blocks[size];
  for (size_t i = 0; i < blocks.size() && !data; ++i) {
    if (cudaEventQuery(blocks[i].event) != cudaSuccess) {
      (void)cudaGetLastError();
      continue;
    }
    (void)cudaEventDestroy(blocks[i].event);
    data = blocks[i].data;
    blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(i));
  }
  if (!data) {
    const cudaError_t status = cudaHostAlloc(&data, size, cudaHostAllocPortable);
    PYNN_CHECK_KIND(Memory, status != cudaErrorMemoryAllocation, "pin_memory: ", bytes,
                    " bytes of host memory could not be locked");
    check(status, "pin_memory");
  }
  c.used.emplace(static_cast<const char*>(data), size);
  return data;
}

void deallocate_pinned(void* block) noexcept {
  Cache& c = cache();
  std::lock_guard lock(c.mutex);
  const auto it = c.used.find(static_cast<const char*>(block));
  if (it == c.used.end()) return;
  const size_t size = it->second;
  c.used.erase(it);
  cudaEvent_t event;
  if (cudaEventCreateWithFlags(&event, cudaEventDisableTiming) != cudaSuccess ||
      cudaEventRecord(event, current_stream()) != cudaSuccess) {
    (void)cudaGetLastError();  // nobody can tell when it is free: it stays locked until the process ends
    return;
  }
  c.free_blocks[size].push_back({block, event});
}

bool is_pinned(const void* data) {
  Cache& c = cache();
  std::lock_guard lock(c.mutex);
  auto it = c.used.upper_bound(static_cast<const char*>(data));
  if (it == c.used.begin()) return false;
  --it;
  return static_cast<const char*>(data) < it->first + it->second;
}

}  // namespace pynn::cuda
