// random_gamma.cpp -- derivatives of incomplete gamma and beta functions by their parameters, at a fixed quantile.
//
// Series and continued fractions of the functions themselves, carried out on pairs (value, derivative). Each is used
// on the side of the mean where its terms have one sign, so that nothing cancels.
#include "kernels/random_gamma.h"

#include "core/parallel.h"

#define PYNN_SPECIAL_NAMESPACE PYNN_CPU_NAMESPACE
#define PYNN_FN inline
#define PYNN_CONSTANT constexpr
#define PYNN_MATH(name) __builtin_##name
#include "kernels/special_gamma.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr double kEps = 1e-16;
constexpr int kMaxTerms = 100000;

struct Dual {
  double v, d = 0;  // a value, and its derivative by the parameter
};
PYNN_INLINE Dual operator+(Dual a, Dual b) { return {a.v + b.v, a.d + b.d}; }
PYNN_INLINE Dual operator*(Dual a, Dual b) { return {a.v * b.v, a.v * b.d + a.d * b.v}; }
PYNN_INLINE Dual operator/(Dual a, Dual b) {
  const double q = a.v / b.v;
  return {q, (a.d - q * b.d) / b.v};
}

// b0 + a1 / (b1 + a2 / (b2 + ...)) from the front (Lentz); step(i) gives {a_i, b_i}.
template <class F>
Dual continued_fraction(Dual b0, F step) {
  Dual value = b0, c = b0, d = {0};
  for (int i = 1; i < kMaxTerms; ++i) {
    const auto [a, b] = step(i);
    d = b + a * d;
    if (d.v == 0) d.v = 1e-300;
    d = Dual{1} / d;
    c = b + a / c;
    if (c.v == 0) c.v = 1e-300;
    const Dual factor = c * d;
    value = value * factor;
    if (__builtin_fabs(factor.v - 1) < 4 * kEps &&
        __builtin_fabs(factor.d * value.v) <= 4 * kEps * __builtin_fabs(value.d) + 1e-300)
      break;
  }
  return value;
}
struct Pair {
  Dual a, b;
};

double gamma_slope_one(double a, double x) {
  if (!(a > 0) || x != x) return kNaN;
  if (!(x > 0)) return 0;
  if (a > 1e8) return 1 + 0.5 * (x - a) / a;  // x = a + sqrt(a) z + ..., z fixed
  const double log_x = __builtin_log(x);
  if (x < a + 1) {
    // F / F' is the sum over k of the products x / a * ... * x / (a + k).
    double term = x / a, psi = digamma(a + 1), sum = 0;
    for (int k = 1; k < kMaxTerms; ++k) {
      const double part = term * (psi - log_x);
      sum += part;
      if (__builtin_fabs(part) < kEps * __builtin_fabs(sum) && term < 1) break;
      psi += 1 / (a + k);
      term *= x / (a + k);
    }
    return sum;
  }
  // (1 - F) / F' = x / (x + 1 - a - 1 (1 - a) / (x + 3 - a - 2 (2 - a) / ...)).
  const Dual below = continued_fraction(
      {x + 1 - a, -1}, [=](int i) { return Pair{{-i * (i - a), static_cast<double>(i)}, {x + 1 - a + 2 * i, -1}}; });
  const Dual f = Dual{x} / below;
  return f.v * (log_x - digamma(a)) + f.d;
}

// The fraction K of I_x(p, q) = x^p (1 - x)^q / (p B(p, q)) / K.
Dual beta_fraction(Dual p, Dual q, double x) {
  return continued_fraction({1}, [=](int i) {
    const double m = i / 2;
    const Dual top = i % 2 ? (p + Dual{m}) * (p + q + Dual{m}) * Dual{-x} : Dual{m * x} * (q + Dual{-m});
    const Dual at = p + Dual{2 * m};
    return Pair{i % 2 ? top / (at * (at + Dual{1})) : top / (at * (at + Dual{-1})), {1}};
  });
}

double beta_slope_one(double x, double a, double total) {
  const double b = total - a, y = 1 - x;
  if (!(a > 0) || !(b > 0) || x != x) return kNaN;
  if (!(x > 0)) return 0;
  const double score = __builtin_log(x) - digamma(a) + digamma(total);
  if (x * (total + 2) < a + 1) {
    const Dual k = beta_fraction({a, 1}, {b}, x);
    return -x / a / k.v * (score - 1 / a - k.d / k.v);
  }
  const Dual k = beta_fraction({b}, {a, 1}, y);
  return x / b / k.v * (score - k.d / k.v);
}

}  // namespace

void gamma_slope(double* slope, const double* a, const double* x, int64_t n) {
  parallel_for(0, n, grain_for(200), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) slope[i] = gamma_slope_one(a[i], x[i]);
  });
}
void beta_slope(double* slope, const double* x, const double* a, const double* total, int64_t n) {
  parallel_for(0, n, grain_for(200), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) slope[i] = beta_slope_one(x[i], a[i], total[i]);
  });
}

}  // namespace PYNN_CPU_NAMESPACE
