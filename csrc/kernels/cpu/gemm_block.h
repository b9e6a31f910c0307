// gemm_block.h -- one thread's share of a product: a region of C, in panels of B that stay in L2.
//
//   for each panel of columns, for each block of k:   for each MR rows of A:   for each sliver of B:   a tile
//
// A is read where it lies, each element broadcast, unless steps of k lie lines apart (x.T @ y): then MR rows are copied
// for all their tiles, a few tiles' rows at a time, so that a line of A is fetched once. B is read where it lies if its
// rows are contiguous and all of it fits L2, or few rows of A ask for it, else each sliver is copied just before its
// first tile. A panel's slivers are as equally wide as can be. While the first tile of a sliver
// is computed, the next sliver's source is fetched. A region shares nothing with others, so that no thread waits for
// another.
#pragma once
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
  return {p.n, p.m, p.k, p.b, p.a, p.b_cs, p.b_rs, p.a_cs, p.a_rs, transposed(p.out)};
}

// How a whole product is cut; its sizes alone decide, so that each thread cuts the sums alike.
struct BlockPlan {
  int64_t kc, nc;  // rows and columns of a panel
  int64_t nv;      // vectors of a tile's row
  bool pack;       // B is copied
  bool far;        // B is read from memory, in steps that no prefetcher follows
};

template <class T>
BlockPlan plan_of(const Product<T>& p) {
  constexpr int64_t W = Vec<T>::kSize, size = sizeof(T), fits = GemmBlocks::panel_bytes * 5 / 4;
  BlockPlan b{};
  // Rows of B that lie pages apart meet in few sets of L2, too: they are fetched anew for each tile of rows.
  const int64_t few = p.b_rs * size % 4096 == 0 ? 3 * GemmBlocks::mr : 8 * GemmBlocks::mr;
  const bool large = p.k * p.n * size > fits;
  // A row of less than a tile's width with a part of a vector at its end makes one tile if it is copied.
  const bool narrow = p.k > 0 && p.n % W != 0 && p.n > W && p.n < GemmBlocks::nv * W && p.m > GemmBlocks::mr;
  b.pack = p.b_cs != 1 || narrow || (large && p.m > few);
  b.nv = b.pack ? GemmBlocks::nv : GemmBlocks::nv_of(p.m);
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
  static_assert(GemmBlocks::nv <= 3);
  if (vectors == 1) return pack_sliver<T, W>(x, r_stride, k_stride, cols, k, out);
  if (vectors == 2) return pack_sliver<T, 2 * W>(x, r_stride, k_stride, cols, k, out);
  pack_sliver<T, GemmBlocks::nv * W>(x, r_stride, k_stride, cols, k, out);
}

// Rows [i0, i1) and columns [j0, j1) of C.
template <class T>
void gemm_region(const Product<T>& p, const BlockPlan& plan, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
  constexpr int64_t MR = GemmBlocks::mr, W = Vec<T>::kSize, NR = GemmBlocks::nv * W;
  const int64_t tiles = ceil_div(i1 - i0, MR);  // of rows, as equal as can be
  const auto row = [&](int64_t t) { return i0 + (i1 - i0) * t / tiles; };
  const int64_t panel = round_up(min_of(plan.nc, j1 - j0), W);
  const ShortScratch<T, (16 << 10) / sizeof(T)> packed(plan.pack ? plan.kc * panel : j1 % W ? plan.kc * W : 0);
  // Steps of k that lie pages apart would meet in the same sets of L1, and cost a TLB miss each, once per tile.
  const bool copy_a = p.a_cs * static_cast<int64_t>(sizeof(T)) >= 512 && panel > 2 * NR;
  constexpr int64_t kStrips = 8, kStepsAtOnce = 32;  // copied: rows of A of so many tiles, whose source stays in L1
  const int64_t strip = copy_a ? plan.kc * MR + W : 0;
  const Scratch<T> rows_of_a(strip * min_of(kStrips, tiles));
  const auto copy_strips = [&](int64_t first, int64_t pc, int64_t kb) {
    for (int64_t q = 0; q < kb; q += kStepsAtOnce)
      for (int64_t t = first; t < min_of(first + kStrips, tiles); ++t)
        pack_sliver<T, MR>(p.a + row(t) * p.a_rs + (pc + q) * p.a_cs, p.a_rs, p.a_cs, row(t + 1) - row(t),
                           min_of(kStepsAtOnce, kb - q), rows_of_a.get() + (t - first) * strip + q * MR);
  };

  for (int64_t jc = j0; jc < j1; jc += plan.nc) {
    const int64_t nb = min_of(plan.nc, j1 - jc);
    const int64_t whole = plan.pack ? ceil_div(nb, W) : nb / W, slivers = ceil_div(whole, plan.nv);
    int64_t pc = 0;
    do {
      const int64_t kb = min_of(plan.kc, p.k - pc);
      const GemmOut<T> out = kb == p.k ? p.out : out_of_block(p, pc, kb);
      const T* b = p.b + pc * p.b_rs + jc * p.b_cs;
      for (int64_t t = 0; t < tiles; ++t) {
        const int64_t i = row(t), rows = row(t + 1) - i;
        GemmTileArgs<T> tile{kb, p.a + i * p.a_rs + pc * p.a_cs, nullptr, p.a_rs, p.a_cs, 0, 0, nullptr, 0};
        if (copy_a) {
          if (t % kStrips == 0) copy_strips(t, pc, kb);
          tile.a = rows_of_a.get() + t % kStrips * strip, tile.a_rs = 1, tile.a_cs = MR;
        }
        for (int64_t sliver = 0, j = 0, width; j < nb; j += width, ++sliver) {
          // A last vector of B that lies there in part is copied, filled up with zeros.
          const bool copy_b = plan.pack || sliver == slivers;
          const int64_t vectors = sliver == slivers ? 1 : whole * (sliver + 1) / slivers - whole * sliver / slivers;
          width = vectors * W;
          tile.cols = min_of(width, nb - j);
          const T* source = b + j * p.b_cs;
          if (copy_b) {
            T* const copy = plan.pack ? packed.get() + j * kb : packed.get();
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
          run_gemm_tile(rows, vectors, tile, out, i, jc + j);
        }
      }
      pc += kb;
    } while (pc < p.k);
  }
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
