// parallel_pool.cpp -- parallel_for on a pool of threads that spin for a bounded time, then sleep.
//
// A caller publishes its region in a slot and works on it like everyone else, so a worker that the system does not run
// costs nothing: the caller waits only for chunks that somebody has begun. Reasons and figures: docs/notes/threads.md.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#if !defined(_WIN32)
#include <pthread.h>
#include <signal.h>
#endif
#if defined(_MSC_VER)
#include <intrin.h>
#endif

#include "core/parallel_region.h"

namespace pynn::detail {
namespace {

constexpr int kSlots = 8;    // callers at once; further ones work alone
constexpr int kShares = 64;  // of a region, at most
constexpr std::chrono::microseconds kWorkerSpin{50}, kCallerSpin{20};

inline void relax() {
#if defined(_MSC_VER)
  _mm_pause();
#elif defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Polls until done() or the time is over; says which.
template <class Done>
bool spin(std::chrono::microseconds limit, Done done) {
  const auto until = std::chrono::steady_clock::now() + limit;
  do {
    for (int i = 0; i < 32; ++i) {
      if (done()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < until);
  return done();
}

class Pool {
 public:
  void run(Region& region, int threads);
  int awake() const { return workers_.load(std::memory_order_relaxed) - sleepers_.load(std::memory_order_relaxed); }

 private:
  // Note [Claiming a chunk]
  // left counts down the chunks that nobody has begun. Whoever takes one by fetch_sub may read `region`, which its
  // owner keeps until `finished` has reached the number of chunks. Who comes too late finds left <= 0 and touches
  // nothing else; should the slot have been filled again meanwhile, it has simply joined the new region.
  //
  // Note [Shares]
  // Which one is its own affair: each thread has a share, a run of neighbouring chunks that it takes from the front,
  // and when that is used up it takes from the back of others'. So a thread meets the same part of a tensor in one
  // region after another, where its own caches have it; chunks dealt out in turn made writing 16 MB on two threads take
  // as long as on one. `taken` of a share counts chunks from the front in its lower half, from the back in its upper
  // one.
  struct alignas(64) Share {
    std::atomic<uint64_t> taken{0};
  };
  struct alignas(64) Slot {
    std::atomic<int64_t> left{0};
    std::atomic<bool> taken{false};
    Region* region = nullptr;
    int shares = 1;
    Share share[kShares];
    alignas(64) std::atomic<int64_t> finished{0};
    std::atomic<bool> owner_sleeps{false};
    std::condition_variable owner_wakes;  // with mutex_
  };

  Slot* take_slot();
  static int64_t pick_chunk(Slot& slot, int64_t chunks, int thread);
  bool work_on(Slot& slot, int thread);  // true: this thread finished the region's last chunk
  void work(int thread);                 // a worker's life; threads are counted from the caller, which is 0
  void set_target(int workers);
  void start_workers(int64_t wanted);
  void wake_workers(int64_t wanted);

  Slot slots_[kSlots];
  alignas(64) std::atomic<uint32_t> epoch_{0};  // regions published so far
  std::atomic<int> workers_{0}, sleepers_{0};
  std::atomic<int> target_{0};        // workers that there should be
  std::atomic<bool> refused_{false};  // by the system: no more threads until the target changes
  std::mutex mutex_;
  std::condition_variable wake_;
};

Pool::Slot* Pool::take_slot() {
  for (Slot& slot : slots_) {
    if (!slot.taken.load(std::memory_order_relaxed) && !slot.taken.exchange(true, std::memory_order_acquire)) {
      return &slot;
    }
  }
  return nullptr;
}

// Some chunk that nobody has begun, of which there is one for each time that `left` was counted down.
int64_t Pool::pick_chunk(Slot& slot, int64_t chunks, int thread) {
  constexpr uint64_t kFront = 1, kBack = uint64_t{1} << 32;
  for (int i = 0;; ++i) {
    const int owner = (thread + i) % slot.shares;
    const int64_t begin = chunks * owner / slot.shares, end = chunks * (owner + 1) / slot.shares;
    const auto used = [](uint64_t t) { return static_cast<int64_t>(t % kBack + t / kBack); };
    std::atomic<uint64_t>& taken = slot.share[owner].taken;
    if (used(taken.load(std::memory_order_relaxed)) >= end - begin) continue;
    const uint64_t before = taken.fetch_add(i == 0 ? kFront : kBack, std::memory_order_relaxed);
    if (used(before) >= end - begin) continue;
    return i == 0 ? begin + static_cast<int64_t>(before % kBack) : end - 1 - static_cast<int64_t>(before / kBack);
  }
}

bool Pool::work_on(Slot& slot, int thread) {
  int64_t done = 0, chunks = 0;
  while (slot.left.load(std::memory_order_relaxed) > 0) {
    const int64_t left = slot.left.fetch_sub(1, std::memory_order_acq_rel);
    if (left <= 0) break;
    Region& region = *slot.region;
    chunks = region.chunks;
    region.run_caught(pick_chunk(slot, chunks, thread));
    ++done;
  }
  return done && slot.finished.fetch_add(done) + done == chunks;
}

void Pool::run(Region& region, int threads) {
  Slot* slot = take_slot();
  if (!slot) {
    for (int64_t i = 0; i < region.chunks; ++i) region.run_caught(i);
    return;
  }
  if (target_.load(std::memory_order_relaxed) != threads - 1) set_target(threads - 1);
  const int64_t helpers = std::min<int64_t>(threads, region.chunks) - 1;
  if (workers_.load(std::memory_order_relaxed) < helpers) start_workers(helpers);
  slot->region = &region;
  slot->finished.store(0, std::memory_order_relaxed);
  slot->shares = static_cast<int>(std::min<int64_t>(helpers + 1, kShares));
  for (int i = 0; i < slot->shares; ++i) slot->share[i].taken.store(0, std::memory_order_relaxed);
  slot->left.store(region.chunks, std::memory_order_release);
  epoch_.fetch_add(1);  // sequentially consistent against sleepers_ in work(): either it sees the region or we see it
  if (sleepers_.load() > 0) wake_workers(helpers);

  in_region = true;
  const bool last = work_on(*slot, 0);
  in_region = false;
  const auto finished = [&] { return slot->finished.load() == region.chunks; };
  if (!last && !spin(kCallerSpin, finished)) {
    std::unique_lock lock(mutex_);
    slot->owner_sleeps = true;
    slot->owner_wakes.wait(lock, finished);
    slot->owner_sleeps = false;
  }
  slot->taken.store(false, std::memory_order_release);
}

void Pool::work(int thread) {
  in_region = true;
  for (;;) {
    const uint32_t seen = epoch_.load();
    for (Slot& slot : slots_) {
      if (work_on(slot, thread) && slot.owner_sleeps.load()) {
        std::lock_guard lock(mutex_);
        slot.owner_wakes.notify_one();
      }
    }
    const auto called = [&] { return epoch_.load() != seen || workers_.load() > target_.load(); };
    if (!spin(kWorkerSpin, called)) {
      std::unique_lock lock(mutex_);
      ++sleepers_;
      wake_.wait(lock, called);
      --sleepers_;
    }
    if (workers_.load() > target_.load()) {
      std::lock_guard lock(mutex_);
      if (workers_ > target_) {
        --workers_;
        return;
      }
    }
  }
}

void Pool::start_workers(int64_t wanted) {
  if (refused_.load(std::memory_order_relaxed)) return;
  std::lock_guard lock(mutex_);
  wanted = std::min<int64_t>(wanted, target_);
#if !defined(_WIN32)
  // Signals are the program's own threads' affair; a fault is still reported where it happens.
  sigset_t blocked, before;
  sigfillset(&blocked);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigdelset(&blocked, fault);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
#endif
  try {
    while (workers_ < wanted) {
      std::thread(&Pool::work, this, workers_ + 1).detach();
      ++workers_;
    }
  } catch (const std::system_error&) {
    refused_ = true;  // fewer threads give the same results
  }
#if !defined(_WIN32)
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
#endif
}

void Pool::wake_workers(int64_t wanted) {
  std::lock_guard lock(mutex_);
  const int64_t sleeping = sleepers_;
  const int64_t missing = std::min(sleeping, wanted - (workers_ - sleeping));
  for (int64_t i = 0; i < missing; ++i) wake_.notify_one();
}

void Pool::set_target(int workers) {
  std::lock_guard lock(mutex_);
  target_ = workers;
  refused_ = false;
  wake_.notify_all();  // those that are too many leave
}

// Never destroyed: workers sleep in it until the process is gone. After a fork the child has no workers, and whoever
// held the mutex or a slot is gone too, so the child begins with a new pool in the same place.
alignas(Pool) unsigned char storage[sizeof(Pool)];

Pool& pool() {
  static Pool* const instance = [] {
    Pool* p = new (storage) Pool;
#if !defined(_WIN32)
    pthread_atfork(nullptr, nullptr, [] { new (storage) Pool; });
#endif
    return p;
  }();
  return *instance;
}

}  // namespace

void pool_run(Region& region, int threads) { pool().run(region, threads); }
int pool_awake() { return pool().awake(); }

}  // namespace pynn::detail
