// vec.h -- Vec<T>: one SIMD register of float, double or an integer, as wide as this ISA build has them.
//
//   ISA       baseline  neon  avx2  avx512
//   bytes           16    16    32      64
//
// Arithmetic is the compiler's vector extension; what that lacks stands in vec_generic.h in portable form, and
// vec_<isa>.h overrides it with intrinsics, which appear nowhere else. Tails: load(p, n) and store(p, n) touch the
// first n elements only, so a loop needs no scalar remainder. Everything is forced inline and lives in the namespace
// of the ISA (docs/notes/isa-dispatch.md).
#pragma once
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "core/half.h"
#include "kernels/stub.h"

// A caller is always of the same build as what it calls, so vectors may travel in registers of any width.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

#if defined(PYNN_ISA_AVX512)
#define PYNN_VEC_BYTES 64
#elif defined(PYNN_ISA_AVX2)
#define PYNN_VEC_BYTES 32
#else
#define PYNN_VEC_BYTES 16
#endif

namespace PYNN_CPU_NAMESPACE {

typedef float F32 __attribute__((vector_size(PYNN_VEC_BYTES)));
typedef double F64 __attribute__((vector_size(PYNN_VEC_BYTES)));
typedef int32_t I32 __attribute__((vector_size(PYNN_VEC_BYTES)));
typedef int64_t I64 __attribute__((vector_size(PYNN_VEC_BYTES)));
typedef int8_t I8 __attribute__((vector_size(PYNN_VEC_BYTES)));
typedef int16_t I16 __attribute__((vector_size(PYNN_VEC_BYTES)));
typedef uint8_t U8 __attribute__((vector_size(PYNN_VEC_BYTES)));
typedef uint16_t U16 __attribute__((vector_size(PYNN_VEC_BYTES)));
typedef uint32_t U32 __attribute__((vector_size(PYNN_VEC_BYTES)));
typedef uint64_t U64 __attribute__((vector_size(PYNN_VEC_BYTES)));

// Arith: the type to add and multiply in, because integers wrap around. Int: the integer as wide as a lane.
template <class T>
struct VecTypes;
#define PYNN_VEC_TYPES(T, native, arith, integer) \
  template <>                                     \
  struct VecTypes<T> {                            \
    using Native = native;                        \
    using Arith = arith;                          \
    using Int = integer;                          \
  };
PYNN_VEC_TYPES(float, F32, F32, int32_t)
PYNN_VEC_TYPES(double, F64, F64, int64_t)
PYNN_VEC_TYPES(int8_t, I8, U8, int8_t)
PYNN_VEC_TYPES(uint8_t, U8, U8, int8_t)
PYNN_VEC_TYPES(int16_t, I16, U16, int16_t)
PYNN_VEC_TYPES(int32_t, I32, U32, int32_t)
PYNN_VEC_TYPES(int64_t, I64, U64, int64_t)
#undef PYNN_VEC_TYPES

}  // namespace PYNN_CPU_NAMESPACE

#include "kernels/cpu/vec_generic.h"
#if defined(PYNN_ISA_AVX512)
#include "kernels/cpu/vec_avx512.h"
#elif defined(PYNN_ISA_AVX2)
#include "kernels/cpu/vec_avx2.h"
#elif defined(__SSE2__)
#include "kernels/cpu/vec_sse2.h"
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include "kernels/cpu/vec_neon.h"
#endif

namespace PYNN_CPU_NAMESPACE {

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
constexpr bool kHasFma = true;
#else
constexpr bool kHasFma = false;
#endif

// All ones or all zeros in each lane of a Vec<T>.
template <class T>
struct Mask {
  using Native = typename VecTypes<typename VecTypes<T>::Int>::Native;
  Native v;
  PYNN_INLINE friend Mask operator&(Mask a, Mask b) { return {a.v & b.v}; }
  PYNN_INLINE friend Mask operator|(Mask a, Mask b) { return {a.v | b.v}; }
  PYNN_INLINE friend Mask operator^(Mask a, Mask b) { return {a.v ^ b.v}; }
  PYNN_INLINE friend Mask operator~(Mask a) { return {~a.v}; }
};

template <class T>
struct Vec {
  using Lane = T;
  using Int = typename VecTypes<T>::Int;
  using Native = typename VecTypes<T>::Native;
  using Arith = typename VecTypes<T>::Arith;
  static constexpr int kSize = PYNN_VEC_BYTES / sizeof(T);

  Native v;

  Vec() = default;
  PYNN_INLINE Vec(Native native) : v(native) {}
  PYNN_INLINE Vec(T x) : v(native::splat<Native>(x)) {}

  PYNN_INLINE static Vec load(const T* p) {
    Vec r;
    __builtin_memcpy(&r.v, p, sizeof(Native));
    return r;
  }
  // The first n <= kSize elements; the other lanes are 0.
  PYNN_INLINE static Vec load(const T* p, int64_t n) {
    return n >= kSize ? load(p) : Vec(native::load_tail(p, static_cast<int>(n), Native{}));
  }
  PYNN_INLINE void store(T* p) const { __builtin_memcpy(p, &v, sizeof(Native)); }
  PYNN_INLINE void store(T* p, int64_t n) const {
    if (n >= kSize)
      store(p);
    else
      native::store_tail(p, static_cast<int>(n), v);
  }
  // {start, start + 1, ...}
  PYNN_INLINE static Vec iota(T start) {
    Vec r;
    for (int i = 0; i < kSize; ++i) r.v[i] = static_cast<T>(i);
    return r + Vec(start);
  }
  PYNN_INLINE T operator[](int i) const { return v[i]; }

  PYNN_INLINE friend Vec operator+(Vec a, Vec b) { return (Native)((Arith)a.v + (Arith)b.v); }
  PYNN_INLINE friend Vec operator-(Vec a, Vec b) { return (Native)((Arith)a.v - (Arith)b.v); }
  PYNN_INLINE friend Vec operator*(Vec a, Vec b) { return (Native)((Arith)a.v * (Arith)b.v); }
  PYNN_INLINE friend Vec operator/(Vec a, Vec b) { return a.v / b.v; }
  PYNN_INLINE friend Vec operator-(Vec a) { return (Native)(-(Arith)a.v); }
  PYNN_INLINE Vec& operator+=(Vec b) { return *this = *this + b; }
  PYNN_INLINE Vec& operator-=(Vec b) { return *this = *this - b; }
  PYNN_INLINE Vec& operator*=(Vec b) { return *this = *this * b; }

  PYNN_INLINE friend Mask<T> operator<(Vec a, Vec b) { return {(typename Mask<T>::Native)(a.v < b.v)}; }
  PYNN_INLINE friend Mask<T> operator<=(Vec a, Vec b) { return {(typename Mask<T>::Native)(a.v <= b.v)}; }
  PYNN_INLINE friend Mask<T> operator>(Vec a, Vec b) { return {(typename Mask<T>::Native)(a.v > b.v)}; }
  PYNN_INLINE friend Mask<T> operator>=(Vec a, Vec b) { return {(typename Mask<T>::Native)(a.v >= b.v)}; }
  PYNN_INLINE friend Mask<T> operator==(Vec a, Vec b) { return {(typename Mask<T>::Native)(a.v == b.v)}; }
  PYNN_INLINE friend Mask<T> operator!=(Vec a, Vec b) { return {(typename Mask<T>::Native)(a.v != b.v)}; }
};

using VecF = Vec<float>;
using VecD = Vec<double>;

// Bits as integers of the same width, and back.
template <class T>
PYNN_INLINE Vec<typename Vec<T>::Int> bits(Vec<T> x) {
  return (typename VecTypes<typename Vec<T>::Int>::Native)x.v;
}
template <class T>
PYNN_INLINE Vec<T> from_bits(Vec<typename Vec<T>::Int> x) {
  return (typename Vec<T>::Native)x.v;
}

// Integer bit operations.
#define PYNN_VEC_BITS(T)                                                 \
  PYNN_INLINE Vec<T> operator&(Vec<T> a, Vec<T> b) { return a.v & b.v; } \
  PYNN_INLINE Vec<T> operator|(Vec<T> a, Vec<T> b) { return a.v | b.v; } \
  PYNN_INLINE Vec<T> operator^(Vec<T> a, Vec<T> b) { return a.v ^ b.v; } \
  PYNN_INLINE Vec<T> operator~(Vec<T> a) { return ~a.v; }                \
  PYNN_INLINE Vec<T> operator<<(Vec<T> a, int n) {                       \
    return (typename Vec<T>::Native)((typename Vec<T>::Arith)a.v << n);  \
  }                                                                      \
  PYNN_INLINE Vec<T> operator>>(Vec<T> a, int n) { return a.v >> n; }
PYNN_VEC_BITS(int8_t)
PYNN_VEC_BITS(uint8_t)
PYNN_VEC_BITS(int16_t)
PYNN_VEC_BITS(int32_t)
PYNN_VEC_BITS(int64_t)
#undef PYNN_VEC_BITS

template <class T>
PYNN_INLINE Vec<T> select(Mask<T> m, Vec<T> a, Vec<T> b) {
  return native::select(m.v, a.v, b.v);
}
template <class T>
PYNN_INLINE bool any(Mask<T> m) {
  return native::any(m.v);
}
template <class T>
PYNN_INLINE bool all(Mask<T> m) {
  return !any(~m);
}
// Whether low <= x <= high in all lanes.
template <class T>
PYNN_INLINE bool all_within(Vec<T> x, T low, T high) {
  return native::all_within(x.v, native::splat<typename Vec<T>::Native>(low),
                            native::splat<typename Vec<T>::Native>(high));
}

// a * b + c, rounded once where the ISA has FMA; fnma: c - a * b.
template <class T>
PYNN_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
  if constexpr (std::is_integral_v<T>)
    return a * b + c;
  else
    return native::fma(a.v, b.v, c.v);
}
template <class T>
PYNN_INLINE Vec<T> fnma(Vec<T> a, Vec<T> b, Vec<T> c) {
  if constexpr (std::is_integral_v<T>)
    return c - a * b;
  else
    return native::fnma(a.v, b.v, c.v);
}
// The second operand where either is NaN.
template <class T>
PYNN_INLINE Vec<T> min(Vec<T> a, Vec<T> b) {
  return native::min(a.v, b.v);
}
template <class T>
PYNN_INLINE Vec<T> max(Vec<T> a, Vec<T> b) {
  return native::max(a.v, b.v);
}
// NaN where either is NaN.
template <class T>
PYNN_INLINE Vec<T> minimum(Vec<T> a, Vec<T> b) {
  return select(a != a, a, min(a, b));
}
template <class T>
PYNN_INLINE Vec<T> maximum(Vec<T> a, Vec<T> b) {
  return select(a != a, a, max(a, b));
}

template <class T>
PYNN_INLINE Vec<T> abs(Vec<T> x) {
  if constexpr (!std::is_integral_v<T>)
    return from_bits<T>(bits(x) & ~bits(Vec<T>(T(-0.0))));
  else
    return select(x < Vec<T>(0), -x, x);
}
template <class T>
PYNN_INLINE Vec<T> copysign(Vec<T> magnitude, Vec<T> sign) {
  const auto bit = bits(Vec<T>(T(-0.0)));
  return from_bits<T>((bits(magnitude) & ~bit) | (bits(sign) & bit));
}
template <class T>
PYNN_INLINE Vec<T> sqrt(Vec<T> x) {
  return native::sqrt(x.v);
}
template <class T>
PYNN_INLINE Vec<T> round(Vec<T> x) {  // half to even
  return native::round(x.v);
}
template <class T>
PYNN_INLINE Vec<T> floor(Vec<T> x) {
  return native::floor(x.v);
}
template <class T>
PYNN_INLINE Vec<T> ceil(Vec<T> x) {
  return native::ceil(x.v);
}
template <class T>
PYNN_INLINE Vec<T> trunc(Vec<T> x) {
  return native::trunc(x.v);
}

// a / b to 1 ULP, for a normal b whose reciprocal is normal; others give anything. In the time of a few multiplications
// where a division takes many more.
template <class T>
PYNN_INLINE Vec<T> quotient(Vec<T> a, Vec<T> b) {
  return native::quotient(a.v, b.v);
}

// Lane i is x's lane at[i], which must be one.
template <class T>
PYNN_INLINE Vec<T> permute(Vec<T> x, Vec<typename Vec<T>::Int> at) {
  return native::permute(x.v, at.v);
}

// p[at[i]] in lane i; worth it where there is an instruction.
#ifdef PYNN_HAS_GATHER
constexpr bool kHasGather = true;
#else
constexpr bool kHasGather = false;
#endif
template <class T>
PYNN_INLINE Vec<T> gather(const T* p, Vec<typename Vec<T>::Int> at) {
#ifdef PYNN_HAS_GATHER
  return native::gather(p, at.v);
#else
  Vec<T> r;
  for (int i = 0; i < Vec<T>::kSize; ++i) r.v[i] = p[at.v[i]];
  return r;
#endif
}

// Reductions, as a tree that depends on the ISA's width alone.
template <class T>
PYNN_INLINE T reduce_add(Vec<T> x) {
  return native::reduce(x.v, [](auto a, auto b) __attribute__((always_inline)) { return a + b; });
}
template <class T>
PYNN_INLINE T reduce_mul(Vec<T> x) {
  return native::reduce(x.v, [](auto a, auto b) __attribute__((always_inline)) { return a * b; });
}
template <class T>
PYNN_INLINE T reduce_min(Vec<T> x) {  // of lanes without NaN
  return native::reduce(x.v, [](auto a, auto b) __attribute__((always_inline)) { return a < b ? a : b; });
}
template <class T>
PYNN_INLINE T reduce_max(Vec<T> x) {
  return native::reduce(x.v, [](auto a, auto b) __attribute__((always_inline)) { return a > b ? a : b; });
}

// float lanes [0, n/2) and [n/2, n) as two registers of doubles, and back.
PYNN_INLINE void widen(VecF x, VecD& lo, VecD& hi) { native::widen(x.v, lo.v, hi.v); }
PYNN_INLINE VecF narrow(VecD lo, VecD hi) { return native::narrow(lo.v, hi.v); }

// kSize bytes, and each lane as the byte 0 or 1.
template <class T>
PYNN_INLINE Mask<T> load_bool(const bool* p) {
  return {native::load_bool(p, typename Mask<T>::Native{})};
}
template <class T>
PYNN_INLINE void store_bool(bool* p, Mask<T> m) {
  native::store_bool(p, m.v);
}
template <class T>
PYNN_INLINE void store_bool(bool* p, Mask<T> m, int64_t n) {
  if (n >= Vec<T>::kSize) return store_bool(p, m);
  bool all[Vec<T>::kSize];
  native::store_bool(all, m.v);
  for (int64_t i = 0; i < n; ++i) p[i] = all[i];
}

// Storage types and the type that their arithmetic happens in: half types are loaded as, and stored from, float.
template <class S>
struct WideOf {
  using type = S;
};
template <>
struct WideOf<Half> {
  using type = float;
};
template <>
struct WideOf<BFloat16> {
  using type = float;
};
template <class S>
using Wide = typename WideOf<S>::type;
template <class S>
constexpr bool kIsHalf = !std::is_same_v<Wide<S>, S>;

template <class S>
PYNN_INLINE Vec<Wide<S>> load_wide(const S* p) {
  if constexpr (kIsHalf<S>)
    return native::load_half(p);
  else
    return Vec<S>::load(p);
}
template <class S>
PYNN_INLINE void store_wide(S* p, Vec<Wide<S>> x) {
  if constexpr (kIsHalf<S>)
    native::store_half(p, x.v);
  else
    x.store(p);
}
template <class S>
PYNN_INLINE Vec<Wide<S>> load_wide(const S* p, int64_t n) {
  if constexpr (kIsHalf<S>) {
    if (n >= VecF::kSize) return native::load_half(p);
    S all[VecF::kSize];
    __builtin_memset(static_cast<void*>(all), 0, sizeof all);
    for (int64_t i = 0; i < n; ++i) all[i].bits = p[i].bits;
    return native::load_half(all);
  } else {
    return Vec<S>::load(p, n);
  }
}
template <class S>
PYNN_INLINE void store_wide(S* p, Vec<Wide<S>> x, int64_t n) {
  if constexpr (kIsHalf<S>) {
    if (n >= VecF::kSize) return native::store_half(p, x.v);
    S all[VecF::kSize];
    native::store_half(all, x.v);
    for (int64_t i = 0; i < n; ++i) p[i].bits = all[i].bits;
  } else {
    x.store(p, n);
  }
}

// f applied lane by lane; for the few functions or arguments that have no vector form.
template <class T, class F>
PYNN_INLINE Vec<T> map_lanes(Vec<T> x, F f) {
  Vec<T> r;
  for (int i = 0; i < Vec<T>::kSize; ++i) r.v[i] = f(x.v[i]);
  return r;
}
template <class T, class F>
PYNN_INLINE Vec<T> map_lanes(Vec<T> x, Vec<T> y, F f) {
  Vec<T> r;
  for (int i = 0; i < Vec<T>::kSize; ++i) r.v[i] = f(x.v[i], y.v[i]);
  return r;
}

}  // namespace PYNN_CPU_NAMESPACE
