// map_copy.cpp -- y <- x between any two layouts and dtypes.
//
// Where x's memory runs along the rows (y's, by the plan, runs along the columns), both must be read and written whole
// cache lines at a time: a tile passes through scratch memory, unless y's part of it is as compact. Parallel over
// tiles.
#include "kernels/cpu/tiles.h"

namespace PYNN_CPU_NAMESPACE {

void map_copy(const MapArgs& args) {
  if (args.numel == 0) return;
  const DType to = args.operands[0].dtype, from = args.operands[1].dtype;
  const Convert move = converter(from, from), cast = converter(to, from);
  Tiling tiling = make_tiling(args);
  make_tiles(tiling, tiling.crossed ? kScratchBytes / static_cast<int64_t>(item_size(from))
                                    : even_lines(args.numel, kDirectElements));
  const Strides d = tiling.strides[0], s = tiling.strides[1];
  const bool compact = magnitude(d.row) * tiling.tile_rows * static_cast<int64_t>(item_size(to)) <= 2 * kScratchBytes;
  const auto work = [&](int64_t begin, int64_t end) {
    alignas(64) char scratch[kScratchBytes];
    each_tile(args, tiling, begin, end, [&](char* const* at, int64_t rows, int64_t cols) {
      if (!tiling.crossed || compact) return cast(at[0], d, at[1], s, rows, cols);
      move(scratch, {cols, 1}, at[1], s, rows, cols);
      cast(at[0], d, scratch, {cols, 1}, rows, cols);
    });
  };
  if (args.numel < kSerial)
    work(0, tiling.tiles);
  else
    parallel_for(0, tiling.tiles, tile_grain(tiling, 0.5), work);
}

}  // namespace PYNN_CPU_NAMESPACE
