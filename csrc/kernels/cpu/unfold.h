// unfold.h -- im2col and col2im of a range of output pixels: rows are (channel, tap), columns pixels.
#pragma once
#include <type_traits>

#include "kernels/convolution.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec_shuffle.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

PYNN_INLINE int64_t product3(const int64_t* d) { return d[0] * d[1] * d[2]; }

// Between neighbours of x or y of a convolution.
struct Steps {
  int64_t image, channel, pixel;
};
PYNN_INLINE Steps steps_of(const ConvArgs& a, bool input) {
  const int64_t channels = a.groups * (input ? a.ci : a.co), pixels = product3(input ? a.g.in : a.g.out);
  return {channels * pixels, a.channels_last ? 1 : pixels, a.channels_last ? channels : 1};
}

// Output positions [low, high) along the last dim whose tap `t` reads inside of the input.
struct Inside {
  int64_t low, high;
  Inside(const ConvGeometry& g, int64_t t) {
    const int64_t s = g.stride[2], first = g.pad[2] - t * g.dilation[2];  // o * s >= first
    low = clamp_of(first > 0 ? ceil_div(first, s) : 0, 0, g.out[2]);
    const int64_t last = g.in[2] + first;  // o * s < last
    high = clamp_of(last > 0 ? ceil_div(last, s) : 0, low, g.out[2]);
  }
};

// f(column, x offset in the channel or -1 for a row of zeros, from, to): for each piece of an output row, its first
// column, and the span [from, to) of positions of that row. x offset is that of position 0 of the row.
template <class F>
PYNN_INLINE void for_row_pieces(const ConvGeometry& g, int64_t td, int64_t th, int64_t tw, int64_t p0, int64_t p1,
                                F f) {
  int64_t ow = p0 % g.out[2], oh = p0 / g.out[2] % g.out[1], od = p0 / g.out[2] / g.out[1];
  for (int64_t p = p0; p < p1;) {
    const int64_t n = min_of(g.out[2] - ow, p1 - p);
    const int64_t id = od * g.stride[0] - g.pad[0] + td * g.dilation[0];
    const int64_t ih = oh * g.stride[1] - g.pad[1] + th * g.dilation[1];
    const bool inside = id >= 0 && id < g.in[0] && ih >= 0 && ih < g.in[1];
    f(p - p0, inside, (id * g.in[1] + ih) * g.in[2] - g.pad[2] + tw * g.dilation[2], ow, ow + n);
    p += n;
    ow = 0;
    if (++oh == g.out[1]) oh = 0, ++od;
  }
}

template <class F>
PYNN_INLINE void for_taps(const ConvGeometry& g, F f) {
  int64_t tap = 0;
  for (int64_t td = 0; td < g.kernel[0]; ++td)
    for (int64_t th = 0; th < g.kernel[1]; ++th)
      for (int64_t tw = 0; tw < g.kernel[2]; ++tw) f(tap++, td, th, tw);
}

// x[i * kStep]; n elements of x are there, the others count as 0.
template <int kStep>
PYNN_INLINE VecF load_every(const float* x, int64_t n) {
  constexpr int64_t half = VecF::kSize * kStep / 2;
  if constexpr (kStep == 1)
    return n > 0 ? VecF::load(x, n) : VecF(0.0f);
  else
    return every_second<0>(load_every<kStep / 2>(x, n), load_every<kStep / 2>(x + half, n - half));
}
template <int kStep>
PYNN_INLINE void copy_every(float* to, const float* from, int64_t n) {
  for (int64_t i = 0; i < n; i += VecF::kSize)
    load_every<kStep>(from + kStep * i, kStep * (n - i - 1) + 1).store(to + i, n - i);
}

// to[i] = from[i * step], i < n: calls of memcpy would cost more than such short rows.
template <class E>
PYNN_INLINE void copy_row(E* to, const E* from, int64_t step, int64_t n) {
  if constexpr (std::is_same_v<E, float>) {
    if (step == 1) return copy_every<1>(to, from, n);
    if (step == 2) return copy_every<2>(to, from, n);
    if (step == 4) return copy_every<4>(to, from, n);
  } else if (step == 1) {
    __builtin_memcpy(to, from, static_cast<size_t>(n) * sizeof(E));
    return;
  }
  for (int64_t i = 0; i < n; ++i) to[i] = from[i * step];
}

// Channels [0, channels) of x, pixels [p0, p1), into col[(channel, tap) * ld + p - p0].
template <class E>
void unfold_pixels(const ConvGeometry& g, const E* x, int64_t channels, int64_t p0, int64_t p1, E* col, int64_t ld) {
  const int64_t in = product3(g.in), taps = product3(g.kernel), step = g.stride[2];
  for_taps(g, [&](int64_t tap, int64_t td, int64_t th, int64_t tw) {
    const Inside in_row(g, tw);
    for (int64_t c = 0; c < channels; ++c) {
      E* row = col + (c * taps + tap) * ld;
      const E* from = x + c * in;
      for_row_pieces(g, td, th, tw, p0, p1, [&](int64_t at, bool inside, int64_t offset, int64_t o0, int64_t o1) {
        E* to = row + at - o0;
        const int64_t low = inside ? clamp_of(in_row.low, o0, o1) : o1, high = clamp_of(in_row.high, low, o1);
        for (int64_t o = o0; o < low; ++o) to[o] = E{};
        if (high > low) copy_row(to + low, from + offset + low * step, step, high - low);
        for (int64_t o = high; o < o1; ++o) to[o] = E{};
      });
    }
  });
}

// The adjoint: adds col to x.
template <class T, class Add>
void fold_pixels(const ConvGeometry& g, T* x, int64_t channels, int64_t p0, int64_t p1, const T* col, int64_t ld,
                 Add add) {
  const int64_t in = product3(g.in), taps = product3(g.kernel), step = g.stride[2];
  for_taps(g, [&](int64_t tap, int64_t td, int64_t th, int64_t tw) {
    const Inside in_row(g, tw);
    for (int64_t c = 0; c < channels; ++c) {
      const T* row = col + (c * taps + tap) * ld;
      T* to = x + c * in;
      for_row_pieces(g, td, th, tw, p0, p1, [&](int64_t at, bool inside, int64_t offset, int64_t o0, int64_t o1) {
        if (!inside) return;
        const T* from = row + at - o0;
        const int64_t low = clamp_of(in_row.low, o0, o1), high = clamp_of(in_row.high, low, o1);
        if (step == 1)
          for (int64_t o = low; o < high; ++o) to[offset + o] = add(to[offset + o], from[o]);
        else
          for (int64_t o = low; o < high; ++o) to[offset + o * step] = add(to[offset + o * step], from[o]);
      });
    }
  });
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
