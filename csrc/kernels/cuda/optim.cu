// optim.cu -- steps of SGD, Adam, AdamW, RMSprop and Adagrad; formulas and order of operations as in
// kernels/cpu/optim.cpp.
#include "kernels/optim.h"

#include <cmath>
#include <optional>

#include "kernels/cuda/optim.cuh"

namespace pynn::cuda {
namespace {

template <class C>
struct Sgd {
  static constexpr int kStates = 1;
  C weight_decay, momentum, damp, minus_lr;
  bool use_momentum, nesterov, maximize;
  explicit Sgd(const SgdArgs& a)
      : weight_decay(static_cast<C>(a.weight_decay)),
        momentum(static_cast<C>(a.momentum)),
        damp(static_cast<C>(1 - a.dampening)),
        minus_lr(static_cast<C>(-a.lr)),
        use_momentum(a.momentum != 0),
        nesterov(a.nesterov),
        maximize(a.maximize) {}
  __device__ void operator()(C& p, C g, C& m, C&, C&, const Coefficients<C>& t, bool, bool) const {
    g = descent(g, p, maximize, weight_decay);
    if (use_momentum) {
      m = t.fresh ? g : fma(damp, g, momentum * m);
      g = nesterov ? fma(momentum, m, g) : m;
    }
    p = fma(minus_lr, g, p);
  }
};

template <class C>
struct Adam {  // a: -lr / (1 - beta1^t); b: sqrt(1 - beta2^t)
  static constexpr int kStates = 3;
  Moving<C> mean;
  C beta2, w2, weight_decay, keep, eps;
  bool maximize;
  explicit Adam(const AdamArgs& a)
      : mean(a.beta1),
        beta2(static_cast<C>(a.beta2)),
        w2(static_cast<C>(1 - a.beta2)),
        weight_decay(static_cast<C>(a.decoupled ? 0 : a.weight_decay)),
        keep(static_cast<C>(a.decoupled ? 1 - a.lr * a.weight_decay : 1)),
        eps(static_cast<C>(a.eps)),
        maximize(a.maximize) {}
  __device__ void operator()(C& p, C g, C& m, C& v, C& largest, const Coefficients<C>& t, bool amsgrad, bool) const {
    p *= keep;
    g = descent(g, p, maximize, weight_decay);
    m = mean(m, g);
    v = fma(w2 * g, g, beta2 * v);
    if (amsgrad) largest = Larger{}(largest, v);
    p += t.a * m / (sqrt(amsgrad ? largest : v) / t.b + eps);
  }
};

// Counts up the steps that the device counts, and computes Adam's coefficients of each tensor from them.
constexpr int kCounters = 256;
struct Counters {
  float* step[kCounters];
};
__global__ void count_up(const __grid_constant__ Counters counters, int count, double* out, AdamArgs args) {
  const int i = static_cast<int>(threadIdx.x);
  if (i >= count || !counters.step[i]) return;
  const double t = *counters.step[i] += 1;
  out[2 * i] = -(args.lr / (1 - pow(args.beta1, t)));
  out[2 * i + 1] = sqrt(1 - pow(args.beta2, t));
}

template <class C>
struct Rmsprop {
  static constexpr int kStates = 3;
  Moving<C> mean;
  C alpha, rest, weight_decay, eps, momentum, minus_lr;
  bool maximize;
  explicit Rmsprop(const RmspropArgs& a)
      : mean(a.alpha),
        alpha(static_cast<C>(a.alpha)),
        rest(static_cast<C>(1 - a.alpha)),
        weight_decay(static_cast<C>(a.weight_decay)),
        eps(static_cast<C>(a.eps)),
        momentum(static_cast<C>(a.momentum)),
        minus_lr(static_cast<C>(-a.lr)),
        maximize(a.maximize) {}
  __device__ void operator()(C& p, C g, C& squares, C& velocity, C& average, const Coefficients<C>&, bool centered,
                             bool use_momentum) const {
    g = descent(g, p, maximize, weight_decay);
    C v = squares = fma(rest * g, g, alpha * squares);
    if (centered) {
      average = mean(average, g);
      v = fma(-average, average, v);
    }
    const C divisor = sqrt(v) + eps;
    if (use_momentum) {
      velocity = momentum * velocity + g / divisor;
      p = fma(minus_lr, velocity, p);
    } else {
      p += minus_lr * g / divisor;
    }
  }
};

template <class C>
struct Adagrad {  // a: -lr / (1 + (t - 1) lr_decay)
  static constexpr int kStates = 1;
  C weight_decay, eps;
  bool maximize;
  explicit Adagrad(const AdagradArgs& a)
      : weight_decay(static_cast<C>(a.weight_decay)), eps(static_cast<C>(a.eps)), maximize(a.maximize) {}
  __device__ void operator()(C& p, C g, C& sum, C&, C&, const Coefficients<C>& t, bool, bool) const {
    g = descent(g, p, maximize, weight_decay);
    sum = fma(g, g, sum);
    p += t.a * g / (sqrt(sum) + eps);
  }
};

}  // namespace

void sgd_step(const OptimTensor* tensors, int64_t count, const SgdArgs& args) {
  optim_step<true>(
      "sgd_step", tensors, count, [&](auto c) { return Sgd<decltype(c)>(args); },
      [&](const OptimTensor&, OptimEntry& e) {
        if (args.momentum == 0) e.state[0] = nullptr;
      });
}
PYNN_CUDA_KERNEL(sgd_step);

void adam_step(const OptimTensor* tensors, int64_t count, const AdamArgs& args) {
  std::optional<Scratch> computed;
  for (int64_t i = 0; i < count && !computed; ++i)
    if (tensors[i].step_on_device) computed.emplace(static_cast<size_t>(count) * 2 * sizeof(double));
  for (int64_t i = 0; computed && i < count; i += kCounters) {
    Counters counters;
    const int n = static_cast<int>(std::min<int64_t>(kCounters, count - i));
    for (int k = 0; k < n; ++k) counters.step[k] = tensors[i + k].step_on_device;
    launch(count_up, 1, kCounters, counters, n, computed->as<double>() + 2 * i, args);
  }
  optim_step<true>(
      "adam_step", tensors, count, [&](auto c) { return Adam<decltype(c)>(args); },
      [&](const OptimTensor& t, OptimEntry& e) {
        if (t.step_on_device) {
          e.computed = computed->as<double>() + 2 * (&t - tensors);
        } else {
          e.a = -(args.lr / (1 - std::pow(args.beta1, t.step)));
          e.b = std::sqrt(1 - std::pow(args.beta2, t.step));
        }
        if (!args.amsgrad) e.state[2] = nullptr;
      });
}
PYNN_CUDA_KERNEL(adam_step);

void rmsprop_step(const OptimTensor* tensors, int64_t count, const RmspropArgs& args) {
  optim_step<false>(
      "rmsprop_step", tensors, count, [&](auto c) { return Rmsprop<decltype(c)>(args); },
      [](const OptimTensor&, OptimEntry&) {});
}
PYNN_CUDA_KERNEL(rmsprop_step);

void adagrad_step(const OptimTensor* tensors, int64_t count, const AdagradArgs& args) {
  optim_step<false>(
      "adagrad_step", tensors, count, [&](auto c) { return Adagrad<decltype(c)>(args); },
      [&](const OptimTensor& t, OptimEntry& e) { e.a = -(args.lr / (1 + (t.step - 1) * args.lr_decay)); });
}
PYNN_CUDA_KERNEL(adagrad_step);

}  // namespace pynn::cuda
