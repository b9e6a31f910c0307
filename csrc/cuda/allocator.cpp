// allocator.cpp -- segments from cudaMalloc, split into blocks; free blocks are kept by stream and size.
//
// Up to 1 MiB a block comes from a segment of 2 MiB that small blocks share; up to 10 MiB from one of 20 MiB; a larger
// one has a segment of its own. The smallest free block that fits is taken, its rest split off where that is worth it,
// and neighbours join again when they are free.
#include "cuda/allocator.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/error.h"
#include "cuda/runtime.h"

namespace pynn::cuda {
namespace {

constexpr size_t kUnit = 512;
constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kSmall = kMiB, kSmallSegment = 2 * kMiB;
constexpr size_t kMedium = 10 * kMiB, kMediumSegment = 20 * kMiB;

// Not set: each tensor has memory of exactly its size from the device, so that tools see where it ends.
bool caching() {
  static const bool on = !std::getenv("PYNN_NO_CUDA_MEMORY_CACHING");
  return on;
}

constexpr size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

struct Block;
struct BySize {
  using is_transparent = void;
  bool operator()(const Block* a, const Block* b) const;
};
using FreeBlocks = std::set<Block*, BySize>;

// Free blocks, of all streams or of one captured graph.
struct Pool {
  FreeBlocks small, large;
  int64_t uses = 0;  // of a graph's pool: graphs that hold it, or capture into it
};

struct Block {
  char* data;
  size_t size;
  cudaStream_t stream;
  Pool* pool;
  bool small;
  bool free = false;
  Block *before = nullptr, *after = nullptr;  // neighbours in the segment
  std::vector<cudaStream_t> users = {};       // other streams
  FreeBlocks& shelf() const { return small ? pool->small : pool->large; }
};
bool BySize::operator()(const Block* a, const Block* b) const {
  if (a->stream != b->stream) return std::less<>()(a->stream, b->stream);
  if (a->size != b->size) return a->size < b->size;
  return std::less<>()(a->data, b->data);
}

class DeviceAllocator {
 public:
  void* allocate(size_t bytes, int device, cudaStream_t stream) {
    std::lock_guard lock(mutex_);
    const size_t size = std::max(kUnit, round_up(bytes, kUnit));
    PYNN_CHECK_KIND(Memory, size >= bytes, "CUDA out of memory: ", bytes, " bytes asked for");
    if (!waiting_.empty() && captures_.empty()) collect_waiting();  // asks for events, which a capture forbids
    if (!caching()) return allocate_exactly(bytes, device);
    Pool* pool = &main_;
    for (const Capture& c : captures_)
      if (c.stream == stream) pool = c.pool;
    if (Block* block = take_recent(pool, size, stream)) return account(block);
    Block* block = take(pool, size, stream);
    if (!block && give_back_recent()) block = take(pool, size, stream);
    if (!block) block = fresh(pool, size, device, stream);
    const size_t rest = block->size - size;
    if (block->small ? rest >= kUnit : rest > kSmall) split(block, size);
    used_.emplace(block->data, block);
    return account(block);
  }

  void deallocate(void* data) noexcept {
    std::lock_guard lock(mutex_);
    if (const auto exact = exact_.find(data); exact != exact_.end()) {
      stats_.allocated -= exact->second;
      stats_.reserved -= exact->second;
      --stats_.segments;
      exact_.erase(exact);
      (void)cudaFree(data);
      return;
    }
    const auto it = used_.find(data);
    if (it == used_.end()) return;
    Block* block = it->second;
    stats_.allocated -= static_cast<int64_t>(block->size);
    if (!block->users.empty()) {
      used_.erase(it);
      wait_for_users(block);
    } else if (block->size <= kMostRecent) {
      Recent& oldest = recent_[next_recent_++ % recent_.size()];
      if (oldest.block) give_back(oldest.block);
      oldest = {block, used_.extract(it)};
    } else {
      used_.erase(it);
      give_back(block);
    }
  }

  void record_use(void* data, cudaStream_t stream) {
    std::lock_guard lock(mutex_);
    const auto it = used_.find(data);
    if (it == used_.end() || it->second->stream == stream) return;
    std::vector<cudaStream_t>& users = it->second->users;
    if (std::find(users.begin(), users.end(), stream) == users.end()) users.push_back(stream);
  }

  DeviceMemoryStats stats() {
    std::lock_guard lock(mutex_);
    return stats_;
  }
  void reset_peak() {
    std::lock_guard lock(mutex_);
    stats_.peak_allocated = stats_.allocated;
    stats_.peak_reserved = stats_.reserved;
  }
  void empty_cache(int device) {
    std::lock_guard lock(mutex_);
    if (stats_.segments) release_cached(device);
  }
  void set_limit(int64_t bytes) {
    std::lock_guard lock(mutex_);
    limit_ = bytes;
  }

  void begin_pool(uint64_t id, cudaStream_t stream) {
    std::lock_guard lock(mutex_);
    auto& pool = pools_[id];
    if (!pool) pool = std::make_unique<Pool>();
    ++pool->uses;
    captures_.push_back({id, stream, pool.get()});
  }
  void end_pool(uint64_t id) {
    std::lock_guard lock(mutex_);
    std::erase_if(captures_, [&](const Capture& c) { return c.id == id; });
  }
  // Its blocks serve everyone from then on.
  void release_pool(uint64_t id) {
    std::lock_guard lock(mutex_);
    const auto it = pools_.find(id);
    if (it == pools_.end() || --it->second->uses > 0) return;
    give_back_recent();
    Pool* pool = it->second.get();
    for (auto& [data, block] : used_)
      if (block->pool == pool) block->pool = &main_;
    for (Waiting& w : waiting_)
      if (w.block->pool == pool) w.block->pool = &main_;
    for (FreeBlocks Pool::* shelf : {&Pool::small, &Pool::large}) {
      for (Block* block : pool->*shelf) {
        block->pool = &main_;
        (main_.*shelf).insert(block);
      }
    }
    pools_.erase(it);
  }

 private:
  struct Waiting {
    Block* block;
    std::vector<cudaEvent_t> events;
  };
  struct Capture {
    uint64_t id;
    cudaStream_t stream;
    Pool* pool;
  };

  // The blocks freed last, as they were: a chain of small ops takes them again, and need not join and split them.
  struct Recent {
    Block* block = nullptr;
    std::unordered_map<void*, Block*>::node_type entry;  // of used_
  };
  static constexpr size_t kMostRecent = size_t{64} << 10;

  Block* take_recent(Pool* pool, size_t size, cudaStream_t stream) {
    for (Recent& r : recent_) {
      if (!r.block || r.block->size != size || r.block->stream != stream || r.block->pool != pool) continue;
      used_.insert(std::move(r.entry));
      return std::exchange(r.block, nullptr);
    }
    return nullptr;
  }
  bool give_back_recent() {
    bool any = false;
    for (Recent& r : recent_) {
      if (!r.block) continue;
      r.entry = {};
      give_back(std::exchange(r.block, nullptr));
      any = true;
    }
    return any;
  }
  void* account(Block* block) {
    ++stats_.allocations;
    stats_.allocated += static_cast<int64_t>(block->size);
    stats_.peak_allocated = std::max(stats_.peak_allocated, stats_.allocated);
    return block->data;
  }

  Block* take(Pool* pool, size_t size, cudaStream_t stream) {
    Block key{nullptr, size, stream, pool, size <= kSmall};
    FreeBlocks& shelf = key.shelf();
    const auto it = shelf.lower_bound(&key);
    if (it == shelf.end() || (*it)->stream != stream) return nullptr;
    // A large free block is not broken up for a request of a fraction of it: it has its segment to itself.
    if (!key.small && size > kMedium && (*it)->size > size + size / 4 + kMediumSegment) return nullptr;
    Block* block = *it;
    shelf.erase(it);
    block->free = false;
    return block;
  }

  void* allocate_exactly(size_t bytes, int device) {
    DeviceGuard guard(device);
    const size_t size = round_up(std::max<size_t>(bytes, 1), 4);  // atomics on 16 bits use the word around them
    void* data = nullptr;
    if (cudaMalloc(&data, size) != cudaSuccess) {
      (void)cudaGetLastError();
      out_of_memory(size, device);
    }
    exact_.emplace(data, static_cast<int64_t>(size));
    ++stats_.allocations;
    ++stats_.segments;
    stats_.allocated += static_cast<int64_t>(size);
    stats_.reserved += static_cast<int64_t>(size);
    stats_.peak_allocated = std::max(stats_.peak_allocated, stats_.allocated);
    stats_.peak_reserved = std::max(stats_.peak_reserved, stats_.reserved);
    return data;
  }

  // A segment from the device.
  Block* fresh(Pool* pool, size_t size, int device, cudaStream_t stream) {
    const size_t segment = size <= kSmall    ? kSmallSegment
                           : size <= kMedium ? kMediumSegment
                                             : round_up(size, kSmallSegment);
    void* data = nullptr;
    DeviceGuard guard(device);
    for (int attempt = 0; attempt < 2 && !data; ++attempt) {
      if (attempt) {
        ++stats_.retries;
        if (!captures_.empty()) break;  // nothing can be freed while a graph is captured
        release_cached(device);
      }
      if (limit_ && stats_.reserved + static_cast<int64_t>(segment) > limit_) continue;
      // A graph that is captured may take memory all the same: it is not part of the graph.
      cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
      (void)cudaThreadExchangeStreamCaptureMode(&mode);
      const cudaError_t status = cudaMalloc(&data, segment);
      (void)cudaThreadExchangeStreamCaptureMode(&mode);
      if (status == cudaSuccess) break;
      (void)cudaGetLastError();
      data = nullptr;
      if (status != cudaErrorMemoryAllocation) check(status, "allocate");
    }
    if (!data) out_of_memory(size, device);
    ++stats_.segments;
    stats_.reserved += static_cast<int64_t>(segment);
    stats_.peak_reserved = std::max(stats_.peak_reserved, stats_.reserved);
    return new Block{static_cast<char*>(data), segment, stream, pool, size <= kSmall};
  }

  [[noreturn]] void out_of_memory(size_t size, int device) {
    ++stats_.out_of_memory;
    size_t available = 0, total = 0;
    (void)cudaMemGetInfo(&available, &total);
    fail(ErrorKind::Memory, "CUDA out of memory. Tried to allocate ", static_cast<double>(size) / kMiB, " MiB. GPU ",
         device, " has ", total / kMiB, " MiB, of which ", available / kMiB, " MiB are free; this process has ",
         stats_.reserved / static_cast<int64_t>(kMiB), " MiB reserved, ", stats_.allocated / static_cast<int64_t>(kMiB),
         " MiB of them in tensors",
         limit_ ? concat(" (limit: ", limit_ / static_cast<int64_t>(kMiB), " MiB)") : std::string());
  }

  void split(Block* block, size_t size) {
    Block* rest = new Block{block->data + size, block->size - size, block->stream, block->pool, block->small};
    rest->before = block;
    rest->after = block->after;
    if (rest->after) rest->after->before = rest;
    block->after = rest;
    block->size = size;
    rest->free = true;
    rest->shelf().insert(rest);
  }

  void give_back(Block* block) {
    block->free = true;
    for (Block* neighbour : {block->before, block->after}) {
      if (!neighbour || !neighbour->free) continue;
      neighbour->shelf().erase(neighbour);
      Block* first = neighbour == block->before ? neighbour : block;
      Block* second = first == block ? neighbour : block;
      first->size += second->size;
      first->after = second->after;
      if (first->after) first->after->before = first;
      first->free = true;
      block = first;
      delete second;
    }
    block->shelf().insert(block);
  }

  void wait_for_users(Block* block) {
    Waiting w{block, {}};
    for (cudaStream_t stream : block->users) {
      cudaEvent_t event;
      if (cudaEventCreateWithFlags(&event, cudaEventDisableTiming) != cudaSuccess) continue;
      (void)cudaEventRecord(event, stream);
      w.events.push_back(event);
    }
    block->users.clear();
    waiting_.push_back(std::move(w));
  }
  void collect_waiting() {
    std::erase_if(waiting_, [&](Waiting& w) {
      std::erase_if(w.events, [](cudaEvent_t event) {
        if (cudaEventQuery(event) != cudaSuccess) return (void)cudaGetLastError(), false;
        (void)cudaEventDestroy(event);
        return true;
      });
      if (!w.events.empty()) return false;
      give_back(w.block);
      return true;
    });
  }

  // Whole free segments go back to the device.
  void release_cached(int device) {
    DeviceGuard guard(device);
    (void)cudaDeviceSynchronize();
    collect_waiting();
    give_back_recent();
    for (FreeBlocks* shelf : {&main_.small, &main_.large}) {
      std::erase_if(*shelf, [&](Block* block) {
        if (block->before || block->after) return false;
        (void)cudaFree(block->data);
        --stats_.segments;
        stats_.reserved -= static_cast<int64_t>(block->size);
        delete block;
        return true;
      });
    }
  }

  std::mutex mutex_;
  Pool main_;
  std::unordered_map<uint64_t, std::unique_ptr<Pool>> pools_;
  std::vector<Capture> captures_;
  std::unordered_map<void*, Block*> used_;
  std::array<Recent, 8> recent_;
  size_t next_recent_ = 0;
  std::unordered_map<void*, int64_t> exact_;
  std::vector<Waiting> waiting_;
  DeviceMemoryStats stats_{};
  int64_t limit_ = 0;
};

// Never destroyed: tensors may outlive static objects.
DeviceAllocator& allocator(int device) {
  static auto& all = *new std::array<DeviceAllocator, kMaxDevices>;
  return all[static_cast<size_t>(device)];
}

}  // namespace

void* allocate(size_t bytes, int device, cudaStream_t stream) {
  return allocator(device).allocate(bytes, device, stream);
}
void deallocate(void* block, int device) noexcept { allocator(device).deallocate(block); }
void record_use(void* block, int device, cudaStream_t stream) { allocator(device).record_use(block, stream); }
DeviceMemoryStats memory_stats(int device) { return allocator(device).stats(); }
void reset_peak_memory_stats(int device) { allocator(device).reset_peak(); }
void empty_cache() {
  for (int d = 0; d < accelerator->device_count(); ++d) allocator(d).empty_cache(d);
}
void set_memory_limit(int device, int64_t bytes) { allocator(device).set_limit(bytes); }
void begin_pool(int device, uint64_t pool, cudaStream_t stream) { allocator(device).begin_pool(pool, stream); }
void end_pool(int device, uint64_t pool) { allocator(device).end_pool(pool); }
void release_pool(int device, uint64_t pool) { allocator(device).release_pool(pool); }

}  // namespace pynn::cuda
