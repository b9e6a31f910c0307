// convolution_windows.cpp -- few input channels, channels of results in lanes: windows are read where they lie.
//
//   y[n, co, o] = bias[co] + sum_k x[n, offset[k] + o * stride] w[k, co],   k = (taps, ci)
//
// Short rows waste no lanes, as they do in `few`, but results are transposed. Images are copied where they are padded.
#include "core/parallel.h"
#include "kernels/cpu/convolution_paths.h"
#include "kernels/cpu/convolution_tile.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/unfold.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kRunPixels = 256;          // of results that are transposed at once
constexpr int64_t kPlaneElements = 1 << 20;  // of padded images at once

// out[i, v] = bias[v] + sum_k x[offset[k] + i * step] w[k, v]: MR pixels by NV vectors of channels.
template <int MR, int NV>
void window_tile(int64_t terms, const int64_t* offset, const float* x, int64_t step, const float* w, const float* bias,
                 float* out) {
  constexpr int W = VecF::kSize;
  VecF acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) acc[i][v] = VecF::load(bias + v * W);
  // Steps to odd rows in registers, from which addresses of all rows are made without additions: those would take
  // turns from multiply-adds.
  int64_t odd[(kTileRows + 1) / 2];
#pragma GCC unroll 8
  for (int i = 0; 2 * i + 1 < MR; ++i) {
    odd[i] = (2 * i + 1) * step * static_cast<int64_t>(sizeof(float));
    asm("" : "+r"(odd[i]));
  }
  for (int64_t k = 0; k < terms; ++k, w += kWide) {
    const char* from = reinterpret_cast<const char*>(x + offset[k]);
    VecF row[NV];
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) row[v] = VecF::load(w + v * W);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const int twos = i & -i;  // the power of two in i
      const VecF f(*reinterpret_cast<const float*>(i ? from + odd[i / twos / 2] * twos : from));
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) acc[i][v] = fma(f, row[v], acc[i][v]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) acc[i][v].store(out + i * kWide + v * W);
}

using WindowTileFn = void (*)(int64_t, const int64_t*, const float*, int64_t, const float*, const float*, float*);
template <int NV>
struct WindowTiles {
  WindowTileFn of_rows[kTileRows];
  template <int... I>
  static constexpr WindowTiles make(std::integer_sequence<int, I...>) {
    return {{window_tile<I + 1, NV>...}};
  }
};
constexpr WindowTiles<1> kNarrowWindows = WindowTiles<1>::make(std::make_integer_sequence<int, kTileRows>());
constexpr WindowTiles<2> kWideWindows = WindowTiles<2>::make(std::make_integer_sequence<int, kTileRows>());

// What the windows of an image read: the image itself, or a copy with its padding.
struct Planes {
  const ConvGeometry& g;
  int64_t size[3];  // of a plane
  bool in_place = true;

  explicit Planes(const ConvGeometry& geometry) : g(geometry) {
    for (int d = 0; d < 3; ++d) {
      size[d] = (g.out[d] - 1) * g.stride[d] + (g.kernel[d] - 1) * g.dilation[d] + 1;
      in_place &= g.pad[d] == 0 && size[d] <= g.in[d];
    }
    if (in_place)
      for (int d = 0; d < 3; ++d) size[d] = g.in[d];
  }
  void copy(const float* x, float* to) const {
    const int64_t from = max_of<int64_t>(0, -g.pad[2]), low = max_of<int64_t>(0, g.pad[2]);
    const int64_t n = max_of<int64_t>(0, min_of(g.in[2] - from, size[2] - low));
    for (int64_t d = 0; d < size[0]; ++d)
      for (int64_t h = 0; h < size[1]; ++h, to += size[2]) {
        const int64_t id = d - g.pad[0], ih = h - g.pad[1];
        const bool inside = id >= 0 && id < g.in[0] && ih >= 0 && ih < g.in[1];
        const int64_t copied = inside ? n : 0, zeros = inside ? low : size[2];
        for (int64_t i = 0; i < min_of(zeros, size[2]); ++i) to[i] = 0;
        if (copied) __builtin_memcpy(to + low, x + (id * g.in[1] + ih) * g.in[2] + from, 4 * static_cast<size_t>(n));
        for (int64_t i = zeros + copied; i < size[2]; ++i) to[i] = 0;
      }
  }
};

}  // namespace

bool windows_copy(const ConvGeometry& g) { return !Planes(g).in_place; }

void windows_forward(const ConvArgs& a) {
  const ConvGeometry& g = a.g;
  const Planes planes(g);
  const int64_t taps = product3(g.kernel), terms = a.ci * taps, in = product3(g.in), plane = product3(planes.size);
  const int64_t width = g.out[2], rows = g.out[0] * g.out[1], out = rows * width;
  const int64_t slivers = ceil_div(a.co, kWide), sliver = terms * kWide;
  const int64_t images = planes.in_place ? a.batch : clamp_of(kPlaneElements / (a.ci * plane), 1, a.batch);  // at once
  const int64_t run = clamp_of(kRunPixels / width, 1, max_of<int64_t>(1, images * rows / 16));  // rows of a task
  const int64_t runs = ceil_div(rows, run);
  const Scratch<int64_t> offset(terms);
  for_taps(g, [&](int64_t tap, int64_t td, int64_t th, int64_t tw) {
    const int64_t at = (td * g.dilation[0] * planes.size[1] + th * g.dilation[1]) * planes.size[2] + tw * g.dilation[2];
    for (int64_t c = 0; c < a.ci; ++c) offset[tap * a.ci + c] = c * plane + at;
  });
  const Scratch<float> weights(slivers * sliver), bias(slivers * kWide),
      copies(planes.in_place ? 0 : images * a.ci * plane);
  for (int64_t group = 0; group < a.groups; ++group) {
    const WeightView view(a, group, true);
    parallel_for(0, slivers, grain_for(static_cast<double>(sliver) / 4), [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) view.pack(s * kWide, 0, a.ci, weights.get() + s * sliver);
    });
    for (int64_t c = 0; c < slivers * kWide; ++c)
      bias[c] = a.bias && c < a.co ? static_cast<const float*>(a.bias)[group * a.co + c] : 0.0f;
    for (int64_t n0 = 0; n0 < a.batch; n0 += images) {
      const int64_t n = min_of(images, a.batch - n0);
      const auto image = [&](int64_t i) { return (n0 + i) * a.groups + group; };
      const auto x_of = [&](int64_t i) { return static_cast<const float*>(a.x) + image(i) * a.ci * in; };
      if (!planes.in_place)
        parallel_for(0, n * a.ci, grain_for(static_cast<double>(plane) / 8), [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) planes.copy(x_of(i / a.ci) + i % a.ci * in, copies.get() + i * plane);
        });
      const double cost = static_cast<double>(sliver * slivers * run * width) / 100;
      parallel_for(0, n * runs, grain_for(cost), [&](int64_t begin, int64_t end) {
        const Scratch<float> strip(run * width * kWide);
        for (int64_t task = begin; task < end; ++task) {
          const int64_t i = task / runs, r0 = task % runs * run, r1 = min_of(rows, r0 + run);
          const float* x = planes.in_place ? x_of(i) : copies.get() + i * a.ci * plane;
          float* y = static_cast<float*>(a.y) + image(i) * a.co * out + r0 * width;
          for (int64_t s = 0; s < slivers; ++s) {
            const int64_t c0 = s * kWide, channels = min_of(kWide, a.co - c0);
            const WindowTileFn* tiles = channels > kLanes ? kWideWindows.of_rows : kNarrowWindows.of_rows;
            float* to = strip.get();
            for (int64_t r = r0; r < r1; ++r) {
              const int64_t row = (r / g.out[1] * g.stride[0] * planes.size[1] + r % g.out[1] * g.stride[1]);
              const float* from = x + row * planes.size[2];
              for (int64_t parts = ceil_div(width, kTileRows), o = 0, m; parts > 0; --parts, o += m) {
                m = ceil_div(width - o, parts);
                tiles[m - 1](terms, offset.get(), from + o * g.stride[2], g.stride[2], weights.get() + s * sliver,
                             bias.get() + c0, to);
                to += m * kWide;
              }
            }
            for (int64_t c = 0; c < channels; c += kLanes)
              store_transposed(y + (c0 + c) * out, out, min_of(kLanes, channels - c), (r1 - r0) * width,
                               [&](int64_t j) { return max(VecF(a.low()), VecF::load(strip.get() + j * kWide + c)); });
          }
        }
      });
    }
  }
}

}  // namespace PYNN_CPU_NAMESPACE
