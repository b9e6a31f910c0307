// mma.cuh -- tensor core products by a warp, 16 x 8 x 16 of half types and 16 x 8 x 8 of float32 as tf32, and what
// feeds them from shared memory.
//
// Fragments, with g = lane / 4 and t = lane % 4, two elements in each register:
//
//   A [16, 16]   a0: row g, columns 2t 2t+1    a1: row g + 8    a2, a3: the same, columns + 8
//   B [16, 8]    b0: rows 2t 2t+1, column g    b1: rows + 8
//   C [16, 8]    c0 c1: row g, columns 2t 2t+1     c2 c3: row g + 8
//
// So two neighbouring C tiles, rounded, are an A tile of a product that follows. Of tf32 a register holds one element:
// column t of A (a2, a3: + 4), row t of B (b1: + 4). A C tile is an A tile once k is counted as 0 2 4 6 1 3 5 7.
#pragma once
#include "kernels/cuda/launch.cuh"

namespace pynn::cuda {

// Of four 8 x 8 matrices; lane l gives the address of row l % 8 of matrix l / 8. Lane l gets elements 2t, 2t + 1 of row
// g of each; transposed, of column g.
__device__ inline void load_matrices(unsigned (&r)[4], const void* row) {
#ifndef PYNN_CUDA_EMULATED
  const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(at)
               : "memory");
#else
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const unsigned long long mine = reinterpret_cast<unsigned long long>(row);
  for (int i = 0; i < 4; ++i) {
    const auto* from = reinterpret_cast<const unsigned*>(__shfl_sync(0xffffffffu, mine, i * 8 + lane / 4));
    r[i] = from[lane % 4];
  }
#endif
}
__device__ inline void load_matrices_transposed(unsigned (&r)[4], const void* row) {
#ifndef PYNN_CUDA_EMULATED
  const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(at)
               : "memory");
#else
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const unsigned long long mine = reinterpret_cast<unsigned long long>(row);
  for (int i = 0; i < 4; ++i) {
    unsigned two[2];
    for (int k = 0; k < 2; ++k) {
      const int source = i * 8 + 2 * (lane % 4) + k;
      two[k] = reinterpret_cast<const unsigned short*>(__shfl_sync(0xffffffffu, mine, source))[lane / 4];
    }
    r[i] = two[0] | two[1] << 16;
  }
#endif
}

// Two floats as neighbours of a register.
template <class T>
__device__ inline unsigned pair_of(float low, float high) {
#ifndef PYNN_CUDA_EMULATED
  unsigned pair;
  if constexpr (std::is_same_v<T, BFloat16>)
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  else
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#endif
  return static_cast<unsigned>(store_as<T>(low).bits) | static_cast<unsigned>(store_as<T>(high).bits) << 16;
}

// c += a b
template <class T>
__device__ inline void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
#ifndef PYNN_CUDA_EMULATED
  if constexpr (std::is_same_v<T, BFloat16>)
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  else
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  const int lane = static_cast<int>(threadIdx.x) % kWarp, g = lane / 4, t = lane % 4;
  const auto value = [](unsigned r, int k) {
    T v;
    v.bits = static_cast<unsigned short>(r >> 16 * k);
    return static_cast<float>(load(v));
  };
  for (int s = 0; s < 4; ++s)  // the lanes that hold columns 2s, 2s + 1, 2s + 8, 2s + 9
    for (int half = 0; half < 2; ++half) {
      const unsigned low = __shfl_sync(0xffffffffu, a[2 * half], g * 4 + s);
      const unsigned high = __shfl_sync(0xffffffffu, a[2 * half + 1], g * 4 + s);
      for (int n = 0; n < 2; ++n) {
        const unsigned b = __shfl_sync(0xffffffffu, half ? b1 : b0, (2 * t + n) * 4 + s);
        for (int k = 0; k < 2; ++k) {
          c[n] += value(low, k) * value(b, k);
          c[2 + n] += value(high, k) * value(b, k);
        }
      }
    }
#endif
}

// c += a b of float32, of which the product sees tf32: the upper 19 bits.
__device__ inline void multiply_add_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#ifndef PYNN_CUDA_EMULATED
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  const int lane = static_cast<int>(threadIdx.x) % kWarp, g = lane / 4, t = lane % 4;
  const auto value = [](unsigned r) { return __uint_as_float(r & 0xFFFFE000u); };
  for (int k = 0; k < 8; ++k) {
    const float low = value(__shfl_sync(0xffffffffu, a[k / 4 * 2], g * 4 + k % 4));
    const float high = value(__shfl_sync(0xffffffffu, a[k / 4 * 2 + 1], g * 4 + k % 4));
    for (int n = 0; n < 2; ++n) {
      const float right = value(__shfl_sync(0xffffffffu, b[k / 4], (2 * t + n) * 4 + k % 4));
      c[n] += low * right;
      c[2 + n] += high * right;
    }
  }
#endif
}

// Kinds of products: Half, BFloat16, and of float32
struct Tf32 {};     // rounded to tf32
struct Float32 {};  // as the sum of two tf32 numbers, of whose four products the smallest is left out: 21 bits or more
template <class P>
constexpr bool kOfFloats = std::is_same_v<P, Tf32> || std::is_same_v<P, Float32>;
template <class P>
using Stored = std::conditional_t<kOfFloats<P>, float, P>;

// Operands of such a product: n registers of the A or the B tile.
template <class P, int n>
struct Fragment {
  static constexpr bool kSplit = std::is_same_v<P, Float32>;
  unsigned r[n], rest[kSplit ? n : 1];
  __device__ Fragment() {}
  __device__ Fragment(unsigned b0, unsigned b1) : r{b0, b1} { prepare(); }
  // After r was filled with what is stored.
  __device__ void prepare() {
    if constexpr (kOfFloats<P>)
#pragma unroll
      for (int i = 0; i < n; ++i) {
        const float v = __uint_as_float(r[i]);
        r[i] = rounded(r[i]);
        if constexpr (kSplit) rest[i] = __float_as_uint(v - __uint_as_float(r[i]));
      }
  }

 private:
  __device__ static unsigned rounded(unsigned v) {
#ifndef PYNN_CUDA_EMULATED
    if constexpr (!kSplit) {
      unsigned r;
      asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(__uint_as_float(v)));
      return r;
    }
#endif
    return (v + 0x1000u) & 0xFFFFE000u;  // may take NaN for a number, but then not in `rest`
  }
};
template <class P>
__device__ inline void multiply_add(float (&c)[4], const Fragment<P, 4>& a, const Fragment<P, 2>& b) {
  if constexpr (Fragment<P, 4>::kSplit) {
    float sum[4] = {};  // added by rounding: the tensor cores cut sums off, and so would drift towards 0
    multiply_add_tf32(sum, a.rest, b.r);
    multiply_add_tf32(sum, a.r, b.rest);
    multiply_add_tf32(sum, a.r, b.r);
#pragma unroll
    for (int e = 0; e < 4; ++e) c[e] += sum[e];
  } else if constexpr (kOfFloats<P>) {
    multiply_add_tf32(c, a.r, b.r);
  } else {
    multiply_add<P>(c, a.r, b.r[0], b.r[1]);
  }
}

// 16 bytes from global to shared memory, in the background; zeros unless `inside`.
__device__ inline void copy_async(void* to, const void* from, bool inside) {
#ifndef PYNN_CUDA_EMULATED
  const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(to));
  const int bytes = inside ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(bytes) : "memory");
#else
  if (inside)
    memcpy(to, from, 16);
  else
    memset(to, 0, 16);
#endif
}
__device__ inline void copies_begun() {
#ifndef PYNN_CUDA_EMULATED
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
// Until all copies but those of the last `kOpen` groups are there, for this thread.
template <int kOpen>
__device__ inline void wait_for_copies() {
#ifndef PYNN_CUDA_EMULATED
  asm volatile("cp.async.wait_group %0;" ::"n"(kOpen) : "memory");
#endif
}

// Rows of D elements in shared memory, pieces of 16 bytes exchanged so that no 8 rows meet in a bank.
template <class T, int D>
struct Tile {
  static constexpr int kPiece = 16 / sizeof(T);
  T* data;
  __device__ T* at(int row, int column) const { return data + row * D + (((column / kPiece) ^ (row & 7)) * kPiece); }
  // The A tile at (row, column), 32 bytes wide: rows are its rows.
  __device__ void load_a(unsigned (&a)[4], int row, int column) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    load_matrices(a, at(row + lane % 16, column + lane / 16 * kPiece));
  }
  // Two B tiles whose columns are rows [row, row + 16) of this, k running along the row.
  __device__ void load_b(unsigned (&b)[4], int row, int column) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    load_matrices(b, at(row + lane % 8 + lane / 16 * 8, column + lane / 8 % 2 * kPiece));
  }
  // Half types: two B tiles whose columns are columns [column, column + 16) of this, k running over rows.
  __device__ void load_b_transposed(unsigned (&b)[4], int row, int column) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    load_matrices_transposed(b, at(row + lane % 16, column + lane / 16 * kPiece));
  }
  // Rows [first, first + count) of a matrix of `rows` rows of `size` elements; all threads of the block.
  __device__ void fill(const T* from, int64_t stride, int64_t first, int count, int64_t rows, int size) const {
    constexpr int pieces = D / kPiece;
    // A thread keeps its column and goes down the rows.
    const int step = static_cast<int>(blockDim.x) / pieces, c = static_cast<int>(threadIdx.x) % pieces * kPiece;
    int r = static_cast<int>(threadIdx.x) / pieces;
    const int64_t rest = rows - first;
    const int end = c < size ? static_cast<int>(rest < count ? rest : count) : 0;
    const T* row = from + (first + r) * stride + c;
    for (; r < count; r += step, row += step * stride) copy_async(at(r, c), r < end ? row : from, r < end);
  }
};

}  // namespace pynn::cuda
