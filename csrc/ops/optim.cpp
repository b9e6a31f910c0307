// optim.cpp -- one call that steps all parameters of a group; formulas in kernels/optim.h.
#include "ops/optim_steps.h"

namespace pynn::ops {
namespace {

void sgd_step(TensorSpan params, TensorSpan grads, TensorSpan bufs, Dims has_buf, double lr, double momentum,
              double dampening, double weight_decay, bool nesterov, bool maximize) {
  check_lists("sgd_step", params.size(), {grads.size()});
  if (momentum != 0) check_lists("sgd_step", params.size(), {bufs.size(), has_buf.size()});
  GradMode off(false);
  Steps steps("sgd_step", params.size());
  for (size_t i = 0; i < params.size(); ++i) {
    OptimTensor& t = steps.add(params[i], grads[i]);
    if (momentum == 0) continue;
    t.state0 = steps.state(bufs[i], params[i]);
    t.fresh = has_buf[i] == 0;
  }
  steps.run(kernels::sgd_step, SgdArgs{lr, momentum, dampening, weight_decay, nesterov, maximize});
}

void adam_step(TensorSpan params, TensorSpan grads, TensorSpan means, TensorSpan squares, TensorSpan maxima,
               TensorSpan counts, double lr, double beta1, double beta2, double eps, double weight_decay,
               int64_t mode) {
  check_lists("adam_step", params.size(), {grads.size(), means.size(), squares.size(), counts.size()});
  const bool amsgrad = mode & 1;
  if (amsgrad) check_lists("adam_step", params.size(), {maxima.size()});
  GradMode off(false);
  Steps steps("adam_step", params.size());
  for (size_t i = 0; i < params.size(); ++i) {
    OptimTensor& t = steps.add(params[i], grads[i]);
    t.state0 = steps.state(means[i], params[i]);
    t.state1 = steps.state(squares[i], params[i]);
    if (amsgrad) t.state2 = steps.state(maxima[i], params[i]);
    if (counts[i].device().is_cuda()) {
      PYNN_CHECK(
          counts[i].numel() == 1 && counts[i].dtype() == DType::Float32 && counts[i].device() == params[i].device(),
          "adam_step: 'step' on a device must be a float32 tensor of one element beside its parameter, got ",
          dims_str(counts[i].sizes()), " ", dtype_name(counts[i].dtype()), " on ", counts[i].device().str());
      autograd::bump_version(counts[i]);
      t.step_on_device = counts[i].data_as<float>();
    } else {
      t.step = count_step("adam_step", counts[i]);
    }
  }
  steps.run(kernels::adam_step,
            AdamArgs{lr, beta1, beta2, eps, weight_decay, amsgrad, (mode & 2) != 0, (mode & 4) != 0});
}

void rmsprop_step(TensorSpan params, TensorSpan grads, TensorSpan squares, TensorSpan bufs, TensorSpan means,
                  TensorSpan counts, double lr, double alpha, double eps, double weight_decay, double momentum,
                  bool maximize) {
  check_lists("rmsprop_step", params.size(), {grads.size(), squares.size(), counts.size()});
  if (momentum > 0) check_lists("rmsprop_step", params.size(), {bufs.size()});
  if (!means.empty()) check_lists("rmsprop_step", params.size(), {means.size()});
  GradMode off(false);
  Steps steps("rmsprop_step", params.size());
  for (size_t i = 0; i < params.size(); ++i) {
    OptimTensor& t = steps.add(params[i], grads[i]);
    t.state0 = steps.state(squares[i], params[i]);
    if (momentum > 0) t.state1 = steps.state(bufs[i], params[i]);
    if (!means.empty()) t.state2 = steps.state(means[i], params[i]);
    t.step = count_step("rmsprop_step", counts[i]);
  }
  steps.run(kernels::rmsprop_step, RmspropArgs{lr, alpha, eps, weight_decay, momentum, maximize});
}

void adagrad_step(TensorSpan params, TensorSpan grads, TensorSpan sums, TensorSpan counts, double lr, double lr_decay,
                  double eps, double weight_decay, bool maximize) {
  check_lists("adagrad_step", params.size(), {grads.size(), sums.size(), counts.size()});
  GradMode off(false);
  Steps steps("adagrad_step", params.size());
  for (size_t i = 0; i < params.size(); ++i) {
    OptimTensor& t = steps.add(params[i], grads[i]);
    t.state0 = steps.state(sums[i], params[i]);
    t.step = count_step("adagrad_step", counts[i]);
  }
  steps.run(kernels::adagrad_step, AdagradArgs{lr, lr_decay, eps, weight_decay, maximize});
}

}  // namespace

PYNN_OP(sgd_step,
        "_optim.sgd_step(Tensor[] params, Tensor[] grads, Tensor[] momentum_buffers, int[] has_buffer, float lr, float "
        "momentum, float "
        "dampening, float weight_decay, bool nesterov, bool maximize) -> None",
        "One step of pynn.optim.SGD for all parameters, in place.", kFunctionOnly + kAnyDevice);
PYNN_OP(adam_step,
        "_optim.adam_step(Tensor[] params, Tensor[] grads, Tensor[] exp_avgs, Tensor[] exp_avg_sqs, Tensor[] "
        "max_exp_avg_sqs, Tensor[] "
        "steps, float lr, float beta1, float beta2, float eps, float weight_decay, int mode) -> None",
        "One step of pynn.optim.Adam or AdamW for all parameters, in place. mode: 1 amsgrad, 2 decoupled weight decay, "
        "4 maximize.",
        kFunctionOnly + kAnyDevice);
PYNN_OP(
    rmsprop_step,
    "_optim.rmsprop_step(Tensor[] params, Tensor[] grads, Tensor[] square_avgs, Tensor[] momentum_buffers, "
    "Tensor[] grad_avgs, Tensor[] steps, float lr, float alpha, float eps, float weight_decay, float momentum, bool "
    "maximize) -> None",
    "One step of pynn.optim.RMSprop for all parameters, in place; centered if there are grad_avgs.",
    kFunctionOnly + kAnyDevice);
PYNN_OP(adagrad_step,
        "_optim.adagrad_step(Tensor[] params, Tensor[] grads, Tensor[] sums, Tensor[] steps, float lr, float lr_decay, "
        "float eps, float weight_decay, bool maximize) -> None",
        "One step of pynn.optim.Adagrad for all parameters, in place.", kFunctionOnly + kAnyDevice);

}  // namespace pynn::ops
