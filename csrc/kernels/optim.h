// optim.h -- fused optimiser steps, one pass over each parameter. Formulas: docs of pynn.optim's classes.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

struct OptimTensor {
  void* param;
  const void* grad;
  // SGD: momentum buffer; Adam: exp_avg, exp_avg_sq, max_exp_avg_sq; RMSprop: square_avg, momentum buffer, grad_avg;
  // Adagrad: sum. Null where the options do without.
  void *state0, *state1, *state2;
  int64_t n;    // all contiguous
  DType dtype;  // of all five
  bool fresh;   // SGD: state0 holds nothing yet
  double step;  // the number of this step, from 1 (not SGD)
  // Adam on CUDA: where the device counts its steps, so that a captured step goes on counting; `step` is 0 then.
  float* step_on_device;
  double a, b;  // coefficients of this tensor: see kernels/optim_variants.h
};
struct SgdArgs {
  double lr, momentum, dampening, weight_decay;
  bool nesterov, maximize;
};
struct AdamArgs {
  double lr, beta1, beta2, eps, weight_decay;
  bool amsgrad, decoupled, maximize;
};
struct RmspropArgs {
  double lr, alpha, eps, weight_decay, momentum;
  bool maximize;
};
struct AdagradArgs {
  double lr, lr_decay, eps, weight_decay;
  bool maximize;
};
PYNN_KERNEL(void, sgd_step, (const OptimTensor* tensors, int64_t count, const SgdArgs& args));
PYNN_KERNEL(void, adam_step, (const OptimTensor* tensors, int64_t count, const AdamArgs& args));
PYNN_KERNEL(void, rmsprop_step, (const OptimTensor* tensors, int64_t count, const RmspropArgs& args));
PYNN_KERNEL(void, adagrad_step, (const OptimTensor* tensors, int64_t count, const AdagradArgs& args));

}  // namespace pynn
