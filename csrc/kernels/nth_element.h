// nth_element.h -- one element of every sorted line, found without sorting: kthvalue and medians.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

enum class Nth : uint8_t {
  Kth,       // element k
  Median,    // the lower middle one, or the first NaN
  NanMedian  // the same of all but NaN
};

// x: [outer, n, inner], n > 0; values and indices: [outer, inner]. NaN counts as the largest; of equal elements, the
// one that a stable sort puts there.
struct NthArgs {
  const void* x;
  void* values;
  int64_t* indices;
  int64_t outer, n, inner, k;
  DType dtype;
};
PYNN_CPU_ONLY_KERNEL(void, nth_element, (Nth which, const NthArgs& args));

}  // namespace pynn
