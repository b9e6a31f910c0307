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

PYNN_INLINE double real(int64_t n) { return static_cast<double>(n); }

// ---- the direct sum, AMX or unfolding -----------------------------------------------------------------------------

// In multiply-adds of vectors by the direct path, 0.2 ns on Sapphire Rapids, where they were measured.
struct PlainCosts {
  double direct, amx, unfold;   // of a multiply-add of vectors
  double of_x, of_y, unfolded;  // of an element that AMX's three copies, or an unfolded matrix, take
  double direct_weight, amx_weight, unfold_weight;  // of an element of the weight: packed, or summed up
  int64_t amx_ci, amx_co;                           // channels that AMX takes at once
};
constexpr PlainCosts kOutputCosts{1, 0.5, 0.6, 2.5, 0, 13, 0, 2, 1, 2, kWide};
constexpr PlainCosts kInputCosts{1, 0.5, 0.6, 0, 2.5, 14, 0, 2, 1, kWide, 2};
constexpr PlainCosts kWeightCosts{1.3, 0.55, 0.6, 4, 2.5, 10, 1.5, 1.5, 1.5, kLanes, kWide};
constexpr double kFewDirect = 1.4, kFewAmx = 0.85;  // of a multiply-add, where an image has few pixels
constexpr double kPhases = 20;                      // of_x, where phases of more than two columns are taken apart

PlainCosts plain_costs(const ConvArgs& a, ConvResult result, bool few) {
  PlainCosts c = result == ConvResult::Output ? kOutputCosts : result == ConvResult::Input ? kInputCosts : kWeightCosts;
  if (few) c.amx = kFewAmx;
  if (few && result != ConvResult::Weight) c.direct = kFewDirect;
  if (result == ConvResult::Weight && a.g.stride[2] > 2) c.of_x = kPhases;
  return c;
}

// Positions of an image that AMX computes: also those between the rows, and, for the weight, below the last.
int64_t amx_positions(const ConvGeometry& g, ConvResult result) {
  const int64_t right = (g.kernel[2] - 1) * g.dilation[2], below = (g.kernel[1] - 1) * g.dilation[1];
  if (result == ConvResult::Input && product3(g.stride) == 1) return round_up(g.in[1] * (g.in[2] + right), kLanes);
  const int64_t height = g.out[1] + (result == ConvResult::Weight ? below / g.stride[1] : 0);
  return round_up(height * (g.out[2] + ceil_div(right, g.stride[2])), kLanes);
}

ConvPath plain_path(const ConvArgs& a, ConvResult result) {
  const ConvGeometry& g = a.g;
  if (!has_amx() || g.in[0] != 1 || g.kernel[0] != 1) return ConvPath::Direct;
  const int64_t taps = product3(g.kernel), in = product3(g.in), out = product3(g.out);
  const bool few = out < 64;
  const PlainCosts cost = plain_costs(a, result, few);
  const double images = real(a.batch), weights = real(taps * a.ci * a.co);
  const double of_pixel = weights / real(kLanes);  // multiply-adds of vectors
  const double amx_of_pixel =
      of_pixel * real(round_up(a.ci, cost.amx_ci) * round_up(a.co, cost.amx_co)) / real(a.ci * a.co);
  const double direct = cost.direct * images * real(out) * of_pixel + cost.direct_weight * weights;
  const double copies = images * (cost.of_x * real(a.ci * in) + cost.of_y * real(a.co * out));
  const double amx =
      cost.amx * images * real(amx_positions(g, result)) * amx_of_pixel + copies + cost.amx_weight * weights;
  const double unfold =
      images * real(out) * (cost.unfolded * real(taps * a.ci) + cost.unfold * of_pixel) + cost.unfold_weight * weights;
  const bool one_image = result == ConvResult::Output && a.batch == 1;
  if (few && !one_image && unfold < min_of(direct, amx)) return ConvPath::Unfold;
  return taps > 1 && amx < direct ? ConvPath::Amx : ConvPath::Direct;
}

// ---- the others: times in vector operations of one group, from measurements on Zen 4 with AVX-512 ------------------

constexpr double kBlocked = 25;                              // of a vector of pixels to and from blocks of channels
constexpr double kTransposed = 8;                            // of a vector of results to rows of pixels
constexpr double kSplit = 1.3;                               // times, where rows are split into phases
constexpr double kCopied = 12;                               // of an element of a row that AMX's copies take
constexpr double kPeak = 0.9;                                // of a product
constexpr double kTile = 300;                                // Winograd's transforms of a tile, per block of channels
constexpr double kWeightTiles = 200, kAmxWeightTiles = 400;  // those of a weight; beside two multiply-adds per cycle
constexpr double kShareSums = 2000;                          // where sums of shares go through memory
constexpr int64_t kTileRow = 8 << 20;                        // bytes of a row of tiles at most

// A product over unfolded pixels needs no blocks of channels where AMX serves. What it saves of few channels is lost
// where a bias is added.
bool amx_product_pays(const ConvArgs& a, ConvResult result) {
  const bool output = result == ConvResult::Output, added = output && (a.bias || a.relu) && a.ci * a.co <= 64 * 64;
  return has_amx() && kernel_of_one(a) && !added && min_of(a.ci, a.co) >= (output ? 32 : 16) && product3(a.g.in) >= 32;
}

// Rows of pixels in place, unless many stand on pages of their own.
bool pointwise_pays(const ConvArgs& a, ConvResult result, int64_t terms, int64_t channels) {
  const int64_t pixels = product3(a.g.in);
  if (!fits_pointwise(a, result) || (pixels > 512 && terms > 256)) return false;
  const double in_rows = real(a.ci * a.co * round_up(pixels, kLanes));
  const double in_blocks = real(terms * round_up(channels, kLanes) * pixels) + kBlocked * real((a.ci + a.co) * pixels);
  return in_rows < in_blocks;
}

bool is_narrow(const ConvArgs& a) { return 2 * a.g.out[2] < kLanes; }

// Forward, up to four input channels. Costs are of a row of results.
ConvPath path_of_few(const ConvArgs& a) {
  const ConvGeometry& g = a.g;
  const double taps = real(product3(g.kernel) * a.ci);
  const double few = real(a.co * ceil_div(g.out[2], kLanes)) * taps * (g.stride[2] > 1 ? kSplit : 1);
  const double windows = real(ceil_div(a.co, kLanes) * g.out[2]) * (taps + kTransposed);
  if (has_amx() && a.ci >= 3 && g.in[0] == 1 && g.kernel[0] == 1 && g.dilation[2] == 1) {
    // Of the taps of a row, and of channels, some are padding.
    const int64_t reads = ceil_div(g.kernel[2], 8), joined = ceil_div(g.kernel[2], reads);
    const double vectors = real(round_up(a.co, kWide) / kLanes);
    const double products = vectors * real((g.out[2] + g.kernel[2] / g.stride[2]) * g.kernel[1] * reads * joined * 2);
    const double moved = vectors * real(g.out[2]) * kTransposed + kCopied * real(g.stride[1] * g.in[2]);
    const double packed = 2 * taps * real(a.co) / real(a.batch * g.out[1]);
    if (products + moved + packed < min_of(few, windows)) return ConvPath::Amx;
  }
  return is_narrow(a) || windows < few ? ConvPath::Windows : ConvPath::Few;
}

bool winograd_pays(const ConvArgs& a, ConvResult result, int64_t terms, int64_t channels) {
  const int64_t* const size = result == ConvResult::Input ? a.g.in : a.g.out;
  const int64_t h = size[1], w = size[2];
  if (!fits_winograd(a, result) || 144 * terms * ceil_div(w, 4) > kTileRow) return false;
  const double of_pixel = real(terms * round_up(channels, kLanes)) / real(kLanes) / kPeak;
  const double direct = real(9 * a.batch * h * w) * of_pixel;
  const double tiles = real(a.batch * ceil_div(h, 4) * ceil_div(w, 4));
  const double blocks = real(ceil_div(channels, kLanes) + ceil_div(terms, kLanes));
  const bool shares = result == ConvResult::Weight && channels <= 3 * kWide;
  const double of_weights = !has_amx() ? kWeightTiles : shares ? kShareSums : kAmxWeightTiles;
  return tiles * (36 * of_pixel + kTile * blocks) + of_weights * of_pixel < direct;
}

ConvPath choose(const ConvArgs& a, ConvResult result) {
  if (a.dtype != DType::Float32 || (a.ci == 1 && a.groups > 1)) return ConvPath::Unfold;
  const bool output = result == ConvResult::Output;
  const int64_t channels = result == ConvResult::Input ? a.ci : a.co, terms = result == ConvResult::Input ? a.co : a.ci;
  if (amx_product_pays(a, result)) return ConvPath::Unfold;
  if (pointwise_pays(a, result, terms, channels)) return ConvPath::Pointwise;
  if (output && a.ci <= 4 && (!is_narrow(a) || 2 * a.co >= kLanes)) return path_of_few(a);
  // Channels in lanes pay where most lanes are used; a sum over pixels needs some input channels too.
  if (2 * channels < kLanes || (result == ConvResult::Weight && 2 * terms < kSumRows)) return ConvPath::Unfold;
  if (winograd_pays(a, result, terms, channels)) return ConvPath::Winograd;
  return output && a.ci <= 32 && !windows_copy(a.g) ? ConvPath::Windows : plain_path(a, result);
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
