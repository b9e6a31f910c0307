// map_copy.cpp -- y <- x between any two layouts and dtypes.
//
// Where one side's memory runs along the rows and the other's along the columns, a tile passes through scratch
// memory, so that both are read and written whole cache lines at a time. Parallel over tiles.
#include "kernels/cpu/tiles.h"

namespace PYNN_CPU_NAMESPACE {

namespace {

// Whether x runs along the rows: y, by the plan, runs along the columns.
bool is_crossed(const MapArgs& args) {
  if (args.ndim < 2) return false;
  const int64_t* s = args.operands[1].strides + args.ndim - 2;
  return s[0] != 0 && magnitude(s[0]) < magnitude(s[1]);
}

}  // namespace

void map_copy(const MapArgs& args) {
  if (args.numel == 0) return;
  const DType to = args.operands[0].dtype, from = args.operands[1].dtype;
  const Convert move = converter(from, from), cast = converter(to, from);
  const int64_t size = static_cast<int64_t>(item_size(from));
  const bool crossed = is_crossed(args);
  const Tiling tiling = make_tiling(args, !crossed, kScratchBytes / size);
  const Strides d = tiling.strides[0], s = tiling.strides[1];
  const auto work = [&](int64_t begin, int64_t end) {
    alignas(64) char scratch[kScratchBytes];
    each_tile(args, tiling, begin, end, [&](char* const* at, int64_t rows, int64_t cols) {
      if (!crossed || rows == 1) return cast(at[0], d, at[1], s, rows, cols);
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
