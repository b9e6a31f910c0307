// complex_functions.h -- functions of complex numbers and the elementwise ops made of them, for the kernels of every
// device.
//
// Whoever includes this says first where the functions go and what they are made with:
//   PYNN_COMPLEX_NAMESPACE, PYNN_FN (what stands before a function), PYNN_MATH(name) (a function of reals)
// and declares in that namespace exp, log, sqrt, sin ... atanh of one complex number, whose branch cuts and infinities
// the library knows, and WidePair<S>: the type in which all but sums and products of S are computed.
#pragma once
#include <cmath>

#include "core/dtype.h"
#include "kernels/elementwise.h"

namespace PYNN_COMPLEX_NAMESPACE {
namespace {

constexpr double kLog2 = 0.69314718055994530942, kLog10 = 2.30258509299404568402;

template <class S>
using Part = decltype(S{}.re);

template <class W, class S>
PYNN_FN W cast_parts(S a) {
  return {static_cast<Part<W>>(a.re), static_cast<Part<W>>(a.im)};
}
template <class S>
PYNN_FN WidePair<S> wide(S a) {
  return cast_parts<WidePair<S>>(a);
}

template <class S>
PYNN_FN S add(S a, S b) {
  return {a.re + b.re, a.im + b.im};
}
template <class S>
PYNN_FN S sub(S a, S b) {
  return {a.re - b.re, a.im - b.im};
}
template <class S>
PYNN_FN S mul(S a, S b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
template <class S>
PYNN_FN bool nonzero(S a) {
  return a.re != 0 || a.im != 0;
}
template <class S>
PYNN_FN S scale(S a, double s) {
  return {a.re * static_cast<Part<S>>(s), a.im * static_cast<Part<S>>(s)};
}
template <class S>
PYNN_FN Part<S> length(S a) {
  return PYNN_MATH(hypot)(a.re, a.im);
}
template <class S>
PYNN_FN Part<S> angle(S a) {
  return PYNN_MATH(atan2)(a.im, a.re);
}

// Scaled by the larger part of b, so that squares cannot overflow.
template <class S>
PYNN_FN S div(S a, S b) {
  using T = Part<S>;
  if (PYNN_MATH(fabs)(b.re) >= PYNN_MATH(fabs)(b.im)) {
    if (b.re == 0 && b.im == 0) return {a.re / PYNN_MATH(fabs)(b.re), a.im / PYNN_MATH(fabs)(b.im)};
    const T ratio = b.im / b.re, by = 1 / (b.re + b.im * ratio);
    return {(a.re + a.im * ratio) * by, (a.im - a.re * ratio) * by};
  }
  const T ratio = b.re / b.im, by = 1 / (b.re * ratio + b.im);
  return {(a.re * ratio + a.im) * by, (a.im * ratio - a.re) * by};
}
template <class S>
PYNN_FN S reciprocal(S a) {
  return div(S{1, 0}, a);
}

template <class S>
PYNN_FN S expm1(S a) {  // e^x cos y - 1 = (e^x - 1) cos y - 2 sin^2 (y / 2)
  const Part<S> half = PYNN_MATH(sin)(a.im / 2), e = PYNN_MATH(expm1)(a.re);
  if (a.im == 0) return {e, a.im};
  return {e * PYNN_MATH(cos)(a.im) - 2 * half * half, (e + 1) * PYNN_MATH(sin)(a.im)};
}
template <class S>
PYNN_FN S log1p(S a) {  // near 0, |1 + a|^2 - 1 = 2x + x^2 + y^2
  using T = Part<S>;
  if (!(PYNN_MATH(fabs)(a.re) < T(0.5) && PYNN_MATH(fabs)(a.im) < T(0.5))) return log(S{a.re + 1, a.im});
  return {T(0.5) * PYNN_MATH(log1p)(a.re * (2 + a.re) + a.im * a.im), PYNN_MATH(atan2)(a.im, a.re + 1)};
}
template <class S>
PYNN_FN S sign(S a) {
  const Part<S> size = length(a);
  return size == 0 ? S{0, 0} : S{a.re / size, a.im / size};
}
template <class S>
PYNN_FN S sigmoid(S a) {
  const S e = exp(S{-a.re, -a.im});
  return reciprocal(S{e.re + 1, e.im});
}

// Whole and half powers exactly, as PyTorch has them.
template <class S>
PYNN_FN S pow(S a, S b) {
  using T = Part<S>;
  if (b.im == 0) {
    if (b.re == 0) return {1, 0};
    if (b.re == 1) return a;
    if (b.re == 2) return mul(a, a);
    if (b.re == 3) return mul(mul(a, a), a);
    if (b.re == T(0.5)) return sqrt(a);
    if (b.re == T(-0.5)) return reciprocal(sqrt(a));
    if (b.re == -1) return reciprocal(a);
    if (b.re == -2) return reciprocal(mul(a, a));
  }
  if (!nonzero(a)) return b.re > 0 ? S{0, 0} : S{T(NAN), T(NAN)};
  return exp(mul(b, log(a)));
}

template <class T>
PYNN_FN bool is_nan(T x) {
  return x != x;
}
template <class T>
PYNN_FN bool is_inf(T x) {
  return PYNN_MATH(fabs)(x) == T(INFINITY);
}
template <class T>
PYNN_FN bool is_finite(T x) {
  return x - x == 0;
}

// What each op gives: bool where yields_bool(op).
template <Unary op, class S>
PYNN_FN auto unary(S a) {
  using enum Unary;
  if constexpr (op == Neg) return S{-a.re, -a.im};
  if constexpr (op == Conj) return S{a.re, -a.im};
  if constexpr (op == Abs) return S{length(a), 0};
  if constexpr (op == Angle) return S{angle(a), 0};
  if constexpr (op == Sign) return sign(a);
  if constexpr (op == Square) return mul(a, a);
  if constexpr (op == Sqrt) return sqrt(a);
  if constexpr (op == Rsqrt) return reciprocal(sqrt(a));
  if constexpr (op == Reciprocal) return reciprocal(a);
  if constexpr (op == Exp) return exp(a);
  if constexpr (op == Exp2) return exp(scale(a, kLog2));
  if constexpr (op == Expm1) return expm1(a);
  if constexpr (op == Log) return log(a);
  if constexpr (op == Log2) return scale(log(a), 1 / kLog2);
  if constexpr (op == Log10) return scale(log(a), 1 / kLog10);
  if constexpr (op == Log1p) return log1p(a);
  if constexpr (op == Sin) return sin(a);
  if constexpr (op == Cos) return cos(a);
  if constexpr (op == Tan) return tan(a);
  if constexpr (op == Asin) return asin(a);
  if constexpr (op == Acos) return acos(a);
  if constexpr (op == Atan) return atan(a);
  if constexpr (op == Sinh) return sinh(a);
  if constexpr (op == Cosh) return cosh(a);
  if constexpr (op == Tanh) return tanh(a);
  if constexpr (op == Asinh) return asinh(a);
  if constexpr (op == Acosh) return acosh(a);
  if constexpr (op == Atanh) return atanh(a);
  if constexpr (op == Sigmoid) return sigmoid(a);
  if constexpr (op == LogicalNot) return !nonzero(a);
  if constexpr (op == IsNan) return is_nan(a.re) || is_nan(a.im);
  if constexpr (op == IsInf) return is_inf(a.re) || is_inf(a.im);
  if constexpr (op == IsFinite) return is_finite(a.re) && is_finite(a.im);
}

// Of the type in memory; plain: alpha is 1.
template <Binary op, class S>
PYNN_FN auto binary(S a, S b, S alpha, bool plain) {
  using enum Binary;
  if constexpr (op == Add) return add(a, plain ? b : mul(alpha, b));
  if constexpr (op == Sub) return sub(a, plain ? b : mul(alpha, b));
  if constexpr (op == Mul) return mul(a, b);
  if constexpr (op == Div) return cast_parts<S>(div(wide(a), wide(b)));
  if constexpr (op == Pow) return cast_parts<S>(pow(wide(a), wide(b)));
  if constexpr (op == Eq) return a.re == b.re && a.im == b.im;
  if constexpr (op == Ne) return a.re != b.re || a.im != b.im;
  if constexpr (op == LogicalAnd) return nonzero(a) && nonzero(b);
  if constexpr (op == LogicalOr) return nonzero(a) || nonzero(b);
  if constexpr (op == LogicalXor) return nonzero(a) != nonzero(b);
}

template <Ternary op, class S>
PYNN_FN S ternary(S a, S b, S c, S value) {
  if constexpr (op == Ternary::Where) return nonzero(a) ? b : c;
  if constexpr (op == Ternary::Addcmul) return add(a, mul(mul(value, b), c));
  if constexpr (op == Ternary::Addcdiv) return add(a, cast_parts<S>(div(wide(mul(value, b)), wide(c))));
  if constexpr (op == Ternary::Lerp) {  // from the nearer end
    const bool near = c.re * c.re + c.im * c.im < decltype(c.re)(0.25);
    return near ? add(a, mul(c, sub(b, a))) : sub(b, mul(sub(b, a), sub(S{1, 0}, c)));
  }
}

}  // namespace
}  // namespace PYNN_COMPLEX_NAMESPACE
