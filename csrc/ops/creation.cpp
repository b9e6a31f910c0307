// creation.cpp -- tensors filled with a value, copies and casts.
#include "ops/creation.h"

#include <cmath>
#include <cstring>

#include "autograd/record.h"
#include "core/accelerator.h"
#include "core/shape.h"
#include "kernels/sequence.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/complex.h"
#include "ops/device.h"
#include "ops/element.h"

namespace pynn::ops {

// Below, a plain loop is done before a kernel is set up.
constexpr int64_t kFewElements = 1024;

void fill(const Tensor& x, Scalar value) {
  if (x.numel() == 0 || x.device().is_meta()) return;
  if (x.is_contiguous() && x.device().is_cpu() && x.dtype() == DType::Float32 && x.numel() < kFewElements) {
    std::fill_n(x.data_as<float>(), x.numel(), static_cast<float>(value.to_double()));
    return;
  }
  copy_data(x, element_tensor("fill_", value, x.dtype()));  // one element, spread
}

Tensor full(Dims sizes, Scalar value, DType dtype, Device device) {
  Tensor x = empty(sizes, dtype, device);
  fill(x, value);
  return x;
}

Tensor zeros(Dims sizes, DType dtype, Device device) {
  Tensor x = empty(sizes, dtype, device);
  const size_t bytes = static_cast<size_t>(x.numel()) * item_size(dtype);
  if (device.is_cpu() && x.numel() < kFewElements)
    std::memset(x.data(), 0, bytes);
  else if (device.is_cpu())
    fill(x, Scalar(0));
  else if (device.is_cuda() && bytes)
    accelerator->fill_zero(x.data(), x.device().index, bytes);
  return x;
}

Tensor ones(Dims sizes, DType dtype, Device device) { return full(sizes, Scalar(1), dtype, device); }

namespace {

Tensor sequence(SequenceArgs a, int64_t n, DType t, Device d) {
  const bool here = !d.is_cuda() || !is_complex(t);
  Tensor x = empty(DimVector{n}, t, here ? d : Device{});
  a.dtype = t, a.out = x.data(), a.n = n;
  if (n && !x.device().is_meta()) kernels::sequence(x.device(), a);
  return here ? x : to_device(x, d);
}

}  // namespace

Tensor arange(int64_t n, Device device) {
  return sequence({.spacing = Spacing::Integers, .by = 1}, n, DType::Int64, device);
}

Tensor clone_contiguous(const Tensor& x) {
  Tensor y = empty(x.sizes(), x.dtype(), x.device());
  copy_data(y, x);
  return record("clone", std::move(y), inputs(x), save(), [](const Tensor& g) { return g; });
}

Tensor contiguous(const Tensor& x) { return x.is_contiguous() ? x : clone_contiguous(x); }

Tensor contiguous(const Tensor& x, MemoryFormat format) {
  if (is_contiguous_in(format, x)) return x;
  PYNN_CHECK(format != MemoryFormat::Preserve,
             "contiguous: preserve memory format is unsupported by the contiguous operator");
  return clone_of(x, format);
}

Tensor to_copy(const Tensor& x, DType t, MemoryFormat format) {
  Tensor y = empty_like(x, t, format);
  copy_data(y, x);
  if (is_integral(t)) return no_gradient(std::move(y));
  // The engine casts the gradient back.
  return record("to_copy", std::move(y), inputs(x), save(), [](const Tensor& g) { return g; });
}

Tensor to_dtype(const Tensor& x, DType t) { return x.dtype() == t ? x : to_copy(x, t, MemoryFormat::Preserve); }

namespace {

using OptType = std::optional<DType>;
using OptDevice = std::optional<Device>;
using OptFormat = std::optional<MemoryFormat>;

Tensor with_grad(Tensor t, bool requires_grad) {
  if (requires_grad) {
    PYNN_CHECK(is_floating(t.dtype()) || is_complex(t.dtype()),
               "requires_grad: only Tensors of floating point and complex dtype can require gradients, got ",
               dtype_name(t.dtype()));
    t.impl()->requires_grad = true;
  }
  return t;
}

Tensor op_empty(Dims sizes, OptType t, OptDevice d, bool grad, OptFormat f) {
  return with_grad(
      empty(sizes, t.value_or(default_dtype()), d.value_or(Device{}), f.value_or(MemoryFormat::Contiguous)), grad);
}
Tensor op_zeros(Dims sizes, OptType t, OptDevice d, bool grad) {
  return with_grad(zeros(sizes, t.value_or(default_dtype()), d.value_or(Device{})), grad);
}
Tensor op_ones(Dims sizes, OptType t, OptDevice d, bool grad) {
  return with_grad(ones(sizes, t.value_or(default_dtype()), d.value_or(Device{})), grad);
}
Tensor op_full(Dims sizes, Scalar value, OptType t, OptDevice d, bool grad) {
  return with_grad(full(sizes, value, t.value_or(number_dtype(value)), d.value_or(Device{})), grad);
}
Tensor op_empty_strided(Dims sizes, Dims strides, OptType t, OptDevice d, bool grad) {
  return with_grad(empty_strided(sizes, strides, t.value_or(default_dtype()), d.value_or(Device{})), grad);
}

}  // namespace

Tensor empty_as(const Tensor& x, OptType t, OptDevice d, OptFormat f) {
  const DType type = t.value_or(x.dtype());
  const MemoryFormat format = f.value_or(MemoryFormat::Preserve);
  if (!d || *d == x.device()) return empty_like(x, type, format);
  return empty(x.sizes(), type, *d, format == MemoryFormat::Preserve ? MemoryFormat::Contiguous : format);
}

namespace {

Tensor filled(Tensor t, Scalar value, bool grad) {
  fill(t, value);
  return with_grad(std::move(t), grad);
}
Tensor op_empty_like(const Tensor& x, OptType t, OptDevice d, bool grad, OptFormat f) {
  return with_grad(empty_as(x, t, d, f), grad);
}
Tensor op_zeros_like(const Tensor& x, OptType t, OptDevice d, bool grad, OptFormat f) {
  return filled(empty_as(x, t, d, f), Scalar(0), grad);
}
Tensor op_ones_like(const Tensor& x, OptType t, OptDevice d, bool grad, OptFormat f) {
  return filled(empty_as(x, t, d, f), Scalar(1), grad);
}
Tensor op_full_like(const Tensor& x, Scalar v, OptType t, OptDevice d, bool grad, OptFormat f) {
  return filled(empty_as(x, t, d, f), v, grad);
}

Tensor op_new_empty(const Tensor& x, Dims sizes, OptType t, OptDevice d, bool grad) {
  return with_grad(empty(sizes, t.value_or(x.dtype()), d.value_or(x.device())), grad);
}
Tensor op_new_zeros(const Tensor& x, Dims sizes, OptType t, OptDevice d, bool grad) {
  return filled(op_new_empty(x, sizes, t, d, false), Scalar(0), grad);
}
Tensor op_new_ones(const Tensor& x, Dims sizes, OptType t, OptDevice d, bool grad) {
  return filled(op_new_empty(x, sizes, t, d, false), Scalar(1), grad);
}
Tensor op_new_full(const Tensor& x, Dims sizes, Scalar v, OptType t, OptDevice d, bool grad) {
  return filled(op_new_empty(x, sizes, t, d, false), v, grad);
}

// start + step * i, computed in float64 or int64 and cast, so that no error adds up.
Tensor ramp(int64_t n, Scalar start, Scalar step, DType t, Device d) {
  const bool reals = step.is_float() || start.is_float();
  return sequence({.spacing = reals ? Spacing::Reals : Spacing::Integers,
                   .first = start.to_int(),
                   .by = step.to_int(),
                   .start = start.to_double(),
                   .step = step.to_double()},
                  n, t, d);
}

Tensor op_arange(Scalar start, Scalar end, Scalar step, OptType t, OptDevice d, bool grad) {
  const bool floats = start.is_float() || end.is_float() || step.is_float();
  PYNN_CHECK(!step.equals(0), "arange: step must be nonzero");
  PYNN_CHECK(std::isfinite(start.to_double()) && std::isfinite(end.to_double()),
             "arange: unsupported range: ", start.to_double(), " -> ", end.to_double());
  PYNN_CHECK_KIND(NotImplemented, t != DType::Bool && !(t && is_complex(*t)), "arange: not implemented for ",
                  dtype_name(*t));
  const bool up = step.to_double() > 0;
  PYNN_CHECK(up ? end.to_double() >= start.to_double() : end.to_double() <= start.to_double(),
             "arange: upper bound and lower bound inconsistent with step sign");
  // An integral dtype truncates the numbers first; int64 counts by what is left of them.
  const bool whole = !floats || (t && is_integral(*t));
  double size;
  if (floats && t != DType::Int64) {
    size = std::ceil((end.to_double() - start.to_double()) / step.to_double());
  } else {
    const int64_t span = end.to_int() - start.to_int(), by = step.to_int();
    PYNN_CHECK_KIND(Value, by != 0, "arange: step must be nonzero as an int64, got ", step.to_double());
    size = static_cast<double>(span / by + (span % by != 0));
  }
  PYNN_CHECK(size < 0x1p58, "arange: too many elements, got ", size);
  if (whole) start = Scalar(start.to_int()), step = Scalar(step.to_int());
  return with_grad(ramp(static_cast<int64_t>(size), start, step, t.value_or(floats ? default_dtype() : DType::Int64),
                        d.value_or(Device{})),
                   grad);
}
Tensor op_arange_end(Scalar end, OptType t, OptDevice d, bool grad) {
  return op_arange(Scalar(0), end, Scalar(1), t, d, grad);
}
Tensor op_arange_start(Scalar start, Scalar end, OptType t, OptDevice d, bool grad) {
  return op_arange(start, end, Scalar(1), t, d, grad);
}

// From both ends towards the middle, as in PyTorch, so that the last value is exact; `base` to these powers, if given.
Tensor spaced(const char* op, double start, double end, int64_t steps, std::optional<double> base, OptType t,
              OptDevice d, bool grad) {
  PYNN_CHECK(steps >= 0, op, ": number of steps must be non-negative, got ", steps);
  const DType type = t.value_or(default_dtype());
  if (is_integral(type)) start = std::trunc(start), end = std::trunc(end);
  const bool single = type == DType::Float32 || type == DType::Float16 || type == DType::BFloat16;
  double step = steps > 1 ? (end - start) / static_cast<double>(steps - 1) : 0;
  if (single) {  // PyTorch computes float32 and shorter types in float32, with a step of the result's type
    const auto rounded = [&](double v) -> float {
      if (type == DType::Float16) return static_cast<float>(Half(static_cast<float>(v)));
      if (type == DType::BFloat16) return static_cast<float>(BFloat16(static_cast<float>(v)));
      return static_cast<float>(v);
    };
    const float s = rounded(start), e = rounded(end);
    start = s, end = e;
    step = steps > 1 ? rounded((e - s) / static_cast<float>(steps - 1)) : 0;
  }
  return with_grad(sequence({.spacing = single ? Spacing::Single : Spacing::Double,
                             .start = start,
                             .end = end,
                             .step = step,
                             .power = base.has_value(),
                             .base = base.value_or(0)},
                            steps, type, d.value_or(Device{})),
                   grad);
}
Tensor op_linspace(Scalar start, Scalar end, int64_t steps, OptType t, OptDevice d, bool grad) {
  if (start.is_complex() || end.is_complex()) {  // each part is a linspace of its own
    const DType type = t.value_or(complex_of(default_dtype()));
    PYNN_CHECK(is_complex(type), "linspace: inferred dtype is complex, but the dtype that was given is ",
               dtype_name(type));
    const Complex128 a = start.to_complex(), b = end.to_complex();
    Tensor y = empty(DimVector{steps}, type, d.value_or(Device{}));
    copy_data(real(y), op_linspace(a.re, b.re, steps, real_of(type), d, false));
    copy_data(imag(y), op_linspace(a.im, b.im, steps, real_of(type), d, false));
    return with_grad(std::move(y), grad);
  }
  return spaced("linspace", start.to_double(), end.to_double(), steps, {}, t, d, grad);
}
Tensor op_logspace(Scalar start, Scalar end, int64_t steps, double base, OptType t, OptDevice d, bool grad) {
  return spaced("logspace", start.to_double(), end.to_double(), steps, base, t, d, grad);
}

Tensor op_eye2(int64_t n, int64_t m, OptType t, OptDevice d, bool grad) {
  PYNN_CHECK(n >= 0 && m >= 0, "eye: sizes must not be negative, got ", n, " and ", m);
  Tensor x = zeros(DimVector{n, m}, t.value_or(default_dtype()), d.value_or(Device{}));
  fill(alias(x, DimVector{std::min(n, m)}, DimVector{m + 1}, 0), Scalar(1));
  return with_grad(std::move(x), grad);
}
Tensor op_eye(int64_t n, OptType t, OptDevice d, bool grad) { return op_eye2(n, n, t, d, grad); }

Tensor op_fill_(const Tensor& x, Other value) {
  autograd::check_inplace("fill_", x);
  if (value.tensor) {
    PYNN_CHECK(value.tensor->dim() == 0, "fill_: only supports 0-dimension value tensor but got tensor with ",
               value.tensor->dim(), " dimensions.");
    copy_data(x, *value.tensor);
    record_inplace(
        "fill_.3", x, inputs(x, *value.tensor), save(), [](const Tensor&) { return Tensor(); },
        [](const Tensor& g) { return g; });
  } else {
    fill(x, value.scalar);
    record_inplace("fill_.2", x, inputs(x), save(), [](const Tensor&) { return Tensor(); });
  }
  return x;
}
Tensor op_contiguous(const Tensor& x, MemoryFormat f) { return contiguous(x, f); }
Tensor op_zero_(const Tensor& x) { return op_fill_(x, Scalar(0)); }

}  // namespace

PYNN_OP(op_empty,
        "empty(int... size, *, dtype? dtype=None, device? device=None, bool requires_grad=False, memory_format? "
        "memory_format=None) -> Tensor",
        "Memory that is not cleared. Same as torch.empty.", kOut);
PYNN_OP(op_zeros, "zeros(int... size, *, dtype? dtype=None, device? device=None, bool requires_grad=False) -> Tensor",
        "Filled with 0. Same as torch.zeros.", kOut);
PYNN_OP(op_ones, "ones(int... size, *, dtype? dtype=None, device? device=None, bool requires_grad=False) -> Tensor",
        "Filled with 1. Same as torch.ones.", kOut);
PYNN_OP(op_full,
        "full(Size size, Scalar fill_value, *, dtype? dtype=None, device? device=None, bool requires_grad=False) -> "
        "Tensor",
        "Filled with a value, whose type is the default dtype. Same as torch.full.", kOut);
PYNN_OP(op_empty_strided,
        "empty_strided(Size size, Size stride, *, dtype? dtype=None, device? device=None, bool requires_grad=False) "
        "-> Tensor",
        "Memory that is not cleared, in a given layout. Same as torch.empty_strided.");
PYNN_OP(op_empty_like,
        "empty_like(Tensor input, *, dtype? dtype=None, device? device=None, bool requires_grad=False, memory_format? "
        "memory_format=None) -> Tensor",
        "Of the input's shape, not cleared. Same as torch.empty_like.", kFunctionOnly);
PYNN_OP(op_zeros_like,
        "zeros_like(Tensor input, *, dtype? dtype=None, device? device=None, bool requires_grad=False, memory_format? "
        "memory_format=None) -> Tensor",
        "Of the input's shape, filled with 0. Same as torch.zeros_like.", kFunctionOnly);
PYNN_OP(op_ones_like,
        "ones_like(Tensor input, *, dtype? dtype=None, device? device=None, bool requires_grad=False, memory_format? "
        "memory_format=None) -> Tensor",
        "Of the input's shape, filled with 1. Same as torch.ones_like.", kFunctionOnly);
PYNN_OP(op_full_like,
        "full_like(Tensor input, Scalar fill_value, *, dtype? dtype=None, device? device=None, bool "
        "requires_grad=False, memory_format? memory_format=None) -> Tensor",
        "Of the input's shape, filled with a value. Same as torch.full_like.", kFunctionOnly);
PYNN_OP(op_new_empty,
        "new_empty(Tensor input, int... size, *, dtype? dtype=None, device? device=None, bool requires_grad=False) -> "
        "Tensor",
        "Not cleared, of the input's dtype and device. Same as torch.Tensor.new_empty.", kMethodOnly);
PYNN_OP(op_new_zeros,
        "new_zeros(Tensor input, int... size, *, dtype? dtype=None, device? device=None, bool requires_grad=False) -> "
        "Tensor",
        "Filled with 0, of the input's dtype and device. Same as torch.Tensor.new_zeros.", kMethodOnly);
PYNN_OP(op_new_ones,
        "new_ones(Tensor input, int... size, *, dtype? dtype=None, device? device=None, bool requires_grad=False) -> "
        "Tensor",
        "Filled with 1, of the input's dtype and device. Same as torch.Tensor.new_ones.", kMethodOnly);
PYNN_OP(op_new_full,
        "new_full(Tensor input, Size size, Scalar fill_value, *, dtype? dtype=None, device? device=None, bool "
        "requires_grad=False) -> Tensor",
        "Filled with a value, of the input's dtype and device. Same as torch.Tensor.new_full.", kMethodOnly);
PYNN_OP(op_arange_end,
        "arange(Scalar end, *, dtype? dtype=None, device? device=None, bool requires_grad=False) -> Tensor",
        "0, 1, ... below end. Same as torch.arange.", kOut);
PYNN_OP(
    op_arange_start,
    "arange(Scalar start, Scalar end, *, dtype? dtype=None, device? device=None, bool requires_grad=False) -> Tensor",
    "From start, below end.", kOut);
PYNN_OP(op_arange,
        "arange(Scalar start, Scalar end, Scalar step, *, dtype? dtype=None, device? device=None, bool "
        "requires_grad=False) -> Tensor",
        "From start in steps, before end.", kOut);
PYNN_OP(op_linspace,
        "linspace(Scalar start, Scalar end, int steps, *, dtype? dtype=None, device? device=None, bool "
        "requires_grad=False) -> Tensor",
        "`steps` values at equal distances, both ends included. Same as torch.linspace.", kOut);
PYNN_OP(op_logspace,
        "logspace(Scalar start, Scalar end, int steps, float base=10.0, *, dtype? dtype=None, device? device=None, "
        "bool requires_grad=False) -> Tensor",
        "base to the powers of linspace. Same as torch.logspace.", kOut);
PYNN_OP(op_eye, "eye(int n, *, dtype? dtype=None, device? device=None, bool requires_grad=False) -> Tensor",
        "1 on the diagonal, else 0. Same as torch.eye.", kOut);
PYNN_OP(op_eye2, "eye(int n, int m, *, dtype? dtype=None, device? device=None, bool requires_grad=False) -> Tensor",
        "n rows, m columns.", kOut);
PYNN_OP(op_fill_, "fill_(Tensor input, Other value) -> Tensor",
        "Every element becomes the value. Same as torch.Tensor.fill_.", kMethodOnly);
PYNN_OP(op_zero_, "zero_(Tensor input) -> Tensor", "Every element becomes 0. Same as torch.Tensor.zero_.", kMethodOnly);
PYNN_OP(op_contiguous, "contiguous(Tensor input, *, memory_format memory_format=contiguous_format) -> Tensor",
        "The same values in row-major (or the given) order: the tensor itself if they are. Same as "
        "torch.Tensor.contiguous.",
        kMethodOnly);

}  // namespace pynn::ops
