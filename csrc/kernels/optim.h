// optim.h -- fused optimiser steps, one pass over each parameter. Formulas: docs of pynn.optim.SGD and Adam.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

struct OptimTensor {
  void* param;
  const void* grad;
  void *state0, *state1, *state2;  // SGD: momentum buffer; Adam: exp_avg, exp_avg_sq, max_exp_avg_sq (nullable)
  int64_t n;                       // all contiguous
  DType dtype;                     // of all five
  bool fresh;                      // SGD: state0 holds nothing yet
  double step;                     // Adam: the number of this step, from 1
};
struct SgdArgs {
  double lr, momentum, dampening, weight_decay;
  bool nesterov, maximize;
};
struct AdamArgs {
  double lr, beta1, beta2, eps, weight_decay;
  bool amsgrad, decoupled, maximize;
};
PYNN_KERNEL(void, sgd_step, (const OptimTensor* tensors, int64_t count, const SgdArgs& args));
PYNN_KERNEL(void, adam_step, (const OptimTensor* tensors, int64_t count, const AdamArgs& args));

}  // namespace pynn
