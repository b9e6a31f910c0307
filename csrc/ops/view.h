// view.h -- other shapes of the same memory.
#pragma once
#include "ops/op.h"

namespace pynn::ops {

// A view of x's storage (offset absolute), tied to x's base for in-place writes. The caller records its derivative.
Tensor make_view(const Tensor& x, Dims sizes, Dims strides, int64_t offset);
// The same of another type: sizes, strides and offset count its elements.
Tensor make_view(const Tensor& x, Dims sizes, Dims strides, int64_t offset, DType dtype);

Tensor view(const Tensor& x, Dims sizes);     // error if it needs a copy
Tensor reshape(const Tensor& x, Dims sizes);  // a view if possible
Tensor permute(const Tensor& x, Dims dims);
Tensor transpose(const Tensor& x, int64_t a, int64_t b);
Tensor reversed(const Tensor& x);  // x.T
Tensor expand(const Tensor& x, Dims sizes);
Tensor squeeze(const Tensor& x, std::optional<Dims> dims = {});
Tensor unsqueeze(const Tensor& x, int64_t dim);
Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length);
Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t end, int64_t step);  // bounds already clamped
Tensor select(const Tensor& x, int64_t dim, int64_t index);
Tensor diagonal(const Tensor& x, int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1);
Tensor as_strided(const Tensor& x, Dims sizes, Dims strides, std::optional<int64_t> offset = {});
Tensor detach(const Tensor& x);
Tensor flatten(const Tensor& x, int64_t start = 0, int64_t end = -1);

}  // namespace pynn::ops
