// compare.cpp -- tensors compared as a whole, and NaN or infinities replaced.
#include <limits>

#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/complex.h"
#include "ops/creation.h"
#include "ops/reduce.h"
#include "ops/ternary.h"
#include "ops/unary.h"

namespace pynn::ops {
namespace {

// |a - b| <= atol + rtol |b|; infinities only equal themselves.
Tensor isclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  PYNN_CHECK(a.dtype() == b.dtype(), "isclose: both tensors must have the same dtype, got ", dtype_name(a.dtype()),
             " and ", dtype_name(b.dtype()));
  PYNN_CHECK(rtol >= 0, "isclose: rtol must be greater than or equal to zero, but got ", rtol);
  PYNN_CHECK(atol >= 0, "isclose: atol must be greater than or equal to zero, but got ", atol);
  GradMode off(false);
  Tensor close = eq(a, b);
  if (equal_nan && !is_integral(a.dtype())) close = logical_or(close, logical_and(isnan(a), isnan(b)));
  if (rtol == 0 && atol == 0) return close;
  const Tensor other = !is_integral(b.dtype()) ? b : to_dtype(b, default_dtype());
  const Tensor error = abs(sub(a.dtype() == DType::Bool ? to_dtype(a, other.dtype()) : a, other));
  const Tensor near = logical_and(isfinite(error), le(error, add(abs(mul(other, rtol)), atol)));
  return no_gradient(logical_or(close, near));
}

bool allclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  return !any_zero(isclose(a, b, rtol, atol, equal_nan));
}

bool equal(const Tensor& a, const Tensor& b) {
  PYNN_CHECK(a.device() == b.device(), "equal: expected all tensors to be on the same device, got ", a.device().str(),
             " and ", b.device().str());
  if (!same(a.sizes(), b.sizes())) return false;
  if (!a.is_contiguous() || !b.is_contiguous() || !a.device().is_cpu()) return !any_zero(eq(a, b));
  // Block by block: most unequal tensors differ early, and the results stay in the cache.
  for (int64_t at = 0, n = a.numel(), size = 1 << 10; at < n; at += size, size = 1 << 16) {
    const int64_t part[] = {std::min(size, n - at)}, step[] = {1};
    if (any_zero(eq(alias(a, part, step, a.offset() + at), alias(b, part, step, b.offset() + at)))) return false;
  }
  return true;
}

// The largest finite value of a type.
double largest(DType t) {
  switch (t) {
    case DType::Float16:
      return 65504;
    case DType::BFloat16:
      return 0x1.fep127;
    case DType::Float32:
      return std::numeric_limits<float>::max();
    default:
      return std::numeric_limits<double>::max();
  }
}

Tensor nan_to_num(const Tensor& x, std::optional<double> nan, std::optional<double> posinf,
                  std::optional<double> neginf) {
  if (is_integral(x.dtype())) return clone_of(x);
  if (is_complex(x.dtype())) return view_as_complex(nan_to_num(view_as_real(contiguous(x)), nan, posinf, neginf));
  Tensor y;
  {
    GradMode off(false);
    const double most = largest(x.dtype());
    const double params[4] = {nan.value_or(0), posinf.value_or(most), neginf.value_or(-most), 0};
    y = map_unary(Unary::NanToNum, x, x.dtype(), params);
  }
  return record("nan_to_num", std::move(y), inputs(x), save(x),
                [](const Tensor& g, const Tensor& x) { return where(isfinite(x), g, 0.0); });
}

bool is_nonzero(const Tensor& x) {
  PYNN_CHECK(x.numel() == 1, "is_nonzero: Boolean value of Tensor with ",
             x.numel() ? "more than one value" : "no values", " is ambiguous");
  return any_nonzero(x);
}

}  // namespace

PYNN_OP(isclose,
        "isclose(Tensor input, Tensor other, float rtol=1e-05, float atol=1e-08, bool equal_nan=False) -> Tensor",
        "True where |input - other| <= atol + rtol * |other|. Same as torch.isclose.");
PYNN_OP(allclose,
        "allclose(Tensor input, Tensor other, float rtol=1e-05, float atol=1e-08, bool equal_nan=False) -> bool",
        "Whether isclose holds everywhere. Same as torch.allclose.");
PYNN_OP(equal, "equal(Tensor input, Tensor other) -> bool",
        "Whether shape and all elements are equal. Same as torch.equal.");
PYNN_OP(nan_to_num, "nan_to_num(Tensor input, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor",
        "NaN and infinities replaced, by 0 and the type's largest values unless given. Same as torch.nan_to_num.",
        kOut | kInplace | kMap);
PYNN_OP(is_nonzero, "is_nonzero(Tensor input) -> bool",
        "Whether a tensor of one element is not 0. Same as torch.is_nonzero.");

}  // namespace pynn::ops
