// scan.h -- running sums and products.
#pragma once
#include "ops/op.h"

namespace pynn::ops {

Tensor cumsum(const Tensor& x, int64_t dim, std::optional<DType> dtype = {});
Tensor cumprod(const Tensor& x, int64_t dim, std::optional<DType> dtype = {});
Tensor flip_dims(const Tensor& x, Dims dims);

}  // namespace pynn::ops
