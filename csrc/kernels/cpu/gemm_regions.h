// gemm_regions.h -- a product's C cut into regions, one task each.
#pragma once
#include "core/parallel.h"
#include "core/parallel_here.h"
#include "kernels/cpu/sizes.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// Below this many vectors of multiply-adds a second thread costs more than it brings (4 us on Zen 4).
constexpr double kSerialVectors = 1 << 14, kVectorNs = 0.27;

// What a row of a region costs beyond its multiply-adds, per step of k: rows of C that fill pages want whole rows.
template <class T>
double row_cost(int64_t n, int64_t steps) {
  constexpr double kPage = 4096, kRow = 100;
  return kRow * min_of(1.0, static_cast<double>(n) * sizeof(T) / kPage) /
         static_cast<double>(max_of<int64_t>(steps, 1));
}

// f(i0, i1, j0, j1) for regions that cover the rows [0, m) and columns [0, n) of C, W columns to a vector: one region
// per thread; a few of a large product, so that a thread that others disturb leaves some to its neighbours.
//
// A region costs rows * vectors cycles per step of k, and a_cost per row and b_cost per vector to read or copy A and B.
template <int64_t W, class F>
void for_regions(int64_t m, int64_t n, int64_t steps, double a_cost, double b_cost, F f) {
  const int64_t vectors = ceil_div(n, W);
  const double work = static_cast<double>(m) * static_cast<double>(vectors) * static_cast<double>(steps);
  const double costs =
      work + static_cast<double>(steps) * (a_cost * static_cast<double>(m) + b_cost * static_cast<double>(vectors));
  const int64_t threads = work < kSerialVectors ? 1 : min_of<int64_t>(threads_for(costs * kVectorNs), 256);
  if (threads == 1) return f(int64_t{0}, m, int64_t{0}, n);
  const double share = work / static_cast<double>(threads) / kSerialVectors;
  const int64_t parts = threads * (share < 256 ? 1 : share < 4096 ? 2 : 4);
  int64_t row_tasks = 1, col_tasks = 1;
  double least = 0;
  for (int64_t r = 1; r <= min_of(parts, m); ++r) {
    const int64_t c = min_of(parts / r, vectors), rounds = ceil_div(r * c, threads);
    const double rows = static_cast<double>(ceil_div(m, r)), cols = static_cast<double>(ceil_div(vectors, c));
    const double cost = static_cast<double>(rounds) * (rows * cols + a_cost * rows + b_cost * cols);
    if (least == 0 || cost < least) least = cost, row_tasks = r, col_tasks = c;
  }
  parallel_for(0, row_tasks * col_tasks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t r = task / col_tasks, c = task % col_tasks;
      f(m * r / row_tasks, m * (r + 1) / row_tasks, vectors * c / col_tasks * W,
        min_of(vectors * (c + 1) / col_tasks * W, n));
    }
  });
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
