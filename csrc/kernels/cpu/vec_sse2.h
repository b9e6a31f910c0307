// vec_sse2.h -- plain x86-64: SSE2 and nothing later. Include vec.h, not this.
#pragma once
#include <emmintrin.h>

namespace PYNN_CPU_NAMESPACE::native {

PYNN_INLINE bool any(I32 m) { return _mm_movemask_epi8((__m128i)m) != 0; }
PYNN_INLINE bool any(I64 m) { return _mm_movemask_epi8((__m128i)m) != 0; }
PYNN_INLINE F32 min(F32 a, F32 b) { return _mm_min_ps(a, b); }
PYNN_INLINE F64 min(F64 a, F64 b) { return _mm_min_pd(a, b); }
PYNN_INLINE F32 max(F32 a, F32 b) { return _mm_max_ps(a, b); }
PYNN_INLINE F64 max(F64 a, F64 b) { return _mm_max_pd(a, b); }
PYNN_INLINE F32 sqrt(F32 x) { return _mm_sqrt_ps(x); }
PYNN_INLINE F64 sqrt(F64 x) { return _mm_sqrt_pd(x); }

PYNN_INLINE I32 dot_words(I32 acc, I32 x, I32 y) {
  return (I32)_mm_add_epi32((__m128i)acc, _mm_madd_epi16((__m128i)x, (__m128i)y));
}

PYNN_INLINE void widen(F32 x, F64& lo, F64& hi) {
  lo = _mm_cvtps_pd(x);
  hi = _mm_cvtps_pd(_mm_movehl_ps(x, x));
}
PYNN_INLINE F32 narrow(F64 lo, F64 hi) { return _mm_movelh_ps(_mm_cvtpd_ps(lo), _mm_cvtpd_ps(hi)); }

// Lanes of 0 or -1 as bytes of 0 or 1, four of them in the low 32 bits.
PYNN_INLINE int mask_bytes(__m128i m) {
  const __m128i words = _mm_packs_epi32(m, m);
  return _mm_cvtsi128_si32(_mm_packs_epi16(words, words)) & 0x01010101;
}
PYNN_INLINE void store_bool(bool* p, I32 m) {
  const int bytes = mask_bytes((__m128i)m);
  __builtin_memcpy(p, &bytes, 4);
}
PYNN_INLINE void store_bool(bool* p, I64 m) {
  const int bytes = mask_bytes(_mm_shuffle_epi32((__m128i)m, 0x88));
  __builtin_memcpy(p, &bytes, 2);
}

}  // namespace PYNN_CPU_NAMESPACE::native
