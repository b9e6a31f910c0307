// reduce.h -- sums, extrema and their kin over some dims.
#pragma once
#include "ops/op.h"

namespace pynn::ops {

Tensor sum(const Tensor& x, std::optional<Dims> dims = {}, bool keepdim = false, std::optional<DType> dtype = {});
Tensor mean(const Tensor& x, std::optional<Dims> dims = {}, bool keepdim = false, std::optional<DType> dtype = {});
// (sum |x|^p)^(1/p)
Tensor norm(const Tensor& x, Scalar p, std::optional<Dims> dims = {}, bool keepdim = false,
            std::optional<DType> dtype = {});
Tensor sum_to(const Tensor& x, Dims sizes);  // over the dims along which `sizes` would be broadcast to x
bool any_nonzero(const Tensor& x);
bool any_zero(const Tensor& x);

}  // namespace pynn::ops
