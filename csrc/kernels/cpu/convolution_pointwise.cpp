// convolution_pointwise.cpp -- pixels in lanes, which pays where rows of pixels fill their vectors: no channel is
// padded and no result transposed.
//
//   pointwise   1x1 of stride 1:   y[n, co, p] = sum_ci w[co, ci] x[n, ci, p] + bias[co], images are read in place;
//               backward_input is the same of y and the transposed weight
//   few         few input channels:   y[n, co, o] = sum_k w[co, k] plane[offset[k] + o] + bias[co],   k = (ci, taps)
//               planes are padded, and strided rows split into phases (convolution_depthwise.h)
//
// The weight is packed once for all images.
#include "core/parallel.h"
#include "kernels/cpu/convolution_depthwise.h"
#include "kernels/cpu/convolution_paths.h"
#include "kernels/cpu/convolution_tile.h"
#include "kernels/cpu/gemm_pack.h"
#include "kernels/cpu/scratch.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

#if defined(PYNN_ISA_AVX512)
constexpr int kPointRows = 9, kPointVectors = 3;
#else
constexpr int kPointRows = kTileRows, kPointVectors = 2;
#endif

// y[i * step + p] = max(low, bias[i] + sum_k w[k * kPointRows + i] x[offset[k] + p]): MR channels by NV vectors of
// pixels, `last` in the last vector. `ahead` of them are those that are asked for next: what lies in a line for each k
// comes slowly from beyond L2.
template <int MR, int NV, bool kTail>
void point_tile(int64_t terms, const float* w, const float* x, const int64_t* offset, int64_t ahead, int64_t step,
                int64_t last, const float* bias, float low, float* y) {
  constexpr int W = VecF::kSize;
  VecF acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 3
    for (int v = 0; v < NV; ++v) acc[i][v] = VecF(bias ? bias[i] : 0.0f);
  for (int64_t k = 0; k < terms; ++k) {
    const float* from = x + offset[k];
    __builtin_prefetch(from + ahead);
    VecF row[NV];
#pragma GCC unroll 3
    for (int v = 0; v < NV; ++v)
      row[v] = kTail && v == NV - 1 ? VecF::load(from + v * W, last) : VecF::load(from + v * W);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const VecF f(w[i]);
#pragma GCC unroll 3
      for (int v = 0; v < NV; ++v) acc[i][v] = fma(f, row[v], acc[i][v]);
    }
    w += kPointRows;
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 3
    for (int v = 0; v < NV; ++v) max(VecF(low), acc[i][v]).store(y + i * step + v * W, kTail && v == NV - 1 ? last : W);
}

using PointTileFn = void (*)(int64_t, const float*, const float*, const int64_t*, int64_t, int64_t, int64_t,
                             const float*, float, float*);
using PointRows = std::make_integer_sequence<int, kPointRows>;
struct PointTiles {
  PointTileFn of_rows[kPointRows];
  template <int NV, bool kTail, int... I>
  static constexpr PointTiles make(std::integer_sequence<int, I...>) {
    return {{point_tile<I + 1, NV, kTail>...}};
  }
};
constexpr PointTiles kFullTiles = PointTiles::make<kPointVectors, false>(PointRows());
constexpr PointTiles kTailTiles[] = {PointTiles::make<1, true>(PointRows()), PointTiles::make<2, true>(PointRows()),
                                     PointTiles::make<kPointVectors, true>(PointRows())};

// A row of n pixels in panels of up to kPointVectors vectors, about equal ones.
struct Panels {
  const int64_t n, vectors, count;
  explicit Panels(int64_t pixels) : n(pixels), vectors(ceil_div(n, kLanes)), count(ceil_div(vectors, kPointVectors)) {}
  int64_t first(int64_t panel) const { return min_of(n, vectors * panel / count * kLanes); }
};

struct PackedRows {
  const int64_t channels, terms, slivers, size;
  const Scratch<float> to;
  // w: element (channel, term) at channel * row + term * column.
  PackedRows(const float* w, int64_t channels_, int64_t terms_, int64_t row, int64_t column)
      : channels(channels_),
        terms(terms_),
        slivers(ceil_div(channels, kPointRows)),
        size(round_up(kPointRows * terms, kLanes) + kLanes),
        to(slivers * size) {
    parallel_for(0, slivers, grain_for(static_cast<double>(kPointRows * terms) / 4), [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s)
        pack_sliver<float, kPointRows>(w + first(s) * row, row, column, first(s + 1) - first(s), terms,
                                       to.get() + s * size);
    });
  }
  int64_t first(int64_t sliver) const { return channels * sliver / slivers; }  // of about equal heights

  // All channels of panels [p0, p1); channels of y are `step` apart.
  void multiply(const Panels& panels, int64_t p0, int64_t p1, const float* x, const int64_t* offset, const float* bias,
                float low, float* y, int64_t step) const {
    for (int64_t p = p0; p < p1; ++p) {
      const int64_t o = panels.first(p), n = panels.first(p + 1) - o;
      const int64_t vectors = ceil_div(n, kLanes), last = n - (vectors - 1) * kLanes;
      const PointTiles& tiles = n == kPointVectors * kLanes ? kFullTiles : kTailTiles[vectors - 1];
      for (int64_t s = 0; s < slivers; ++s) {
        const int64_t c = first(s), ahead = s < kPointVectors ? (vectors + s) * kLanes : 0;
        tiles.of_rows[first(s + 1) - c - 1](terms, to.get() + s * size, x + o, offset, ahead, step, last,
                                            bias ? bias + c : nullptr, low, y + o + c * step);
      }
    }
  }
};

void pointwise(const ConvArgs& a, bool forward) {
  const int64_t terms = forward ? a.ci : a.co, channels = forward ? a.co : a.ci;
  const int64_t pixels = a.g.in[0] * a.g.in[1] * a.g.in[2];
  const Panels panels(pixels);
  const int64_t run = clamp_of(a.batch * panels.count / 16, 1, 8), runs = ceil_div(panels.count, run);  // of a task
  const Scratch<int64_t> offset(terms);
  for (int64_t k = 0; k < terms; ++k) offset[k] = k * pixels;
  for (int64_t group = 0; group < a.groups; ++group) {
    const PackedRows w(static_cast<const float*>(a.w) + group * a.co * a.ci, channels, terms, forward ? a.ci : 1,
                       forward ? 1 : a.ci);
    const double cost = static_cast<double>(terms * channels * run);
    parallel_for(0, a.batch * runs, grain_for(cost / 2), [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t image = task / runs * a.groups + group, p0 = task % runs * run;
        const float* x = static_cast<const float*>(forward ? a.x : a.y) + image * terms * pixels;
        float* y = static_cast<float*>(forward ? a.y : a.x) + image * channels * pixels;
        const float* bias = a.bias ? static_cast<const float*>(a.bias) + group * channels : nullptr;
        w.multiply(panels, p0, min_of(panels.count, p0 + run), x, offset.get(), bias, a.low(), y, pixels);
      }
    });
  }
}

}  // namespace

void pointwise_forward(const ConvArgs& a) { pointwise(a, true); }
void pointwise_backward_input(const ConvArgs& a) { pointwise(a, false); }

void few_forward(const ConvArgs& a) {
  const PaddedPlane p(a.g, kLanes);
  const ConvGeometry& g = a.g;
  const int64_t taps = product3(g.kernel), terms = a.ci * taps, in = product3(g.in), out = product3(g.out);
  const int64_t rows = g.out[0] * g.out[1], width = g.out[2], image = a.ci * p.size() + kWide;
  const Panels panels(width);
  const int64_t images = min_of(a.batch, max_of<int64_t>(1, (int64_t{1} << 20) / image));  // at once: 4 MB of planes
  const Scratch<int64_t> offset(terms);
  for (int64_t k = 0; k < terms; ++k) offset[k] = k / taps * p.size() + p.taps[k % taps];
  const Scratch<float> planes(images * image);
  p.ph.clear(planes.get(), images * image, 0.0f);
  for (int64_t group = 0; group < a.groups; ++group) {
    const PackedRows w(static_cast<const float*>(a.w) + group * a.co * terms, a.co, terms, terms, 1);
    const float* bias = a.bias ? static_cast<const float*>(a.bias) + group * a.co : nullptr;
    for (int64_t n0 = 0; n0 < a.batch; n0 += images) {
      const int64_t n = min_of(images, a.batch - n0);
      const auto of_image = [&](int64_t i) { return (n0 + i) * a.groups + group; };
      parallel_for(0, n * a.ci, grain_for(static_cast<double>(in) / 4), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          p.load(static_cast<const float*>(a.x) + (of_image(i / a.ci) * a.ci + i % a.ci) * in,
                 planes.get() + i / a.ci * image + i % a.ci * p.size());
      });
      const double cost = static_cast<double>(terms * a.co * width) / 100;
      parallel_for(0, n * rows, grain_for(cost), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          const int64_t i = r / rows, d = r % rows / g.out[1], h = r % g.out[1];
          const float* x = planes.get() + i * image + d * p.step[0] + h * p.step[1];
          float* y = static_cast<float*>(a.y) + of_image(i) * a.co * out + r % rows * width;
          w.multiply(panels, 0, panels.count, x, offset.get(), bias, a.low(), y, out);
        }
      });
    }
  }
}

}  // namespace PYNN_CPU_NAMESPACE
