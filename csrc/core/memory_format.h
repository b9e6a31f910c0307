// memory_format.h -- the orders that a tensor's elements may be asked to lie in.
#pragma once
#include "core/tensor.h"

namespace pynn {

// ChannelsLast: dims N H W C from outer to inner, of a tensor N C H W; ChannelsLast3d: N D H W C.
enum class MemoryFormat : uint8_t { Contiguous, Preserve, ChannelsLast, ChannelsLast3d };

DimVector strides_of(MemoryFormat format, Dims sizes);  // RuntimeError for another number of dims, and for Preserve
bool is_contiguous_in(MemoryFormat format, const Tensor& x);
// Channels last if the strides tell so, else contiguous.
MemoryFormat suggested_format(const Tensor& x);
// The dims of a tensor of this format from the outermost in memory inwards.
DimVector memory_dims(MemoryFormat format, int64_t ndim);

Tensor empty(Dims sizes, DType dtype, Device device, MemoryFormat format);
Tensor empty_like(const Tensor& x, DType dtype, MemoryFormat format);

}  // namespace pynn
