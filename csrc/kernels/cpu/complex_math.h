// complex_math.h -- functions of one complex number, in double. The C library knows the branch cuts and the infinities.
#pragma once
#include "core/dtype.h"
#include "kernels/stub.h"

namespace PYNN_CPU_NAMESPACE {

using Z = Complex128;

// Sums, differences and products in the type of the parts: S is Complex64 or Complex128.
template <class S>
PYNN_INLINE S add(S a, S b) {
  return {a.re + b.re, a.im + b.im};
}
template <class S>
PYNN_INLINE S sub(S a, S b) {
  return {a.re - b.re, a.im - b.im};
}
template <class S>
PYNN_INLINE S mul(S a, S b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
template <class S>
PYNN_INLINE bool nonzero(S a) {
  return a.re != 0 || a.im != 0;
}

PYNN_INLINE Z scale(Z a, double s) { return {a.re * s, a.im * s}; }
PYNN_INLINE double length(Z a) { return __builtin_hypot(a.re, a.im); }

// Scaled by the larger part of b, so that squares cannot overflow.
PYNN_INLINE Z div(Z a, Z b) {
  if (__builtin_fabs(b.re) >= __builtin_fabs(b.im)) {
    if (b.re == 0 && b.im == 0) return {a.re / __builtin_fabs(b.re), a.im / __builtin_fabs(b.im)};
    const double ratio = b.im / b.re, by = 1 / (b.re + b.im * ratio);
    return {(a.re + a.im * ratio) * by, (a.im - a.re * ratio) * by};
  }
  const double ratio = b.re / b.im, by = 1 / (b.re * ratio + b.im);
  return {(a.re * ratio + a.im) * by, (a.im * ratio - a.re) * by};
}

#define PYNN_FROM_LIBRARY(name)                        \
  PYNN_INLINE Z name(Z a) {                            \
    _Complex double in;                                \
    __real__ in = a.re;                                \
    __imag__ in = a.im;                                \
    const _Complex double out = __builtin_c##name(in); \
    return {__real__ out, __imag__ out};               \
  }
PYNN_FROM_LIBRARY(exp)
PYNN_FROM_LIBRARY(log)
PYNN_FROM_LIBRARY(sqrt)
PYNN_FROM_LIBRARY(sin)
PYNN_FROM_LIBRARY(cos)
PYNN_FROM_LIBRARY(tan)
PYNN_FROM_LIBRARY(asin)
PYNN_FROM_LIBRARY(acos)
PYNN_FROM_LIBRARY(atan)
PYNN_FROM_LIBRARY(sinh)
PYNN_FROM_LIBRARY(cosh)
PYNN_FROM_LIBRARY(tanh)
PYNN_FROM_LIBRARY(asinh)
PYNN_FROM_LIBRARY(acosh)
PYNN_FROM_LIBRARY(atanh)
#undef PYNN_FROM_LIBRARY

PYNN_INLINE Z expm1(Z a) {  // e^x cos y - 1 = (e^x - 1) cos y - 2 sin^2 (y / 2)
  const double half = __builtin_sin(a.im / 2), e = __builtin_expm1(a.re);
  if (a.im == 0) return {e, a.im};
  return {e * __builtin_cos(a.im) - 2 * half * half, (e + 1) * __builtin_sin(a.im)};
}
PYNN_INLINE Z log1p(Z a) {  // near 0, |1 + a|^2 - 1 = 2x + x^2 + y^2
  if (!(__builtin_fabs(a.re) < 0.5 && __builtin_fabs(a.im) < 0.5)) return log({a.re + 1, a.im});
  return {0.5 * __builtin_log1p(a.re * (2 + a.re) + a.im * a.im), __builtin_atan2(a.im, a.re + 1)};
}
PYNN_INLINE Z sign(Z a) {
  const double size = length(a);
  return size == 0 ? Z{0, 0} : Z{a.re / size, a.im / size};
}
PYNN_INLINE Z reciprocal(Z a) { return div({1, 0}, a); }
PYNN_INLINE Z sigmoid(Z a) {
  const Z e = exp({-a.re, -a.im});
  return reciprocal({e.re + 1, e.im});
}
PYNN_INLINE double angle(Z a) { return __builtin_atan2(a.im, a.re); }

// Whole and half powers exactly, as PyTorch has them.
PYNN_INLINE Z pow(Z a, Z b) {
  if (b.im == 0) {
    if (b.re == 0) return {1, 0};
    if (b.re == 1) return a;
    if (b.re == 2) return mul(a, a);
    if (b.re == 3) return mul(mul(a, a), a);
    if (b.re == 0.5) return sqrt(a);
    if (b.re == -0.5) return reciprocal(sqrt(a));
    if (b.re == -1) return reciprocal(a);
    if (b.re == -2) return reciprocal(mul(a, a));
  }
  if (!nonzero(a)) {
    const double nan = __builtin_nan("");
    return b.re > 0 ? Z{0, 0} : Z{nan, nan};
  }
  return exp(mul(b, log(a)));
}

}  // namespace PYNN_CPU_NAMESPACE
