// cumulative.cu -- running extrema and running log-sum-exp along the middle dim of [outer, n, inner]; modes of rows.
#include "kernels/cumulative.h"

#include "kernels/cuda/scan.cuh"

namespace pynn::cuda {
namespace {

// The last of equal ones; once there was a NaN, the last NaN.
template <class T>
struct ExtremeScan {
  using E = Element<T>;
  struct State {
    E value;
    int64_t index;  // -1: none
  };
  const T* x;
  T* y;
  int64_t* index;
  bool largest;
  __device__ State identity() const { return {E(0), -1}; }
  __device__ State element(int64_t at, int64_t r) const { return {static_cast<E>(load(x[at])), r}; }
  __device__ State combine(const State& a, const State& b) const {
    if (b.index < 0) return a;
    if (a.index < 0 || b.value != b.value) return b;
    return (largest ? b.value >= a.value : b.value <= a.value) ? b : a;
  }
  __device__ void write(int64_t at, const State& s) const {
    y[at] = store_as<T>(s.value);
    index[at] = s.index;
  }
};

template <class T>
struct ExpSumScan : ExpSum<T> {
  using E = Element<T>;
  using State = typename ExpSum<T>::State;
  const T* x;
  T* y;
  __device__ State element(int64_t at, int64_t) const { return {static_cast<E>(load(x[at])), E(1)}; }
  __device__ State combine(State a, const State& b) const {
    this->merge(a, b);
    return a;
  }
  __device__ void write(int64_t at, const State& s) const { y[at] = store_as<T>(isinf(s.m) ? s.m : s.m + log(s.s)); }
};

// Of the runs of equal elements in a sorted row the longest, of those the first.
struct LongestRun {
  struct State {
    int64_t length, last;
  };
  __device__ State identity() const { return {0, 0}; }
  __device__ void merge(State& a, const State& b) const {
    if (b.length > a.length || (b.length == a.length && b.last < a.last)) a = b;
  }
};

// A block for a row. Whoever holds the last of a run finds its first by bisection; NaN, which are last, are one run.
template <class T>
__global__ void __launch_bounds__(kBlock)
    modes(const T* sorted, const int64_t* index, T* mode, int64_t* position, int64_t rows, int64_t n) {
  using E = Element<T>;
  const LongestRun f;
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const T* x = sorted + row * n;
    const auto at = [&](int64_t i) { return static_cast<E>(load(x[i])); };
    auto best = f.identity();
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
      const E v = at(i);
      if (i + 1 < n && (v != v || at(i + 1) == v)) continue;
      int64_t low = 0, high = i;  // the run's first is in [low, high]
      while (low < high) {
        const int64_t middle = (low + high) / 2;
        const E m = at(middle);
        if (m == v || (m != m && v != v))
          high = middle;
        else
          low = middle + 1;
      }
      f.merge(best, {i - low + 1, i});
    }
    best = merge_group(f, best, static_cast<int>(blockDim.x));
    if (threadIdx.x == 0) {
      mode[row] = x[best.last];
      position[row] = index[row * n + best.last];
    }
  }
}

}  // namespace

void cumulative_extreme(const CumulativeArgs& a, bool largest) {
  if (a.outer * a.n * a.inner == 0) return;
  dispatch_real("cumulative_extreme", a.dtype, [&](auto t) {
    using T = decltype(t);
    launch_scan(ExtremeScan<T>{static_cast<const T*>(a.x), static_cast<T*>(a.y), a.index, largest}, a.outer, a.n,
                a.inner);
  });
}

void cumulative_logsumexp(const CumulativeArgs& a) {
  if (a.outer * a.n * a.inner == 0) return;
  dispatch_floating("cumulative_logsumexp", a.dtype, [&](auto t) {
    using T = decltype(t);
    launch_scan(ExpSumScan<T>{{}, static_cast<const T*>(a.x), static_cast<T*>(a.y)}, a.outer, a.n, a.inner);
  });
}

void mode_rows(const ModeArgs& a) {
  if (a.n == 0 || a.rows == 0) return;
  dispatch_real("mode", a.dtype, [&](auto t) {
    using T = decltype(t);
    launch(modes<T>, blocks_for(a.rows), a.n <= 128 ? kWarp : kBlock, static_cast<const T*>(a.sorted), a.index,
           static_cast<T*>(a.mode), a.position, a.rows, a.n);
  });
}
PYNN_CUDA_KERNEL(cumulative_extreme);
PYNN_CUDA_KERNEL(cumulative_logsumexp);
PYNN_CUDA_KERNEL(mode_rows);

}  // namespace pynn::cuda
