// parallel_for.cpp -- what a parallel region costs, alone or beside busy processes. From the root of the repository:
//
//   g++ -std=c++20 -O2 -fopenmp -DPYNN_HAVE_OPENMP -Icsrc bench/overhead/parallel_for.cpp
//       csrc/core/parallel*.cpp csrc/core/cpu_count.cpp -o build/parallel_for -pthread
//   PYNN_PARALLEL=pool build/parallel_for [busy processes beside it, 0] [pause in us, 0] [seconds, 1.5]
//
// A region is pure arithmetic of a known length on one core. Times in us: median, mean and 99th percentile.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "core/parallel.h"

namespace {

double now_us() {
  const auto t = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::micro>(t).count();
}

void work(int64_t steps) {
  uint64_t x = 1;
  for (int64_t i = 0; i < steps; ++i) asm volatile("imul $3, %0, %0" : "+r"(x));
}

double steps_per_us() {
  double best = 0;
  for (int i = 0; i < 200; ++i) {
    const double start = now_us();
    work(100000);
    best = std::max(best, 100000 / (now_us() - start));
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  const int strangers = argc > 1 ? std::atoi(argv[1]) : 0;
  const double pause_us = argc > 2 ? std::atof(argv[2]) : 0;
  const double seconds = argc > 3 ? std::atof(argv[3]) : 1.5;
  const double speed = steps_per_us();
  std::vector<pid_t> children;
  for (int i = 0; i < strangers; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      for (;;) work(1 << 20);
    }
    children.push_back(child);
  }
  std::printf("%s, %d threads, %d strangers, pause %.0f us\n", pynn::parallel_backend(), pynn::num_threads(), strangers,
              pause_us);
  for (const double region_us : {5.0, 60.0, 1000.0, 10000.0}) {
    const int64_t chunks = std::max<int64_t>(2, static_cast<int64_t>(region_us * 1000 / pynn::kForkCost));
    const int64_t steps = static_cast<int64_t>(region_us * speed / static_cast<double>(chunks));
    std::vector<double> times;
    const double end = now_us() + seconds * 1e6;
    while (now_us() < end) {
      if (pause_us > 0) work(static_cast<int64_t>(pause_us * speed));
      const double start = now_us();
      pynn::parallel_for(0, chunks, 1, [&](int64_t from, int64_t to) { work(steps * (to - from)); });
      times.push_back(now_us() - start);
    }
    std::sort(times.begin(), times.end());
    const size_t n = times.size();
    std::printf("region %6.0f us in %4d chunks: median %9.1f  mean %9.1f  p99 %9.1f  (%zu regions)\n", region_us,
                static_cast<int>(chunks), times[n / 2], std::accumulate(times.begin(), times.end(), 0.0) / n,
                times[n * 99 / 100], n);
  }
  for (const pid_t child : children) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
}
