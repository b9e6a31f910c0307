// convolution.h -- convolution of 1 to 3 spatial dims, its two adjoints, and unfold / fold (im2col / col2im).
//
//   y[n, g, o, p] = sum_{c, t} x[n, g, c, p * stride - pad + t * dilation] w[g, o, c, t]
//
// It is linear in x and in w, so there are three products of the same three tensors, and the derivative of each is
// made of the other two: forward gives y, backward_input x (a transposed convolution), backward_weight w.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

// Spatial dims are padded with ones in front to three. Positions outside of x read as zero, so `pad` is the padding in
// front alone; how much follows behind is said by `out`.
struct ConvGeometry {
  int64_t in[3], out[3], kernel[3], stride[3], pad[3], dilation[3];
};

// How the CPU computes float32. Auto chooses by the shape (cpu/convolution.cpp); tests force the others.
enum class ConvPath : uint8_t { Auto, Unfold, Direct, Few, Windows, Pointwise, Winograd, Amx };
const char* conv_path_name(ConvPath path);
[[noreturn]] void conv_path_misfit(ConvPath path);

// Which of the three is computed.
enum class ConvResult : uint8_t { Output, Input, Weight };

// All tensors are contiguous: x [batch, groups * ci, in], w [groups * co, ci, kernel], y [batch, groups * co, out];
// channels last: x [batch, in, groups * ci], y [batch, out, groups * co], w [groups * co, kernel, ci].
struct ConvArgs {
  void *x, *w, *y;
  const void* bias;  // forward: [groups * co]; backward_input: [groups * ci]; or nullptr
  DType dtype;       // Float32, Float64, Int64 (not backward_weight); on CUDA half types too
  int64_t batch, groups, ci, co;
  ConvGeometry g;
  ConvPath path = ConvPath::Auto;
  bool channels_last = false, weights_last = false;                   // x and y, w: where conv_orders permits it
  bool relu = false;                                                  // forward on the CPU: max(y, 0)
  float low() const { return relu ? 0.0f : -__builtin_huge_valf(); }  // y is at least that; NaN stays
};
PYNN_KERNEL(void, conv_forward, (const ConvArgs& args));
PYNN_KERNEL(void, conv_backward_input, (const ConvArgs& args));
PYNN_KERNEL(void, conv_backward_weight, (const ConvArgs& args));
// Which of them, so far as args ask for it, are taken channels last.
struct ConvOrders {
  bool channels_last, weights_last;
};
PYNN_CPU_ONLY_KERNEL(ConvOrders, conv_orders, (const ConvArgs& args, ConvResult result));

// x [batch, channels, in] and col [batch, channels * taps, out pixels], contiguous.
struct UnfoldArgs {
  void *x, *col;
  DType dtype;
  int64_t batch, channels;
  ConvGeometry g;
};
PYNN_KERNEL(void, unfold, (const UnfoldArgs& args));  // col from x, any dtype
PYNN_KERNEL(void, fold, (const UnfoldArgs& args));    // x from col: sums what overlaps

}  // namespace pynn
