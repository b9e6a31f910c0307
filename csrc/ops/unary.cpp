// unary.cpp -- the table of unary maps: one line has the name, the loop, the derivative and the meaning.
#include "ops/unary.h"

#include <cmath>
#include <numbers>

#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/complex.h"
#include "ops/ternary.h"

namespace pynn::ops {

void check_floating(const char* op, const Tensor& x) {
  PYNN_CHECK_KIND(NotImplemented, is_floating(x.dtype()), op, ": a floating point tensor is required, got ",
                  dtype_name(x.dtype()));
}

Tensor map_unary(Unary op, const Tensor& x, DType out, const double* params) {
  Tensor y = empty_like(x, out);
  const DType t = x.dtype();
  if (t == out && (t == DType::Float32 || t == DType::Float64) && x.is_contiguous() && x.device().is_cpu()) {
    kernels::unary_contiguous(x.device(), op, t, y.data(), x.data(), x.numel(), params);
  } else {
    run_unary(op, y, x, promote(t, out), params);
  }
  return y;
}

namespace {

DType float_result(const Tensor& x) { return is_integral(x.dtype()) ? default_dtype() : x.dtype(); }

// In place: straight into x's memory. A derivative that reads the old x gets a copy of it.
template <Unary op, bool floats>
void map_in_place(const char* name, const Tensor& x, DType) {  // the result's type, for the checks made on the way
  PYNN_CHECK(!floats || !is_integral(x.dtype()), name, ": result type ", dtype_name(float_result(x)),
             " can't be cast to the desired output type ", dtype_name(x.dtype()));
  PYNN_CHECK(op != Unary::Abs || !is_complex(x.dtype()), name, ": In-place abs is not supported for complex tensors.");
  autograd::check_inplace(name, x);
  const DType t = x.dtype();
  if ((t == DType::Float32 || t == DType::Float64) && x.is_contiguous() && x.device().is_cpu()) {
    kernels::unary_contiguous(x.device(), op, t, x.data(), x.data(), x.numel(), nullptr);
  } else {
    run_unary(op, x, x, t);
  }
}

}  // namespace

// PYNN_UNARY(name, loop, result type, what is saved, derivative in terms of g and x or y, meaning)
#define PYNN_UNARY_OF(name, loop, type, floats, saved, keep_old, derivative, doc)                            \
  Tensor name(const Tensor& x) {                                                                             \
    Tensor y = map_unary(Unary::loop, x, type);                                                              \
    return record(#name, y, inputs(x), save(saved), [](const Tensor& g, const Tensor& saved) -> Tensor {     \
      (void)saved;                                                                                           \
      return derivative;                                                                                     \
    });                                                                                                      \
  }                                                                                                          \
  static Tensor name##_inplace(const Tensor& x) {                                                            \
    const Tensor old = keep_old && thread_state.grad_enabled && x.requires_grad() ? clone_of(x) : Tensor();  \
    map_in_place<Unary::loop, floats>(#name "_", x, type);                                                   \
    const Tensor& kept = keep_old ? old : x;                                                                 \
    record_inplace(#name "_", x, inputs(x), save(kept), [](const Tensor& g, const Tensor& saved) -> Tensor { \
      (void)saved;                                                                                           \
      return derivative;                                                                                     \
    });                                                                                                      \
    return x;                                                                                                \
  }                                                                                                          \
  PYNN_OP(name, #name "(Tensor input) -> Tensor", doc " Same as torch." #name ".", kOut | kMap);             \
  PYNN_OP(name##_inplace, #name "_(Tensor input) -> Tensor", #name " in place.");

// of the result y; of the input x; without any derivative but zero
#define PYNN_FROM_RESULT(name, loop, derivative, doc) \
  PYNN_UNARY_OF(name, loop, float_result(x), true, y, false, derivative, doc)
#define PYNN_FROM_INPUT(name, loop, derivative, doc) \
  PYNN_UNARY_OF(name, loop, float_result(x), true, x, true, derivative, doc)
#define PYNN_KEEPS_TYPE(name, loop, derivative, doc) \
  PYNN_UNARY_OF(name, loop, number_type(#name, real_type(#name, x.dtype())), false, x, true, derivative, doc)
#define PYNN_REAL(name, loop, derivative, doc) \
  PYNN_UNARY_OF(name, loop, real_type(#name, float_result(x)), true, x, true, derivative, doc)

static DType sign_type(const Tensor& x) {
  PYNN_CHECK_KIND(NotImplemented, !is_complex(x.dtype()),
                  "sign: Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn "
                  "instead.");
  return x.dtype();
}
// 1 / sqrt(x^2 - 1), on the branch that acosh takes; of real x below 1 NaN.
static Tensor acosh_slope(const Tensor& x) {
  if (is_complex(x.dtype())) return mul(rsqrt(sub(x, 1.0)), rsqrt(add(x, 1.0)));
  return rsqrt(mul(sub(x, 1.0), add(x, 1.0)));
}
static DType float_type(const char* op, const Tensor& x) {
  check_floating(op, x);
  return x.dtype();
}
static DType signed_type(const char* op, const Tensor& x) {
  PYNN_CHECK(x.dtype() != DType::Bool, op,
             ": Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, "
             "use the `~` or `logical_not()` operator instead.");
  return x.dtype();
}

using std::numbers::inv_sqrtpi;
using std::numbers::ln10;
using std::numbers::ln2;

PYNN_FROM_RESULT(exp, Exp, mul_conj(g, y), "e^x.")
PYNN_FROM_RESULT(exp2, Exp2, mul(mul_conj(g, y), ln2), "2^x.")
PYNN_FROM_RESULT(expm1, Expm1, mul_conj(g, add(y, 1.0)), "e^x - 1, exact near 0.")
PYNN_FROM_INPUT(log, Log, div(g, conj(x)), "The natural logarithm.")
PYNN_FROM_INPUT(log2, Log2, div(g, conj(mul(x, ln2))), "The logarithm to base 2.")
PYNN_FROM_INPUT(log10, Log10, div(g, conj(mul(x, ln10))), "The logarithm to base 10.")
PYNN_FROM_INPUT(log1p, Log1p, div(g, conj(add(x, 1.0))), "log(1 + x), exact near 0.")
PYNN_FROM_RESULT(sqrt, Sqrt, div(g, conj(mul(y, 2.0))), "The square root; NaN below 0.")
PYNN_FROM_RESULT(rsqrt, Rsqrt, mul_conj(mul(g, -0.5), pow(y, 3.0)), "1 / sqrt(x).")
PYNN_FROM_RESULT(reciprocal, Reciprocal, mul_conj(neg(g), mul(y, y)), "1 / x.")
PYNN_FROM_INPUT(sin, Sin, mul_conj(g, cos(x)), "The sine of radians.")
PYNN_FROM_INPUT(cos, Cos, mul_conj(neg(g), sin(x)), "The cosine of radians.")
PYNN_FROM_RESULT(tan, Tan, mul_conj(g, add(mul(y, y), 1.0)), "The tangent of radians.")
PYNN_FROM_INPUT(asin, Asin, mul_conj(g, rsqrt(sub(1.0, mul(x, x)))), "The angle in [-pi/2, pi/2] whose sine is x.")
PYNN_FROM_INPUT(acos, Acos, mul_conj(neg(g), rsqrt(sub(1.0, mul(x, x)))), "The angle in [0, pi] whose cosine is x.")
PYNN_FROM_INPUT(atan, Atan, div(g, conj(add(mul(x, x), 1.0))), "The angle in [-pi/2, pi/2] whose tangent is x.")
PYNN_FROM_INPUT(sinh, Sinh, mul_conj(g, cosh(x)), "(e^x - e^-x) / 2.")
PYNN_FROM_INPUT(cosh, Cosh, mul_conj(g, sinh(x)), "(e^x + e^-x) / 2.")
PYNN_FROM_INPUT(asinh, Asinh, mul_conj(g, rsqrt(add(mul(x, x), 1.0))), "The inverse of sinh.")
PYNN_FROM_INPUT(acosh, Acosh, mul_conj(g, acosh_slope(x)), "The inverse of cosh, for x >= 1.")
PYNN_FROM_INPUT(atanh, Atanh, div(g, conj(sub(1.0, mul(x, x)))), "The inverse of tanh, for |x| < 1.")
PYNN_REAL(erf, Erf, mul(mul(g, 2 * inv_sqrtpi), exp(neg(mul(x, x)))),
          "2/sqrt(pi) times the integral of e^(-t^2) from 0 to x.")
PYNN_REAL(erfc, Erfc, mul(mul(g, -2 * inv_sqrtpi), exp(neg(mul(x, x)))), "1 - erf(x), exact for large x.")

PYNN_UNARY_OF(neg, Neg, signed_type("neg", x), false, x, true, neg(g), "-x.")
PYNN_UNARY_OF(abs, Abs, number_type("abs", real_of(x.dtype())), false, x, true, mul(g, sgn(x)), "The absolute value.")
PYNN_UNARY_OF(sign, Sign, sign_type(x), false, x, true, mul(g, 0.0), "-1, 0 or 1.")
PYNN_KEEPS_TYPE(floor, Floor, mul(g, 0.0), "The next integer below.")
PYNN_KEEPS_TYPE(ceil, Ceil, mul(g, 0.0), "The next integer above.")
PYNN_KEEPS_TYPE(trunc, Trunc, mul(g, 0.0), "The next integer towards 0.")
PYNN_UNARY_OF(frac, Frac, float_type("frac", x), false, x, true, g, "x - trunc(x).")

// Maps with one fused backward each; the loop of the backward is differentiable itself.
namespace {

Tensor tanh_backward(const Tensor& g, const Tensor& y) {
  if (is_complex(y.dtype())) return mul_conj(g, sub(1.0, mul(y, y)));
  return record(
      "tanh_backward", map_backward(Binary::TanhBackward, g, y), inputs(g, y), save(g, y),
      [](const Tensor& gg, const Tensor&, const Tensor& y) { return tanh_backward(gg, y); },
      [](const Tensor& gg, const Tensor& g, const Tensor& y) { return mul(mul(gg, g), mul(y, -2.0)); });
}
Tensor sigmoid_backward(const Tensor& g, const Tensor& y) {
  if (is_complex(y.dtype())) return mul_conj(g, mul(y, sub(1.0, y)));
  return record(
      "sigmoid_backward", map_backward(Binary::SigmoidBackward, g, y), inputs(g, y), save(g, y),
      [](const Tensor& gg, const Tensor&, const Tensor& y) { return sigmoid_backward(gg, y); },
      [](const Tensor& gg, const Tensor& g, const Tensor& y) { return mul(mul(gg, g), sub(1.0, mul(y, 2.0))); });
}
Tensor relu_backward(const Tensor& g, const Tensor& y) {
  return record(
      "relu_backward", map_backward(Binary::ReluBackward, g, y), inputs(g, y), save(y),
      [](const Tensor& gg, const Tensor& y) { return relu_backward(gg, y); },
      [](const Tensor&, const Tensor&) { return Tensor(); });
}

// A first derivative, for which a map without a record will do.
Tensor first(Binary map, Tensor (*recorded)(const Tensor&, const Tensor&), const Tensor& g, const Tensor& y) {
  return thread_state.grad_enabled || is_complex(y.dtype()) ? recorded(g, y) : map_backward_over(map, g, y);
}

}  // namespace
PYNN_FROM_RESULT(tanh, Tanh, first(Binary::TanhBackward, tanh_backward, g, y), "(e^x - e^-x) / (e^x + e^-x).")
PYNN_FROM_RESULT(sigmoid, Sigmoid, first(Binary::SigmoidBackward, sigmoid_backward, g, y), "1 / (1 + e^-x).")
PYNN_UNARY_OF(relu, Relu, number_type("relu", real_type("relu", x.dtype())), false, y, false,
              first(Binary::ReluBackward, relu_backward, g, y), "max(x, 0).")

PYNN_OP(relu_inplace, "_nn.relu_(Tensor input) -> Tensor", "relu in place.");

Tensor relu_of_result(const Tensor& y) {
  if (!thread_state.grad_enabled || !autograd::needs_graph(y)) return y;
  const Tensor z = alias(y);
  return record("relu", z, inputs(y), save(z),
                [](const Tensor& g, const Tensor& z) { return first(Binary::ReluBackward, relu_backward, g, z); });
}

// x * x as one map; integers keep their type.
Tensor square(const Tensor& x) {
  Tensor y = map_unary(Unary::Square, x, x.dtype() == DType::Bool ? DType::Int64 : x.dtype());
  return record("pow", std::move(y), inputs(x), save(x),
                [](const Tensor& g, const Tensor& x) { return mul_conj(g, mul(x, 2.0)); });
}
PYNN_OP(square, "square(Tensor input) -> Tensor", "x * x. Same as torch.square.", kOut | kInplace | kMap);

Tensor round(const Tensor& x) {
  return record("round", map_unary(Unary::Round, x, number_type("round", real_type("round", x.dtype()))), inputs(x),
                save(), [](const Tensor& g) { return mul(g, 0.0); });
}
namespace {
Tensor op_round(const Tensor& x, int64_t decimals) {
  if (decimals == 0) return round(x);
  const double scale = std::pow(10.0, std::abs(static_cast<double>(decimals)));
  return decimals > 0 ? div(round(mul(x, scale)), scale) : mul(round(div(x, scale)), scale);
}
Tensor positive(const Tensor& x) {
  PYNN_CHECK(x.dtype() != DType::Bool, "positive: The `+` operator, on a bool tensor is not supported.");
  return x;
}
}  // namespace
PYNN_OP(op_round, "round(Tensor input, *, int decimals=0) -> Tensor",
        "The nearest integer, halves to the even one. Same as torch.round.", kOut | kInplace | kMap);
PYNN_OP(positive, "positive(Tensor input) -> Tensor", "x itself. Same as torch.positive.");

namespace {
Tensor predicate(Unary op, const Tensor& x) {
  Tensor y = empty_like(x, DType::Bool);
  run_unary(op, y, x, x.dtype());
  return no_gradient(std::move(y));
}
Tensor constant_if_integral(Unary op, const Tensor& x, bool value) {
  if (!is_integral(x.dtype())) return predicate(op, x);
  Tensor y = empty_like(x, DType::Bool);
  run_binary(value ? Binary::Eq : Binary::Ne, y, x, x, x.dtype());
  return y;
}
}  // namespace
Tensor logical_not(const Tensor& x) { return predicate(Unary::LogicalNot, x); }
Tensor isnan(const Tensor& x) { return constant_if_integral(Unary::IsNan, x, false); }
Tensor isinf(const Tensor& x) { return constant_if_integral(Unary::IsInf, x, false); }
Tensor isfinite(const Tensor& x) { return constant_if_integral(Unary::IsFinite, x, true); }
Tensor bitwise_not(const Tensor& x) {
  PYNN_CHECK_KIND(NotImplemented, is_integral(x.dtype()), "bitwise_not: an integer or bool tensor is required, got ",
                  dtype_name(x.dtype()));
  if (x.dtype() == DType::Bool) return logical_not(x);
  return no_gradient(map_unary(Unary::BitNot, x, x.dtype()));
}
PYNN_OP(logical_not, "logical_not(Tensor input) -> Tensor", "True where x is 0. Same as torch.logical_not.",
        kOut | kInplace | kMap);
PYNN_OP(bitwise_not, "bitwise_not(Tensor input) -> Tensor", "~x, of integers or bools. Same as torch.bitwise_not.",
        kOut | kInplace | kMap);
PYNN_OP(isnan, "isnan(Tensor input) -> Tensor", "True where x is NaN. Same as torch.isnan.");
PYNN_OP(isinf, "isinf(Tensor input) -> Tensor", "True where x is infinite. Same as torch.isinf.");
PYNN_OP(isfinite, "isfinite(Tensor input) -> Tensor", "True where x is a finite number. Same as torch.isfinite.");
PYNN_OP(neg, "negative(Tensor input) -> Tensor", "Alias of neg.", kOut | kInplace | kMap);
PYNN_OP(abs, "absolute(Tensor input) -> Tensor", "Alias of abs.", kOut | kInplace | kMap);
PYNN_OP(trunc, "fix(Tensor input) -> Tensor", "Alias of trunc.", kOut | kInplace | kMap);
PYNN_OP(asin, "arcsin(Tensor input) -> Tensor", "Alias of asin.", kOut | kInplace | kMap);
PYNN_OP(acos, "arccos(Tensor input) -> Tensor", "Alias of acos.", kOut | kInplace | kMap);
PYNN_OP(atan, "arctan(Tensor input) -> Tensor", "Alias of atan.", kOut | kInplace | kMap);

}  // namespace pynn::ops
