// device.cpp -- copies between host and device memory. What has no place of its own there: to(), cpu(), cuda().
#include "ops/device.h"

#include "autograd/record.h"
#include "core/accelerator.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/creation.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

bool is_dense(const Tensor& x) { return x.is_contiguous() || span_elements(x.sizes(), x.strides()) == x.numel(); }

}  // namespace

Tensor to_device(const Tensor& x, Device device, bool asynchronous) {
  device = resolve(device);
  if (x.device() == device) return x;
  PYNN_CHECK_KIND(NotImplemented, !x.device().is_meta(), "to: Cannot copy out of meta tensor; no data!");
  if (device.is_meta()) return no_gradient(empty(x.sizes(), x.dtype(), device));
  const Tensor from = is_dense(x) ? x : contiguous(x);
  const Tensor y = empty_strided(from.sizes(), from.strides(), x.dtype(), device);
  if (y.numel() == 1 && device.is_cuda() && x.device().is_cpu())  // as a kernel's argument: no waiting, also in a graph
    copy_data(alias(y, {}, {}, 0), alias(x, {}, {}, x.offset()));
  else if (y.numel())
    accelerator->copy(y.data(), device, from.data(), x.device(), static_cast<size_t>(y.numel()) * item_size(x.dtype()),
                      asynchronous);
  const Device home = x.device();
  return record("to_device", y, inputs(x), save(home), [](const Tensor& g, Device home) { return to_device(g, home); });
}

Tensor on_host(const Tensor& x) {
  if (!x.device().is_cuda()) return x;
  GradMode off(false);
  return to_device(x, Device{});
}

}  // namespace pynn::ops
