// concat.h -- joining tensors and taking them apart.
#pragma once
#include "ops/op.h"

namespace pynn::ops {

Tensor cat(TensorSpan tensors, int64_t dim);
Tensor stack(TensorSpan tensors, int64_t dim);
std::vector<Tensor> split_by(const Tensor& x, int64_t size, int64_t dim);  // views; the last may be smaller
std::vector<Tensor> split_sizes(const Tensor& x, Dims sizes, int64_t dim);
std::vector<Tensor> unbind(const Tensor& x, int64_t dim);

}  // namespace pynn::ops
