// elementwise_more.cpp -- small maps made of other ops, and numbers on the left.
#include <limits>
#include <numbers>

#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/reduce.h"
#include "ops/ternary.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

Tensor floating(const char* op, const Tensor& x) {
  PYNN_CHECK(!is_complex(x.dtype()), op, ": ", op, " is not supported for complex tensors.");
  return is_integral(x.dtype()) ? to_dtype(x, default_dtype()) : x;
}
Tensor deg2rad(const Tensor& x) { return mul(floating("deg2rad", x), std::numbers::pi / 180); }
Tensor rad2deg(const Tensor& x) { return mul(floating("rad2deg", x), 180 / std::numbers::pi); }

Tensor none_of(const Tensor& x, bool value) { return full(x.sizes(), Scalar(value), DType::Bool, x.device()); }
bool has_infinities(const char* op, const Tensor& x) {
  PYNN_CHECK(!is_complex(x.dtype()), op, ": ", op, " does not support complex inputs.");
  return is_floating(x.dtype());
}
Tensor isposinf(const Tensor& x) { return has_infinities("isposinf", x) ? eq(x, kInf) : none_of(x, false); }
Tensor isneginf(const Tensor& x) { return has_infinities("isneginf", x) ? eq(x, -kInf) : none_of(x, false); }

#define PYNN_NUMBER_FIRST(name) \
  Tensor number_##name(Scalar a, const Tensor& b) { return name(a, b); }
PYNN_NUMBER_FIRST(remainder)
PYNN_NUMBER_FIRST(bitwise_and)
PYNN_NUMBER_FIRST(bitwise_or)
PYNN_NUMBER_FIRST(bitwise_xor)
PYNN_NUMBER_FIRST(bitwise_left_shift)
PYNN_NUMBER_FIRST(bitwise_right_shift)

Tensor clamp_min(const Tensor& x, const Tensor& least) { return maximum(x, least); }
Tensor clamp_max(const Tensor& x, const Tensor& most) { return minimum(x, most); }

Tensor filled(const Tensor& x, Other value) {
  PYNN_CHECK(!value.tensor || value.tensor->dim() == 0,
             "fill: fill only supports 0-dimension value tensor but got tensor with ",
             value.tensor ? value.tensor->dim() : 0, " dimensions.");
  const Tensor v = value.tensor ? to_dtype(*value.tensor, x.dtype()) : full({}, value.scalar, x.dtype(), x.device());
  Tensor y;
  {
    GradMode off(false);
    y = clone_contiguous(expand(v, x.sizes()));
  }
  return record(
      "fill", std::move(y), inputs(x, v), save(), [](const Tensor& g) { return mul(g, 0.0); },
      [](const Tensor& g) { return sum(g); });
}

Tensor scalar_tensor(Scalar s, std::optional<DType> dtype, std::optional<Device> device, bool requires_grad) {
  Tensor t = full({}, s, dtype.value_or(default_dtype()), device.value_or(Device{}));
  if (requires_grad) {
    check_floating("requires_grad", t);
    t.impl()->requires_grad = true;
  }
  return t;
}

}  // namespace

PYNN_OP(deg2rad, "deg2rad(Tensor input) -> Tensor", "Degrees to radians. Same as torch.deg2rad.", kOut | kInplace);
PYNN_OP(rad2deg, "rad2deg(Tensor input) -> Tensor", "Radians to degrees. Same as torch.rad2deg.", kOut | kInplace);
PYNN_OP(isposinf, "isposinf(Tensor input) -> Tensor", "True where it is +inf. Same as torch.isposinf.", kOut);
PYNN_OP(isneginf, "isneginf(Tensor input) -> Tensor", "True where it is -inf. Same as torch.isneginf.", kOut);
PYNN_OP(acosh, "arccosh(Tensor input) -> Tensor", "Alias of acosh.", kOut | kInplace);
PYNN_OP(asinh, "arcsinh(Tensor input) -> Tensor", "Alias of asinh.", kOut | kInplace);
PYNN_OP(atanh, "arctanh(Tensor input) -> Tensor", "Alias of atanh.", kOut | kInplace);
PYNN_OP(number_remainder, "remainder(Scalar self, Tensor other) -> Tensor", "Of a number.");
PYNN_OP(number_bitwise_and, "bitwise_and(Scalar self, Tensor other) -> Tensor", "Of a number.");
PYNN_OP(number_bitwise_or, "bitwise_or(Scalar self, Tensor other) -> Tensor", "Of a number.");
PYNN_OP(number_bitwise_xor, "bitwise_xor(Scalar self, Tensor other) -> Tensor", "Of a number.");
PYNN_OP(number_bitwise_left_shift, "bitwise_left_shift(Scalar self, Tensor other) -> Tensor", "Of a number.");
PYNN_OP(number_bitwise_right_shift, "bitwise_right_shift(Scalar self, Tensor other) -> Tensor", "Of a number.");
PYNN_OP(clamp_min, "clamp_min(Tensor input, Tensor min) -> Tensor", "max(input, min).", kOut | kInplace);
PYNN_OP(clamp_max, "clamp_max(Tensor input, Tensor max) -> Tensor", "min(input, max).", kOut | kInplace);
PYNN_OP(filled, "fill(Tensor input, Other value) -> Tensor", "One value everywhere. Same as torch.fill.",
        kFunctionOnly);
PYNN_OP(scalar_tensor,
        "scalar_tensor(Scalar s, *, dtype? dtype=None, device? device=None, bool requires_grad=False) -> Tensor",
        "A number as a 0-d tensor of the default dtype. Same as torch.scalar_tensor.");

}  // namespace pynn::ops
