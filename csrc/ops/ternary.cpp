// ternary.cpp -- where, lerp, addcmul, addcdiv, clamp.
#include "ops/ternary.h"

#include <cmath>
#include <limits>

#include "autograd/named.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/complex.h"
#include "ops/creation.h"
#include "ops/element.h"
#include "ops/indexing.h"
#include "ops/unary.h"

namespace pynn::ops {
namespace {

const Tensor& input(const Other& o) { return o.tensor ? *o.tensor : kUndefined; }

DimVector common_sizes(const char* op, std::initializer_list<Other> operands) {
  DimVector sizes;
  for (const Other& o : operands)
    if (o.tensor) sizes = broadcast_sizes(op, sizes, o.tensor->sizes());
  return sizes;
}

Tensor zeros_where(const Tensor& condition, const Tensor& g, bool keep_true) {
  return keep_true ? where(condition, g, 0.0) : where(condition, 0.0, g);
}

}  // namespace

Tensor where(const Tensor& condition, Other a, Other b) {
  PYNN_CHECK(condition.dtype() == DType::Bool || condition.dtype() == DType::UInt8,
             "where: expected condition to be a boolean tensor, but got a tensor with dtype ",
             dtype_name(condition.dtype()));
  const DType t = result_type(a, b);
  for (Other* o : {&a, &b})
    if (!o->tensor) o->scalar = as_element("where", o->scalar, t);
  Device device = condition.device();
  for (const Other& o : {a, b})
    if (o.tensor && device.is_cpu()) device = o.tensor->device();
  Tensor y = empty_for({&condition, a.tensor, b.tensor}, common_sizes("where", {condition, a, b}), t, device);
  run_ternary(Ternary::Where, y, condition, a, b, t);
  return record(
      "where", std::move(y), inputs(input(a), input(b)), save(condition),
      [](const Tensor& g, const Tensor& c) { return zeros_where(c, g, true); },
      [](const Tensor& g, const Tensor& c) { return zeros_where(c, g, false); });
}

// a + w (b - a), computed from the nearer end.
Tensor lerp(const Tensor& a, const Tensor& b, Other w) {
  PYNN_CHECK_KIND(NotImplemented, !is_integral(a.dtype()), "lerp: a floating point tensor is required, got ",
                  dtype_name(a.dtype()));
  PYNN_CHECK(a.dtype() == b.dtype(), "lerp: expected dtype ", dtype_name(a.dtype()), " for `end` but got dtype ",
             dtype_name(b.dtype()));
  PYNN_CHECK(!w.tensor || w.tensor->dtype() == a.dtype(), "lerp: expected dtype ", dtype_name(a.dtype()),
             " for `weight` but got dtype ", dtype_name(w.tensor ? w.tensor->dtype() : a.dtype()));
  Tensor y = empty_for({&a, &b, w.tensor}, common_sizes("lerp", {a, b, w}), a.dtype(), a.device());
  run_ternary(Ternary::Lerp, y, a, b, w, a.dtype());
  return record(
      w.tensor ? "lerp.1" : "lerp", std::move(y), inputs(a, b, input(w)), save(a, b, input(w), w.scalar),
      [](const Tensor& g, const Tensor&, const Tensor&, const Tensor& w, Scalar s) {
        return w.defined() ? mul_conj(g, sub(1.0, w)) : sub(g, mul_conj(g, s));
      },
      [](const Tensor& g, const Tensor&, const Tensor&, const Tensor& w, Scalar s) {
        return mul_conj(g, w.defined() ? Other(w) : Other(s));
      },
      [](const Tensor& g, const Tensor& a, const Tensor& b, const Tensor&, Scalar) { return mul_conj(g, sub(b, a)); });
}

namespace {

Tensor addc(const char* op, Ternary kind, const Tensor& x, const Tensor& a, const Tensor& b, Scalar value) {
  const DType t = number_type(op, promote(promote(x.dtype(), a.dtype()), b.dtype()));
  PYNN_CHECK(kind != Ternary::Addcdiv || !is_integral(a.dtype()) || !is_integral(b.dtype()),
             "addcdiv: integer division with addcdiv is no longer supported (convert the operands to a floating type)");
  value = as_element(op, value, t);
  Tensor y = empty_for({&x, &a, &b}, common_sizes(op, {x, a, b}), t, x.device());
  const Complex128 z = is_complex(t) ? value.to_complex() : Complex128{value.to_double(), 0};
  const double params[4] = {z.re, z.im, 0, 0};
  run_ternary(kind, y, x, a, b, t, params);
  return y;
}

}  // namespace

Tensor addcmul(const Tensor& x, const Tensor& a, const Tensor& b, Scalar value) {
  return record(
      "addcmul", addc("addcmul", Ternary::Addcmul, x, a, b, value), inputs(x, a, b), save(a, b, value),
      [](const Tensor& g, const Tensor&, const Tensor&, Scalar) { return g; },
      [](const Tensor& g, const Tensor&, const Tensor& b, Scalar v) { return mul_conj(mul_conj(g, b), v); },
      [](const Tensor& g, const Tensor& a, const Tensor&, Scalar v) { return mul_conj(mul_conj(g, a), v); });
}

Tensor addcdiv(const Tensor& x, const Tensor& a, const Tensor& b, Scalar value) {
  return record(
      "addcdiv", addc("addcdiv", Ternary::Addcdiv, x, a, b, value), inputs(x, a, b), save(a, b, value),
      [](const Tensor& g, const Tensor&, const Tensor&, Scalar) { return g; },
      [](const Tensor& g, const Tensor&, const Tensor& b, Scalar v) { return mul_conj(div(g, conj(b)), v); },
      [](const Tensor& g, const Tensor& a, const Tensor& b, Scalar v) {
        return mul_conj(mul_conj(neg(g), div(a, mul(b, b))), v);
      });
}

namespace {
DType clamp_type(DType t) {
  PYNN_CHECK_KIND(NotImplemented, !is_complex(t), "clamp: clamp is not supported for complex types");
  return t;
}
}  // namespace

// The gradient passes where min <= x <= max, borders included.
Tensor clamp(const Tensor& x, std::optional<Scalar> min, std::optional<Scalar> max) {
  PYNN_CHECK(min || max, "clamp: At least one of 'min' or 'max' must not be None");
  DType t = x.dtype();
  if (min) t = result_type(x, *min);
  if (max) t = promote(t, result_type(x, *max));
  t = number_type("clamp", clamp_type(t));
  if (min) min = as_element("clamp", *min, t);
  if (max) max = as_element("clamp", *max, t);
  constexpr double inf = std::numeric_limits<double>::infinity();
  const double params[4] = {min ? min->to_double() : -inf, max ? max->to_double() : inf, 0, 0};
  const int64_t iparams[2] = {min ? min->to_int() : INT64_MIN, max ? max->to_int() : INT64_MAX};
  Tensor y = empty_like(x, t);
  run_unary(Unary::Clamp, y, x, is_integral(t) ? DType::Int64 : t, params, iparams);
  return record("clamp.1", std::move(y), inputs(x), save(x, min, max),
                [](const Tensor& g, const Tensor& x, std::optional<Scalar> min, std::optional<Scalar> max) {
                  Tensor inside = min ? ge(x, *min) : le(x, *max);
                  if (min && max) inside = logical_and(inside, le(x, *max));
                  return where(inside, g, 0.0);
                });
}

namespace {

Tensor op_clamp_tensors(const Tensor& x, const Tensor& min_in, const Tensor& max_in) {
  Tensor min = min_in, max = max_in;
  PYNN_CHECK(min.defined() || max.defined(), "clamp: At least one of 'min' or 'max' must not be None");
  DType t = x.dtype();
  if (min.defined()) t = result_type(x, min);
  if (max.defined()) t = promote(t, result_type(x, max));
  clamp_type(t);
  if (min.defined() && max.defined()) t = number_type("clamp", t);
  DimVector sizes(x.sizes());
  if (min.defined()) sizes = broadcast_sizes("clamp", sizes, min.sizes());
  if (max.defined()) sizes = broadcast_sizes("clamp", sizes, max.sizes());
  Tensor y = empty_for({&x, min.defined() ? &min : nullptr, max.defined() ? &max : nullptr}, sizes, t, x.device());
  for (Tensor* bound : {&min, &max})  // an integer of a wider type wraps
    if (bound->defined() && bound->dim() == 0 && is_integral(t)) *bound = to_dtype(*bound, t);
  constexpr double inf = std::numeric_limits<double>::infinity();
  const Other low = min.defined() ? Other(min) : is_floating(t) ? Other(-inf) : Other(Scalar(INT64_MIN));
  const Other high = max.defined() ? Other(max) : is_floating(t) ? Other(inf) : Other(Scalar(INT64_MAX));
  run_ternary(Ternary::Clamp, y, x, low, high, is_floating(t) ? t : DType::Int64);
  return record(
      "clamp", std::move(y), inputs(x, min, max), save(x, min, max),
      [](const Tensor& g, const Tensor& x, const Tensor& min, const Tensor& max) {
        Tensor inside = min.defined() ? ge(x, min) : le(x, max);
        if (min.defined() && max.defined()) inside = logical_and(inside, le(x, max));
        return where(inside, g, 0.0);
      },
      [](const Tensor& g, const Tensor& x, const Tensor& min, const Tensor& max) {
        Tensor taken = lt(x, min);
        if (max.defined()) taken = logical_and(taken, lt(min, max));
        return where(taken, g, 0.0);
      },
      [](const Tensor& g, const Tensor& x, const Tensor& min, const Tensor& max) {
        Tensor taken = gt(x, max);
        if (min.defined()) taken = logical_or(taken, gt(min, max));
        return where(taken, g, 0.0);
      });
}
Tensor op_clamp_min_tensor(const Tensor& x, const Tensor& min) {
  return named("maximum", op_clamp_tensors(x, min, {}));
}
Tensor op_clamp_max_tensor(const Tensor& x, const Tensor& max) {
  return named("minimum", op_clamp_tensors(x, {}, max));
}
Tensor op_clamp_min(const Tensor& x, Scalar min) { return named("clamp_min", clamp(x, min, {})); }
Tensor op_clamp_max(const Tensor& x, Scalar max) { return named("clamp_max", clamp(x, {}, max)); }
Tensor op_where_other(const Tensor& condition, Other a, Other b) { return where(condition, a, b); }
Tensor op_where_method(const Tensor& a, const Tensor& condition, Other b) { return where(condition, a, b); }

}  // namespace

PYNN_OP(op_where_other, "where(Tensor condition, Other input, Other other) -> Tensor",
        "input where condition holds, else other, with broadcasting. Same as torch.where.", kFunctionOnly | kOut);
PYNN_OP(nonzero_tuple, "where(Tensor condition) -> Tensor[]",
        "The positions where the condition holds, one tensor per dim.", kFunctionOnly | kOut);
PYNN_OP(op_where_method, "where(Tensor input, Tensor condition, Other other) -> Tensor",
        "The tensor's own values where condition holds, else other.", kMethodOnly);
PYNN_OP(lerp, "lerp(Tensor input, Tensor end, Other weight) -> Tensor",
        "input + weight * (end - input), exact at both ends. Same as torch.lerp.", kOut | kInplace | kMap);
PYNN_OP(addcmul, "addcmul(Tensor input, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
        "input + value * tensor1 * tensor2. Same as torch.addcmul.", kOut | kInplace | kMap);
PYNN_OP(addcdiv, "addcdiv(Tensor input, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
        "input + value * tensor1 / tensor2. Same as torch.addcdiv.", kOut | kInplace | kMap);
// Bounds that are tensors come first: a 0-d tensor would pass for a number, which promotes otherwise.
PYNN_OP(op_clamp_tensors, "clamp(Tensor input, Tensor? min=None, Tensor? max=None) -> Tensor",
        "min(max(input, min), max), with bounds that broadcast; a missing bound does not bind. Same as torch.clamp.",
        kOut | kInplace | kMap);
PYNN_OP(clamp, "clamp(Tensor input, Scalar? min=None, Scalar? max=None) -> Tensor", "Bounds by numbers.",
        kOut | kInplace | kMap);
PYNN_OP(op_clamp_tensors, "clip(Tensor input, Tensor? min=None, Tensor? max=None) -> Tensor", "Alias of clamp.",
        kOut | kInplace | kMap);
PYNN_OP(clamp, "clip(Tensor input, Scalar? min=None, Scalar? max=None) -> Tensor", "Alias of clamp.",
        kOut | kInplace | kMap);
PYNN_OP(op_clamp_min_tensor, "clamp_min(Tensor input, Tensor min) -> Tensor", "max(input, min).",
        kOut | kInplace | kMap);
PYNN_OP(op_clamp_min, "clamp_min(Tensor input, Scalar min) -> Tensor", "max(input, min).", kOut | kInplace | kMap);
PYNN_OP(op_clamp_max_tensor, "clamp_max(Tensor input, Tensor max) -> Tensor", "min(input, max).",
        kOut | kInplace | kMap);
PYNN_OP(op_clamp_max, "clamp_max(Tensor input, Scalar max) -> Tensor", "min(input, max).", kOut | kInplace | kMap);

}  // namespace pynn::ops
