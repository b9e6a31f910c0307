// special_binary.cpp -- special functions of two operands.
#include <cmath>

#include "autograd/named.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/complex.h"
#include "ops/creation.h"
#include "ops/special.h"
#include "ops/ternary.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

const Tensor& input(const Other& o) { return o.tensor ? *o.tensor : kUndefined; }
Other other(const Tensor& t, Scalar s) { return t.defined() ? Other(t) : Other(s); }

DimVector common_sizes(const char* name, Other a, Other b) {
  if (!a.tensor) return DimVector(b.tensor->sizes());
  if (!b.tensor) return DimVector(a.tensor->sizes());
  return broadcast_sizes(name, a.tensor->sizes(), b.tensor->sizes());
}
Tensor spread(Other o, Dims sizes, DType type, Device device) {
  if (!o.tensor) return full(sizes, o.scalar, type, device);
  const Tensor t = to_dtype(*o.tensor, type);
  return contiguous(same(t.sizes(), sizes) ? t : expand(t, sizes));
}
Device device_of(Other a, Other b) { return a.tensor ? a.tensor->device() : b.tensor->device(); }

}  // namespace

Tensor run_special(const char* name, Special2 op, Other a, Other b) {
  GradMode off(false);
  DType type = result_type(a, b);
  PYNN_CHECK_KIND(NotImplemented, !is_complex(type), name, ": complex tensors are not supported yet");
  if (is_integral(type)) type = default_dtype();
  const DType loop = type == DType::Float64 ? type : DType::Float32;
  const DimVector sizes = common_sizes(name, a, b);
  const Device device = device_of(a, b);
  Tensor y = empty(sizes, loop, device);  // before what may be made of the operands: see kMap
  const Tensor x = spread(a, sizes, loop, device), z = spread(b, sizes, loop, device);
  if (y.numel() && !device.is_meta())
    kernels::special_binary(device, op, loop, y.data(), x.data(), z.data(), y.numel());
  return to_dtype(y, type);
}

namespace {

Tensor xlogy(Other a, Other b) {
  return record(
      "xlogy", run_special("xlogy", Special2::Xlogy, a, b), inputs(input(a), input(b)),
      save(input(a), a.scalar, input(b), b.scalar),
      [](const Tensor& g, const Tensor& a, Scalar, const Tensor& b, Scalar t) {
        const Tensor y = b.defined() ? b : full({}, t, a.dtype());
        const Tensor flat = logical_and(eq(a, 0), le(y, 0));
        return mul(g, where(flat, 0.0, log(where(flat, Scalar(1), y))));
      },
      [](const Tensor& g, const Tensor& a, Scalar s, const Tensor& b, Scalar) { return mul(g, div(other(a, s), b)); });
}
Tensor xlog1py(Other a, Other b) {
  return record(
      "xlog1py", run_special("xlog1py", Special2::Xlog1py, a, b), inputs(input(a), input(b)),
      save(input(a), a.scalar, input(b), b.scalar),
      [](const Tensor& g, const Tensor& a, Scalar, const Tensor& b, Scalar t) {
        const Tensor y = b.defined() ? b : full({}, t, a.dtype());
        const Tensor flat = logical_and(eq(a, 0), le(y, -1));
        return mul(g, where(flat, 0.0, log1p(where(flat, Scalar(0), y))));
      },
      [](const Tensor& g, const Tensor& a, Scalar s, const Tensor& b, Scalar) {
        return mul(g, div(other(a, s), add(b, 1.0)));
      });
}

Tensor hypot(const Tensor& a, const Tensor& b) {
  const Tensor y = run_special("hypot", Special2::Hypot, a, b);
  return record(
      "hypot", y, inputs(a, b), save(a, b, y),
      [](const Tensor& g, const Tensor& a, const Tensor&, const Tensor& y) { return mul(g, div(a, y)); },
      [](const Tensor& g, const Tensor&, const Tensor& b, const Tensor& y) { return mul(g, div(b, y)); });
}

// The sign of b on |a|: the slope is 1 or -1, 0 where a is 0; 0 in b.
Tensor copysign(const Tensor& a, Other b) {
  const Tensor y = run_special("copysign", Special2::Copysign, a, b);
  return record(
      "copysign", y, inputs(a, input(b)), save(a, y),
      [](const Tensor& g, const Tensor& a, const Tensor& y) {
        const Tensor zero = eq(a, 0);
        return mul(g, where(zero, 0.0, div(y, where(zero, Scalar(1), a))));
      },
      [](const Tensor& g, const Tensor&, const Tensor&) { return mul(g, 0.0); });
}
Tensor signbit(const Tensor& x) {
  PYNN_CHECK(!is_complex(x.dtype()), "signbit: is not implemented for complex tensors.");
  if (is_integral(x.dtype())) return x.dtype() == DType::Bool ? no_gradient(logical_and(x, false)) : lt(x, 0);
  GradMode off(false);
  const size_t size = item_size(x.dtype());  // as an integer, whose sign is the same bit
  const DType bits = size == 2 ? DType::Int16 : size == 4 ? DType::Int32 : DType::Int64;
  return lt(make_view(x, x.sizes(), x.strides(), x.offset(), bits), 0);
}

// On the graph, but an error in backward.
Tensor without_derivative(const char* op, Tensor y, const Tensor& a, const Tensor& b) {
  const auto refuse = [](const Tensor&) -> Tensor {
    fail(ErrorKind::Runtime, "derivative for this op is not implemented");
  };
  return record(op, std::move(y), inputs(a, b), save(), refuse, refuse);
}

// Of 16 bits, sign and magnitude: the next number has the next magnitude, the same bits plus or minus 1.
Tensor next_half(const Tensor& a, const Tensor& b, DType type) {
  GradMode off(false);
  const DimVector sizes = broadcast_sizes("nextafter", a.sizes(), b.sizes());
  const auto as = [&](const Tensor& t, DType other) { return make_view(t, t.sizes(), t.strides(), t.offset(), other); };
  const Tensor x = spread(a, sizes, type, a.device()), to = spread(b, sizes, type, a.device());
  const Tensor outwards = eq(gt(to, x), gt(x, 0.0)), bits = as(x, DType::Int16);
  const Tensor moved = as(add(bits, to_dtype(where(outwards, 1, -1), DType::Int16)), type);
  const Tensor least = as(to_dtype(where(gt(to, 0.0), 1, -0x7fff), DType::Int16), type);  // the smallest, signed
  const Tensor next = where(eq(x, to), to, where(eq(x, 0.0), least, moved));
  return where(logical_or(isnan(x), isnan(to)), add(x, to), next);
}

Tensor nextafter(const Tensor& a, const Tensor& b) {
  const DType type = result_type(a, b);
  PYNN_CHECK_KIND(NotImplemented, is_floating(type), "nextafter: not implemented for '", dtype_name(type), "'");
  const bool half = type == DType::Float16 || type == DType::BFloat16;
  return record(
      "nextafter", half ? next_half(a, b, type) : run_special("nextafter", Special2::Nextafter, a, b), inputs(a, b),
      save(), [](const Tensor& g) { return g; }, [](const Tensor& g) { return mul(g, 0.0); });
}

// The part of larger real part, plus log1p of what the other one is to it.
Tensor complex_logaddexp(const Tensor& a, const Tensor& b) {
  const DType type = result_type(a, b);
  const Tensor x = to_dtype(a, type), y = to_dtype(b, type);
  const Tensor larger = ge(real(x), real(y)), most = where(larger, x, y), least = where(larger, y, x);
  // The difference of equal infinities is 0.
  const Tensor both = logical_and(isinf(real(most)), eq(real(least), real(most)));
  const Tensor gap = where(both, 0.0, sub(real(least), real(most)));
  return add(most, log1p(exp(make_complex(gap, sub(imag(least), imag(most))))));
}

}  // namespace

// g times each operand's share: e^a / (e^a + e^b).
Tensor logaddexp(const Tensor& a, const Tensor& b) {
  if (is_complex(result_type(a, b))) return named("logaddexp", complex_logaddexp(a, b));
  return record(
      "logaddexp", run_special("logaddexp", Special2::LogAddExp, a, b), inputs(a, b), save(a, b),
      [](const Tensor& g, const Tensor& a, const Tensor& b) { return div(g, add(exp(sub(b, a)), 1.0)); },
      [](const Tensor& g, const Tensor& a, const Tensor& b) { return div(g, add(exp(sub(a, b)), 1.0)); });
}

namespace {

Tensor logaddexp2(const Tensor& a, const Tensor& b) {
  return record(
      "logaddexp2", run_special("logaddexp2", Special2::LogAddExp2, a, b), inputs(a, b), save(a, b),
      [](const Tensor& g, const Tensor& a, const Tensor& b) { return div(g, add(exp2(sub(b, a)), 1.0)); },
      [](const Tensor& g, const Tensor& a, const Tensor& b) { return div(g, add(exp2(sub(a, b)), 1.0)); });
}

// The derivative in s is not implemented, as in PyTorch.
Tensor zeta(Other s, Other q) {
  return record(
      "zeta", run_special("zeta", Special2::Zeta, s, q), inputs(input(s), input(q)),
      save(input(s), s.scalar, input(q), q.scalar),
      [](const Tensor&, const Tensor&, Scalar, const Tensor&, Scalar) -> Tensor {
        fail(ErrorKind::NotImplemented, "zeta: the derivative for the first argument is not implemented");
      },
      [](const Tensor& g, const Tensor& s, Scalar v, const Tensor& q, Scalar) {
        const Other order = other(s, v);
        return mul(mul(g, neg(s.defined() ? zeta(add(s, 1.0), q) : zeta(Scalar(v.to_double() + 1), q))), order);
      });
}

// d/dx = x^(a-1) e^-x / gamma(a).
template <bool upper>
Tensor igamma(const Tensor& a, const Tensor& x) {
  const char* name = upper ? "igammac" : "igamma";
  return record(
      name, run_special(name, upper ? Special2::Igammac : Special2::Igamma, a, x), inputs(a, x), save(a, x),
      [](const Tensor&, const Tensor&, const Tensor&) -> Tensor {
        fail(ErrorKind::NotImplemented, "igamma: the derivative for the first argument is not implemented");
      },
      [](const Tensor& g, const Tensor& a, const Tensor& x) {
        const Tensor density = exp(sub(sub(mul(sub(a, 1.0), log(x)), x), lgamma(a)));
        return mul(g, upper ? neg(density) : density);
      });
}

// ---- Made of other ops.

Tensor ldexp(const Tensor& x, const Tensor& exponent) { return mul(x, pow(Scalar(2.0), exponent)); }

Tensor heaviside(const Tensor& x, const Tensor& at_zero) {
  PYNN_CHECK(x.dtype() == at_zero.dtype(),
             "heaviside: heaviside is not yet implemented for tensors with different "
             "dtypes, got ",
             dtype_name(x.dtype()), " and ", dtype_name(at_zero.dtype()));
  Tensor y;
  {
    GradMode off(false);
    y = where(eq(x, 0), at_zero, to_dtype(gt(x, 0), x.dtype()));
  }
  return without_derivative("heaviside", std::move(y), x, at_zero);
}

// The larger (smaller) one; NaN loses.
Tensor fmax(const Tensor& a, const Tensor& b) { return where(logical_or(ge(a, b), isnan(b)), a, b); }
Tensor fmin(const Tensor& a, const Tensor& b) { return where(logical_or(le(a, b), isnan(b)), a, b); }

template <bool multiple>
Tensor divisor(const Tensor& a, const Tensor& b) {
  const char* name = multiple ? "lcm" : "gcd";
  const DType type = result_type(a, b);
  PYNN_CHECK_KIND(NotImplemented, is_integral(type) && type != DType::Bool, name, ": not implemented for '",
                  dtype_name(type), "', integers are required");
  GradMode off(false);
  const DimVector sizes = broadcast_sizes(name, a.sizes(), b.sizes());
  const Tensor x = spread(a, sizes, DType::Int64, a.device()), z = spread(b, sizes, DType::Int64, a.device());
  Tensor y = empty(sizes, DType::Int64, a.device());
  if (y.numel() && !y.device().is_meta())
    kernels::common_divisor(y.device(), multiple, y.data_as<int64_t>(), x.data_as<int64_t>(), z.data_as<int64_t>(),
                            y.numel());
  return no_gradient(to_dtype(y, type));
}

Tensor wide(const Tensor& x) { return to_dtype(x, is_complex(x.dtype()) ? DType::Complex128 : DType::Float64); }
Scalar wide(Scalar s) { return s.is_complex() ? s : Scalar(s.to_double()); }
Tensor float_power(const Tensor& a, Other b) {
  return b.tensor ? pow(wide(a), wide(*b.tensor)) : pow(wide(a), wide(b.scalar));
}
Tensor float_power_number(Scalar a, const Tensor& b) { return pow(wide(a), wide(b)); }
Tensor float_power_(const Tensor& a, Other b) {
  PYNN_CHECK(a.dtype() == DType::Float64, "float_power_: the base given to float_power_ has dtype ",
             dtype_name(a.dtype()), " but the operation's result requires dtype float64");
  const Tensor old = thread_state.grad_enabled && a.requires_grad() ? clone_of(a) : a;
  assign("float_power_", a, float_power(old, b));
  return a;
}

#define PYNN_POLYNOMIAL(name, loop)                                        \
  Tensor name(Other x, Other n) {                                          \
    Tensor y = run_special(#name, Special2::loop, x, n);                   \
    return record(                                                         \
        #name, std::move(y), inputs(input(x), input(n)), save(),           \
        [](const Tensor&) -> Tensor { no_polynomial_derivative(#name); },  \
        [](const Tensor&) -> Tensor { no_polynomial_derivative(#name); }); \
  }                                                                        \
  Tensor name##_n(Scalar x, const Tensor& n) { return name(x, n); }        \
  Tensor name##_x(const Tensor& x, Other n) { return name(x, n); }
[[noreturn]] void no_polynomial_derivative(const char* op) {
  fail(ErrorKind::NotImplemented, op, ": derivative for ", op, " is not implemented");
}
PYNN_POLYNOMIAL(chebyshev_polynomial_t, ChebyshevT)
PYNN_POLYNOMIAL(chebyshev_polynomial_u, ChebyshevU)
PYNN_POLYNOMIAL(chebyshev_polynomial_v, ChebyshevV)
PYNN_POLYNOMIAL(chebyshev_polynomial_w, ChebyshevW)
PYNN_POLYNOMIAL(hermite_polynomial_h, HermiteH)
PYNN_POLYNOMIAL(hermite_polynomial_he, HermiteHe)
PYNN_POLYNOMIAL(laguerre_polynomial_l, LaguerreL)
PYNN_POLYNOMIAL(legendre_polynomial_p, LegendreP)

// Of 2 x - 1.
#define PYNN_SHIFTED(name)                                                                       \
  Tensor shifted_##name##_x(const Tensor& x, Other n) { return name(sub(mul(x, 2.0), 1.0), n); } \
  Tensor shifted_##name##_n(Scalar x, const Tensor& n) { return name(Scalar(2 * x.to_double() - 1), n); }
PYNN_SHIFTED(chebyshev_polynomial_t)
PYNN_SHIFTED(chebyshev_polynomial_u)
PYNN_SHIFTED(chebyshev_polynomial_v)
PYNN_SHIFTED(chebyshev_polynomial_w)

Tensor op_xlogy(const Tensor& a, Other b) { return xlogy(a, b); }
Tensor op_xlogy_number(Scalar a, const Tensor& b) { return xlogy(a, b); }
Tensor op_xlog1py(const Tensor& a, Other b) { return xlog1py(a, b); }
Tensor op_xlog1py_number(Scalar a, const Tensor& b) { return xlog1py(a, b); }
Tensor op_zeta(const Tensor& a, Other b) { return zeta(a, b); }
Tensor op_zeta_number(Scalar a, const Tensor& b) { return zeta(a, b); }

}  // namespace

PYNN_OP(op_xlogy, "xlogy(Tensor input, Other other) -> Tensor",
        "input * log(other), 0 where input is 0. Same as torch.xlogy.", kOut | kInplace);
PYNN_OP(op_xlogy_number, "xlogy(Scalar self, Tensor other) -> Tensor", "Of a number.", kOut);
PYNN_OP(op_xlog1py, "_special.xlog1py(Tensor input, Other other) -> Tensor",
        "input * log1p(other), 0 where input is 0. Same as torch.special.xlog1py.", kOut);
PYNN_OP(op_xlog1py_number, "_special.xlog1py(Scalar self, Tensor other) -> Tensor", "Of a number.", kOut);
PYNN_OP(op_zeta, "_special.zeta(Tensor input, Other other) -> Tensor",
        "Hurwitz's zeta function: the sum of (k + other)^-input over k >= 0. Same as torch.special.zeta.", kOut);
PYNN_OP(op_zeta_number, "_special.zeta(Scalar self, Tensor other) -> Tensor", "Of a number.", kOut);
PYNN_OP(hypot, "hypot(Tensor input, Tensor other) -> Tensor",
        "sqrt(input^2 + other^2), without overflow. Same as torch.hypot.", kOut | kInplace | kMap);
PYNN_OP(copysign, "copysign(Tensor input, Other other) -> Tensor",
        "The magnitude of input with the sign of other. Same as torch.copysign.", kOut | kInplace | kMap);
PYNN_OP(signbit, "signbit(Tensor input) -> Tensor", "True where the sign bit is set, of -0 too. Same as torch.signbit.",
        kOut);
PYNN_OP(nextafter, "nextafter(Tensor input, Tensor other) -> Tensor",
        "The next number from input towards other. Same as torch.nextafter.", kOut | kInplace);
PYNN_OP(logaddexp, "logaddexp(Tensor input, Tensor other) -> Tensor",
        "log(e^input + e^other), without overflow. Same as torch.logaddexp.", kOut);
PYNN_OP(logaddexp2, "logaddexp2(Tensor input, Tensor other) -> Tensor",
        "log2(2^input + 2^other), without overflow. Same as torch.logaddexp2.", kOut);
PYNN_OP(igamma<false>, "igamma(Tensor input, Tensor other) -> Tensor",
        "The regularised lower incomplete gamma function of other. Same as torch.igamma.", kOut | kInplace);
PYNN_OP(igamma<true>, "igammac(Tensor input, Tensor other) -> Tensor",
        "The regularised upper incomplete gamma function of other. Same as torch.igammac.", kOut | kInplace);
PYNN_OP(ldexp, "ldexp(Tensor input, Tensor other) -> Tensor", "input * 2^other. Same as torch.ldexp.", kOut | kInplace);
PYNN_OP(heaviside, "heaviside(Tensor input, Tensor values) -> Tensor",
        "0 below 0, 1 above, `values` at 0. Same as torch.heaviside.", kOut | kInplace);
PYNN_OP(fmax, "fmax(Tensor input, Tensor other) -> Tensor",
        "The larger of each pair; NaN only where both are. Same as torch.fmax.", kOut);
PYNN_OP(fmin, "fmin(Tensor input, Tensor other) -> Tensor",
        "The smaller of each pair; NaN only where both are. Same as torch.fmin.", kOut);
PYNN_OP(divisor<false>, "gcd(Tensor input, Tensor other) -> Tensor", "The greatest common divisor. Same as torch.gcd.",
        kOut | kInplace);
PYNN_OP(divisor<true>, "lcm(Tensor input, Tensor other) -> Tensor", "The least common multiple. Same as torch.lcm.",
        kOut | kInplace);
PYNN_OP(float_power, "float_power(Tensor input, Other exponent) -> Tensor",
        "pow in float64. Same as torch.float_power.", kOut);
PYNN_OP(float_power_, "float_power_(Tensor input, Other exponent) -> Tensor", "float_power in place, of float64.",
        kMethodOnly);
PYNN_OP(float_power_number, "float_power(Scalar self, Tensor exponent) -> Tensor",
        "A number to the powers of a tensor.", kOut);

#define PYNN_POLYNOMIAL_OP(name, what)                                     \
  PYNN_OP(name##_x, "_special." #name "(Tensor input, Other n) -> Tensor", \
          what " of degree n. Same as torch.special." #name ".", kOut);    \
  PYNN_OP(name##_n, "_special." #name "(Scalar x, Tensor n) -> Tensor", "At a number.", kOut);
PYNN_POLYNOMIAL_OP(chebyshev_polynomial_t, "The Chebyshev polynomial T")
PYNN_POLYNOMIAL_OP(chebyshev_polynomial_u, "The Chebyshev polynomial U")
PYNN_POLYNOMIAL_OP(chebyshev_polynomial_v, "The Chebyshev polynomial V")
PYNN_POLYNOMIAL_OP(chebyshev_polynomial_w, "The Chebyshev polynomial W")
PYNN_POLYNOMIAL_OP(shifted_chebyshev_polynomial_t, "The shifted Chebyshev polynomial T")
PYNN_POLYNOMIAL_OP(shifted_chebyshev_polynomial_u, "The shifted Chebyshev polynomial U")
PYNN_POLYNOMIAL_OP(shifted_chebyshev_polynomial_v, "The shifted Chebyshev polynomial V")
PYNN_POLYNOMIAL_OP(shifted_chebyshev_polynomial_w, "The shifted Chebyshev polynomial W")
PYNN_POLYNOMIAL_OP(hermite_polynomial_h, "The physicists' Hermite polynomial")
PYNN_POLYNOMIAL_OP(hermite_polynomial_he, "The probabilists' Hermite polynomial")
PYNN_POLYNOMIAL_OP(laguerre_polynomial_l, "The Laguerre polynomial")
PYNN_POLYNOMIAL_OP(legendre_polynomial_p, "The Legendre polynomial")

}  // namespace pynn::ops
