// channel_norm.h -- batch, instance and group normalisation: y = (x - mean) rstd w + b.
//
// Statistic s covers `chunks` runs of `length` contiguous elements, run m from s * stat_step + m * chunk_step on:
//
//   batch   x [N, C, L]            s = c         m = n   weight of (s, m): s
//   group   x [N, G, C / G, L]     s = (n, g)    m = c   weight of (s, m): (s % groups) * chunks + m
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

struct ChannelNormArgs {
  const void* x;
  void* y;
  const void *weight, *bias;  // per channel, or nullptr
  void *mean, *rstd;          // per statistic
  DType dtype;                // of all statistics and weights: Float32 or Float64
  // Of x, y, dy, dx: the same; beside Float32 a half type too, on the CPU where batch norm's statistics are given.
  DType x_dtype;
  int64_t stats, chunks, length, stat_step, chunk_step;
  int64_t groups;  // 0: one weight per statistic
  int64_t channels;
  bool channels_last;  // group, on the CPU: x is [N, L, C]
  double eps;
  bool measure;  // mean and rstd are computed from x (and depend on it in backward), not given
  // Moved by `momentum` towards mean and the unbiased variance when `measure`; nullable.
  void *running_mean, *running_var;
  double momentum;
  bool relu;  // forward on the CPU: max(y, 0)
  // backward
  const void* dy;
  void *dx, *dweight, *dbias;  // nullable
};
PYNN_KERNEL(void, channel_norm_forward, (const ChannelNormArgs& args));
PYNN_KERNEL(void, channel_norm_backward, (const ChannelNormArgs& args));

}  // namespace pynn
