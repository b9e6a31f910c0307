// search.h -- places in sorted rows, and counts per bin.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

// For each value the first place in its row where it could be inserted (right: the last). Not less than NaN counts as
// greater, so NaN is placed last.
struct SearchArgs {
  const void* sorted;     // [rows, n], or one row for all
  const int64_t* sorter;  // null, or the order that sorts each row
  const void* values;     // [rows, count]
  int64_t* places;
  int64_t rows, n, count;
  bool one_row, right;
  DType dtype;  // of both
};
PYNN_KERNEL(void, search_sorted, (const SearchArgs& args));

// counts[bin] += 1 for the bin of equal width in [low, high] that holds x[i]; high belongs to the last bin, values
// outside to none.
PYNN_KERNEL(void, histogram_even,
            (const void* x, DType dtype, int64_t n, double low, double high, double* counts, int64_t bins));
// counts[x[i]] += weights[i], or 1 without weights; 0 <= x[i] < bins, the number of counts.
PYNN_KERNEL(void, count_positions, (const int64_t* x, int64_t n, const double* weights, double* counts, int64_t bins));

}  // namespace pynn
