// special.cpp -- special functions of one and two operands, in parallel over elements.
#include "kernels/special.h"

#include "core/parallel.h"
#include "kernels/cpu/loops_impl.h"
#include "kernels/cpu/vec_math.h"

#define PYNN_SPECIAL_NAMESPACE PYNN_CPU_NAMESPACE
#define PYNN_FN inline
#define PYNN_CONSTANT constexpr
#define PYNN_MATH(name) __builtin_##name
#include "kernels/special_functions.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

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

// ---- Of vectors: float alone, but sinc

template <class T, class F>
void each_register(double ns, void* y, const void* x, int64_t n, F f) {
  parallel_for(0, n, grain_for(ns), [&](int64_t begin, int64_t end) {
    each_long<1>(static_cast<T*>(y) + begin, {static_cast<const T*>(x) + begin}, {1}, end - begin, f);
  });
}

// sin(pi r) / (pi r) of |r| <= 1/2 is 1 + a z + z^2 times this, z = r^2.
constexpr double kSincSlope = -1.6449340668482264;  // a
template <class V>
PYNN_INLINE V sinc_short(V z) {
  return poly(z, 0.811742171, -0.190747623, 0.0261162052, -0.00223522394);
}
PYNN_INLINE VecF sinc_poly(VecF z) { return sinc_short(z); }
PYNN_INLINE VecD sinc_poly(VecD z) {  // Taylor's series
  return poly(z, 0.8117424252833536, -0.19075182412208421, 0.026147847817654800, -0.0023460810354558236,
              0.00014842879303107100, -6.9758736616563804e-06, 2.5312174041370276e-07, -7.3047118222177748e-09,
              1.7165384749821433e-10, -3.3481335350440667e-12);
}
// sin(pi x) / (pi x): with x = k + r, (-1)^k r / x of that polynomial. So it is exact for every x, and 0 at whole ones.
template <class T>
PYNN_INLINE Vec<T> sinc(Vec<T> x) {
  using V = Vec<T>;
  const V k = round(x), r = x - k, half = constant<V>(0.5) * k, z = r * r;
  const V odd = half - floor(half);  // 0 or 1/2
  const V signed_r = r - constant<V>(4) * odd * r;
  V y;
  if constexpr (sizeof(T) == 4 && !kHasFma) {  // more roundings, so in double
    VecD r0, r1, x0, x1;
    widen(signed_r, r0, r1), widen(x, x0, x1);
    const auto wide = [](VecD r, VecD x) __attribute__((always_inline)) {
      const VecD z = r * r;
      return fma(r * z, fma(z, sinc_short(z), VecD(kSincSlope)), r) / x;
    };
    y = narrow(wide(r0, x0), wide(r1, x1));
  } else {
    const V inverse = V(1) / x, q = signed_r * inverse, rest = product_rest(q, x, signed_r);  // r / x and what it lost
    y = q + fma(q * z, constant<V>(kSincSlope), fma(q * z * z, sinc_poly(z), -rest * inverse));
  }
  return select(abs(x) < constant<V>(1e-10), V(1), y);
}

// x + x p(w - 1), w = -log(1 - x^2), or x q(sqrt w) where w is large; the polynomials to 2^-26. Those of w itself and
// of w - 5 / 2 would lose more to rounding.
template <class V>
PYNN_INLINE V erfinv_short(V x, V w) {
  const V p = poly(w - V(1), 0.127374399, 0.24783289, 0.00425064287, -0.00237644275, 0.00010028136, 3.8228995e-05,
                   -4.4016e-06, -5.246834e-07, 1.419091e-07, -8.790836e-09);
  const V q = poly(sqrt(w) - constant<V>(3.1f), 2.93323166, 1.00335607, 0.00746120087, -0.0056953586, 0.00410930675,
                   -0.00272178702, 0.00136381383, -0.000285171225, -0.000202655753, 0.000128964209);
  return select(w < V(5), fma(x, p, x), x * q);
}
PYNN_INLINE VecF erfinv(VecF x) {
  const VecF y = erfinv_short(x, -log((VecF(1) - x) * (VecF(1) + x)));  // NaN for |x| > 1
  return select(abs(x) == VecF(1), x * VecF(__builtin_huge_valf()), y);
}
// x + x p(w - 5 / 2), p to 2^-55. Where w is above 5: the short one, then a step by Halley on erfc; and beyond what
// that was made for, two steps from the root of w + log 2 - log(pi (w + log 2)) / 2.
PYNN_INLINE VecD erfinv(VecD x) {
  const VecD a = abs(x), one(1), half(0.5);
  const VecD w = -log(kHasFma ? fnma(a, a, one) : (one - a) * (one + a)), v = w - VecD(2.5);
  VecD y =
      fma(poly_by_two(v, 0.5014093511107919, 0.246640276744167, -0.004177317724382887, -0.0012527079078109066,
                      0.00021825026433935945, -4.996079599279791e-06, -3.416619584862394e-06, 4.78725219198754e-07,
                      1.3416788811913557e-08, -1.0861169521763927e-08, 9.073147838739175e-10, 1.1960729171935375e-10,
                      -3.110795974484731e-11, 9.114669783363668e-13, 5.3717803411669e-13, -7.610626530191807e-14,
                      -3.177077584174987e-15, 1.8941456297431503e-15, -1.0138086192836234e-16, -2.6645648809770092e-17,
                      2.538203868845463e-18, 1.64533799430872e-19),
          a, a);
  const auto outer = w > VecD(5), far = w > VecD(16);
  if (any(outer)) [[unlikely]] {
    VecD z = erfinv_short(a, w);
    int steps = 1;
    if (any(far)) {
      const VecD u = w + VecD(kLn2);
      z = select(far, sqrt(u - half * log(VecD(3.14159265358979323846) * u)), z);
      steps = 2;
    }
    for (; steps > 0; --steps) {
      const VecD u = ((one - a) - erfc_outer(z)) * exp(z * z) * VecD(0.88622692545275801365);  // sqrt(pi) / 2
      z = z - u / fma(z, u, one);
    }
    y = select(outer, z, y);
  }
  return copysign(select(a == one, VecD(__builtin_huge_val()), y), x);
}

// log(x / (1 - x)) of x clamped to [eps, 1 - eps], or eps < 0 of x.
template <class T>
PYNN_INLINE Vec<T> logit(Vec<T> x, T eps) {
  using V = Vec<T>;
  if (eps >= 0) x = min(V(1 - eps), max(V(eps), x));  // NaN stays
  return log(x / (V(1) - x));
}

// In double, since float would lose the digits next to the zeros. With a = |x|, z = a, or a + 7 where a < 7, and q the
// product of the numbers from a up to z: log gamma(a) = S(z) - log q, S Stirling's series. Below 0 it is
// log(pi / (a |sin(pi a)|)) - log gamma(a).
PYNN_INLINE VecD lgamma_wide(VecD x) {
  const VecD a = abs(x), one(1);
  const auto small = a < VecD(7);
  const VecD z = select(small, a + VecD(7), a), i = one / z;
  VecD q = a;
  for (int k = 1; k < 7; ++k) q *= a + VecD(k);
  q = select(small, q, one);
  const VecD series = i * poly(i * i, 1.0 / 12, -1.0 / 360, 1.0 / 1260, -1.0 / 1680, 1.0 / 1188, -691.0 / 360360,
                               1.0 / 156, -3617.0 / 122400);
  const VecD stirling = fma(z - VecD(0.5), log(z), VecD(0.91893853320467274178) - z) + series;
  const VecD r = abs(a - round(a)), square = r * r;
  const VecD sine = fma(r * square, fma(square, sinc_poly(square), VecD(kSincSlope)), r);  // / pi
  const auto below = x < VecD(0);
  const VecD rest = log(select(below, q / (a * sine), one / q));
  const VecD y = select(below, rest - stirling, rest + stirling);
  const auto zero = (x == one) | (x == VecD(2));
  return select(zero, VecD(0), select(a == VecD(__builtin_huge_val()), a, y));
}
PYNN_INLINE VecF lgamma(VecF x) {
  VecD low, high;
  widen(x, low, high);
  return narrow(lgamma_wide(low), lgamma_wide(high));
}

// The same way: with q' the derivative of q, digamma(a) = S'(z) - q' / q. Below 0 it is digamma(a) + 1 / a - pi /
// tan(pi x).
PYNN_INLINE VecD digamma_wide(VecD x) {
  const VecD a = abs(x), one(1);
  const auto small = a < VecD(7);
  const VecD z = select(small, a + VecD(7), a), i = one / z, square = i * i;
  VecD q = a, slope = one;
  for (int k = 1; k < 7; ++k) {
    const VecD next = a + VecD(k);
    slope = fma(slope, next, q), q *= next;
  }
  const VecD tail = square * poly(square, 1.0 / 12, -1.0 / 120, 1.0 / 252, -1.0 / 240, 1.0 / 132, -691.0 / 32760,
                                  1.0 / 12, -3617.0 / 8160);
  VecD y = log(z) - fma(i, VecD(0.5), tail) - select(small, slope / q, VecD(0));
  y = select(a == VecD(__builtin_huge_val()), a, y);
  const auto below = x < VecD(0);
  if (any(below)) {
    const VecD pi(3.14159265358979323846), turn = (a - round(a)) * pi;
    const VecD reflected = y + one / a + pi / tan(turn);
    y = select(below, select(turn == VecD(0), VecD(__builtin_nan("")), reflected), y);
  }
  return select(x == VecD(0), copysign(VecD(__builtin_huge_val()), -x), y);
}
PYNN_INLINE VecF digamma(VecF x) {
  VecD low, high;
  widen(x, low, high);
  return narrow(digamma_wide(low), digamma_wide(high));
}

// Below 1/2 by reflection. Two terms of the sum at a time, for fewer divisions; then the asymptotic series.
PYNN_INLINE VecD trigamma_wide(VecD x) {
  const VecD one(1);
  const auto below = x < VecD(0.5);
  const VecD a = select(below, one - x, x), i = one / (a + VecD(6)), square = i * i;
  VecD y = i + square * fma(i, poly(square, 1.0 / 6, -1.0 / 30, 1.0 / 42, -1.0 / 30, 5.0 / 66), VecD(0.5));
  for (int k = 0; k < 6; k += 2) {
    const VecD u = a + VecD(k), v = a + VecD(k + 1), inverse = one / (u * v);
    y += fma(u, u, v * v) * inverse * inverse;
  }
  y = select(a == VecD(__builtin_huge_val()), VecD(0), y);
  if (!any(below)) return y;
  const VecD cosecant = VecD(3.14159265358979323846) / sin((x - round(x)) * VecD(3.14159265358979323846));
  return select(below, cosecant * cosecant - y, y);
}
PYNN_INLINE VecF trigamma(VecF x) {
  VecD low, high;
  widen(x, low, high);
  return narrow(trigamma_wide(low), trigamma_wide(high));
}

template <class T>
void run1(Special1 op, void* y, const void* x, int64_t n, double param) {
  if (op == Special1::Sinc)
    return each_register<T>(1, y, x, n, [](Vec<T> v) __attribute__((always_inline)) { return sinc(v); });
  if (op == Special1::Logit)
    return each_register<T>(
        1, y, x, n, [eps = static_cast<T>(param)](Vec<T> v) __attribute__((always_inline)) { return logit(v, eps); });
  if (op == Special1::Erfinv)
    return each_register<T>(2, y, x, n, [](Vec<T> v) __attribute__((always_inline)) { return erfinv(v); });
  if constexpr (std::is_same_v<T, float>) {
    if (op == Special1::Polygamma && param == 1)
      return each_register<float>(4, y, x, n, [](VecF v) __attribute__((always_inline)) { return trigamma(v); });
    if (op == Special1::Digamma)
      return each_register<float>(4, y, x, n, [](VecF v) __attribute__((always_inline)) { return digamma(v); });
    if (op == Special1::Lgamma)
      return each_register<float>(4, y, x, n, [](VecF v) __attribute__((always_inline)) { return lgamma(v); });
  }
  switch (op) {
#define PYNN_CASE(name, expr) \
  case Special1::name:        \
    return each<T>(y, x, n, [=](double v) { return expr; });
    PYNN_CASE(Lgamma, lgamma(v))
    PYNN_CASE(Digamma, digamma(v))
    PYNN_CASE(Polygamma, polygamma(static_cast<int64_t>(param), v))
    PYNN_CASE(Erfcx, erfcx(v))
    PYNN_CASE(Ndtri, ndtri(v))
    PYNN_CASE(LogNdtr, log_ndtr(v))
    PYNN_CASE(Entr, entr(v))
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

// Those that have a formula of vectors. float: hypot squares in double, where that cannot overflow.
template <class T, class F>
void each_register(void* y, const void* a, const void* b, int64_t n, F f) {
  constexpr int L = Vec<T>::kSize;
  parallel_for(0, n, grain_for(2), [&](int64_t begin, int64_t end) {
    const T *p = static_cast<const T*>(a), *q = static_cast<const T*>(b);
    for (int64_t i = begin; i < end; i += L)
      f(Vec<T>::load(p + i, end - i), Vec<T>::load(q + i, end - i)).store(static_cast<T*>(y) + i, end - i);
  });
}
// Of two of the same infinity it is that one. To base 2: the logarithm of 1 + 2^d, times 1 / log(2).
template <class T>
PYNN_INLINE Vec<T> log_add(Vec<T> a, Vec<T> b) {
  const Vec<T> top = maximum(a, b), d = minimum(a, b) - top;
  return select((a == b) & (d != d), a, top + log1p(exp(d)));
}
template <class T>
PYNN_INLINE Vec<T> log_add2(Vec<T> a, Vec<T> b) {
  const Vec<T> top = maximum(a, b), d = minimum(a, b) - top;
  return select((a == b) & (d != d), a, fma(log1p(exp2(d)), constant<Vec<T>>(kLog2E), top));
}
// 0 where x is 0, but for a NaN of y.
template <class T>
PYNN_INLINE Vec<T> times_log(Vec<T> x, Vec<T> y, Vec<T> log_y) {
  return select(y != y, y, select(x == Vec<T>(0), Vec<T>(0), x * log_y));
}
// The next magnitude has the next bits.
template <class T>
PYNN_INLINE Vec<T> next_after(Vec<T> a, Vec<T> b) {
  using V = Vec<T>;
  using I = Vec<typename V::Int>;
  const I inwards = ((b > a) ^ (a > V(0))).v, step = inwards | I(1);  // all ones are -1
  const V y = select(a == V(0), copysign(from_bits<T>(I(1)), b), from_bits<T>(bits(a) + step));
  return select(a == b, b, select((a != a) | (b != b), a + b, y));
}
PYNN_INLINE VecF hypot(VecF a, VecF b) {
  VecD a0, a1, b0, b1;
  widen(a, a0, a1), widen(b, b0, b1);
  const VecF y = narrow(sqrt(fma(a0, a0, b0 * b0)), sqrt(fma(a1, a1, b1 * b1))), inf(__builtin_huge_valf());
  return select((abs(a) == inf) | (abs(b) == inf), inf, y);
}

template <class T>
void run2(Special2 op, void* y, const void* a, const void* b, int64_t n) {
  using V = Vec<T>;
  const auto in_registers = [&](auto f) { each_register<T>(y, a, b, n, f); };
  if (op == Special2::Copysign) return in_registers([](V s, V t) { return copysign(s, t); });
  if (op == Special2::Nextafter) return in_registers([](V s, V t) { return next_after(s, t); });
  if (op == Special2::LogAddExp) return in_registers([](V s, V t) { return log_add(s, t); });
  if (op == Special2::LogAddExp2) return in_registers([](V s, V t) { return log_add2(s, t); });
  if (op == Special2::Xlogy) return in_registers([](V s, V t) { return times_log(s, t, log(t)); });
  if (op == Special2::Xlog1py) return in_registers([](V s, V t) { return times_log(s, t, log1p(t)); });
  if constexpr (std::is_same_v<T, float>)
    if (op == Special2::Hypot) return in_registers([](V s, V t) { return hypot(s, t); });
  constexpr double tiny = sizeof(T) == 4 ? 1e-10 : kTiny;
  switch (op) {
#define PYNN_CASE(name, expr)                           \
  case Special2::name:                                  \
    return each<T>(y, a, b, n, [](T s, T t) -> double { \
      const double u = s, v = t;                        \
      (void)u, (void)v;                                 \
      return expr;                                      \
    });
    PYNN_CASE(Hypot, __builtin_hypot(u, v))
    PYNN_CASE(Zeta, zeta(u, v))
    PYNN_CASE(Igamma, igamma(u, v, false, tiny))
    PYNN_CASE(Igammac, igamma(u, v, true, tiny))
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
