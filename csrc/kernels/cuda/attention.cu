// attention.cu -- masked softmax of attention scores: the rows of softmax.cuh, of scale x + mask.
#include "kernels/attention.h"

#include "kernels/cuda/softmax.cuh"

namespace pynn::cuda {
namespace {

template <class T>
struct Masked {
  static constexpr bool kCheap = false, kZerosWhereNothing = true;
  using E = Element<T>;
  const T* mask;
  E scale;
  bool causal;
  int64_t rows;
  int dims;
  int64_t sizes[kMaxDims], strides[kMaxDims], row_stride, column_stride;

  explicit Masked(const MaskedSoftmaxArgs& a)
      : mask(static_cast<const T*>(a.mask)),
        scale(static_cast<E>(a.scale)),
        causal(a.causal),
        rows(a.rows),
        dims(a.dims),
        row_stride(a.row_stride),
        column_stride(a.column_stride) {
    for (int d = 0; d < dims; ++d) sizes[d] = a.sizes[d], strides[d] = a.strides[d];
  }
  struct Row {
    const T* mask;
    E scale;
    int64_t seen, step;  // columns that the causal mask leaves
    __device__ E operator()(E v, int64_t column) const {
      if (column >= seen) return -E(INFINITY);
      v *= scale;
      return mask ? v + static_cast<E>(load(mask[column * step])) : v;
    }
  };
  __device__ Row of_row(int64_t line) const {
    int64_t matrix = line / rows;
    const int64_t row = line - matrix * rows;
    int64_t at = row * row_stride;
    if (mask)
#pragma unroll 1
      for (int d = dims - 1; d >= 0; --d) {
        at += matrix % sizes[d] * strides[d];
        matrix /= sizes[d];
      }
    return {mask ? mask + at : nullptr, scale, causal ? row + 1 : INT64_MAX, column_stride};
  }
};

// A block for a row too long to hold.
template <class T>
__global__ void __launch_bounds__(kMostHolders)
    masked_long(const T* x, T* y, int64_t rows, int64_t n, Masked<T> score) {
  using E = Element<T>;
  const ExpSum<T> f;
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const auto of = score.of_row(row);
    const auto value = [&](int64_t c) { return of(static_cast<E>(load(x[row * n + c])), c); };
    auto s = f.identity();
    for (int64_t c = threadIdx.x; c < n; c += blockDim.x) {
      const E v[1] = {value(c)};
      f.take(s, v, c, 1);
    }
    s = merge_group(f, s, static_cast<int>(blockDim.x));
    const bool nothing = s.m == -E(INFINITY);
    for (int64_t c = threadIdx.x; c < n; c += blockDim.x)
      y[row * n + c] = store_as<T>(nothing ? E(0) : exp_for<T>(value(c) - s.m) / s.s);
  }
}

}  // namespace

void masked_softmax(const MaskedSoftmaxArgs& a) {
  const int64_t rows = a.count * a.rows;
  if (rows == 0 || a.n == 0) return;
  dispatch_floating("masked_softmax", a.dtype, [&](auto t) {
    using T = decltype(t);
    with_pack<T>(a.n, {a.x, a.y}, [&](auto pack) {
      constexpr int P = decltype(pack)::value;
      if (a.n <= kLongestRow<T, P>) return launch_softmax_held<T, P>(a.x, a.y, rows, a.n, false, Masked<T>(a));
      launch(masked_long<T>, blocks_for(rows), kMostHolders, static_cast<const T*>(a.x), static_cast<T*>(a.y), rows,
             a.n, Masked<T>(a));
    });
  });
}
PYNN_CUDA_KERNEL(masked_softmax);

}  // namespace pynn::cuda
