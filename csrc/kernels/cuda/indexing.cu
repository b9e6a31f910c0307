// indexing.cu -- moves by index: rows_gather, rows_assign, gather; and index tensors to positions in memory.
//
// Rows are moved in words of up to 16 bytes, kEach words per thread, a block's words side by side. An index out of
// range is left out and noted (Deferred). rows_assign: of several rows for one place any may stay.
#include "kernels/indexing.h"

#include "kernels/cuda/elements.cuh"

namespace pynn::cuda {
namespace {

constexpr int kEach = 4;

unsigned blocks_for(int64_t n) { return static_cast<unsigned>((n + kBlock * kEach - 1) / (kBlock * kEach)); }

// `given` counted from the start, or -1 where there is no such row.
__device__ inline int64_t checked(int64_t given, int64_t n, bool wrap, const char* op, Deferred* bad) {
  const int64_t at = given < 0 && wrap ? given + n : given;
  if (at >= 0 && at < n) return at;
  out_of_range(bad, op, given, n);
  return -1;
}

// Words [0, n) of all rows, `words` to a row. Gather: y's rows are in order; else x's rows, `step` words apart.
template <class W, bool kGather>
__global__ void move_rows(RowsArgs a, int64_t n, int64_t words, int64_t step, Deferred* bad) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kBlock * kEach + threadIdx.x;
  const W* x = static_cast<const W*>(a.x);
  W* y = static_cast<W*>(a.y);
  W v[kEach];
  int64_t at[kEach], r[kEach];
#pragma unroll
  for (int k = 0; k < kEach; ++k) {  // all loads of a kind before the first use of one
    const int64_t i = first + k * kBlock;
    r[k] = words == 1 ? i : divide(i, words);
    at[k] = i < n ? a.index[r[k]] : -1;
  }
#pragma unroll
  for (int k = 0; k < kEach; ++k)
    if (first + k * kBlock < n) at[k] = checked(at[k], a.nrows, a.wrap, a.op, bad);
#pragma unroll
  for (int k = 0; k < kEach; ++k) {
    const int64_t c = first + k * kBlock - r[k] * words;
    if (at[k] >= 0) v[k] = x[(kGather ? at[k] * words : r[k] * step) + c];
  }
#pragma unroll
  for (int k = 0; k < kEach; ++k) {
    const int64_t i = first + k * kBlock;
    if (at[k] >= 0) y[kGather ? i : at[k] * words + (i - r[k] * words)] = v[k];
  }
}

template <bool kGather>
void run_rows(const RowsArgs& a, int64_t x_step) {
  const auto item = static_cast<int64_t>(item_size(a.dtype));
  if (a.nindex == 0 || a.row == 0) return;
  const size_t width = move_width(a.row * item, a.x, a.y);
  const int64_t words = a.row * item / static_cast<int64_t>(width), n = a.nindex * words;
  dispatch_width(width, [&](auto w) {
    launch(move_rows<decltype(w), kGather>, blocks_for(n), kBlock, a, n, words,
           x_step * item / static_cast<int64_t>(width), deferred());
  });
}

template <class E>
__global__ void gather_along(GatherArgs a, Deferred* bad) {
  const int64_t n = a.outer * a.nindex * a.inner;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kBlock * kEach + threadIdx.x;
  const E* x = static_cast<const E*>(a.x);
  E* y = static_cast<E*>(a.y);
  E v[kEach];
  int64_t at[kEach];
#pragma unroll
  for (int k = 0; k < kEach; ++k) at[k] = first + k * kBlock < n ? a.index[first + k * kBlock] : -1;
#pragma unroll
  for (int k = 0; k < kEach; ++k)
    if (first + k * kBlock < n) at[k] = checked(at[k], a.nx, false, a.op, bad);
#pragma unroll
  for (int k = 0; k < kEach; ++k) {
    const int64_t i = first + k * kBlock;
    const int64_t r = a.inner == 1 ? i : divide(i, a.inner), o = divide(r, a.nindex);
    if (at[k] >= 0) v[k] = x[(o * a.nx + at[k]) * a.inner + (i - r * a.inner)];
  }
#pragma unroll
  for (int k = 0; k < kEach; ++k)
    if (at[k] >= 0) y[first + k * kBlock] = v[k];
}

// Where step i of a walk stands.
__device__ inline int64_t offset(const Walk& w, int64_t i) {
  int64_t at = 0;
  for (int d = w.ndim - 1; d >= 0; --d) {
    const int64_t rest = d ? divide(i, w.sizes[d]) : 0;
    at += (i - rest * w.sizes[d]) * w.strides[d];
    i = rest;
  }
  return at;
}

__global__ void positions(PositionsArgs a, Deferred* bad) {
  PYNN_GRID_LOOP(t, a.before.count * a.n * a.after.count) {
    const int64_t outer = a.after.count == 1 ? t : divide(t, a.after.count);
    const int64_t b = a.before.count == 1 ? 0 : divide(outer, a.n), i = outer - b * a.n;
    int64_t here = offset(a.before, b) + offset(a.after, t - outer * a.after.count);
    for (int k = 0; k < a.nindex; ++k) {
      const int64_t at = checked(a.index[k][i], a.sizes[k], a.wrap, a.op, bad);
      if (at < 0) {
        here = -1;  // passed over by all that take positions
        break;
      }
      here += at * a.strides[k];
    }
    a.out[t] = here;
  }
}

__global__ void unravel(CoordinatesArgs a) {
  PYNN_GRID_LOOP(i, a.n) {
    int64_t rest = a.flat[i];
    for (int d = a.ndim - 1; d >= 0; --d) {
      const int64_t outer = d ? divide(rest, a.sizes[d]) : 0;
      a.to[i * a.step + d * a.jump] = rest - outer * a.sizes[d];
      rest = outer;
    }
  }
}

}  // namespace

int64_t rows_gather(const RowsArgs& a) {
  run_rows<true>(a, a.row);
  return -1;
}
PYNN_CUDA_KERNEL(rows_gather);

int64_t rows_assign(const RowsArgs& a, int64_t x_step) {
  run_rows<false>(a, x_step);
  return -1;
}
PYNN_CUDA_KERNEL(rows_assign);

int64_t gather(const GatherArgs& a) {
  const int64_t n = a.outer * a.nindex * a.inner;
  if (n)
    dispatch_size(a.dtype, [&](auto e) { launch(gather_along<decltype(e)>, blocks_for(n), kBlock, a, deferred()); });
  return -1;
}
PYNN_CUDA_KERNEL(gather);

int64_t index_positions(const PositionsArgs& a) {
  const int64_t n = a.before.count * a.n * a.after.count;
  if (n) launch(positions, grid_for(n), kBlock, a, deferred());
  return -1;
}
PYNN_CUDA_KERNEL(index_positions);

void coordinates(const CoordinatesArgs& a) {
  if (a.n) launch(unravel, grid_for(a.n), kBlock, a);
}
PYNN_CUDA_KERNEL(coordinates);

}  // namespace pynn::cuda
