// reduce_plan.h -- for the files of the reduction family: which dims, which result shape, which memory.
#pragma once
#include "kernels/reduce.h"
#include "ops/op.h"

namespace pynn::ops {

// The dims as bits; none given means all.
int64_t dims_mask(const char* op, const Tensor& x, std::optional<Dims> dims);
DimVector reduced_sizes(const Tensor& x, int64_t mask, bool keepdim);
// The reduced dims back as size 1.
Tensor restore_dims(const Tensor& y, int64_t mask, int64_t ndim);

// x as contiguous [outer, reduced, inner] memory, copied only if needed.
struct ReducePlan {
  ReducePlan(const Tensor& x, int64_t mask);
  Tensor x;
  int64_t outer, reduced, inner;
};
// y: contiguous, of the reduced sizes.
void run_reduce(Reduce op, const Tensor& x, int64_t mask, const Tensor& y, int64_t* index = nullptr, double param = 0);

}  // namespace pynn::ops
