// shape.h -- the arithmetic of sizes and strides.
#pragma once
#include <string_view>

#include "core/tensor.h"

namespace pynn {

DimVector contiguous_strides(Dims sizes);
bool is_contiguous(Dims sizes, Dims strides);
bool is_dense(Dims sizes, Dims strides);  // contiguous in some order of the dims
int64_t checked_numel(Dims sizes);        // throws for negative sizes and overflow

// dim counted from the end if negative; IndexError outside [-ndim, ndim). A 0-d tensor takes 0 and -1.
int64_t wrap_dim(const char* op, int64_t dim, int64_t ndim);
inline int64_t wrap_dim(const char* op, int64_t dim, const Tensor& x) { return wrap_dim(op, dim, x.dim()); }

// The common shape by broadcasting; the error names both.
DimVector broadcast_sizes(const char* op, Dims a, Dims b);
// Strides that read `x` as if it had `sizes` (0 along broadcast dims). x must broadcast to sizes.
DimVector broadcast_strides(const char* op, Dims x_sizes, Dims x_strides, Dims sizes);

// Replaces one -1 in `sizes` so that it holds numel elements.
DimVector infer_sizes(const char* op, Dims sizes, int64_t numel);
// Strides of a view of (sizes, strides) with `to` sizes, or false when only a copy can have them.
bool view_strides(Dims sizes, Dims strides, Dims to, DimVector& out);

// Several elements at one address (expanded tensors): cannot be written to.
bool overlaps_itself(Dims sizes, Dims strides);
bool share_memory(const Tensor& a, const Tensor& b);  // their address ranges meet
// Elements from the first to one past the last address used.
int64_t span_elements(Dims sizes, Dims strides);

}  // namespace pynn
