// gemm_split.h -- one thread's share of a product of float32 by AMX (split.h): blocks of 32 x 32 of C.
//
//   for each panel of rows (columns), for each block of k:
//     for each 32 columns (rows), split:   for each 32 of the panel: a block
//
// The shorter side of C makes the panel, which stays split in L2; the other one passes by in pieces that stay near.
// Sums wait in C where they can. A block whose operands do not split is computed by FMAs.
#pragma once
#include "kernels/cpu/gemm_block.h"
#include "kernels/cpu/gemm_regions.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu_features.h"

#ifdef PYNN_VEC_DOT

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kSplitSteps = 12;       // of k in a block
constexpr int64_t kSplitPanel = 1 << 20;  // bytes
constexpr int64_t kSplitRows = 2048;      // of C at a time, for what waits elsewhere

// 32 rows of A or columns of B at a time: element (r, k) at r * r_stride + k * k_stride.
struct SplitSide {
  const float* x;
  int64_t r_stride, k_stride, count;
  bool of_a;

  int64_t rows(int64_t r) const { return min_of(kAmxSize, count - r); }
  void split(int64_t r, int64_t k0, int64_t k, int32_t* to, Magnitude& seen) const {
    const float* const from = x + r * r_stride + k0 * k_stride;
    of_a ? split_steps<true>(from, r_stride, k_stride, rows(r), k, to, seen)
         : split_steps<false>(from, r_stride, k_stride, rows(r), k, to, seen);
  }
};

// Rows [i0, i1) and columns [j0, j1) of C.
inline void split_region(const Product<float>& p, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
  using V = Vec<float>;
  constexpr int64_t S = kAmxSize, K = kSplitK;
  const SplitSide a{p.a + i0 * p.a_rs, p.a_rs, p.a_cs, i1 - i0, true};
  const SplitSide b{p.b + j0 * p.b_cs, p.b_cs, p.b_rs, j1 - j0, false};
  const bool few_rows = a.count <= 128 && 2 * a.count <= b.count;
  const SplitSide &panel = few_rows ? a : b, &other = few_rows ? b : a;
  const int64_t steps = ceil_div(p.k, K), block = ceil_div(steps, ceil_div(steps, kSplitSteps));
  const int64_t piece = block * kSplitStep;  // words
  const int64_t most = min_of(ceil_div(panel.count, S), max_of<int64_t>(1, kSplitPanel / 4 / piece));
  const int64_t others = ceil_div(other.count, S);
  const bool plain = p.out.alpha == 1 && !p.out.bias && !p.out.relu, sums_in_c = p.out.c_cs == 1 && p.out.beta == 0;
  const Scratch<int32_t> parts((most + 1) * piece);
  // Sums that wait between blocks of k, and not in C: all, or those of the last, partial rows and columns.
  const Scratch<float> sums((steps <= block ? 1 : sums_in_c ? most + others : most * others) * S * S);
  const auto place = [&](int64_t l, int64_t o) {
    return steps <= block ? 0 : !sums_in_c ? o * most + l : other.rows(o * S) < S ? l : most + o;
  };
  const Scratch<Magnitude> seen(most + others);
  int32_t* const near = parts.get() + most * piece;
  alignas(kAmxLine) float of_block[S * S];
  const AmxRegisters registers;
  for (int64_t first = 0; first < panel.count; first += most * S) {
    const int64_t width = min_of(most, ceil_div(panel.count - first, S));
    for (int64_t l = 0; l < most + others; ++l) seen[l] = Magnitude();
    for (int64_t s = 0; s < steps; s += block) {
      const int64_t k = min_of(block * K, p.k - s * K), n = ceil_div(k, K);
      for (int64_t l = 0; l < width; ++l) panel.split(first + l * S, s * K, k, parts.get() + l * piece, seen[l]);
      for (int64_t o = 0; o < others; ++o) {
        other.split(o * S, s * K, k, near, seen[most + o]);
        for (int64_t l = 0; l < width; ++l) {
          const int32_t* const far = parts.get() + l * piece;
          const int64_t r = panel.of_a ? first + l * S : o * S, c = panel.of_a ? o * S : first + l * S;
          const int64_t i = i0 + r, j = j0 + c, rows = a.rows(r), cols = b.rows(c);
          const bool in_place = sums_in_c && rows == S && cols == S;
          float* const sum = in_place ? p.out.c + i * p.out.c_rs + j : sums.get() + place(l, o) * S * S;
          const int64_t step = in_place ? p.out.c_rs : S;  // of a row of sums
          const auto multiply = rows > S / 2 ? split_block<true> : split_block<false>;
          const auto multiply_to = [&](float* to, int64_t row) {
            multiply(panel.of_a ? far : near, panel.of_a ? near : far, n, reinterpret_cast<char*>(to), 4 * row);
          };
          if (s == 0) {
            multiply_to(sum, step);
          } else {  // blocks of k are summed up on their own: long chains of roundings lose digits
            multiply_to(of_block, S);
            for (int64_t y = 0; y < rows; ++y)
              for (int64_t x = 0; x < S; x += V::kSize)
                (V::load(sum + y * step + x) + V::load(of_block + y * S + x)).store(sum + y * step + x);
          }
          if (s + block < steps) continue;
          if (!splits(seen[l].most(), seen[most + o].most())) {
            gemm_region(p, plan_of(p), i, i + rows, j, j + cols);
          } else if (!in_place) {
            store_tile(p.out, i, j, reinterpret_cast<const V*>(sum), static_cast<int>(rows), S / V::kSize, cols);
          } else if (!plain) {
            for (int64_t y = 0; y < S; ++y)
              for (int64_t x = 0; x < S; x += V::kSize)
                store_vector(p.out, i + y, j + x, V::load(sum + y * step + x), V::kSize);
          }
        }
      }
    }
  }
}

// Nanoseconds on one thread, roughly: of a step of a block, and of splitting 32 rows or columns for it.
constexpr double kBlockNs = 160, kAlongNs = 220, kAcrossNs = 250;

// The choice may not depend on the number of threads, so it has some room for what they split each for themselves.
inline bool takes_split(const Product<float>& p) {
  if (p.m <= 16 || p.n <= 16 || !cpu_features().amx_bf16) return false;
  const auto rows = static_cast<double>(ceil_div(p.m, 16)) / 2, columns = static_cast<double>(ceil_div(p.n, kAmxSize));
  const double of_a = p.a_cs == 1 ? kAlongNs : kAcrossNs, of_b = p.b_cs == 1 ? kAlongNs : kAcrossNs;
  const double step = rows * columns * kBlockNs + rows * of_a + columns * of_b;
  const double fma = 0.0118 * multiply_adds(p.m, round_up(p.n, Vec<float>::kSize), p.k);
  // FMAs want a copy of a B that lies across memory, or does not fit L2 and so is slow to read for both.
  const bool large = multiply_adds(4, p.n, p.k) > (1 << 20);
  const double copy = (large ? 0.25 : p.b_cs == 1 ? 0 : 0.08) * multiply_adds(1, p.n, p.k);
  return 1.15 * static_cast<double>(ceil_div(p.k, kSplitK)) * step + 2500 < fma + copy;
}

inline void gemm_split(const Product<float>& p) {
  const double of_a = p.a_cs == 1 ? kAlongNs : kAcrossNs, of_b = p.b_cs == 1 ? kAlongNs : kAcrossNs;
  const int64_t steps = ceil_div(p.k, kSplitK) * static_cast<int64_t>(kBlockNs / kVectorNs);
  for_regions<kAmxSize>(ceil_div(p.m, kAmxSize), p.n, steps, of_a / kBlockNs + kAmxSize * row_cost<float>(p.n, steps),
                        of_b / kBlockNs, [&](int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
                          const int64_t end = min_of(i1 * kAmxSize, p.m);
                          for (int64_t i = i0 * kAmxSize; i < end; i += kSplitRows)
                            split_region(p, i, min_of(i + kSplitRows, end), j0, j1);
                        });
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
#endif
