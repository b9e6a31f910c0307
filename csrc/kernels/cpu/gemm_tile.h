// gemm_tile.h -- the micro-kernel: an MR x (NV vectors) tile of C held in registers.
//
//   acc[i][j] = sum_p a[i, p] * b[p, j],   then   C = alpha * acc + beta * C + bias, relu
//
//   a   element (i, p) at i * a_rs + p * a_cs: any strides, each element is broadcast
//   b   row p at p * b_rs, columns next to each other
//
// Accumulates in the type of the operands. No threads here.
#pragma once
#include "kernels/cpu/vec.h"

namespace PYNN_CPU_NAMESPACE {

// Registers: MR * NV accumulators + NV of B + one broadcast must fit 16 (SSE2, AVX2) or 32 (AVX-512, NEON).
//
//   ISA        tile f32   kc    mc     nc
//   baseline   6 x 8     256   144   4080    A block 144 KiB in L2, a B sliver 8 KiB in L1
//   avx2       6 x 16    256   168   4080    A block 168 KiB in L2, a B sliver 16 KiB in L1
//   avx512    14 x 32    384   210   4096    A block 315 KiB and a B sliver 48 KiB in L2, an A sliver 21 KiB in L1
//   neon       8 x 12    256   160   4080    A block 160 KiB in L2, a B sliver 12 KiB in L1
//
// float64 halves the columns of a tile, and mc. Measured on Zen 3 (avx2: the tile alone reaches 98 % of the FMA peak,
// kc from 192 to 384 and mc from 96 to 240 differ by less than 2 %) and on Zen 4 (avx512: kc 192 loses 10 % from n =
// 768 on, because C is read and written once per block of k; 384 and 512 are alike); the other rows keep the same share
// of the caches.
struct GemmBlocks {
#if defined(PYNN_ISA_AVX512)
  static constexpr int mr = 14, nv = 2, kc = 384, mc = 210, nc = 4096;
  static constexpr int64_t whole_bytes = 768 << 10;
#elif defined(PYNN_ISA_NEON)
  static constexpr int mr = 8, nv = 3, kc = 256, mc = 160, nc = 4080;
  static constexpr int64_t whole_bytes = 384 << 10;
#elif defined(PYNN_ISA_AVX2)
  static constexpr int mr = 6, nv = 2, kc = 256, mc = 168, nc = 4080;
  static constexpr int64_t whole_bytes = 384 << 10;
#else
  static constexpr int mr = 6, nv = 2, kc = 256, mc = 144, nc = 4080;
  static constexpr int64_t whole_bytes = 384 << 10;
#endif
  static constexpr int64_t whole_k = 1024;  // products up to whole_bytes are not split along k before this
  // Without packing: fewer rows, and wider tiles where there are only one or two rows, to hide the FMA's latency.
  static constexpr int small_mr = 6;
  static constexpr int small_nv(int rows) { return rows == 1 ? 8 : rows == 2 ? 4 : 2; }
};

// Where results go and what is done to them on the way.
template <class T>
struct GemmOut {
  T* c;
  int64_t c_rs, c_cs;
  T alpha, beta;
  const T* bias;             // nullptr: none
  int64_t bias_rs, bias_cs;  // 0 or 1: bias per row (of a transposed problem) or per column
  bool relu;
};

// n <= kSize elements of row i from column j on.
template <class T>
PYNN_INLINE void store_vector(const GemmOut<T>& out, int64_t i, int64_t j, Vec<T> x, int64_t n) {
  T* c = out.c + i * out.c_rs + j * out.c_cs;
  if (out.c_cs == 1) [[likely]] {
    Vec<T> y(T(0));
    if (out.bias) y = out.bias_cs ? Vec<T>::load(out.bias + j, n) : Vec<T>(out.bias[i * out.bias_rs]);
    if (out.beta != T(0)) y = fma(Vec<T>(out.beta), Vec<T>::load(c, n), y);
    y = fma(Vec<T>(out.alpha), x, y);
    if (out.relu) y = max(Vec<T>(T(0)), y);  // NaN stays: max gives its second operand then
    y.store(c, n);
    return;
  }
  for (int64_t l = 0; l < n; ++l) {
    T y = out.bias ? out.bias[i * out.bias_rs + (j + l) * out.bias_cs] : T(0);
    if (out.beta != T(0)) y += out.beta * c[l * out.c_cs];
    y += out.alpha * x[static_cast<int>(l)];
    if (out.relu) y = y < T(0) ? T(0) : y;
    c[l * out.c_cs] = y;
  }
}

// A tile of rows x cols at (i, j), whose rows are nv vectors. One copy per type: it stands behind every tile.
template <class T>
[[gnu::noinline]] void store_tile(const GemmOut<T>& out, int64_t i, int64_t j, const Vec<T>* tile, int rows, int nv,
                                  int64_t cols) {
  constexpr int W = Vec<T>::kSize;
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v * W < cols; ++v)
      store_vector(out, i + r, j + v * W, tile[r * nv + v], cols - v * W < W ? cols - v * W : W);
}

// kPacked: b_rs is known to the compiler, B is padded to whole vectors, `last` columns of the tile are valid.
// kPackedA: a_rs = 1, a_cs = MR of a full tile.
// kTail: (B not packed) the last vector of B's rows holds `last` elements only.
template <class T, int MR, int NV, bool kPackedA, bool kPacked, bool kTail>
void gemm_tile(int64_t k, const T* a, int64_t a_rs, int64_t a_cs, const T* b, int64_t b_rs, int64_t last,
               const GemmOut<T>& out, int64_t i0, int64_t j0) {
  constexpr int W = Vec<T>::kSize;
  if constexpr (kPackedA) {
    a_rs = 1;
    a_cs = GemmBlocks::mr;
  }
  if constexpr (kPacked) b_rs = GemmBlocks::nv * W;  // of a full tile, which a narrow one reads the front of
  Vec<T> acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) acc[i][v] = Vec<T>(T(0));

  for (int64_t p = 0; p < k; ++p) {
    Vec<T> row[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v)
      row[v] = kTail && v == NV - 1 ? Vec<T>::load(b + v * W, last) : Vec<T>::load(b + v * W);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const Vec<T> x(a[i * a_rs]);
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) acc[i][v] = fma(x, row[v], acc[i][v]);
    }
    a += a_cs;
    b += b_rs;
  }

  const int64_t cols = kPacked ? last : kTail ? (NV - 1) * W + last : NV * W;
  if (cols == NV * W && out.c_cs == 1 && (!out.bias || out.bias_cs)) [[likely]] {
    const Vec<T> alpha(out.alpha), beta(out.beta), low(out.relu ? T(0) : -T(__builtin_huge_val()));
    Vec<T> bias[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) bias[v] = out.bias ? Vec<T>::load(out.bias + j0 + v * W) : Vec<T>(T(0));
    T* c = out.c + i0 * out.c_rs + j0;
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) {
        Vec<T> y = bias[v];
        if (out.beta != T(0)) y = fma(beta, Vec<T>::load(c + v * W), y);
        max(low, fma(alpha, acc[i][v], y)).store(c + v * W);
      }
      c += out.c_rs;
    }
    return;
  }
  Vec<T> tile[MR * NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) tile[i * NV + v] = acc[i][v];
  store_tile(out, i0, j0, tile, MR, NV, cols);
}

template <class T>
using GemmTileFn = void (*)(int64_t, const T*, int64_t, int64_t, const T*, int64_t, int64_t, const GemmOut<T>&, int64_t,
                            int64_t);

}  // namespace PYNN_CPU_NAMESPACE
