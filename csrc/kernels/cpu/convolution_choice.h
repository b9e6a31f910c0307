// convolution_choice.h -- which of convolution_paths.h a convolution takes.
//
//   winograd  float32, 3x3, stride 1, enough channels                       convolution_winograd.h
//   pointwise float32, 1x1 of stride 1, rows of pixels that fill vectors     convolution_pointwise.cpp
//   few       float32, up to four input channels, forward                    convolution_pointwise.cpp
//   windows   the same, where rows are short; few and no padding, forward    convolution_windows.cpp
//   amx       float32, enough channels and pixels, on CPUs with AMX          convolution_amx.cpp
//   direct    float32, enough channels                                      convolution_direct.cpp
//   rows      one input channel per group                                   convolution_depthwise.h
//   unfold    the rest: float64, int64, few channels; with AMX, 1x1 and few pixels of many channels   convolution.cpp
#pragma once
#include "kernels/cpu/convolution_paths.h"
#include "kernels/cpu/convolution_tile.h"
#include "kernels/cpu/unfold.h"
#include "kernels/cpu/vec_dot.h"
#include "kernels/cpu_features.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

bool has_amx() {
#ifdef PYNN_VEC_DOT
  return cpu_features().amx_bf16;
#else
  return false;
#endif
}

bool fits_winograd(const ConvArgs& a, ConvResult result) {
  const ConvGeometry& g = a.g;
  bool fits = g.kernel[0] == 1 && g.stride[0] == 1 && g.pad[0] == 0 && g.in[0] == 1 && g.out[0] == 1;
  for (int d = 1; d < 3; ++d) {
    const int64_t behind = g.out[d] + 2 - g.in[d] - g.pad[d];  // padding
    fits &= g.kernel[d] == 3 && g.stride[d] == 1 && g.dilation[d] == 1 && g.pad[d] <= 2 && behind >= 0 && behind <= 2;
  }
  return fits && (result != ConvResult::Weight || winograd_backward_weight_fits(a));
}

bool kernel_of_one(const ConvArgs& a) {
  const ConvGeometry& g = a.g;
  bool one = true;
  for (int d = 0; d < 3; ++d) one &= g.kernel[d] == 1 && g.stride[d] == 1 && g.pad[d] == 0 && g.in[d] == g.out[d];
  return one;
}
bool fits_pointwise(const ConvArgs& a, ConvResult result) {
  return result != ConvResult::Weight && kernel_of_one(a);  // a sum over pixels is one of blocks
}

// The direct sum, or what AMX makes of three copies, or of unfolded pixels where these are few beside the weights.
// Costs are in multiply-adds of vectors by the direct path, 0.2 ns on Sapphire Rapids, where they were measured.
ConvPath plain_path(const ConvArgs& a, ConvResult result) {
  const ConvGeometry& g = a.g;
  if (!has_amx() || g.in[0] != 1 || g.kernel[0] != 1) return ConvPath::Direct;
  const bool adjoint = result == ConvResult::Input, sums = result == ConvResult::Weight;
  const auto as_double = [](int64_t n) { return static_cast<double>(n); };
  const int64_t taps = product3(g.kernel), in = product3(g.in), out = product3(g.out);
  const auto reach = [&](int d) { return (g.kernel[d] - 1) * g.dilation[d]; };
  // Positions that AMX computes of an image, in blocks; of the gradient of the weight, inputs too far right and below.
  const int64_t height = g.out[1] + (sums ? reach(1) / g.stride[1] : 0);
  const int64_t wide = g.out[2] + ceil_div(reach(2), g.stride[2]);
  const int64_t positions = adjoint && product3(g.stride) == 1 ? round_up(g.in[1] * (g.in[2] + reach(2)), kLanes)
                                                               : round_up(height * wide, kLanes);
  const bool few = out < 64;
  const double weights = as_double(taps * a.ci * a.co), per_pixel = weights / as_double(kLanes);
  const double wasted = as_double(round_up(a.ci, adjoint ? kWide
                                                 : sums  ? kLanes
                                                         : 2) *
                                  round_up(a.co, adjoint ? 2 : kWide)) /
                        as_double(a.ci * a.co);
  const double direct = as_double(a.batch * out) * per_pixel *
                            (sums  ? 1.3
                             : few ? 1.4
                                   : 1) +
                        (sums ? 1.5 * weights : 0);
  const double amx = as_double(a.batch * positions) * per_pixel * wasted *
                         (few    ? 0.85
                          : sums ? 0.55
                                 : 0.5) +
                     as_double(a.batch) * ((adjoint            ? 0
                                            : !sums            ? 2.5
                                            : g.stride[2] <= 2 ? 4
                                                               : 20) *
                                               as_double(a.ci * in) +
                                           (adjoint || sums ? 2.5 : 0) * as_double(a.co * out)) +
                     (sums ? 1.5 : 2) * weights;
  const double unfold = as_double(a.batch * out) * ((adjoint ? 14
                                                     : sums  ? 10
                                                             : 13) *
                                                        as_double(taps * a.ci) +
                                                    0.6 * per_pixel) +
                        (sums ? 1.5 : 1) * weights;
  if (few && (sums || adjoint || a.batch > 1) && unfold < min_of(direct, amx)) return ConvPath::Unfold;
  return taps > 1 && amx < direct ? ConvPath::Amx : ConvPath::Direct;
}

// Times of the paths in vector operations of one group, from measurements on Zen 4 with AVX-512: a product runs at nine
// tenths of the peak, the transforms of a tile cost about 300 per block of channels, those of a weight 200 (400 beside
// the two multiply-adds per cycle of Intel's CPUs with AMX), and pixels take 25 per vector to and from blocks of
// channels.
ConvPath choose(const ConvArgs& a, ConvResult result) {
  if (a.dtype != DType::Float32 || (a.ci == 1 && a.groups > 1)) return ConvPath::Unfold;
  const ConvGeometry& g = a.g;
  const auto as_double = [](int64_t n) { return static_cast<double>(n); };
  const int64_t channels = result == ConvResult::Input ? a.ci : a.co, terms = result == ConvResult::Input ? a.co : a.ci;
  const double lanes = as_double(kLanes);
  // Products by AMX need no blocks of channels. What they save of few channels is lost where a bias is added.
  const bool added = result == ConvResult::Output && (a.bias || a.relu) && a.ci * a.co <= 64 * 64;
  if (has_amx() && !added && kernel_of_one(a) && min_of(a.ci, a.co) >= (result == ConvResult::Output ? 32 : 16) &&
      product3(g.in) >= 32)
    return ConvPath::Unfold;
  // Rows of pixels in place, unless many stand on pages of their own.
  if (const int64_t pixels = product3(g.in); fits_pointwise(a, result) && (pixels <= 512 || terms <= 256)) {
    const int64_t both = a.ci * a.co, blocked = terms * round_up(channels, kLanes);
    const double in_rows = as_double(both * round_up(pixels, kLanes));
    const double in_blocks = as_double(blocked * pixels) + 25 * as_double((a.ci + a.co) * pixels);
    if (in_rows < in_blocks) return ConvPath::Pointwise;
  }
  const bool narrow = 2 * g.out[2] < kLanes, padded = windows_copy(g);
  if (result == ConvResult::Output && a.ci <= 4 && (!narrow || 2 * a.co >= kLanes)) {
    const double taps = as_double(product3(g.kernel) * a.ci), transposed = 8, split = g.stride[2] > 1 ? 1.3 : 1;
    const double few = as_double(a.co * ceil_div(g.out[2], kLanes)) * taps * split;
    const double windows = as_double(ceil_div(a.co, kLanes) * g.out[2]) * (taps + transposed);
    // By AMX: of the taps of a row, and of channels, some are padding; rows are copied.
    const int64_t reads = ceil_div(g.kernel[2], 8), joined = ceil_div(g.kernel[2], reads);
    const double vectors = as_double(round_up(a.co, kWide) / kLanes);
    const double amx = vectors * as_double((g.out[2] + g.kernel[2] / g.stride[2]) * g.kernel[1] * reads * joined * 2) +
                       vectors * as_double(g.out[2]) * transposed + 12 * as_double(g.stride[1] * g.in[2]) +
                       2 * taps * as_double(a.co) / as_double(a.batch * g.out[1]);
    if (has_amx() && a.ci >= 3 && g.in[0] == 1 && g.kernel[0] == 1 && g.dilation[2] == 1 && amx < min_of(few, windows))
      return ConvPath::Amx;
    return narrow || windows < few ? ConvPath::Windows : ConvPath::Few;
  }
  // Channels in lanes pay where most lanes are used; a sum over pixels needs some input channels too.
  if (2 * channels < kLanes || (result == ConvResult::Weight && 2 * terms < kSumRows)) return ConvPath::Unfold;
  const ConvPath plain =
      result == ConvResult::Output && a.ci <= 32 && !padded ? ConvPath::Windows : plain_path(a, result);
  if (!fits_winograd(a, result)) return plain;
  const double per_pixel = as_double(terms * round_up(channels, kLanes)) / lanes / 0.9;
  const int64_t h = result == ConvResult::Input ? g.in[1] : g.out[1],
                w = result == ConvResult::Input ? g.in[2] : g.out[2];
  if (144 * terms * ceil_div(w, 4) > (int64_t{8} << 20)) return plain;  // bytes of a row of tiles
  const double direct = as_double(9 * a.batch * h * w) * per_pixel;
  const double tiles = as_double(a.batch * ceil_div(h, 4) * ceil_div(w, 4));
  const double blocks = as_double(ceil_div(channels, kLanes) + ceil_div(terms, kLanes));
  // Sums of shares go through memory.
  const double of_weights = !has_amx() ? 200 : result == ConvResult::Weight && channels <= 3 * kWide ? 2000 : 400;
  const double winograd = tiles * (36 * per_pixel + 300 * blocks) + of_weights * per_pixel;
  return winograd < direct ? ConvPath::Winograd : plain;
}

// The path to take: the forced one, if there is one.
ConvPath path_of(const ConvArgs& a, ConvResult result) {
  if (a.channels_last && kernel_of_one(a)) return ConvPath::Unfold;
  if (a.path == ConvPath::Auto) return choose(a, result);
  if (a.path == ConvPath::Pointwise && result == ConvResult::Weight) return ConvPath::Direct;
  if ((a.path == ConvPath::Few || a.path == ConvPath::Windows) && result != ConvResult::Output)
    return choose(a, result);
  const bool fits = a.dtype == DType::Float32 && (a.path != ConvPath::Winograd || fits_winograd(a, result)) &&
                    (a.path != ConvPath::Pointwise || fits_pointwise(a, result));
  if (a.path != ConvPath::Unfold && !fits) conv_path_misfit(a.path);
  return a.path;
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
