#include "ops/device.h"

#include "core/accelerator.h"
#include "core/thread_state.h"
#include "ops/creation.h"

namespace pynn::ops {

Tensor to_device(const Tensor& x, Device device) {
  if (x.device() == device || x.device() == resolve(device)) return x;
  GradMode off(false);
  PYNN_CHECK_KIND(NotImplemented, !x.device().is_meta(), "to: Cannot copy out of meta tensor; no data!");
  const Tensor from = contiguous(x);
  Tensor y = empty(x.sizes(), x.dtype(), device);
  if (x.numel() && !device.is_meta()) {
    DeviceGuard guard(x.device().is_cuda() ? x.device().index : y.device().index);
    accelerator->copy(y.data(), y.device(), from.data(), from.device(),
                      static_cast<size_t>(x.numel()) * item_size(x.dtype()), false);
  }
  return y;
}

}  // namespace pynn::ops
