// ctc.cu -- the forward-backward recursion of kernels/cpu/ctc.cpp: a block for a sample, its threads share the states
// of a time step, which follows the one before. Doubles throughout.
#include "kernels/ctc.h"

#include "kernels/cuda/launch.cuh"

namespace pynn::cuda {
namespace {

__device__ inline double log_sum(double a, double b, double c) {
  const double top = a > b ? (a > c ? a : c) : (b > c ? b : c);
  if (top == -INFINITY) return -INFINITY;
  return top + log(exp(a - top) + exp(b - top) + exp(c - top));
}

template <class T>
struct Sample {
  const T* log_probs;
  int64_t step, time, states;
  const int64_t* target;
  int64_t blank;

  __device__ Sample(const CtcArgs& a, int64_t n)
      : log_probs(static_cast<const T*>(a.log_probs) + n * a.classes),
        step(a.batch * a.classes),
        time(a.input_lengths[n]),
        states(2 * a.target_lengths[n] + 1),
        target(a.targets + a.target_offsets[n]),
        blank(a.blank) {}
  __device__ int64_t label(int64_t s) const { return s % 2 ? target[s / 2] : blank; }
  __device__ double at(int64_t t, int64_t s) const { return static_cast<double>(log_probs[t * step + label(s)]); }
  __device__ bool skips(int64_t s) const { return s % 2 && s >= 2 && target[s / 2] != target[s / 2 - 1]; }

  // Rows 0 .. time - 1 of alpha, row t at rows + t % kept * states; the loss.
  __device__ double alphas(double* rows, int64_t kept) const {
    for (int64_t t = 0; t < time; ++t) {
      double* row = rows + t % kept * states;
      const double* before = rows + (t + kept - 1) % kept * states;
      for (int64_t s = threadIdx.x; s < states; s += blockDim.x) {
        if (t == 0)
          row[s] = s < 2 ? at(0, s) : -INFINITY;
        else
          row[s] =
              at(t, s) + log_sum(before[s], s >= 1 ? before[s - 1] : -INFINITY, skips(s) ? before[s - 2] : -INFINITY);
      }
      __syncthreads();
    }
    const double* last = rows + (time - 1) % kept * states;
    return -log_sum(last[states - 1], states > 1 ? last[states - 2] : -INFINITY, -INFINITY);
  }
};

// scratch [batch, 2, most states]
template <class T>
__global__ void forward(CtcArgs a, double* scratch, int64_t most) {
  const int64_t n = blockIdx.x;
  const Sample<T> sample(a, n);
  double loss = sample.states > 1 ? INFINITY : 0;
  if (sample.time > 0) loss = sample.alphas(scratch + n * 2 * most, 2);
  if (threadIdx.x == 0) static_cast<T*>(a.loss)[n] = static_cast<T>(loss);
}

// scratch [batch, time + 2, most states] for alphas and two rows of beta; posterior [batch, classes].
template <class T>
__global__ void backward(CtcArgs a, double* scratch, double* posteriors, int64_t most) {
  const int64_t n = blockIdx.x;
  const Sample<T> sample(a, n);
  const int64_t states = sample.states, time = sample.time;
  if (time == 0 || (a.zero_infinity && isinf(static_cast<const T*>(a.loss)[n]) && static_cast<const T*>(a.loss)[n] > 0))
    return;
  const double dloss = static_cast<double>(static_cast<const T*>(a.dloss)[n]);
  double *alphas = scratch + n * (a.time + 2) * most, *beta = alphas + a.time * most, *after = beta + most;
  double* posterior = posteriors + n * a.classes;
  const double loss = sample.alphas(alphas, time);
  for (int64_t t = time - 1; t >= 0; --t) {
    for (int64_t k = threadIdx.x; k < a.classes; k += blockDim.x) posterior[k] = 0;
    for (int64_t s = threadIdx.x; s < states; s += blockDim.x) {
      if (t == time - 1) {
        beta[s] = s >= states - 2 ? 0 : -INFINITY;
        continue;
      }
      const auto via = [&](int64_t to) { return after[to] + sample.at(t + 1, to); };
      beta[s] = log_sum(via(s), s + 1 < states ? via(s + 1) : -INFINITY,
                        s + 2 < states && sample.skips(s + 2) ? via(s + 2) : -INFINITY);
    }
    __syncthreads();
    // A label may stand in several states: whoever has its first adds all, in order. The blanks are one thread's.
    for (int64_t s = threadIdx.x; s < states; s += blockDim.x) {
      if (s % 2 == 0 && s > 0) continue;
      const int64_t label = sample.label(s);
      bool first = true;
      for (int64_t o = s - 2; s % 2 && first && o > 0; o -= 2) first = sample.label(o) != label;
      if (!first || (s % 2 && label == sample.blank)) continue;
      double sum = 0;
      for (int64_t o = s; o < states; ++o)
        if (sample.label(o) == label) sum += exp(alphas[t * states + o] + beta[o] + loss);
      posterior[label] = sum;
    }
    __syncthreads();
    const T* x = sample.log_probs + t * sample.step;
    T* dx = static_cast<T*>(a.dlog_probs) + t * sample.step + n * a.classes;
    for (int64_t k = threadIdx.x; k < a.classes; k += blockDim.x)
      dx[k] = static_cast<T>(dloss * (exp(static_cast<double>(x[k])) - posterior[k]));
    __syncthreads();
    double* swap = beta;
    beta = after, after = swap;
  }
}

template <class F>
void dispatch(DType dtype, F f) {
  if (dtype == DType::Float32) return f(float{});
  if (dtype == DType::Float64) return f(double{});
  no_loop("ctc_loss", dtype);
}

}  // namespace

void ctc_forward(const CtcArgs& a) {
  if (a.batch == 0) return;
  const int64_t most = 2 * a.longest_target + 1;
  const Scratch rows(static_cast<size_t>(a.batch * 2 * most) * sizeof(double));
  dispatch(a.dtype, [&](auto t) {
    launch(forward<decltype(t)>, static_cast<unsigned>(a.batch), kBlock, a, rows.as<double>(), most);
  });
}
void ctc_backward(const CtcArgs& a) {
  if (a.batch == 0) return;
  const int64_t most = 2 * a.longest_target + 1;
  const Scratch rows(static_cast<size_t>(a.batch * (a.time + 2) * most) * sizeof(double));
  const Scratch posterior(static_cast<size_t>(a.batch * a.classes) * sizeof(double));
  dispatch(a.dtype, [&](auto t) {
    launch(backward<decltype(t)>, static_cast<unsigned>(a.batch), kBlock, a, rows.as<double>(), posterior.as<double>(),
           most);
  });
}
PYNN_CUDA_KERNEL(ctc_forward);
PYNN_CUDA_KERNEL(ctc_backward);

}  // namespace pynn::cuda
