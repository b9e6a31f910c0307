// nonzero.cu -- positions of nonzero elements, in order: a count per tile, the running sum of those, and a second look
// at each tile. Once to learn how many there are, which the host waits for, once to write them.
#include "kernels/cuda/elements.cuh"
#include "kernels/indexing.h"

namespace pynn::cuda {
namespace {

constexpr int kEach = 16;  // elements per thread, side by side
constexpr int kTile = kBlock * kEach;

// The sum of v over all threads before this one; `total` over all of them.
__device__ inline int64_t block_exclusive_sum(int64_t v, int64_t* total) {
  __shared__ int64_t sums[kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  int64_t sum = v;
  for (int d = 1; d < kWarp; d *= 2) {
    const int64_t below = __shfl_up_sync(0xffffffffu, sum, static_cast<unsigned>(d));
    if (lane >= d) sum += below;
  }
  __syncthreads();  // `sums` may be in use by a call before
  if (lane == kWarp - 1) sums[warp] = sum;
  __syncthreads();
  int64_t before = 0, all = 0;
  for (int w = 0; w < static_cast<int>(blockDim.x) / kWarp; ++w) {
    if (w < warp) before += sums[w];
    all += sums[w];
  }
  *total = all;
  return before + sum - v;
}

// Nonzero: a bit of `mask` is set; it leaves out the sign of floats.
template <class W>
__device__ inline bool is_set(W v, uint64_t mask) {
  if constexpr (std::is_same_v<W, Bytes16>)
    return (v.a & mask) != 0 || (v.b & mask) != 0;
  else
    return (v & static_cast<W>(mask)) != 0;
}

// A bit for each of this thread's elements.
template <class W>
__device__ inline unsigned hits(const W* x, int64_t n, int64_t first, uint64_t mask) {
  unsigned found = 0;
#pragma unroll
  for (int k = 0; k < kEach; ++k)
    if (first + k < n && is_set(x[first + k], mask)) found |= 1u << k;
  return found;
}

template <class W>
__global__ void count_tiles(const W* x, int64_t n, uint64_t mask, int64_t* counts) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kTile + threadIdx.x * kEach;
  const int64_t count = block_sum<int64_t>(__popc(hits(x, n, first, mask)));
  if (threadIdx.x == 0) counts[blockIdx.x] = count;
}

// counts[t] becomes the sum of those before, counts[tiles] that of all.
__global__ void __launch_bounds__(kMostThreads) sum_counts(int64_t* counts, int64_t tiles) {
  int64_t sum = 0;
  for (int64_t begin = 0; begin < tiles; begin += blockDim.x) {
    const int64_t t = begin + threadIdx.x;
    int64_t total;
    const int64_t before = block_exclusive_sum(t < tiles ? counts[t] : 0, &total);
    if (t < tiles) counts[t] = sum + before;
    sum += total;
  }
  if (threadIdx.x == 0) counts[tiles] = sum;
}

template <class W>
__global__ void write_positions(const W* x, int64_t n, uint64_t mask, const int64_t* before, int64_t* index) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kTile + threadIdx.x * kEach;
  unsigned found = hits(x, n, first, mask);
  int64_t total, at = before[blockIdx.x] + block_exclusive_sum(__popc(found), &total);
  for (; found; found &= found - 1) index[at++] = first + __ffs(static_cast<int>(found)) - 1;
}

uint64_t value_bits(DType t) {
  switch (t) {
    case DType::Float16:
    case DType::BFloat16:
      return 0x7fff;
    case DType::Float32:
      return 0x7fffffff;
    case DType::Complex64:
      return 0x7fffffff7fffffff;
    case DType::Float64:
    case DType::Complex128:
      return 0x7fffffffffffffff;
    default:
      return ~uint64_t{0};
  }
}

}  // namespace

int64_t nonzero(const void* x, DType dtype, int64_t n, int64_t* index) {
  if (n == 0) return 0;
  const int64_t tiles = (n + kTile - 1) / kTile;
  const auto grid = static_cast<unsigned>(tiles);
  const uint64_t mask = value_bits(dtype);
  Scratch counts(static_cast<size_t>(tiles + 1) * sizeof(int64_t));
  auto* c = counts.as<int64_t>();
  dispatch_size(dtype, [&](auto w) {
    using W = decltype(w);
    launch(count_tiles<W>, grid, kBlock, static_cast<const W*>(x), n, mask, c);
    launch(sum_counts, 1, 1024, c, tiles);
    if (index) launch(write_positions<W>, grid, kBlock, static_cast<const W*>(x), n, mask, c, index);
  });
  if (index) return 0;
  int64_t count = 0;
  download(&count, c + tiles, sizeof count);
  return count;
}
PYNN_CUDA_KERNEL(nonzero);

}  // namespace pynn::cuda
