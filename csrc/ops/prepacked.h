// prepacked.h -- weights kept ready for products, from one inference to the next.
#pragma once
#include "core/tensor.h"
#include "kernels/gemm.h"

namespace pynn::ops {

// Whether something may be kept of the weight `b` of this product: not in backward, which meets activations and weights
// that the next step changes, nor where others write unseen.
bool keeps(const Tensor& b, const GemmArgs& product);

// What gemm_make_ready makes of the weight `b` of this product, if it keeps, a product met it before, and its memory
// was not written to since; else undefined. It goes with the weight's memory, or once the weight changes.
Tensor prepacked(const Tensor& b, const GemmArgs& product);

}  // namespace pynn::ops
