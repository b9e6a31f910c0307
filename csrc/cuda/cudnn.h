// cudnn.h -- convolution by cuDNN.
#pragma once
#include "kernels/convolution.h"

namespace pynn::cuda {

enum class Direction : uint8_t { Forward, Input, Weight };  // which of y, x and w is computed

// Without the bias. False if there is no cuDNN, it is switched off, or it has no way to do this: nothing was done then.
bool cudnn_convolution(Direction direction, const ConvArgs& a);

}  // namespace pynn::cuda
