// tiles.cpp -- the choice of a map's tiles: sizes and strides in, borders out.
#include "kernels/cpu/tiles.h"

namespace PYNN_CPU_NAMESPACE {

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

Tiling make_tiling(const MapArgs& args, bool direct, int64_t chunk) {
  Tiling t;
  const int nd = args.ndim;
  t.outer_dims = nd > 2 ? nd - 2 : 0;
  t.cols = nd > 0 ? args.sizes[nd - 1] : 1;
  t.rows = nd > 1 ? args.sizes[nd - 2] : 1;
  bool transposed = false;  // some operand's memory runs along the rows
  for (int k = 0; k < args.noperands; ++k) {
    const int64_t* s = args.operands[k].strides;
    t.strides[k] = {nd > 1 ? s[nd - 2] : 0, nd > 0 ? s[nd - 1] : 0};
    const int64_t row = magnitude(t.strides[k].row), col = magnitude(t.strides[k].col);
    transposed |= row != 0 && row < col;
  }
  constexpr int64_t kShortRow = 48;  // below, one call per row costs more than gathering several rows
  if (direct && (t.cols >= kShortRow || t.rows == 1)) {
    t.tile_rows = 1;
    t.tile_cols = kDirectCols;
  } else if (transposed && t.rows >= 8) {
    t.tile_rows = t.rows < 32 ? t.rows : 32;
    t.tile_cols = chunk / t.tile_rows;
  } else if (t.cols < chunk) {
    t.tile_cols = t.cols;
    t.tile_rows = chunk / t.cols;
  } else {
    t.tile_rows = 1;
    t.tile_cols = chunk;
  }
  if (t.tile_rows > t.rows) t.tile_rows = t.rows;
  if (t.tile_cols > t.cols) t.tile_cols = t.cols;
  t.row_tiles = ceil_div(t.rows, t.tile_rows);
  t.col_tiles = ceil_div(t.cols, t.tile_cols);
  t.tiles = t.row_tiles * t.col_tiles;
  for (int d = 0; d < t.outer_dims; ++d) t.tiles *= args.sizes[d];
  return t;
}

}  // namespace PYNN_CPU_NAMESPACE
