// search.cu -- binary searches, a thread per value; counts per bin. Counts are whole numbers, so that the order of the
// atomic additions does not show; sums of weights may differ in their last bits from run to run, as in PyTorch.
#include "kernels/search.h"

#include "kernels/cuda/elements.cuh"

namespace pynn::cuda {
namespace {

template <class S>
__global__ void search(SearchArgs a) {
  using C = Compute<S>;
  PYNN_GRID_LOOP(i, a.rows * a.count) {
    const int64_t start = a.one_row ? 0 : divide(i, a.count) * a.n;
    const S* row = static_cast<const S*>(a.sorted) + start;
    const int64_t* order = a.sorter ? a.sorter + start : nullptr;
    const C v = load(static_cast<const S*>(a.values)[i]);
    int64_t low = 0, high = a.n;
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      const C m = load(row[order ? order[middle] : middle]);
      if (!(a.right ? m > v : m >= v))
        low = middle + 1;
      else
        high = middle;
    }
    a.places[i] = low;
  }
}

constexpr int64_t kShared = 4096;  // bins that each block counts for itself

template <class S>
__global__ void histogram(const S* x, int64_t n, double low, double high, double* counts, int64_t bins) {
  using C = Compute<S>;
  unsigned* own = dynamic_shared<unsigned>();
  const bool shared = bins <= kShared;
  if (shared) {
    for (int64_t b = threadIdx.x; b < bins; b += blockDim.x) own[b] = 0;
    __syncthreads();
  }
  const C first = static_cast<C>(low), last = static_cast<C>(high), width = last - first;
  PYNN_GRID_LOOP(i, n) {
    const C v = load(x[i]);
    if (!(v >= first && v <= last)) continue;
    int64_t bin = static_cast<int64_t>((v - first) * static_cast<C>(bins) / width);
    if (bin >= bins) bin = bins - 1;
    if (shared)
      atomicAdd(&own[bin], 1u);
    else
      atomicAdd(&counts[bin], 1.0);
  }
  if (!shared) return;
  __syncthreads();
  for (int64_t b = threadIdx.x; b < bins; b += blockDim.x)
    if (own[b]) atomicAdd(&counts[b], static_cast<double>(own[b]));
}

__global__ void count(const int64_t* x, int64_t n, const double* weights, double* counts) {
  PYNN_GRID_LOOP(i, n) atomicAdd(&counts[x[i]], weights ? weights[i] : 1.0);
}

}  // namespace

void search_sorted(const SearchArgs& a) {
  const int64_t n = a.rows * a.count;
  if (n) dispatch_real("searchsorted", a.dtype, [&](auto s) { launch(search<decltype(s)>, grid_for(n), kBlock, a); });
}
PYNN_CUDA_KERNEL(search_sorted);

void histogram_even(const void* x, DType dtype, int64_t n, double low, double high, double* counts, int64_t bins) {
  if (n == 0) return;
  const size_t shared = bins <= kShared ? static_cast<size_t>(bins) * sizeof(unsigned) : 0;
  const auto grid = std::min(grid_for(n), static_cast<unsigned>(multiprocessors()) * 8);
  dispatch_floating("histogram", dtype, [&](auto s) {
    using S = decltype(s);
    launch_shared(histogram<S>, grid, kBlock, shared, static_cast<const S*>(x), n, low, high, counts, bins);
  });
}
PYNN_CUDA_KERNEL(histogram_even);

void count_positions(const int64_t* x, int64_t n, const double* weights, double* counts, int64_t) {
  if (n) launch(count, grid_for(n), kBlock, x, n, weights, counts);
}
PYNN_CUDA_KERNEL(count_positions);

}  // namespace pynn::cuda
