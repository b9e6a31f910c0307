// indexing.h -- gather, scatter and their kin on contiguous memory. Index ranges are checked by the kernels, which
// return the first bad index's position (or -1) before anything is written. On CUDA they always return -1: a bad index
// is left out, and raised as `op`'s at the next synchronisation.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "core/limits.h"
#include "kernels/stub.h"

namespace pynn {

// y[r, :] = x[index[r], :]; rows of `bytes` bytes; negative indices count from the end when `wrap`.
struct RowsArgs {
  void* y;
  const void* x;
  const int64_t* index;
  int64_t nindex, nrows, row;  // row: elements of one row
  DType dtype;
  bool wrap;
  int64_t skip;  // index_add: rows with this index are left out (padding_idx); -1: none
  const char* op;
  // rows_gather on the CPU: the same for so many blocks of x, `nrows` rows apart, or where blocks[] says, in rows.
  int64_t nblocks = 1;
  const int64_t* blocks = nullptr;
};
PYNN_KERNEL(int64_t, rows_gather, (const RowsArgs& args));
// y[index[r], :] += x[r, :], deterministic on every device.
PYNN_KERNEL(int64_t, rows_add, (const RowsArgs& args));
// y[index[r], :] = x[r, :]; x's rows lie x_step elements apart (0: one row for all). Where an index repeats, the last
// row wins on the CPU; on CUDA each element may come from any of them.
PYNN_KERNEL(int64_t, rows_assign, (const RowsArgs& args, int64_t x_step));

// Along the middle dim of contiguous tensors: x [outer, nx, inner], index and y (or src) [outer, nindex, inner].
enum class ScatterMode : uint8_t { Assign, Add, Multiply, Max, Min };  // Max, Min: NaN wins
struct GatherArgs {
  void* y;        // gather: [outer, nindex, inner]; scatter: [outer, nx, inner], already holding the input
  const void* x;  // gather: source; scatter: values [outer, nindex, inner], or one element when scalar_src
  const int64_t* index;
  int64_t outer, nx, nindex, inner;
  DType dtype;
  ScatterMode mode;
  bool scalar_src;
  const char* op;
};
PYNN_KERNEL(int64_t, gather, (const GatherArgs& args));
// On CUDA the order in which repeated indices combine is not determined, as in PyTorch: sums of floats may differ in
// their last bits from run to run, and any of several assigned values stays.
PYNN_KERNEL(int64_t, scatter, (const GatherArgs& args));

// Sort along the middle dim of [rows, n, inner], to [rows, k, inner]: stable, NaN last ascending (first descending);
// values and positions. On CUDA inner is 1.
struct SortArgs {
  const void* x;
  void* values;
  int64_t* indices;
  int64_t rows, n, k;  // k < n: only the first k (topk, sorted)
  DType dtype;
  bool descending;
  int64_t inner = 1;
};
PYNN_KERNEL(void, sort_rows, (const SortArgs& args));

// Positions of nonzero elements of a contiguous buffer; returns how many. index == nullptr only counts.
PYNN_KERNEL(int64_t, nonzero, (const void* x, DType dtype, int64_t n, int64_t* index));
// Flat row-major positions in a tensor of `sizes` to coordinates: that of dim d of position i in to[i * step + d *
// jump].
struct CoordinatesArgs {
  const int64_t* flat;
  int64_t* to;
  int64_t n, step, jump;
  int ndim;
  int64_t sizes[kMaxDims];
};
PYNN_KERNEL(void, coordinates, (const CoordinatesArgs& args));

// Where the elements that several index tensors name lie in memory:
//   out[b, i, a] = sum of the steps to b in the dims before + sum of index[k][i] * strides[k] + the same for the dims
//   after
struct Walk {  // dims that are walked through side by side, outermost first
  int ndim = 0;
  int64_t count = 1;
  int64_t sizes[kMaxDims], strides[kMaxDims];
};
struct PositionsArgs {
  int64_t* out;
  Walk before, after;
  int64_t n;
  int nindex;
  const int64_t* index[kMaxDims];  // each [n]
  int64_t sizes[kMaxDims], strides[kMaxDims];
  bool wrap;  // negative indices count from the end
  const char* op;
};
// Returns the first bad index, k * n + i, or -1.
PYNN_KERNEL(int64_t, index_positions, (const PositionsArgs& args));

}  // namespace pynn
