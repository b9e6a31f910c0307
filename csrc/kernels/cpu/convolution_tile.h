// convolution_tile.h -- the micro-kernel of convolution, and the layout that it reads.
//
//   c[i, v] += sum over segments, p:  a[i, p] * b[p, v]      i: rows held in registers, v: 1 or 2 vectors of channels
//
// Channels lie in blocks of one vector: a pixel is kLanes channels next to each other, and its neighbour follows. So a
// row of pixels needs one address, each factor of `a` is a constant distance from it, and no unfolded matrix exists:
//
//   forward    i pixels,           p input channels   of one segment per tap and block of channels
//   adjoint    i input channels,   p pixels           of one segment per row: the sum over pixels for the weight
#pragma once
#include <utility>

#include "kernels/cpu/sizes.h"
#include "kernels/cpu/unfold.h"
#include "kernels/cpu/vec_shuffle.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kLanes = VecF::kSize, kWide = 2 * kLanes;  // channels of a block, and of a tile of results
#if defined(PYNN_ISA_AVX512)
constexpr int kTileRows = 14;
#elif defined(PYNN_ISA_NEON)
constexpr int kTileRows = 12;
#else
constexpr int kTileRows = 6;
#endif
constexpr int kSumRows = kLanes < 8 ? kLanes : kLanes / 2;  // of a sum over pixels: a part of a block of channels

struct Segment {
  int64_t a, b, k;  // offsets of its first elements, terms
};

// `start` is where the sum starts: the tile itself (c), a row for all (bias), or nullptr for zero.
template <int MR, int NV, bool kOverPixels>
void conv_tile(const Segment* segments, int64_t count, const float* a, const float* b, float* c, int64_t c_rs,
               const float* start) {
  constexpr int W = VecF::kSize;
  VecF acc[MR][NV];
  const int64_t start_rs = start == c ? c_rs : 0;
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) acc[i][v] = start ? VecF::load(start + i * start_rs + v * W) : VecF(0.0f);
  for (int64_t s = 0; s < count; ++s) {
    const float* x = a + segments[s].a;
    const float* w = b + segments[s].b;
    for (int64_t p = 0; p < segments[s].k; ++p) {
      VecF row[NV];
#pragma GCC unroll 2
      for (int v = 0; v < NV; ++v) row[v] = VecF::load(w + v * W);
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) {
        const VecF f(x[kOverPixels ? i : i * W]);
#pragma GCC unroll 2
        for (int v = 0; v < NV; ++v) acc[i][v] = fma(f, row[v], acc[i][v]);
      }
      x += kOverPixels ? W : 1;
      w += kWide;
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) acc[i][v].store(c + i * c_rs + v * W);
}

using ConvTileFn = void (*)(const Segment*, int64_t, const float*, const float*, float*, int64_t, const float*);

template <int NV>
struct ConvTiles {
  ConvTileFn of_rows[kTileRows];
  template <int... I>
  static constexpr ConvTiles make(std::integer_sequence<int, I...>) {
    return {{conv_tile<I + 1, NV, false>...}};
  }
};
constexpr ConvTiles<1> kNarrowTiles = ConvTiles<1>::make(std::make_integer_sequence<int, kTileRows>());
constexpr ConvTiles<2> kWideTiles = ConvTiles<2>::make(std::make_integer_sequence<int, kTileRows>());

// `rows` pixels, each kLanes behind the last, in tiles of about equal height; `more`: added to what c holds.
PYNN_INLINE void conv_rows(const Segment* segments, int64_t count, const float* a, int64_t rows, const float* b,
                           int64_t columns, float* c, int64_t c_rs, const float* bias, bool more = false) {
  const ConvTileFn* tiles = columns > kLanes ? kWideTiles.of_rows : kNarrowTiles.of_rows;
  for (int64_t parts = ceil_div(rows, kTileRows), i = 0; parts > 0; --parts) {
    const int64_t n = ceil_div(rows - i, parts);
    float* to = c + i * c_rs;
    tiles[n - 1](segments, count, a + i * kLanes, b, to, c_rs, more ? to : bias);
    i += n;
  }
}

// A block of input channels by up to kWide output channels, added to what c [kLanes, kWide] holds.
PYNN_INLINE void conv_sums(const Segment* segments, int64_t count, const float* a, int64_t channels, const float* b,
                           int64_t columns, float* c, bool first) {
  const ConvTileFn tile = columns > kLanes ? conv_tile<kSumRows, 2, true> : conv_tile<kSumRows, 1, true>;
  for (int64_t i = 0; i < channels; i += kSumRows)
    tile(segments, count, a + i, b, c + i * kWide, kWide, first ? nullptr : c + i * kWide);
}

// f(j, vector of x[lane * stride + j] over the lanes) for j < n; lanes from `lanes` on are 0.
template <class F>
PYNN_INLINE void for_transposed(const float* x, int64_t stride, int64_t lanes, int64_t n, F f) {
  constexpr int W = VecF::kSize;
  for (int64_t j = 0; j < n; j += W) {
    VecF v[W];
    const int64_t m = n - j;
    if (m >= W && lanes >= W) {
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) v[i] = VecF::load(x + i * stride + j);
    } else {
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) v[i] = i < lanes ? VecF::load(x + i * stride + j, m) : VecF(0.0f);
    }
    transpose(v);
    if (m >= W) {
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) f(j + i, v[i]);
    } else {
      for (int i = 0; i < m; ++i) f(j + i, v[i]);
    }
  }
}

// y[lane * stride + j] = the lanes of f(j), for j < n.
template <class S, class F>
PYNN_INLINE void store_transposed(S* y, int64_t stride, int64_t lanes, int64_t n, F f) {
  constexpr int W = VecF::kSize;
  for (int64_t j = 0; j < n; j += W) {
    VecF v[W];
    const int64_t m = n - j;
    if (m >= W) {
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) v[i] = f(j + i);
    } else {
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) v[i] = i < m ? f(j + i) : VecF(0.0f);
    }
    transpose(v);
    if (m >= W && lanes >= W) {
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) store_wide(y + i * stride + j, v[i]);
    } else {
      for (int i = 0; i < min_of<int64_t>(W, lanes); ++i) store_wide(y + i * stride + j, v[i], m);
    }
  }
}

// Blocks of channels of pixels in either order: f(j, vector of pixel j), y's pixel j = f(j), for j < n.
template <class F>
PYNN_INLINE void for_pixels(const float* x, const Steps& steps, int64_t lanes, int64_t n, F f) {
  if (steps.channel != 1) return for_transposed(x, steps.channel, lanes, n, f);
  if (lanes >= kLanes)
    for (int64_t j = 0; j < n; ++j) f(j, VecF::load(x + j * steps.pixel));
  else
    for (int64_t j = 0; j < n; ++j) f(j, VecF::load(x + j * steps.pixel, lanes));
}
template <class S, class F>
PYNN_INLINE void store_pixels(S* y, const Steps& steps, int64_t lanes, int64_t n, F f) {
  if (steps.channel != 1) return store_transposed(y, steps.channel, lanes, n, f);
  for (int64_t j = 0; j < n; ++j) store_wide(y + j * steps.pixel, f(j), lanes);
}

// ---- weights ------------------------------------------------------------------------------------------------------

// w of a group as the product reads it: element (term k, lane, tap) at k * term + lane * lane_step + tap * tap_step.
struct WeightView {
  const float* w;
  int64_t terms, lanes, taps;    // channels summed over, channels of results
  int64_t term, lane, tap_step;  // between neighbours
  WeightView(const ConvArgs& a, int64_t group, bool forward)
      : terms(forward ? a.ci : a.co),
        lanes(forward ? a.co : a.ci),
        taps(product3(a.g.kernel)),
        tap_step(a.weights_last ? a.ci : 1) {
    const int64_t output = a.ci * taps, input = a.weights_last ? 1 : taps;
    w = static_cast<const float*>(a.w) + group * a.co * output;
    term = forward ? input : output;
    lane = forward ? output : input;
  }
  int64_t groups() const { return ceil_div(lanes, kWide); }

  // Terms [k0, k1) of lanes [l0, l0 + kWide): to[(tap * (k1 - k0) + k - k0) * kWide + lane].
  void pack(int64_t l0, int64_t k0, int64_t k1, float* to) const {
    const int64_t n = k1 - k0;
    for (int64_t l = l0; l < min_of(lanes, l0 + kWide); l += kLanes) {
      float* out = to + (l - l0);
      const int64_t valid = min_of(kLanes, lanes - l);
      if (lane == 1) {
        for (int64_t k = k0; k < k1; ++k)
          for (int64_t tap = 0; tap < taps; ++tap)
            VecF::load(w + k * term + tap * tap_step + l, valid).store(out + (tap * n + k - k0) * kWide);
        continue;
      }
      if (tap_step != 1) {  // terms are next to each other
        for (int64_t tap = 0; tap < taps; ++tap)
          for_transposed(w + l * lane + k0 + tap * tap_step, lane, valid, n,
                         [&](int64_t k, VecF v) { v.store(out + (tap * n + k) * kWide); });
        continue;
      }
      const bool joined = term == taps;
      for (int64_t k = k0; k < k1; k += joined ? n : 1) {
        int64_t at = k - k0, tap = 0;
        for_transposed(w + l * lane + k * term, lane, valid, joined ? n * taps : taps, [&](int64_t, VecF v) {
          v.store(out + (tap * n + at) * kWide);
          if (++tap == taps) tap = 0, ++at;
        });
      }
    }
  }
};

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
