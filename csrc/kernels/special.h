// special.h -- special functions of one and two operands, computed element by element in double.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

enum class Special1 : uint8_t {
  Lgamma,
  Digamma,
  Polygamma,  // of order `param`
  Erfinv,
  Erfcx,    // e^(x^2) erfc(x)
  Ndtri,    // the inverse of the normal distribution function
  LogNdtr,  // the logarithm of the normal distribution function
  Entr,     // -x log(x)
  Sinc,     // sin(pi x) / (pi x)
  Logit,    // log(x / (1 - x)) of x clamped to [param, 1 - param], where param is not negative
  I0,       // modified Bessel functions; e: times e^-|x|
  I0e,
  I1,
  I1e,
  K0,  // e: times e^x
  K0e,
  K1,
  K1e,
  J0,
  J1,
  Y0,
  Y1,
  SphericalJ0,
  AiryAi,
  FrexpMantissa,
  FrexpExponent,
  Count
};
enum class Special2 : uint8_t {
  Xlogy,
  Xlog1py,
  Hypot,
  Copysign,
  Nextafter,
  LogAddExp,
  LogAddExp2,
  Zeta,
  Igamma,
  Igammac,
  ChebyshevT,
  ChebyshevU,
  ChebyshevV,
  ChebyshevW,
  HermiteH,
  HermiteHe,
  LaguerreL,
  LegendreP,
  Count
};

// n contiguous elements, type Float32 or Float64.
PYNN_KERNEL(void, special_unary, (Special1 op, DType type, void* y, const void* x, int64_t n, double param));
PYNN_KERNEL(void, special_binary, (Special2 op, DType type, void* y, const void* a, const void* b, int64_t n));
// Greatest common divisors, or least common multiples.
PYNN_KERNEL(void, common_divisor, (bool multiple, int64_t* y, const int64_t* a, const int64_t* b, int64_t n));

}  // namespace pynn
