// parallel_region.h -- what the backends of parallel_for share; private to parallel*.cpp.
#pragma once
#include <atomic>
#include <cstdint>
#include <exception>

#include "core/function_ref.h"

namespace pynn::detail {

// One parallel_for: chunk i covers [begin + i * grain, begin + (i + 1) * grain), cut at end.
struct Region {
  int64_t begin, end, grain, chunks;
  FunctionRef<void(int64_t, int64_t)> f;
  std::atomic<bool> failed{false};
  std::exception_ptr error{};

  void run(int64_t i) {
    const int64_t from = begin + i * grain;
    f(from, end - from > grain ? from + grain : end);
  }
  // On any thread; keeps the first exception and skips what follows it.
  void run_caught(int64_t i) noexcept {
    if (failed.load(std::memory_order_relaxed)) return;
    try {
      run(i);
    } catch (...) {
      if (!failed.exchange(true)) error = std::current_exception();
    }
  }
};

void pool_run(Region& region, int threads);
int pool_awake();                              // workers that do not sleep
void openmp_run(Region& region, int threads);  // only when PYNN_HAVE_OPENMP

// True on a thread that is inside a region, where parallel_for runs inline.
inline thread_local bool in_region = false;

int default_num_threads();  // cpu_count.cpp

}  // namespace pynn::detail
