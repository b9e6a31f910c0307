// special_gamma.h -- the gamma family for special.cpp: lgamma, digamma, polygamma, zeta, incomplete gamma functions.
#pragma once
#include <cstdint>

#include "kernels/stub.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr double kPi = 3.14159265358979323846, kTwoPi = 6.28318530717958647693, kEuler = 0.57721566490153286061;
constexpr double kHalfRoot = 0.70710678118654752440, kRoot2Pi = 2.50662827463100050242;
constexpr double kInf = __builtin_inf(), kNaN = __builtin_nan("");
constexpr double kTiny = 1e-17;

// B_2k / (2k)! for k = 1 ...
constexpr double kBernoulli[] = {1.0 / 12,
                                 -1.0 / 720,
                                 1.0 / 30240,
                                 -1.0 / 1209600,
                                 1.0 / 47900160,
                                 -691.0 / 1307674368000.0,
                                 1.0 / 74724249600.0,
                                 -3617.0 / 10670622842880000.0,
                                 43867.0 / 5109094217170944000.0};

double lgamma(double x) { return __builtin_lgamma(x); }

double digamma(double x) {
  if (x == 0) return __builtin_copysign(kInf, -x);
  if (x < 0) {
    const double whole = __builtin_floor(x);
    if (x == whole) return kNaN;
    const double part = x - whole;
    // psi(x) = psi(1 - x) - pi / tan(pi x)
    return digamma(1 - x) - kPi / __builtin_tan(kPi * (part > 0.5 ? part - 1 : part));
  }
  double y = 0;
  for (; x < 10; x += 1) y -= 1 / x;
  if (x == kInf) return kInf;
  const double r = 1 / (x * x);
  const double tail =
      r *
      (1.0 / 12 - r * (1.0 / 120 - r * (1.0 / 252 - r * (1.0 / 240 - r * (1.0 / 132 - r * (691.0 / 32760 - r / 12))))));
  return y + __builtin_log(x) - 0.5 / x - tail;
}

// The sum of (q + k)^-s over k >= 0.
double zeta(double s, double q) {
  if (s != s || q != q) return kNaN;
  if (s == 1) return kInf;
  if (s < 1) return kNaN;
  if (q <= 0) {
    if (q == __builtin_floor(q)) return kInf;
    if (s != __builtin_floor(s)) return kNaN;
  }
  double sum = __builtin_pow(q, -s), a = q, term = sum;
  for (int i = 0; i < 10 || a <= 10; ++i) {
    a += 1;
    term = __builtin_pow(a, -s);
    sum += term;
    if (__builtin_fabs(term) < __builtin_fabs(sum) * kTiny) return sum;
  }
  sum += term * a / (s - 1) - 0.5 * term;
  double factor = s * term / a;
  for (int k = 0; k < 9; ++k) {
    const double part = factor * kBernoulli[k];
    sum += part;
    if (__builtin_fabs(part) < __builtin_fabs(sum) * kTiny) break;
    factor *= (s + 2 * k + 1) * (s + 2 * k + 2) / (a * a);
  }
  return sum;
}

inline double polygamma(int64_t n, double x) {
  if (n == 0) return digamma(x);
  if (n == 1 && x < 0.5) {
    const double s = __builtin_sin(kPi * x);
    return kPi * kPi / (s * s) - zeta(2, 1 - x);
  }
  const double order = static_cast<double>(n);
  return (n % 2 ? 1 : -1) * __builtin_exp(lgamma(order + 1)) * zeta(order + 1, x);
}

// log(1 + m) - m
double log1p_minus(double m) {
  if (__builtin_fabs(m) > 0.3) return __builtin_log1p(m) - m;
  double power = m, sum = 0;
  for (int k = 2; k < 60; ++k) {
    power *= -m;
    sum += power / k;
    if (__builtin_fabs(power) < __builtin_fabs(sum) * kTiny) break;
  }
  return sum;
}

// x^a e^-x / gamma(a + 1)
double gamma_density(double a, double x) {
  if (a < 10) return __builtin_exp(a * __builtin_log(x) - x - lgamma(a + 1));
  const double r = 1 / (a * a);
  const double correction = (1.0 / 12 - r * (1.0 / 360 - r * (1.0 / 1260 - r * (1.0 / 1680 - r / 1188)))) / a;
  return __builtin_exp(a * log1p_minus((x - a) / a) - correction) / __builtin_sqrt(kTwoPi * a);
}

// The regularised lower incomplete gamma function of x, or (upper) 1 - that.
inline double igamma(double a, double x, bool upper) {
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
      if (term < sum * kTiny) break;
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
    if (__builtin_fabs(d) < 1e-300) d = 1e-300;
    if (__builtin_fabs(c) < 1e-300) c = 1e-300;
    d = 1 / d;
    f *= d * c;
    if (__builtin_fabs(d * c - 1) < 1e-16) break;
  }
  const double q = density * a * f;
  return upper ? q : 1 - q;
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
