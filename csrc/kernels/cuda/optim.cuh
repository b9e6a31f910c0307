// optim.cuh -- one launch for many tensors: what the optimisers' steps share.
//
// A step is a struct of constants with  operator()(p, g, s0, s1, s2, t)  on one element in the compute type; t holds
// the tensor's own coefficients. Tensors go to the kernel as a table in its arguments, so nothing is copied to the
// device; a block takes one stretch of one tensor.
#pragma once
#include "kernels/cuda/launch.cuh"
#include "kernels/optim.h"

namespace pynn::cuda {

template <class C>
struct Coefficients {
  C a, b, c;
  bool fresh;
};

struct OptimEntry {
  void* param;
  const void* grad;
  void* state[3];  // nullptr: the step does without
  int64_t n;
  double a, b, c;
  const double* computed;  // a and b where the device computed them, or nullptr
};
constexpr int kStretch = 4096;  // elements of a block

template <int N>
struct OptimTable {
  OptimEntry entry[N];
  uint32_t first_block[N];  // of each tensor
  uint8_t fresh[N];
  int count;
};
// 3.6 KB of arguments, and 16 KB for models of many tensors: the larger a table, the longer its launch.
constexpr int kFewTensors = 40, kManyTensors = 192;

template <class Step, class T, int N>
__global__ void optim_kernel(const __grid_constant__ OptimTable<N> table, const Step step) {
  using C = Compute<T>;
  constexpr int V = 16 / sizeof(T);
  int low = 0, high = table.count;  // the last tensor whose first block is not beyond this one
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (table.first_block[middle] <= blockIdx.x ? low : high) = middle;
  }
  const OptimEntry& e = table.entry[low];
  const int64_t begin = static_cast<int64_t>(blockIdx.x - table.first_block[low]) * kStretch;
  const int n = static_cast<int>(e.n - begin < kStretch ? e.n - begin : kStretch);
  const Coefficients<C> own{static_cast<C>(e.computed ? e.computed[0] : e.a),
                            static_cast<C>(e.computed ? e.computed[1] : e.b), static_cast<C>(e.c),
                            table.fresh[low] != 0};
  T* p = static_cast<T*>(e.param) + begin;
  const T* g = static_cast<const T*>(e.grad) + begin;
  T* s[3];
  uintptr_t bits = reinterpret_cast<uintptr_t>(p) | reinterpret_cast<uintptr_t>(g);
#pragma unroll
  for (int k = 0; k < 3; ++k) {
    s[k] = e.state[k] ? static_cast<T*>(e.state[k]) + begin : nullptr;
    bits |= reinterpret_cast<uintptr_t>(s[k]);
  }
  const int whole = bits % 16 ? 0 : n / V;
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < whole; i += kBlock) {
    using P = Pack<T, V>;
    P pv = reinterpret_cast<const P*>(p)[i], gv = reinterpret_cast<const P*>(g)[i], sv[3];
#pragma unroll
    for (int k = 0; k < 3; ++k)
      if (k < Step::kStates && s[k]) sv[k] = reinterpret_cast<const P*>(s[k])[i];
#pragma unroll
    for (int v = 0; v < V; ++v) {
      C x = load(pv.v[v]), state[3] = {};
#pragma unroll
      for (int k = 0; k < Step::kStates; ++k) state[k] = s[k] ? load(sv[k].v[v]) : C(0);
      step(x, load(gv.v[v]), state[0], state[1], state[2], own, s[2] != nullptr, s[1] != nullptr);
      pv.v[v] = store_as<T>(x);
#pragma unroll
      for (int k = 0; k < Step::kStates; ++k) sv[k].v[v] = store_as<T>(state[k]);
    }
    reinterpret_cast<P*>(p)[i] = pv;
#pragma unroll
    for (int k = 0; k < Step::kStates; ++k)
      if (s[k]) reinterpret_cast<P*>(s[k])[i] = sv[k];
  }
#pragma unroll 1
  for (int i = whole * V + static_cast<int>(threadIdx.x); i < n; i += kBlock) {
    C x = load(p[i]), state[3] = {};
#pragma unroll
    for (int k = 0; k < Step::kStates; ++k) state[k] = s[k] ? load(s[k][i]) : C(0);
    step(x, load(g[i]), state[0], state[1], state[2], own, s[2] != nullptr, s[1] != nullptr);
    p[i] = store_as<T>(x);
#pragma unroll
    for (int k = 0; k < Step::kStates; ++k)
      if (s[k]) s[k][i] = store_as<T>(state[k]);
  }
}

// All tensors of type T, `N` at a time. coefficients(tensor, entry) sets the entry's a, b, c.
template <class Step, class T, int N, class F>
void optim_launches(const OptimTensor* tensors, int64_t count, DType dtype, const Step& step, F coefficients) {
  OptimTable<N> table;
  table.count = 0;
  uint32_t blocks = 0;
  const auto flush = [&] {
    if (table.count) launch(optim_kernel<Step, T, N>, blocks, kBlock, table, step);
    table.count = 0;
    blocks = 0;
  };
  for (int64_t i = 0; i < count; ++i) {
    const OptimTensor& t = tensors[i];
    if (t.dtype != dtype || t.n == 0) continue;
    OptimEntry& e = table.entry[table.count];
    e = {t.param, t.grad, {t.state0, t.state1, t.state2}, t.n, t.a, t.b, 0, nullptr};
    coefficients(t, e);
    table.first_block[table.count] = blocks;
    table.fresh[table.count] = t.fresh;
    blocks += static_cast<uint32_t>((t.n + kStretch - 1) / kStretch);
    if (++table.count == N) flush();
  }
  flush();
}

// make(C{}) gives the step in compute type C.
template <bool kWideTables, class Make, class F>
void optim_step(const char* name, const OptimTensor* tensors, int64_t count, Make make, F coefficients) {
  for (const DType dtype : {DType::Float32, DType::Float64, DType::Float16, DType::BFloat16}) {
    int64_t of_it = 0;
    for (int64_t i = 0; i < count; ++i) of_it += tensors[i].dtype == dtype;
    if (!of_it) continue;
    dispatch_floating(name, dtype, [&](auto t) {
      using T = decltype(t);
      const auto step = make(Compute<T>{});
      using Step = std::remove_const_t<decltype(step)>;
      if constexpr (kWideTables)
        if (of_it > kFewTensors)
          return optim_launches<Step, T, kManyTensors>(tensors, count, dtype, step, coefficients);
      optim_launches<Step, T, kFewTensors>(tensors, count, dtype, step, coefficients);
    });
  }
}

// The gradient with its sign and the penalty.
template <class C>
__device__ inline C descent(C g, C p, bool maximize, C weight_decay) {
  if (maximize) g = -g;
  return weight_decay != C(0) ? fma(weight_decay, p, g) : g;
}
// m + (1 - beta)(g - m), by the nearer end, as lerp does.
template <class C>
struct Moving {
  explicit Moving(double beta) : weight(static_cast<C>(1 - beta < 0.5 ? 1 - beta : -beta)), near(1 - beta < 0.5) {}
  __device__ C operator()(C m, C g) const { return near ? fma(weight, g - m, m) : fma(weight, g - m, g); }
  C weight;
  bool near;
};

}  // namespace pynn::cuda
