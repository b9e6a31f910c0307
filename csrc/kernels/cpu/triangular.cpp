// triangular.cpp -- triangular systems by substitution, a tile of rows at a time in registers.
//
//   acc[i, :] = x[i, :] - sum_{j < i0} a[i, j] x[j, :]     then within the tile, row by row, and divided by a[i, i]
//
// Parallel over panels of columns, which do not depend on each other. Accumulates in the type of the operands.
#include "kernels/triangular.h"

#include "core/parallel.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

#if defined(PYNN_ISA_AVX512) || defined(PYNN_ISA_NEON)
constexpr int kRows = 8;
#else
constexpr int kRows = 4;  // the rows' addresses and two vectors of each must stay in registers
#endif

template <class T>
struct System {
  const T* a;
  T* x;
  int64_t n, a_rs, a_cs, x_rs;
  bool unit;
};

// `cols`: elements of the last of NV vectors.
template <class T, int NV, bool kTail>
void solve_panel(const System<T>& s, int64_t cols) {
  using V = Vec<T>;
  constexpr int W = V::kSize;
  const auto load = [&](const T* p, int v) { return kTail && v == NV - 1 ? V::load(p, cols) : V::load(p); };
  for (int64_t i0 = 0; i0 < s.n; i0 += kRows) {
    const int64_t rows = min_of<int64_t>(kRows, s.n - i0);
    // Rows behind the last one repeat it and are not stored.
    const T* a[kRows];
    T* x[kRows];
    V acc[kRows][NV];
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const int64_t row = i0 + min_of<int64_t>(i, rows - 1);
      a[i] = s.a + row * s.a_rs;
      x[i] = s.x + row * s.x_rs;
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) acc[i][v] = load(x[i] + v * W, v);
    }
    const T* known = s.x;
    int64_t at = 0;
    for (int64_t j = 0; j < i0; ++j, known += s.x_rs, at += s.a_cs) {
      V row[NV];
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) row[v] = load(known + v * W, v);
#pragma GCC unroll 8
      for (int i = 0; i < kRows; ++i) {
        const V f(a[i][at]);
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v) acc[i][v] = fnma(f, row[v], acc[i][v]);
      }
    }
#pragma GCC unroll 8
    for (int j = 0; j < kRows; ++j, at += s.a_cs) {
      if (j >= rows) break;
      const V pivot(s.unit ? T(1) : a[j][at]);
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) {
        acc[j][v] = acc[j][v] / pivot;
        if (kTail && v == NV - 1)
          acc[j][v].store(x[j] + v * W, cols);
        else
          acc[j][v].store(x[j] + v * W);
      }
#pragma GCC unroll 8
      for (int i = j + 1; i < kRows; ++i) {
        const V f(a[i][at]);
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v) acc[i][v] = fnma(f, acc[j][v], acc[i][v]);
      }
    }
  }
}

template <class T>
void solve(const TriangularArgs& g) {
  constexpr int W = Vec<T>::kSize;
  const int64_t panels = ceil_div(g.m, 2 * W);
  const double ns = 20 * static_cast<double>(g.n) + 0.2 * static_cast<double>(g.n * g.n);
  parallel_for(0, g.batch * panels, grain_for(ns), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t b = i / panels, from = i % panels * 2 * W, cols = min_of<int64_t>(2 * W, g.m - from);
      System<T> s{static_cast<const T*>(g.a) + b * g.a_batch,
                  static_cast<T*>(g.x) + b * g.x_batch + from,
                  g.n,
                  g.a_rs,
                  g.a_cs,
                  g.x_rs,
                  g.unit};
      if (cols == 2 * W)
        solve_panel<T, 2, false>(s, W);
      else if (cols > W)
        solve_panel<T, 2, true>(s, cols - W);
      else
        solve_panel<T, 1, true>(s, cols);
    }
  });
}

}  // namespace

void solve_lower(const TriangularArgs& g) {
  if (g.dtype == DType::Float32) return solve<float>(g);
  if (g.dtype == DType::Float64) return solve<double>(g);
  no_loop("linalg_solve_triangular", g.dtype);
}

}  // namespace PYNN_CPU_NAMESPACE
