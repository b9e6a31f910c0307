// attention_fused.cuh -- what the kernels of attention by tiles share.
#pragma once
#include "cuda/library.h"
#include "kernels/attention.h"
#include "kernels/cuda/mma.cuh"

namespace pynn::cuda {

constexpr int kAttentionWarps = 4;
constexpr float kLog2E = 1.4426950408889634f;

using Operand = FusedAttentionArgs::Operand;

template <class T>
__device__ inline T* matrix(const Operand& o, int64_t batch, int64_t head) {
  return static_cast<T*>(o.data) + batch * o.batch + head * o.head;
}

__device__ inline float exp2_of(float v) {
#ifndef PYNN_CUDA_EMULATED
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
#else
  return static_cast<float>(exp2(static_cast<double>(v)));
#endif
}

// c [M by N tiles of 16 x 8] = rows [row, row + 16 M) of a, by rows [from, from + 8 N) of b, transposed.
template <class T, int D, int N, int M>
__device__ inline void rows_by_rows(float (&c)[M][N][4], const Tile<T, D>& a, int row, const Tile<T, D>& b, int from) {
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int j = 0; j < N; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) c[m][j][e] = 0;
#pragma unroll
  for (int d = 0; d < D; d += 16) {
    unsigned left[M][4];
#pragma unroll
    for (int m = 0; m < M; ++m) a.load_a(left[m], row + m * 16, d);
#pragma unroll
    for (int j = 0; j < N; j += 2) {
      unsigned right[4];
      b.load_b(right, from + j * 8, d);
#pragma unroll
      for (int m = 0; m < M; ++m) {
        multiply_add<T>(c[m][j], left[m], right[0], right[1]);
        multiply_add<T>(c[m][j + 1], left[m], right[2], right[3]);
      }
    }
  }
}
// c [M by 16, D] += p [M by N tiles of 16 x 8] by rows [from, from + 8 N) of b.
template <class T, int D, int N, int M>
__device__ inline void add_product(float (&c)[M][D / 8][4], const float (&p)[M][N][4], const Tile<T, D>& b, int from) {
#pragma unroll
  for (int j = 0; j < N; j += 2) {
    unsigned left[M][4];
#pragma unroll
    for (int m = 0; m < M; ++m) {
      left[m][0] = pair_of<T>(p[m][j][0], p[m][j][1]);
      left[m][1] = pair_of<T>(p[m][j][2], p[m][j][3]);
      left[m][2] = pair_of<T>(p[m][j + 1][0], p[m][j + 1][1]);
      left[m][3] = pair_of<T>(p[m][j + 1][2], p[m][j + 1][3]);
    }
#pragma unroll
    for (int d = 0; d < D; d += 16) {
      unsigned right[4];
      b.load_b_transposed(right, from + j * 8, d);
#pragma unroll
      for (int m = 0; m < M; ++m) {
        multiply_add<T>(c[m][d / 8], left[m], right[0], right[1]);
        multiply_add<T>(c[m][d / 8 + 1], left[m], right[2], right[3]);
      }
    }
  }
}
// Rows row + g and row + g + 8 of a matrix of `rows` rows, times low and high.
template <class T, int D>
__device__ inline void write_rows(T* to, int64_t stride, int64_t row, int64_t rows, int size,
                                  const float (&c)[D / 8][4], float low, float high) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  row += lane / 4;
#pragma unroll
  for (int d = 0; d < D / 8; ++d) {
    const int column = d * 8 + lane % 4 * 2;
    if (column >= size) continue;
    if (row < rows) *reinterpret_cast<unsigned*>(to + row * stride + column) = pair_of<T>(c[d][0] * low, c[d][1] * low);
    if (row + 8 < rows)
      *reinterpret_cast<unsigned*>(to + (row + 8) * stride + column) = pair_of<T>(c[d][2] * high, c[d][3] * high);
  }
}

// Hopper's kernels (attention*_sm90.cu), null in a build that is not for it. False, and nothing is done, where TMA
// cannot describe an operand.
using AttentionSm90 = bool (*)(const FusedAttentionArgs&);
inline AttentionSm90 forward_sm90 = nullptr, backward_sm90 = nullptr;
inline bool by_sm90(AttentionSm90 f, const FusedAttentionArgs& a) {
  return f && library_flags.sm90 && capability() == 90 && f(a);
}

// Over the four lanes that hold a row.
template <class F>
__device__ inline float row_reduce(float v, F f) {
  v = f(v, __shfl_xor_sync(0xffffffffu, v, 1));
  return f(v, __shfl_xor_sync(0xffffffffu, v, 2));
}

// f(T{}, integral D) for the element type and the tile's width.
template <class F>
void dispatch_attention(const FusedAttentionArgs& a, F f) {
  const auto by_size = [&](auto t) {
    if (a.size <= 64)
      f(t, std::integral_constant<int, 64>{});
    else
      f(t, std::integral_constant<int, 128>{});
  };
  if (a.dtype == DType::BFloat16) return by_size(BFloat16{});
  if (a.dtype == DType::Float16) return by_size(Half{});
  no_loop("fused_attention", a.dtype);
}

}  // namespace pynn::cuda
