// concat.cu -- tensors behind each other: a row of blocks for each part, in words of up to 16 bytes.
#include "kernels/concat.h"

#include "kernels/cuda/elements.cuh"

namespace pynn::cuda {
namespace {

constexpr int kEach = 4;

template <class W>
__global__ void copy_parts(ConcatArgs a) {  // sizes in words
  const ConcatArgs::Part part = a.parts[blockIdx.y];
  const W* x = static_cast<const W*>(part.x);
  W* y = static_cast<W*>(a.y) + part.at;
  const int64_t n = a.outer * part.row, step = static_cast<int64_t>(gridDim.x) * kBlock;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; first < n; first += kEach * step) {
    W v[kEach];
#pragma unroll
    for (int k = 0; k < kEach; ++k)
      if (first + k * step < n) v[k] = x[first + k * step];
#pragma unroll
    for (int k = 0; k < kEach; ++k) {
      const int64_t i = first + k * step;
      if (i >= n) continue;
      const int64_t o = a.outer == 1 ? 0 : divide(i, part.row);
      y[o * a.y_row + (i - o * part.row)] = v[k];
    }
  }
}

}  // namespace

void concat_parts(const ConcatArgs& args) {
  ConcatArgs a = args;
  size_t width = move_width(a.y_row, a.y);
  int64_t most = 0;
  for (int i = 0; i < a.n; ++i) {
    const auto& p = a.parts[i];
    width = std::min(width, std::min(move_width(p.row, p.x), move_width(p.at)));
    most = std::max(most, a.outer * p.row);
  }
  const auto words = static_cast<int64_t>(width);
  a.y_row /= words;
  for (int i = 0; i < a.n; ++i) a.parts[i].row /= words, a.parts[i].at /= words;
  const int64_t each = std::max<int64_t>(1, multiprocessors() * 16 / a.n);  // blocks per part: some waves in all
  const int64_t blocks = (most / words + kBlock * kEach - 1) / (kBlock * kEach);
  const dim3 grid(static_cast<unsigned>(std::clamp<int64_t>(blocks, 1, each)), static_cast<unsigned>(a.n));
  dispatch_width(width, [&](auto w) { launch(copy_parts<decltype(w)>, grid, kBlock, a); });
}
PYNN_CUDA_KERNEL(concat_parts);

}  // namespace pynn::cuda
