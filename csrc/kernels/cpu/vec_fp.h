// vec_fp.h -- what the elementary functions of vec_math.h are made of.
#pragma once
#include "kernels/cpu/vec.h"

namespace PYNN_CPU_NAMESPACE {

#ifdef PYNN_HAS_SCALE
constexpr bool kHasScale = true;
#else
constexpr bool kHasScale = false;
#endif

// kExpLow: exp is 0 there. Intel's CPUs take 60 ns for a product or a scale that becomes subnormal, or 0 for being
// smaller still, but none for 0 itself, so what is lower (a mask's -inf) counts as much lower: scale leaves early below
// an exponent of -512 (-4096), and two factors of 2^-127 (2^-1023) are 0 in bits.
template <class T>
struct Fp;
template <>
struct Fp<float> {
  static constexpr int kMantissa = 23, kBias = 127;
  static constexpr float kMagic = 0x1.8p23f;  // x + kMagic - kMagic rounds x, and leaves round(x) in the low bits
  static constexpr float kLeast = 0x1p-126f;  // normal
  static constexpr float kMost = 0x1.fffffep127f;
  static constexpr int32_t kSqrtHalf = 0x3f3504f3;                                      // bits
  static constexpr double kLn2Hi = 0.693145751953125, kLn2Lo = 1.4286068203094173e-06;  // 16 bits, rest
  static constexpr double kExpLow = kHasScale ? -500 : -176, kExpHigh = 90;
};
template <>
struct Fp<double> {
  static constexpr int kMantissa = 52, kBias = 1023;
  static constexpr double kMagic = 0x1.8p52;
  static constexpr double kLeast = 0x1p-1022;
  static constexpr double kMost = 0x1.fffffffffffffp1023;
  static constexpr int64_t kSqrtHalf = 0x3fe6a09e667f3bcd;
  static constexpr double kLn2Hi = 0.6931471806019545, kLn2Lo = -4.2009150726810846e-11;  // 32 bits, rest
  static constexpr double kExpLow = kHasScale ? -4000 : -1418.2, kExpHigh = 711;
};

constexpr double kLog2E = 1.4426950408889634, kLn2 = 0.69314718055994531;

template <class V>
PYNN_INLINE V constant(double x) {
  return V(static_cast<typename V::Lane>(x));
}
// c0 + c1 x + c2 x^2 + ...
template <class V>
PYNN_INLINE V poly(V, double c0) {
  return constant<V>(c0);
}
template <class V, class... C>
PYNN_INLINE V poly(V x, double c0, C... c) {
  return fma(poly(x, c...), x, constant<V>(c0));
}
// The same by even and odd powers, of at least two coefficients: long chains would fill the scheduler with what waits.
template <class V, class... C>
PYNN_INLINE V poly_by_two(V x, C... coefficients) {
  constexpr int n = sizeof...(C);
  const double c[n] = {coefficients...};
  const V square = x * x;
  V even = constant<V>(c[(n - 1) / 2 * 2]), odd = constant<V>(c[n / 2 * 2 - 1]);
#pragma GCC unroll 32
  for (int k = (n - 1) / 2 * 2 - 2; k >= 0; k -= 2) even = fma(even, square, constant<V>(c[k]));
#pragma GCC unroll 32
  for (int k = n / 2 * 2 - 3; k >= 0; k -= 2) odd = fma(odd, square, constant<V>(c[k]));
  return fma(odd, x, even);
}
// The C library's function, lane by lane.
#define PYNN_LIBM(name, T, function)                                                                 \
  PYNN_INLINE Vec<T> name(Vec<T> x) {                                                                \
    return map_lanes(x, [](T v) __attribute__((always_inline)) { return __builtin_##function(v); }); \
  }
#define PYNN_LIBM2(name, T, function)                                                                           \
  PYNN_INLINE Vec<T> name(Vec<T> x, Vec<T> y) {                                                                 \
    return map_lanes(x, y, [](T a, T b) __attribute__((always_inline)) { return __builtin_##function(a, b); }); \
  }
// k >> n of non-negative integers: AVX2 has no arithmetic shift of 64-bit lanes.
template <class T>
PYNN_INLINE Vec<T> shift_down(Vec<T> k, int n) {
  return (typename Vec<T>::Native)((typename Vec<T>::Arith)k.v >> n);
}
// Small non-negative integers in integer lanes as floating-point numbers.
template <class T>
PYNN_INLINE Vec<T> to_float(Vec<typename Vec<T>::Int> k) {
  const Vec<T> base(static_cast<T>(Fp<T>::kMantissa == 23 ? 0x1p23 : 0x1p52));
  return from_bits<T>(k | bits(base)) - base;
}

}  // namespace PYNN_CPU_NAMESPACE
