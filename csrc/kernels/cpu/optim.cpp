// optim.cpp -- one step of an optimiser, each parameter read and written once.
//
//   SGD    g += wd p;  m = momentum m + (1 - dampening) g (first step: m = g);  g = nesterov ? g + momentum m : m;
//          p -= lr g
//   Adam   g += wd p (AdamW: p *= 1 - lr wd);  m += (1 - beta1)(g - m);  v = beta2 v + (1 - beta2) g g;
//          p -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps);  amsgrad: the largest v so far
//   RMSprop  g += wd p;  v = alpha v + (1 - alpha) g g;  centered: a += (1 - alpha)(g - a), d = v - a a, else d = v;
//          u = g / (sqrt(d) + eps);  momentum: b = momentum b + u, p -= lr b, else p -= lr u
//   Adagrad  g += wd p;  s += g g;  p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)
//
// The order of operations is PyTorch's single-tensor one, so that results agree to 1 or 2 ULP. Half types compute in
// float and are rounded once. Parallel over the elements of all tensors together.
#include "kernels/optim.h"

#include "kernels/cpu/optim_pieces.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// Elements [begin, begin + n) of one tensor.
template <class S>
void sgd_piece(const OptimTensor& t, int64_t begin, int64_t n, const SgdArgs& args) {
  using T = Wide<S>;
  using V = Vec<T>;
  S* param = static_cast<S*>(t.param) + begin;
  const S* grad = static_cast<const S*>(t.grad) + begin;
  S* momenta = args.momentum != 0 ? static_cast<S*>(t.state0) + begin : nullptr;
  const bool decay = args.weight_decay != 0, fresh = t.fresh;
  const bool nesterov = args.nesterov, maximize = args.maximize;
  const V wd = constant<V>(args.weight_decay), momentum = constant<V>(args.momentum);
  const V damp = constant<V>(1 - args.dampening), minus_lr = constant<V>(-args.lr);
  for (int64_t i = 0; i < n; i += V::kSize) {
    const int64_t left = n - i;
    V p = load_wide(param + i, left), g = load_wide(grad + i, left);
    if (maximize) g = -g;
    if (decay) g = fma(wd, p, g);
    if (momenta) {
      const V m = fresh ? g : fma(damp, g, momentum * load_wide(momenta + i, left));
      store_wide(momenta + i, m, left);
      g = nesterov ? fma(momentum, m, g) : m;
    }
    store_wide(param + i, fma(minus_lr, g, p), left);
  }
}

template <class S>
void adam_piece(const OptimTensor& t, int64_t begin, int64_t n, const AdamArgs& args) {
  using T = Wide<S>;
  using V = Vec<T>;
  S* param = static_cast<S*>(t.param) + begin;
  const S* grad = static_cast<const S*>(t.grad) + begin;
  S* means = static_cast<S*>(t.state0) + begin;
  S* squares = static_cast<S*>(t.state1) + begin;
  S* largest = args.amsgrad ? static_cast<S*>(t.state2) + begin : nullptr;
  const bool l2 = args.weight_decay != 0 && !args.decoupled, shrink = args.weight_decay != 0 && args.decoupled;
  const bool maximize = args.maximize, near_start = 1 - args.beta1 < 0.5;
  const double correction1 = 1 - __builtin_pow(args.beta1, t.step);
  const double correction2 = 1 - __builtin_pow(args.beta2, t.step);
  const V wd = constant<V>(args.weight_decay), keep = constant<V>(1 - args.lr * args.weight_decay);
  const V w1 = constant<V>(1 - args.beta1), beta1 = constant<V>(args.beta1);
  const V w2 = constant<V>(1 - args.beta2), beta2 = constant<V>(args.beta2);
  const V root2 = constant<V>(__builtin_sqrt(correction2)), eps = constant<V>(args.eps);
  const V minus_rate = constant<V>(-(args.lr / correction1));
  for (int64_t i = 0; i < n; i += V::kSize) {
    const int64_t left = n - i;
    V p = load_wide(param + i, left), g = load_wide(grad + i, left);
    if (maximize) g = -g;
    if (shrink) p = p * keep;
    if (l2) g = fma(wd, p, g);
    const V m0 = load_wide(means + i, left);
    const V m = near_start ? fma(w1, g - m0, m0) : fnma(beta1, g - m0, g);
    V v = fma(w2 * g, g, beta2 * load_wide(squares + i, left));
    store_wide(means + i, m, left);
    store_wide(squares + i, v, left);
    if (largest) {
      v = maximum(load_wide(largest + i, left), v);
      store_wide(largest + i, v, left);
    }
    store_wide(param + i, p + minus_rate * m / (sqrt(v) / root2 + eps), left);
  }
}

template <class S>
void rmsprop_piece(const OptimTensor& t, int64_t begin, int64_t n, const RmspropArgs& args) {
  using T = Wide<S>;
  using V = Vec<T>;
  S* param = static_cast<S*>(t.param) + begin;
  const S* grad = static_cast<const S*>(t.grad) + begin;
  S* squares = static_cast<S*>(t.state0) + begin;
  S* momenta = t.state1 ? static_cast<S*>(t.state1) + begin : nullptr;
  S* means = t.state2 ? static_cast<S*>(t.state2) + begin : nullptr;
  const bool decay = args.weight_decay != 0, maximize = args.maximize, near_start = 1 - args.alpha < 0.5;
  const V wd = constant<V>(args.weight_decay), alpha = constant<V>(args.alpha), rest = constant<V>(1 - args.alpha);
  const V eps = constant<V>(args.eps), momentum = constant<V>(args.momentum), minus_lr = constant<V>(-args.lr);
  for (int64_t i = 0; i < n; i += V::kSize) {
    const int64_t left = n - i;
    V p = load_wide(param + i, left), g = load_wide(grad + i, left);
    if (maximize) g = -g;
    if (decay) g = fma(wd, p, g);
    V v = fma(rest * g, g, alpha * load_wide(squares + i, left));
    store_wide(squares + i, v, left);
    if (means) {
      const V m0 = load_wide(means + i, left);
      const V m = near_start ? fma(rest, g - m0, m0) : fnma(alpha, g - m0, g);
      store_wide(means + i, m, left);
      v = fnma(m, m, v);
    }
    const V denom = sqrt(v) + eps;
    if (momenta) {
      const V b = momentum * load_wide(momenta + i, left) + g / denom;
      store_wide(momenta + i, b, left);
      p = fma(minus_lr, b, p);
    } else {
      p = p + minus_lr * g / denom;
    }
    store_wide(param + i, p, left);
  }
}

template <class S>
void adagrad_piece(const OptimTensor& t, int64_t begin, int64_t n, const AdagradArgs& args) {
  using T = Wide<S>;
  using V = Vec<T>;
  S* param = static_cast<S*>(t.param) + begin;
  const S* grad = static_cast<const S*>(t.grad) + begin;
  S* sums = static_cast<S*>(t.state0) + begin;
  const bool decay = args.weight_decay != 0, maximize = args.maximize;
  const V wd = constant<V>(args.weight_decay), eps = constant<V>(args.eps);
  const V minus_rate = constant<V>(-(args.lr / (1 + (t.step - 1) * args.lr_decay)));
  for (int64_t i = 0; i < n; i += V::kSize) {
    const int64_t left = n - i;
    V p = load_wide(param + i, left), g = load_wide(grad + i, left);
    if (maximize) g = -g;
    if (decay) g = fma(wd, p, g);
    const V s = fma(g, g, load_wide(sums + i, left));
    store_wide(sums + i, s, left);
    store_wide(param + i, p + minus_rate * g / (sqrt(s) + eps), left);
  }
}

}  // namespace

PYNN_STEP(sgd, SgdArgs, 0.5)
PYNN_STEP(adam, AdamArgs, 1)
PYNN_STEP(rmsprop, RmspropArgs, 1)
PYNN_STEP(adagrad, AdagradArgs, 1)

}  // namespace PYNN_CPU_NAMESPACE
