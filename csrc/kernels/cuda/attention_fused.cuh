// attention_fused.cuh -- what the kernels of attention by tiles share.
//
// P is the kind of products (mma.cuh). kMore: there may be a mask and dropout; scores are scaled before the mask is
// added, and each row keeps its largest score and 1 / sum rather than their logarithm, which loses digits of the large
// ones. Without, the half types' usual case, scaling is part of the exponential.
#pragma once
#include "cuda/library.h"
#include "kernels/attention.h"
#include "kernels/cuda/mma.cuh"
#include "kernels/cuda/philox.cuh"

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
template <class P, int D, int N, int M>
__device__ inline void rows_by_rows(float (&c)[M][N][4], const Tile<Stored<P>, D>& a, int row,
                                    const Tile<Stored<P>, D>& b, int from) {
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int j = 0; j < N; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) c[m][j][e] = 0;
#pragma unroll
  for (int d = 0; d < D; d += 2 * Tile<Stored<P>, D>::kPiece) {
    Fragment<P, 4> left[M];
#pragma unroll
    for (int m = 0; m < M; ++m) {
      a.load_a(left[m].r, row + m * 16, d);
      left[m].prepare();
    }
#pragma unroll
    for (int j = 0; j < N; j += 2) {
      unsigned two[4];
      b.load_b(two, from + j * 8, d);
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        const Fragment<P, 2> right(two[2 * n], two[2 * n + 1]);
#pragma unroll
        for (int m = 0; m < M; ++m) multiply_add<P>(c[m][j + n], left[m], right);
      }
    }
  }
}
// c [M by 16, D] += p [M by N tiles of 16 x 8] by rows [from, from + 8 N) of b. Of floats, tile 4 i + n of c has every
// fourth column, from 32 i + n on: then four tiles of b come by one load.
template <class P, int D, int N, int M>
__device__ inline void add_product(float (&c)[M][D / 8][4], const float (&p)[M][N][4], const Tile<Stored<P>, D>& b,
                                   int from) {
  if constexpr (kOfFloats<P>) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      Fragment<P, 4> left[M];
#pragma unroll
      for (int m = 0; m < M; ++m) {
#pragma unroll
        for (int e = 0; e < 4; ++e) left[m].r[e] = __float_as_uint(p[m][j][e % 2 * 2 + e / 2]);
        left[m].prepare();
      }
#pragma unroll
      for (int d = 0; d < D; d += 32) {
        using Four = Pack<unsigned, 4>;
        const Four even = *reinterpret_cast<const Four*>(b.at(from + j * 8 + 2 * t, d + 4 * g));
        const Four odd = *reinterpret_cast<const Four*>(b.at(from + j * 8 + 2 * t + 1, d + 4 * g));
#pragma unroll
        for (int n = 0; n < 4; ++n) {
          const Fragment<P, 2> right(even.v[n], odd.v[n]);
#pragma unroll
          for (int m = 0; m < M; ++m) multiply_add<P>(c[m][d / 8 + n], left[m], right);
        }
      }
    }
  } else {
#pragma unroll
    for (int j = 0; j < N; j += 2) {
      Fragment<P, 4> left[M];
#pragma unroll
      for (int m = 0; m < M; ++m)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          left[m].r[e] = pair_of<P>(p[m][j + e / 2][e % 2 * 2], p[m][j + e / 2][e % 2 * 2 + 1]);
#pragma unroll
      for (int d = 0; d < D; d += 16) {
        unsigned two[4];
        b.load_b_transposed(two, from + j * 8, d);
#pragma unroll
        for (int n = 0; n < 2; ++n)
#pragma unroll
          for (int m = 0; m < M; ++m)
            multiply_add<P>(c[m][d / 8 + n], left[m], Fragment<P, 2>(two[2 * n], two[2 * n + 1]));
      }
    }
  }
}
// What add_product made of rows row + g and row + g + 8 of a matrix of `rows` rows, times low and high.
template <class P, int D>
__device__ inline void write_rows(Stored<P>* to, int64_t stride, int64_t row, int64_t rows, int size,
                                  const float (&c)[D / 8][4], float low, float high) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp, t = lane % 4;
  row += lane / 4;
#pragma unroll
  for (int h = 0; h < 2; ++h, row += 8) {
    if (row >= rows) return;
    const float by = h ? high : low;
    if constexpr (kOfFloats<P>) {
#pragma unroll
      for (int d = 0; d < D / 8; d += 4)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int column = d * 8 + t * 8 + e * 4;
          Pack<float, 4> four;
#pragma unroll
          for (int n = 0; n < 4; ++n) four.v[n] = c[d + n][2 * h + e] * by;
          if (column < size) *reinterpret_cast<Pack<float, 4>*>(to + row * stride + column) = four;
        }
    } else {
#pragma unroll
      for (int d = 0; d < D / 8; ++d) {
        const int column = d * 8 + t * 2;
        if (column < size)
          *reinterpret_cast<unsigned*>(to + row * stride + column) = pair_of<P>(c[d][2 * h] * by, c[d][2 * h + 1] * by);
      }
    }
  }
}

// ---- mask and dropout ----
//
// Scores of a warp are tiles of 16 x 8; the thread has "major" indices g and g + 8, and "minor" ones 2t + 8 j + e for
// tile j and e of 0 and 1. The major index is the row and the minor one the column, or, kTransposed, the other way.

// A warp's mask, as floats in shared memory: kMajor by kMinor.
template <int kMajor, int kMinor>
struct MaskTile {
  static constexpr int kStride = kMinor + 8;  // so that the rows of half a warp lie in different banks
  static constexpr size_t kBytes = static_cast<size_t>(kMajor) * kStride * sizeof(float);
  float* data;

  // From (row, column) on; beyond the last ones, these again. Before it is read: __syncwarp().
  template <class P, bool kTransposed>
  __device__ void fill(const FusedAttentionArgs& a, int64_t batch, int64_t head, int64_t row, int64_t column) const {
    const AttentionMask& mask = a.mask;
    if (mask.dtype == DType::Bool)
      fill_of<kTransposed>(static_cast<const uint8_t*>(mask.data), a, batch, head, row, column);
    else if (mask.dtype == DType::Float32)
      fill_of<kTransposed>(static_cast<const float*>(mask.data), a, batch, head, row, column);
    else if constexpr (!kOfFloats<P>)
      fill_of<kTransposed>(static_cast<const P*>(mask.data), a, batch, head, row, column);
  }
  // What belongs to s, the tiles of majors [from, from + 16).
  template <int N>
  __device__ void add_to(float (&s)[N][4], int from) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
#pragma unroll
    for (int h = 0; h < 2; ++h)
#pragma unroll
      for (int j = 0; j < N; ++j) {
        const float* at = data + (from + lane / 4 + 8 * h) * kStride + 8 * j + lane % 4 * 2;
        const auto two = *reinterpret_cast<const Pack<float, 2>*>(at);
        s[j][2 * h] += two.v[0];
        s[j][2 * h + 1] += two.v[1];
      }
  }

 private:
  template <bool kTransposed, class S>
  __device__ void fill_of(const S* from, const FusedAttentionArgs& a, int64_t batch, int64_t head, int64_t row,
                          int64_t column) const {
    constexpr int rows = kTransposed ? kMinor : kMajor, columns = kTransposed ? kMajor : kMinor;
    constexpr int at_once = columns < kWarp ? columns : kWarp;  // of a row
    const AttentionMask& mask = a.mask;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int last = static_cast<int>(a.rows - 1 - row < rows ? a.rows - 1 - row : rows);
    from += batch * mask.batch + head * mask.head + row * mask.row;
    const auto put = [&](int r, int c, S v) {
      float value;
      if constexpr (std::is_same_v<S, uint8_t>)
        value = v ? 0.0f : -INFINITY;
      else
        value = load(v);
      data[kTransposed ? c * kStride + r : r * kStride + c] = value;
    };
    // Up to 16 loads are under way before the first is waited for.
    if (mask.pieces) {
      constexpr int size = 16 / sizeof(S), of_row = columns / size, count = (rows * of_row + kWarp - 1) / kWarp;
      constexpr int many = count < 8 ? count : 8;
      const int c = lane % of_row * size;
      const S* at = from + (column + c < a.columns ? column + c : 0);
#pragma unroll 1
      for (int first = lane / of_row; first < rows; first += many * (kWarp / of_row)) {
        Pack<S, size> v[many];
#pragma unroll
        for (int i = 0; i < many; ++i) {
          const int r = first + i * (kWarp / of_row);
          v[i] = *reinterpret_cast<const Pack<S, size>*>(at + (r < last ? r : last) * mask.row);
        }
#pragma unroll
        for (int i = 0; i < many; ++i)
#pragma unroll
          for (int e = 0; e < size; ++e) put(first + i * (kWarp / of_row), c + e, v[i].v[e]);
      }
      return;
    }
    constexpr int step = kWarp / at_once, many = rows / step < 16 ? rows / step : 16;
#pragma unroll 1
    for (int c = lane % at_once; c < columns; c += at_once) {
      const S* at = from + (column + c < a.columns ? column + c : a.columns - 1) * mask.column;
#pragma unroll 1
      for (int first = lane / at_once; first < rows; first += many * step) {
        S v[many];
#pragma unroll
        for (int i = 0; i < many; ++i) v[i] = at[(first + i * step < last ? first + i * step : last) * mask.row];
#pragma unroll
        for (int i = 0; i < many; ++i) put(first + i * step, c, v[i]);
      }
    }
  }
};

// Which of the thread's scores dropout keeps: bit 4 j + 2 h + e for major a + 8 h and minor b + 8 j + e. A counter
// gives eight draws of 16 bits, for rows r and r + 8 and columns c, c + 2, c + 8 and c + 10: four of them a thread has,
// whether rows are major or columns, and the others one other thread. So each makes every second counter's and they
// exchange.
template <bool kTransposed, int N>
__device__ inline unsigned kept(const FusedAttentionArgs& args, int64_t batch, int64_t head, int64_t a, int64_t b) {
  static_assert(N % 2 == 0 && N <= 8);
  const PhiloxStream stream(args.philox);
  const auto row_place = [](int64_t r) { return r / 16 * 8 + r % 8; };
  const auto column_place = [](int64_t c) { return c / 16 * 4 + c % 8 / 4 * 2 + c % 2; };
  const int64_t high = (args.rows + 15) / 16 * 8, wide = (args.columns + 15) / 16 * 4;
  const int64_t row = kTransposed ? b : a, column = kTransposed ? a : b;
  const int second = static_cast<int>(column / 2 % 2);  // of the two threads
  const int64_t step = kTransposed ? wide : 1;
  int64_t at = ((batch * args.heads + head) * high + row_place(row)) * wide + column_place(column) + second * step;
  unsigned bits = 0;
#pragma unroll 2
  for (int j = 0; j < N; j += 2, at += (kTransposed ? 8 : 4) * step) {
    const Draws d = stream.at<7>(static_cast<uint64_t>(at));  // of e = second
    uint32_t mine[2], others[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      mine[h] = second ? d.v[2 + h] : d.v[h];
      others[h] = __shfl_xor_sync(0xffffffffu, second ? d.v[h] : d.v[2 + h], kTransposed ? 8 : 1);
    }
    unsigned eight = 0;
#pragma unroll
    for (int e = 0; e < 2; ++e)
#pragma unroll
      for (int h = 0; h < 2; ++h)
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          const int low = kTransposed ? k : h, half = kTransposed ? h : k;  // which of rows r, r + 8; columns c, c + 8
          const uint32_t pair = e == second ? mine[low] : others[low];
          eight |= ((half ? pair >> 16 : pair & 0xFFFF) >= args.drop_below ? 1u : 0u) << (4 * k + 2 * h + e);
        }
    bits |= eight << (4 * j);
  }
  return bits;
}

// Hopper's kernels (attention*_sm90.cu), null in a build that is not for it. Of plain() attention; false, and
// nothing is done, where TMA cannot describe an operand.
using AttentionSm90 = bool (*)(const FusedAttentionArgs&);
inline AttentionSm90 forward_sm90 = nullptr, backward_sm90 = nullptr;
inline bool by_sm90(AttentionSm90 f, const FusedAttentionArgs& a) {
  return f && a.plain() && library_flags.sm90 && capability() == 90 && f(a);
}

// Over the four lanes that hold a row.
template <class F>
__device__ inline float row_reduce(float v, F f) {
  v = f(v, __shfl_xor_sync(0xffffffffu, v, 1));
  return f(v, __shfl_xor_sync(0xffffffffu, v, 2));
}

// f(P{}, integral D, whether there may be mask and dropout) for the kind of products and the tile's width.
template <class F>
void dispatch_attention(const FusedAttentionArgs& a, F f) {
  const auto by_size = [&](auto p, auto more) {
    if (a.size <= 64)
      f(p, std::integral_constant<int, 64>{}, more);
    else
      f(p, std::integral_constant<int, 128>{}, more);
  };
  const auto by_more = [&](auto p) {
    if (a.plain())
      by_size(p, std::false_type{});
    else
      by_size(p, std::true_type{});
  };
  if (a.dtype == DType::BFloat16) return by_more(BFloat16{});
  if (a.dtype == DType::Float16) return by_more(Half{});
  if (a.dtype != DType::Float32) no_loop("fused_attention", a.dtype);
  if (library_flags.matmul_tf32) return by_size(Tf32{}, std::true_type{});
  by_size(Float32{}, std::true_type{});
}

}  // namespace pynn::cuda
