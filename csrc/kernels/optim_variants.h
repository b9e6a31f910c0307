// optim_variants.h -- fused steps of the less common optimisers. Formulas: docs of pynn.optim's classes.
#pragma once
#include "kernels/optim.h"

namespace pynn {

// g: the gradient, negated by maximize, plus weight_decay * p. OptimTensor's states and coefficients:
struct AdadeltaArgs {  // square_avg, acc_delta
  double lr, rho, eps, weight_decay;
  bool maximize;
};
struct AdamaxArgs {  // exp_avg, exp_inf; a: lr / (1 - beta1^t)
  double beta1, beta2, eps, weight_decay;
  bool maximize;
};
// NAdam and RAdam: exp_avg m, exp_avg_sq v;  p = keep * p - (a g + b m) / (sqrt(v / scale) + eps), or without the
// divisor for RAdam's first steps. NAdam: scale = 1 - beta2^t, a and b the two learning rates; RAdam: scale 1, a = 0.
struct MomentsArgs {
  double beta1, beta2, eps, weight_decay;  // weight_decay 0 if decoupled
  double keep;                             // 1 - lr * weight_decay if decoupled, else 1
  bool maximize;
};
struct RpropArgs {  // prev, step_size
  double eta_minus, eta_plus, least, most;
  bool maximize;
};
struct AsgdArgs {  // ax; a: eta, b: mu
  double lambd, weight_decay;
  bool maximize;
};
PYNN_KERNEL(void, adadelta_step, (const OptimTensor* tensors, int64_t count, const AdadeltaArgs& args));
PYNN_KERNEL(void, adamax_step, (const OptimTensor* tensors, int64_t count, const AdamaxArgs& args));
PYNN_KERNEL(void, nadam_step, (const OptimTensor* tensors, int64_t count, const MomentsArgs& args));
PYNN_KERNEL(void, radam_step, (const OptimTensor* tensors, int64_t count, const MomentsArgs& args));
PYNN_KERNEL(void, rprop_step, (const OptimTensor* tensors, int64_t count, const RpropArgs& args));
PYNN_KERNEL(void, asgd_step, (const OptimTensor* tensors, int64_t count, const AsgdArgs& args));

}  // namespace pynn
