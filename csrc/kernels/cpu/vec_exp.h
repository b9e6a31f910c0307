// vec_exp.h -- exponentials, logarithms, tanh and sigmoid. See vec_math.h.
#pragma once
#include "kernels/cpu/vec_fp.h"
#include "kernels/cpu/vec_tanh.h"

namespace PYNN_CPU_NAMESPACE {

// ---- exp

// x = k ln 2 + r with |r| <= ln(2) / 2; n is k in integer lanes.
template <class T>
struct ExpParts {
  Vec<T> r, k;
  Vec<typename Vec<T>::Int> n;

  PYNN_INLINE explicit ExpParts(Vec<T> x) {
    const Vec<T> magic(Fp<T>::kMagic);
    const Vec<T> t = fma(x, constant<Vec<T>>(kLog2E), magic);
    k = t - magic;
    n = bits(t) - bits(magic);
    r = fnma(k, constant<Vec<T>>(Fp<T>::kLn2Hi), x);
    r = fnma(k, constant<Vec<T>>(Fp<T>::kLn2Lo), r);
  }
};

// exp(r) - 1 for |r| <= ln(2) / 2
PYNN_INLINE VecF expm1_poly(VecF r) {
  return fma(r * r, poly(r, 0.5, 1.6666518e-01, 4.1666206e-02, 8.368889e-03, 1.3950504e-03), r);
}
// (exp(r) - 1 - r) / r^2
PYNN_INLINE VecD exp_tail(VecD r) {
  return poly(r, 0.5, 0.16666666666666685, 0.04166666666666673, 0.008333333333316739, 0.001388888888885843,
              0.00019841269897059077, 2.4801587373701268e-05, 2.755723423677988e-06, 2.7557233416715324e-07,
              2.5112239814569768e-08, 2.092692273346156e-09);
}
PYNN_INLINE VecD expm1_poly(VecD r) { return fma(r * r, exp_tail(r), r); }
// x * 2^k for any k of a result, even a subnormal one; n is k in integer lanes.
template <class T>
PYNN_INLINE Vec<T> scale(Vec<T> x, Vec<T> k, Vec<typename Vec<T>::Int> n) {
#ifdef PYNN_HAS_SCALE
  return native::scale(x.v, k.v);
#else
  using I = typename Vec<T>::Int;
  const Vec<I> sum = n + Vec<I>(2 * Fp<T>::kBias);
  const Vec<I> half = shift_down(sum, 1);
  return x * from_bits<T>(half << Fp<T>::kMantissa) * from_bits<T>((sum - half) << Fp<T>::kMantissa);
#endif
}
// 2^n for n of a normal result
template <class T>
PYNN_INLINE Vec<T> power_of_2(Vec<typename Vec<T>::Int> n) {
  return from_bits<T>((n + Vec<typename Vec<T>::Int>(Fp<T>::kBias)) << Fp<T>::kMantissa);
}
template <class V>
PYNN_INLINE V clamp_exponent(V x) {  // NaN stays, being the second operand
  using F = Fp<typename V::Lane>;
  return min(constant<V>(F::kExpHigh), max(constant<V>(F::kExpLow), x));
}

template <class T>
PYNN_INLINE Vec<T> exp(Vec<T> x) {
  const ExpParts<T> e(clamp_exponent(x));
  return scale(Vec<T>(1) + expm1_poly(e.r), e.k, e.n);
}
// exp(x) for x <= 0 (or not much above): as in a softmax.
template <class T>
PYNN_INLINE Vec<T> exp_negative(Vec<T> x) {
  const ExpParts<T> e(max(constant<Vec<T>>(Fp<T>::kExpLow), x));  // NaN stays, being the second operand
  return scale(Vec<T>(1) + expm1_poly(e.r), e.k, e.n);
}
// exp(x) / 2, which does not overflow before cosh does
template <class T>
PYNN_INLINE Vec<T> half_exp(Vec<T> x) {
  const ExpParts<T> e(clamp_exponent(x));
  return scale(Vec<T>(1) + expm1_poly(e.r), e.k - Vec<T>(1), e.n - Vec<typename Vec<T>::Int>(1));
}
template <class T>
PYNN_INLINE Vec<T> exp2(Vec<T> x) {
  using V = Vec<T>;
  const V y = min(constant<V>(Fp<T>::kBias + 2), max(constant<V>(-Fp<T>::kBias - Fp<T>::kMantissa - 4), x));
  const V magic(Fp<T>::kMagic);
  const V t = y + magic;
  const V r = y - (t - magic);
  V p;
  if constexpr (sizeof(T) == 4)
    p = r *
        poly(r, 6.931472e-01, 2.402265e-01, 5.550411e-02, 9.618036e-03, 1.3333431e-03, 1.5467136e-04, 1.5314976e-05);
  else
    p = r * poly(r, 0.6931471805599453, 0.24022650695910072, 0.0555041086648217, 0.009618129107628496,
                 0.0013333558146390414, 0.00015403530393341095, 1.5252733856259993e-05, 1.3215486833062268e-06,
                 1.0178051199575881e-07, 7.054888249570101e-09, 4.4566751886661174e-10, 2.574180896610292e-11);
  return scale(V(1) + p, t - magic, bits(t) - bits(magic));
}
template <class T>
PYNN_INLINE Vec<T> expm1(Vec<T> x) {
  using V = Vec<T>;
  const V low = constant<V>(sizeof(T) == 4 ? -20 : -40);  // below, the result is -1
  const V high = constant<V>(sizeof(T) == 4 ? 89 : 710);  // above, it is infinite
  const ExpParts<T> e(min(high, max(low, x)));
  const V s = power_of_2<T>(e.n - Vec<typename V::Int>(1));  // 2^n itself may overflow
  const V half = fma(expm1_poly(e.r), s, s - constant<V>(0.5));
  return select(abs(x) < constant<V>(sizeof(T) == 4 ? 0x1p-26 : 0x1p-55), x, half + half);
}
// (tanh(x) - x) / x for |x| <= 5 / 8, z = x^2
PYNN_INLINE VecF tanh_tail(VecF z) {
  return z * poly(z, -3.3333284e-01, 1.3331491e-01, -5.37435e-02, 2.065059e-02, -5.717046e-03);
}
PYNN_INLINE VecD tanh_tail(VecD z) {
  return z * poly(z, -0.33333333333333315, 0.1333333333332989, -0.053968253966134055, 0.021869488470643857,
                  -0.00886323434133751, 0.0035921142696251534, -0.0014557276059676892, 0.0005894585765169388,
                  -0.00023702999482054756, 9.158958287208505e-05, -3.0217750021502145e-05, 6.0555404595570286e-06);
}
// exp(2 h) / 2 for |h| <= ln(2) / 4
PYNN_INLINE VecF half_exp_poly(VecF h) {
  return poly(h, 0.5, 1, 0.999999867, 0.666660781, 0.333347209, 0.133901626, 0.0442058269);
}
template <class T>
PYNN_INLINE Vec<T> tanh(Vec<T> x) {
  using V = Vec<T>;
#ifdef PYNN_HAS_LOOKUP
  if constexpr (sizeof(T) == 4) return tanh_by_table(x);
#endif
  const V a = min(constant<V>(20), abs(x));
  V outer;  // 1 - 2 / (exp(2 a) + 1)
  if constexpr (sizeof(T) == 4) {
    const V magic(Fp<T>::kMagic), t = fma(a, constant<V>(2 * kLog2E), magic), k = t - magic;
    V h = fnma(k, constant<V>(kHasFma ? kLn2 / 2 : Fp<T>::kLn2Hi / 2), a);
    if (!kHasFma) h = fnma(k, constant<V>(Fp<T>::kLn2Lo / 2), h);
    const V half = from_bits<T>(bits(half_exp_poly(h)) + (bits(t) << Fp<T>::kMantissa));  // exp(2 a) / 2
    outer = V(1) - V(1) / (half + constant<V>(0.5));
  } else {
    const ExpParts<T> e(a + a);
    const V power = power_of_2<T>(e.n);
    outer = V(1) - V(2) / (fma(expm1_poly(e.r), power, power) + V(1));
  }
  const V inner = fma(tanh_tail(a * a), a, a);
  return from_bits<T>(bits(select(a >= constant<V>(0.625), outer, inner)) | (bits(x) & bits(V(T(-0.0)))));
}
// 2^k / (2^k + 1 + p), where x = k ln 2 + r and exp(-r) = 1 + p
template <class T>
PYNN_INLINE Vec<T> sigmoid(Vec<T> x) {
  using V = Vec<T>;
  const V one(1);
  const ExpParts<T> e(min(constant<V>(60), max(constant<V>(Fp<T>::kExpLow), x)));  // NaN stays
  const V s = scale(one, e.k, e.n), sum = one + s;
  const V p = expm1_poly(-e.r) + (s - (sum - one));  // with what the rounding of the sum lost
  return scale(quotient(one, sum + p), e.k, e.n);
}

// ---- log

// log(1 + f) = f - (f^2 / 2 - rest) for 1 + f in [sqrt(1/2), sqrt(2)): the terms behind f. The rest is f^3 P(f) for
// float32, without a division; for float64 s (f^2 / 2 + R), s = f / (2 + f), which asks for half as many terms.
template <class T>
struct LogParts {
  Vec<T> f, k;  // the argument is 2^k (1 + f)
  Vec<T> f_plus_2, half_square, rest;

  // x: positive, finite, normal
  PYNN_INLINE explicit LogParts(Vec<T> x) {
    using I = typename Vec<T>::Int;
    using F = Fp<T>;
    Vec<I> i = bits(x) - Vec<I>(F::kSqrtHalf);
    if constexpr (sizeof(T) == 4) {
      k = __builtin_convertvector((i >> F::kMantissa).v, typename Vec<T>::Native);
    } else {
      i = i + bits(Vec<T>(1));
      k = to_float<T>(shift_down(i, F::kMantissa)) - Vec<T>(static_cast<T>(F::kBias));
    }
    const Vec<I> mantissa((I(1) << F::kMantissa) - 1);
    const Vec<T> m = from_bits<T>((i & mantissa) + Vec<I>(F::kSqrtHalf));
    f = m - Vec<T>(1);
    f_plus_2 = m + Vec<T>(1);  // sooner than by way of f, and the same
  }
  // rest: with `small` added.
  PYNN_INLINE void series(Vec<T> small) {
    const Vec<T> square = f * f;
    half_square = constant<Vec<T>>(0.5) * square;
    if constexpr (sizeof(T) == 4) {
      const Vec<T> p = poly(f, 0.3333333134651184, -0.2500081956386566, 0.20001226663589478, -0.16623356938362122,
                            0.14201757311820984, -0.13160182535648346, 0.1276157647371292, -0.07634496688842773);
      rest = fma(f * square, p, small);
    } else {
      const Vec<T> s = f / f_plus_2, z = s * s;
      const Vec<T> p = poly(z, 0.6666666666666735, 0.3999999999941153, 0.2857142874317925, 0.22222198483574468,
                            0.18183569382386433, 0.15313911660249568, 0.14797429410261878);
      rest = fma(s, fma(z, p, half_square), small);
    }
  }
};

// Logarithms to base 2 or 10: 1 / log(base) and log(2) / log(base), each as hi + lo; k ln2_hi is exact.
struct LogBase {
  double inverse_hi, inverse_lo, ln2_hi, ln2_lo;
};

// log of any x; `core` takes LogParts of a normal x and what to add to k.
template <class T, class Core>
PYNN_INLINE Vec<T> log_with_specials(Vec<T> x, Core core) {
  using V = Vec<T>;
  if (all_within(x, Fp<T>::kLeast, Fp<T>::kMost)) [[likely]]
    return core(x, V(0));
  const V infinity(static_cast<T>(__builtin_inf())), nan(static_cast<T>(__builtin_nan("")));
  const auto subnormal = x < V(Fp<T>::kLeast);
  V y = core(select(subnormal, x * constant<V>(sizeof(T) == 4 ? 0x1p24 : 0x1p54), x),
             select(subnormal, constant<V>(sizeof(T) == 4 ? 24 : 54), V(0)));
  y = select(x == infinity, x, y);
  y = select(x == V(0), -infinity, y);
  return select(x >= V(0), y, nan);
}

template <class T>
PYNN_INLINE Vec<T> log(Vec<T> x) {
  using V = Vec<T>;
  return log_with_specials(x, [](V normal, V shift) __attribute__((always_inline)) {
    LogParts<T> p(normal);
    const V k = p.k - shift;
    p.series(k * constant<V>(Fp<T>::kLn2Lo));
    return fma(k, constant<V>(Fp<T>::kLn2Hi), p.f - (p.half_square - p.rest));
  });
}
template <class T>
PYNN_INLINE Vec<T> log_base(Vec<T> x, LogBase base) {
  using V = Vec<T>;
  return log_with_specials(x, [=](V normal, V shift) __attribute__((always_inline)) {
    LogParts<T> p(normal);
    p.series(V(0));
    const V k = p.k - shift;
    const V hi = p.f - p.half_square, lo = (p.f - hi) - p.half_square + p.rest;
    V small = fma(lo, constant<V>(base.inverse_hi), hi * constant<V>(base.inverse_lo));
    // Powers of ten come out exactly: what rounding loses is added. Of base 2, k is exact and keeps those of two right.
    if (base.ln2_lo == 0) return fma(hi, constant<V>(base.inverse_hi), k + small);
    const V inverse = constant<V>(base.inverse_hi), large = k * constant<V>(base.ln2_hi), sum = fma(hi, inverse, large);
    V lost = fma(hi, inverse, large - sum);
    if (!kHasFma) lost = lost + product_rest(hi, inverse, hi * inverse);
    return sum + (lost + fma(k, constant<V>(base.ln2_lo), small));
  });
}
template <class T>
PYNN_INLINE Vec<T> log2(Vec<T> x) {
  if constexpr (sizeof(T) == 4) return log_base(x, {1.4426950216293335, 1.925963033500011e-08, 1, 0});
  return log_base(x, {1.4426950408889634, 2.0355273740931033e-17, 1, 0});
}
template <class T>
PYNN_INLINE Vec<T> log10(Vec<T> x) {
  if constexpr (sizeof(T) == 4)
    return log_base(x, {0.4342944920063019, -1.0103049952192578e-08, 0.30103302001953125, -3.0243555500547862e-06});
  return log_base(x, {0.4342944819032518, 1.098319650216765e-17, 0.3010299956658855, -1.9043128467164274e-12});
}
// log(1 + x - excess): the rounding errors of u = 1 + x and of x itself, divided by u, are added to log(u).
template <class T>
PYNN_INLINE Vec<T> log1p(Vec<T> x, Vec<T> excess = Vec<T>(0)) {
  using V = Vec<T>;
  const V u = V(1) + x;
  const V y = log_with_specials(u, [=](V normal, V) __attribute__((always_inline)) {  // u is never subnormal
    LogParts<T> p(normal);
    const V error = quotient(select(x < V(1), x - (u - V(1)), V(1) - (u - x)) - excess, u);
    p.series(fma(p.k, constant<V>(Fp<T>::kLn2Lo), error));
    return fma(p.k, constant<V>(Fp<T>::kLn2Hi), p.f - (p.half_square - p.rest));
  });
  return select(abs(x) < constant<V>(sizeof(T) == 4 ? 0x1p-26 : 0x1p-55), x, y);
}

}  // namespace PYNN_CPU_NAMESPACE
