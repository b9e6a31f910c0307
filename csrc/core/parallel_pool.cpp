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
constexpr int kShares = 16;  // of a region; threads beyond that begin in another's

// How long a thread polls before it sleeps: at least so long, since waking one takes a while, and about as long as it
// has lately worked, so that waiting costs no more than work does; in virtual machines a core that idles is given away.
using Clock = std::chrono::steady_clock;
constexpr Clock::duration kWorkerSpin = std::chrono::microseconds(50), kCallerSpin = std::chrono::microseconds(20),
                          kLongestSpin = std::chrono::microseconds(500);

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
bool spin(Clock::duration limit, Done done) {
  const auto until = Clock::now() + limit;
  do {
    for (int i = 0; i < 32; ++i) {
      if (done()) return true;
      relax();
    }
  } while (Clock::now() < until);
  return done();
}

class Pool {
 public:
  void run(Region& region, int threads);
  int awake() const { return workers_.load(std::memory_order_relaxed) - sleepers_.load(std::memory_order_relaxed); }

 private:
  // Note [Claiming a chunk]
  // Chunks are divided into shares next to each other, one per thread, the caller's first. A thread takes its own from
  // the front, then those of others from the back: so it meets in the next region of the same range what it wrote in
  // this one, and neighbours in memory stay with one core. A share is the pair (first, end) of chunks that nobody has
  // begun, in one word. Whoever takes one by compare-and-swap may read `region`, which its owner keeps until `finished`
  // has reached the number of chunks. Who comes too late finds the share empty and touches nothing else; should the
  // slot have been filled again meanwhile, it has simply joined the new region.
  struct alignas(64) Share {
    std::atomic<uint64_t> left{0};
    static constexpr uint64_t of(int64_t first, int64_t end) {
      return static_cast<uint64_t>(first) << 32 | static_cast<uint64_t>(end);
    }
    int64_t take(bool own);  // a chunk, or -1
  };
  struct alignas(64) Slot {
    Share shares[kShares];
    std::atomic<int> used{0};  // shares, 0 between regions: a hint
    std::atomic<bool> taken{false};
    Region* region = nullptr;
    alignas(64) std::atomic<int64_t> finished{0};
    std::atomic<bool> owner_sleeps{false};
    std::condition_variable owner_wakes;  // with mutex_
  };

  Slot* take_slot();
  bool work_on(Slot& slot, int share);  // true: this thread finished the region's last chunk
  void work(int index);                 // a worker's life
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

int64_t Pool::Share::take(bool own) {
  uint64_t now = left.load(std::memory_order_relaxed);
  for (;;) {
    const int64_t first = static_cast<int64_t>(now >> 32), end = static_cast<int64_t>(now & 0xffffffffu);
    if (first >= end) return -1;
    if (left.compare_exchange_weak(now, own ? of(first + 1, end) : of(first, end - 1), std::memory_order_acq_rel,
                                   std::memory_order_relaxed))
      return own ? first : end - 1;
  }
}

bool Pool::work_on(Slot& slot, int share) {
  const int used = slot.used.load(std::memory_order_acquire);
  int64_t done = 0, chunks = 0;
  for (int i = 0; i < used; ++i) {
    Share& from = slot.shares[(share + i) % used];
    for (int64_t chunk; (chunk = from.take(i == 0)) >= 0; ++done) {
      Region& region = *slot.region;
      chunks = region.chunks;
      region.run_caught(chunk);
    }
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
  const int shares = static_cast<int>(std::min<int64_t>({threads, region.chunks, kShares}));
  for (int64_t i = 0; i < shares; ++i)
    slot->shares[i].left.store(Share::of(region.chunks * i / shares, region.chunks * (i + 1) / shares),
                               std::memory_order_release);
  slot->used.store(shares, std::memory_order_release);
  epoch_.fetch_add(1);  // sequentially consistent against sleepers_ in work(): either it sees the region or we see it
  if (sleepers_.load() > 0) wake_workers(helpers);

  const auto began = Clock::now();
  in_region = true;
  const bool last = work_on(*slot, 0);
  in_region = false;
  const auto finished = [&] { return slot->finished.load() == region.chunks; };
  if (!last && !spin(std::clamp(Clock::now() - began, kCallerSpin, kLongestSpin), finished)) {
    std::unique_lock lock(mutex_);
    slot->owner_sleeps = true;
    slot->owner_wakes.wait(lock, finished);
    slot->owner_sleeps = false;
  }
  slot->used.store(0, std::memory_order_relaxed);
  slot->taken.store(false, std::memory_order_release);
}

void Pool::work(int index) {
  in_region = true;
  // Too many: the one with the highest index leaves first.
  const auto leaves = [&] { return index >= target_.load() && index == workers_.load() - 1; };
  auto patience = kWorkerSpin;
  for (;;) {
    const uint32_t seen = epoch_.load();
    const auto began = Clock::now();
    for (Slot& slot : slots_) {
      if (work_on(slot, index + 1) && slot.owner_sleeps.load()) {
        std::lock_guard lock(mutex_);
        slot.owner_wakes.notify_one();
      }
    }
    patience = std::clamp(std::max(Clock::now() - began, patience * 3 / 4), kWorkerSpin, kLongestSpin);
    const auto called = [&] { return epoch_.load() != seen || leaves(); };
    if (!spin(patience, called)) {
      std::unique_lock lock(mutex_);
      ++sleepers_;
      wake_.wait(lock, called);
      --sleepers_;
    }
    if (leaves()) {
      std::lock_guard lock(mutex_);
      if (leaves()) {
        --workers_;
        wake_.notify_all();
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
      std::thread(&Pool::work, this, workers_.load()).detach();
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
