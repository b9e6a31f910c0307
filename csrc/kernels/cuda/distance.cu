// distance.cu -- distances of every vector of one batch to every vector of another: tiles of 16 by 16 pairs, whose
// vectors go through shared memory 16 elements at a time.
#include "kernels/distance.h"

#include "kernels/cuda/launch.cuh"

namespace pynn::cuda {
namespace {

constexpr int kTile = 16;

enum class Norm : uint8_t { Count, Sum, Euclid, Largest, Power };

template <class T, Norm kNorm>
__global__ void pairs(DistanceArgs a, int64_t tiles1, int64_t tiles2, T p) {
  __shared__ T s1[kTile][kTile + 1], s2[kTile][kTile + 1];
  const int column = static_cast<int>(threadIdx.x) % kTile, row = static_cast<int>(threadIdx.x) / kTile;
  for (int64_t tile = blockIdx.x; tile < a.batch * tiles1 * tiles2; tile += gridDim.x) {
    const int64_t b = tile / (tiles1 * tiles2), rest = tile - b * tiles1 * tiles2;
    const int64_t i0 = rest / tiles2 * kTile, j0 = rest % tiles2 * kTile;
    const T* x1 = static_cast<const T*>(a.x1) + b * a.rows1 * a.length;
    const T* x2 = static_cast<const T*>(a.x2) + b * a.rows2 * a.length;
    T sum = 0;
    for (int64_t k0 = 0; k0 < a.length; k0 += kTile) {
      const bool inside = k0 + column < a.length;
      __syncthreads();
      s1[row][column] = inside && i0 + row < a.rows1 ? x1[(i0 + row) * a.length + k0 + column] : T(0);
      s2[row][column] = inside && j0 + row < a.rows2 ? x2[(j0 + row) * a.length + k0 + column] : T(0);
      __syncthreads();
#pragma unroll
      for (int k = 0; k < kTile; ++k) {  // beyond the end the difference is 0, which adds nothing
        const T d = fabs(s1[row][k] - s2[column][k]);
        if constexpr (kNorm == Norm::Count) sum += d != T(0) ? T(1) : T(0);
        if constexpr (kNorm == Norm::Sum) sum += d;
        if constexpr (kNorm == Norm::Euclid) sum += d * d;
        if constexpr (kNorm == Norm::Largest) sum = Larger{}(sum, d);
        if constexpr (kNorm == Norm::Power) sum += d == T(0) ? T(0) : pow(d, p);
      }
    }
    if constexpr (kNorm == Norm::Euclid) sum = sqrt(sum);
    if constexpr (kNorm == Norm::Power) sum = pow(sum, T(1) / p);
    const int64_t i = i0 + row, j = j0 + column;
    if (i < a.rows1 && j < a.rows2) static_cast<T*>(a.y)[(b * a.rows1 + i) * a.rows2 + j] = sum;
  }
}

template <class T>
void run(const DistanceArgs& a) {
  const int64_t tiles1 = (a.rows1 + kTile - 1) / kTile, tiles2 = (a.rows2 + kTile - 1) / kTile;
  const auto go = [&](auto kernel) {
    launch(kernel, grid_for(a.batch * tiles1 * tiles2, 1), kTile * kTile, a, tiles1, tiles2, static_cast<T>(a.p));
  };
  if (a.p == 0) return go(pairs<T, Norm::Count>);
  if (a.p == 1) return go(pairs<T, Norm::Sum>);
  if (a.p == 2) return go(pairs<T, Norm::Euclid>);
  if (a.p == INFINITY) return go(pairs<T, Norm::Largest>);
  go(pairs<T, Norm::Power>);
}

}  // namespace

void distances(const DistanceArgs& a) {
  if (a.batch == 0 || a.rows1 == 0 || a.rows2 == 0) return;
  a.dtype == DType::Float32 ? run<float>(a) : run<double>(a);
}
PYNN_CUDA_KERNEL(distances);

}  // namespace pynn::cuda
