// binary_inplace.cpp -- a += b and its kin, straight into a's memory, and the registration of the whole family.
#include "autograd/named.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/complex.h"
#include "ops/unary.h"

namespace pynn::ops {
namespace {

const Tensor& input(const Other& o) { return o.tensor ? *o.tensor : kUndefined; }
Other other(const Tensor& t, Scalar s) { return t.defined() ? Other(t) : Other(s); }

// The operands' common type, after the checks that a may be written to and can hold the result.
DType inplace_type(const char* op, const Tensor& a, Other b, bool true_division = false) {
  DType t = result_type(a, b);
  if (true_division && is_integral(t)) t = default_dtype();
  check_castable(op, t, a.dtype());
  if (b.tensor) {
    PYNN_CHECK(b.tensor->device() == a.device() || (b.tensor->device().is_cpu() && b.tensor->dim() == 0), op,
               ": expected all tensors to be on the same device, got ", a.device().str(), " and ",
               b.tensor->device().str());
    check_fits(op, a, b.tensor->sizes());
  }
  autograd::check_inplace(op, a);
  if (b.tensor) check_no_overlap(op, a, *b.tensor);
  return t;
}

// a's value before the write, where the gradient of b will need it.
Tensor before_write(const Tensor& a, Other b) {
  const bool needed = thread_state.grad_enabled && b.tensor && b.tensor->requires_grad();
  return needed ? clone_of(a) : Tensor();
}

void run(Binary op, const Tensor& a, Other b, DType type, Scalar alpha = 1) {
  const bool plain = a.dtype() == type && a.is_contiguous() && a.device().is_cpu() &&
                     (type == DType::Float32 || type == DType::Float64);
  const Complex128 z = alpha.to_complex();
  const double params[4] = {z.re, z.im, 0, 0};
  const int64_t iparams[2] = {alpha.is_complex() ? 0 : alpha.to_int(), 0};
  if (plain && !b.tensor) {
    float f = static_cast<float>(b.scalar.to_double());
    double d = b.scalar.to_double();
    const void* cell = type == DType::Float32 ? static_cast<void*>(&f) : &d;
    kernels::binary_contiguous(a.device(), op, type, a.data(), a.data(), 1, cell, 0, a.numel(), params);
  } else if (plain && b.tensor->dtype() == type && b.tensor->is_contiguous() && same(a.sizes(), b.tensor->sizes()) &&
             b.tensor->storage().get() != a.storage().get()) {
    kernels::binary_contiguous(a.device(), op, type, a.data(), a.data(), 1, b.tensor->data(), 1, a.numel(), params);
  } else {
    run_binary(op, a, a, b, type, params, iparams);
  }
}

}  // namespace

Tensor add_(const Tensor& a, Other b, Scalar alpha) {
  const DType t = inplace_type("add_", a, b);
  check_alpha("add_", alpha, t);
  if (t == DType::Bool) {
    if (alpha.to_bool()) run(Binary::LogicalOr, a, b, t);
  } else {
    run(Binary::Add, a, b, t, alpha);
  }
  record_inplace(
      "add_", a, inputs(a, input(b)), save(alpha), [](const Tensor& g, Scalar) { return g; },
      [](const Tensor& g, Scalar alpha) { return alpha.equals(1) ? g : mul_conj(g, alpha); });
  return a;
}

Tensor sub_(const Tensor& a, Other b, Scalar alpha) {
  check_subtraction("sub_", a, b);
  const DType t = inplace_type("sub_", a, b);
  check_alpha("sub_", alpha, t);
  run(Binary::Sub, a, b, t, alpha);
  record_inplace(
      "sub_", a, inputs(a, input(b)), save(alpha), [](const Tensor& g, Scalar) { return g; },
      [](const Tensor& g, Scalar alpha) { return mul_conj(g, -alpha); });
  return a;
}

Tensor mul_(const Tensor& a, Other b) {
  const DType t = inplace_type("mul_", a, b);
  const Tensor before = before_write(a, b);
  run(t == DType::Bool ? Binary::LogicalAnd : Binary::Mul, a, b, t);
  record_inplace(
      "mul_", a, inputs(a, input(b)), save(before, input(b), b.scalar),
      [](const Tensor& g, const Tensor&, const Tensor& b, Scalar s) { return mul_conj(g, other(b, s)); },
      [](const Tensor& g, const Tensor& before, const Tensor&, Scalar) { return mul_conj(g, before); });
  return a;
}

Tensor div_(const Tensor& a, Other b) {
  const DType t = inplace_type("div_", a, b, /*true_division=*/true);
  const Tensor before = before_write(a, b);
  run(Binary::Div, a, b, t);
  record_inplace(
      "div_", a, inputs(a, input(b)), save(before, input(b), b.scalar),
      [](const Tensor& g, const Tensor&, const Tensor& b, Scalar s) {
        return b.defined() ? div(g, conj(b)) : div(g, s.conj());
      },
      [](const Tensor& g, const Tensor& before, const Tensor& b, Scalar) {
        return mul_conj(neg(g), div(div(before, b), b));
      });
  return a;
}

namespace {

// As the schemas see them: the first operand of a function or method is a tensor.
#define PYNN_TENSOR_FIRST(name) \
  Tensor op_##name(const Tensor& a, Other b) { return name(a, b); }
PYNN_TENSOR_FIRST(mul)
PYNN_TENSOR_FIRST(floor_divide)
PYNN_TENSOR_FIRST(remainder)
PYNN_TENSOR_FIRST(fmod)
PYNN_TENSOR_FIRST(pow)
PYNN_TENSOR_FIRST(bitwise_and)
PYNN_TENSOR_FIRST(bitwise_or)
PYNN_TENSOR_FIRST(bitwise_xor)
PYNN_TENSOR_FIRST(bitwise_left_shift)
PYNN_TENSOR_FIRST(bitwise_right_shift)

#define PYNN_TENSORS_ONLY(name) \
  Tensor op_##name(const Tensor& a, const Tensor& b) { return name(a, b); }
PYNN_TENSORS_ONLY(maximum)
PYNN_TENSORS_ONLY(minimum)
PYNN_TENSORS_ONLY(atan2)

// In place, or with an out= of numbers, straight to where they belong.
Tensor compare_into(const char* name, Binary op, const Tensor& a, Other b) {
  const Tensor* to = thread_state.destination;
  const bool numbers = to && to->device().is_cpu() && !is_complex(to->dtype());
  return compare(name, op, a, b, numbers ? to->dtype() : DType::Bool);
}
#define PYNN_COMPARISON(name, op, other) \
  Tensor op_##name(const Tensor& a, other b) { return compare_into(#name, Binary::op, a, b); }
PYNN_COMPARISON(eq, Eq, Other)
PYNN_COMPARISON(ne, Ne, Other)
PYNN_COMPARISON(lt, Lt, Other)
PYNN_COMPARISON(le, Le, Other)
PYNN_COMPARISON(gt, Gt, Other)
PYNN_COMPARISON(ge, Ge, Other)
PYNN_COMPARISON(logical_and, LogicalAnd, const Tensor&)
PYNN_COMPARISON(logical_or, LogicalOr, const Tensor&)
PYNN_COMPARISON(logical_xor, LogicalXor, const Tensor&)

Tensor op_add(const Tensor& a, Other b, Scalar alpha) { return add(a, b, alpha); }
Tensor op_sub(const Tensor& a, Other b, Scalar alpha) { return sub(a, b, alpha); }
Tensor op_rsub(const Tensor& a, Other b, Scalar alpha) {
  const Tensor y = sub(b, a, alpha);
  return b.tensor ? named("rsub", y) : y;
}
Tensor op_pow_scalar(Scalar a, const Tensor& b) { return pow(a, b); }
Tensor op_div(const Tensor& a, Other b, std::optional<std::string_view> rounding) {
  if (!rounding) return div(a, b);
  if (*rounding == "floor") return named("div.2", floor_divide(a, b));
  PYNN_CHECK(*rounding == "trunc", "div: expected rounding_mode to be one of None, 'trunc', or 'floor' but found '",
             *rounding, "'");
  return named("div.2", trunc_divide(a, b));
}
Tensor op_div_(const Tensor& a, Other b, std::optional<std::string_view> rounding) {
  if (!rounding) return div_(a, b);
  const Tensor input = thread_state.grad_enabled && a.requires_grad() ? clone_of(a) : a;
  assign("div_", a, op_div(input, b, rounding));
  return a;
}

}  // namespace

#define PYNN_SAME_AS(name) "Same as torch." name "."
PYNN_OP(op_add, "add(Tensor input, Other other, *, Scalar alpha=1) -> Tensor",
        "input + alpha * other, element by element, with broadcasting. Same as torch.add.", kOut | kMap);
PYNN_OP(add_, "add_(Tensor input, Other other, *, Scalar alpha=1) -> Tensor", "add in place.", kMethodOnly);
PYNN_OP(op_sub, "sub(Tensor input, Other other, *, Scalar alpha=1) -> Tensor",
        "input - alpha * other, element by element, with broadcasting. Same as torch.sub.", kOut | kMap);
PYNN_OP(sub_, "sub_(Tensor input, Other other, *, Scalar alpha=1) -> Tensor", "sub in place.", kMethodOnly);
PYNN_OP(op_sub, "subtract(Tensor input, Other other, *, Scalar alpha=1) -> Tensor", "Alias of sub.",
        kOut | kInplace | kMap);
PYNN_OP(op_rsub, "rsub(Tensor input, Other other, *, Scalar alpha=1) -> Tensor", "other - alpha * input.",
        kFunctionOnly);
PYNN_OP(op_mul, "mul(Tensor input, Other other) -> Tensor",
        "input * other, element by element, with broadcasting. Same as torch.mul.", kOut | kMap);
PYNN_OP(mul_, "mul_(Tensor input, Other other) -> Tensor", "mul in place.", kMethodOnly);
PYNN_OP(op_mul, "multiply(Tensor input, Other other) -> Tensor", "Alias of mul.", kOut | kInplace | kMap);
PYNN_OP(op_div, "div(Tensor input, Other other, *, str? rounding_mode=None) -> Tensor",
        "input / other: true division, or rounded by 'floor' or 'trunc'. Same as torch.div.", kOut);
PYNN_OP(op_div_, "div_(Tensor input, Other other, *, str? rounding_mode=None) -> Tensor", "div in place.", kMethodOnly);
PYNN_OP(op_div, "divide(Tensor input, Other other, *, str? rounding_mode=None) -> Tensor", "Alias of div.",
        kOut | kInplace);
PYNN_OP(op_div, "true_divide(Tensor input, Other other, *, str? rounding_mode=None) -> Tensor", "Alias of div.",
        kOut | kInplace);
PYNN_OP(op_floor_divide, "floor_divide(Tensor input, Other other) -> Tensor",
        "floor(input / other), exact for integers. Same as torch.floor_divide.", kOut | kInplace | kMap);
PYNN_OP(op_remainder, "remainder(Tensor input, Other other) -> Tensor",
        "input - other * floor(input / other): the sign is the divisor's. Same as torch.remainder.",
        kOut | kInplace | kMap);
PYNN_OP(op_fmod, "fmod(Tensor input, Other other) -> Tensor",
        "input - other * trunc(input / other): the sign is the dividend's. Same as torch.fmod.",
        kOut | kInplace | kMap);
PYNN_OP(op_pow, "pow(Tensor input, Other exponent) -> Tensor",
        "input to the power of exponent, with broadcasting. Same as torch.pow.", kOut | kInplace | kMap);
PYNN_OP(op_pow_scalar, "pow(Scalar self, Tensor exponent) -> Tensor", "A number to the powers of a tensor.", kOut);
PYNN_OP(op_maximum, "maximum(Tensor input, Tensor other) -> Tensor",
        "The larger of each pair; NaN wins. Same as torch.maximum.", kOut);
PYNN_OP(op_minimum, "minimum(Tensor input, Tensor other) -> Tensor",
        "The smaller of each pair; NaN wins. Same as torch.minimum.", kOut);
PYNN_OP(op_atan2, "atan2(Tensor input, Tensor other) -> Tensor",
        "The angle of (other, input), radians in [-pi, pi]. Same as torch.atan2.", kOut | kInplace | kMap);
PYNN_OP(op_atan2, "arctan2(Tensor input, Tensor other) -> Tensor", "Alias of atan2.", kOut | kInplace | kMap);

PYNN_OP(op_eq, "eq(Tensor input, Other other) -> Tensor", "input == other. " PYNN_SAME_AS("eq"),
        kOut | kInplace | kMap);
PYNN_OP(op_ne, "ne(Tensor input, Other other) -> Tensor", "input != other. " PYNN_SAME_AS("ne"),
        kOut | kInplace | kMap);
PYNN_OP(op_lt, "lt(Tensor input, Other other) -> Tensor", "input < other. " PYNN_SAME_AS("lt"), kOut | kInplace | kMap);
PYNN_OP(op_le, "le(Tensor input, Other other) -> Tensor", "input <= other. " PYNN_SAME_AS("le"),
        kOut | kInplace | kMap);
PYNN_OP(op_gt, "gt(Tensor input, Other other) -> Tensor", "input > other. " PYNN_SAME_AS("gt"), kOut | kInplace | kMap);
PYNN_OP(op_ge, "ge(Tensor input, Other other) -> Tensor", "input >= other. " PYNN_SAME_AS("ge"),
        kOut | kInplace | kMap);
PYNN_OP(op_ne, "not_equal(Tensor input, Other other) -> Tensor", "Alias of ne.", kOut | kInplace | kMap);
PYNN_OP(op_lt, "less(Tensor input, Other other) -> Tensor", "Alias of lt.", kOut | kInplace | kMap);
PYNN_OP(op_le, "less_equal(Tensor input, Other other) -> Tensor", "Alias of le.", kOut | kInplace | kMap);
PYNN_OP(op_gt, "greater(Tensor input, Other other) -> Tensor", "Alias of gt.", kOut | kInplace | kMap);
PYNN_OP(op_ge, "greater_equal(Tensor input, Other other) -> Tensor", "Alias of ge.", kOut | kInplace | kMap);
PYNN_OP(op_logical_and, "logical_and(Tensor input, Tensor other) -> Tensor",
        "True where both are nonzero. " PYNN_SAME_AS("logical_and"), kOut | kInplace | kMap);
PYNN_OP(op_logical_or, "logical_or(Tensor input, Tensor other) -> Tensor",
        "True where one is nonzero. " PYNN_SAME_AS("logical_or"), kOut | kInplace | kMap);
PYNN_OP(op_logical_xor, "logical_xor(Tensor input, Tensor other) -> Tensor",
        "True where exactly one is nonzero. " PYNN_SAME_AS("logical_xor"), kOut | kInplace | kMap);
PYNN_OP(op_bitwise_and, "bitwise_and(Tensor input, Other other) -> Tensor",
        "input & other, of integers or bools. " PYNN_SAME_AS("bitwise_and"), kOut | kInplace | kMap);
PYNN_OP(op_bitwise_or, "bitwise_or(Tensor input, Other other) -> Tensor",
        "input | other, of integers or bools. " PYNN_SAME_AS("bitwise_or"), kOut | kInplace | kMap);
PYNN_OP(op_bitwise_xor, "bitwise_xor(Tensor input, Other other) -> Tensor",
        "input ^ other, of integers or bools. " PYNN_SAME_AS("bitwise_xor"), kOut | kInplace | kMap);
PYNN_OP(op_bitwise_left_shift, "bitwise_left_shift(Tensor input, Other other) -> Tensor",
        "input << other. " PYNN_SAME_AS("bitwise_left_shift"), kOut | kInplace | kMap);
PYNN_OP(op_bitwise_right_shift, "bitwise_right_shift(Tensor input, Other other) -> Tensor",
        "input >> other, arithmetic. " PYNN_SAME_AS("bitwise_right_shift"), kOut | kInplace | kMap);

}  // namespace pynn::ops
