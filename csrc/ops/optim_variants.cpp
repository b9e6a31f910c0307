// optim_variants.cpp -- the steps of Adadelta, Adamax, NAdam, RAdam, Rprop and ASGD: one call for all parameters of a
// group. Formulas: docs of pynn.optim's classes.
#include "kernels/optim_variants.h"

#include <cmath>

#include "ops/optim_steps.h"

namespace pynn::ops {
namespace {

// The value of a 0-d state tensor.
double number(const char* op, const Tensor& t) {
  PYNN_CHECK(t.numel() == 1 && (t.dtype() == DType::Float32 || t.dtype() == DType::Float64), op,
             ": a state must be a float tensor of one element, got ", dims_str(t.sizes()), " ", dtype_name(t.dtype()));
  PYNN_CHECK(t.device().is_cpu(), op, ": a state of one element must be on the CPU, got ", t.device().str());
  return t.dtype() == DType::Float64 ? *t.data_as<double>() : static_cast<double>(*t.data_as<float>());
}
void set_number(const Tensor& t, double x) {
  autograd::bump_version(t);
  if (t.dtype() == DType::Float64)
    *t.data_as<double>() = x;
  else
    *t.data_as<float>() = static_cast<float>(x);
}

// Gathers one or two states of each parameter and counts the steps; `each` sets the tensor's coefficients.
template <class Args, class Kernel, class Each>
void run(const char* op, const Kernel& kernel, TensorSpan params, TensorSpan grads, TensorSpan first, TensorSpan second,
         TensorSpan counts, const Args& args, Each each) {
  check_lists(op, params.size(), {grads.size(), first.size(), counts.size()});
  if (!second.empty()) check_lists(op, params.size(), {second.size()});
  GradMode off(false);
  Steps steps(op, params.size());
  for (size_t i = 0; i < params.size(); ++i) {
    OptimTensor& t = steps.add(params[i], grads[i]);
    t.state0 = steps.state(first[i], params[i]);
    if (!second.empty()) t.state1 = steps.state(second[i], params[i]);
    t.step = count_step(op, counts[i]);
    each(t, i);
  }
  steps.run(kernel, args);
}

void adadelta_step(TensorSpan params, TensorSpan grads, TensorSpan squares, TensorSpan deltas, TensorSpan counts,
                   double lr, double rho, double eps, double weight_decay, bool maximize) {
  run("adadelta_step", kernels::adadelta_step, params, grads, squares, deltas, counts,
      AdadeltaArgs{lr, rho, eps, weight_decay, maximize}, [](OptimTensor&, size_t) {});
}

void adamax_step(TensorSpan params, TensorSpan grads, TensorSpan means, TensorSpan norms, TensorSpan counts, double lr,
                 double beta1, double beta2, double eps, double weight_decay, bool maximize) {
  run("adamax_step", kernels::adamax_step, params, grads, means, norms, counts,
      AdamaxArgs{beta1, beta2, eps, weight_decay, maximize},
      [&](OptimTensor& t, size_t) { t.a = lr / (1 - std::pow(beta1, t.step)); });
}

MomentsArgs moments(double lr, double beta1, double beta2, double eps, double weight_decay, bool decoupled,
                    bool maximize) {
  return {beta1, beta2, eps, decoupled ? 0 : weight_decay, decoupled ? 1 - lr * weight_decay : 1, maximize};
}

void nadam_step(TensorSpan params, TensorSpan grads, TensorSpan means, TensorSpan squares, TensorSpan products,
                TensorSpan counts, double lr, double beta1, double beta2, double eps, double weight_decay,
                double momentum_decay, int64_t mode) {
  check_lists("nadam_step", params.size(), {products.size()});
  run("nadam_step", kernels::nadam_step, params, grads, means, squares, counts,
      moments(lr, beta1, beta2, eps, weight_decay, (mode & 2) != 0, (mode & 4) != 0), [&](OptimTensor& t, size_t i) {
        const auto mu_at = [&](double step) { return beta1 * (1 - 0.5 * std::pow(0.96, step * momentum_decay)); };
        const double mu = mu_at(t.step), next = mu_at(t.step + 1);
        double product = number("nadam_step", products[i]);
        // Rounded as PyTorch does it.
        product = products[i].dtype() == DType::Float64
                      ? product * mu
                      : static_cast<double>(static_cast<float>(product) * static_cast<float>(mu));
        set_number(products[i], product);
        t.a = lr * (1 - mu) / (1 - product);
        t.b = lr * next / (1 - product * next);
      });
}

void radam_step(TensorSpan params, TensorSpan grads, TensorSpan means, TensorSpan squares, TensorSpan counts, double lr,
                double beta1, double beta2, double eps, double weight_decay, bool decoupled, bool maximize) {
  run("radam_step", kernels::radam_step, params, grads, means, squares, counts,
      moments(lr, beta1, beta2, eps, weight_decay, decoupled, maximize), [&](OptimTensor& t, size_t) {
        const double power = std::pow(beta2, t.step), limit = 2 / (1 - beta2) - 1;
        const double length = limit - 2 * t.step * power / (1 - power);
        t.fresh = length <= 5;  // too few steps to know the variance
        t.b = lr / (1 - std::pow(beta1, t.step));
        if (!t.fresh)
          t.b *= std::sqrt(1 - power) *
                 std::sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length));
      });
}

void rprop_step(TensorSpan params, TensorSpan grads, TensorSpan before, TensorSpan sizes, TensorSpan counts,
                double eta_minus, double eta_plus, double least, double most, bool maximize) {
  run("rprop_step", kernels::rprop_step, params, grads, before, sizes, counts,
      RpropArgs{eta_minus, eta_plus, least, most, maximize}, [](OptimTensor&, size_t) {});
}

void asgd_step(TensorSpan params, TensorSpan grads, TensorSpan averages, TensorSpan mus, TensorSpan etas,
               TensorSpan counts, double lr, double lambd, double alpha, double t0, double weight_decay,
               bool maximize) {
  check_lists("asgd_step", params.size(), {mus.size(), etas.size()});
  run("asgd_step", kernels::asgd_step, params, grads, averages, {}, counts, AsgdArgs{lambd, weight_decay, maximize},
      [&](OptimTensor& t, size_t i) {
        t.a = number("asgd_step", etas[i]);
        t.b = number("asgd_step", mus[i]);
        set_number(etas[i], lr / std::pow(1 + lambd * lr * t.step, alpha));
        set_number(mus[i], 1 / std::max(1.0, t.step - t0));
      });
}

}  // namespace

PYNN_OP(adadelta_step,
        "_optim.adadelta_step(Tensor[] params, Tensor[] grads, Tensor[] square_avgs, Tensor[] acc_deltas, Tensor[] "
        "steps, float lr, float rho, float eps, float weight_decay, bool maximize) -> None",
        "One step of pynn.optim.Adadelta for all parameters, in place.", kFunctionOnly + kAnyDevice);
PYNN_OP(adamax_step,
        "_optim.adamax_step(Tensor[] params, Tensor[] grads, Tensor[] exp_avgs, Tensor[] exp_infs, Tensor[] steps, "
        "float lr, float beta1, float beta2, float eps, float weight_decay, bool maximize) -> None",
        "One step of pynn.optim.Adamax for all parameters, in place.", kFunctionOnly + kAnyDevice);
PYNN_OP(nadam_step,
        "_optim.nadam_step(Tensor[] params, Tensor[] grads, Tensor[] exp_avgs, Tensor[] exp_avg_sqs, Tensor[] "
        "mu_products, Tensor[] steps, float lr, float beta1, float beta2, float eps, float weight_decay, float "
        "momentum_decay, int mode) -> None",
        "One step of pynn.optim.NAdam for all parameters, in place. mode: 2 decoupled weight decay, 4 maximize.",
        kFunctionOnly + kAnyDevice);
PYNN_OP(radam_step,
        "_optim.radam_step(Tensor[] params, Tensor[] grads, Tensor[] exp_avgs, Tensor[] exp_avg_sqs, Tensor[] steps, "
        "float lr, float beta1, float beta2, float eps, float weight_decay, bool decoupled, bool maximize) -> None",
        "One step of pynn.optim.RAdam for all parameters, in place.", kFunctionOnly + kAnyDevice);
PYNN_OP(rprop_step,
        "_optim.rprop_step(Tensor[] params, Tensor[] grads, Tensor[] prevs, Tensor[] step_sizes, Tensor[] steps, float "
        "eta_minus, float eta_plus, float least, float most, bool maximize) -> None",
        "One step of pynn.optim.Rprop for all parameters, in place.", kFunctionOnly + kAnyDevice);
PYNN_OP(asgd_step,
        "_optim.asgd_step(Tensor[] params, Tensor[] grads, Tensor[] axs, Tensor[] mus, Tensor[] etas, Tensor[] steps, "
        "float lr, float lambd, float alpha, float t0, float weight_decay, bool maximize) -> None",
        "One step of pynn.optim.ASGD for all parameters, in place.", kFunctionOnly + kAnyDevice);

}  // namespace pynn::ops
