// softmax.h -- softmax and log-softmax.
#pragma once
#include "ops/op.h"

namespace pynn::ops {

Tensor softmax(const Tensor& x, int64_t dim, std::optional<DType> dtype = {});
Tensor log_softmax(const Tensor& x, int64_t dim, std::optional<DType> dtype = {});

}  // namespace pynn::ops
