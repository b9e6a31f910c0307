// tiles.h -- a map's index space cut into tiles of rows x cols of the two innermost dims. See elementwise.cpp.
#pragma once
#include <cstdint>

#include "core/parallel.h"
#include "kernels/cpu/convert.h"
#include "kernels/elementwise.h"

namespace PYNN_CPU_NAMESPACE {

constexpr int kMaxOperands = 4;
constexpr int64_t kScratchBytes = 4096;  // of each operand, so that all of them and the source's lines fit in L1
constexpr int64_t kDirectCols = 16384;   // of a tile whose operands need no scratch
constexpr int64_t kSerial = 2048;        // fewer elements than this are never worth a second thread

struct Tiling {
  int outer_dims;      // all dims but the last two
  int64_t rows, cols;  // of the last two dims (1 where there is none)
  int64_t tile_rows, tile_cols;
  int64_t row_tiles, col_tiles, tiles;  // tiles: over all dims
  Strides strides[kMaxOperands];
};

PYNN_INLINE int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

// `direct`: no operand needs scratch when a tile is (part of) one row. `chunk`: elements of a scratch buffer.
Tiling make_tiling(const MapArgs& args, bool direct, int64_t chunk);

// Tiles per chunk of work when one element takes `ns`.
PYNN_INLINE int64_t tile_grain(const Tiling& t, double ns) {
  const int64_t grain = grain_for(ns) / (t.tile_rows * t.tile_cols);
  return grain > 0 ? grain : 1;
}

// Calls f(pointers to the tile's first element of each operand, rows, cols) for tiles [begin, end).
template <class F>
PYNN_INLINE void each_tile(const MapArgs& args, const Tiling& t, int64_t begin, int64_t end, F f) {
  int64_t size[kMaxOperands];
  for (int k = 0; k < args.noperands; ++k) size[k] = static_cast<int64_t>(item_size(args.operands[k].dtype));
  int64_t row_tile = begin / t.col_tiles, col_tile = begin % t.col_tiles;
  int64_t outer = row_tile / t.row_tiles;
  row_tile %= t.row_tiles;
  char* base[kMaxOperands];
  bool moved = true;
  for (int64_t tile = begin; tile < end; ++tile) {
    if (moved) {
      int64_t rest = outer, offset[kMaxOperands] = {};
      for (int d = t.outer_dims - 1; d >= 0; --d) {
        const int64_t index = rest % args.sizes[d];
        rest /= args.sizes[d];
        for (int k = 0; k < args.noperands; ++k) offset[k] += index * args.operands[k].strides[d];
      }
      for (int k = 0; k < args.noperands; ++k)
        base[k] = static_cast<char*>(args.operands[k].data) + offset[k] * size[k];
      moved = false;
    }
    const int64_t row = row_tile * t.tile_rows, col = col_tile * t.tile_cols;
    const int64_t rows = t.rows - row < t.tile_rows ? t.rows - row : t.tile_rows;
    const int64_t cols = t.cols - col < t.tile_cols ? t.cols - col : t.tile_cols;
    char* at[kMaxOperands];
    for (int k = 0; k < args.noperands; ++k)
      at[k] = base[k] + (row * t.strides[k].row + col * t.strides[k].col) * size[k];
    f(at, rows, cols);
    if (++col_tile == t.col_tiles) {
      col_tile = 0;
      if (++row_tile == t.row_tiles) {
        row_tile = 0;
        ++outer;
        moved = true;
      }
    }
  }
}

}  // namespace PYNN_CPU_NAMESPACE
