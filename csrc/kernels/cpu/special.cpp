// special.cpp -- special functions, scalar and in double, in parallel over elements.
//
//   gamma family    recurrence up to x >= 10, then Stirling's series; reflection below 1/2
//   zeta            Euler-Maclaurin from 10 terms on
//   erfinv, ndtri   a rough start, then Halley steps on erf or erfc
//   I0, I1          the power series, from |x| = 30 on the asymptotic one
//   K0, K1, Ai      the integral of exp(-x cosh t) cosh(v t) by the trapezoidal rule, which converges as e^(-pi^2 / h)
#include "kernels/special.h"

#include "core/parallel.h"
#include "kernels/cpu/special_gamma.h"
#include "kernels/cpu/special_polynomials.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// ---- Error functions

double erfcx(double x) {
  if (x < 10) {
    // e^(x^2) with the rounding of x^2 put back.
    const double square = x * x, rest = __builtin_fma(x, x, -square);
    const double e = __builtin_exp(square);
    return x < -26.7 ? kInf : (e + e * rest) * __builtin_erfc(x);
  }
  double f = x;  // the continued fraction x + (1/2) / (x + 1 / (x + (3/2) / ...)), from its end
  for (int k = 40; k > 0; --k) f = x + 0.5 * k / f;
  return 0.56418958354775628695 / f;
}

// p in (0, 1/2].
double ndtri_low(double p) {
  const double log_p = __builtin_log(p), t = __builtin_sqrt(-2 * log_p);
  double x = (2.30753 + 0.27061 * t) / (1 + t * (0.99229 + 0.04481 * t)) - t;
  for (int i = 0; i < 3; ++i) {
    // The step in units of the density, so that it neither over- nor underflows.
    const double u = (0.5 * erfcx(-x * kHalfRoot) - __builtin_exp(0.5 * x * x + log_p)) * kRoot2Pi;
    x -= u / (1 + 0.5 * x * u);
  }
  return x;
}
double ndtri(double p) {
  if (!(p >= 0 && p <= 1)) return kNaN;
  if (p == 0 || p == 1) return p == 0 ? -kInf : kInf;
  if (p == 0.5) return 0;
  return p < 0.5 ? ndtri_low(p) : -ndtri_low(1 - p);
}

double erfinv(double x) {
  const double a = __builtin_fabs(x);
  if (!(a < 1)) return a == 1 ? __builtin_copysign(kInf, x) : kNaN;
  if (a > 0.5) return __builtin_copysign(-ndtri_low((1 - a) / 2) * kHalfRoot, x);
  double y = a * 0.88622692545275801365;  // sqrt(pi) / 2
  for (int i = 0; i < 4; ++i) {
    const double u = (__builtin_erf(y) - a) * 0.88622692545275801365 * __builtin_exp(y * y);
    y -= u / (1 + y * u);
  }
  return __builtin_copysign(y, x);
}

double log_ndtr(double x) {
  if (x < -1) return __builtin_log(0.5 * erfcx(-x * kHalfRoot)) - 0.5 * x * x;
  return __builtin_log1p(-0.5 * __builtin_erfc(x * kHalfRoot));
}

// ---- Bessel functions

// e^-|x| I_v(x) for v = 0, 1.
double bessel_i(int order, double x, bool scaled) {
  const double a = __builtin_fabs(x);
  double y;
  if (a < 30) {
    const double q = a * a / 4;
    double term = order ? a / 2 : 1, sum = term;
    for (int k = 1; k < 200; ++k) {
      term *= q / (static_cast<double>(k) * (k + order));
      sum += term;
      if (term < sum * 1e-17) break;
    }
    y = scaled ? sum * __builtin_exp(-a) : sum;
  } else {
    double term = 1, sum = 1;
    const double mu = 4.0 * order;
    for (int k = 1; k < 40; ++k) {
      const double odd = 2.0 * k - 1;
      term *= (odd * odd - mu) / (8 * a * k);
      sum += term;
    }
    // e^a in two halves, so that it does not overflow before the root divides it.
    const double half = __builtin_exp(a / 2);
    y = sum / __builtin_sqrt(kTwoPi * a);
    if (!scaled) y = half * y * half;
    if (a == kInf) y = scaled ? 0 : kInf;
  }
  return order && x < 0 ? -y : y;
}

// e^x K_v(x) for x > 0: the integral of exp(-x (cosh t - 1)) cosh(v t) over t > 0.
double bessel_k_scaled(double v, double x) {
  const double narrow = 0.7 / __builtin_sqrt(x), step = narrow < 0.1875 ? narrow : 0.1875;  // of the peak at 0
  double sum = 0.5;
  for (int i = 1; i < 400; ++i) {
    const double t = step * i, s = __builtin_sinh(t / 2), e = -2 * x * s * s;
    if (e < -45) break;
    sum += __builtin_exp(e) * __builtin_cosh(v * t);
  }
  return sum * step;
}
double bessel_k(int order, double x, bool scaled) {
  if (!(x > 0)) return x == 0 ? kInf : kNaN;
  if (x == kInf) return 0;
  if (x > 1) return bessel_k_scaled(order, x) * (scaled ? 1 : __builtin_exp(-x));
  // Power series around the logarithm.
  const double q = x * x / 4, log_half = __builtin_log(x / 2);
  double term = order ? x / 2 : 1, sum = 0, harmonic = -kEuler;
  for (int k = 0; k < 30; ++k) {
    if (k) {
      term *= q / (static_cast<double>(k) * (k + order));
      harmonic += 1.0 / k;
    }
    sum += order ? term * (log_half - harmonic - 0.5 / (k + 1)) : term * (harmonic - log_half);
  }
  const double y = order ? 1 / x + sum : sum;
  return scaled ? y * __builtin_exp(x) : y;
}

double spherical_j0(double x) {
  const double a = __builtin_fabs(x);
  if (a == kInf) return 0;
  if (a < 0.5) {
    double term = 1, sum = 1;
    for (int k = 1; k < 10; ++k) {
      term *= -x * x / ((2.0 * k) * (2 * k + 1));
      sum += term;
    }
    return sum;
  }
  return __builtin_sin(x) / x;
}

// One step of y'' = x y by Taylor's series: a_(k+2) = (x a_k + a_(k-1)) / ((k+1) (k+2)).
void airy_step(double x, double h, double& y, double& slope) {
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
double airy_ai(double x) {
  if (x != x) return x;
  if (x > 1) {
    if (x > 110) return 0;
    const double z = 2.0 / 3 * x * __builtin_sqrt(x);
    return __builtin_sqrt(x / 3) / kPi * bessel_k_scaled(1.0 / 3, z) * __builtin_exp(-z);
  }
  if (x < -12) {
    if (x == -kInf) return 0;
    // z = 2/3 |x|^(3/2): (sin(z + pi/4) P - cos(z + pi/4) Q) / (sqrt(pi) |x|^(1/4)).
    const double a = -x, z = 2.0 / 3 * a * __builtin_sqrt(a);
    double u = 1, even = 1, odd = 0, power = 1;
    for (int k = 1; k < 16; ++k) {
      u *= (6.0 * k - 5) * (6.0 * k - 3) * (6.0 * k - 1) / (216.0 * k * (2.0 * k - 1));
      power /= z;
      const double term = u * power * (k / 2 % 2 ? -1 : 1);
      (k % 2 ? odd : even) += term;
    }
    const double s = z + kPi / 4;
    return (__builtin_sin(s) * even - __builtin_cos(s) * odd) /
           (__builtin_sqrt(kPi) * __builtin_sqrt(__builtin_sqrt(a)));
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

double sinc(double x) {
  const double p = kPi * x;
  return x == 0 ? 1 : __builtin_sin(p) / p;
}
double entr(double x) {
  if (x != x) return x;
  return x > 0 ? -x * __builtin_log(x) : x == 0 ? 0 : -kInf;
}
double log_add(double a, double b, bool binary) {
  if (a == b && a - a != 0) return a;
  const double high = a > b || a != a ? a : b, low = a > b || a != a ? b : a;
  return high + (binary ? __builtin_log1p(__builtin_exp2(low - high)) * 1.44269504088896340736
                        : __builtin_log1p(__builtin_exp(low - high)));
}
double frexp_part(double x, bool exponent) {
  int e = 0;
  const double m = __builtin_frexp(x, &e);
  if (x - x != 0) return exponent ? 0 : x;
  return exponent ? e : m;
}

template <class T, class F>
void each(void* y, const void* x, int64_t n, F f) {
  parallel_for(0, n, grain_for(40), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      static_cast<T*>(y)[i] = static_cast<T>(f(static_cast<double>(static_cast<const T*>(x)[i])));
  });
}
template <class T, class F>
void each(void* y, const void* a, const void* b, int64_t n, F f) {
  parallel_for(0, n, grain_for(40), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      static_cast<T*>(y)[i] = static_cast<T>(f(static_cast<const T*>(a)[i], static_cast<const T*>(b)[i]));
  });
}

template <class T>
void run1(Special1 op, void* y, const void* x, int64_t n, double param) {
  switch (op) {
#define PYNN_CASE(name, expr) \
  case Special1::name:        \
    return each<T>(y, x, n, [=](double v) { return expr; });
    PYNN_CASE(Lgamma, lgamma(v))
    PYNN_CASE(Digamma, digamma(v))
    PYNN_CASE(Polygamma, polygamma(static_cast<int64_t>(param), v))
    PYNN_CASE(Erfinv, erfinv(v))
    PYNN_CASE(Erfcx, erfcx(v))
    PYNN_CASE(Ndtri, ndtri(v))
    PYNN_CASE(LogNdtr, log_ndtr(v))
    PYNN_CASE(Entr, entr(v))
    PYNN_CASE(Sinc, sinc(v))
    PYNN_CASE(I0, bessel_i(0, v, false))
    PYNN_CASE(I0e, bessel_i(0, v, true))
    PYNN_CASE(I1, bessel_i(1, v, false))
    PYNN_CASE(I1e, bessel_i(1, v, true))
    PYNN_CASE(K0, bessel_k(0, v, false))
    PYNN_CASE(K0e, bessel_k(0, v, true))
    PYNN_CASE(K1, bessel_k(1, v, false))
    PYNN_CASE(K1e, bessel_k(1, v, true))
    PYNN_CASE(J0, __builtin_j0(v))
    PYNN_CASE(J1, __builtin_j1(v))
    PYNN_CASE(Y0, v < 0 ? kNaN : __builtin_y0(v))
    PYNN_CASE(Y1, v < 0 ? kNaN : __builtin_y1(v))
    PYNN_CASE(SphericalJ0, spherical_j0(v))
    PYNN_CASE(AiryAi, airy_ai(v))
    PYNN_CASE(FrexpMantissa, frexp_part(v, false))
    PYNN_CASE(FrexpExponent, frexp_part(v, true))
#undef PYNN_CASE
    default:
      no_loop("special", DTypeOf<T>::value);
  }
}

PYNN_INLINE float next_after(float a, float b) { return __builtin_nextafterf(a, b); }
PYNN_INLINE double next_after(double a, double b) { return __builtin_nextafter(a, b); }

template <class T>
void run2(Special2 op, void* y, const void* a, const void* b, int64_t n) {
  switch (op) {
#define PYNN_CASE(name, expr)                           \
  case Special2::name:                                  \
    return each<T>(y, a, b, n, [](T s, T t) -> double { \
      const double u = s, v = t;                        \
      (void)u, (void)v;                                 \
      return expr;                                      \
    });
    PYNN_CASE(Xlogy, v != v ? kNaN : u == 0 ? 0 : u * __builtin_log(v))
    PYNN_CASE(Xlog1py, v != v ? kNaN : u == 0 ? 0 : u * __builtin_log1p(v))
    PYNN_CASE(Hypot, __builtin_hypot(u, v))
    PYNN_CASE(Copysign, __builtin_copysign(u, v))
    PYNN_CASE(Nextafter, next_after(s, t))
    PYNN_CASE(LogAddExp, log_add(u, v, false))
    PYNN_CASE(LogAddExp2, log_add(u, v, true))
    PYNN_CASE(Zeta, zeta(u, v))
    PYNN_CASE(Igamma, igamma(u, v, false))
    PYNN_CASE(Igammac, igamma(u, v, true))
    PYNN_CASE(ChebyshevT, chebyshev(u, v, 0))
    PYNN_CASE(ChebyshevU, chebyshev(u, v, 1))
    PYNN_CASE(ChebyshevV, chebyshev(u, v, 2))
    PYNN_CASE(ChebyshevW, chebyshev(u, v, 3))
    PYNN_CASE(HermiteH, hermite(u, v, true))
    PYNN_CASE(HermiteHe, hermite(u, v, false))
    PYNN_CASE(LaguerreL, laguerre(u, v))
    PYNN_CASE(LegendreP, legendre(u, v))
#undef PYNN_CASE
    default:
      no_loop("special", DTypeOf<T>::value);
  }
}

}  // namespace

void special_unary(Special1 op, DType type, void* y, const void* x, int64_t n, double param) {
  type == DType::Float32 ? run1<float>(op, y, x, n, param) : run1<double>(op, y, x, n, param);
}
void special_binary(Special2 op, DType type, void* y, const void* a, const void* b, int64_t n) {
  type == DType::Float32 ? run2<float>(op, y, a, b, n) : run2<double>(op, y, a, b, n);
}

void common_divisor(bool multiple, int64_t* y, const int64_t* a, const int64_t* b, int64_t n) {
  parallel_for(0, n, grain_for(30), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const uint64_t u = a[i] < 0 ? 0 - static_cast<uint64_t>(a[i]) : static_cast<uint64_t>(a[i]);
      const uint64_t v = b[i] < 0 ? 0 - static_cast<uint64_t>(b[i]) : static_cast<uint64_t>(b[i]);
      uint64_t p = u, q = v;
      while (q) {
        const uint64_t r = p % q;
        p = q;
        q = r;
      }
      y[i] = static_cast<int64_t>(!multiple ? p : p ? u / p * v : 0);
    }
  });
}

}  // namespace PYNN_CPU_NAMESPACE
