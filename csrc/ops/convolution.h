// convolution.h -- the geometry of sliding windows, shared by convolution, fold and pooling.
#pragma once
#include "kernels/convolution.h"
#include "ops/op.h"

namespace pynn::ops {

constexpr const char* kSpatialNames[3] = {"depth", "height", "width"};

// Windows are computed without fear of overflow: their numbers must fit 32 bits.
void check_range(const char* op, const char* name, Dims given);

// One number per spatial dim; a single number stands for all of them.
DimVector per_dim(const char* op, const char* name, Dims given, int64_t dims);

// The last `dims` sizes, strides ... in front of which ones stand. `out` is left to the caller.
ConvGeometry geometry_of(Dims in, Dims kernel, Dims stride, Dims padding, Dims dilation);

// How often a window fits: 1 + (in + padding - dilation * (kernel - 1) - 1) / stride.
inline int64_t window_count(int64_t in, int64_t kernel, int64_t stride, int64_t both_pads, int64_t dilation) {
  const int64_t room = in + both_pads - dilation * (kernel - 1) - 1;
  return room < 0 ? 0 : room / stride + 1;
}

}  // namespace pynn::ops
