// loss.h -- losses of pairs of numbers, reduced on the way.
//
//   Squared      d^2                                     d = x - y
//   Absolute     |d|
//   SmoothL1     |d| < beta: d^2 / (2 beta), else |d| - beta / 2
//   Huber        |d| <= delta: d^2 / 2, else delta (|d| - delta / 2)
//   Logistic     (1 - y) x + log(1 + e^-x)
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

enum class PairLoss : uint8_t { Squared, Absolute, SmoothL1, Huber, Logistic };

struct PairLossArgs {
  PairLoss loss;
  const void *x, *y;  // contiguous, n of each
  DType dtype;        // on the CPU Float32 or Float64
  int64_t n;
  double param;  // beta or delta
  double scale;  // of the sum, and of gradients
  void* out;     // forward: n losses, or their sum times scale
  bool reduce;
  // backward: dx = slope * grad * scale, dy = -dx; grad is one number where the loss was reduced
  const void* grad;
  void *dx, *dy;  // nullable
};

PYNN_KERNEL(void, pair_loss_forward, (const PairLossArgs& args));
PYNN_KERNEL(void, pair_loss_backward, (const PairLossArgs& args));

}  // namespace pynn
