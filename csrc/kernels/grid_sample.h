// grid_sample.h -- an input's values at the positions of a grid, and the gradients of both.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

enum class GridMode : uint8_t { Nearest, Linear, Cubic };  // Cubic: two dims only
enum class GridPadding : uint8_t { Zeros, Border, Reflection };

constexpr int64_t kLargestGridPlane = int64_t(1) << 29;  // elements of one channel: positions are sums of 32 bits

// y[n, c, p] is x[n, c] at grid[n, p], a number from -1 to 1 for each spatial dim, the last dim's first.
struct GridSampleArgs {
  const void *x, *grid;  // [n, channels, *size] and [n, points, dims], contiguous
  void* y;               // [n, channels, points]
  DType dtype;           // Float32 or Float64
  GridMode mode;
  GridPadding padding;
  bool align_corners;
  int dims;         // 2 or 3
  int64_t size[3];  // of the spatial dims; the first is 1 of two
  int64_t n, channels, points;
  // backward
  const void* dy;
  void *dx, *dgrid;
};
PYNN_CPU_ONLY_KERNEL(void, grid_sample_forward, (const GridSampleArgs& args));
PYNN_CPU_ONLY_KERNEL(void, grid_sample_backward_input, (const GridSampleArgs& args));
PYNN_CPU_ONLY_KERNEL(void, grid_sample_backward_grid, (const GridSampleArgs& args));  // not of Nearest

}  // namespace pynn
