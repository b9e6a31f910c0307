// parallel.cpp -- the entry of parallel_for: inline, or one of two backends.
#include "core/parallel.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <utility>

#if !defined(_WIN32)
#include <pthread.h>
#endif

#include "core/error.h"
#include "core/parallel_here.h"
#include "core/parallel_region.h"

namespace pynn {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int64_t kMaxChunks = int64_t{1} << 30;  // of one region; the pool counts them in 32 bits

std::atomic<int> thread_count{0};  // 0: not asked yet

#ifdef PYNN_HAVE_OPENMP
// libgomp's threads do not survive a fork, and it waits for them for ever: a child uses the pool.
std::atomic<bool> forked{false};

bool openmp_chosen() {
  static const bool chosen = [] {
    const char* name = std::getenv("PYNN_PARALLEL");
    const std::string_view backend = name ? name : "pool";
    PYNN_CHECK(backend == "pool" || backend == "openmp", "PYNN_PARALLEL: pool or openmp is required, got '", backend,
               "'");
#if !defined(_WIN32)
    pthread_atfork(nullptr, nullptr, [] { forked = true; });
#endif
    return backend == "openmp";
  }();
  return chosen && !forked.load(std::memory_order_relaxed);
}
#else
bool openmp_chosen() {
  static const bool chosen = [] {
    const char* name = std::getenv("PYNN_PARALLEL");
    PYNN_CHECK(!name || std::string_view(name) == "pool", "PYNN_PARALLEL: pool is required in a build without OpenMP, ",
               "got '", name, "'");
    return false;
  }();
  return chosen;
}
#endif

void run_region(int64_t begin, int64_t end, int64_t grain, FunctionRef<void(int64_t, int64_t)> f) {
  detail::Region region{begin, end, grain, (end - begin - 1) / grain + 1, f};
  const int threads = detail::in_region ? 1 : num_threads();
  if (threads == 1 || region.chunks == 1) {
    for (int64_t i = 0; i < region.chunks; ++i) region.run(i);
    return;
  }
  if (openmp_chosen()) {
#ifdef PYNN_HAVE_OPENMP
    detail::openmp_run(region, threads);
#endif
  } else {
    detail::pool_run(region, threads);
  }
  if (region.error) std::rethrow_exception(region.error);
}

}  // namespace

void parallel_chunks(int64_t begin, int64_t end, int64_t grain, FunctionRef<void(int64_t, int64_t)> f) {
  grain = std::max<int64_t>(grain, 1);
  while ((end - begin - 1) / grain >= kMaxChunks) {
    run_region(begin, begin + kMaxChunks * grain, grain, f);
    begin += kMaxChunks * grain;
  }
  run_region(begin, end, grain, f);
}

int64_t grain_for(double ns) { return static_cast<int64_t>(std::clamp(kForkCost / std::max(ns, 1e-6), 1.0, 1e15)); }

int num_threads() {
  int n = thread_count.load(std::memory_order_relaxed);
  if (n == 0) {
    int unset = 0;
    n = std::min(detail::default_num_threads(), kMaxThreads);
    if (!thread_count.compare_exchange_strong(unset, n)) n = unset;
  }
  return n;
}

void set_num_threads(int n) {
  PYNN_CHECK(n >= 1 && n <= kMaxThreads, "set_num_threads: a number from 1 to ", kMaxThreads, " is required, got ", n);
  thread_count = n;
}

void run_here(FunctionRef<void()> f) {
  struct Here {
    const bool before = std::exchange(detail::in_region, true);
    ~Here() { detail::in_region = before; }
  } here;
  f();
}

int threads_for(double ns) {
  if (detail::in_region) return 1;
  const int threads = num_threads();
  if (threads == 1 || ns >= 4 * kForkCost || openmp_chosen()) return threads;
  const int awake = detail::pool_awake();
  if (awake >= threads - 1) return threads;
  // Wakes them for the fourth of a row of jobs with less than 30 us between them.
  using Clock = std::chrono::steady_clock;
  thread_local Clock::time_point over{};
  thread_local int row = 0;
  const auto now = Clock::now();
  row = now - over < std::chrono::nanoseconds(static_cast<int64_t>(3 * kForkCost)) ? row + 1 : 1;
  over = now + std::chrono::nanoseconds(static_cast<int64_t>(ns));
  return row >= 4 ? threads : std::min(threads, 1 + std::max(awake, 0));
}

const char* parallel_backend() { return openmp_chosen() ? "openmp" : "pool"; }

}  // namespace pynn
