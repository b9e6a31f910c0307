// special.cpp -- special functions of one operand.
#include "ops/special.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "autograd/record.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/reduce.h"
#include "ops/ternary.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

constexpr double kPi = std::numbers::pi;
const double kRootPi = std::sqrt(kPi), kRoot2Pi = std::sqrt(2 * kPi), kHalfRoot = std::sqrt(0.5);

DType loop_type(DType t) { return t == DType::Float64 ? t : DType::Float32; }

}  // namespace

Tensor run_special(Special1 op, const Tensor& x, double param) {
  GradMode off(false);
  const DType type = is_integral(x.dtype()) ? default_dtype() : x.dtype(), loop = loop_type(type);
  PYNN_CHECK_KIND(NotImplemented, !is_complex(type), "special functions of complex tensors are not supported yet");
  const Tensor c = contiguous(to_dtype(x, loop));
  Tensor y = empty(c.sizes(), loop, x.device());
  if (y.numel() && !y.device().is_meta())
    kernels::special_unary(y.device(), op, loop, y.data(), c.data(), y.numel(), param);
  return to_dtype(y, type);
}

// The table: one line has the name, the loop, the derivative in terms of g, x and y, and the meaning.
#define PYNN_SPECIAL_OF(name, schema, loop, derivative, doc, flags)                                        \
  Tensor name(const Tensor& x) {                                                                           \
    const Tensor y = run_special(Special1::loop, x);                                                       \
    return record(#name, y, inputs(x), save(x, y), [](const Tensor& g, const Tensor& x, const Tensor& y) { \
      (void)x, (void)y;                                                                                    \
      return Tensor(derivative);                                                                           \
    });                                                                                                    \
  }                                                                                                        \
  PYNN_OP(name, schema "(Tensor input) -> Tensor", doc, flags);
#define PYNN_SPECIAL(name, loop, derivative, doc) \
  PYNN_SPECIAL_OF(name, #name, loop, derivative, doc " Same as torch." #name ".", kOut | kInplace | kMap)
// In torch.special alone.
#define PYNN_SPECIAL_ONLY(name, loop, derivative, doc) \
  PYNN_SPECIAL_OF(name, "_special." #name, loop, derivative, doc " Same as torch.special." #name ".", kOut)
#define PYNN_NO_DERIVATIVE(name, loop, doc) PYNN_SPECIAL_ONLY(name, loop, no_derivative(#name), doc)

namespace {

[[noreturn]] Tensor no_derivative(const char* op) {
  fail(ErrorKind::NotImplemented, op, ": derivative for ", op, " is not implemented");
}

// d I1(x)/dx = I0(x) - I1(x) / x, which is 1/2 at 0; scaled by e^-|x| in turn.
Tensor over_x(const Tensor& y, const Tensor& x, double at_zero) {
  const Tensor zero = eq(x, 0.0);
  return where(zero, at_zero, div(y, where(zero, 1.0, x)));
}

}  // namespace

Tensor i1(const Tensor& x);
Tensor i1e(const Tensor& x);

PYNN_SPECIAL(digamma, Digamma, mul(g, polygamma(1, x)), "The logarithmic derivative of the gamma function.")
PYNN_SPECIAL(lgamma, Lgamma, mul(g, digamma(x)), "The logarithm of |gamma(x)|.")
PYNN_SPECIAL(erfinv, Erfinv, mul(mul(g, kRootPi / 2), exp(mul(y, y))), "The inverse of erf.")
PYNN_SPECIAL(i0, I0, mul(g, i1(x)), "The modified Bessel function of order 0.")
PYNN_SPECIAL_ONLY(i0e, I0e, mul(g, sub(i1e(x), mul(sign(x), y))), "i0 times e^-|x|.")
PYNN_SPECIAL_ONLY(i1, I1, mul(g, sub(i0(x), over_x(y, x, 0.5))), "The modified Bessel function of order 1.")
PYNN_SPECIAL_ONLY(i1e, I1e, mul(g, sub(sub(i0e(x), mul(sign(x), y)), over_x(y, x, 0.5))), "i1 times e^-|x|.")
PYNN_SPECIAL_ONLY(erfcx, Erfcx, mul(g, sub(mul(mul(x, y), 2.0), 2 / kRootPi)), "e^(x^2) erfc(x).")
PYNN_SPECIAL_ONLY(ndtri, Ndtri, mul(mul(g, kRoot2Pi), exp(mul(mul(y, y), 0.5))),
                  "The inverse of the normal distribution function.")
PYNN_SPECIAL_ONLY(log_ndtr, LogNdtr, mul(div(g, erfcx(mul(x, -kHalfRoot))), std::sqrt(2 / kPi)),
                  "The logarithm of the normal distribution function.")
PYNN_SPECIAL_ONLY(entr, Entr, mul(neg(g), add(log(x), 1.0)), "-x log(x), the entropy's terms.")
PYNN_NO_DERIVATIVE(airy_ai, AiryAi, "The Airy function Ai.")
PYNN_NO_DERIVATIVE(bessel_j0, J0, "The Bessel function of the first kind of order 0.")
PYNN_NO_DERIVATIVE(bessel_j1, J1, "The Bessel function of the first kind of order 1.")
PYNN_NO_DERIVATIVE(bessel_y0, Y0, "The Bessel function of the second kind of order 0.")
PYNN_NO_DERIVATIVE(bessel_y1, Y1, "The Bessel function of the second kind of order 1.")
PYNN_NO_DERIVATIVE(modified_bessel_i0, I0, "The modified Bessel function of the first kind of order 0.")
PYNN_NO_DERIVATIVE(modified_bessel_i1, I1, "The modified Bessel function of the first kind of order 1.")
PYNN_NO_DERIVATIVE(modified_bessel_k0, K0, "The modified Bessel function of the second kind of order 0.")
PYNN_NO_DERIVATIVE(modified_bessel_k1, K1, "The modified Bessel function of the second kind of order 1.")
PYNN_NO_DERIVATIVE(scaled_modified_bessel_k0, K0e, "modified_bessel_k0 times e^x.")
PYNN_NO_DERIVATIVE(scaled_modified_bessel_k1, K1e, "modified_bessel_k1 times e^x.")
PYNN_NO_DERIVATIVE(spherical_bessel_j0, SphericalJ0, "sin(x) / x.")

namespace {

// With z = pi x: pi (z cos z - sin z) / z^2, near 0 the power series of that.
Tensor sinc_slope(const Tensor& x) {
  const Tensor z = mul(x, kPi), small = lt(abs(z), 0.05), safe = where(small, 1.0, z), square = mul(z, z);
  const Tensor series = mul(z, add(mul(square, sub(1.0 / 30, mul(square, 1.0 / 840))), -1.0 / 3));
  return mul(where(small, series, div(sub(mul(safe, cos(safe)), sin(safe)), mul(safe, safe))), kPi);
}

}  // namespace

Tensor sinc(const Tensor& x) {
  if (is_complex(x.dtype())) {
    const Tensor zero = eq(x, 0.0), z = mul(where(zero, 1.0, x), kPi);
    return where(zero, 1.0, div(sin(z), z));
  }
  return record("sinc", run_special(Special1::Sinc, x), inputs(x), save(x),
                [](const Tensor& g, const Tensor& x) { return mul(g, sinc_slope(x)); });
}
PYNN_OP(sinc, "sinc(Tensor input) -> Tensor", "sin(pi x) / (pi x), 1 at 0. Same as torch.sinc.", kOut | kInplace);

Tensor polygamma(int64_t n, const Tensor& x) {
  PYNN_CHECK(n >= 0, "polygamma: polygamma(n, x) does not support negative n, got ", n);
  const Tensor y = run_special(Special1::Polygamma, x, static_cast<double>(n));
  return record("polygamma", y, inputs(x), save(x, n),
                [](const Tensor& g, const Tensor& x, int64_t n) { return mul(g, polygamma(n + 1, x)); });
}

namespace {

Tensor polygamma_method(const Tensor& x, int64_t n) { return polygamma(n, x); }

// p (p - 1) / 4 log(pi) + the sum of lgamma(x - i / 2) over i < p.
Tensor mvlgamma(const Tensor& input, int64_t p) {
  PYNN_CHECK(p >= 1, "mvlgamma: p has to be greater than or equal to 1, got ", p);
  PYNN_CHECK(input.dtype() != DType::Bool, "mvlgamma: the input tensor may not be a boolean tensor.");
  const Tensor x = is_integral(input.dtype()) ? to_dtype(input, default_dtype()) : input;
  Tensor shifts = mul(arange(p, x.device()), -0.5);
  const int64_t last[] = {-1};
  const Tensor sums = sum(lgamma(add(unsqueeze(x, -1), to_dtype(shifts, x.dtype()))), Dims(last));
  return add(sums, static_cast<double>(p * (p - 1)) / 4 * std::log(kPi));
}

Tensor ndtr(const Tensor& x) { return mul(erfc(mul(x, -kHalfRoot)), 0.5); }

Tensor logit(const Tensor& input, std::optional<double> eps) {
  const Tensor x = is_integral(input.dtype()) ? to_dtype(input, default_dtype()) : input;
  if (is_complex(x.dtype())) return log(div(x, sub(1.0, x)));
  const double least = eps.value_or(-1);
  return record("logit", run_special(Special1::Logit, x, least), inputs(x), save(x, least),
                [](const Tensor& g, const Tensor& x, double least) {
                  const Tensor slope = div(g, mul(x, sub(1.0, x))),
                               inside = logical_and(ge(x, std::max(least, 0.0)), le(x, 1 - std::max(least, 0.0)));
                  return where(inside, slope, least < 0 ? std::numeric_limits<double>::quiet_NaN() : 0.0);
                });
}

std::tuple<Tensor, Tensor> frexp(const Tensor& x) {
  PYNN_CHECK(is_floating(x.dtype()), "frexp: only supports floating-point dtypes, got ", dtype_name(x.dtype()));
  const Tensor exponent = to_dtype(run_special(Special1::FrexpExponent, x), DType::Int32);
  const Tensor m = record("frexp", run_special(Special1::FrexpMantissa, x), inputs(x), save(exponent),
                          [](const Tensor& g, const Tensor& exponent) {
                            return mul(g, to_dtype(exp2(to_dtype(neg(exponent), g.dtype())), g.dtype()));
                          });
  return {m, exponent};
}

}  // namespace

PYNN_OP(polygamma, "polygamma(int n, Tensor input) -> Tensor",
        "The n-th derivative of digamma. Same as torch.polygamma.", kOut);
PYNN_OP(polygamma_method, "polygamma(Tensor input, int n) -> Tensor", "As a method.", kMethodOnly | kInplace);
PYNN_OP(mvlgamma, "mvlgamma(Tensor input, int p) -> Tensor",
        "The logarithm of the gamma function of p variables. Same as torch.mvlgamma.", kOut | kInplace);
PYNN_OP(ndtr, "_special.ndtr(Tensor input) -> Tensor", "The normal distribution function. Same as torch.special.ndtr.",
        kOut);
PYNN_OP(logit, "logit(Tensor input, float? eps=None) -> Tensor",
        "log(x / (1 - x)), of x clamped to [eps, 1 - eps] where eps is given. Same as torch.logit.", kOut | kInplace);
PYNN_OP(frexp, "frexp(Tensor input) -> (Tensor mantissa, Tensor exponent)",
        "Mantissa in [1/2, 1) and exponent: input = mantissa * 2^exponent. Same as torch.frexp.", kOut);

}  // namespace pynn::ops
