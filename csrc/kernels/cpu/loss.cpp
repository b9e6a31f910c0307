// loss.cpp -- losses of pairs of numbers and their gradients by x, in one pass each: the formulas are those of loss.h.
//
// A reduced loss is summed over pieces of fixed size, in parallel: lanes of T over 2048 elements, double beyond.
#include "kernels/loss.h"

#include "core/parallel.h"
#include "kernels/cpu/row_math.h"
#include "kernels/cpu/scratch.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class T>
PYNN_INLINE Vec<T> sign_of(Vec<T> d) {  // NaN and 0 as they are
  using V = Vec<T>;
  return select(d > V(0), V(1), select(d < V(0), V(-1), d));
}

template <PairLoss loss, class T>
struct Formula {
  using V = Vec<T>;
  V p;
  PYNN_INLINE V value(V x, V y) const {
    const V d = x - y, a = abs(d), half = constant<V>(0.5);
    if constexpr (loss == PairLoss::Squared) return d * d;
    if constexpr (loss == PairLoss::Absolute) return a;
    if constexpr (loss == PairLoss::SmoothL1) return select(a < p, d * d * (half / p), a - half * p);
    if constexpr (loss == PairLoss::Huber) return select(a <= p, half * d * d, p * (a - half * p));
    if constexpr (loss == PairLoss::Logistic)  // log(1 + e^-x) = log(1 + e^-|x|) + max(-x, 0)
      return (V(1) - y) * x + (log1p(exp(-abs(x))) + max(V(0), -x));
  }
  PYNN_INLINE V slope(V x, V y) const {
    const V d = x - y, a = abs(d);
    if constexpr (loss == PairLoss::Squared) return d + d;
    if constexpr (loss == PairLoss::Absolute) return select(d == d, sign_of(d), V(0));  // NaN: 0, as in PyTorch
    if constexpr (loss == PairLoss::SmoothL1) return select(a < p, d / p, sign_of(d));
    if constexpr (loss == PairLoss::Huber) return select(a <= p, d, p * sign_of(d));
    if constexpr (loss == PairLoss::Logistic) return sigmoid(x) - y;
  }
};

template <class T, class F>
PYNN_INLINE void with_formula(const PairLossArgs& a, F f) {
  const Vec<T> p(static_cast<T>(a.param));
  switch (a.loss) {
    case PairLoss::Squared:
      return f(Formula<PairLoss::Squared, T>{p});
    case PairLoss::Absolute:
      return f(Formula<PairLoss::Absolute, T>{p});
    case PairLoss::SmoothL1:
      return f(Formula<PairLoss::SmoothL1, T>{p});
    case PairLoss::Huber:
      return f(Formula<PairLoss::Huber, T>{p});
    case PairLoss::Logistic:
      return f(Formula<PairLoss::Logistic, T>{p});
  }
}
PYNN_INLINE double cost(const PairLossArgs& a) { return a.loss == PairLoss::Logistic ? 1 : 0.3; }

template <class T>
void forward(const PairLossArgs& a) {
  constexpr int64_t piece = 1 << 14;
  const T *x = static_cast<const T*>(a.x), *y = static_cast<const T*>(a.y);
  T* out = static_cast<T*>(a.out);
  with_formula<T>(a, [&](auto formula) {
    if (!a.reduce) {
      parallel_for(0, a.n, grain_for(cost(a)), [&](int64_t begin, int64_t end) {
        const T *from_x = x + begin, *from_y = y + begin;
        T* to = out + begin;
        along<T>(end - begin, [=](auto at) { at.store(to, formula.value(at.load(from_x), at.load(from_y))); });
      });
      return;
    }
    const int64_t pieces = ceil_div(a.n, piece);
    const Scratch<double> part(pieces);
    parallel_for(0, pieces, grain_for(cost(a) * piece), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T *from_x = x + i * piece, *from_y = y + i * piece;
        part[i] = sum_along<T, 2>(min_of(piece, a.n - i * piece), [=](Vec<T> acc, auto at) {
          return acc + at.keep(formula.value(at.load(from_x), at.load(from_y)), Vec<T>(T(0)));
        });
      }
    });
    double total = 0;
    for (int64_t i = 0; i < pieces; ++i) total += part[i];
    *out = static_cast<T>(total * a.scale);
  });
}

template <class T>
void backward(const PairLossArgs& a) {
  using V = Vec<T>;
  const T *x = static_cast<const T*>(a.x), *y = static_cast<const T*>(a.y), *grad = static_cast<const T*>(a.grad);
  T *dx = static_cast<T*>(a.dx), *dy = static_cast<T*>(a.dy);
  const V one(a.reduce ? static_cast<T>(static_cast<double>(*grad) * a.scale) : T(0));
  with_formula<T>(a, [&](auto formula) {
    parallel_for(0, a.n, grain_for(cost(a)), [&](int64_t begin, int64_t end) {
      along<T>(end - begin, [&](auto at) {
        at.i += begin;
        const V by = a.reduce ? one : at.load(grad), d = formula.slope(at.load(x), at.load(y)) * by;
        if (dx) at.store(dx, d);
        if (dy) at.store(dy, -d);
      });
    });
  });
}

}  // namespace

void pair_loss_forward(const PairLossArgs& a) {
  if (a.dtype != DType::Float32 && a.dtype != DType::Float64) no_loop("pair_loss", a.dtype);
  a.dtype == DType::Float64 ? forward<double>(a) : forward<float>(a);
}

void pair_loss_backward(const PairLossArgs& a) {
  if (a.dtype != DType::Float32 && a.dtype != DType::Float64) no_loop("pair_loss", a.dtype);
  a.dtype == DType::Float64 ? backward<double>(a) : backward<float>(a);
}

}  // namespace PYNN_CPU_NAMESPACE
