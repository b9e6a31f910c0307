// convolution_pointwise.cpp -- 1x1 kernels of stride 1: a product per image, with pixels in lanes.
//
//   y[n, co, p] = sum_ci w[co, ci] x[n, ci, p] + bias[co];   backward_input: of y and the transposed weight
//
// The weight is packed once for all images; images are read in place, and results stored in place: nothing is copied or
// transposed, which pays where rows of pixels fill their vectors.
#include "core/parallel.h"
#include "kernels/cpu/convolution_paths.h"
#include "kernels/cpu/convolution_tile.h"
#include "kernels/cpu/gemm_pack.h"
#include "kernels/cpu/scratch.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// y[i, p] = bias[i] + sum_k w[k * kTileRows + i] x[k * step + p]: MR channels by NV vectors of pixels, `last` in the
// last vector. Strides of x and y are `step`.
template <int MR, int NV, bool kTail>
void point_tile(int64_t terms, const float* w, const float* x, int64_t step, int64_t last, const float* bias,
                float* y) {
  constexpr int W = VecF::kSize;
  VecF acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) acc[i][v] = VecF(bias ? bias[i] : 0.0f);
  for (int64_t k = 0; k < terms; ++k) {
    VecF row[NV];
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) row[v] = kTail && v == NV - 1 ? VecF::load(x + v * W, last) : VecF::load(x + v * W);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const VecF f(w[i]);
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) acc[i][v] = fma(f, row[v], acc[i][v]);
    }
    w += kTileRows;
    x += step;
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) acc[i][v].store(y + i * step + v * W, kTail && v == NV - 1 ? last : W);
}

using PointTileFn = void (*)(int64_t, const float*, const float*, int64_t, int64_t, const float*, float*);
template <int NV, bool kTail>
struct PointTiles {
  PointTileFn of_rows[kTileRows];
  template <int... I>
  static constexpr PointTiles make(std::integer_sequence<int, I...>) {
    return {{point_tile<I + 1, NV, kTail>...}};
  }
};
using TileRows = std::make_integer_sequence<int, kTileRows>;
constexpr PointTiles<2, false> kFullTiles = PointTiles<2, false>::make(TileRows());
constexpr PointTiles<2, true> kTailTiles = PointTiles<2, true>::make(TileRows());
constexpr PointTiles<1, true> kOneTiles = PointTiles<1, true>::make(TileRows());

void pointwise(const ConvArgs& a, bool forward) {
  const int64_t terms = forward ? a.ci : a.co, channels = forward ? a.co : a.ci;
  const int64_t pixels = a.g.in[0] * a.g.in[1] * a.g.in[2];
  const int64_t slivers = ceil_div(channels, kTileRows), sliver = round_up(kTileRows * terms, kLanes) + kLanes;
  const int64_t panels = ceil_div(pixels, kWide), run = max_of<int64_t>(1, min_of(a.batch * panels / 16, int64_t{8}));
  const int64_t runs = ceil_div(panels, run);
  const Scratch<float> packed(slivers * sliver);
  for (int64_t group = 0; group < a.groups; ++group) {
    const float* w = static_cast<const float*>(a.w) + group * a.co * a.ci;
    const int64_t row = forward ? a.ci : 1, column = forward ? 1 : a.ci;
    parallel_for(0, slivers, grain_for(static_cast<double>(kTileRows * terms) / 4), [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s)
        pack_sliver<float, kTileRows>(w + s * kTileRows * row, row, column,
                                      min_of<int64_t>(kTileRows, channels - s * kTileRows), terms,
                                      packed.get() + s * sliver);
    });
    const double cost = static_cast<double>(terms * channels * run);
    parallel_for(0, a.batch * runs, grain_for(cost / 2), [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t image = task / runs * a.groups + group, p0 = task % runs * run * kWide;
        const float* x = static_cast<const float*>(forward ? a.x : a.y) + image * terms * pixels;
        float* y = static_cast<float*>(forward ? a.y : a.x) + image * channels * pixels;
        const float* bias = a.bias ? static_cast<const float*>(a.bias) + group * channels : nullptr;
        for (int64_t p = p0; p < min_of(pixels, p0 + run * kWide); p += kWide) {
          const int64_t n = min_of(kWide, pixels - p), last = n > kLanes ? n - kLanes : n;
          const PointTileFn* tiles = n == kWide   ? kFullTiles.of_rows
                                     : n > kLanes ? kTailTiles.of_rows
                                                  : kOneTiles.of_rows;
          for (int64_t s = 0; s < slivers; ++s) {
            const int64_t c = s * kTileRows;
            tiles[min_of<int64_t>(kTileRows, channels - c) - 1](terms, packed.get() + s * sliver, x + p, pixels, last,
                                                                bias ? bias + c : nullptr, y + c * pixels + p);
          }
        }
      }
    });
  }
}

}  // namespace

void pointwise_forward(const ConvArgs& a) { pointwise(a, true); }
void pointwise_backward_input(const ConvArgs& a) { pointwise(a, false); }

}  // namespace PYNN_CPU_NAMESPACE
