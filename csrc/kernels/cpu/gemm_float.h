// gemm_float.h -- the product of one pair of float or double matrices: choice of a path, and the split over threads.
//
//   rank 1   k == 1, B's row is contiguous:      one loop
//   dot      both operands run along k, few rows: gemm_dot.h, nothing is copied or, of half types, converted
//   parts    one or two rows, large B:             gemm_block.h, in parts of k
//   split    float32 of some size, with AMX:       gemm_split.h
//   block    everything else:                     gemm_block.h
//
// Parallel over regions of C. The sum over k is split by size alone, so the bits do not depend on the threads.
#pragma once
#include "kernels/cpu/gemm_block.h"
#include "kernels/cpu/gemm_dot.h"
#include "kernels/cpu/gemm_regions.h"
#include "kernels/cpu/gemm_split.h"
#include "kernels/cpu_features.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class T>
constexpr double kSerialWork = kSerialVectors * Vec<Wide<T>>::kSize;

// f(begin, end) over the n parts of the product, in one piece when that is small.
template <class T, class F>
void for_blocks(const Product<T>& p, int64_t n, F f) {
  const double work = multiply_adds(p.m, p.n, p.k);
  if (n <= 1 || work < kSerialWork<T>) return f(0, n);
  const double grain = kSerialWork<T> / 2 * static_cast<double>(n) / work;
  parallel_for(0, n, grain < 1 ? 1 : static_cast<int64_t>(grain), f);
}

// ---- dot ----------------------------------------------------------------------------------------------------------

// Tiles of dot products: rows of one, and its columns by its rows. With AVX-512, 16 sums of float are added up across
// their lanes by one transposition.
template <class S>
struct DotShape {
#if defined(PYNN_ISA_AVX512)
  static constexpr int rows = sizeof(S) >= 4 ? 4 : 3;
  static constexpr int cols(int r) { return r == 1 ? 16 : r == 4 ? 4 : 8; }
#elif defined(PYNN_ISA_NEON)
  static constexpr int rows = 3;
  static constexpr int cols(int) { return 8; }
#else
  static constexpr int rows = 3;
  static constexpr int cols(int r) { return r == 1 ? 8 : 4; }
#endif
};

// Columns [j0, j1) of `rows` rows from i on.
template <class T, int R = DotShape<T>::rows>
void dot_rows(const Product<T>& p, int64_t i, int64_t rows, int64_t j0, int64_t j1) {
  if constexpr (R > 1)
    if (rows < R) return dot_rows<T, R - 1>(p, i, rows, j0, j1);
  constexpr int C = DotShape<T>::cols(R);
  for (int64_t j = j0; j < j1; j += C)
    dot_tile<T, R, C>(p.k, p.a + i * p.a_rs, p.a_rs, p.b + j * p.b_cs, p.b_cs, min_of<int64_t>(C, j1 - j), p.out, i, j);
}

// a_cs == 1 and b_rs == 1.
template <class T>
void gemm_dots_of_block(const Product<T>& p) {
  if (p.m == 1 && p.n == 1) {
    store_vector(p.out, 0, 0, Vec<Wide<T>>(dot_single(p.k, p.a, p.b)), 1);
    return;
  }
  constexpr int64_t R = DotShape<T>::rows, kCols = 16;
  // The larger operand is read once, the smaller one again and again from the cache.
  if (p.n >= p.m)
    for_blocks(p, ceil_div(p.n, kCols), [&](int64_t begin, int64_t end) {
      for (int64_t j = begin * kCols; j < min_of(p.n, end * kCols); j += kCols)
        for (int64_t i = 0; i < p.m; i += R) dot_rows(p, i, min_of(R, p.m - i), j, min_of(p.n, j + kCols));
    });
  else
    for_blocks(p, ceil_div(p.m, R), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * R; i < min_of(p.m, end * R); i += R) dot_rows(p, i, min_of(R, p.m - i), 0, p.n);
    });
}

// Long sums are taken in blocks: an accumulator of float32 takes no 1 on top of 2^24.
constexpr int64_t kLongestDot = 1 << 16;

template <class T>
void gemm_dots(const Product<T>& p) {
  if (p.k <= kLongestDot) return gemm_dots_of_block(p);
  for (int64_t p0 = 0; p0 < p.k; p0 += kLongestDot) {
    Product<T> block = p;
    block.k = min_of(kLongestDot, p.k - p0);
    block.a += p0;
    block.b += p0;
    block.out = out_of_block(p, p0, block.k);
    gemm_dots_of_block(block);
  }
}

// ---- rank 1 -------------------------------------------------------------------------------------------------------

// k == 1 and b_cs == 1.
template <class T>
void gemm_rank1(const Product<T>& p) {
  using V = Vec<T>;
  for_blocks(p, p.m, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const V x(p.a[i * p.a_rs]);
      if (p.out.c_cs == 1 && p.out.beta == T(0) && !p.out.bias && !p.out.relu) {
        T* c = p.out.c + i * p.out.c_rs;
        const V scaled = x * V(p.out.alpha);
        for (int64_t j = 0; j < p.n; j += V::kSize) (scaled * V::load(p.b + j, p.n - j)).store(c + j, p.n - j);
      } else {
        for (int64_t j = 0; j < p.n; j += V::kSize)
          store_vector(p.out, i, j, x * V::load(p.b + j, p.n - j), min_of<int64_t>(V::kSize, p.n - j));
      }
    }
  });
}

// ---- block --------------------------------------------------------------------------------------------------------

// One or two rows times a large B, in parts of k: a thread reads what lies next to each other, and finds it again in
// its L2. Their sums are added up in order.
template <class T>
void gemm_parts_of_k(const Product<T>& p, const BlockPlan& plan, int64_t parts) {
  using V = Vec<T>;
  constexpr double kByteNs = 0.03;
  const double ns = kByteNs * sizeof(T) * multiply_adds(1, p.n, p.k);
  const int64_t threads = threads_for(ns), row = round_up(p.n, V::kSize);
  const Scratch<T> sums(parts * p.m * row);
  parallel_for(0, parts, threads == 1 ? parts : ceil_div(parts, 4 * threads), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t p0 = p.k * i / parts;
      Product<T> part = p;
      part.k = p.k * (i + 1) / parts - p0;
      part.a += p0 * p.a_cs, part.b += p0 * p.b_rs;
      part.out = {sums.get() + i * p.m * row, row, 1, T(1), T(0), nullptr, 0, 1, false};
      gemm_region(part, plan, 0, p.m, 0, p.n);
    }
  });
  for (int64_t i = 0; i < p.m; ++i)
    for (int64_t j = 0; j < p.n; j += V::kSize) {
      const T* from = sums.get() + i * row + j;
      V sum = V::load(from);
      for (int64_t part = 1; part < parts; ++part) sum += V::load(from + part * p.m * row);
      store_vector(p.out, i, j, sum, min_of<int64_t>(V::kSize, p.n - j));
    }
}

template <class T>
void gemm_blocks(const Product<T>& p) {
  const BlockPlan plan = plan_of(p);
  const int64_t parts = min_of<int64_t>(8, p.k / 64);
  if (p.m <= 2 && plan.far && parts > 1) return gemm_parts_of_k(p, plan, parts);
  for_regions<Vec<T>::kSize>(
      p.m, p.n, p.k, (p.a_cs * static_cast<int64_t>(sizeof(T)) >= 512 ? 0.3 : 0.15) + row_cost<T>(p.n, p.k),
      p.b_cs != 1             ? 6
      : plan.pack || plan.far ? 3
                              : 1,
      [&](int64_t i0, int64_t i1, int64_t j0, int64_t j1) { gemm_region(p, plan, i0, i1, j0, j1); });
}

// ---- choice -------------------------------------------------------------------------------------------------------

template <class T>
Product<T> turned(const Product<T>& p) {
  return (p.n == 1 ? p.m > 1 : p.out.c_cs != 1 && p.out.c_rs == 1) ? transposed(p) : p;
}
// B's columns are contiguous.
template <class T>
bool runs_along_k(const Product<T>& p) {
  return p.b_rs == 1 && (p.b_cs != 1 || p.n == 1) && p.k > 1;
}
// A dot product costs a reduction over lanes at its end, a block copies B.
template <class T>
bool few_rows(const Product<T>& p) {
  return p.m <= 2 || (p.m <= 12 && p.m * 24 <= p.k) || multiply_adds(p.m, p.n, p.k) <= 1024;
}

// Multiply-adds of vectors per step of k: whole vectors of C's rows, copies of B, and stores to C across its memory.
// Copies across B's memory took 15 on Sapphire Rapids where it fits L2 (1 MB), else 40; on Zen 4 5 to 9, and 11 to 25.
// Tiles of less than the full width have more loads to each: there 8 x 16 floats reach half of 8 x 48's speed, 8 x 32
// three quarters.
template <class T>
double block_cost(const Product<T>& p) {
  constexpr int64_t W = Vec<T>::kSize, NV = GemmBlocks::nv;
  const double copies = p.b_cs == 1 ? 1 : p.k * p.n * static_cast<int64_t>(sizeof(T)) <= 1 << 20 ? 15 : 36;
  const double stores = p.out.c_cs == 1 ? 0 : 40 * multiply_adds(p.m, p.n, 1) / W;
  const auto vectors = static_cast<double>(ceil_div(p.n, W)),
             width = four_wide(p) ? NV : vectors / static_cast<double>(ceil_div(p.n, NV * W));
  return (static_cast<double>(p.m) * (1 + 0.3 * (NV - width)) + copies) * vectors +
         stores / static_cast<double>(max_of<int64_t>(p.k, 1));
}

template <class T>
void gemm_product(Product<T> p) {
  p = turned(p);
  const bool along_k = runs_along_k(p);
  if (along_k) {
    if (few_rows(p)) {
      if (p.a_cs == 1) return gemm_dots(p);
      if (p.m == 1) {
        const Scratch<T> row(p.k);
        for (int64_t i = 0; i < p.k; ++i) row[i] = p.a[i * p.a_cs];
        p.a = row.get();
        p.a_cs = 1;
        return gemm_dots(p);
      }
    }
  } else if (p.b_cs == 1 || p.n == 1 || p.k == 0) {
    p.b_cs = 1;
    if (p.k == 1) return gemm_rank1(p);
  }
#ifdef PYNN_VEC_DOT
  if constexpr (std::is_same_v<T, float>)
    if (takes_split(p)) return gemm_split(p);
#endif
  if (p.m > 2 && p.k > 0 && 1.1 * block_cost(transposed(p)) < block_cost(p)) p = transposed(p);
  gemm_blocks(p);
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
