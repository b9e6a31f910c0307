// prepacked.h -- weights kept ready for products, from one inference to the next.
#pragma once
#include "core/tensor.h"
#include "kernels/gemm.h"

namespace pynn::ops {

// What gemm_make_ready makes of the weight `b` of this product, if a product met it before and its memory was not
// written to since, or lent to those who write unseen; else undefined. It goes with the weight's memory, or once the
// weight changes.
Tensor prepacked(const Tensor& b, const GemmArgs& product);

}  // namespace pynn::ops
