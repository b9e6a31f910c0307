// sequence.cu -- evenly spaced numbers (kernels/sequence.h).
#include "kernels/sequence.h"

#include "kernels/cuda/cast.cuh"
#include "kernels/cuda/math.cuh"

namespace pynn::cuda {
namespace {

template <class C>
__device__ C spaced(const SequenceArgs& a, int64_t i) {
  const C step = static_cast<C>(a.step);
  if (i < a.n / 2 || a.n == 1) return static_cast<C>(a.start) + step * static_cast<C>(i);
  return static_cast<C>(a.end) - step * static_cast<C>(a.n - 1 - i);
}

__global__ void fill(SequenceArgs a) {
  PYNN_GRID_LOOP(i, a.n) {
    if (a.spacing == Spacing::Integers) {
      store_real<int64_t>(a.out, i, a.dtype, math::add(a.first, math::multiply(a.by, i)));
      continue;
    }
    double v = a.spacing == Spacing::Reals    ? a.start + a.step * static_cast<double>(i)
               : a.spacing == Spacing::Single ? static_cast<double>(spaced<float>(a, i))
                                              : spaced<double>(a, i);
    if (a.power) v = math::pow(a.base, v);
    store_real<double>(a.out, i, a.dtype, v);
  }
}

}  // namespace

void sequence(const SequenceArgs& args) {
  if (args.n) launch(fill, grid_for(args.n), kBlock, args);
}
PYNN_CUDA_KERNEL(sequence);

}  // namespace pynn::cuda
