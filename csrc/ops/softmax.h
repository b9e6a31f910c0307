// softmax.h -- softmax and log-softmax.
#pragma once
#include "ops/op.h"

namespace pynn::ops {

Tensor softmax(const Tensor& x, int64_t dim, std::optional<DType> dtype = {});
Tensor log_softmax(const Tensor& x, int64_t dim, std::optional<DType> dtype = {});
Tensor softmax_backward(const Tensor& g, const Tensor& y, int64_t dim);  // y: softmax's result

}  // namespace pynn::ops
