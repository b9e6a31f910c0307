// special.cpp -- special functions of one and two operands, in parallel over elements.
#include "kernels/special.h"

#include "core/parallel.h"
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
template <class T>
Vec<T> log_add(Vec<T> a, Vec<T> b) {
  using V = Vec<T>;
  const V top = maximum(a, b), d = minimum(a, b) - top;
  return select((a == b) & (d != d), a, top + log1p(exp(d)));  // both the same infinity
}
PYNN_INLINE VecF hypot(VecF a, VecF b) {
  VecD a0, a1, b0, b1;
  widen(a, a0, a1), widen(b, b0, b1);
  const VecF y = narrow(sqrt(fma(a0, a0, b0 * b0)), sqrt(fma(a1, a1, b1 * b1))), inf(__builtin_huge_valf());
  return select((abs(a) == inf) | (abs(b) == inf), inf, y);
}

PYNN_INLINE float next_after(float a, float b) { return __builtin_nextafterf(a, b); }
PYNN_INLINE double next_after(double a, double b) { return __builtin_nextafter(a, b); }

template <class T>
void run2(Special2 op, void* y, const void* a, const void* b, int64_t n) {
  using V = Vec<T>;
  if (op == Special2::Copysign) return each_register<T>(y, a, b, n, [](V s, V t) { return copysign(s, t); });
  if (op == Special2::LogAddExp) return each_register<T>(y, a, b, n, [](V s, V t) { return log_add(s, t); });
  if constexpr (std::is_same_v<T, float>)
    if (op == Special2::Hypot) return each_register<T>(y, a, b, n, [](V s, V t) { return hypot(s, t); });
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
    PYNN_CASE(Nextafter, next_after(s, t))
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
