// convolution_paths.h -- the ways to convolve float32 that convolution_choice.h chooses from, and those of half types.
#pragma once
#include "kernels/convolution.h"

namespace PYNN_CPU_NAMESPACE {

// convolution_direct.cpp: any kernel, stride and dilation.
void direct_forward(const ConvArgs& args);
void direct_backward_input(const ConvArgs& args);
void direct_backward_weight(const ConvArgs& args);

// convolution_pointwise.cpp: few input channels; 1x1 of stride 1 without padding.
void few_forward(const ConvArgs& args);
void pointwise_forward(const ConvArgs& args);
void pointwise_backward_input(const ConvArgs& args);

// convolution_windows.cpp: few input channels.
void windows_forward(const ConvArgs& args);
bool windows_copy(const ConvGeometry& g);  // images, as they have padding

// convolution_winograd.cpp, convolution_winograd_weight.cpp: 3x3 and stride 1. False where a result is not finite: then
// it must be computed otherwise, as one infinity reaches 16 outputs here.
bool winograd_forward(const ConvArgs& args);
bool winograd_backward_input(const ConvArgs& args);
bool winograd_backward_weight(const ConvArgs& args);
bool winograd_backward_weight_fits(const ConvArgs& args);  // its memory stays bounded

// convolution_half.cpp: bfloat16, float16.
void half_forward(const ConvArgs& args);
void half_backward_input(const ConvArgs& args);
void half_backward_weight(const ConvArgs& args);

// convolution_amx.cpp, convolution_amx_weight.cpp: bfloat16 and float32. False where they cannot serve, or the sizes of
// float32 do not permit it: then it must be computed otherwise.
bool amx_forward(const ConvArgs& args);
bool amx_backward_input(const ConvArgs& args);
bool amx_backward_weight(const ConvArgs& args);

}  // namespace PYNN_CPU_NAMESPACE
