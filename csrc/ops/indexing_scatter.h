// indexing_scatter.h -- for the files of the scatter family.
#pragma once
#include "kernels/indexing.h"
#include "ops/op.h"

namespace pynn::ops {

// The first part of t that is as large as `sizes`, apart from dim `but`: a view.
Tensor crop(Tensor t, Dims sizes, int64_t but = -1);
// Wrapped dim. An empty index fits everything.
int64_t check_index(const char* op, const Tensor& x, int64_t dim, const Tensor& index);
void check_source(const char* op, const Tensor& x, const Tensor& index, const Tensor& source);
// Writes into self, values only. `source` holds one element per index, or one for all.
void run_scatter(const char* op, const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source,
                 bool one_value, ScatterMode mode);
// scatter_add to zeros of `sizes`, which it adds in place where that needs no record: the derivative of taking
// elements.
Tensor scatter_sum(Dims sizes, int64_t dim, const Tensor& index, const Tensor& source);

}  // namespace pynn::ops
