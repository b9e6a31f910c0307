// gemm_tile.h -- the micro-kernel: an MR x (NV vectors) tile of C held in registers.
//
//   acc[i][j] = sum_p a[i, p] * b[p, j],   then   C = alpha * acc + beta * C + bias, relu
//
//   a   element (i, p) at i * a_rs + p * a_cs: any strides, each element is broadcast, so nobody has to copy A
//   b   row p at p * b_rs, columns next to each other, whole vectors
//
// Accumulates in the type of the operands. No threads here.
#pragma once
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec_shuffle.h"

namespace PYNN_CPU_NAMESPACE {

// Registers: MR * NV accumulators + NV of B + one broadcast must fit 16 (SSE2, AVX2) or 32 (AVX-512, NEON). No more
// than 8 rows: rows of A that lie a power of two apart share a set of L1, which has 8 ways, and each needs an address.
//
//   ISA        tile f32   panel of B
//   baseline   6 x 8      256 KiB
//   avx2       6 x 16     256 KiB
//   avx512     8 x 48     512 KiB: 512 x 240 floats in an L2 of 1 MiB
//   neon       8 x 8      256 KiB
//
// float64 halves the columns of a tile and of a panel. What counts on cores with two FMAs a cycle is how many loads
// come with them; GFLOP/s of 214 on Sapphire Rapids, one thread, B from L2: 8 x 32 160, 14 x 32 165, 8 x 48 178, 6 x 64
// 172. On Zen 4, with one FMA a cycle, 8 x 32 reached 97 and 95 % of the peak at n = 512, 768 (8 x 48 was not
// measured), 12 x 32 95 and 94, 6 x 64 95 and 93; panels of 384 and 512 rows are alike, 256 rows lose 1 % (C is read
// and written once per block of k), panels of 128 columns lose 2 %.
struct GemmBlocks {
#if defined(PYNN_ISA_AVX512)
  static constexpr int mr = 8, nv = 3;
  static constexpr int64_t panel_bytes = 512 << 10;
#elif defined(PYNN_ISA_NEON)
  static constexpr int mr = 8, nv = 2;
  static constexpr int64_t panel_bytes = 256 << 10;
#else
  static constexpr int mr = 6, nv = 2;
  static constexpr int64_t panel_bytes = 256 << 10;
#endif
#if defined(PYNN_ISA_AVX2)
  // From so many rows on a copy of B pays although it fits L2; fewer where steps of k meet in few sets of L1. On Zen 3
  // copies cost 4 to 5 rows; in place 192 to 384 rows of n = 128 to 512 take 2 to 25 % longer.
  static constexpr int64_t copied_rows = 96, copied_rows_far = 36;
#else
  static constexpr int64_t copied_rows = INT64_MAX, copied_rows_far = INT64_MAX;
#endif
  static constexpr int64_t max_k = 640;  // of a block: longer sums are cut into equal blocks
  // Wider tiles where there are only one or two rows, to hide the FMA's latency, and rows of four vectors in one.
  static constexpr int nv_of(int64_t rows) { return rows == 1 ? 8 : rows == 2 || (nv == 3 && rows <= 6) ? 4 : nv; }
};

// Where results go and what is done to them on the way. S: the type of C in memory.
template <class S>
struct GemmOut {
  S* c;
  int64_t c_rs, c_cs;
  Wide<S> alpha, beta;
  const S* bias;             // nullptr: none
  int64_t bias_rs, bias_cs;  // 0 or 1: bias per row (of a transposed problem) or per column
  bool relu;
};

// Of C^T.
template <class S>
GemmOut<S> transposed(GemmOut<S> out) {
  return {out.c, out.c_cs, out.c_rs, out.alpha, out.beta, out.bias, out.bias_cs, out.bias_rs, out.relu};
}

// n <= kSize elements of row i from column j on.
template <class S>
PYNN_INLINE void store_vector(const GemmOut<S>& out, int64_t i, int64_t j, Vec<Wide<S>> x, int64_t n) {
  using T = Wide<S>;
  S* c = out.c + i * out.c_rs + j * out.c_cs;
  if (out.c_cs == 1) [[likely]] {
    Vec<T> y(T(0));
    if (out.bias) y = out.bias_cs ? load_wide(out.bias + j, n) : Vec<T>(T(out.bias[i * out.bias_rs]));
    if (out.beta != T(0)) y = fma(Vec<T>(out.beta), load_wide(c, n), y);
    y = fma(Vec<T>(out.alpha), x, y);
    if (out.relu) y = max(Vec<T>(T(0)), y);  // NaN stays: max gives its second operand then
    store_wide(c, y, n);
    return;
  }
  for (int64_t l = 0; l < n; ++l) {
    T y = out.bias ? T(out.bias[i * out.bias_rs + (j + l) * out.bias_cs]) : T(0);
    if (out.beta != T(0)) y += out.beta * T(c[l * out.c_cs]);
    y += out.alpha * x[static_cast<int>(l)];
    if (out.relu) y = y < T(0) ? T(0) : y;
    c[l * out.c_cs] = S(y);
  }
}

// A tile of rows x cols at (i, j), whose rows are nv vectors. One copy per type: it stands behind every tile.
template <class S>
[[gnu::noinline]] void store_tile(const GemmOut<S>& out, int64_t i, int64_t j, const Vec<Wide<S>>* tile, int rows,
                                  int nv, int64_t cols) {
  using T = Wide<S>;
  constexpr int W = Vec<T>::kSize;
  if (out.c_rs == 1 && out.c_cs != 1) {  // columns of C lie along memory
    const GemmOut<S> t = transposed(out);
    for (int v = 0; v * W < cols; ++v)
      for (int r = 0; r < rows; r += W) {
        Vec<T> x[W];
#pragma GCC unroll 16
        for (int l = 0; l < W; ++l) x[l] = r + l < rows ? tile[(r + l) * nv + v] : Vec<T>(T(0));
        transpose(x);
        for (int l = 0; l < W && v * W + l < cols; ++l)
          store_vector(t, j + v * W + l, i + r, x[l], min_of<int64_t>(rows - r, W));
      }
    return;
  }
  if (out.c_cs == 1 && (!out.bias || out.bias_cs)) {
    const bool add = out.beta != T(0);
    const Vec<T> alpha(out.alpha), beta(out.beta), low(out.relu ? T(0) : -T(__builtin_huge_val()));
    const auto store_column = [&](int v, int64_t n) __attribute__((always_inline)) {
      const Vec<T> bias = out.bias ? load_wide(out.bias + j + v * W, n) : Vec<T>(T(0));
      S* c = out.c + i * out.c_rs + j + v * W;
      const int64_t c_rs = out.c_rs;  // a copy: a store to C might change `out` for all the compiler knows
      for (int r = 0; r < rows; ++r, c += c_rs) {
        const Vec<T> y = add ? fma(beta, load_wide(c, n), bias) : bias;
        store_wide(c, max(low, fma(alpha, tile[r * nv + v], y)), n);
      }
    };
    for (int v = 0; v * W < cols; ++v) {
      const int64_t n = cols - v * W;
      n >= W ? store_column(v, W) : store_column(v, n);
    }
    return;
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v * W < cols; ++v)
      store_vector(out, i + r, j + v * W, tile[r * nv + v], min_of<int64_t>(cols - v * W, W));
}

template <class T>
struct GemmTileArgs {
  int64_t k;
  const T *a, *b;
  int64_t a_rs, a_cs, b_rs;
  int64_t cols;  // of C, valid
  // What a later tile reads of B, brought into L2 meanwhile: as much of a row as the tile is wide at each step of k,
  // the next row `next_step` further. nullptr: nothing.
  const T* next;
  int64_t next_step;
};

template <class T, int MR, int NV>
void gemm_tile(const GemmTileArgs<T>& t, const GemmOut<T>& out, int64_t i0, int64_t j0) {
  constexpr int W = Vec<T>::kSize;
  Vec<T> acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) acc[i][v] = Vec<T>(T(0));

  const T *a = t.a, *b = t.b;
  const int64_t a_rs = t.a_rs, a_cs = t.a_cs, b_rs = t.b_rs;
  const auto step = [&]() __attribute__((always_inline)) {
    Vec<T> row[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      row[v] = Vec<T>::load(b + v * W);
      if constexpr (MR == 3) keep(row[v]);  // of 2 rows, those that stream B from memory would lose
    }
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const Vec<T> x(a[i * a_rs]);
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) acc[i][v] = fma(x, row[v], acc[i][v]);
    }
    a += a_cs;
    b += b_rs;
  };
  int64_t left = t.k;
  if (const T* next = t.next)
    for (; left > 0; --left, next += t.next_step) {
#pragma GCC unroll 8
      for (int v = 0; v < NV && v < GemmBlocks::nv; ++v) __builtin_prefetch(next + v * W, 0, 2);
      step();
    }
  for (; left > 0; --left) step();

  const bool plain = out.alpha == T(1) && out.beta == T(0) && !out.bias && !out.relu;
  if (plain && out.c_cs == 1) [[likely]] {
    const int64_t c_rs = out.c_rs, last = t.cols - (NV - 1) * W;  // a copy, as above
    T* c = out.c + i0 * c_rs + j0;
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i, c += c_rs) {
#pragma GCC unroll 8
      for (int v = 0; v < NV - 1; ++v) acc[i][v].store(c + v * W);
      acc[i][NV - 1].store(c + (NV - 1) * W, last);
    }
    return;
  }
  if (t.cols == NV * W && out.c_cs == 1 && (!out.bias || out.bias_cs)) {
    const int64_t c_rs = out.c_rs;
    T* c = out.c + i0 * c_rs + j0;
    const Vec<T> alpha(out.alpha), beta(out.beta), low(out.relu ? T(0) : -T(__builtin_huge_val()));
    Vec<T> bias[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) bias[v] = out.bias ? Vec<T>::load(out.bias + j0 + v * W) : Vec<T>(T(0));
    if (out.beta == T(0)) {
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i, c += c_rs)
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) max(low, fma(alpha, acc[i][v], bias[v])).store(c + v * W);
    } else {
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i, c += c_rs)
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v)
          max(low, fma(alpha, acc[i][v], fma(beta, Vec<T>::load(c + v * W), bias[v]))).store(c + v * W);
    }
    return;
  }
  Vec<T> tile[MR * NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) tile[i * NV + v] = acc[i][v];
  store_tile(out, i0, j0, tile, MR, NV, t.cols);
}

// Tiles by rows and vectors: up to mr x nv, and wider ones of one or two rows.
template <class T>
using GemmTileFn = void (*)(const GemmTileArgs<T>&, const GemmOut<T>&, int64_t, int64_t);

template <class T>
struct TileTable {
  GemmTileFn<T> of[GemmBlocks::mr][8] = {};
  template <int... I>
  constexpr explicit TileTable(std::integer_sequence<int, I...>) {
    (fill<I + 1>(std::make_integer_sequence<int, GemmBlocks::nv_of(I + 1)>()), ...);
  }
  template <int MR, int... V>
  constexpr void fill(std::integer_sequence<int, V...>) {
    ((of[MR - 1][V] = &gemm_tile<T, MR, V + 1>), ...);
  }
};

template <class T>
void run_gemm_tile(int64_t rows, int64_t vectors, const GemmTileArgs<T>& t, const GemmOut<T>& out, int64_t i,
                   int64_t j) {
  static constexpr TileTable<T> tiles{std::make_integer_sequence<int, GemmBlocks::mr>()};
  tiles.of[rows - 1][vectors - 1](t, out, i, j);
}

}  // namespace PYNN_CPU_NAMESPACE
