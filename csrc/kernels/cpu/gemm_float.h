// gemm_float.h -- the product of one pair of float or double matrices: choice of a path, and the paths.
//
//   rank 1   k == 1, B's row is contiguous:                  one loop
//   dot      both operands run along k, few rows:            gemm_dot.h, nothing is copied
//   direct   B's rows are contiguous, few rows or small:     the micro-kernel on the matrices themselves
//   packed   everything else:                                blocks copied into slivers, five loops
//
// Parallel over blocks of C. The sum over k is split by size alone, so the bits do not depend on the threads.
#pragma once
#include "core/parallel.h"
#include "kernels/cpu/gemm_dot.h"
#include "kernels/cpu/gemm_pack.h"
#include "kernels/cpu/gemm_tile.h"
#include "kernels/cpu/scratch.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class T>
struct Product {
  int64_t m, n, k;
  const T *a, *b;
  int64_t a_rs, a_cs, b_rs, b_cs;
  GemmOut<T> out;
};

// C^T = B^T A^T
template <class T>
Product<T> transposed(const Product<T>& p) {
  Product<T> t{p.n, p.m, p.k, p.b, p.a, p.b_cs, p.b_rs, p.a_cs, p.a_rs, p.out};
  t.out.c_rs = p.out.c_cs;
  t.out.c_cs = p.out.c_rs;
  t.out.bias_rs = p.out.bias_cs;
  t.out.bias_cs = p.out.bias_rs;
  return t;
}

// Below this many multiply-adds a second thread costs more than it brings.
constexpr double kSerialWork = 1 << 19;

PYNN_INLINE double multiply_adds(int64_t m, int64_t n, int64_t k) {
  return static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
}

// f(begin, end) over the n parts of so much work, in one piece when that is small.
template <class F>
void for_parts(double work, int64_t n, F f) {
  if (n <= 1 || work < kSerialWork) return f(0, n);
  const double grain = kSerialWork / 2 * static_cast<double>(n) / work;
  parallel_for(0, n, grain < 1 ? 1 : static_cast<int64_t>(grain), f);
}
template <class T, class F>
void for_blocks(const Product<T>& p, int64_t n, F f) {
  for_parts(multiply_adds(p.m, p.n, p.k), n, f);
}

// ---- dot ----------------------------------------------------------------------------------------------------------

template <class T>
struct DotShape {
#if defined(PYNN_ISA_AVX512) || defined(PYNN_ISA_NEON)
  static constexpr int rows = 3, cols = 8;
#else
  static constexpr int rows = 3, cols = 4;
#endif
  static constexpr int row_cols = 8 > Vec<T>::kSize ? 8 : Vec<T>::kSize;  // of a single row
};

template <class T>
void dot_block(const Product<T>& p, int64_t i, int64_t rows, int64_t j, int64_t cols) {
  using S = DotShape<T>;
  const T* a = p.a + i * p.a_rs;
  const T* b = p.b + j * p.b_cs;
  if (rows == 3) return dot_tile<T, 3, S::cols>(p.k, a, p.a_rs, b, p.b_cs, cols, p.out, i, j);
  if (rows == 2) return dot_tile<T, 2, S::cols>(p.k, a, p.a_rs, b, p.b_cs, cols, p.out, i, j);
  dot_tile<T, 1, S::row_cols>(p.k, a, p.a_rs, b, p.b_cs, cols, p.out, i, j);
}

// a_cs == 1 and b_rs == 1.
template <class T>
void gemm_dots(const Product<T>& p) {
  using S = DotShape<T>;
  if (p.m == 1 && p.n == 1) {
    const T y = dot_single(p.k, p.a, p.b);
    store_vector(p.out, 0, 0, Vec<T>(y), 1);
    return;
  }
  if (p.m == 1) {
    for_blocks(p, ceil_div(p.n, S::row_cols), [&](int64_t begin, int64_t end) {
      for (int64_t j = begin * S::row_cols; j < min_of(p.n, end * S::row_cols); j += S::row_cols)
        dot_block(p, 0, 1, j, min_of<int64_t>(S::row_cols, p.n - j));
    });
    return;
  }
  constexpr int64_t cols = S::cols;
  const int64_t row_tiles = ceil_div(p.m, S::rows), col_tiles = ceil_div(p.n, cols);
  auto tile = [&](int64_t ti, int64_t tj) {
    const int64_t rows = min_of<int64_t>(S::rows, p.m - ti * S::rows);
    // A last single row works on wider tiles; it takes two narrow ones' columns at every second tile.
    if (rows == 1) {
      constexpr int64_t ratio = S::row_cols / S::cols;
      if (tj % ratio == 0) dot_block(p, ti * S::rows, 1, tj * cols, min_of<int64_t>(S::row_cols, p.n - tj * cols));
      return;
    }
    dot_block(p, ti * S::rows, rows, tj * cols, min_of(cols, p.n - tj * cols));
  };
  // The larger operand is read once, the smaller one again and again from the cache.
  if (p.n >= p.m)
    for_blocks(p, ceil_div(col_tiles, 4), [&](int64_t begin, int64_t end) {
      for (int64_t tj = begin * 4; tj < min_of(end * 4, col_tiles); ++tj)
        for (int64_t ti = 0; ti < row_tiles; ++ti) tile(ti, tj);
    });
  else
    for_blocks(p, row_tiles, [&](int64_t begin, int64_t end) {
      for (int64_t ti = begin; ti < end; ++ti)
        for (int64_t tj = 0; tj < col_tiles; ++tj) tile(ti, tj);
    });
}

// ---- direct -------------------------------------------------------------------------------------------------------

template <class T, int MR>
void direct_columns(const Product<T>& p, int64_t i, int64_t p0, int64_t kc, int64_t j0, int64_t j1,
                    const GemmOut<T>& out) {
  constexpr int W = Vec<T>::kSize, NV = GemmBlocks::small_nv(MR);
  const T* a = p.a + i * p.a_rs + p0 * p.a_cs;
  const T* b = p.b + p0 * p.b_rs;
  int64_t j = j0;
  for (; j + NV * W <= j1; j += NV * W)
    gemm_tile<T, MR, NV, false, false, false>(kc, a, p.a_rs, p.a_cs, b + j, p.b_rs, W, out, i, j);
  const int64_t rest = j1 - j;
  if (rest == 0) return;
  const int64_t last = (rest - 1) % W + 1;
  const auto go = [&]<int V>() {
    gemm_tile<T, MR, V, false, false, true>(kc, a, p.a_rs, p.a_cs, b + j, p.b_rs, last, out, i, j);
  };
  if constexpr (NV >= 8) {
    if (rest > 7 * W) return go.template operator()<8>();
    if (rest > 6 * W) return go.template operator()<7>();
    if (rest > 5 * W) return go.template operator()<6>();
    if (rest > 4 * W) return go.template operator()<5>();
  }
  if constexpr (NV >= 4) {
    if (rest > 3 * W) return go.template operator()<4>();
    if (rest > 2 * W) return go.template operator()<3>();
  }
  if (rest > W) return go.template operator()<2>();
  go.template operator()<1>();
}

// The epilogue as it applies to block [p0, p0 + kb) of k: the first block sees beta, the last one the bias.
template <class T>
PYNN_INLINE GemmOut<T> out_of_block(const Product<T>& p, int64_t p0, int64_t kb) {
  GemmOut<T> out = p.out;
  if (p0 > 0) out.beta = T(1);
  if (p0 + kb < p.k) {
    out.bias = nullptr;
    out.relu = false;
  }
  return out;
}

template <class T>
void direct_rows(const Product<T>& p, int64_t p0, int64_t kc, int64_t j0, int64_t j1, const GemmOut<T>& out) {
  constexpr int64_t MR = GemmBlocks::small_mr;
  for (int64_t i = 0; i < p.m; i += MR) {
    switch (min_of(MR, p.m - i)) {
      case 1:
        direct_columns<T, 1>(p, i, p0, kc, j0, j1, out);
        break;
      case 2:
        direct_columns<T, 2>(p, i, p0, kc, j0, j1, out);
        break;
      case 3:
        direct_columns<T, 3>(p, i, p0, kc, j0, j1, out);
        break;
      case 4:
        direct_columns<T, 4>(p, i, p0, kc, j0, j1, out);
        break;
      case 5:
        direct_columns<T, 5>(p, i, p0, kc, j0, j1, out);
        break;
      default:
        direct_columns<T, 6>(p, i, p0, kc, j0, j1, out);
        break;
    }
  }
}

// b_cs == 1; any strides of A.
template <class T>
void gemm_direct(const Product<T>& p) {
  // Rows of B that lie far apart are swept a few at a time over a wide strip, for the sake of TLB and prefetchers. The
  // strip may depend on the threads: no sum is split by it.
  const bool sweep = p.k * p.b_rs * static_cast<int64_t>(sizeof(T)) > (1 << 18) && p.n > 128;
  const int64_t kc = !sweep ? GemmBlocks::kc : p.m <= 8 ? 8 : 16;
  int64_t strip = 256;
  if (sweep) {
    const int64_t threads = num_threads(), share = round_up(ceil_div(p.n, threads > 1 ? 2 * threads : 1), 128);
    strip = max_of<int64_t>(512, min_of<int64_t>(share, 4096));
  }
  for_blocks(p, ceil_div(p.n, strip), [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      const int64_t j0 = s * strip, j1 = min_of(p.n, j0 + strip);
      int64_t p0 = 0;
      do {
        const int64_t kb = min_of(kc, p.k - p0);
        if (kb == p.k)
          direct_rows(p, p0, kb, j0, j1, p.out);
        else
          direct_rows(p, p0, kb, j0, j1, out_of_block(p, p0, kb));
        p0 += kb;
      } while (p0 < p.k);
    }
  });
}

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

// ---- packed -------------------------------------------------------------------------------------------------------

template <class T>
struct TileTable {
  GemmTileFn<T> of_rows[GemmBlocks::mr];  // minus 1
};
template <class T, int NV, bool kPackedA, int... I>
constexpr TileTable<T> packed_tiles(std::integer_sequence<int, I...>) {
  return {{&gemm_tile<T, I + 1, NV, kPackedA, true, false>...}};
}

// A block of C in tiles, cut into tasks of `rows` x `cols` tiles.
struct TaskGrid {
  int64_t row_tiles, slivers, rows, cols, row_tasks, col_tasks;

  // Long tasks, which keep a block of A in L2, but several for each thread.
  TaskGrid(int64_t row_tiles_, int64_t slivers_, int64_t max_rows, int64_t mr, int64_t nr)
      : row_tiles(row_tiles_), slivers(slivers_) {
    rows = ceil_div(row_tiles, ceil_div(row_tiles, max_rows));
    cols = slivers;
    const int64_t threads = num_threads(), wanted = threads > 1 ? 4 * threads : 1;
    for (count(); row_tasks * col_tasks < wanted && (rows > 1 || cols > 1); count())
      if (cols == 1 || (rows > 1 && rows * mr >= cols * nr))
        rows = ceil_div(rows, 2);
      else
        cols = ceil_div(cols, 2);
  }
  void count() {
    row_tasks = ceil_div(row_tiles, rows);
    col_tasks = ceil_div(slivers, cols);
  }
};

// A's rows may stay where they are when they run along k and few columns reuse them.
template <class T, bool kPackA>
void gemm_packed(const Product<T>& p) {
  constexpr int64_t MR = GemmBlocks::mr, NR = GemmBlocks::nv * Vec<T>::kSize, W = Vec<T>::kSize;
  constexpr int64_t max_rows = ceil_div(GemmBlocks::mc * 4 / static_cast<int64_t>(sizeof(T)), MR);  // in tiles
  using Rows = std::make_integer_sequence<int, GemmBlocks::mr>;
  static constexpr TileTable<T> wide_tiles = packed_tiles<T, GemmBlocks::nv, kPackA>(Rows());
  static constexpr TileTable<T> narrow_tiles = packed_tiles<T, 1, kPackA>(Rows());  // up to one vector of columns

  // Blocks of equal size, none much smaller than the others. What fits in L2 is not split along k.
  const bool fits = (p.m + p.n) * p.k * static_cast<int64_t>(sizeof(T)) <= GemmBlocks::whole_bytes;
  const int64_t kc = ceil_div(p.k, ceil_div(p.k, fits ? GemmBlocks::whole_k : GemmBlocks::kc));
  const int64_t nc = round_up(ceil_div(p.n, ceil_div(p.n, GemmBlocks::nc)), NR);
  const int64_t mc = round_up(ceil_div(p.m, ceil_div(p.m, GemmBlocks::nc)), MR);
  // pack_sliver may write one vector behind a sliver of A, which another thread must not see in its own.
  const int64_t a_step = round_up(MR * kc, W) + W;
  const Scratch<T> packed_a(kPackA ? mc / MR * a_step : 0), packed_b(kc * nc + W);

  for (int64_t jc = 0; jc < p.n; jc += nc)
    for (int64_t pc = 0; pc < p.k; pc += kc)
      for (int64_t ic = 0; ic < p.m; ic += mc) {
        const int64_t nb = min_of(nc, p.n - jc), kb = min_of(kc, p.k - pc), mb = min_of(mc, p.m - ic);
        const T* a = p.a + ic * p.a_rs + pc * p.a_cs;
        const T* b = p.b + pc * p.b_rs + jc * p.b_cs;
        const double work = multiply_adds(mb, nb, kb);
        const TaskGrid grid(ceil_div(mb, MR), ceil_div(nb, NR), max_rows, MR, NR);

        // A's slivers first, then those of B unless the last round left them.
        const int64_t a_slivers = kPackA ? grid.row_tiles : 0;
        for_parts(work, a_slivers + (ic == 0 ? grid.slivers : 0), [&](int64_t begin, int64_t end) {
          for (int64_t s = begin; s < min_of(end, a_slivers); ++s)
            pack_sliver<T, MR>(a + s * MR * p.a_rs, p.a_rs, p.a_cs, min_of(MR, mb - s * MR), kb,
                               packed_a.get() + s * a_step);
          for (int64_t s = max_of(begin, a_slivers) - a_slivers; s < end - a_slivers; ++s)
            pack_sliver<T, NR>(b + s * NR * p.b_cs, p.b_cs, p.b_rs, min_of(NR, nb - s * NR), kb,
                               packed_b.get() + s * NR * kb);
        });

        const GemmOut<T> out = out_of_block(p, pc, kb);
        for_parts(work, grid.row_tasks * grid.col_tasks, [&](int64_t begin, int64_t end) {
          for (int64_t task = begin; task < end; ++task) {
            const int64_t i0 = task / grid.col_tasks * grid.rows, i1 = min_of(i0 + grid.rows, grid.row_tiles);
            const int64_t s0 = task % grid.col_tasks * grid.cols, s1 = min_of(s0 + grid.cols, grid.slivers);
            for (int64_t s = s0; s < s1; ++s) {
              const int64_t cols = min_of(NR, nb - s * NR);
              const TileTable<T>& tiles = cols <= W ? narrow_tiles : wide_tiles;
              for (int64_t i = i0 * MR; i < min_of(i1 * MR, mb); i += MR)
                tiles.of_rows[min_of(MR, mb - i) - 1](kb, kPackA ? packed_a.get() + i / MR * a_step : a + i * p.a_rs,
                                                      p.a_rs, p.a_cs, packed_b.get() + s * NR * kb, NR, cols, out,
                                                      ic + i, jc + s * NR);
            }
          }
        });
      }
}

// ---- choice -------------------------------------------------------------------------------------------------------

template <class T>
void gemm_product(Product<T> p) {
  constexpr int64_t kFewRows = 3 * GemmBlocks::small_mr, kSmall = 32 * 32 * 32;
  constexpr int64_t NR = GemmBlocks::nv * Vec<T>::kSize;
  if (p.n == 1 ? p.m > 1 : p.out.c_cs != 1 && p.out.c_rs == 1) p = transposed(p);
  const bool along_k = p.b_rs == 1 && (p.b_cs != 1 || p.n == 1) && p.k > 1;  // B's columns are contiguous
  const double work = static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);

  if (along_k) {
    // A dot product costs a reduction over lanes at its end, packing costs a pass over B.
    if (p.m <= 2 || (p.m <= 48 && p.m * 24 <= p.k) || work <= 1024) {
      if (p.a_cs == 1) return gemm_dots(p);
      if (p.m == 1) {
        const Scratch<T> row(p.k);
        for (int64_t i = 0; i < p.k; ++i) row[i] = p.a[i * p.a_cs];
        p.a = row.get();
        p.a_cs = 1;
        return gemm_dots(p);
      }
    }
    if (p.a_rs == 1 && p.m > 1 && work <= kSmall) return gemm_direct(transposed(p));  // C is scattered
  } else if (p.b_cs == 1 || p.n == 1 || p.k == 0) {
    p.b_cs = 1;
    if (p.k == 1) return gemm_rank1(p);
    if (p.m <= kFewRows || work <= kSmall || (p.n <= NR && p.a_cs == 1)) return gemm_direct(p);
  }
  if constexpr (GemmBlocks::mr <= 8)  // a taller tile has more rows than registers for their addresses
    if (p.a_cs == 1 && p.n <= 12 * NR) return gemm_packed<T, false>(p);
  gemm_packed<T, true>(p);
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
