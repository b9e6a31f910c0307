// cross_entropy.cu -- the weighted negative log likelihood of class targets straight from logits x [rows, C].
//
//   loss_r = (1 - eps) w[t] (lse_r - x_r[t]) + eps / C * sum_c w[c] (lse_r - x_r[c]),   t = target_r
//   dx_rc  = scale_r ((1 - eps) w[t] (p_rc - [c == t]) + eps / C * (sum(w) p_rc - w[c])),   p = softmax(x_r)
//
// A group of threads for a row, which is read once. The mean is a second, small launch: no one waits for it.
#include "kernels/cuda/reduce.cuh"
#include "kernels/softmax.h"

namespace pynn::cuda {
namespace {

// (m, s) as in ExpSum, and for smoothing sum w and sum w x.
template <class T>
struct SmoothFold {
  struct State {
    typename ExpSum<T>::State exp;
    T weights, dot;
  };
  ExpSum<T> inner;
  const T* weight;
  __device__ State identity() const { return {inner.identity(), T(0), T(0)}; }
  template <int K>
  __device__ void take(State& a, const T (&v)[K], int64_t index, int64_t step) const {
    inner.take(a.exp, v, index, step);
#pragma unroll
    for (int k = 0; k < K; ++k) {
      const T w = weight ? weight[index + k * step] : T(1);
      a.weights += w;
      a.dot += w * v[k];
    }
  }
  __device__ void merge(State& a, const State& b) const {
    inner.merge(a.exp, b.exp);
    a.weights += b.weights;
    a.dot += b.dot;
  }
};

template <class T, class F>
__global__ void __launch_bounds__(kMostInRow)
    forward(CrossEntropyArgs a, F f, int group, Deferred* found, const char* op) {
  const T *x = static_cast<const T*>(a.x), *weight = static_cast<const T*>(a.weight);
  T *loss = static_cast<T*>(a.loss), *row_weight = static_cast<T*>(a.row_weight), *lse = static_cast<T*>(a.lse);
  const T eps = static_cast<T>(a.smoothing), spread = eps / static_cast<T>(a.classes);
  const int per_block = static_cast<int>(blockDim.x) / group, lane = static_cast<int>(threadIdx.x) % group;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * per_block; first < a.rows;
       first += static_cast<int64_t>(gridDim.x) * per_block) {
    const int64_t row = first + threadIdx.x / group;
    int64_t t = a.ignore_index;
    if (row < a.rows) t = a.target[row];
    bool counts = row < a.rows && t != a.ignore_index;
    if (counts && (t < 0 || t >= a.classes)) {
      if (lane == 0) out_of_range(found, op, t, a.classes);
      counts = false;
    }
    typename F::State s = f.identity();
    if (counts) s = fold_run(f, x + row * a.classes, a.classes, 0, lane, group);
    s = merge_group(f, s, group);
    if (lane != 0 || row >= a.rows) continue;
    T value = 0, w = 0, log_sum = 0, top = 0;
    if (counts) {
      typename ExpSum<T>::State e;
      if constexpr (std::is_same_v<F, ExpSum<T>>)
        e = s;
      else
        e = s.exp;
      w = weight ? weight[t] : T(1);
      top = e.m;
      log_sum = log(e.s);
      value = (T(1) - eps) * w * (log_sum + (top - x[row * a.classes + t]));
      if constexpr (!std::is_same_v<F, ExpSum<T>>) value += spread * (s.weights * (log_sum + top) - s.dot);
    }
    loss[row] = value;
    row_weight[row] = w;
    lse[row] = log_sum;
    lse[a.rows + row] = top;
  }
}

// y = sum(loss) / sum(row_weight), total = sum(row_weight); or the two sums of each block.
template <class T>
__global__ void __launch_bounds__(kMostThreads)
    sums(const T* loss, const T* row_weight, int64_t rows, T* y, T* total, double* partial) {
  double sum = 0, weights = 0;
  PYNN_GRID_LOOP(i, rows) {
    sum += static_cast<double>(loss[i]);
    weights += static_cast<double>(row_weight[i]);
  }
  sum = block_sum(sum);
  weights = block_sum(weights);
  if (threadIdx.x != 0) return;
  if (partial) {
    partial[blockIdx.x] = sum;
    partial[gridDim.x + blockIdx.x] = weights;
  } else {
    *y = static_cast<T>(sum / weights);
    *total = static_cast<T>(weights);
  }
}
template <class T>
__global__ void __launch_bounds__(kMostThreads) last_sums(const double* partial, int count, T* y, T* total) {
  double sum = 0, weights = 0;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
    sum += partial[i];
    weights += partial[count + i];
  }
  sum = block_sum(sum);
  weights = block_sum(weights);
  if (threadIdx.x != 0) return;
  *y = static_cast<T>(sum / weights);
  *total = static_cast<T>(weights);
}

// What the smoothing's derivative needs of the weights, once for all rows.
template <class T>
__global__ void __launch_bounds__(kMostThreads) sum_weights(const T* weight, int64_t classes, T* out) {
  double sum = 0;
  for (int64_t c = threadIdx.x; c < classes; c += blockDim.x) sum += static_cast<double>(weight[c]);
  sum = block_sum(sum);
  if (threadIdx.x == 0) *out = static_cast<T>(sum);
}

template <class T, int P>
__global__ void __launch_bounds__(kMostInRow) backward(CrossEntropyArgs a, int group, const T* weights_sum) {
  const T *weight = static_cast<const T*>(a.weight), *lse = static_cast<const T*>(a.lse);
  const T eps = static_cast<T>(a.smoothing), spread = eps / static_cast<T>(a.classes);
  const int per_block = static_cast<int>(blockDim.x) / group, lane = static_cast<int>(threadIdx.x) % group;
  const T all = weights_sum ? *weights_sum : static_cast<T>(a.classes);
  T factor = 1;
  if (a.total) {
    const T total = *static_cast<const T*>(a.total);
    factor = total == T(0) ? T(0) : T(1) / total;  // where nothing counts the loss depends on no input
  }
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * per_block + threadIdx.x / group; row < a.rows;
       row += static_cast<int64_t>(gridDim.x) * per_block) {
    const T* x = static_cast<const T*>(a.x) + row * a.classes;
    T* dx = static_cast<T*>(a.dx) + row * a.classes;
    const int64_t t = a.target[row];
    const bool counts = t != a.ignore_index && t >= 0 && t < a.classes;
    const T scale = counts ? static_cast<const T*>(a.grad)[row * a.grad_step] * factor : T(0);
    const T w = counts ? (T(1) - eps) * (weight ? weight[t] : T(1)) : T(0);
    const T of_p = scale * (w + spread * all), of_w = scale * spread, of_t = scale * w;
    const T log_sum = lse[row], top = lse[a.rows + row];
    using Packed = Pack<T, P>;
    const auto slopes = [&](Packed v, int64_t c) {
      const int hit = t >= c && t < c + P ? static_cast<int>(t - c) : -1;
#pragma unroll
      for (int e = 0; e < P; ++e) {
        T d = of_p * exp(v.v[e] - top - log_sum);
        if (eps != T(0)) d -= of_w * (weight ? weight[c + e] : T(1));
        if (e == hit) d -= of_t;
        v.v[e] = counts ? d : T(0);
      }
      *reinterpret_cast<Packed*>(dx + c) = v;
    };
    const int64_t step = static_cast<int64_t>(group) * P;
    int64_t c = static_cast<int64_t>(lane) * P;
    for (; c + (kInFlight - 1) * step < a.classes; c += kInFlight * step) {
      Packed v[kInFlight];
#pragma unroll
      for (int j = 0; j < kInFlight; ++j) v[j] = *reinterpret_cast<const Packed*>(x + c + j * step);
#pragma unroll
      for (int j = 0; j < kInFlight; ++j) slopes(v[j], c + j * step);
    }
    for (; c < a.classes; c += step) slopes(*reinterpret_cast<const Packed*>(x + c), c);
  }
}

template <class F>
void dispatch(DType dtype, F f) {
  if (dtype == DType::Float32) return f(float{});
  if (dtype == DType::Float64) return f(double{});
  no_loop("cross_entropy", dtype);
}

}  // namespace

int64_t cross_entropy_forward(const CrossEntropyArgs& a) {
  if (a.rows == 0) return -1;
  dispatch(a.dtype, [&](auto t) {
    using T = decltype(t);
    const int group = row_group<T>(a.rows, a.classes, kMostInRow), block = std::max(group, 128);
    const unsigned grid = blocks_for(ceil_div(a.rows * group, block));
    const char* op = "cross_entropy";  // a literal of the host
    if (a.smoothing != 0) {
      const SmoothFold<T> f{{}, static_cast<const T*>(a.weight)};
      launch(forward<T, SmoothFold<T>>, grid, block, a, f, group, deferred(), op);
    } else {
      launch(forward<T, ExpSum<T>>, grid, block, a, ExpSum<T>{}, group, deferred(), op);
    }
  });
  return -1;  // what is out of range is raised at the next synchronisation
}

void cross_entropy_mean(const CrossEntropyArgs& a) {
  dispatch(a.dtype, [&](auto t) {
    using T = decltype(t);
    const T *loss = static_cast<const T*>(a.loss), *weights = static_cast<const T*>(a.row_weight);
    T *y = static_cast<T*>(a.y), *total = static_cast<T*>(a.total);
    if (a.rows <= 1 << 15) {
      const int block = std::max(power_of_two(a.rows, 1024), kWarp);
      return launch(sums<T>, 1, block, loss, weights, a.rows, y, total, static_cast<double*>(nullptr));
    }
    const int blocks = static_cast<int>(std::min<int64_t>(ceil_div(a.rows, 1 << 13), 512));
    const Scratch partial(static_cast<size_t>(2 * blocks) * sizeof(double));
    launch(sums<T>, static_cast<unsigned>(blocks), 1024, loss, weights, a.rows, y, total, partial.as<double>());
    launch(last_sums<T>, 1, kBlock, partial.as<double>(), blocks, y, total);
  });
}

void cross_entropy_backward(const CrossEntropyArgs& a) {
  if (a.rows == 0 || a.classes == 0) return;
  dispatch(a.dtype, [&](auto t) {
    using T = decltype(t);
    const bool needs_sum = a.smoothing != 0 && a.weight;
    const Scratch sum(needs_sum ? sizeof(T) : 0);
    if (needs_sum) launch(sum_weights<T>, 1, kBlock, static_cast<const T*>(a.weight), a.classes, sum.as<T>());
    const int group = row_group<T>(a.rows, a.classes, kMostInRow), block = std::max(group, 128);
    const unsigned grid = blocks_for(ceil_div(a.rows * group, block));
    if (a.classes % kPack<T> == 0 && aligned(a.x, 16) && aligned(a.dx, 16))
      launch(backward<T, kPack<T>>, grid, block, a, group, static_cast<const T*>(sum.as<T>()));
    else
      launch(backward<T, 1>, grid, block, a, group, static_cast<const T*>(sum.as<T>()));
  });
}
PYNN_CUDA_KERNEL(cross_entropy_forward);
PYNN_CUDA_KERNEL(cross_entropy_mean);
PYNN_CUDA_KERNEL(cross_entropy_backward);

}  // namespace pynn::cuda
