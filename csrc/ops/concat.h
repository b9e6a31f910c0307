// concat.h -- joining tensors and taking them apart.
#pragma once
#include "ops/op.h"

namespace pynn::ops {

Tensor cat(TensorSpan tensors, int64_t dim);
Tensor stack(TensorSpan tensors, int64_t dim);
std::vector<Tensor> unbind(const Tensor& x, int64_t dim);

}  // namespace pynn::ops
