// softmax.cu -- y = exp(x - max) / sum(exp(x - max)) over the middle dim of [outer, n, inner], and its backward.
//
// A block per (outer, inner) row. float32 accumulation for half types. TO BE WRITTEN BETTER.
#include "kernels/softmax.h"

#include "kernels/cuda/launch.cuh"

namespace pynn::cuda {
namespace {

template <class T>
__global__ void forward(SoftmaxArgs args) {
  using C = Compute<T>;
  const int64_t row = blockIdx.x, o = row / args.inner, i = row % args.inner;
  const T* x = static_cast<const T*>(args.a) + o * args.n * args.inner + i;
  T* y = static_cast<T*>(args.out) + o * args.n * args.inner + i;
  C top = -INFINITY;
  for (int64_t j = threadIdx.x; j < args.n; j += blockDim.x) top = Larger{}(top, load(x[j * args.inner]));
  top = block_reduce(top, Larger{}, C(-INFINITY));
  C sum = 0;
  for (int64_t j = threadIdx.x; j < args.n; j += blockDim.x) sum += exp(load(x[j * args.inner]) - top);
  sum = block_sum(sum);
  for (int64_t j = threadIdx.x; j < args.n; j += blockDim.x) {
    const C v = load(x[j * args.inner]) - top;
    y[j * args.inner] = store_as<T>(args.log ? v - log(sum) : exp(v) / sum);
  }
}

}  // namespace

void softmax_forward(const SoftmaxArgs& args) {
  dispatch_floating("softmax", args.dtype, [&](auto t) {
    launch(forward<decltype(t)>, static_cast<unsigned>(args.outer * args.inner), kBlock, args);
  });
}
PYNN_CUDA_KERNEL(softmax_forward);

}  // namespace pynn::cuda
