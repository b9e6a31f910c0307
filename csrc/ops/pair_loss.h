// pair_loss.h -- the losses of kernels/loss.h where one launch can do them.
#pragma once
#include <optional>

#include "kernels/loss.h"
#include "ops/op.h"

namespace pynn::ops {

enum class Reduction { None, Mean, Sum };

// Nothing where the loss is to be composed of ops: on the CPU, for shapes to be broadcast, for mixed types. `name` is
// the node's.
std::optional<Tensor> pair_loss(PairLoss loss, const char* name, const Tensor& x, const Tensor& y, Reduction reduction,
                                double param = 0);

}  // namespace pynn::ops
