// device.h -- tensors from one device to another.
#pragma once
#include "core/tensor.h"

namespace pynn::ops {

// x itself if it is there. Keeps dtype, sizes and, if x is dense, strides. `asynchronous`: a copy from pinned memory,
// or to it, need not be done on return. Differentiable.
Tensor to_device(const Tensor& x, Device device, bool asynchronous = false);

// x in host memory, without a graph: for what only the CPU can do.
Tensor on_host(const Tensor& x);

}  // namespace pynn::ops
