// recurrent.cu -- the gates of an LSTM and a GRU: a thread per element of the state; formulas in kernels/recurrent.h,
// derivatives in kernels/cpu/recurrent.cpp.
#include "kernels/recurrent.h"

#include "kernels/cuda/launch.cuh"

namespace pynn::cuda {
namespace {

template <class C>
__device__ inline C sigmoid(C x) {
  return C(1) / (C(1) + exp(-x));
}
template <class C>
__device__ inline C through_sigmoid(C g, C s) {
  return g * s * (C(1) - s);
}
template <class C>
__device__ inline C through_tanh(C g, C t) {
  return g * (C(1) - t * t);
}

// Typed views of the arguments at one element of the state.
template <class T>
struct At {
  using C = Compute<T>;
  int64_t n, state, wide, narrow;  // offsets: in [rows, n], [rows, 4n] and [rows, 3n]
  __device__ At(const GatesArgs& a, int64_t index) : n(a.n), state(index) {
    const int64_t row = index / n, i = index % n;
    wide = row * 4 * n + i;
    narrow = row * 3 * n + i;
  }
  __device__ static C get(const void* p, int64_t i) { return load(static_cast<const T*>(p)[i]); }
  __device__ static void put(void* p, int64_t i, C v) { static_cast<T*>(p)[i] = store_as<T>(v); }
};

template <class T>
struct LstmForward {
  static __device__ void run(const GatesArgs& a, int64_t index) {
    const At<T> at(a, index);
    const int64_t n = at.n, w = at.wide;
    using C = Compute<T>;
    const C in = sigmoid(at.get(a.x, w) + at.get(a.h, w));
    const C forget = sigmoid(at.get(a.x, w + n) + at.get(a.h, w + n));
    const C g = tanh(at.get(a.x, w + 2 * n) + at.get(a.h, w + 2 * n));
    const C out = sigmoid(at.get(a.x, w + 3 * n) + at.get(a.h, w + 3 * n));
    const C c = fma(forget, at.get(a.state, at.state), in * g);
    at.put(a.gates, w, in);
    at.put(a.gates, w + n, forget);
    at.put(a.gates, w + 2 * n, g);
    at.put(a.gates, w + 3 * n, out);
    at.put(a.cell, at.state, c);
    at.put(a.out, at.state, out * tanh(c));
  }
};

template <class T>
struct LstmBackward {
  static __device__ void run(const GatesArgs& a, int64_t index) {
    const At<T> at(a, index);
    const int64_t n = at.n, w = at.wide;
    using C = Compute<T>;
    const C in = at.get(a.gates, w), forget = at.get(a.gates, w + n);
    const C g = at.get(a.gates, w + 2 * n), out = at.get(a.gates, w + 3 * n);
    const C t = tanh(at.get(a.cell, at.state));
    const C dout = a.dout ? at.get(a.dout, at.state) : C(0);
    C dc = a.dcell ? at.get(a.dcell, at.state) : C(0);
    if (a.dout) dc += through_tanh(dout * out, t);
    at.put(a.dx, w, through_sigmoid(dc * g, in));
    at.put(a.dx, w + n, through_sigmoid(dc * at.get(a.state, at.state), forget));
    at.put(a.dx, w + 2 * n, through_tanh(dc * in, g));
    at.put(a.dx, w + 3 * n, through_sigmoid(dout * t, out));
    at.put(a.dstate, at.state, dc * forget);
  }
};

template <class T>
struct GruForward {
  static __device__ void run(const GatesArgs& a, int64_t index) {
    const At<T> at(a, index);
    const int64_t n = at.n, w = at.wide, x = at.narrow;
    using C = Compute<T>;
    const C reset = sigmoid(at.get(a.x, x) + at.get(a.h, x));
    const C keep = sigmoid(at.get(a.x, x + n) + at.get(a.h, x + n));
    const C hn = at.get(a.h, x + 2 * n);
    const C fresh = tanh(fma(reset, hn, at.get(a.x, x + 2 * n)));
    at.put(a.gates, w, reset);
    at.put(a.gates, w + n, keep);
    at.put(a.gates, w + 2 * n, fresh);
    at.put(a.gates, w + 3 * n, hn);
    at.put(a.out, at.state, fma(keep, at.get(a.state, at.state) - fresh, fresh));
  }
};

template <class T>
struct GruBackward {
  static __device__ void run(const GatesArgs& a, int64_t index) {
    const At<T> at(a, index);
    const int64_t n = at.n, w = at.wide, x = at.narrow;
    using C = Compute<T>;
    const C reset = at.get(a.gates, w), keep = at.get(a.gates, w + n);
    const C fresh = at.get(a.gates, w + 2 * n), hn = at.get(a.gates, w + 3 * n);
    const C dout = at.get(a.dout, at.state);
    const C dfresh = through_tanh(dout * (C(1) - keep), fresh);
    const C dkeep = through_sigmoid(dout * (at.get(a.state, at.state) - fresh), keep);
    const C dreset = through_sigmoid(dfresh * hn, reset);
    at.put(a.dx, x, dreset);
    at.put(a.dh, x, dreset);
    at.put(a.dx, x + n, dkeep);
    at.put(a.dh, x + n, dkeep);
    at.put(a.dx, x + 2 * n, dfresh);
    at.put(a.dh, x + 2 * n, dfresh * reset);
    at.put(a.dstate, at.state, dout * keep);
  }
};

template <class Cell>
__global__ void gates(GatesArgs a) {
#pragma unroll 1
  PYNN_GRID_LOOP(index, a.rows * a.n) Cell::run(a, index);
}

template <template <class> class Cell>
void run(const char* op, const GatesArgs& a) {
  if (a.rows * a.n == 0) return;
  dispatch_floating(op, a.dtype, [&](auto t) { launch(gates<Cell<decltype(t)>>, grid_for(a.rows * a.n), kBlock, a); });
}

}  // namespace

void lstm_gates_forward(const GatesArgs& a) { run<LstmForward>("lstm_gates", a); }
PYNN_CUDA_KERNEL(lstm_gates_forward);
void lstm_gates_backward(const GatesArgs& a) { run<LstmBackward>("lstm_gates", a); }
PYNN_CUDA_KERNEL(lstm_gates_backward);
void gru_gates_forward(const GatesArgs& a) { run<GruForward>("gru_gates", a); }
PYNN_CUDA_KERNEL(gru_gates_forward);
void gru_gates_backward(const GatesArgs& a) { run<GruBackward>("gru_gates", a); }
PYNN_CUDA_KERNEL(gru_gates_backward);

}  // namespace pynn::cuda
