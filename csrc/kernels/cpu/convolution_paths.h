// convolution_paths.h -- the ways to convolve float32 that convolution.cpp chooses from.
#pragma once
#include "kernels/convolution.h"

namespace PYNN_CPU_NAMESPACE {

// convolution_direct.cpp: any kernel, stride and dilation.
void direct_forward(const ConvArgs& args);
void direct_backward_input(const ConvArgs& args);
void direct_backward_weight(const ConvArgs& args);

// convolution_winograd.cpp: 3x3 and stride 1. False where a result is not finite: then it must be computed otherwise,
// as one infinity reaches 16 outputs here.
bool winograd_forward(const ConvArgs& args);
bool winograd_backward_input(const ConvArgs& args);
bool winograd_backward_weight(const ConvArgs& args);

}  // namespace PYNN_CPU_NAMESPACE
