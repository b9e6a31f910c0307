// vec_avx512.h -- AVX-512 F, BW, DQ and VL. Include vec.h, not this.
#pragma once
#include <immintrin.h>

// GCC's own _mm512_undefined_ps() trips its own warning (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace PYNN_CPU_NAMESPACE::native {

PYNN_INLINE __mmask16 first_lanes32(int n) { return static_cast<__mmask16>((1u << n) - 1); }
PYNN_INLINE __mmask8 first_lanes64(int n) { return static_cast<__mmask8>((1u << n) - 1); }
PYNN_INLINE F32 load_tail(const float* p, int n, F32) { return _mm512_maskz_loadu_ps(first_lanes32(n), p); }
PYNN_INLINE F64 load_tail(const double* p, int n, F64) { return _mm512_maskz_loadu_pd(first_lanes64(n), p); }
PYNN_INLINE I32 load_tail(const int32_t* p, int n, I32) { return (I32)_mm512_maskz_loadu_epi32(first_lanes32(n), p); }
PYNN_INLINE I64 load_tail(const int64_t* p, int n, I64) { return (I64)_mm512_maskz_loadu_epi64(first_lanes64(n), p); }
PYNN_INLINE void store_tail(float* p, int n, F32 v) { _mm512_mask_storeu_ps(p, first_lanes32(n), v); }
PYNN_INLINE void store_tail(double* p, int n, F64 v) { _mm512_mask_storeu_pd(p, first_lanes64(n), v); }
PYNN_INLINE void store_tail(int32_t* p, int n, I32 v) { _mm512_mask_storeu_epi32(p, first_lanes32(n), (__m512i)v); }
PYNN_INLINE void store_tail(int64_t* p, int n, I64 v) { _mm512_mask_storeu_epi64(p, first_lanes64(n), (__m512i)v); }

// The compiler joins a comparison and the ?: that uses it into one mask register.
PYNN_INLINE F32 select(I32 m, F32 a, F32 b) { return m ? a : b; }
PYNN_INLINE F64 select(I64 m, F64 a, F64 b) { return m ? a : b; }
PYNN_INLINE I32 select(I32 m, I32 a, I32 b) { return m ? a : b; }
PYNN_INLINE I64 select(I64 m, I64 a, I64 b) { return m ? a : b; }
PYNN_INLINE bool any(I32 m) { return _mm512_movepi32_mask((__m512i)m) != 0; }
PYNN_INLINE bool any(I64 m) { return _mm512_movepi64_mask((__m512i)m) != 0; }
PYNN_INLINE bool all_within(F32 x, F32 low, F32 high) {
  return _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(x, low, _CMP_GE_OQ), x, high, _CMP_LE_OQ) == 0xffff;
}
PYNN_INLINE bool all_within(F64 x, F64 low, F64 high) {
  return _mm512_mask_cmp_pd_mask(_mm512_cmp_pd_mask(x, low, _CMP_GE_OQ), x, high, _CMP_LE_OQ) == 0xff;
}

PYNN_INLINE F32 fma(F32 a, F32 b, F32 c) { return _mm512_fmadd_ps(a, b, c); }
PYNN_INLINE F64 fma(F64 a, F64 b, F64 c) { return _mm512_fmadd_pd(a, b, c); }
PYNN_INLINE F32 fnma(F32 a, F32 b, F32 c) { return _mm512_fnmadd_ps(a, b, c); }
PYNN_INLINE F64 fnma(F64 a, F64 b, F64 c) { return _mm512_fnmadd_pd(a, b, c); }
PYNN_INLINE F32 min(F32 a, F32 b) { return _mm512_min_ps(a, b); }
PYNN_INLINE F64 min(F64 a, F64 b) { return _mm512_min_pd(a, b); }
PYNN_INLINE F32 max(F32 a, F32 b) { return _mm512_max_ps(a, b); }
PYNN_INLINE F64 max(F64 a, F64 b) { return _mm512_max_pd(a, b); }
// The instruction's own results in a third to a half of its time, by Markstein's iteration from an estimate to 2^-13 or
// better; below 2^-100 its remainder would underflow. Checked over all arguments.
PYNN_INLINE F32 sqrt(F32 x) {
  if (!all_within(x, splat<F32>(0x1p-100f), splat<F32>(0x1.fffffep127f))) [[unlikely]]
    return _mm512_sqrt_ps(x);
  const F32 y = _mm512_rsqrt14_ps(x), half = splat<F32>(0.5f);
  const F32 s = x * y, h = y * half, e = fnma(s, h, half), near = fma(s, e, s);
  return fma(fnma(near, near, x), fma(h, e, h), near);
}
PYNN_INLINE F32 quotient(F32 a, F32 b) {
  const F32 y = _mm512_rcp14_ps(b), q = a * y;
  return fma(fnma(b, q, a), y, q);
}
PYNN_INLINE F64 sqrt(F64 x) { return _mm512_sqrt_pd(x); }
PYNN_INLINE F32 round(F32 x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
PYNN_INLINE F64 round(F64 x) { return _mm512_roundscale_pd(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
PYNN_INLINE F32 floor(F32 x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
PYNN_INLINE F64 floor(F64 x) { return _mm512_roundscale_pd(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
PYNN_INLINE F32 ceil(F32 x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
PYNN_INLINE F64 ceil(F64 x) { return _mm512_roundscale_pd(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
PYNN_INLINE F32 trunc(F32 x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
PYNN_INLINE F64 trunc(F64 x) { return _mm512_roundscale_pd(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }

// x * 2^k for integral k, rounded once.
#define PYNN_HAS_SCALE 1
PYNN_INLINE F32 scale(F32 x, F32 k) { return _mm512_scalef_ps(x, k); }
PYNN_INLINE F64 scale(F64 x, F64 k) { return _mm512_scalef_pd(x, k); }

// table[i % 32], table[i % 16]
#define PYNN_HAS_LOOKUP 1
PYNN_INLINE F32 lookup(const float (&table)[32], I32 i) {
  return _mm512_permutex2var_ps(_mm512_load_ps(table), (__m512i)i, _mm512_load_ps(table + 16));
}
PYNN_INLINE F64 lookup(const double (&table)[16], I64 i) {
  return _mm512_permutex2var_pd(_mm512_load_pd(table), (__m512i)i, _mm512_load_pd(table + 8));
}

PYNN_INLINE F32 permute(F32 x, I32 at) { return _mm512_permutexvar_ps((__m512i)at, x); }
PYNN_INLINE F64 permute(F64 x, I64 at) { return _mm512_permutexvar_pd((__m512i)at, x); }
PYNN_INLINE I64 permute(I64 x, I64 at) { return (I64)_mm512_permutexvar_epi64((__m512i)at, (__m512i)x); }

#define PYNN_HAS_GATHER 1
PYNN_INLINE F32 gather(const float* p, I32 at) { return _mm512_i32gather_ps((__m512i)at, p, 4); }
PYNN_INLINE F64 gather(const double* p, I64 at) { return _mm512_i64gather_pd((__m512i)at, p, 8); }
PYNN_INLINE I32 gather(const int32_t* p, I32 at) { return (I32)_mm512_i32gather_epi32((__m512i)at, p, 4); }
PYNN_INLINE I64 gather(const int64_t* p, I64 at) { return (I64)_mm512_i64gather_epi64((__m512i)at, p, 8); }

PYNN_INLINE I32 dot_words(I32 acc, I32 x, I32 y) {
  return (I32)_mm512_add_epi32((__m512i)acc, _mm512_madd_epi16((__m512i)x, (__m512i)y));
}

PYNN_INLINE void widen(F32 x, F64& lo, F64& hi) {
  lo = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
  hi = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
}
PYNN_INLINE F32 narrow(F64 lo, F64 hi) {
  return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(lo)), _mm512_cvtpd_ps(hi), 1);
}
PYNN_INLINE I32 load_bool(const bool* p, I32) {
  return (I32)_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))) != I32{};
}
PYNN_INLINE I64 load_bool(const bool* p, I64) {
  return (I64)_mm512_cvtepi8_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))) != I64{};
}
PYNN_INLINE void store_bool(bool* p, I32 m) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_maskz_set1_epi8(_mm512_movepi32_mask((__m512i)m), 1));
}
PYNN_INLINE void store_bool(bool* p, I64 m) {
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_maskz_set1_epi8(_mm512_movepi64_mask((__m512i)m), 1));
}

PYNN_INLINE F32 load_half(const Half* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
PYNN_INLINE void store_half(Half* p, F32 x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}
PYNN_INLINE F32 load_half(const BFloat16* p) {
  const __m256i h = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return (F32)_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16);
}
PYNN_INLINE void store_half(BFloat16* p, F32 x) {
  const __m512i u = (__m512i)x;
  const __m512i even = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  const __m512i bias = _mm512_add_epi32(even, _mm512_set1_epi32(0x7fff));
  const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(u, bias), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  const __m512i r = _mm512_mask_mov_epi32(rounded, nan, _mm512_set1_epi32(0x7fc0));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(r));
}

}  // namespace PYNN_CPU_NAMESPACE::native
