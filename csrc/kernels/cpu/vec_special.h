// vec_special.h -- hyperbolic functions and their inverses, pow. See vec_math.h.
#pragma once
#include "kernels/cpu/vec_erf.h"

namespace PYNN_CPU_NAMESPACE {

// ---- Hyperbolic functions

template <class T>
PYNN_INLINE Vec<T> sinh(Vec<T> x) {
  using V = Vec<T>;
  const V a = abs(x), z = a * a, e = half_exp(a);
  V tail;
  if constexpr (sizeof(T) == 4)
    tail = poly(z, 1.6666667e-01, 8.3333505e-03, 1.9836066e-04, 2.8174404e-06);
  else
    tail = poly(z, 0.16666666666666669, 0.008333333333333139, 0.00019841269841437678, 2.7557319155337993e-06,
                2.505212339836308e-08, 1.6057240356406223e-10, 7.759311753783482e-13);
  return copysign(select(a < V(1), fma(z * a, tail, a), e - constant<V>(0.25) / e), x);
}
template <class T>
PYNN_INLINE Vec<T> cosh(Vec<T> x) {
  const Vec<T> e = half_exp(abs(x));
  return e + constant<Vec<T>>(0.25) / e;
}
// asinh(a) = log1p(a + a^2 / (1 + sqrt(a^2 + 1))); where a^2 is beyond the precision, log(2 a).
template <class T>
PYNN_INLINE Vec<T> asinh(Vec<T> x) {
  using V = Vec<T>;
  const V a = abs(x);
  const Mask<T> huge = a > constant<V>(sizeof(T) == 4 ? 0x1p30 : 0x1p60);
  const V b = select(huge, V(1), a);
  const V r = log1p(select(huge, a, b + b * b / (V(1) + sqrt(fma(b, b, V(1))))));
  return copysign(select(huge, r + constant<V>(0.69314718055994531), r), x);
}
// With t = x - 1: log1p(t + sqrt(2 t + t^2)).
template <class T>
PYNN_INLINE Vec<T> acosh(Vec<T> x) {
  using V = Vec<T>;
  const Mask<T> huge = x > constant<V>(sizeof(T) == 4 ? 0x1p30 : 0x1p60);
  const V t = select(huge, V(1), max(x, V(-1)) - V(1));
  const V root = sqrt(fma(t, t, t + t)), sum = t + root;  // NaN below 1
  const V r = log1p(select(huge, x, sum), (sum - root) - t);
  return select(huge, r + constant<V>(0.69314718055994531), r);
}
// log1p(2 a / (1 - a)) / 2, where the quotient is 2 a + 2 a a / (1 - a), most of it exact.
template <class T>
PYNN_INLINE Vec<T> atanh(Vec<T> x) {
  using V = Vec<T>;
  const V a = min(V(2), abs(x)), twice = a + a;  // from 1 on infinite or NaN
  return copysign(constant<V>(0.5) * log1p(fma(twice, a / (V(1) - a), twice)), x);
}

// ---- pow

// |x|^y = 2^(y log2 |x|), then the many special cases.
PYNN_INLINE VecF pow(VecF x, VecF y) {
  const VecF zero(0), one(1), infinity(__builtin_inff());
  const VecF a = abs(x);
  const VecF base = select((a > zero) & (a < infinity), a, one);
  VecD b0, b1, y0, y1;
  widen(base, b0, b1);
  widen(y, y0, y1);
  VecF r = narrow(exp2_short(y0 * log2_short(b0)), exp2_short(y1 * log2_short(b1)));
  r = select(a == zero, select(y < zero, infinity, zero), r);
  r = select(a == infinity, select(y < zero, zero, infinity), r);
  r = select((a == one) & (y == y), one, r);  // 1^inf too
  const Mask<float> whole = (trunc(y) == y), odd = whole & (trunc(y * VecF(0.5f)) != y * VecF(0.5f));
  r = select(Mask<float>{(bits(x) < Vec<int32_t>(0)).v} & odd, -r, r);
  r = select((x < zero) & (a < infinity) & ~whole, VecF(__builtin_nanf("")), r);
  r = select((x != x) | (y != y), x + y, r);
  return select((y == zero) | (x == one), one, r);
}

// The C library's, lane by lane.
PYNN_LIBM2(pow_each, double, pow)

// x^y = exp(y log(x)) of normal x > 0, the logarithm as a sum of two doubles, to 2^-65; needs FMA. Where the power may
// leave the normal range, and for all other x: one by one.
PYNN_INLINE VecD pow(VecD x, VecD y) {
  if constexpr (!kHasFma) return pow_each(x, y);
  if (!all_within(x, Fp<double>::kLeast, Fp<double>::kMost)) [[unlikely]]
    return pow_each(x, y);
  const VecD one(1), two(2), third(2.0 / 3), third_rest(3.700743415417188e-17);
  // log(1 + f) = 2 s + 2/3 s^3 + 2/5 s^5 ..., s = f / (2 + f)
  const LogParts<double> p(x);
  const VecD inverse = one / p.f_plus_2, s = p.f * inverse, below = p.f - (p.f_plus_2 - two);
  const VecD s_rest = inverse * fnma(s, below, fnma(s, p.f_plus_2, p.f));
  const VecD z = s * s, z_rest = fma(s + s, s_rest, product_rest(s, s, z));
  const VecD cube = z * s, cube_rest = fma(z, s_rest, fma(z_rest, s, product_rest(z, s, cube)));
  const VecD tail = fma(z,
                        poly(z, 2.0 / 5, 2.0 / 7, 2.0 / 9, 2.0 / 11, 2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21,
                             2.0 / 23, 2.0 / 25),
                        third_rest);
  const VecD large = p.k * VecD(Fp<double>::kLn2Hi), sum = large + two * s, sum_rest = fma(two, s, large - sum);
  const VecD hi = fma(cube, third, sum), hi_rest = fma(cube, third, sum - hi);
  const VecD small = fma(p.k, VecD(Fp<double>::kLn2Lo), fma(two, s_rest, fma(cube_rest, third, cube * tail)));
  const VecD lo = hi_rest + (sum_rest + small), log_x = hi + lo, log_rest = (hi - log_x) + lo;
  const VecD e = y * log_x, e_rest = fma(y, log_rest, product_rest(y, log_x, e));
  if (!all_within(e, -700.0, 700.0)) [[unlikely]]  // NaN and infinities of y too
    return pow_each(x, y);
  // exp(e + e_rest) = 2^k exp(r + r_rest)
  const VecD magic(Fp<double>::kMagic), t = fma(e, VecD(kLog2E), magic), k = t - magic;
  const VecD near = fnma(k, VecD(Fp<double>::kLn2Hi), e), off = fnma(k, VecD(Fp<double>::kLn2Lo), e_rest);
  const VecD r = near + off, r_rest = (near - r) + off;
  const VecD main = one + r, main_rest = r - (main - one);
  return scale(main + fma(r * r, exp_tail(r), main_rest + r_rest), k, bits(t) - bits(magic));
}

}  // namespace PYNN_CPU_NAMESPACE
