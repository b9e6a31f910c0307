// vec_avx2.h -- AVX2, FMA and F16C. Include vec.h, not this.
#pragma once
#include <immintrin.h>

namespace PYNN_CPU_NAMESPACE::native {

PYNN_INLINE __m256i first_lanes32(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
PYNN_INLINE __m256i first_lanes64(int n) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
PYNN_INLINE F32 load_tail(const float* p, int n, F32) { return _mm256_maskload_ps(p, first_lanes32(n)); }
PYNN_INLINE F64 load_tail(const double* p, int n, F64) { return _mm256_maskload_pd(p, first_lanes64(n)); }
PYNN_INLINE I32 load_tail(const int32_t* p, int n, I32) { return (I32)_mm256_maskload_epi32(p, first_lanes32(n)); }
PYNN_INLINE I64 load_tail(const int64_t* p, int n, I64) {
  return (I64)_mm256_maskload_epi64(reinterpret_cast<const long long*>(p), first_lanes64(n));
}

// By pieces: masked stores are microcoded on several generations of AMD.
PYNN_INLINE void store_tail(float* p, int n, F32 v) {
  __m128 x = _mm256_castps256_ps128(v);
  if (n >= 4) {
    _mm_storeu_ps(p, x);
    x = _mm256_extractf128_ps(v, 1);
    p += 4;
  }
  if (n & 2) {
    _mm_storel_pi(reinterpret_cast<__m64*>(p), x);
    x = _mm_movehl_ps(x, x);
    p += 2;
  }
  if (n & 1) _mm_store_ss(p, x);
}
PYNN_INLINE void store_tail(double* p, int n, F64 v) {
  __m128d x = _mm256_castpd256_pd128(v);
  if (n >= 2) {
    _mm_storeu_pd(p, x);
    x = _mm256_extractf128_pd(v, 1);
    p += 2;
  }
  if (n & 1) _mm_store_sd(p, x);
}
PYNN_INLINE void store_tail(int32_t* p, int n, I32 v) { store_tail(reinterpret_cast<float*>(p), n, (F32)v); }
PYNN_INLINE void store_tail(int64_t* p, int n, I64 v) { store_tail(reinterpret_cast<double*>(p), n, (F64)v); }

PYNN_INLINE F32 select(I32 m, F32 a, F32 b) { return _mm256_blendv_ps(b, a, (__m256)m); }
PYNN_INLINE F64 select(I64 m, F64 a, F64 b) { return _mm256_blendv_pd(b, a, (__m256d)m); }
PYNN_INLINE I32 select(I32 m, I32 a, I32 b) { return (I32)_mm256_blendv_epi8((__m256i)b, (__m256i)a, (__m256i)m); }
PYNN_INLINE I64 select(I64 m, I64 a, I64 b) { return (I64)_mm256_blendv_epi8((__m256i)b, (__m256i)a, (__m256i)m); }
PYNN_INLINE bool any(I32 m) { return _mm256_movemask_epi8((__m256i)m) != 0; }
PYNN_INLINE bool any(I64 m) { return _mm256_movemask_epi8((__m256i)m) != 0; }

PYNN_INLINE F32 fma(F32 a, F32 b, F32 c) { return _mm256_fmadd_ps(a, b, c); }
PYNN_INLINE F64 fma(F64 a, F64 b, F64 c) { return _mm256_fmadd_pd(a, b, c); }
PYNN_INLINE F32 fnma(F32 a, F32 b, F32 c) { return _mm256_fnmadd_ps(a, b, c); }
PYNN_INLINE F64 fnma(F64 a, F64 b, F64 c) { return _mm256_fnmadd_pd(a, b, c); }
PYNN_INLINE F32 min(F32 a, F32 b) { return _mm256_min_ps(a, b); }
PYNN_INLINE F64 min(F64 a, F64 b) { return _mm256_min_pd(a, b); }
PYNN_INLINE F32 max(F32 a, F32 b) { return _mm256_max_ps(a, b); }
PYNN_INLINE F64 max(F64 a, F64 b) { return _mm256_max_pd(a, b); }
PYNN_INLINE F32 sqrt(F32 x) { return _mm256_sqrt_ps(x); }
PYNN_INLINE F64 sqrt(F64 x) { return _mm256_sqrt_pd(x); }
PYNN_INLINE F32 round(F32 x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
PYNN_INLINE F64 round(F64 x) { return _mm256_round_pd(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
PYNN_INLINE F32 floor(F32 x) { return _mm256_floor_ps(x); }
PYNN_INLINE F64 floor(F64 x) { return _mm256_floor_pd(x); }
PYNN_INLINE F32 ceil(F32 x) { return _mm256_ceil_ps(x); }
PYNN_INLINE F64 ceil(F64 x) { return _mm256_ceil_pd(x); }
PYNN_INLINE F32 trunc(F32 x) { return _mm256_round_ps(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
PYNN_INLINE F64 trunc(F64 x) { return _mm256_round_pd(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }

PYNN_INLINE I32 dot_words(I32 acc, I32 x, I32 y) {
  return (I32)_mm256_add_epi32((__m256i)acc, _mm256_madd_epi16((__m256i)x, (__m256i)y));
}

PYNN_INLINE F32 permute(F32 x, I32 at) { return _mm256_permutevar8x32_ps(x, (__m256i)at); }

PYNN_INLINE void widen(F32 x, F64& lo, F64& hi) {
  lo = _mm256_cvtps_pd(_mm256_castps256_ps128(x));
  hi = _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
}
PYNN_INLINE F32 narrow(F64 lo, F64 hi) { return _mm256_set_m128(_mm256_cvtpd_ps(hi), _mm256_cvtpd_ps(lo)); }

// Lanes of 0 or -1 as bytes of 0 or 1.
PYNN_INLINE __m128i mask_bytes(__m128i lo, __m128i hi) {
  const __m128i words = _mm_packs_epi32(lo, hi);
  return _mm_abs_epi8(_mm_packs_epi16(words, words));
}
PYNN_INLINE I32 load_bool(const bool* p, I32) {
  return (I32)_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))) != I32{};
}
PYNN_INLINE I64 load_bool(const bool* p, I64) { return (I64)_mm256_cvtepi8_epi64(_mm_loadu_si32(p)) != I64{}; }
PYNN_INLINE void store_bool(bool* p, I32 m) {
  const __m128i lo = _mm256_castsi256_si128((__m256i)m), hi = _mm256_extracti128_si256((__m256i)m, 1);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), mask_bytes(lo, hi));
}
PYNN_INLINE void store_bool(bool* p, I64 m) {
  const __m128i lo = _mm256_castsi256_si128((__m256i)m), hi = _mm256_extracti128_si256((__m256i)m, 1);
  const __m128i even = _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(lo), _mm_castsi128_ps(hi), 0x88));
  const int bytes = _mm_cvtsi128_si32(mask_bytes(even, even));
  __builtin_memcpy(p, &bytes, 4);
}

// Eight numbers as int32, a float or double that it cannot hold as its least value; and int32 as numbers, of which
// narrower integers take the low bits.
PYNN_INLINE __m128i load_bits(const void* p, int bytes) {
  return bytes == 8 ? _mm_loadl_epi64(static_cast<const __m128i*>(p)) : _mm_loadu_si128(static_cast<const __m128i*>(p));
}
PYNN_INLINE I32 load_int32(const uint8_t* p) { return (I32)_mm256_cvtepu8_epi32(load_bits(p, 8)); }
PYNN_INLINE I32 load_int32(const int8_t* p) { return (I32)_mm256_cvtepi8_epi32(load_bits(p, 8)); }
PYNN_INLINE I32 load_int32(const int16_t* p) { return (I32)_mm256_cvtepi16_epi32(load_bits(p, 16)); }
PYNN_INLINE I32 load_int32(const int32_t* p) { return (I32)_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
PYNN_INLINE I32 load_int32(const float* p) { return (I32)_mm256_cvttps_epi32(_mm256_loadu_ps(p)); }
PYNN_INLINE I32 load_int32(const double* p) {
  return (I32)_mm256_set_m128i(_mm256_cvttpd_epi32(_mm256_loadu_pd(p + 4)), _mm256_cvttpd_epi32(_mm256_loadu_pd(p)));
}
PYNN_INLINE __m128i low_half(I32 v) { return _mm256_castsi256_si128((__m256i)v); }
PYNN_INLINE __m128i high_half(I32 v) { return _mm256_extracti128_si256((__m256i)v, 1); }
PYNN_INLINE void store_int32(int32_t* p, I32 v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), (__m256i)v); }
PYNN_INLINE void store_int32(float* p, I32 v) { _mm256_storeu_ps(p, _mm256_cvtepi32_ps((__m256i)v)); }
PYNN_INLINE void store_int32(double* p, I32 v) {
  _mm256_storeu_pd(p, _mm256_cvtepi32_pd(low_half(v)));
  _mm256_storeu_pd(p + 4, _mm256_cvtepi32_pd(high_half(v)));
}
PYNN_INLINE void store_int32(int64_t* p, I32 v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_cvtepi32_epi64(low_half(v)));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 4), _mm256_cvtepi32_epi64(high_half(v)));
}
PYNN_INLINE void store_int32(int16_t* p, I32 v) {
  const __m128i words = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm_unpacklo_epi64(_mm_shuffle_epi8(low_half(v), words), _mm_shuffle_epi8(high_half(v), words)));
}
PYNN_INLINE void store_int32(uint8_t* p, I32 v) {
  const __m128i bytes = _mm_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p),
                   _mm_unpacklo_epi32(_mm_shuffle_epi8(low_half(v), bytes), _mm_shuffle_epi8(high_half(v), bytes)));
}
PYNN_INLINE void store_int32(int8_t* p, I32 v) { store_int32(reinterpret_cast<uint8_t*>(p), v); }

PYNN_INLINE F32 load_half(const Half* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
PYNN_INLINE void store_half(Half* p, F32 x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}
PYNN_INLINE F32 load_half(const BFloat16* p) {
  const __m128i h = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return (F32)_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16);
}
PYNN_INLINE void store_half(BFloat16* p, F32 x) {
  const __m256i u = (__m256i)x;
  const __m256i even = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
  const __m256i bias = _mm256_add_epi32(even, _mm256_set1_epi32(0x7fff));
  const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(u, bias), 16);
  const __m256i nan = (__m256i)_mm256_cmp_ps(x, x, _CMP_UNORD_Q);
  const __m256i r = _mm256_blendv_epi8(rounded, _mm256_set1_epi32(0x7fc0), nan);
  const __m128i h = _mm_packus_epi32(_mm256_castsi256_si128(r), _mm256_extracti128_si256(r, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), h);
}

}  // namespace PYNN_CPU_NAMESPACE::native
