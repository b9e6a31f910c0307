// convolution_winograd_split.h -- the 36 products of Winograd's convolution by AMX (split.h): of V, tiles are rows of A.
//
// A word joins channels (tiles, for the gradient of the weight) 16 apart, so both V and U are split as they lie.
#pragma once
#include "kernels/cpu/convolution_amx.h"
#include "kernels/cpu/convolution_winograd.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

#ifdef PYNN_VEC_DOT

// Whether few enough of the terms of a step are padding.
PYNN_INLINE bool winograd_splits(int64_t terms) {
  return cpu_features().amx_bf16 && 3 * terms >= 2 * round_up(terms, kSplitK);
}

// Line i < n of three parts, to_step words from each other: first[i * step] joined with second[i * step].
PYNN_INLINE void split_lines(const float* first, const float* second, int64_t step, int64_t n, int32_t* to,
                             int64_t to_step, int64_t part, Magnitude& seen) {
  for (int64_t i = 0; i < n; ++i) {
    const VecF x = VecF::load(first + i * step), y = VecF::load(second + i * step);
    Vec<int32_t> words[3];
    seen.see(x), seen.see(y);
    split(x, y, words);
    for (int64_t q = 0; q < 3; ++q) words[q].store(to + i * to_step + q * part);
  }
}

#endif

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
