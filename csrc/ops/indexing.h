// indexing.h -- reading and writing parts of a tensor by position.
#pragma once
#include <vector>

#include "ops/op.h"

namespace pynn::ops {

// Advanced indexing: indices[d] is an integer tensor (negative counts from the end), a bool mask over one or several
// dims, or undefined for a full slice. They broadcast together; the result has their shape where they stood, or in
// front if they were not adjacent.
Tensor index(const Tensor& x, TensorSpan indices);
// x[indices] = value, or += when accumulate.
Tensor index_put_(const Tensor& x, TensorSpan indices, const Tensor& value, bool accumulate = false);

Tensor gather(const Tensor& x, int64_t dim, const Tensor& index);
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor scatter_fill(const Tensor& x, int64_t dim, const Tensor& index, Scalar value);
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);

Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index);
Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, Scalar alpha = 1);
Tensor index_copy(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
Tensor index_fill(const Tensor& x, int64_t dim, const Tensor& index, Scalar value);

Tensor masked_fill(const Tensor& x, const Tensor& mask, Scalar value);
Tensor masked_fill_(const Tensor& x, const Tensor& mask, Scalar value);
Tensor masked_select(const Tensor& x, const Tensor& mask);
Tensor nonzero(const Tensor& x);                     // [count, ndim] int64
std::vector<Tensor> nonzero_tuple(const Tensor& x);  // one [count] int64 tensor per dim

}  // namespace pynn::ops
