// special_gamma.h -- the gamma family for special.cpp: lgamma, digamma, polygamma, zeta, incomplete gamma functions.
#pragma once
#include <cstdint>

namespace PYNN_SPECIAL_NAMESPACE {
namespace {

constexpr double kPi = 3.14159265358979323846, kTwoPi = 6.28318530717958647693, kEuler = 0.57721566490153286061;
constexpr double kHalfRoot = 0.70710678118654752440, kRoot2Pi = 2.50662827463100050242;
constexpr double kInf = __builtin_inf(), kNaN = __builtin_nan("");
constexpr double kTiny = 1e-17;

// B_2k / (2k)! for k = 1 ...
PYNN_CONSTANT double kBernoulli[] = {1.0 / 12,
                                     -1.0 / 720,
                                     1.0 / 30240,
                                     -1.0 / 1209600,
                                     1.0 / 47900160,
                                     -691.0 / 1307674368000.0,
                                     1.0 / 74724249600.0,
                                     -3617.0 / 10670622842880000.0,
                                     43867.0 / 5109094217170944000.0};

PYNN_FN double lgamma(double x) { return PYNN_MATH(lgamma)(x); }

PYNN_FN double digamma(double x) {
  if (x == 0) return PYNN_MATH(copysign)(kInf, -x);
  double reflected = 0;
  if (x < 0) {  // psi(x) = psi(1 - x) - pi / tan(pi x)
    const double part = x - PYNN_MATH(rint)(x);
    if (part == 0) return kNaN;
    reflected = -kPi / PYNN_MATH(tan)(kPi * part);
    x = 1 - x;
  }
  double y = 0;
  for (; x < 10; x += 1) y -= 1 / x;
  if (x == kInf) return kInf + reflected;
  const double r = 1 / (x * x);
  const double tail =
      r *
      (1.0 / 12 - r * (1.0 / 120 - r * (1.0 / 252 - r * (1.0 / 240 - r * (1.0 / 132 - r * (691.0 / 32760 - r / 12))))));
  return y + PYNN_MATH(log)(x) - 0.5 / x - tail + reflected;
}

// The sum of (q + k)^-s over k >= 0.
PYNN_FN double zeta(double s, double q) {
  if (s != s || q != q) return kNaN;
  if (s == 1) return kInf;
  if (s < 1) return kNaN;
  if (q <= 0) {
    if (q == PYNN_MATH(floor)(q)) return kInf;
    if (s != PYNN_MATH(floor)(s)) return kNaN;
  }
  double sum = PYNN_MATH(pow)(q, -s), a = q, term = sum;
  for (int i = 0; i < 10 || a <= 10; ++i) {
    a += 1;
    term = PYNN_MATH(pow)(a, -s);
    sum += term;
    if (PYNN_MATH(fabs)(term) < PYNN_MATH(fabs)(sum) * kTiny) return sum;
  }
  sum += term * a / (s - 1) - 0.5 * term;
  double factor = s * term / a;
  for (int k = 0; k < 9; ++k) {
    const double part = factor * kBernoulli[k];
    sum += part;
    if (PYNN_MATH(fabs)(part) < PYNN_MATH(fabs)(sum) * kTiny) break;
    factor *= (s + 2 * k + 1) * (s + 2 * k + 2) / (a * a);
  }
  return sum;
}

PYNN_FN double polygamma(int64_t n, double x) {
  if (n == 0) return digamma(x);
  if (n == 1 && x < 0.5) {
    const double s = PYNN_MATH(sin)(kPi * x);
    return kPi * kPi / (s * s) - zeta(2, 1 - x);
  }
  const double order = static_cast<double>(n);
  return (n % 2 ? 1 : -1) * PYNN_MATH(exp)(lgamma(order + 1)) * zeta(order + 1, x);
}

// log(1 + m) - m
PYNN_FN double log1p_minus(double m) {
  if (PYNN_MATH(fabs)(m) > 0.3) return PYNN_MATH(log1p)(m) - m;
  double power = m, sum = 0;
  for (int k = 2; k < 60; ++k) {
    power *= -m;
    sum += power / k;
    if (PYNN_MATH(fabs)(power) < PYNN_MATH(fabs)(sum) * kTiny) break;
  }
  return sum;
}

// x^a e^-x / gamma(a + 1)
PYNN_FN double gamma_density(double a, double x) {
  if (a < 10) return PYNN_MATH(exp)(a * PYNN_MATH(log)(x) - x - lgamma(a + 1));
  const double r = 1 / (a * a);
  const double correction = (1.0 / 12 - r * (1.0 / 360 - r * (1.0 / 1260 - r * (1.0 / 1680 - r / 1188)))) / a;
  return PYNN_MATH(exp)(a * log1p_minus((x - a) / a) - correction) / PYNN_MATH(sqrt)(kTwoPi * a);
}

// The regularised lower incomplete gamma function of x, or (upper) 1 - that, to a relative error of about `tiny`.
PYNN_FN double igamma(double a, double x, bool upper, double tiny = kTiny) {
  if (!(a >= 0) || !(x >= 0)) return kNaN;
  if (a == 0) return x > 0 ? (upper ? 0 : 1) : kNaN;
  if (x == 0) return upper ? 1 : 0;
  if (a == kInf) return x == kInf ? kNaN : (upper ? 1 : 0);
  if (x == kInf) return upper ? 0 : 1;
  const double density = gamma_density(a, x);
  if (x < a + 1) {
    double term = 1, sum = 1;
    for (int k = 1; k < 100000; ++k) {
      term *= x / (a + k);
      sum += term;
      if (term < sum * tiny) break;
    }
    const double lower = density * sum;
    return upper ? 1 - lower : lower;
  }
  // The continued fraction of Legendre by Lentz's method.
  double b = x + 1 - a, c = 1e300, d = 1 / b, f = d;
  for (int k = 1; k < 100000; ++k) {
    const double an = -k * (k - a);
    b += 2;
    d = an * d + b;
    c = b + an / c;
    if (PYNN_MATH(fabs)(d) < 1e-300) d = 1e-300;
    if (PYNN_MATH(fabs)(c) < 1e-300) c = 1e-300;
    d = 1 / d;
    f *= d * c;
    if (PYNN_MATH(fabs)(d * c - 1) < 10 * tiny) break;
  }
  const double q = density * a * f;
  return upper ? q : 1 - q;
}

}  // namespace
}  // namespace PYNN_SPECIAL_NAMESPACE
