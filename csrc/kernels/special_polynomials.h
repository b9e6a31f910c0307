// special_polynomials.h -- orthogonal polynomials for special.cpp, by their recurrences. Below degree 0 they are 0,
// above 10^6 NaN.
#pragma once
#include <cstdint>

namespace PYNN_SPECIAL_NAMESPACE {
namespace {

constexpr double kMaxDegree = 1e6;  // beyond it the result is NaN: a recurrence would take too long

// p_(k+1) = next(k, p_k, p_(k-1)) from p_0 = 1 and p_1 = first.
template <class F>
PYNN_FN double recur(double degree, double first, F next) {
  if (degree != degree) return degree;
  if (degree <= -1) return 0;  // degrees are cut to integers
  if (degree > kMaxDegree) return kNaN;
  const int64_t n = static_cast<int64_t>(degree);
  if (n == 0) return 1;
  double before = 1, now = first;
  for (int64_t k = 1; k < n && now == now; ++k) {
    const double p = next(static_cast<double>(k), now, before);
    before = now;
    now = p;
  }
  return now;
}

// T, U, V, W: they differ in degree 1.
PYNN_FN double chebyshev(double x, double degree, int kind) {
  const double first[] = {x, 2 * x, 2 * x - 1, 2 * x + 1};
  return recur(degree, first[kind], [x](double, double p, double q) { return 2 * x * p - q; });
}
PYNN_FN double hermite(double x, double degree, bool physicist) {
  if (physicist) return recur(degree, 2 * x, [x](double k, double p, double q) { return 2 * (x * p - k * q); });
  return recur(degree, x, [x](double k, double p, double q) { return x * p - k * q; });
}
PYNN_FN double laguerre(double x, double degree) {
  return recur(degree, 1 - x, [x](double k, double p, double q) { return ((2 * k + 1 - x) * p - k * q) / (k + 1); });
}
PYNN_FN double legendre(double x, double degree) {
  return recur(degree, x, [x](double k, double p, double q) { return ((2 * k + 1) * x * p - k * q) / (k + 1); });
}

}  // namespace
}  // namespace PYNN_SPECIAL_NAMESPACE
