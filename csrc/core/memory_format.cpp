#include "core/memory_format.h"

#include <algorithm>

#include "core/shape.h"

namespace pynn {
namespace {

// Dims from the innermost outwards: 1, then the last to 2, then 0.
DimVector channels_last_order(int64_t ndim) {
  DimVector order{1};
  for (int64_t d = ndim - 1; d >= 2; --d) order.push_back(d);
  order.push_back(0);
  return order;
}

// Strides that grow in channels last order. Where sizes of 1 leave both orders possible, the stride of dim 0 decides.
bool looks_channels_last(const Tensor& x) {
  if (x.stride(1) == 0) return false;
  int64_t least = 0;
  for (int64_t d : channels_last_order(x.dim())) {
    if (x.size(d) == 0 || x.stride(d) < least) return false;
    if (d == 0 && least == x.stride(1)) return false;
    least = x.stride(d) * std::max<int64_t>(x.size(d), 1);
  }
  return true;
}

}  // namespace

DimVector strides_of(MemoryFormat format, Dims sizes) {
  PYNN_CHECK(format != MemoryFormat::Preserve, "unsupported memory format Preserve");
  if (format == MemoryFormat::Contiguous) return contiguous_strides(sizes);
  const bool flat = format == MemoryFormat::ChannelsLast;
  const size_t rank = flat ? 4 : 5;
  PYNN_CHECK(sizes.size() == rank, "required rank ", rank, " tensor to use ",
             flat ? "channels_last" : "channels_last_3d", " format");
  DimVector strides(rank, 1);
  int64_t step = 1;
  for (int64_t d : channels_last_order(static_cast<int64_t>(rank))) {
    strides[d] = step;
    step *= sizes[d];
  }
  return strides;
}

bool is_contiguous_in(MemoryFormat format, const Tensor& x) {
  if (format != MemoryFormat::ChannelsLast && format != MemoryFormat::ChannelsLast3d) return x.is_contiguous();
  if (x.dim() != (format == MemoryFormat::ChannelsLast ? 4 : 5)) return false;
  const DimVector strides = strides_of(format, x.sizes());
  for (int64_t d = 0; d < x.dim(); ++d)
    if (x.size(d) != 1 && x.stride(d) != strides[d]) return false;
  return true;
}

MemoryFormat suggested_format(const Tensor& x) {
  if (x.dim() == 4 && looks_channels_last(x)) return MemoryFormat::ChannelsLast;
  if (x.dim() == 5 && looks_channels_last(x)) return MemoryFormat::ChannelsLast3d;
  return MemoryFormat::Contiguous;
}

DimVector memory_dims(MemoryFormat format, int64_t ndim) {
  DimVector dims;
  if (format == MemoryFormat::Contiguous)
    for (int64_t d = ndim; d-- > 0;) dims.push_back(d);
  else
    dims = channels_last_order(ndim);
  std::reverse(dims.begin(), dims.end());
  return dims;
}

Tensor empty(Dims sizes, DType dtype, Device device, MemoryFormat format) {
  if (format == MemoryFormat::Contiguous) return empty(sizes, dtype, device);
  checked_numel(sizes);
  return empty_strided(sizes, strides_of(format, sizes), dtype, device);
}

Tensor empty_like(const Tensor& x, DType dtype, MemoryFormat format) {
  return format == MemoryFormat::Preserve ? empty_like(x, dtype) : empty(x.sizes(), dtype, x.device(), format);
}

}  // namespace pynn
