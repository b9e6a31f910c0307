// vec_trig.h -- sin, cos, tan and their inverses. See vec_math.h.
#pragma once
#include "kernels/cpu/vec_fp.h"

namespace PYNN_CPU_NAMESPACE {

// ---- sin, cos

// x = n pi / 2 + r + rest with |r| a little above pi / 4 at most; n modulo 2^32 in integer lanes. |x| < kLimit.
template <class T>
struct Quadrant {
  static constexpr double kLimit = sizeof(T) == 4 ? 0x1p18 : 0x1p19;
  Vec<T> r, rest;
  Vec<typename Vec<T>::Int> n;

  PYNN_INLINE explicit Quadrant(Vec<T> x) {
    using V = Vec<T>;
    const V magic(Fp<T>::kMagic);
    const V t = fma(x, constant<V>(0.6366197723675814), magic);
    const V k = t - magic;
    n = bits(t);
    if constexpr (kHasFma) {  // the product with the first part is exact
      constexpr bool small = sizeof(T) == 4;
      const V middle = constant<V>(small ? -4.371138828673793e-08 : 6.077100506506192e-11);
      const V last = constant<V>(small ? -1.7151245100058819e-15 : 3.5215598651832e-27);
      const V most = fnma(k, constant<V>(small ? 1.5707963705062866 : 1.5707963267341256), x);
      r = fnma(k, last, fnma(k, middle, most));
      const V product = k * middle, sum = most - product;
      rest = (sum - r) + fnma(k, last, ((most - sum) - product) + fnma(k, middle, product));
    } else if constexpr (sizeof(T) == 8) {  // parts of 33 bits: products with k are exact
      const V middle = k * constant<V>(6.077100506303966e-11), most = x - k * constant<V>(1.5707963267341256);
      const V sum = most - middle, lost = (most - sum) - middle - k * constant<V>(2.0222662487959506e-21);
      r = sum + lost;
      rest = (sum - r) + lost;
    } else {
      VecD x0, x1, k0, k1, r0, r1;
      widen(x, x0, x1);
      widen(k, k0, k1);
      const VecD hi(1.5707963267341256), lo(6.077100506303966e-11);
      x0 = x0 - k0 * hi - k0 * lo, x1 = x1 - k1 * hi - k1 * lo;
      r = narrow(x0, x1);
      widen(r, r0, r1);
      rest = narrow(x0 - r0, x1 - r1);
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
// (tan(r) - r) / r^3, z = r^2
PYNN_INLINE VecF tan_tail(VecF z) {
  return poly(z, 0.33333352, 0.13332568, 0.054071527, 0.021219037, 0.011006199, -0.00013360394, 0.00448939);
}
PYNN_INLINE VecD tan_tail(VecD z) {
  const VecD z2 = z * z;  // as two sums, since one would wait for each of its terms
  return fma(z,
             poly(z2, 0.13333333333325692, 0.02186948840460263, 0.0035921017899224286, 0.0005888972512931346,
                  8.385851475975902e-05, -2.4941069581052722e-05, -2.3986445537075248e-05),
             poly(z2, 0.3333333333333338, 0.053968253972711704, 0.008863237836109445, 0.0014560390389371197,
                  0.00024363422619963295, 6.667527356731365e-05, 4.805657268249311e-05, 9.734959463786363e-06));
}
template <class T>
PYNN_INLINE Vec<T> tan(Vec<T> x) {
  using V = Vec<T>;
  using I = typename V::Int;
  if (!all_below(x, Quadrant<T>::kLimit)) [[unlikely]]
    return tan_any(x);
  const Quadrant<T> q(x);
  const V z = q.r * q.r;
  // The derivative at `rest` is about 1 + 3 / 2 z.
  const V t = q.r + fma(z * q.r, tan_tail(z), fma(z, constant<V>(1.5) * q.rest, q.rest));
  const Mask<T> odd{((q.n & Vec<I>(1)) != Vec<I>(0)).v};
  return select(odd, V(-1) / t, select(x == V(0), x, t));
}

// ---- Inverse functions

// pi / 2 as a T and what it lacks
template <class T>
constexpr T kHalfPi = static_cast<T>(1.57079632679489661923);
template <class T>
constexpr T kHalfPiRest = static_cast<T>(sizeof(T) == 4 ? -4.37113882867e-8 : 6.12323399573676604e-17);

// (atan(t) - t) / t, z = t^2; float: |t| <= 1, double: |t| <= 1/2
PYNN_INLINE VecF atan_tail(VecF z) {
  return z * poly(z, -3.3333328e-01, 1.9999692e-01, -1.428013e-01, 1.1060242e-01, -8.818841e-02, 6.759558e-02,
                  -4.494626e-02, 2.2760198e-02, -7.422576e-03, 1.1348673e-03);
}
PYNN_INLINE VecD atan_tail(VecD z) {
  return z * poly(z, -0.3333333333333298, 0.199999999999028, -0.14285714276358638, 0.11111110658448807,
                  -0.09090896214836922, 0.07692073441797201, -0.06663805784964728, 0.058582660718651376,
                  -0.05121859187875259, 0.04186091297550566, -0.027428291909492017, 0.010112168363432024);
}
// atan(y / x) for y, x >= 0, neither NaN; 0 for 0 / 0 and pi / 4 for inf / inf. float: from smaller / larger.
PYNN_INLINE VecF atan_ratio(VecF y, VecF x) {
  const VecF larger = max(x, y), smaller = min(x, y);
  VecF t = smaller / larger;
  t = select(larger == VecF(0), larger, t);
  t = select((x == y) & (larger > VecF(0)), VecF(1), t);
  const VecF r = fma(t, atan_tail(t * t), t);
  return select(y > x, VecF(kHalfPi<float>) - (r - VecF(kHalfPiRest<float>)), r);
}
// double: turned by -pi / 4 or -pi / 2 into the range of the polynomial.
PYNN_INLINE VecD atan_ratio(VecD y, VecD x) {
  const VecD shrink = select(max(x, y) > VecD(0x1p1020), VecD(0.25), VecD(1));  // x + y must not overflow
  const Mask<double> tie = (x == y) & (y > VecD(0));                            // infinities too
  y = select(tie, VecD(1), y * shrink), x = select(tie, VecD(1), x * shrink);
  const Mask<double> steep = y > x * VecD(2.414213562373095), middle = y + y > x;
  const VecD n = select(steep, -x, select(middle, y - x, y));
  const VecD d = select(steep, y, select(middle, x + y, x));
  const VecD t = select(d == VecD(0), d, n / d);
  const VecD turn = select(steep, VecD(1), select(middle, VecD(0.5), VecD(0)));
  const VecD tail = fma(t, atan_tail(t * t), turn * VecD(kHalfPiRest<double>));
  return fma(turn, VecD(kHalfPi<double>), t) + tail;
}
template <class T>
PYNN_INLINE Vec<T> atan2(Vec<T> y, Vec<T> x) {
  using V = Vec<T>;
  using I = typename V::Int;
  const V r = atan_ratio(abs(y), abs(x));
  const Mask<T> left{(bits(x) < Vec<I>(0)).v};  // -0 too
  const V around = V(2 * kHalfPi<T>) - (r - V(2 * kHalfPiRest<T>));
  return select((x != x) | (y != y), x + y, copysign(select(left, around, r), y));
}
template <class T>
PYNN_INLINE Vec<T> atan(Vec<T> x) {
  return select(x != x, x, copysign(atan_ratio(abs(x), Vec<T>(1)), x));
}

// asin(t) - t for |t| <= 1/2
PYNN_INLINE VecF asin_tail(VecF t) {
  const VecF z = t * t;
  return z * t * poly(z, 1.6666754e-01, 7.495233e-02, 4.5478333e-02, 2.414101e-02, 4.223054e-02);
}
PYNN_INLINE VecD asin_tail(VecD t) {
  const VecD z = t * t;
  return z * t *
         poly(z, 0.16666666666666763, 0.07499999999970096, 0.044642857175287945, 0.0303819426752014,
              0.022372215907778405, 0.01735159547264974, 0.01398101878868277, 0.01139729157657881, 0.010789326291448133,
              0.0036721763079012883, 0.021790645223939108, -0.02111668696899054, 0.03270212510899602);
}
// Beyond 1/2: asin(x) = pi / 2 - 2 asin(t), t = sqrt((1 - x) / 2), where 3 / 2 - 2 t loses least and comes first.
template <class T>
PYNN_INLINE Vec<T> asin(Vec<T> x) {
  using V = Vec<T>;
  const V a = abs(x), half = constant<V>(0.5);
  const Mask<T> large = a > half;
  const V t = select(large, sqrt(fnma(half, a, half)), a), tail = asin_tail(t);
  const V outer = fnma(V(2), t, constant<V>(1.5)) - fma(V(2), tail, constant<V>(-0.070796326794896619));
  return copysign(select(large, outer, t + tail), x);
}
template <class T>
PYNN_INLINE Vec<T> acos(Vec<T> x) {
  using V = Vec<T>;
  const V a = abs(x), half = constant<V>(0.5);
  const V t = select(a > half, sqrt(fnma(half, a, half)), x), r = t + asin_tail(t);
  const V outer = select(x < V(0), V(2 * kHalfPi<T>) - (r + r - V(2 * kHalfPiRest<T>)), r + r);
  return select(a > half, outer, V(kHalfPi<T>) - (r - V(kHalfPiRest<T>)));
}

}  // namespace PYNN_CPU_NAMESPACE
