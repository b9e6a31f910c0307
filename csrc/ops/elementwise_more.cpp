// elementwise_more.cpp -- small maps made of other ops, numbers on the left, and what complex functions are of reals.
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

Tensor floating(const Tensor& x) { return is_integral(x.dtype()) ? to_dtype(x, default_dtype()) : x; }
Tensor deg2rad(const Tensor& x) { return mul(floating(x), std::numbers::pi / 180); }
Tensor rad2deg(const Tensor& x) { return mul(floating(x), 180 / std::numbers::pi); }

Tensor none_of(const Tensor& x, bool value) { return full(x.sizes(), Scalar(value), DType::Bool, x.device()); }
Tensor isposinf(const Tensor& x) { return is_floating(x.dtype()) ? eq(x, kInf) : none_of(x, false); }
Tensor isneginf(const Tensor& x) { return is_floating(x.dtype()) ? eq(x, -kInf) : none_of(x, false); }

// Real tensors are their own real part and conjugate.
void check_real(const char* op, const Tensor& x) {
  PYNN_CHECK_KIND(NotImplemented, !is_complex(x.dtype()), op, ": complex tensors are not supported yet");
}
Tensor isreal(const Tensor& x) {
  check_real("isreal", x);
  return none_of(x, true);
}
Tensor itself(const Tensor& x) {
  check_real("conj", x);
  return x;
}
Tensor conj_physical(const Tensor& x) {
  check_real("conj_physical", x);
  return clone_of(x);
}
// 0, or pi of negative numbers.
Tensor angle(const Tensor& x) {
  check_real("angle", x);
  Tensor y;
  {
    GradMode off(false);
    y = to_dtype(where(lt(x, 0), std::numbers::pi, Scalar(0.0)), is_integral(x.dtype()) ? default_dtype() : x.dtype());
    if (is_floating(x.dtype())) y = where(isnan(x), x, y);
  }
  return record("angle", std::move(y), inputs(x), save(), [](const Tensor& g) { return mul(g, 0.0); });
}

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
PYNN_OP(isreal, "isreal(Tensor input) -> Tensor", "True where the imaginary part is 0. Same as torch.isreal.");
PYNN_OP(itself, "conj(Tensor input) -> Tensor", "The complex conjugate: of real tensors itself. Same as torch.conj.");
PYNN_OP(itself, "resolve_conj(Tensor input) -> Tensor", "Itself.");
PYNN_OP(itself, "resolve_neg(Tensor input) -> Tensor", "Itself.");
PYNN_OP(itself, "real(Tensor input) -> Tensor", "The real part: of real tensors itself. Same as torch.real.",
        kFunctionOnly);
PYNN_OP(conj_physical, "conj_physical(Tensor input) -> Tensor", "The complex conjugate.", kOut | kInplace);
PYNN_OP(angle, "angle(Tensor input) -> Tensor", "0, or pi of negative numbers. Same as torch.angle.", kOut);
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
