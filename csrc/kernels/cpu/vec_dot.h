// vec_dot.h -- sums of products of neighbours; on bfloat16 and bytes as one instruction, AVX512-BF16 and AVX512-VNNI.
//
//   acc[l] += x[l][0] * y[l][0] + x[l][1] * y[l][1] (+ ...),   x[l], y[l] the elements in 32 bits of a register
//
// Those two are not part of the avx512 build's flags, as many CPUs with AVX-512 lack them: ask cpu_features() first.
// Written as assembly, so that no compiler uses them elsewhere.
#pragma once
#include "kernels/cpu/vec.h"

namespace PYNN_CPU_NAMESPACE {

// Pairs of int16.
PYNN_INLINE Vec<int32_t> dot_words(Vec<int32_t> acc, Vec<int32_t> x, Vec<int32_t> y) {
  return native::dot_words(acc.v, x.v, y.v);
}

}  // namespace PYNN_CPU_NAMESPACE

#if defined(PYNN_ISA_AVX512) && (defined(__GNUC__) || defined(__clang__))
#define PYNN_VEC_DOT 1

namespace PYNN_CPU_NAMESPACE {

// Pairs of bfloat16; subnormal numbers count as 0.
PYNN_INLINE Vec<float> dot_pairs(Vec<float> acc, Vec<int32_t> x, Vec<int32_t> y) {
  asm("vdpbf16ps %2, %1, %0" : "+v"(acc.v) : "v"(x.v), "v"(y.v));
  return acc;
}
// Two vectors as bfloat16, rounded to nearest even; subnormal numbers become 0.
PYNN_INLINE void store_pairs(BFloat16* to, Vec<float> low, Vec<float> high) {
  Vec<float> both;
  asm("vcvtne2ps2bf16 %1, %2, %0" : "=v"(both.v) : "v"(low.v), "v"(high.v));
  __builtin_memcpy(static_cast<void*>(to), &both.v, sizeof both.v);
}
PYNN_INLINE void store_rounded(BFloat16* to, Vec<float> x) {
  typedef int16_t Half __attribute__((vector_size(PYNN_VEC_BYTES / 2)));
  Half half;
  asm("vcvtneps2bf16 %1, %0" : "=v"(half) : "v"(x.v));
  __builtin_memcpy(static_cast<void*>(to), &half, sizeof half);
}
// Lane l: those of both vectors' lanes l.
PYNN_INLINE Vec<int32_t> pairs_of(Vec<float> first, Vec<float> second) {
  typedef int16_t Words __attribute__((vector_size(PYNN_VEC_BYTES)));
  Words both;
  asm("vcvtne2ps2bf16 %1, %2, %0" : "=v"(both) : "v"(first.v), "v"(second.v));
  return (Vec<int32_t>::Native)__builtin_shufflevector(both, both, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7,
                                                       23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                                       31);
}
// Groups of four bytes: x without sign, y with it.
PYNN_INLINE Vec<int32_t> dot_quads(Vec<int32_t> acc, Vec<int32_t> x, Vec<int32_t> y) {
  asm("vpdpbusd %2, %1, %0" : "+v"(acc.v) : "v"(x.v), "v"(y.v));
  return acc;
}

}  // namespace PYNN_CPU_NAMESPACE
#endif
