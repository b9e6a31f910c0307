// pooling.h -- the largest element of each window, and where it stands.
#pragma once
#include <cstdint>

#include "kernels/convolution.h"

namespace pynn {

// x [planes, in, channels], y and index [planes, out, channels], contiguous: planes of one channel, or images in
// channels last order (on the CPU); spatial dims padded with ones in front to three. The window of
// output o along dim d holds the positions start[d][o], start[d][o] + step[d], ... below end[d][o]; none is empty.
struct MaxPoolArgs {
  const void* x;
  void* y;
  int64_t* index;  // position in the plane, or nullptr
  DType dtype;     // Float32, Float64, Int64; on CUDA half types too
  int64_t planes, channels, in[3], out[3], step[3];
  const int64_t *start[3], *end[3];
  // The same windows, when all have one size and lie at equal distances. Else nullptr, and they are the adaptive ones:
  // o * in / out up to (o + 1) * in / out, rounded up.
  const ConvGeometry* sliding;
};
PYNN_KERNEL(void, max_pool, (const MaxPoolArgs& args));

// x [planes, in, channels] = 0, and g [planes, out, channels] added where index says. On the CPU.
struct MaxPoolGradArgs {
  const void* g;
  const int64_t* index;  // in [0, in)
  void* x;
  DType dtype;  // Float32, Float64
  int64_t planes, channels, in, out;
};
PYNN_CPU_ONLY_KERNEL(void, max_pool_backward, (const MaxPoolGradArgs& args));

}  // namespace pynn
