// optim_variants.cu -- steps of Adadelta, Adamax, NAdam, RAdam, Rprop and ASGD; formulas and order of operations as in
// kernels/cpu/optim_variants.cpp.
#include "kernels/optim_variants.h"

#include <cmath>

#include "kernels/cuda/optim.cuh"

namespace pynn::cuda {
namespace {

template <class C>
struct Adadelta {
  static constexpr int kStates = 2;
  C rho, rest, eps, weight_decay, minus_lr;
  bool maximize;
  explicit Adadelta(const AdadeltaArgs& a)
      : rho(static_cast<C>(a.rho)),
        rest(static_cast<C>(1 - a.rho)),
        eps(static_cast<C>(a.eps)),
        weight_decay(static_cast<C>(a.weight_decay)),
        minus_lr(static_cast<C>(-a.lr)),
        maximize(a.maximize) {}
  __device__ void operator()(C& p, C g, C& squares, C& deltas, C&, const Coefficients<C>&, bool, bool) const {
    g = descent(g, p, maximize, weight_decay);
    squares = fma(rest * g, g, rho * squares);
    const C delta = sqrt(deltas + eps) / sqrt(squares + eps) * g;
    deltas = fma(rest * delta, delta, rho * deltas);
    p = fma(minus_lr, delta, p);
  }
};

template <class C>
struct Adamax {  // a: lr / (1 - beta1^t)
  static constexpr int kStates = 2;
  Moving<C> mean;
  C beta2, eps, weight_decay;
  bool maximize;
  explicit Adamax(const AdamaxArgs& a)
      : mean(a.beta1),
        beta2(static_cast<C>(a.beta2)),
        eps(static_cast<C>(a.eps)),
        weight_decay(static_cast<C>(a.weight_decay)),
        maximize(a.maximize) {}
  __device__ void operator()(C& p, C g, C& m, C& norm, C&, const Coefficients<C>& t, bool, bool) const {
    g = descent(g, p, maximize, weight_decay);
    m = mean(m, g);
    norm = Larger{}(norm * beta2, fabs(g) + eps);
    p -= t.a * m / norm;
  }
};

template <class C, bool kNesterov>
struct Moments {  // a, b: kernels/optim_variants.h; c: scale
  static constexpr int kStates = 2;
  Moving<C> mean;
  C beta2, w2, eps, weight_decay, keep;
  bool maximize;
  explicit Moments(const MomentsArgs& a)
      : mean(a.beta1),
        beta2(static_cast<C>(a.beta2)),
        w2(static_cast<C>(1 - a.beta2)),
        eps(static_cast<C>(a.eps)),
        weight_decay(static_cast<C>(a.weight_decay)),
        keep(static_cast<C>(a.keep)),
        maximize(a.maximize) {}
  __device__ void operator()(C& p, C g, C& m, C& v, C&, const Coefficients<C>& t, bool, bool) const {
    if (maximize) g = -g;
    p *= keep;
    g = descent(g, p, false, weight_decay);
    m = mean(m, g);
    v = fma(w2 * g, g, beta2 * v);
    if constexpr (kNesterov) {
      const C divisor = sqrt(v / t.c) + eps;
      p -= t.a * g / divisor;
      p -= t.b * m / divisor;
    } else {
      p -= t.fresh ? t.b * m : t.b * m / (sqrt(v) + eps);
    }
  }
};

template <class C>
struct Rprop {
  static constexpr int kStates = 2;
  C minus, plus, least, most;
  bool maximize;
  explicit Rprop(const RpropArgs& a)
      : minus(static_cast<C>(a.eta_minus)),
        plus(static_cast<C>(a.eta_plus)),
        least(static_cast<C>(a.least)),
        most(static_cast<C>(a.most)),
        maximize(a.maximize) {}
  __device__ void operator()(C& p, C g, C& before, C& size, C&, const Coefficients<C>&, bool, bool) const {
    if (maximize) g = -g;
    const C agreement = g * before;
    const bool turned = agreement < C(0);
    size = Smaller{}(Larger{}(size * (agreement > C(0) ? plus : turned ? minus : C(1)), least), most);
    if (turned) g = C(0);
    before = g;
    p -= (g > C(0) ? C(1) : g < C(0) ? C(-1) : C(0)) * size;
  }
};

template <class C>
struct Asgd {  // a: eta, b: mu, c: 1 - lambd * eta
  static constexpr int kStates = 1;
  C weight_decay;
  bool maximize;
  explicit Asgd(const AsgdArgs& a) : weight_decay(static_cast<C>(a.weight_decay)), maximize(a.maximize) {}
  __device__ void operator()(C& p, C g, C& average, C&, C&, const Coefficients<C>& t, bool, bool) const {
    g = descent(g, p, maximize, weight_decay);
    p = fma(-t.a, g, p * t.c);
    average = t.b == C(1) ? p : average + (p - average) * t.b;
  }
};

constexpr auto kAsGiven = [](const OptimTensor&, OptimEntry&) {};

}  // namespace

void adadelta_step(const OptimTensor* tensors, int64_t count, const AdadeltaArgs& args) {
  optim_step<false>("adadelta_step", tensors, count, [&](auto c) { return Adadelta<decltype(c)>(args); }, kAsGiven);
}
PYNN_CUDA_KERNEL(adadelta_step);

void adamax_step(const OptimTensor* tensors, int64_t count, const AdamaxArgs& args) {
  optim_step<false>("adamax_step", tensors, count, [&](auto c) { return Adamax<decltype(c)>(args); }, kAsGiven);
}
PYNN_CUDA_KERNEL(adamax_step);

void nadam_step(const OptimTensor* tensors, int64_t count, const MomentsArgs& args) {
  optim_step<false>(
      "nadam_step", tensors, count, [&](auto c) { return Moments<decltype(c), true>(args); },
      [&](const OptimTensor& t, OptimEntry& e) { e.c = 1 - std::pow(args.beta2, t.step); });
}
PYNN_CUDA_KERNEL(nadam_step);

void radam_step(const OptimTensor* tensors, int64_t count, const MomentsArgs& args) {
  optim_step<false>("radam_step", tensors, count, [&](auto c) { return Moments<decltype(c), false>(args); }, kAsGiven);
}
PYNN_CUDA_KERNEL(radam_step);

void rprop_step(const OptimTensor* tensors, int64_t count, const RpropArgs& args) {
  optim_step<false>("rprop_step", tensors, count, [&](auto c) { return Rprop<decltype(c)>(args); }, kAsGiven);
}
PYNN_CUDA_KERNEL(rprop_step);

void asgd_step(const OptimTensor* tensors, int64_t count, const AsgdArgs& args) {
  optim_step<false>(
      "asgd_step", tensors, count, [&](auto c) { return Asgd<decltype(c)>(args); },
      [&](const OptimTensor& t, OptimEntry& e) { e.c = 1 - args.lambd * t.a; });
}
PYNN_CUDA_KERNEL(asgd_step);

}  // namespace pynn::cuda
