// special_functions.h -- special functions, scalar and in double, for the kernels of every device.
//
// Whoever includes this says first where the functions go and what they are made with:
//   PYNN_SPECIAL_NAMESPACE, PYNN_FN (what stands before a function), PYNN_CONSTANT (before a table), PYNN_MATH(name)
//
//   gamma family    recurrence up to x >= 10, then Stirling's series; reflection below 1/2
//   zeta            Euler-Maclaurin from 10 terms on
//   erfinv, ndtri   a rough start, then Halley steps on erf or erfc
//   I0, I1          the power series, from |x| = 30 on the asymptotic one
//   K0, K1, Ai      the integral of exp(-x cosh t) cosh(v t) by the trapezoidal rule, which converges as e^(-pi^2 / h)
#pragma once
#include <cstdint>

#include "kernels/special_gamma.h"
#include "kernels/special_polynomials.h"

namespace PYNN_SPECIAL_NAMESPACE {
namespace {

// ---- Error functions

PYNN_FN double erfcx(double x) {
  if (x < 10) {
    // e^(x^2) with the rounding of x^2 put back.
    const double square = x * x, rest = PYNN_MATH(fma)(x, x, -square);
    const double e = PYNN_MATH(exp)(square);
    return x < -26.7 ? kInf : (e + e * rest) * PYNN_MATH(erfc)(x);
  }
  double f = x;  // the continued fraction x + (1/2) / (x + 1 / (x + (3/2) / ...)), from its end
  for (int k = 40; k > 0; --k) f = x + 0.5 * k / f;
  return 0.56418958354775628695 / f;
}

// p in (0, 1/2].
PYNN_FN double ndtri_low(double p) {
  const double log_p = PYNN_MATH(log)(p), t = PYNN_MATH(sqrt)(-2 * log_p);
  double x = (2.30753 + 0.27061 * t) / (1 + t * (0.99229 + 0.04481 * t)) - t;
  for (int i = 0; i < 3; ++i) {
    // The step in units of the density, so that it neither over- nor underflows.
    const double u = (0.5 * erfcx(-x * kHalfRoot) - PYNN_MATH(exp)(0.5 * x * x + log_p)) * kRoot2Pi;
    x -= u / (1 + 0.5 * x * u);
  }
  return x;
}
PYNN_FN double ndtri(double p) {
  if (!(p >= 0 && p <= 1)) return kNaN;
  if (p == 0 || p == 1) return p == 0 ? -kInf : kInf;
  if (p == 0.5) return 0;
  return p < 0.5 ? ndtri_low(p) : -ndtri_low(1 - p);
}

PYNN_FN double erfinv(double x) {
  const double a = PYNN_MATH(fabs)(x);
  if (!(a < 1)) return a == 1 ? PYNN_MATH(copysign)(kInf, x) : kNaN;
  if (a > 0.5) return PYNN_MATH(copysign)(-ndtri_low((1 - a) / 2) * kHalfRoot, x);
  double y = a * 0.88622692545275801365;  // sqrt(pi) / 2
  for (int i = 0; i < 4; ++i) {
    const double u = (PYNN_MATH(erf)(y) - a) * 0.88622692545275801365 * PYNN_MATH(exp)(y * y);
    y -= u / (1 + y * u);
  }
  return PYNN_MATH(copysign)(y, x);
}

PYNN_FN double logit(double x, double eps) {
  if (eps >= 0) x = x < eps ? eps : x > 1 - eps ? 1 - eps : x;
  return PYNN_MATH(log)(x / (1 - x));
}

PYNN_FN double log_ndtr(double x) {
  if (x < -1) return PYNN_MATH(log)(0.5 * erfcx(-x * kHalfRoot)) - 0.5 * x * x;
  return PYNN_MATH(log1p)(-0.5 * PYNN_MATH(erfc)(x * kHalfRoot));
}

// ---- Bessel functions

// e^-|x| I_v(x) for v = 0, 1.
PYNN_FN double bessel_i(int order, double x, bool scaled) {
  const double a = PYNN_MATH(fabs)(x);
  double y;
  if (a < 30) {
    const double q = a * a / 4;
    double term = order ? a / 2 : 1, sum = term;
    for (int k = 1; k < 200; ++k) {
      term *= q / (static_cast<double>(k) * (k + order));
      sum += term;
      if (term < sum * 1e-17) break;
    }
    y = scaled ? sum * PYNN_MATH(exp)(-a) : sum;
  } else {
    double term = 1, sum = 1;
    const double mu = 4.0 * order;
    for (int k = 1; k < 40; ++k) {
      const double odd = 2.0 * k - 1;
      term *= (odd * odd - mu) / (8 * a * k);
      sum += term;
    }
    // e^a in two halves, so that it does not overflow before the root divides it.
    const double half = PYNN_MATH(exp)(a / 2);
    y = sum / PYNN_MATH(sqrt)(kTwoPi * a);
    if (!scaled) y = half * y * half;
    if (a == kInf) y = scaled ? 0 : kInf;
  }
  return order && x < 0 ? -y : y;
}

// e^x K_v(x) for x > 0: the integral of exp(-x (cosh t - 1)) cosh(v t) over t > 0.
PYNN_FN double bessel_k_scaled(double v, double x) {
  const double narrow = 0.7 / PYNN_MATH(sqrt)(x), step = narrow < 0.1875 ? narrow : 0.1875;  // of the peak at 0
  double sum = 0.5;
  for (int i = 1; i < 400; ++i) {
    const double t = step * i, s = PYNN_MATH(sinh)(t / 2), e = -2 * x * s * s;
    if (e < -45) break;
    sum += PYNN_MATH(exp)(e) * PYNN_MATH(cosh)(v * t);
  }
  return sum * step;
}
PYNN_FN double bessel_k(int order, double x, bool scaled) {
  if (!(x > 0)) return x == 0 ? kInf : kNaN;
  if (x == kInf) return 0;
  if (x > 1) return bessel_k_scaled(order, x) * (scaled ? 1 : PYNN_MATH(exp)(-x));
  // Power series around the logarithm.
  const double q = x * x / 4, log_half = PYNN_MATH(log)(x / 2);
  double term = order ? x / 2 : 1, sum = 0, harmonic = -kEuler;
  for (int k = 0; k < 30; ++k) {
    if (k) {
      term *= q / (static_cast<double>(k) * (k + order));
      harmonic += 1.0 / k;
    }
    sum += order ? term * (log_half - harmonic - 0.5 / (k + 1)) : term * (harmonic - log_half);
  }
  const double y = order ? 1 / x + sum : sum;
  return scaled ? y * PYNN_MATH(exp)(x) : y;
}

PYNN_FN double spherical_j0(double x) {
  const double a = PYNN_MATH(fabs)(x);
  if (a == kInf) return 0;
  if (a < 0.5) {
    double term = 1, sum = 1;
    for (int k = 1; k < 10; ++k) {
      term *= -x * x / ((2.0 * k) * (2 * k + 1));
      sum += term;
    }
    return sum;
  }
  return PYNN_MATH(sin)(x) / x;
}

// One step of y'' = x y by Taylor's series: a_(k+2) = (x a_k + a_(k-1)) / ((k+1) (k+2)).
PYNN_FN void airy_step(double x, double h, double& y, double& slope) {
  double before = 0, a = y, b = slope, power = h;
  double sum = a + b * h, derivative = b;
  for (int k = 0; k < 60; ++k) {
    const double c = (x * a + before) / ((k + 1.0) * (k + 2));
    derivative += (k + 2) * c * power;
    power *= h;
    sum += c * power;
    before = a, a = b, b = c;
  }
  y = sum;
  slope = derivative;
}
PYNN_FN double airy_ai(double x) {
  if (x != x) return x;
  if (x > 1) {
    if (x > 110) return 0;
    const double z = 2.0 / 3 * x * PYNN_MATH(sqrt)(x);
    return PYNN_MATH(sqrt)(x / 3) / kPi * bessel_k_scaled(1.0 / 3, z) * PYNN_MATH(exp)(-z);
  }
  if (x < -12) {
    if (x == -kInf) return 0;
    // z = 2/3 |x|^(3/2): (sin(z + pi/4) P - cos(z + pi/4) Q) / (sqrt(pi) |x|^(1/4)).
    const double a = -x, z = 2.0 / 3 * a * PYNN_MATH(sqrt)(a);
    double u = 1, even = 1, odd = 0, power = 1;
    for (int k = 1; k < 16; ++k) {
      u *= (6.0 * k - 5) * (6.0 * k - 3) * (6.0 * k - 1) / (216.0 * k * (2.0 * k - 1));
      power /= z;
      const double term = u * power * (k / 2 % 2 ? -1 : 1);
      (k % 2 ? odd : even) += term;
    }
    const double s = z + kPi / 4;
    return (PYNN_MATH(sin)(s) * even - PYNN_MATH(cos)(s) * odd) /
           (PYNN_MATH(sqrt)(kPi) * PYNN_MATH(sqrt)(PYNN_MATH(sqrt)(a)));
  }
  double at = 0, y = 0.35502805388781723926, slope = -0.25881940379280679840;
  while (at != x) {
    const double h = x - at < -1 ? -1 : x - at;
    airy_step(at, h, y, slope);
    at = h == -1 ? at - 1 : x;
  }
  return y;
}

// ---- The rest

PYNN_FN double sinc(double x) {
  const double p = kPi * x;
  return x == 0 ? 1 : PYNN_MATH(sin)(p) / p;
}
PYNN_FN double entr(double x) {
  if (x != x) return x;
  return x > 0 ? -x * PYNN_MATH(log)(x) : x == 0 ? 0 : -kInf;
}
PYNN_FN double log_add(double a, double b, bool binary) {
  if (a == b && a - a != 0) return a;
  const double high = a > b || a != a ? a : b, low = a > b || a != a ? b : a;
  return high + (binary ? PYNN_MATH(log1p)(PYNN_MATH(exp2)(low - high)) * 1.44269504088896340736
                        : PYNN_MATH(log1p)(PYNN_MATH(exp)(low - high)));
}
PYNN_FN double frexp_part(double x, bool exponent) {
  int e = 0;
  const double m = PYNN_MATH(frexp)(x, &e);
  if (x - x != 0) return exponent ? 0 : x;
  return exponent ? e : m;
}

}  // namespace
}  // namespace PYNN_SPECIAL_NAMESPACE
