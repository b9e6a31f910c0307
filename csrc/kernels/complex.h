// complex.h -- products of complex numbers; their maps are in elementwise.h, their sums are those of twice as many
// reals.
#pragma once
#include "kernels/reduce.h"

namespace pynn {

PYNN_KERNEL(void, complex_prod, (const ReduceArgs& args));     // y: [outer, inner], of x's type
PYNN_KERNEL(void, complex_cumprod, (const ReduceArgs& args));  // y: [outer, nreduce, inner], inclusive

}  // namespace pynn
