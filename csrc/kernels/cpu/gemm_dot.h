// gemm_dot.h -- products whose k runs along memory in both operands (x @ w.T of a linear layer), without packing.
//
//   c[i, j] = sum_p a[i, p] * b[j, p]:   a tile of R x C dot products, each in its own vector accumulator
//
// Accumulates in the type of the operands, half types in float32, W interleaved partial sums per dot product.
#pragma once
#include "kernels/cpu/gemm_pack.h"
#include "kernels/cpu/gemm_tile.h"
#include "kernels/cpu/sizes.h"

namespace PYNN_CPU_NAMESPACE {

// R rows from i0 and C columns from j0 on, of which `cols` are valid; the others repeat the last one, not stored.
template <class S, int R, int C>
void dot_tile(int64_t k, const S* a, int64_t a_rs, const S* b, int64_t b_cs, int64_t cols, const GemmOut<S>& out,
              int64_t i0, int64_t j0) {
  using T = Wide<S>;
  constexpr int W = Vec<T>::kSize;
  constexpr int kSums = (R * C + W - 1) / W * W;
  const S* bj[C];
#pragma GCC unroll 16
  for (int j = 0; j < C; ++j) bj[j] = b + (j < cols ? j : cols - 1) * b_cs;

  Vec<T> acc[kSums];
#pragma GCC unroll 32
  for (int i = 0; i < kSums; ++i) acc[i] = Vec<T>(T(0));
  int64_t p = 0;
  for (; p + W <= k; p += W) {
    Vec<T> x[R];
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) x[i] = load_wide(a + i * a_rs + p);
#pragma GCC unroll 16
    for (int j = 0; j < C; ++j) {
      Vec<T> y = load_wide(bj[j] + p);
      keep(y);
#pragma GCC unroll 8
      for (int i = 0; i < R; ++i) acc[i * C + j] = fma(x[i], y, acc[i * C + j]);
    }
  }
  if (p < k) {
    const int64_t n = k - p;
    Vec<T> x[R];
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) x[i] = load_wide(a + i * a_rs + p, n);
#pragma GCC unroll 16
    for (int j = 0; j < C; ++j) {
      const Vec<T> y = load_wide(bj[j] + p, n);
#pragma GCC unroll 8
      for (int i = 0; i < R; ++i) acc[i * C + j] = fma(x[i], y, acc[i * C + j]);
    }
  }

  if constexpr (C % W == 0) {  // whole vectors of a row
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
      for (int j = 0; j < C; j += W)
        if (j < cols) store_vector(out, i0 + i, j0 + j, reduce_add_each(acc + i * C + j), min_of<int64_t>(cols - j, W));
  } else {
    T sums[kSums];
#pragma GCC unroll 8
    for (int i = 0; i < kSums; i += W) reduce_add_each(acc + i).store(sums + i);
    for (int i = 0; i < R; ++i)
      for (int j = 0; j < C; j += W) {
        const int64_t n = min_of<int64_t>(min_of(C - j, W), cols - j);
        if (n > 0) store_vector(out, i0 + i, j0 + j, Vec<T>::load(sums + i * C + j, n), n);
      }
  }
}

// One dot product, with enough accumulators to hide the FMA's latency.
template <class S>
Wide<S> dot_single(int64_t k, const S* a, const S* b) {
  using T = Wide<S>;
  constexpr int W = Vec<T>::kSize, U = 8;
  Vec<T> acc[U];
#pragma GCC unroll 8
  for (int u = 0; u < U; ++u) acc[u] = Vec<T>(T(0));
  int64_t p = 0;
  for (; p + U * W <= k; p += U * W)
#pragma GCC unroll 8
    for (int u = 0; u < U; ++u) acc[u] = fma(load_wide(a + p + u * W), load_wide(b + p + u * W), acc[u]);
  for (; p < k; p += W) acc[0] = fma(load_wide(a + p, k - p), load_wide(b + p, k - p), acc[0]);
#pragma GCC unroll 4
  for (int half = U / 2; half; half /= 2)
#pragma GCC unroll 4
    for (int u = 0; u < half; ++u) acc[u] += acc[u + half];
  return reduce_add(acc[0]);
}

}  // namespace PYNN_CPU_NAMESPACE
