// gemm_split.h -- one thread's share of a product of float32 by AMX (split.h): blocks of 32 x 32 of C.
//
//   for each panel of columns, for each block of k:   for each 32 rows of A:   for each 32 columns: a block
//
// B's panel lies split in L2; the rows of A, in L1. A block whose operands do not split is computed by FMAs.
#pragma once
#include "kernels/cpu/gemm_block.h"
#include "kernels/cpu/gemm_regions.h"
#include "kernels/cpu/split.h"

#ifdef PYNN_VEC_DOT

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kSplitSteps = 16;       // of k in a block
constexpr int64_t kSplitPanel = 1 << 20;  // bytes of B

inline void split_region(const Product<float>& p, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
  constexpr int64_t S = kAmxSize, K = kSplitK;
  const int64_t steps = ceil_div(p.k, K), block = ceil_div(steps, ceil_div(steps, kSplitSteps));
  const int64_t sliver = block * kSplitStep;
  const int64_t nc = min_of(round_up(j1 - j0, S), max_of<int64_t>(S, kSplitPanel / 4 / sliver * S));
  const int64_t strips = ceil_div(i1 - i0, S), slivers = nc / S;
  const bool plain = p.out.c_cs == 1 && p.out.alpha == 1 && p.out.beta == 0 && !p.out.bias && !p.out.relu;
  const Scratch<int32_t> columns(slivers * sliver), rows_of_a(sliver);
  const Scratch<float> sums(steps > block ? strips * S * nc : S * S);
  const Scratch<Magnitude> of_a(strips), of_b(slivers);
  const AmxRegisters registers;
  for (int64_t jc = j0; jc < j1; jc += nc) {
    const int64_t nb = min_of(nc, j1 - jc);
    for (int64_t i = 0; i < strips; ++i) of_a[i] = Magnitude();
    for (int64_t j = 0; j < slivers; ++j) of_b[j] = Magnitude();
    for (int64_t s = 0; s < steps; s += block) {
      const int64_t k = min_of(block * K, p.k - s * K), n = ceil_div(k, K);
      for (int64_t j = 0; j < nb; j += S)
        split_steps<false>(p.b + s * K * p.b_rs + (jc + j) * p.b_cs, p.b_cs, p.b_rs, min_of(S, nb - j), k,
                           columns.get() + j / S * sliver, of_b[j / S]);
      for (int64_t i = i0; i < i1; i += S) {
        const int64_t rows = min_of(S, i1 - i);
        Magnitude& most = of_a[(i - i0) / S];
        split_steps<true>(p.a + i * p.a_rs + s * K * p.a_cs, p.a_rs, p.a_cs, rows, k, rows_of_a.get(), most);
        for (int64_t j = 0; j < nb; j += S) {
          const int64_t cols = min_of(S, nb - j);
          const bool in_place = plain && rows == S && cols == S;
          float* const sum =
              in_place ? p.out.c + i * p.out.c_rs + jc + j : sums.get() + (steps > block ? (i - i0) * nc + j * S : 0);
          (rows > S / 2 ? split_block<true> : split_block<false>)(rows_of_a.get(), columns.get() + j / S * sliver, n,
                                                                  reinterpret_cast<char*>(sum),
                                                                  4 * (in_place ? p.out.c_rs : S), s == 0);
          if (s + block < steps) continue;
          if (!splits(most.most(), of_b[j / S].most()))
            gemm_region(p, plan_of(p), i, i + rows, jc + j, jc + j + cols);
          else if (!in_place)
            store_tile(p.out, i, jc + j, reinterpret_cast<const Vec<float>*>(sum), static_cast<int>(rows), S / kWords,
                       cols);
        }
      }
    }
  }
}

inline void gemm_split(const Product<float>& p) {
  for_regions<kAmxSize>(ceil_div(p.m, kAmxSize), p.n, ceil_div(p.k, kSplitK) * 600, 0.1, 0.2,
                        [&](int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
                          split_region(p, i0 * kAmxSize, min_of(i1 * kAmxSize, p.m), j0, j1);
                        });
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
#endif
