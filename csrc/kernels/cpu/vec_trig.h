// vec_trig.h -- sin, cos, tan and their inverses. See vec_math.h.
#pragma once
#include "kernels/cpu/vec_fp.h"

namespace PYNN_CPU_NAMESPACE {

// ---- sin, cos

// x = n pi / 2 + r with |r| a little above pi / 4 at most; n modulo 2^32 in integer lanes. |x| < kLimit.
template <class T>
struct Quadrant {
  static constexpr double kLimit = sizeof(T) == 4 ? 0x1p18 : 0x1p19;
  Vec<T> r;
  Vec<typename Vec<T>::Int> n;

  PYNN_INLINE explicit Quadrant(Vec<T> x) {
    using V = Vec<T>;
    const V magic(Fp<T>::kMagic);
    const V t = fma(x, constant<V>(0.6366197723675814), magic);
    const V k = t - magic;
    n = bits(t);
    if constexpr (sizeof(T) == 8) {  // parts of 33 bits: products with k are exact
      r = x - k * constant<V>(1.5707963267341256);
      r = r - k * constant<V>(6.077100506303966e-11);
      r = fnma(k, constant<V>(2.0222662487959506e-21), r);
    } else if constexpr (kHasFma) {
      r = fnma(k, constant<V>(1.5707963705062866), x);
      r = fnma(k, constant<V>(-4.371138828673793e-08), r);
      r = fnma(k, constant<V>(-1.7151245100058819e-15), r);
    } else {
      VecD x0, x1, k0, k1;
      widen(x, x0, x1);
      widen(k, k0, k1);
      const VecD hi(1.5707963267341256), lo(6.077100506303966e-11);
      r = narrow(x0 - k0 * hi - k0 * lo, x1 - k1 * hi - k1 * lo);
    }
  }
};
template <class T>
PYNN_INLINE Vec<T> sin_poly(Vec<T> r) {
  const Vec<T> z = r * r;
  if constexpr (sizeof(T) == 4) return fma(z * r, poly(z, -1.6666651e-01, 8.331894e-03, -1.947979e-04), r);
  return fma(z * r,
             poly(z, -0.16666666666666666, 0.008333333333333312, -0.00019841269841244316, 2.7557319208817506e-06,
                  -2.5052103563927803e-08, 1.60582013435277e-10, -7.570810993271972e-13),
             r);
}
template <class T>
PYNN_INLINE Vec<T> cos_poly(Vec<T> r) {
  using V = Vec<T>;
  const V z = r * r;
  const V head = fnma(constant<V>(0.5), z, V(1));
  V tail;
  if constexpr (sizeof(T) == 4)
    tail = poly(z, 4.1666638e-02, -1.3886994e-03, 2.4396373e-05);
  else
    tail = poly(z, 0.04166666666666654, -0.001388888888886329, 2.480158728278885e-05, -2.755731244797127e-07,
                2.08754691641297e-09, -1.1346764278526246e-11);
  // What the rounding of 1 - z / 2 lost comes back.
  return head + fma(z * z, tail, fnma(constant<V>(0.5), z, V(1) - head));
}
// sin(x + shift pi / 2)
template <class T>
PYNN_INLINE Vec<T> sin_shifted(Vec<T> x, int shift) {
  using I = typename Vec<T>::Int;
  const Quadrant<T> q(x);
  const Vec<I> n = q.n + Vec<I>(shift);
  const Mask<I> odd = (n & Vec<I>(1)) != Vec<I>(0);
  const Vec<T> y = select(Mask<T>{odd.v}, cos_poly(q.r), sin_poly(q.r));
  const Vec<I> sign = (n & Vec<I>(2)) << (8 * sizeof(T) - 2);
  return from_bits<T>(bits(y) ^ sign);
}
PYNN_LIBM(sin_any, float, sinf)
PYNN_LIBM(sin_any, double, sin)
PYNN_LIBM(cos_any, float, cosf)
PYNN_LIBM(cos_any, double, cos)
template <class T>
PYNN_INLINE bool all_below(Vec<T> x, double limit) {  // NaN is not
  return !any(~(abs(x) < constant<Vec<T>>(limit)));
}
template <class T>
PYNN_INLINE Vec<T> sin(Vec<T> x) {
  if (!all_below(x, Quadrant<T>::kLimit)) [[unlikely]]
    return sin_any(x);
  return select(x == Vec<T>(0), x, sin_shifted(x, 0));  // -0
}
template <class T>
PYNN_INLINE Vec<T> cos(Vec<T> x) {
  if (!all_below(x, Quadrant<T>::kLimit)) [[unlikely]]
    return cos_any(x);
  return sin_shifted(x, 1);
}

PYNN_LIBM(tan_any, float, tanf)
PYNN_LIBM(tan_any, double, tan)
template <class T>
PYNN_INLINE Vec<T> tan(Vec<T> x) {
  using V = Vec<T>;
  using I = typename V::Int;
  if (!all_below(x, Quadrant<T>::kLimit)) [[unlikely]]
    return tan_any(x);
  const Quadrant<T> q(x);
  const V s = sin_poly(q.r), c = cos_poly(q.r);
  const Mask<T> odd{((q.n & Vec<I>(1)) != Vec<I>(0)).v};
  return select(x == V(0), x, select(odd, -c, s) / select(odd, s, c));
}

// ---- Inverse functions

// (atan(t) - t) / t for |t| <= 1, z = t^2
PYNN_INLINE VecF atan_tail(VecF z) {
  return z * poly(z, -3.3333328e-01, 1.9999692e-01, -1.428013e-01, 1.1060242e-01, -8.818841e-02, 6.759558e-02,
                  -4.494626e-02, 2.2760198e-02, -7.422576e-03, 1.1348673e-03);
}
// atan(y / x) in the right quadrant, of y / x held as smaller / larger.
PYNN_INLINE VecF atan2(VecF y, VecF x) {
  const VecF a = abs(x), b = abs(y);
  const VecF larger = max(a, b), smaller = min(a, b);
  VecF t = smaller / larger;
  t = select(larger == VecF(0), larger, t);                          // 0 / 0
  t = select((a == b) & (a == VecF(__builtin_inff())), VecF(1), t);  // inf / inf
  VecF r = fma(t, atan_tail(t * t), t);
  r = select(b > a, VecF(1.57079637f) - (r + VecF(4.37113883e-8f)), r);
  r = select(Mask<float>{(bits(x) < Vec<int32_t>(0)).v}, VecF(3.14159274f) - (r + VecF(8.74227766e-8f)),
             r);  // -0 counts as negative
  r = copysign(r, y);
  return select((x != x) | (y != y), x + y, r);
}
PYNN_INLINE VecF atan(VecF x) {
  const VecF a = abs(x);
  const Mask<float> large = a > VecF(1);
  const VecF t = select(large, VecF(1) / a, a);
  VecF r = fma(t, atan_tail(t * t), t);
  r = select(large, VecF(1.57079637f) - (r + VecF(4.37113883e-8f)), r);
  return copysign(r, x);
}
// asin(t) for |t| <= 1/2
PYNN_INLINE VecF asin_inner(VecF t) {
  const VecF z = t * t;
  return fma(z * t, poly(z, 1.6666754e-01, 7.495233e-02, 4.5478333e-02, 2.414101e-02, 4.223054e-02), t);
}
// Beyond 1/2: asin(x) = pi / 2 - 2 asin(sqrt((1 - x) / 2)).
PYNN_INLINE VecF asin(VecF x) {
  const VecF a = abs(x);
  const Mask<float> large = a > VecF(0.5f);
  const VecF t = select(large, sqrt(fnma(VecF(0.5f), a, VecF(0.5f))), a);
  const VecF r = asin_inner(t);
  return copysign(select(large, VecF(1.57079637f) - (r + r + VecF(4.37113883e-8f)), r), x);
}
PYNN_INLINE VecF acos(VecF x) {
  const VecF a = abs(x);
  const Mask<float> large = a > VecF(0.5f);
  const VecF r = asin_inner(select(large, sqrt(fnma(VecF(0.5f), a, VecF(0.5f))), x));
  const VecF outer = select(x < VecF(0), VecF(3.14159274f) - (r + r + VecF(8.74227766e-8f)), r + r);
  return select(large, outer, VecF(1.57079637f) - (r + VecF(4.37113883e-8f)));
}
PYNN_LIBM(asin, double, asin)
PYNN_LIBM(acos, double, acos)
PYNN_LIBM(atan, double, atan)
PYNN_LIBM2(atan2, double, atan2)

}  // namespace PYNN_CPU_NAMESPACE
