// reduce_index.cu -- the largest (smallest) element of the middle dim of [outer, n, inner] and its first position.
//
//   better(x, best) = x > best, or x is NaN and best is not: so NaN wins, and the first of equal ones stays.
#include "kernels/cuda/reduce.cuh"
#include "kernels/reduce.h"

namespace pynn::cuda {
namespace {

template <class T>
struct IndexFold {
  using E = Element<T>;
  struct State {
    E value;
    int64_t index;  // -1: none yet
  };
  void* y;
  DType dtype;
  int64_t* index;
  bool largest;

  __device__ bool better(E x, E best) const { return (largest ? x > best : x < best) || (x != x && best == best); }
  __device__ State identity() const { return {E(0), -1}; }
  template <int K>
  __device__ void take(State& a, const E (&v)[K], int64_t first, int64_t step) const {
    E best = v[0];
    int at = 0;
#pragma unroll
    for (int k = 1; k < K; ++k)
      if (better(v[k], best)) best = v[k], at = k;
    if (a.index < 0 || better(best, a.value)) a = {best, first + at * step};
  }
  __device__ void merge(State& a, const State& b) const {
    if (b.index < 0) return;
    const bool same = a.value == b.value || (a.value != a.value && b.value != b.value);
    if (a.index < 0 || better(b.value, a.value) || (same && b.index < a.index)) a = b;
  }
  __device__ void finish(const State& a, int64_t at) const {
    index[at] = a.index;
    if (y) put(y, dtype, at, a.value);
  }
};

}  // namespace

void reduce_index(Reduce op, const ReduceArgs& a) {
  const bool only_index = op == Reduce::ArgMax || op == Reduce::ArgMin;
  const bool largest = op == Reduce::ArgMax || op == Reduce::Max;
  dispatch_real("reduce", a.dtype, [&](auto t) {
    using T = decltype(t);
    launch_reduce<T>(
        IndexFold<T>{only_index ? nullptr : a.y, a.y_dtype, only_index ? static_cast<int64_t*>(a.y) : a.index, largest},
        a.x, a.outer, a.nreduce, a.inner);
  });
}

}  // namespace pynn::cuda
