// special.cu -- special functions of one and two operands, in double, one element per thread.
#include "kernels/special.h"

#include "kernels/cuda/math.cuh"

#define PYNN_SPECIAL_NAMESPACE pynn::cuda
#define PYNN_FN __device__ inline
#define PYNN_CONSTANT __device__ const
#define PYNN_MATH(name) ::name
#include "kernels/special_functions.h"

namespace pynn::cuda {
namespace {

__device__ double special1(Special1 op, double v, double param) {
  switch (op) {
#define PYNN_CASE(name, expr) \
  case Special1::name:        \
    return expr;
    PYNN_CASE(Lgamma, lgamma(v))
    PYNN_CASE(Digamma, digamma(v))
    PYNN_CASE(Polygamma, polygamma(static_cast<int64_t>(param), v))
    PYNN_CASE(Erfinv, erfinv(v))
    PYNN_CASE(Erfcx, erfcx(v))
    PYNN_CASE(Ndtri, ndtri(v))
    PYNN_CASE(LogNdtr, log_ndtr(v))
    PYNN_CASE(Entr, entr(v))
    PYNN_CASE(Sinc, sinc(v))
    PYNN_CASE(Logit, logit(v, param))
    PYNN_CASE(I0, bessel_i(0, v, false))
    PYNN_CASE(I0e, bessel_i(0, v, true))
    PYNN_CASE(I1, bessel_i(1, v, false))
    PYNN_CASE(I1e, bessel_i(1, v, true))
    PYNN_CASE(K0, bessel_k(0, v, false))
    PYNN_CASE(K0e, bessel_k(0, v, true))
    PYNN_CASE(K1, bessel_k(1, v, false))
    PYNN_CASE(K1e, bessel_k(1, v, true))
    PYNN_CASE(J0, ::j0(v))
    PYNN_CASE(J1, ::j1(v))
    PYNN_CASE(Y0, v < 0 ? kNaN : ::y0(v))
    PYNN_CASE(Y1, v < 0 ? kNaN : ::y1(v))
    PYNN_CASE(SphericalJ0, spherical_j0(v))
    PYNN_CASE(AiryAi, airy_ai(v))
    PYNN_CASE(FrexpMantissa, frexp_part(v, false))
    PYNN_CASE(FrexpExponent, frexp_part(v, true))
#undef PYNN_CASE
    default:
      return kNaN;
  }
}

template <class T>
__device__ double special2(Special2 op, T s, T t) {
  const double u = s, v = t;
  switch (op) {
#define PYNN_CASE(name, expr) \
  case Special2::name:        \
    return expr;
    PYNN_CASE(Xlogy, v != v ? kNaN : u == 0 ? 0 : u * ::log(v))
    PYNN_CASE(Xlog1py, v != v ? kNaN : u == 0 ? 0 : u * ::log1p(v))
    PYNN_CASE(Hypot, ::hypot(u, v))
    PYNN_CASE(Copysign, ::copysign(u, v))
    PYNN_CASE(Nextafter, math::nextafter(s, t))
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
      return kNaN;
  }
}

template <class T>
__global__ void unary_elements(Special1 op, T* y, const T* x, int64_t n, double param) {
  PYNN_GRID_LOOP(i, n) y[i] = static_cast<T>(special1(op, static_cast<double>(x[i]), param));
}
template <class T>
__global__ void binary_elements(Special2 op, T* y, const T* a, const T* b, int64_t n) {
  PYNN_GRID_LOOP(i, n) y[i] = static_cast<T>(special2<T>(op, a[i], b[i]));
}

__global__ void divisors(bool multiple, int64_t* y, const int64_t* a, const int64_t* b, int64_t n) {
  PYNN_GRID_LOOP(i, n) {
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
}

}  // namespace

void special_unary(Special1 op, DType type, void* y, const void* x, int64_t n, double param) {
  const auto run = [&](auto t) {
    using T = decltype(t);
    launch(unary_elements<T>, grid_for(n), kBlock, op, static_cast<T*>(y), static_cast<const T*>(x), n, param);
  };
  type == DType::Float32 ? run(float{}) : run(double{});
}
PYNN_CUDA_KERNEL(special_unary);

void special_binary(Special2 op, DType type, void* y, const void* a, const void* b, int64_t n) {
  const auto run = [&](auto t) {
    using T = decltype(t);
    launch(binary_elements<T>, grid_for(n), kBlock, op, static_cast<T*>(y), static_cast<const T*>(a),
           static_cast<const T*>(b), n);
  };
  type == DType::Float32 ? run(float{}) : run(double{});
}
PYNN_CUDA_KERNEL(special_binary);

void common_divisor(bool multiple, int64_t* y, const int64_t* a, const int64_t* b, int64_t n) {
  launch(divisors, grid_for(n), kBlock, multiple, y, a, b, n);
}
PYNN_CUDA_KERNEL(common_divisor);

}  // namespace pynn::cuda
