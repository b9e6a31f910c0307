// indexing_plan.h -- for the files of the indexing family: where the elements that indices name lie in memory.
#pragma once
#include <vector>

#include "ops/op.h"

namespace pynn::ops {

// Masks become the positions of their true elements, other integer types int64, all on x's device. The result has one
// entry per dim of x that is indexed or passed over; IndexError when there are more than x has, or a mask's shape
// differs from x's.
std::vector<Tensor> expand_indices(const char* op, const Tensor& x, TensorSpan indices);

// x[indices] as runs of `row` elements: run r of block b starts row * (blocks[b] + rows[r]) elements behind x's first
// one.
struct IndexPlan {
  DimVector sizes;  // of x[indices]
  Tensor rows;      // contiguous int64
  std::vector<int64_t> blocks{0};
  int64_t row = 1;
  int64_t nrows = 0;      // every position is below it
  bool as_given = false;  // rows is the caller's own index along dim 0, which the kernel wraps and checks
  bool wrap = true;       // negative positions count from the end
};
// `indices` as expand_indices gives them. x is not copied, whatever its strides. `read`: the plan is for read_rows
// only.
IndexPlan plan_index(const char* op, const Tensor& x, TensorSpan indices, bool wrap = true, bool read = false);

// Between x's memory at the plan's runs and contiguous memory of the plan's sizes. Values only.
void read_rows(const char* op, const IndexPlan& plan, const Tensor& x, const Tensor& y);
enum class Write { Assign, Add };
// `value` broadcasts to the plan's sizes and has x's type.
void write_rows(const char* op, const IndexPlan& plan, const Tensor& x, const Tensor& value, Write how);

}  // namespace pynn::ops
