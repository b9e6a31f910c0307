// tiles.h -- a map's index space cut into tiles of rows x cols of two of its dims. See elementwise.cpp.
#pragma once
#include <cstdint>

#include "core/parallel.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/sizes.h"
#include "kernels/elementwise.h"

namespace PYNN_CPU_NAMESPACE {

constexpr int kMaxOperands = 4;
constexpr int64_t kScratchBytes = 16384;    // of each operand
constexpr int64_t kUsualBytes = 4096;       // what is used of it, so that all operands fit in L1, but for crossed tiles
constexpr int64_t kDirectElements = 16384;  // of a tile whose operands need no scratch
constexpr int64_t kSerial = 2048;           // fewer elements than this are never worth a second thread

PYNN_INLINE int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

struct Tiling {
  int64_t rows, cols;  // of the two dims that tiles are cut from (1 where there is none)
  int64_t tile_rows, tile_cols;
  bool by_row;   // rows are long enough for the loop to take them one by one
  bool crossed;  // some operand's memory runs along the rows
  Strides strides[kMaxOperands] = {};
  // Tiles along each dim, from the outermost: all dims in their order, so that threads keep to parts of the result.
  int dims, row_dim;  // the columns' is the last one
  int64_t counts[kMaxDims + 1], steps[kMaxOperands][kMaxDims + 1];
  int64_t tiles;  // over all dims
};

// Chooses the two dims; make_tiles() then cuts tiles of at most `elements`.
Tiling make_tiling(const MapArgs& args);
void make_tiles(Tiling& t, int64_t elements);

// A part of n, about `most`, of which two or four threads get as many each.
PYNN_INLINE int64_t even_part(int64_t n, int64_t most) {
  const int64_t count = ceil_div(n, most);
  return ceil_div(n, count > 2 ? round_up(count, 4) : count);
}
// The same in whole cache lines of the smallest type: a vector that straddles two lines takes twice as long to store.
PYNN_INLINE int64_t even_lines(int64_t n, int64_t most) { return round_up(even_part(n, most), 64); }

// Tiles per chunk of work when one element takes `ns`.
PYNN_INLINE int64_t tile_grain(const Tiling& t, double ns) {
  return even_part(t.tiles, max_of<int64_t>(grain_for(ns) / (t.tile_rows * t.tile_cols), 1));
}

// Calls f(pointers to the tile's first element of each operand, rows, cols) for tiles [begin, end).
template <class F>
PYNN_INLINE void each_tile(const MapArgs& args, const Tiling& t, int64_t begin, int64_t end, F f) {
  const int n = args.noperands, last = t.dims - 1;
  int64_t index[kMaxDims + 1], size[kMaxOperands];
  char* at[kMaxOperands];
  for (int k = 0; k < n; ++k) {
    size[k] = static_cast<int64_t>(item_size(args.operands[k].dtype));
    at[k] = static_cast<char*>(args.operands[k].data);
  }
  int64_t rest = begin;
  for (int d = last; d >= 0; --d) {
    index[d] = rest % t.counts[d];
    rest /= t.counts[d];
    for (int k = 0; k < n; ++k) at[k] += index[d] * t.steps[k][d] * size[k];
  }
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t row = index[t.row_dim] * t.tile_rows, col = index[last] * t.tile_cols;
    f(at, t.rows - row < t.tile_rows ? t.rows - row : t.tile_rows,
      t.cols - col < t.tile_cols ? t.cols - col : t.tile_cols);
    for (int d = last; d >= 0; --d) {
      const bool carries = ++index[d] == t.counts[d];
      const int64_t by = carries ? 1 - t.counts[d] : 1;
      for (int k = 0; k < n; ++k) at[k] += by * t.steps[k][d] * size[k];
      if (!carries) break;
      index[d] = 0;
    }
  }
}

}  // namespace PYNN_CPU_NAMESPACE
