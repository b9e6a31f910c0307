// convolution_amx.h -- what the convolutions by AMX have in common: pixels by AMX's registers (gemm_amx.h) of bfloat16,
// or of three parts of float32 (split.h).
#pragma once
#include "kernels/cpu/convolution_paths.h"
#include "kernels/cpu/convolution_strip.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/unfold.h"
#include "kernels/cpu_features.h"

#ifdef PYNN_VEC_DOT

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class T>
constexpr int64_t kPartsOf = sizeof(T) == 4 ? 3 : 1;

PYNN_INLINE bool fits_amx(const ConvArgs& a) {
  const ConvGeometry& g = a.g;
  const bool plane = g.in[0] == 1 && g.out[0] == 1 && g.kernel[0] == 1 && g.pad[0] == 0;
  return a.dtype != DType::Float16 && cpu_features().amx_bf16 && plane && (a.ci > 1 || a.groups == 1);
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
// the first of these, and the rest 0. Up to `end` x may be read. Words of part q are words[q * kWords].
template <class F>
PYNN_INLINE void for_transposed_pairs(const BFloat16* x, int64_t step, int64_t pair, int64_t both, int64_t some,
                                      int64_t n, const BFloat16* end, Magnitude&, F f) {
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
    for (int64_t l = 0; l < m; ++l) f(i + l, v + l);
  }
}
template <class F>
PYNN_INLINE void for_transposed_pairs(const float* x, int64_t step, int64_t pair, int64_t both, int64_t some, int64_t n,
                                      const float*, Magnitude& seen, F f) {
  Vec<int32_t> v[3 * kWords];
  for (int64_t i = 0; i < n; i += kWords) {
    const int64_t m = min_of(kWords, n - i);
    for (int64_t p = 0; p < kWords; ++p) {
      const float* const row = x + i + p * step;
      __builtin_prefetch(row + 2 * kWords);
      __builtin_prefetch(row + pair + 2 * kWords);
      const VecF first = p < some ? VecF::load(row, m) : VecF(0.0f);
      const VecF second = p < both ? VecF::load(row + pair, m) : VecF(0.0f);
      Vec<int32_t> words[3];
      seen.see(first, second);
      split(first, second, words);
#pragma GCC unroll 3
      for (int64_t part = 0; part < 3; ++part) v[part * kWords + p] = words[part];
    }
    for (int64_t part = 0; part < 3; ++part) transpose(v + part * kWords);
    for (int64_t l = 0; l < m; ++l) f(i + l, v + l);
  }
}

// The same of up to kWide terms next to each other, which pixels `step` apart hold.
template <class F>
PYNN_INLINE void for_pixel_pairs(const float* x, int64_t step, int64_t terms, int64_t n, Magnitude& seen, F f) {
  Vec<int32_t> v[3 * kWords];
  for (int64_t i = 0; i < n; ++i, x += step) {
    const VecF low = VecF::load(x, terms), high = terms > kLanes ? VecF::load(x + kLanes, terms - kLanes) : VecF(0.0f);
    Vec<int32_t> words[3];
    seen.see(low, high);
    split(every_second<0>(low, high), every_second<1>(low, high), words);
#pragma GCC unroll 3
    for (int64_t part = 0; part < 3; ++part) v[part * kWords] = words[part];
    f(i, v);
  }
}

struct AmxStep {
  int64_t a, b;  // offsets in bytes
};

// sums[i, v] (+)= sum over steps of a[i, k] b[k, v] for 32 (kLower: else 16) rows, a_row bytes apart, by 32 channels.
template <class T, bool kLower>
void conv_amx_block(const AmxStep* steps, int64_t count, const char* a, int64_t a_row, int64_t a_part, const char* b,
                    int64_t b_part, char* sums, int64_t sums_row, bool first) {
  constexpr int64_t b_row = 4 * kAmxSize;
  const int64_t lower = 16 * a_row;
  begin_sums<kLower>(sums, sums_row, first);
  for (const AmxStep* s = steps; s < steps + count; ++s) {
    const char *const x = a + s->a, *const w = b + s->b;
    keep_awake();
    split_step_products<kPartsOf<T>, kLower>(x, a_row, lower, a_part, w, b_row, kAmxLine, b_part);
  }
  end_sums<kLower>(sums, sums_row);
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
#endif
