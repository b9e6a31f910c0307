// indexing.h -- reading and writing parts of a tensor by position.
#pragma once
#include <vector>

#include "ops/op.h"

namespace pynn::ops {

// Advanced indexing: indices[d] is an int64 tensor (negative counts from the end), or undefined for a full slice.
// They broadcast together; the result has their shape where they stood, or in front if they were not adjacent.
Tensor index(const Tensor& x, TensorSpan indices);
// x[indices] = value, or += when accumulate.
Tensor index_put_(const Tensor& x, TensorSpan indices, const Tensor& value, bool accumulate = false);

Tensor gather(const Tensor& x, int64_t dim, const Tensor& index);
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index);
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, Scalar alpha = 1);
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor nonzero(const Tensor& x);  // [count, ndim] int64

}  // namespace pynn::ops
