// concat.cpp -- tensors behind each other: the result is written once, in the order of its memory, in parallel over
// blocks of its rows.
#include "kernels/concat.h"

#include "core/parallel.h"
#include "kernels/cpu/copy.h"
#include "kernels/cpu/sizes.h"

namespace PYNN_CPU_NAMESPACE {

void concat_parts(const ConcatArgs& args) {
  constexpr int64_t kBlock = 1 << 14;
  const int64_t blocks = ceil_div(args.y_row, kBlock);
  const double ns = 3.0 * args.n + 0.1 * static_cast<double>(min_of(args.y_row, kBlock));
  parallel_for(0, args.outer * blocks, grain_for(ns), [&](int64_t begin, int64_t end) {
    const ConcatArgs& a = args;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = blocks == 1 ? i : i / blocks, first = (i - row * blocks) * kBlock;
      char* y = static_cast<char*>(a.y) + row * a.y_row;
      for (int k = 0; k < a.n; ++k) {
        const ConcatArgs::Part& p = a.parts[k];
        const int64_t from = max_of(first, p.at), to = min_of(first + kBlock, p.at + p.row);
        if (from < to) copy_bytes(y + from, static_cast<const char*>(p.x) + row * p.row + from - p.at, to - from);
      }
    }
  });
}

}  // namespace PYNN_CPU_NAMESPACE
