// tiles.cpp -- the choice of a map's tiles: sizes and strides in, borders out.
#include "kernels/cpu/tiles.h"

namespace PYNN_CPU_NAMESPACE {

constexpr int64_t kShortRow = 24;      // below, a row on its own costs more than gathering several into one
constexpr int64_t kFewElements = 256;  // rows and cols of the two innermost dims below which other dims are looked at
constexpr int64_t kLongRun = 12;       // elements beside each other that are worth a call of a loop
constexpr int64_t kWholeLine = 8;      // elements that are worth the cache line they lie in

Tiling make_tiling(const MapArgs& args) {
  Tiling t;
  const int nd = args.ndim, col_dim = nd - 1;
  int row_dim = nd - 2;
  t.cols = nd > 0 ? args.sizes[col_dim] : 1;
  // Unless memory runs along the rows: each element of other dims' rows lies in a line of its own.
  bool along = false;
  for (int k = 0; nd > 2 && k < args.noperands; ++k)
    along |= magnitude(args.operands[k].strides[row_dim]) == 1 && args.sizes[row_dim] >= kLongRun;
  if (nd > 2 && !along && t.cols * args.sizes[row_dim] < kFewElements)
    for (int d = nd - 3; d >= 0; --d)
      if (args.sizes[d] > args.sizes[row_dim]) row_dim = d;
  if (nd > 2 && t.cols >= kWholeLine)
    for (int k = 1; k < args.noperands; ++k) {
      const int64_t* s = args.operands[k].strides;
      if (magnitude(s[row_dim]) <= 1 || magnitude(s[col_dim]) <= 1) continue;
      for (int d = nd - 3; d >= 0; --d)  // transposed: tiles use up the cache lines that they read
        if (magnitude(s[d]) == 1 && args.sizes[d] >= kWholeLine) row_dim = d;
    }
  t.rows = nd > 1 ? args.sizes[row_dim] : 1;
  t.row_dim = nd > 1 ? row_dim : 0;
  t.dims = nd > 1 ? nd : 2;
  for (int d = 0; d < t.dims; ++d) {
    t.counts[d] = nd > 1 ? args.sizes[d] : 1;
    for (int k = 0; k < args.noperands; ++k) t.steps[k][d] = nd > 1 ? args.operands[k].strides[d] : 0;
  }
  t.crossed = false;
  for (int k = 0; k < args.noperands; ++k) {
    const int64_t* s = args.operands[k].strides;
    t.strides[k] = {nd > 1 ? s[row_dim] : 0, nd > 0 ? s[col_dim] : 1};
    const int64_t row = magnitude(t.strides[k].row), col = magnitude(t.strides[k].col);
    t.crossed |= row != 0 && row < col;
  }
  t.by_row = t.cols >= kShortRow || t.rows == 1;
  t.crossed &= t.by_row && t.rows >= 8;
  return t;
}

void make_tiles(Tiling& t, int64_t elements) {
  constexpr int64_t kCrossedRows = 64;
  t.tile_cols = t.crossed ? elements / kCrossedRows : elements;
  if (t.tile_cols > t.cols) t.tile_cols = t.cols;
  t.tile_rows = elements / t.tile_cols;
  if (t.crossed && t.tile_rows > kCrossedRows) t.tile_rows = kCrossedRows;
  if (t.tile_rows > t.rows) t.tile_rows = t.rows;
  const int col_dim = t.dims - 1;
  t.counts[t.row_dim] = (t.rows + t.tile_rows - 1) / t.tile_rows;
  t.counts[col_dim] = (t.cols + t.tile_cols - 1) / t.tile_cols;
  for (int k = 0; k < kMaxOperands; ++k) {
    t.steps[k][t.row_dim] = t.strides[k].row * t.tile_rows;
    t.steps[k][col_dim] = t.strides[k].col * t.tile_cols;
  }
  t.tiles = 1;
  for (int d = 0; d < t.dims; ++d) t.tiles *= t.counts[d];
}

}  // namespace PYNN_CPU_NAMESPACE
