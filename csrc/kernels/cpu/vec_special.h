// vec_special.h -- hyperbolic functions and their inverses, erf, erfc, pow. See vec_math.h.
#pragma once
#include "kernels/cpu/vec_exp.h"

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

// ---- erf

// a b - near, near being about a b
template <class T>
PYNN_INLINE Vec<T> product_rest(Vec<T> a, Vec<T> b, Vec<T> near) {
  if constexpr (kHasFma) return fma(a, b, -near);
  using I = Vec<typename Vec<T>::Int>;
  const I upper(sizeof(T) == 4 ? -1 << 12 : -1ll << 27);
  const Vec<T> a1 = from_bits<T>(bits(a) & upper), b1 = from_bits<T>(bits(b) & upper), a2 = a - a1, b2 = b - b1;
  return ((a1 * b1 - near) + (a1 * b2 + a2 * b1)) + a2 * b2;
}

// |x| < 1: x + x q(x^2); beyond: 1 - exp(-p(|x|)), p = -log(erfc).
PYNN_INLINE VecF erf(VecF x) {
  const VecF a = min(VecF(4), abs(x));
  const VecF z = a * a;
  const VecF inner =
      fma(poly(z, 1.2837917e-01, -3.7612626e-01, 1.12836e-01, -2.6854444e-02, 5.189535e-03, -8.02084e-04, 7.889113e-05),
          x, x);
  const VecF p = poly(a, -1.8803294e-04, 1.1295784e+00, 6.3321996e-01, 1.0841852e-01, -2.520822e-02, 4.2045484e-03,
                      -4.413338e-04, 2.1686641e-05);
  return select(a < VecF(1), inner, copysign(VecF(1) - exp(-p), x));
}
// double: erf(x) = x + x q(x^2) for |x| < 1/2; erfc(a) = exp(-a^2) g(t) / (a + 2), t = (a - 2) / (a + 2),
// for a >= 1/2.
PYNN_INLINE VecD erf_inner(VecD x) {
  const VecD q = poly(x * x, 0.1283791670955126, -0.3761263890318375, 0.1128379167095487, -0.02686617064500007,
                      0.005223977622023461, -0.0008548326511406058, 0.00012055286243325919, -1.4923004808361972e-05,
                      1.6371261008121684e-06, -1.4621112923386238e-07);
  return fma(q, x, x);
}
PYNN_INLINE VecD erfc_outer(VecD a) {
  // Most values are sums v + v_rest, v of 25 bits, whose products are exact: roundings would add up to 5 ULP.
  const auto head = [](VecD v) __attribute__((always_inline)) {
    return from_bits<double>(bits(v) & Vec<int64_t>(-1ll << 28));
  };
  a = min(VecD(27.3), a);
  const VecD one(1), two(2), four(4), c0(1.021582705242023), c1(-0.6871606844138106);
  const VecD sum = a + two, inverse = one / sum;
  const VecD i = head(inverse), s = head(sum), i_rest = inverse * (one - s * i - (a - (s - two)) * i);
  const VecD t = one - four * i, t_rest = -four * i_rest, t_all = t + t_rest;
  const VecD u = fnma(four, inverse, one), u2 = u * u;  // t in short, and two sums: the sooner the rest is known
  const VecD tail =
      fma(u,
          poly(u2, -0.036442231506889494, 0.006479185068427027, -0.0008372960832281719, 3.437177806522342e-05,
               3.414553930512889e-05, -1.6100481786945183e-05, 3.5662682167881044e-06, 1.794177191791148e-07,
               -5.455943249265548e-07, 2.1937377108844817e-07),
          poly(u2, 0.2794720925560581, -0.02151066188976844, 0.003090612068422665, -0.0006630736552356005,
               0.0001444720982264161, -2.170313328946975e-05, -1.10704530783769e-06, 1.9892294624068052e-06,
               -6.330180753440869e-07, 1.6389608823309005e-07, -8.216501950909815e-08));
  const VecD h_all = fma(t_all, tail, c1), h = head(h_all), h_rest = fma(t_all, tail, c1 - h);
  const VecD g = head(c0 + t * h), g_rest = (c0 - g + t * h) + fma(t, h_rest, t_rest * h_all);
  const VecD w = g * i, w_rest = fma(g, i_rest, g_rest * inverse);
  const VecD square = a * a;
  const ExpParts<double> e(-square);
  const VecD lost = fma(e.k, VecD(Fp<double>::kLn2Lo), product_rest(a, a, square));
  const VecD p = expm1_poly(fnma(e.k, VecD(Fp<double>::kLn2Hi), -square) - lost);
  return scale(w + fma(p, w, fma(p, w_rest, w_rest)), e.k, e.n);
}
PYNN_INLINE VecD erf(VecD x) {
  const VecD a = abs(x);
  return select(a < VecD(0.5), erf_inner(x), copysign(VecD(1) - erfc_outer(a), x));
}
PYNN_INLINE VecD erfc(VecD x) {
  const VecD a = abs(x), outer = erfc_outer(a);
  return select(a < VecD(0.5), VecD(1) - erf_inner(x), select(x < VecD(0), VecD(2) - outer, outer));
}

// ---- erfc, pow: in double, to some 30 bits

// 2^e
PYNN_INLINE VecD exp2_short(VecD e) {
  e = min(VecD(300), max(VecD(-300), e));
  const VecD magic(Fp<double>::kMagic);
  const VecD t = e + magic;
  const VecD f = e - (t - magic);
  const VecD q = f * poly(f, 0.6931471805416296, 0.24022651076297993, 0.055504109626964254, 0.009618036838560612,
                          0.0013333430668253758, 0.0001546713538828385, 1.5314976730830546e-05);
  return (VecD(1) + q) * power_of_2<double>(bits(t) - bits(magic));
}
// log2 of a normal a > 0
PYNN_INLINE VecD log2_short(VecD a) {
  const LogParts<double> p(a);
  const VecD s = p.f / (VecD(2) + p.f);
  const VecD z = s * s;
  const VecD r =
      z * poly(z, 0.666666666758403, 0.399999956061739, 0.28572111015595925, 0.22176103833675068, 0.19585468176823126);
  return fma(s * (VecD(2) + r), VecD(kLog2E), p.k);
}

// exp(-x^2) g(t), t = (|x| - 3) / (|x| + 3), g the polynomial of exp(x^2) erfc(x); 2 minus that for x < 0.
PYNN_INLINE VecD erfc_short(VecD x) {
  const VecD a = min(VecD(10.2), abs(x));
  const VecD t = (a - VecD(3)) / (a + VecD(3));
  const VecD g = poly(t, 0.17900115112316972, -0.32623356143424814, 0.2456038121046489, -0.15011587883469205,
                      0.07166558886773914, -0.024393254586671645, 0.0042710375202404385, 0.0007124329699511778,
                      -0.0006023567731048941, 3.0890637123306015e-05, 6.630003987215534e-05, 4.9035289607253e-06);
  const VecD y = exp2_short(a * a * VecD(-kLog2E)) * g;
  return select(x < VecD(0), VecD(2) - y, y);
}
PYNN_INLINE VecF erfc(VecF x) {
  VecD lo, hi;
  widen(x, lo, hi);
  return narrow(erfc_short(lo), erfc_short(hi));
}

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
