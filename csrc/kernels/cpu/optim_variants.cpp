// optim_variants.cpp -- one step of Adadelta, Adamax, NAdam, RAdam, Rprop or ASGD, each parameter read and written
// once. The order of operations is PyTorch's single-tensor one; see optim.cpp.
#include "kernels/optim_variants.h"

#include "kernels/cpu/optim_pieces.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// The gradient with its sign and the penalty.
template <class V>
PYNN_INLINE V descent(V g, V p, bool maximize, double weight_decay) {
  if (maximize) g = -g;
  return weight_decay != 0 ? fma(constant<V>(weight_decay), p, g) : g;
}
// m + (1 - beta)(g - m), by the nearer end, as lerp does.
template <class V>
PYNN_INLINE V moved(V m, V g, double beta) {
  return 1 - beta < 0.5 ? fma(constant<V>(1 - beta), g - m, m) : fnma(constant<V>(beta), g - m, g);
}

template <class S>
void adadelta_piece(const OptimTensor& t, int64_t begin, int64_t n, const AdadeltaArgs& args) {
  using V = Vec<Wide<S>>;
  S *param = static_cast<S*>(t.param) + begin, *squares = static_cast<S*>(t.state0) + begin;
  S* deltas = static_cast<S*>(t.state1) + begin;
  const S* grad = static_cast<const S*>(t.grad) + begin;
  const V rho = constant<V>(args.rho), rest = constant<V>(1 - args.rho), eps = constant<V>(args.eps);
  const V minus_lr = constant<V>(-args.lr);
  for (int64_t i = 0; i < n; i += V::kSize) {
    const int64_t left = n - i;
    const V p = load_wide(param + i, left);
    const V g = descent(load_wide(grad + i, left), p, args.maximize, args.weight_decay);
    const V v = fma(rest * g, g, rho * load_wide(squares + i, left));
    const V d0 = load_wide(deltas + i, left);
    const V delta = sqrt(d0 + eps) / sqrt(v + eps) * g;
    store_wide(squares + i, v, left);
    store_wide(deltas + i, fma(rest * delta, delta, rho * d0), left);
    store_wide(param + i, fma(minus_lr, delta, p), left);
  }
}

template <class S>
void adamax_piece(const OptimTensor& t, int64_t begin, int64_t n, const AdamaxArgs& args) {
  using V = Vec<Wide<S>>;
  S *param = static_cast<S*>(t.param) + begin, *means = static_cast<S*>(t.state0) + begin;
  S* norms = static_cast<S*>(t.state1) + begin;
  const S* grad = static_cast<const S*>(t.grad) + begin;
  const V beta2 = constant<V>(args.beta2), eps = constant<V>(args.eps), minus_rate = constant<V>(-t.a);
  for (int64_t i = 0; i < n; i += V::kSize) {
    const int64_t left = n - i;
    const V p = load_wide(param + i, left);
    const V g = descent(load_wide(grad + i, left), p, args.maximize, args.weight_decay);
    const V m = moved(load_wide(means + i, left), g, args.beta1);
    const V u = maximum(load_wide(norms + i, left) * beta2, abs(g) + eps);
    store_wide(means + i, m, left);
    store_wide(norms + i, u, left);
    store_wide(param + i, p + minus_rate * m / u, left);
  }
}

template <class S, bool kNesterov>
PYNN_INLINE void moments_piece(const OptimTensor& t, int64_t begin, int64_t n, const MomentsArgs& args) {
  using V = Vec<Wide<S>>;
  S *param = static_cast<S*>(t.param) + begin, *means = static_cast<S*>(t.state0) + begin;
  S* squares = static_cast<S*>(t.state1) + begin;
  const S* grad = static_cast<const S*>(t.grad) + begin;
  const V beta2 = constant<V>(args.beta2), w2 = constant<V>(1 - args.beta2), keep = constant<V>(args.keep);
  const V eps = constant<V>(args.eps), a = constant<V>(-t.a), b = constant<V>(-t.b);
  const V scale = constant<V>(1 - __builtin_pow(args.beta2, t.step));
  const bool adapt = kNesterov || !t.fresh;
  for (int64_t i = 0; i < n; i += V::kSize) {
    const int64_t left = n - i;
    V p = load_wide(param + i, left);
    V g = load_wide(grad + i, left);
    if (args.maximize) g = -g;
    if (args.keep != 1) p = p * keep;
    if (args.weight_decay != 0) g = fma(constant<V>(args.weight_decay), p, g);
    const V m = moved(load_wide(means + i, left), g, args.beta1);
    const V v = fma(w2 * g, g, beta2 * load_wide(squares + i, left));
    store_wide(means + i, m, left);
    store_wide(squares + i, v, left);
    if (kNesterov) {
      const V divisor = sqrt(v / scale) + eps;
      p = p + a * g / divisor;
      p = p + b * m / divisor;
    } else {
      p = p + (adapt ? b * m / (sqrt(v) + eps) : b * m);
    }
    store_wide(param + i, p, left);
  }
}
template <class S>
void nadam_piece(const OptimTensor& t, int64_t begin, int64_t n, const MomentsArgs& args) {
  moments_piece<S, true>(t, begin, n, args);
}
template <class S>
void radam_piece(const OptimTensor& t, int64_t begin, int64_t n, const MomentsArgs& args) {
  moments_piece<S, false>(t, begin, n, args);
}

template <class S>
void rprop_piece(const OptimTensor& t, int64_t begin, int64_t n, const RpropArgs& args) {
  using V = Vec<Wide<S>>;
  S *param = static_cast<S*>(t.param) + begin, *before = static_cast<S*>(t.state0) + begin;
  S* sizes = static_cast<S*>(t.state1) + begin;
  const S* grad = static_cast<const S*>(t.grad) + begin;
  const V minus = constant<V>(args.eta_minus), plus = constant<V>(args.eta_plus);
  const V least = constant<V>(args.least), most = constant<V>(args.most), zero(Wide<S>(0)), one(Wide<S>(1));
  for (int64_t i = 0; i < n; i += V::kSize) {
    const int64_t left = n - i;
    V g = load_wide(grad + i, left);
    if (args.maximize) g = -g;
    const V agreement = g * load_wide(before + i, left);
    const auto turned = agreement < zero;
    const V factor = select(agreement > zero, plus, select(turned, minus, one));
    const V size = minimum(maximum(load_wide(sizes + i, left) * factor, least), most);
    g = select(turned, zero, g);
    const V direction = select(g > zero, one, select(g < zero, -one, zero));
    store_wide(sizes + i, size, left);
    store_wide(before + i, g, left);
    store_wide(param + i, load_wide(param + i, left) - direction * size, left);
  }
}

template <class S>
void asgd_piece(const OptimTensor& t, int64_t begin, int64_t n, const AsgdArgs& args) {
  using V = Vec<Wide<S>>;
  S *param = static_cast<S*>(t.param) + begin, *averages = static_cast<S*>(t.state0) + begin;
  const S* grad = static_cast<const S*>(t.grad) + begin;
  const V keep = constant<V>(1 - args.lambd * t.a), minus_eta = constant<V>(-t.a), mu = constant<V>(t.b);
  for (int64_t i = 0; i < n; i += V::kSize) {
    const int64_t left = n - i;
    V p = load_wide(param + i, left);
    const V g = descent(load_wide(grad + i, left), p, args.maximize, args.weight_decay);
    p = fma(minus_eta, g, p * keep);
    store_wide(param + i, p, left);
    const V ax = load_wide(averages + i, left);
    store_wide(averages + i, t.b == 1 ? p : ax + (p - ax) * mu, left);
  }
}

}  // namespace

PYNN_STEP(adadelta, AdadeltaArgs, 1.5)
PYNN_STEP(adamax, AdamaxArgs, 1)
PYNN_STEP(nadam, MomentsArgs, 1.5)
PYNN_STEP(radam, MomentsArgs, 1)
PYNN_STEP(rprop, RpropArgs, 1)
PYNN_STEP(asgd, AsgdArgs, 1)

}  // namespace PYNN_CPU_NAMESPACE
