// gemm_block.h -- one thread's share of a product: a region of C, in panels of B that stay in L2.
//
//   for each block of k, for each panel of columns:   for each MR rows of A:   for each sliver of B:   a tile
//
// A is read where it lies, each element broadcast, unless steps of k lie lines apart (x.T @ y): then it is copied once
// for all panels, up to 1,024 rows, a few steps of k of all of them at a time, which a prefetcher follows. B is read
// where it lies if its rows are contiguous and all of it fits L2, or few rows of A ask for it, else each sliver is
// copied just before its first tile. While the first tile of a sliver is computed, the next sliver's source is fetched.
// A region shares nothing with others, so that no thread waits for another.
#pragma once
#include "core/precision.h"
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
  const void* b_ready = nullptr;  // gemm_split.h, and
  int parts = kAllParts;          // of each float there
  bool b_stays = false;
};

PYNN_INLINE double multiply_adds(int64_t m, int64_t n, int64_t k) {
  return static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
}

// C^T = B^T A^T
template <class T>
Product<T> transposed(const Product<T>& p) {
  return {p.n, p.m, p.k, p.b, p.a, p.b_cs, p.b_rs, p.a_cs, p.a_rs, transposed(p.out), nullptr, p.parts};
}

// How a whole product is cut; its sizes alone decide, so that each thread cuts the sums alike.
struct BlockPlan {
  int64_t kc, nc;  // rows and columns of a panel
  int64_t mr, nv;  // rows of a tile, vectors of its row
  bool pack;       // B is copied
  bool far;        // B is read from memory, in steps that no prefetcher follows
};

// Rows of four vectors make one tile of 6 rows, rather than two of 8.
template <class T>
bool four_wide(const Product<T>& p) {
  return GemmBlocks::nv_of(6) == 4 && ceil_div(p.n, Vec<T>::kSize) == 4;
}

template <class T>
BlockPlan plan_of(const Product<T>& p) {
  constexpr int64_t W = Vec<T>::kSize, size = sizeof(T), fits = GemmBlocks::panel_bytes * 5 / 4;
  BlockPlan b{};
  // Rows of B that lie pages apart meet in few sets of L2, too: they are fetched anew for each tile of rows.
  const int64_t few = p.b_rs * size % 4096 == 0 ? 3 * GemmBlocks::mr : 8 * GemmBlocks::mr;
  const bool large = p.k * p.n * size > fits;
  const bool four = four_wide(p);
  // A row of less than a tile's width with a part of a vector at its end makes one tile if it is copied.
  const int64_t widest = (four ? 4 : GemmBlocks::nv) * W;
  const bool narrow = p.k > 0 && p.n % W != 0 && p.n > W && p.n < widest && p.m > GemmBlocks::mr;
  const int64_t copied = p.b_rs * size % 2048 == 0 ? GemmBlocks::copied_rows_far : GemmBlocks::copied_rows;
  b.pack = p.b_cs != 1 || narrow || (large && p.m > few) || (p.n >= 64 && p.k >= 64 && p.m >= copied);
  b.mr = four ? 6 : GemmBlocks::mr;
  b.nv = four ? 4 : b.pack ? GemmBlocks::nv : p.m <= 2 ? GemmBlocks::nv_of(p.m) : GemmBlocks::nv;
  b.kc = ceil_div(p.k, max_of<int64_t>(1, ceil_div(p.k, GemmBlocks::max_k)));
  b.nc = large || b.pack ? max_of<int64_t>(1, GemmBlocks::panel_bytes / (b.kc * size) / (b.nv * W)) * b.nv * W : p.n;
  if (large && !b.pack && p.m <= 2 && p.n >= 512) {
    // Rows of B that lie far apart are swept a few at a time over a wide strip, for the sake of TLB and prefetchers.
    b.kc = 8;
    b.nc = 4096;
  }
  b.far = large && !b.pack;
  return b;
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

// A sliver of B of so many vectors.
template <class T>
void pack_columns(int64_t vectors, const T* x, int64_t r_stride, int64_t k_stride, int64_t cols, int64_t k, T* out) {
  constexpr int W = Vec<T>::kSize;
  if (vectors == 1) return pack_sliver<T, W>(x, r_stride, k_stride, cols, k, out);
  if (vectors == 2) return pack_sliver<T, 2 * W>(x, r_stride, k_stride, cols, k, out);
  if constexpr (GemmBlocks::nv > 2) {
    if (vectors == 3) return pack_sliver<T, 3 * W>(x, r_stride, k_stride, cols, k, out);
    pack_sliver<T, 4 * W>(x, r_stride, k_stride, cols, k, out);
  }
}

// Rows [i0, i1) and columns [j0, j1) of C.
template <class T>
void gemm_region(const Product<T>& p, const BlockPlan& plan, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
  constexpr int64_t MR = GemmBlocks::mr, W = Vec<T>::kSize, NR = GemmBlocks::nv * W;
  // Steps of k that lie pages apart would meet in the same sets of L1, and cost a TLB miss each, once per tile.
  const bool copy_a = p.a_cs * static_cast<int64_t>(sizeof(T)) >= 512 && min_of(plan.nc, j1 - j0) > 2 * NR;
  constexpr int64_t kCopiedRows = 1024;
  if (copy_a && i1 - i0 > kCopiedRows) {
    const int64_t middle = i0 + round_up((i1 - i0) / 2, MR);
    gemm_region(p, plan, i0, middle, j0, j1);
    return gemm_region(p, plan, middle, i1, j0, j1);
  }
  const int64_t tiles = ceil_div(i1 - i0, plan.mr);  // of rows, as equal as can be
  const auto row = [&](int64_t t) { return i0 + (i1 - i0) * t / tiles; };
  // Slivers of columns, as equally wide as can be, and panels of about as many slivers each. A last vector of B that
  // lies there in part is copied, filled up with zeros.
  const int64_t whole = plan.pack ? ceil_div(j1 - j0, W) : (j1 - j0) / W, slivers = ceil_div(whole, plan.nv);
  const int64_t all = whole * W < j1 - j0 ? slivers + 1 : slivers;
  const auto column = [&](int64_t s) {
    return s < slivers ? j0 + whole * s / slivers * W : s == all ? j1 : j0 + whole * W;
  };
  const int64_t panels = min_of(all, ceil_div(j1 - j0, plan.nc)), panel = ceil_div(all, panels) * plan.nv * W;
  const ShortScratch<T, (16 << 10) / sizeof(T)> packed(plan.pack       ? plan.kc * min_of(panel, whole * W)
                                                       : all > slivers ? plan.kc * W
                                                                       : 0);
  const int64_t strip = copy_a ? plan.kc * MR + W : 0;  // a tile's rows of A
  const Scratch<T> rows_of_a(tiles * strip);

  int64_t pc = 0;
  do {
    const int64_t kb = min_of(plan.kc, p.k - pc);
    const GemmOut<T> out = kb == p.k ? p.out : out_of_block(p, pc, kb);
    if (copy_a) {
      constexpr int64_t kStepsAtOnce = 32;
      for (int64_t q = 0; q < kb; q += kStepsAtOnce)
        for (int64_t t = 0; t < tiles; ++t)
          pack_sliver<T, MR>(p.a + row(t) * p.a_rs + (pc + q) * p.a_cs, p.a_rs, p.a_cs, row(t + 1) - row(t),
                             min_of(kStepsAtOnce, kb - q), rows_of_a.get() + t * strip + q * MR);
    }
    for (int64_t first = 0, last, panel = 1; panel <= panels; ++panel, first = last) {
      last = all * panel / panels;
      const int64_t jc = column(first);
      for (int64_t t = 0; t < tiles; ++t) {
        const int64_t i = row(t), rows = row(t + 1) - i;
        GemmTileArgs<T> tile{kb, p.a + i * p.a_rs + pc * p.a_cs, nullptr, p.a_rs, p.a_cs, 0, 0, nullptr, 0};
        if (copy_a) tile.a = rows_of_a.get() + t * strip, tile.a_rs = 1, tile.a_cs = MR;
        for (int64_t sliver = first, j = jc, next; sliver < last; ++sliver, j = next) {
          next = column(sliver + 1);
          const int64_t vectors = ceil_div(next - j, W), width = vectors * W;
          tile.cols = next - j;
          const T* source = p.b + pc * p.b_rs + j * p.b_cs;
          if (plan.pack || sliver == slivers) {
            T* const copy = plan.pack ? packed.get() + (j - jc) * kb : packed.get();
            if (t == 0) pack_columns<T>(vectors, source, p.b_cs, p.b_rs, tile.cols, kb, copy);
            tile.b = copy, tile.b_rs = width;
          } else {
            tile.b = source, tile.b_rs = p.b_rs;
          }
          if (plan.far && p.m > 2)
            tile.next = source + 32 * p.b_rs, tile.next_step = p.b_rs;
          else if (plan.pack && t == 0 && p.b_cs == 1)
            tile.next = source + width, tile.next_step = p.b_rs;  // the next sliver's source
          else
            tile.next = nullptr;
          run_gemm_tile(rows, vectors, tile, out, i, j);
        }
      }
    }
    pc += kb;
  } while (pc < p.k);
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
