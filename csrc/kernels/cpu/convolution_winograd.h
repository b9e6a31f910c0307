// convolution_winograd.h -- Winograd's F(4, 3): 3x3 convolution of stride 1 in tiles of 4x4 results.
//
//   Y = A^T [ sum_ci (G w G^T) . (B^T x B) ] A          x: 6x6 pixels, Y: 4x4 pixels, . by elements: 36 products
//   dw = G^T [ sum_tiles (A dy A^T) . (B^T x B) ] G     dx: as Y, of dy and the flipped weight
//
// 36 multiplications do the work of 144. Each of the 36 is a product of matrices over channels (convolution_tile.h):
//
//   V [36, blocks of ci, tiles, lanes]   U [36, ci, wide], Z [36, tiles, wide], M [36, tiles, wide] of a group of co
//
// The polynomials behind it are evaluated at 0, +-3/4, +-3/2 and infinity: with these the error is about twice that of
// the direct sum, where the usual 0, +-1, +-2 lose a digit (docs/notes/convolution.md). Transforms run over lanes of
// channels.
#pragma once
#include "core/parallel.h"
#include "kernels/cpu/convolution_paths.h"
#include "kernels/cpu/convolution_tile.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kApart = 16;  // elements between points: each then has cache sets of its own
constexpr int64_t kPoints = 36, kPart = kPoints * static_cast<int64_t>(sizeof(float));
constexpr float kA = 0.75f, kB = 1.5f, kA2 = kA * kA, kB2 = kB * kB, kA3 = kA2 * kA, kB3 = kB2 * kB;
constexpr float kN0 = 1 / (kA2 * kB2), kNA = 1 / (2 * kA2 * (kA2 - kB2)), kNB = 1 / (2 * kB2 * (kB2 - kA2));

// ---- transforms of one dim ----------------------------------------------------------------------------------------

PYNN_INLINE void input_points(const VecF* d, VecF* r) {
  const VecF a(kA), b(kB), a2(kA2), b2(kB2);
  const VecF ea = fnma(b2, d[2], d[4]), oa = fnma(b2, d[1], d[3]), eb = fnma(a2, d[2], d[4]), ob = fnma(a2, d[1], d[3]);
  r[0] = fma(VecF(kA2 * kB2), d[0], fnma(VecF(kA2 + kB2), d[2], d[4]));
  r[1] = fma(a, oa, ea);
  r[2] = fnma(a, oa, ea);
  r[3] = fma(b, ob, eb);
  r[4] = fnma(b, ob, eb);
  r[5] = fma(VecF(kA2 * kB2), d[1], fnma(VecF(kA2 + kB2), d[3], d[5]));
}
PYNN_INLINE void weight_points(VecF w0, VecF w1, VecF w2, VecF* r) {
  const VecF ea = fma(VecF(kA2), w2, w0) * VecF(kNA), eb = fma(VecF(kB2), w2, w0) * VecF(kNB);
  const VecF oa = w1 * VecF(kA * kNA), ob = w1 * VecF(kB * kNB);
  r[0] = w0 * VecF(kN0);
  r[1] = ea + oa;
  r[2] = ea - oa;
  r[3] = eb + ob;
  r[4] = eb - ob;
  r[5] = w2;
}
PYNN_INLINE void output_values(const VecF* m, VecF* y) {
  const VecF sa = m[1] + m[2], da = m[1] - m[2], sb = m[3] + m[4], db = m[3] - m[4];
  y[0] = m[0] + sa + sb;
  y[1] = fma(VecF(kB), db, VecF(kA) * da);
  y[2] = fma(VecF(kB2), sb, VecF(kA2) * sa);
  y[3] = fma(VecF(kB3), db, fma(VecF(kA3), da, m[5]));
}
PYNN_INLINE void output_points(const VecF* y, VecF* r) {
  const VecF ea = fma(VecF(kA2), y[2], y[0]), oa = fma(VecF(kA2), y[3], y[1]);
  const VecF eb = fma(VecF(kB2), y[2], y[0]), ob = fma(VecF(kB2), y[3], y[1]);
  r[0] = y[0];
  r[1] = fma(VecF(kA), oa, ea);
  r[2] = fnma(VecF(kA), oa, ea);
  r[3] = fma(VecF(kB), ob, eb);
  r[4] = fnma(VecF(kB), ob, eb);
  r[5] = y[3];
}
PYNN_INLINE void weight_values(const VecF* p, VecF* w) {
  const VecF sa = p[1] + p[2], da = p[1] - p[2], sb = p[3] + p[4], db = p[3] - p[4];
  w[0] = fma(VecF(kNB), sb, fma(VecF(kNA), sa, VecF(kN0) * p[0]));
  w[1] = fma(VecF(kB * kNB), db, VecF(kA * kNA) * da);
  w[2] = fma(VecF(kB2 * kNB), sb, fma(VecF(kA2 * kNA), sa, p[5]));
}

// Tasks that own groups of channels transform all of the input each: a tile costs 150 vector operations, its products
// with a group 1,200. Sharing V was slower, as half of it came from another core. So there is one task per thread, or
// more where that costs 3 % only.
PYNN_INLINE int64_t own_input_grain(int64_t groups, int64_t at_once = 1) {
  return min_of(ceil_div(groups, num_threads()), 4 * at_once);
}

// Of any thread.
PYNN_INLINE void report(VecF check, int* bad) {
  if (any(check != check)) __atomic_store_n(bad, 1, __ATOMIC_RELAXED);
}

// ---- planes -------------------------------------------------------------------------------------------------------

struct Plane {
  int64_t h, w;
  Steps steps;
};

// f(row of tiles, block of channels) for all of them, in the order of memory: channels last, all blocks of some pixels
// while these are in the caches.
template <class F>
PYNN_INLINE void for_tiles(const Plane& p, int64_t r0, int64_t r1, int64_t b0, int64_t b1, F f) {
  if (p.steps.channel == 1) {
    for (int64_t r = r0; r < r1; ++r)
      for (int64_t b = b0; b < b1; ++b) f(r, b);
  } else {
    for (int64_t b = b0; b < b1; ++b)
      for (int64_t r = r0; r < r1; ++r) f(r, b);
  }
}

// Rows [first, first + rows) and columns from `left` on of a block of channels, zero outside: to[rows, columns, lanes].
void load_rows(const float* x, Plane p, int64_t lanes, int64_t first, int64_t left, int64_t rows, int64_t columns,
               float* to) {
  constexpr int64_t W = kLanes;
  const VecF zero(0.0f);
  const int64_t r0 = min_of(max_of<int64_t>(0, -first), rows), r1 = max_of(r0, min_of(rows, p.h - first));
  for (int64_t r = 0; r < rows; ++r) {
    float* row = to + r * columns * W;
    const bool inside = r >= r0 && r < r1;
    for (int64_t j = 0; j < (inside ? -left : columns); ++j) zero.store(row + j * W);
    for (int64_t j = p.w - left; inside && j < columns; ++j) zero.store(row + j * W);
  }
  if (r1 == r0) return;
  float* row = to + (r0 * columns - left) * W;
  int64_t j = 0;
  for_pixels(x + (first + r0) * p.w * p.steps.pixel, p.steps, lanes, (r1 - r0) * p.w, [&](int64_t, VecF v) {
    v.store(row + j * W);
    if (++j == p.w) j = 0, row += columns * W;
  });
}

// V of one row of tiles for one block of channels: to[point * step + tile * W]. strip: [6, 4 tiles + 2, W].
void input_tiles(const float* x, Plane p, int64_t lanes, int64_t first, int64_t left, int64_t tiles, float* strip,
                 float* to, int64_t step) {
  constexpr int64_t W = kLanes;
  const int64_t columns = 4 * tiles + 2, pitch = columns * W;
  load_rows(x, p, lanes, first, left, 6, columns, strip);
  VecF d[6], r[6];
  for (int64_t j = 0; j < columns; ++j) {
    float* at = strip + j * W;
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) d[i] = VecF::load(at + i * pitch);
    input_points(d, r);
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) r[i].store(at + i * pitch);
  }
  for (int i = 0; i < 6; ++i) {
    const float* at = strip + i * pitch;
    float* out = to + i * 6 * step;
    for (int64_t t = 0; t < tiles; ++t) {
#pragma GCC unroll 6
      for (int j = 0; j < 6; ++j) d[j] = VecF::load(at + (4 * t + j) * W);
      input_points(d, r);
#pragma GCC unroll 6
      for (int j = 0; j < 6; ++j) r[j].store(out + j * step + t * W);
    }
  }
}

// A dy A^T of one row of tiles: to[point * step + tile * pitch]. strip: [6, 4 tiles, W].
[[maybe_unused]] void gradient_tiles(const float* dy, Plane p, int64_t lanes, int64_t first, int64_t tiles,
                                     float* strip, float* to, int64_t step, int64_t to_pitch) {
  constexpr int64_t W = kLanes;
  const int64_t columns = 4 * tiles, pitch = columns * W;
  load_rows(dy, p, lanes, first, 0, 4, columns, strip);
  VecF d[4], r[6];
  for (int64_t j = 0; j < columns; ++j) {
    float* at = strip + j * W;
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) d[i] = VecF::load(at + i * pitch);
    output_points(d, r);
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) r[i].store(at + i * pitch);
  }
  for (int i = 0; i < 6; ++i) {
    const float* at = strip + i * pitch;
    float* out = to + i * 6 * step;
    for (int64_t t = 0; t < tiles; ++t) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) d[j] = VecF::load(at + (4 * t + j) * W);
      output_points(d, r);
#pragma GCC unroll 6
      for (int j = 0; j < 6; ++j) r[j].store(out + j * step + t * to_pitch);
    }
  }
}

// Results of one row of tiles for one block of channels: m[point * step + tile * kWide] into y's rows from `first` on.
// strip: [4, width, W]. `check` becomes NaN where a result is not finite.
[[maybe_unused]] void output_tiles(const float* m, int64_t step, int64_t tiles, float* y, Plane p, int64_t lanes,
                                   int64_t first, VecF bias, VecF low, float* strip, VecF& check) {
  constexpr int64_t W = kLanes;
  const int64_t rows = min_of<int64_t>(4, p.h - first);
  VecF d[6], r[4], t[4][6];
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const float* at = m + tile * kWide;
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i) d[i] = VecF::load(at + (i * 6 + j) * step);
      output_values(d, r);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) t[i][j] = r[i];
    }
    const int64_t columns = min_of<int64_t>(4, p.w - 4 * tile);
    float* to = strip + 4 * tile * W;
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      if (i >= rows) break;
      output_values(t[i], r);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        if (j >= columns) break;
        const VecF v = r[j] + bias;
        check = fma(v, VecF(0.0f), check);
        max(low, v).store(to + (i * p.w + j) * W);
      }
    }
  }
  store_pixels(y + first * p.w * p.steps.pixel, p.steps, lanes, rows * p.w,
               [&](int64_t j) { return VecF::load(strip + j * W); });
}

// U of terms [from, end) of one group of channels: to[point * step + (term - from) * kWide], of the weight or flipped.
[[maybe_unused]] void weight_tiles(const WeightView& w, int64_t lane0, int64_t from, int64_t end, bool flip, float* to,
                                   int64_t step) {
  constexpr int64_t run = 32;
  float packed[9 * run * kWide];
  const int64_t halves = w.lanes - lane0 > kLanes ? 2 : 1;
  for (int64_t k0 = from; k0 < end; k0 += run) {
    const int64_t n = min_of(run, end - k0);
    w.pack(lane0, k0, k0 + n, packed);
    for (int64_t k = 0; k < n; ++k)
      for (int64_t v = 0; v < halves; ++v) {
        const float* at = packed + k * kWide + v * kLanes;
        VecF t[6][3], r[6];
#pragma GCC unroll 3
        for (int j = 0; j < 3; ++j) {
          VecF x[3];
#pragma GCC unroll 3
          for (int i = 0; i < 3; ++i) x[i] = VecF::load(at + (flip ? 8 - (i * 3 + j) : i * 3 + j) * n * kWide);
          weight_points(x[0], x[1], x[2], r);
#pragma GCC unroll 6
          for (int i = 0; i < 6; ++i) t[i][j] = r[i];
        }
        float* out = to + (k0 - from + k) * kWide + v * kLanes;
#pragma GCC unroll 6
        for (int i = 0; i < 6; ++i) {
          weight_points(t[i][0], t[i][1], t[i][2], r);
#pragma GCC unroll 6
          for (int j = 0; j < 6; ++j) r[j].store(out + (i * 6 + j) * step);
        }
      }
  }
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
