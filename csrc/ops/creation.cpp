// creation.cpp -- tensors filled with a value, copies and casts.
#include "ops/creation.h"

#include <cstring>

#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"

namespace pynn::ops {

void fill(const Tensor& x, Scalar value) {
  if (x.numel() == 0 || x.device().is_meta()) return;
  if (x.is_contiguous() && x.device().is_cpu() && x.dtype() == DType::Float32) {
    std::fill_n(x.data_as<float>(), x.numel(), static_cast<float>(value.to_double()));
    return;
  }
  // One element, cast as a tensor would be, then spread.
  Tensor cell = empty({}, value.is_float() ? DType::Float64 : DType::Int64);
  if (value.is_float()) {
    *cell.data_as<double>() = value.to_double();
  } else {
    *cell.data_as<int64_t>() = value.to_int();
  }
  copy_data(x, cell);
}

Tensor full(Dims sizes, Scalar value, DType dtype, Device device) {
  Tensor x = empty(sizes, dtype, device);
  fill(x, value);
  return x;
}

Tensor zeros(Dims sizes, DType dtype, Device device) {
  Tensor x = empty(sizes, dtype, device);
  if (device.is_cpu()) std::memset(x.data(), 0, static_cast<size_t>(x.numel()) * item_size(dtype));
  return x;
}

Tensor ones(Dims sizes, DType dtype, Device device) { return full(sizes, Scalar(1), dtype, device); }

Tensor arange(int64_t n) {
  Tensor x = empty(DimVector{n}, DType::Int64);
  for (int64_t i = 0; i < n; ++i) x.data_as<int64_t>()[i] = i;
  return x;
}

Tensor clone_contiguous(const Tensor& x) {
  Tensor y = empty(x.sizes(), x.dtype(), x.device());
  copy_data(y, x);
  return record("clone", std::move(y), inputs(x), save(), [](const Tensor& g) { return g; });
}

Tensor contiguous(const Tensor& x) { return x.is_contiguous() ? x : clone_contiguous(x); }

Tensor to_dtype(const Tensor& x, DType t) {
  if (x.dtype() == t) return x;
  Tensor y = empty_like(x, t);
  copy_data(y, x);
  if (!is_floating(t)) return no_gradient(std::move(y));
  // The engine casts the gradient back.
  return record("to_copy", std::move(y), inputs(x), save(), [](const Tensor& g) { return g; });
}

PYNN_OP(contiguous, "contiguous(Tensor input) -> Tensor",
        "The same values in row-major order: the tensor itself if it is. Same as torch.Tensor.contiguous.", kMethodOnly);

}  // namespace pynn::ops
