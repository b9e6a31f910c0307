// norm.h -- layer normalisation of rows [rows, n]: y = (x - mean) / sqrt(var + eps) * w + b; not centered it is RMS
// normalisation: y = x / sqrt(mean(x^2) + eps) * w.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

struct LayerNormArgs {
  const void* x;
  void* y;
  const void* weight;  // [n] or nullptr
  const void* bias;    // [n] or nullptr
  void* mean;          // [rows]; float32 for half types, else the dtype
  void* rstd;          // [rows]
  DType dtype;
  int64_t rows, n;
  double eps;
  bool centered;  // else mean is written as 0
  // backward
  const void* dy;
  void* dx;       // nullable
  void* dweight;  // [n], nullable
  void* dbias;    // [n], nullable
};
PYNN_KERNEL(void, layer_norm_forward, (const LayerNormArgs& args));
PYNN_KERNEL(void, layer_norm_backward, (const LayerNormArgs& args));

}  // namespace pynn
