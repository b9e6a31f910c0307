// loss.cu -- losses of pairs, and their gradients: one launch each, two for the sum of many.
#include "kernels/loss.h"

#include "kernels/cuda/reduce.cuh"

namespace pynn::cuda {
namespace {

template <class E>
struct Formula {
  PairLoss loss;
  E param;
  __device__ E value(E x, E y) const {
    const E d = x - y, a = fabs(d);
    switch (loss) {
      case PairLoss::Squared:
        return d * d;
      case PairLoss::Absolute:
        return a;
      case PairLoss::SmoothL1:
        return a < param ? d * d * (E(0.5) / param) : a - E(0.5) * param;
      case PairLoss::Huber:
        return a <= param ? E(0.5) * d * d : param * (a - E(0.5) * param);
      default:
        return (E(1) - y) * x + (x > E(0) ? log1p(exp(-x)) : log1p(exp(x)) - x);
    }
  }
  // By x.
  __device__ E slope(E x, E y) const {
    const E d = x - y, a = fabs(d), sign = d > E(0) ? E(1) : d < E(0) ? E(-1) : d;
    switch (loss) {
      case PairLoss::Squared:
        return E(2) * d;
      case PairLoss::Absolute:
        return isnan(d) ? E(0) : sign;
      case PairLoss::SmoothL1:
        return a < param ? d / param : sign;
      case PairLoss::Huber:
        return a <= param ? d : param * sign;
      default:
        return E(1) / (E(1) + exp(-x)) - y;
    }
  }
};

template <class T, int P>
__device__ inline Pack<T, P> pack_at(const T* p, int64_t i) {
  return *reinterpret_cast<const Pack<T, P>*>(p + i);
}

// out [n], or the sum of each block (of all, scaled, where there is one) in out [gridDim.x].
template <class T, int P>
__global__ void __launch_bounds__(kBlock) forward(Formula<Element<T>> f, const T* x, const T* y, int64_t n, T* out,
                                                  bool reduce, Element<T> scale, Element<T>* partial) {
  using E = Element<T>;
  E sum = 0;
#pragma unroll 4
  PYNN_GRID_LOOP(i, n / P) {
    const Pack<T, P> a = pack_at<T, P>(x, i * P), b = pack_at<T, P>(y, i * P);
    Pack<T, P> v;
    E part = 0;
#pragma unroll
    for (int e = 0; e < P; ++e) {
      const E loss = f.value(static_cast<E>(load(a.v[e])), static_cast<E>(load(b.v[e])));
      part += loss;
      if (!reduce) v.v[e] = store_as<T>(loss);
    }
    sum += part;
    if (!reduce) *reinterpret_cast<Pack<T, P>*>(out + i * P) = v;
  }
  if (!reduce) return;
  sum = block_sum(sum);
  if (threadIdx.x != 0) return;
  if (partial)
    partial[blockIdx.x] = sum;
  else
    *out = store_as<T>(sum * scale);
}
template <class T>
__global__ void __launch_bounds__(kBlock) add_parts(const Element<T>* partial, int count, Element<T> scale, T* out) {
  using E = Element<T>;
  E sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) sum += partial[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) *out = store_as<T>(sum * scale);
}

template <class T, int P>
__global__ void __launch_bounds__(kBlock) backward(Formula<Element<T>> f, const T* x, const T* y, int64_t n,
                                                   const T* grad, bool reduced, Element<T> scale, T* dx, T* dy) {
  using E = Element<T>;
  const E one = reduced ? static_cast<E>(load(*grad)) * scale : E(0);
#pragma unroll 4
  PYNN_GRID_LOOP(i, n / P) {
    const Pack<T, P> a = pack_at<T, P>(x, i * P), b = pack_at<T, P>(y, i * P);
    Pack<T, P> g, v, w;
    if (!reduced) g = pack_at<T, P>(grad, i * P);
#pragma unroll
    for (int e = 0; e < P; ++e) {
      const E by = reduced ? one : static_cast<E>(load(g.v[e]));
      const E d = f.slope(static_cast<E>(load(a.v[e])), static_cast<E>(load(b.v[e]))) * by;
      v.v[e] = store_as<T>(d);
      w.v[e] = store_as<T>(-d);
    }
    if (dx) *reinterpret_cast<Pack<T, P>*>(dx + i * P) = v;
    if (dy) *reinterpret_cast<Pack<T, P>*>(dy + i * P) = w;
  }
}

template <class T, class F>
void with_width(int64_t n, std::initializer_list<const void*> pointers, F f) {
  constexpr int P = kPack<T>;
  bool wide = n % P == 0;
  for (const void* p : pointers) wide = wide && aligned(p, 16);
  wide ? f(std::integral_constant<int, P>{}) : f(std::integral_constant<int, 1>{});
}

}  // namespace

void pair_loss_forward(const PairLossArgs& a) {
  dispatch_floating("pair_loss", a.dtype, [&](auto t) {
    using T = decltype(t);
    using E = Element<T>;
    const Formula<E> f{a.loss, static_cast<E>(a.param)};
    const T *x = static_cast<const T*>(a.x), *y = static_cast<const T*>(a.y);
    T* out = static_cast<T*>(a.out);
    with_width<T>(a.n, {x, y, a.reduce ? nullptr : a.out}, [&](auto pack) {
      constexpr int P = decltype(pack)::value;
      const int64_t blocks = std::min<int64_t>(ceil_div(a.n, 8 * P * kBlock), 8 * multiprocessors());
      const unsigned grid = a.reduce ? static_cast<unsigned>(std::max<int64_t>(blocks, 1)) : grid_for(a.n / P);
      const Scratch partial(a.reduce && grid > 1 ? grid * sizeof(E) : 0);
      launch(forward<T, P>, grid, kBlock, f, x, y, a.n, out, a.reduce, static_cast<E>(a.scale), partial.as<E>());
      if (a.reduce && grid > 1)
        launch(add_parts<T>, 1, kBlock, static_cast<const E*>(partial.as<E>()), static_cast<int>(grid),
               static_cast<E>(a.scale), out);
    });
  });
}

void pair_loss_backward(const PairLossArgs& a) {
  if (a.n == 0) return;
  dispatch_floating("pair_loss", a.dtype, [&](auto t) {
    using T = decltype(t);
    using E = Element<T>;
    const Formula<E> f{a.loss, static_cast<E>(a.param)};
    with_width<T>(a.n, {a.x, a.y, a.reduce ? nullptr : a.grad, a.dx, a.dy}, [&](auto pack) {
      constexpr int P = decltype(pack)::value;
      launch(backward<T, P>, grid_for(a.n / P), kBlock, f, static_cast<const T*>(a.x), static_cast<const T*>(a.y), a.n,
             static_cast<const T*>(a.grad), a.reduce, static_cast<E>(a.scale), static_cast<T*>(a.dx),
             static_cast<T*>(a.dy));
    });
  });
}
PYNN_CUDA_KERNEL(pair_loss_forward);
PYNN_CUDA_KERNEL(pair_loss_backward);

}  // namespace pynn::cuda
