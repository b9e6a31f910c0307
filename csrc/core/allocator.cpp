// allocator.cpp -- three kinds of block by size (docs/notes/memory.md has the reasons and figures):
//
//   small   up to 1 KiB     thread-local free lists of 16 classes, filled from slabs; no lock, no shared line
//   medium  below 4 MiB     one free list per class behind a lock; from the C library
//   large   from 4 MiB on   the same lists; from mmap, on huge pages
//
// Class and capacity follow from the size asked for, so that a block needs no header.
#include "core/allocator.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(_WIN32)
#include <malloc.h>
#else
#include <pthread.h>
#endif

#include "core/error.h"

namespace pynn {
namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PYNN_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(PYNN_ASAN)
constexpr bool kCaching = false;  // the sanitizer sees every block, at its exact size
#else
constexpr bool kCaching = true;
#endif

constexpr size_t kSmallMax = 1024, kSmallClasses = kSmallMax / kAlignment;
constexpr size_t kSlab = 64 << 10;
constexpr size_t kHugePage = 2 << 20, kLargeMin = 2 * kHugePage;
constexpr size_t kMaxBytes = SIZE_MAX / 4;
constexpr int kClasses = 8 * 52;           // beyond small: 8 per doubling from 1 KiB to kMaxBytes
constexpr int64_t kMaxCached = 1ll << 30;  // of medium and large blocks
constexpr int64_t kSlack = 64ll << 20;     // what the caches may add to the highest use so far
constexpr int64_t kPublish = 32 << 10;     // a thread reports its balance when it has moved by so much

constexpr size_t small_class(size_t bytes) { return (bytes - (bytes != 0)) / kAlignment; }

struct SizeClass {
  int index;
  size_t capacity;
};
SizeClass size_class(size_t bytes) {  // kSmallMax < bytes <= kMaxBytes; at most 1/8 is lost
  const int shift = std::bit_width(bytes - 1) - 4;
  const size_t step = (bytes - 1) >> shift;  // 8 to 15
  return {(shift - 7) * 8 + static_cast<int>(step) - 8, (step + 1) << shift};
}

// nullptr on failure.
void* system_allocate(size_t bytes) {
#if defined(__linux__)
  if (kCaching && bytes >= kLargeMin) {
    // Begin on a huge page: a fault then brings 2 MiB.
    const size_t padded = bytes + kHugePage;
    void* map = mmap(nullptr, padded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return nullptr;
    const size_t before = -reinterpret_cast<uintptr_t>(map) % kHugePage, after = kHugePage - before;
    char* start = static_cast<char*>(map) + before;
    if (before) munmap(map, before);
    if (after) munmap(start + bytes, after);
    madvise(start, bytes, MADV_HUGEPAGE);
    return start;
  }
#endif
#if defined(_WIN32)
  return _aligned_malloc(bytes, kAlignment);
#else
  void* block = nullptr;
  return posix_memalign(&block, kAlignment, bytes) == 0 ? block : nullptr;
#endif
}

void system_free(void* block, [[maybe_unused]] size_t bytes) {
#if defined(__linux__)
  if (kCaching && bytes >= kLargeMin) {
    munmap(block, bytes);
    return;
  }
#endif
#if defined(_WIN32)
  _aligned_free(block);
#else
  std::free(block);
#endif
}

struct FreeSmall {  // lives in the free block
  FreeSmall* next;
};

struct FreeBlock {             // the same for medium and large blocks, in two lists at once
  FreeBlock *next, *previous;  // of its class
  FreeBlock *older, *newer;    // of all
  size_t capacity;
  int index;
  const void* thread;  // which freed it
};

// What one thread has at hand. Its owner alone writes; the counters are atomic so that memory_stats may read them.
struct ThreadCache {
  struct List {
    FreeSmall* head = nullptr;
    int room = 0;  // blocks that still fit
  };
  List lists[kSmallClasses];
  std::atomic<int64_t> balance{0};  // bytes allocated minus freed here since the last publication
  std::atomic<int64_t> allocations{0};
  ThreadCache* next = nullptr;  // of all caches ever made
  ThreadCache* next_idle = nullptr;
};

template <class T>
void add(std::atomic<T>& counter, T amount) {  // by the only writer: no locked instruction
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

// Stands in before a thread's first call and after its end: always empty, always full.
ThreadCache nobody;
constinit thread_local ThreadCache* cache = &nobody;
constinit thread_local bool thread_ended = false;

int batch(size_t k) { return static_cast<int>(std::clamp<size_t>(4096 / ((k + 1) * kAlignment), 8, 32)); }

// Everything behind the lock. Never destroyed: tensors may be freed after the static destructors.
class Central {
 public:
  // Out of line, to keep the hot paths short.
  [[gnu::noinline]] void* allocate_small(size_t bytes);
  [[gnu::noinline]] void deallocate_small(void* block, size_t bytes) noexcept;
  [[gnu::noinline]] void* allocate_block(size_t bytes);
  [[gnu::noinline]] void deallocate_block(void* block, size_t bytes) noexcept;
  [[gnu::noinline]] void publish() noexcept;
  void enter_thread() noexcept;
  void leave_thread() noexcept;
  MemoryStats stats();
  void reset_peak();
  void empty();
  void set_limit(int64_t bytes);

  std::mutex mutex;  // public for the fork handlers

 private:
  std::unique_lock<std::mutex> locked();
  // All of these with the lock held.
  void* reserve(size_t capacity, size_t asked);
  void account(int64_t bytes);
  FreeSmall* carve(size_t k, size_t asked);
  void insert(FreeBlock* block);
  void remove(FreeBlock* block);
  FreeBlock* pick(int index) const;
  FreeBlock* evict(int64_t bound);  // a chain by `next` for release()
  void release(FreeBlock* chain);
  MemoryStats current() const;
  [[noreturn]] void fail_for(size_t bytes) const;

  FreeSmall* small_[kSmallClasses] = {};
  char *slab_ = nullptr, *slab_end_ = nullptr;  // what is not carved yet
  FreeBlock* free_[kClasses] = {};
  FreeBlock *oldest_ = nullptr, *newest_ = nullptr;
  ThreadCache *caches_ = nullptr, *idle_ = nullptr;
  int64_t allocated_ = 0, peak_ = 0, cached_ = 0, reserved_ = 0, limit_ = 0;
  int64_t allocations_ = 0, misses_ = 0;
};

Central& central() {
  alignas(Central) static unsigned char storage[sizeof(Central)];
  static Central* const instance = [] {
    Central* c = new (storage) Central;
#if !defined(_WIN32)
    // A child must not inherit the lock from a thread that it does not have.
    pthread_atfork([] { central().mutex.lock(); }, [] { central().mutex.unlock(); }, [] { central().mutex.unlock(); });
#endif
    return c;
  }();
  return *instance;
}

struct ThreadEnd {
  ~ThreadEnd() {
    central().leave_thread();
    thread_ended = true;
  }
};

// Held for some 50 ns, where sleeping takes microseconds: kernels' threads ask for scratch memory at the same moment.
std::unique_lock<std::mutex> Central::locked() {
  std::unique_lock lock(mutex, std::try_to_lock);
  for (int i = 0; i < 200 && !lock.owns_lock(); ++i) lock.try_lock();
  if (!lock.owns_lock()) lock.lock();
  return lock;
}

void Central::account(int64_t bytes) {
  // With the calling thread's balance, so that a program with one thread sees exact peaks.
  const int64_t balance = cache->balance.load(std::memory_order_relaxed);
  if (balance) cache->balance.store(0, std::memory_order_relaxed);
  allocated_ += bytes + balance;
  peak_ = std::max(peak_, allocated_);
}

void Central::publish() noexcept {
  std::lock_guard lock(mutex);
  account(0);
}

// Before the first block of a thread; not once its thread_local objects are gone.
void Central::enter_thread() noexcept {
  if (cache != &nobody || thread_ended) return;
  static thread_local ThreadEnd at_end;
  (void)&at_end;
  std::lock_guard lock(mutex);
  ThreadCache* c = idle_;
  if (c) {
    idle_ = c->next_idle;
  } else {
    c = new (std::nothrow) ThreadCache;
    if (!c) return;
    c->next = caches_;
    caches_ = c;
  }
  for (size_t k = 0; k < kSmallClasses; ++k) c->lists[k].room = 2 * batch(k);
  cache = c;
}

void Central::leave_thread() noexcept {
  ThreadCache* c = cache;
  if (c == &nobody) return;
  std::lock_guard lock(mutex);
  account(0);
  cache = &nobody;
  for (size_t k = 0; k < kSmallClasses; ++k) {
    while (FreeSmall* block = c->lists[k].head) {
      c->lists[k].head = block->next;
      block->next = small_[k];
      small_[k] = block;
    }
  }
  c->next_idle = idle_;
  idle_ = c;
}

MemoryStats Central::current() const {
  MemoryStats s{allocated_, peak_, cached_, reserved_, allocations_, 0, limit_};
  for (const ThreadCache* c = caches_; c; c = c->next) {
    s.allocated += c->balance.load(std::memory_order_relaxed);
    s.allocations += c->allocations.load(std::memory_order_relaxed);
  }
  s.peak_allocated = std::max(s.peak_allocated, s.allocated);
  s.cache_hits = s.allocations - misses_;
  return s;
}

void Central::fail_for(size_t bytes) const {
  const MemoryStats s = current();
  fail(ErrorKind::Memory, "allocate: ", bytes, " bytes do not fit into memory, got ", s.allocated,
       " bytes in use (peak ", s.peak_allocated, "), ", s.reserved, " held from the system, ", s.cached,
       " cached, limit ", s.limit ? std::to_string(s.limit) : "none");
}

// Memory from the system, if need be after giving back what is cached.
void* Central::reserve(size_t capacity, size_t asked) {
  // Idle small blocks do not count: they never go back, and would forbid everything else after a program had many.
  const auto fits = [&] { return !limit_ || static_cast<int64_t>(capacity) <= limit_ - allocated_ - cached_; };
  if (!fits()) release(evict(0));
  void* block = fits() ? system_allocate(capacity) : nullptr;
  if (!block && cached_) {
    release(evict(0));
    block = fits() ? system_allocate(capacity) : nullptr;
  }
  if (!block) fail_for(asked);
  reserved_ += static_cast<int64_t>(capacity);
  ++misses_;
  return block;
}

// A batch of new small blocks as a list.
FreeSmall* Central::carve(size_t k, size_t asked) {
  const size_t size = (k + 1) * kAlignment;
  if (static_cast<size_t>(slab_end_ - slab_) < size) {  // the rest of the old slab, under 1 KiB, is lost
    slab_ = static_cast<char*>(reserve(kSlab, asked));
    slab_end_ = slab_ + kSlab;
  }
  FreeSmall* list = nullptr;
  char* from = slab_;
  for (int i = 0; i < batch(k) && static_cast<size_t>(slab_end_ - slab_) >= size; ++i) slab_ += size;
  for (char* block = slab_; block != from;) {  // in rising order for the taker
    block -= size;
    list = new (block) FreeSmall{list};
  }
  return list;
}

void* Central::allocate_small(size_t bytes) {
  enter_thread();
  const size_t k = small_class(bytes);
  std::lock_guard lock(mutex);
  if (!small_[k]) small_[k] = carve(k, bytes);
  FreeSmall* block = small_[k];
  small_[k] = block->next;
  if (cache == &nobody) {
    ++allocations_;
    account(static_cast<int64_t>(bytes));
    return block;
  }
  ThreadCache::List& list = cache->lists[k];
  for (int i = 1; i < batch(k) && small_[k]; ++i) {
    FreeSmall* taken = small_[k];
    small_[k] = taken->next;
    taken->next = list.head;
    list.head = taken;
    --list.room;
  }
  add<int64_t>(cache->allocations, 1);
  add(cache->balance, static_cast<int64_t>(bytes));
  return block;
}

// The thread's list is full, or it has none: give it and half of the list back.
void Central::deallocate_small(void* block, size_t bytes) noexcept {
  enter_thread();
  const size_t k = small_class(bytes);
  std::lock_guard lock(mutex);
  small_[k] = new (block) FreeSmall{small_[k]};
  if (cache == &nobody) return account(-static_cast<int64_t>(bytes));
  add(cache->balance, -static_cast<int64_t>(bytes));
  ThreadCache::List& list = cache->lists[k];
  while (list.head && list.room < batch(k)) {
    FreeSmall* given = list.head;
    list.head = given->next;
    given->next = small_[k];
    small_[k] = given;
    ++list.room;
  }
}

void Central::insert(FreeBlock* block) {
  FreeBlock*& head = free_[block->index];
  block->previous = nullptr;
  block->next = head;
  if (head) head->previous = block;
  head = block;
  block->newer = nullptr;
  block->older = newest_;
  (newest_ ? newest_->newer : oldest_) = block;
  newest_ = block;
  cached_ += static_cast<int64_t>(block->capacity);
}

// What this thread freed itself, of the newest, is in its core's cache; another's is in another's, and slow to write
// to.
FreeBlock* Central::pick(int index) const {
  FreeBlock* block = free_[index];
  for (int i = 0; block && i < 8; ++i, block = block->next)
    if (block->thread == &cache) return block;
  return free_[index];
}

void Central::remove(FreeBlock* block) {
  (block->previous ? block->previous->next : free_[block->index]) = block->next;
  if (block->next) block->next->previous = block->previous;
  (block->older ? block->older->newer : oldest_) = block->newer;
  (block->newer ? block->newer->older : newest_) = block->older;
  cached_ -= static_cast<int64_t>(block->capacity);
}

FreeBlock* Central::evict(int64_t bound) {
  FreeBlock* chain = nullptr;
  while (cached_ > bound) {
    FreeBlock* block = oldest_;
    remove(block);
    reserved_ -= static_cast<int64_t>(block->capacity);
    block->next = chain;
    chain = block;
  }
  return chain;
}

void Central::release(FreeBlock* chain) {
  while (chain) {
    FreeBlock* next = chain->next;
    system_free(chain, chain->capacity);
    chain = next;
  }
}

void* Central::allocate_block(size_t bytes) {
  const auto lock = locked();
  if (bytes > kMaxBytes) fail_for(bytes);
  void* block = nullptr;
  if constexpr (kCaching) {
    const SizeClass c = size_class(bytes);
    if (FreeBlock* kept = pick(c.index)) {
      remove(kept);
      block = kept;
    } else {
      block = reserve(c.capacity, bytes);
    }
  } else {
    block = reserve(std::max<size_t>(bytes, 1), bytes);
  }
  ++allocations_;
  account(static_cast<int64_t>(bytes));
  return block;
}

void Central::deallocate_block(void* block, size_t bytes) noexcept {
  auto lock = locked();
  account(-static_cast<int64_t>(bytes));
  if constexpr (kCaching) {
    const SizeClass c = size_class(bytes);
    FreeBlock* kept = new (block) FreeBlock;
    kept->capacity = c.capacity;
    kept->index = c.index;
    kept->thread = &cache;
    insert(kept);
    FreeBlock* chain = evict(std::min(kMaxCached, peak_ + kSlack - allocated_));
    lock.unlock();
    release(chain);
  } else {
    reserved_ -= static_cast<int64_t>(std::max<size_t>(bytes, 1));
    lock.unlock();
    system_free(block, bytes);
  }
}

MemoryStats Central::stats() {
  std::lock_guard lock(mutex);
  return current();
}

void Central::reset_peak() {
  std::lock_guard lock(mutex);
  account(0);
  peak_ = allocated_;
}

void Central::empty() {
  std::lock_guard lock(mutex);
  release(evict(0));
}

void Central::set_limit(int64_t bytes) {
  PYNN_CHECK_KIND(Value, bytes >= 0, "set_memory_limit: bytes must be at least 0 (0: no limit), got ", bytes);
  std::lock_guard lock(mutex);
  limit_ = bytes;
  if (limit_ && allocated_ + cached_ > limit_) release(evict(0));
}

}  // namespace

void* allocate(size_t bytes) {
  if (!kCaching || bytes > kSmallMax) return central().allocate_block(bytes);
  ThreadCache& c = *cache;
  ThreadCache::List& list = c.lists[small_class(bytes)];
  FreeSmall* block = list.head;
  if (!block) [[unlikely]]
    return central().allocate_small(bytes);
  list.head = block->next;
  ++list.room;
  add<int64_t>(c.allocations, 1);
  add(c.balance, static_cast<int64_t>(bytes));
  if (c.balance.load(std::memory_order_relaxed) > kPublish) [[unlikely]]
    central().publish();
  return block;
}

void deallocate(void* block, size_t bytes) noexcept {
  if (!kCaching || bytes > kSmallMax) return central().deallocate_block(block, bytes);
  ThreadCache& c = *cache;
  ThreadCache::List& list = c.lists[small_class(bytes)];
  if (list.room <= 0) [[unlikely]]
    return central().deallocate_small(block, bytes);
  list.head = new (block) FreeSmall{list.head};
  --list.room;
  add(c.balance, -static_cast<int64_t>(bytes));
  if (c.balance.load(std::memory_order_relaxed) < -kPublish) [[unlikely]]
    central().publish();
}

MemoryStats memory_stats() { return central().stats(); }
void reset_peak_memory_stats() { central().reset_peak(); }
void empty_cache() { central().empty(); }
void set_memory_limit(int64_t bytes) { central().set_limit(bytes); }

}  // namespace pynn
