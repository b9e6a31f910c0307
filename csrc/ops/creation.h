// creation.h -- new tensors.
#pragma once
#include "ops/op.h"

namespace pynn::ops {

Tensor full(Dims sizes, Scalar value, DType dtype, Device device = {});
Tensor zeros(Dims sizes, DType dtype, Device device = {});
Tensor ones(Dims sizes, DType dtype, Device device = {});
Tensor arange(int64_t n, Device device = {});  // 0 .. n-1, int64
Tensor clone_contiguous(const Tensor& x);      // recorded; always a copy
Tensor contiguous(const Tensor& x);            // recorded; x itself if it is
Tensor contiguous(const Tensor& x, MemoryFormat format);
// A copy with another type and order of elements, even if nothing changes. Recorded.
Tensor to_copy(const Tensor& x, DType t, MemoryFormat format);
Tensor to_dtype(const Tensor& x, DType t);  // recorded; x itself if it is of that type
// Not cleared; x's type, device and order unless given.
Tensor empty_as(const Tensor& x, std::optional<DType> t, std::optional<Device> d, std::optional<MemoryFormat> f);
void fill(const Tensor& x, Scalar value);  // values only

}  // namespace pynn::ops
