// convolution_amx.h -- what the convolutions of bfloat16 by AMX have in common: pixels by AMX's registers (gemm_amx.h).
#pragma once
#include "kernels/cpu/convolution_paths.h"
#include "kernels/cpu/convolution_strip.h"
#include "kernels/cpu/gemm_amx.h"
#include "kernels/cpu/unfold.h"
#include "kernels/cpu_features.h"

#ifdef PYNN_VEC_DOT

namespace PYNN_CPU_NAMESPACE {
namespace {

PYNN_INLINE bool fits_amx(const ConvArgs& a) {
  const ConvGeometry& g = a.g;
  const bool plane = g.in[0] == 1 && g.out[0] == 1 && g.kernel[0] == 1 && g.pad[0] == 0;
  return a.dtype == DType::BFloat16 && cpu_features().amx_bf16 && plane && (a.ci > 1 || a.groups == 1);
}

// Pairs {x[i], y[i]} for i < 16, of which n >= 1 are there to be read.
PYNN_INLINE Vec<int32_t> pairs(const BFloat16* x, const BFloat16* y, int64_t n) {
  return zip_groups<Bf16Pairs>(x, y - x, n);
}
// The same without y, whose place zeros take.
PYNN_INLINE Vec<int32_t> pairs(const BFloat16* x, int64_t n) {
  typedef uint32_t Words __attribute__((vector_size(kWords * 4)));
  return Vec<int32_t>::Native(widened<uint16_t, Words>(x, n));
}

// f(i, words) for i < n, word p < both of which is the pair {x[p * step + i], x[p * step + pair + i]}, p < some only
// the first of these, and the rest 0. Up to `end` x may be read.
template <class F>
PYNN_INLINE void for_transposed_pairs(const BFloat16* x, int64_t step, int64_t pair, int64_t both, int64_t some,
                                      int64_t n, const BFloat16* end, F f) {
  for (int64_t i = 0; i < n; i += kWords) {
    Vec<int32_t> v[kWords];
    const BFloat16* const from = x + i;
    if (both == kWords && from + (kWords - 1) * step + pair + kWords <= end) [[likely]] {
#pragma GCC unroll 16
      for (int64_t p = 0; p < kWords; ++p) v[p] = pairs(from + p * step, from + p * step + pair, kWords);
    } else {
      for (int64_t p = 0; p < kWords; ++p) {
        const BFloat16* const row = from + p * step;
        v[p] = p < both   ? pairs(row, row + pair, min_of<int64_t>(kWords, end - row - pair))
               : p < some ? pairs(row, min_of<int64_t>(kWords, end - row))
                          : Vec<int32_t>(0);
      }
    }
    transpose(v);
    const int64_t m = min_of(kWords, n - i);
    for (int64_t l = 0; l < m; ++l) f(i + l, v[l]);
  }
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
#endif
