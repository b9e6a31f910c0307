// convolution_winograd.cpp -- 3x3 convolution of stride 1 in tiles of 4x4 results, by Winograd's F(4, 3).
//
//   Y = A^T [ sum_ci (G w G^T) . (B^T x B) ] A          x: 6x6 pixels, Y: 4x4 pixels, . by elements: 36 products
//   dw = G^T [ sum_tiles (A dy A^T) . (B^T x B) ] G     dx: as Y, of dy and the flipped weight
//
// 36 multiplications do the work of 144. Each of the 36 is a product of matrices over channels (convolution_tile.h):
//
//   V [36, blocks of ci, tiles, lanes]   U [36, groups of co, ci, wide]   M [36, groups of co, tiles, wide]
//
// The polynomials behind it are evaluated at 0, +-3/4, +-3/2 and infinity: with these the error is about twice that of
// the direct sum (docs/notes/convolution.md), where the usual 0, +-1, +-2 lose a digit. Transforms run over lanes of
// channels. Sums depend on sizes alone, so the bits do not depend on the threads.
#include "core/parallel.h"
#include "kernels/cpu/convolution_paths.h"
#include "kernels/cpu/convolution_tile.h"
#include "kernels/cpu/scratch.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kPoints = 36, kPart = kPoints * static_cast<int64_t>(sizeof(float));
constexpr float kA = 0.75f, kB = 1.5f, kA2 = kA * kA, kB2 = kB * kB, kA3 = kA2 * kA, kB3 = kB2 * kB;
constexpr float kN0 = 1 / (kA2 * kB2), kNA = 1 / (2 * kA2 * (kA2 - kB2)), kNB = 1 / (2 * kB2 * (kB2 - kA2));

// Bytes of: V of a task, M of a task, all of V and Z, U or P of a chunk of output channels.
constexpr int64_t kTaskInput = 640 << 10, kTaskOutput = 512 << 10, kAllInput = 12 << 20, kChunk = 16 << 20;
constexpr int64_t kFewBlocks = 4;

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

// Of any thread.
PYNN_INLINE void report(VecF check, int* bad) {
  if (any(check != check)) __atomic_store_n(bad, 1, __ATOMIC_RELAXED);
}

// ---- planes -------------------------------------------------------------------------------------------------------

struct Plane {
  int64_t h, w;
  int64_t size() const { return h * w; }
};

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
  for_transposed(x + (first + r0) * p.w, p.size(), lanes, (r1 - r0) * p.w, [&](int64_t, VecF v) {
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
void gradient_tiles(const float* dy, Plane p, int64_t lanes, int64_t first, int64_t tiles, float* strip, float* to,
                    int64_t step, int64_t to_pitch) {
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
void output_tiles(const float* m, int64_t step, int64_t tiles, float* y, Plane p, int64_t lanes, int64_t first,
                  VecF bias, float* strip, VecF& check) {
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
        v.store(to + (i * p.w + j) * W);
      }
    }
  }
  store_transposed(y + first * p.w, p.size(), lanes, rows * p.w, [&](int64_t j) { return VecF::load(strip + j * W); });
}

// U of one group of channels: to[point * step + term * kWide], point (i, j) of the weight or of the flipped one.
void weight_tiles(const WeightView& w, int64_t lane0, bool flip, float* to, int64_t step) {
  constexpr int64_t run = 32;
  float packed[9 * run * kWide];
  const int64_t halves = w.lanes - lane0 > kLanes ? 2 : 1;
  for (int64_t k0 = 0; k0 < w.terms; k0 += run) {
    const int64_t n = min_of(run, w.terms - k0);
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
        float* out = to + (k0 + k) * kWide + v * kLanes;
#pragma GCC unroll 6
        for (int i = 0; i < 6; ++i) {
          weight_points(t[i][0], t[i][1], t[i][2], r);
#pragma GCC unroll 6
          for (int j = 0; j < 6; ++j) r[j].store(out + (i * 6 + j) * step);
        }
      }
  }
}

// ---- forward, and backward with respect to the input --------------------------------------------------------------

struct Winograd {
  const ConvArgs& a;
  const bool forward;
  const Plane in, out;
  const int64_t top, left, terms, channels;  // padding in front; channels summed over, channels of results
  const int64_t down, across, tile_rows;     // tiles of an image, rows of tiles of all images
  const int64_t blocks, groups;              // of terms, of results
  int64_t height, tiles, tasks;              // of a task: rows of tiles, tiles; how many tasks

  Winograd(const ConvArgs& args, bool forward_)
      : a(args),
        forward(forward_),
        in{forward ? a.g.in[1] : a.g.out[1], forward ? a.g.in[2] : a.g.out[2]},
        out{forward ? a.g.out[1] : a.g.in[1], forward ? a.g.out[2] : a.g.in[2]},
        top(forward ? a.g.pad[1] : 2 - a.g.pad[1]),
        left(forward ? a.g.pad[2] : 2 - a.g.pad[2]),
        terms(forward ? a.ci : a.co),
        channels(forward ? a.co : a.ci),
        down(ceil_div(out.h, 4)),
        across(ceil_div(out.w, 4)),
        tile_rows(a.batch * down),
        blocks(ceil_div(terms, kLanes)),
        groups(ceil_div(channels, kWide)) {
    const int64_t most = max_of<int64_t>(1, kTaskInput / (kPart * blocks * kLanes * across));
    tasks = ceil_div(tile_rows, min_of(most, max_of<int64_t>(1, tile_rows / (2 * kFewBlocks))));
    if (tile_rows * across < 8 * kTileRows) tasks = ceil_div(tile_rows, most);  // too few to cut further
    height = ceil_div(tile_rows, tasks);
    tasks = ceil_div(tile_rows, height);
    tiles = height * across;
  }

  int64_t input_size() const { return kPoints * blocks * tiles * kLanes; }
  int64_t weight_size() const { return kPoints * terms * kWide; }  // of a group
  int64_t output_groups() const { return max_of<int64_t>(1, kTaskOutput / (kPart * tiles * kWide)); }
  int64_t strip_size() const { return 6 * (4 * across + 2) * kLanes; }

  void transform_input(int64_t group, int64_t task, int64_t block, float* strip, float* v) const {
    const float* x = static_cast<const float*>(forward ? a.x : a.y);
    const int64_t r0 = task * height, r1 = min_of(tile_rows, r0 + height), c0 = block * kLanes;
    for (int64_t r = r0; r < r1; ++r) {
      const float* from = x + ((r / down * a.groups + group) * terms + c0) * in.size();
      input_tiles(from, in, min_of(kLanes, terms - c0), r % down * 4 - top, -left, across, strip,
                  v + (block * tiles + (r - r0) * across) * kLanes, blocks * tiles * kLanes);
    }
  }

  WeightView weights(int64_t group) const {
    return {static_cast<const float*>(a.w) + group * a.co * a.ci * 9, a.co, a.ci, 9, forward};
  }

  // Products and results of the groups of channels [g0, g1); u: that of g0, m: scratch.
  void multiply(int64_t group, int64_t task, int64_t g0, int64_t g1, const float* v, const float* u, float* m,
                float* strip, const Segment* segments, VecF& check) const {
    const int64_t r0 = task * height, r1 = min_of(tile_rows, r0 + height), n = (r1 - r0) * across;
    const int64_t m_step = (g1 - g0) * tiles * kWide;
    for (int64_t point = 0; point < kPoints; ++point)
      for (int64_t g = g0; g < g1; ++g)
        conv_rows(segments, blocks, v + point * blocks * tiles * kLanes, n,
                  u + (g - g0) * weight_size() + point * terms * kWide, channels - g * kWide,
                  m + point * m_step + (g - g0) * tiles * kWide, kWide, nullptr);
    float* y = static_cast<float*>(forward ? a.y : a.x);
    const float* bias = static_cast<const float*>(a.bias);
    for (int64_t c0 = g0 * kWide; c0 < min_of(channels, g1 * kWide); c0 += kLanes) {
      const int64_t lanes = min_of(kLanes, channels - c0);
      const VecF b = bias ? VecF::load(bias + group * channels + c0, lanes) : VecF(0.0f);
      const float* from = m + (c0 / kWide - g0) * tiles * kWide + c0 % kWide;
      for (int64_t r = r0; r < r1; ++r)
        output_tiles(from + (r - r0) * across * kWide, m_step, across,
                     y + ((r / down * a.groups + group) * channels + c0) * out.size(), out, lanes, r % down * 4, b,
                     strip, check);
    }
  }

  // Many rows of tiles: tasks own some of them, the weights of a chunk of channels are shared. Few rows: tasks own
  // channels, their weights too, and the transformed input is shared.
  bool run() const {
    int bad = 0;
    const Scratch<Segment> segments(blocks);
    for (int64_t b = 0; b < blocks; ++b)
      segments[b] = {b * tiles * kLanes, b * kLanes * kWide, min_of(kLanes, terms - b * kLanes)};
    for (int64_t group = 0; group < a.groups; ++group)
      tasks >= kFewBlocks ? by_rows(group, segments.get(), &bad) : by_channels(group, segments.get(), &bad);
    return bad == 0;
  }

  void by_rows(int64_t group, const Segment* segments, int* bad) const {
    const int64_t chunk = min_of(groups, max_of<int64_t>(1, kChunk / (kPart * terms * kWide)));
    const Scratch<float> u(chunk * weight_size());
    for (int64_t g0 = 0; g0 < groups; g0 += chunk) {
      const int64_t g1 = min_of(groups, g0 + chunk);
      parallel_for(g0, g1, grain_for(static_cast<double>(terms) * 100), [&](int64_t begin, int64_t end) {
        for (int64_t g = begin; g < end; ++g)
          weight_tiles(weights(group), g * kWide, !forward, u.get() + (g - g0) * weight_size(), terms * kWide);
      });
      parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
        const int64_t part = min_of(output_groups(), g1 - g0);
        const Scratch<float> strip(strip_size()), v(input_size()), m(kPoints * part * tiles * kWide);
        VecF check(0.0f);
        for (int64_t task = begin; task < end; ++task) {
          for (int64_t b = 0; b < blocks; ++b) transform_input(group, task, b, strip.get(), v.get());
          for (int64_t g = g0; g < g1; g += part)
            multiply(group, task, g, min_of(g1, g + part), v.get(), u.get() + (g - g0) * weight_size(), m.get(),
                     strip.get(), segments, check);
        }
        report(check, bad);
      });
    }
  }

  void by_channels(int64_t group, const Segment* segments, int* bad) const {
    const Scratch<float> v(tasks * input_size());
    parallel_for(0, tasks * blocks, grain_for(static_cast<double>(tiles) * 80), [&](int64_t begin, int64_t end) {
      const Scratch<float> strip(strip_size());
      for (int64_t i = begin; i < end; ++i)
        transform_input(group, i / blocks, i % blocks, strip.get(), v.get() + i / blocks * input_size());
    });
    parallel_for(0, groups, 1, [&](int64_t begin, int64_t end) {
      const Scratch<float> strip(strip_size()), u(weight_size()), m(kPoints * tiles * kWide);
      VecF check(0.0f);
      for (int64_t g = begin; g < end; ++g) {
        weight_tiles(weights(group), g * kWide, !forward, u.get(), terms * kWide);
        for (int64_t task = 0; task < tasks; ++task)
          multiply(group, task, g, g + 1, v.get() + task * input_size(), u.get(), m.get(), strip.get(), segments,
                   check);
      }
      report(check, bad);
    });
  }
};

}  // namespace

bool winograd_forward(const ConvArgs& a) { return Winograd(a, true).run(); }
bool winograd_backward_input(const ConvArgs& a) { return Winograd(a, false).run(); }

// ---- backward with respect to the weight --------------------------------------------------------------------------

// Rows of tiles in rounds whose V and Z are bounded; in each, one task per point and group of output channels adds to
// P [groups, 36, blocks of ci, lanes, wide].
bool winograd_backward_weight(const ConvArgs& a) {
  const Plane in{a.g.in[1], a.g.in[2]}, out{a.g.out[1], a.g.out[2]};
  const int64_t down = ceil_div(out.h, 4), across = ceil_div(out.w, 4), tile_rows = a.batch * down;
  const int64_t blocks = ceil_div(a.ci, kLanes), groups = ceil_div(a.co, kWide);
  const int64_t chunk = min_of(groups, max_of<int64_t>(1, kChunk / (kPart * blocks * kLanes * kWide)));
  const int64_t most = max_of<int64_t>(1, kAllInput / (kPart * (blocks * kLanes + chunk * kWide) * across));
  const int64_t rounds = ceil_div(tile_rows, most), height = ceil_div(tile_rows, rounds), tiles = height * across;
  const int64_t v_step = blocks * tiles * kLanes, z_step = chunk * tiles * kWide, p_size = blocks * kLanes * kWide;
  const Scratch<float> v(kPoints * v_step), z(kPoints * z_step), p(chunk * kPoints * p_size);
  int bad = 0;
  for (int64_t group = 0; group < a.groups; ++group)
    for (int64_t g0 = 0; g0 < groups; g0 += chunk) {
      const int64_t g1 = min_of(groups, g0 + chunk), halves = ceil_div(min_of(a.co, g1 * kWide) - g0 * kWide, kLanes);
      for (int64_t r0 = 0; r0 < tile_rows; r0 += height) {
        const int64_t r1 = min_of(tile_rows, r0 + height);
        // One row of tiles of one block of channels, of x or dy.
        parallel_for(
            0, (r1 - r0) * (blocks + halves), grain_for(static_cast<double>(across) * 80),
            [&](int64_t begin, int64_t end) {
              const Scratch<float> strip(6 * (4 * across + 2) * kLanes);
              for (int64_t i = begin; i < end; ++i) {
                const int64_t r = r0 + i / (blocks + halves), b = i % (blocks + halves);
                const int64_t image = r / down * a.groups + group, at = (r - r0) * across;
                if (b < blocks)
                  input_tiles(static_cast<const float*>(a.x) + (image * a.ci + b * kLanes) * in.size(), in,
                              min_of(kLanes, a.ci - b * kLanes), r % down * 4 - a.g.pad[1], -a.g.pad[2], across,
                              strip.get(), v.get() + (b * tiles + at) * kLanes, v_step);
                else
                  gradient_tiles(
                      static_cast<const float*>(a.y) + (image * a.co + g0 * kWide + (b - blocks) * kLanes) * out.size(),
                      out, min_of(kLanes, a.co - g0 * kWide - (b - blocks) * kLanes), r % down * 4, across, strip.get(),
                      z.get() + ((b - blocks) / 2 * tiles + at) * kWide + (b - blocks) % 2 * kLanes, z_step, kWide);
              }
            });
        const double cost = static_cast<double>((r1 - r0) * across * blocks * kLanes) / 2;
        parallel_for(0, (g1 - g0) * kPoints, grain_for(cost), [&](int64_t begin, int64_t end) {
          const Segment all{0, 0, (r1 - r0) * across};
          for (int64_t i = begin; i < end; ++i) {
            const int64_t g = i / kPoints, point = i % kPoints;
            for (int64_t b = 0; b < blocks; ++b)
              conv_sums(&all, 1, v.get() + point * v_step + b * tiles * kLanes, min_of(kLanes, a.ci - b * kLanes),
                        z.get() + point * z_step + g * tiles * kWide, a.co - (g0 + g) * kWide,
                        p.get() + i * p_size + b * kLanes * kWide, r0 == 0);
          }
        });
      }
      parallel_for(0, halves * blocks, grain_for(static_cast<double>(kLanes) * 40), [&](int64_t begin, int64_t end) {
        VecF values[kLanes * 9], check(0.0f);
        for (int64_t i = begin; i < end; ++i) {
          const int64_t half = i / blocks, b = i % blocks, co = g0 * kWide + half * kLanes, ci = b * kLanes;
          const int64_t n = min_of(kLanes, a.ci - ci);
          const float* from = p.get() + half / 2 * kPoints * p_size + half % 2 * kLanes + ci * kWide;
          for (int64_t c = 0; c < n; ++c) {
            VecF d[6], r[3], t[3][6];
#pragma GCC unroll 6
            for (int y = 0; y < 6; ++y) {
#pragma GCC unroll 6
              for (int x = 0; x < 6; ++x) d[x] = VecF::load(from + (x * 6 + y) * p_size + c * kWide);
              weight_values(d, r);
#pragma GCC unroll 3
              for (int x = 0; x < 3; ++x) t[x][y] = r[x];
            }
#pragma GCC unroll 3
            for (int x = 0; x < 3; ++x) {
              weight_values(t[x], values + c * 9 + x * 3);
              for (int y = 0; y < 3; ++y) check = fma(values[c * 9 + x * 3 + y], VecF(0.0f), check);
            }
          }
          store_transposed(static_cast<float*>(a.w) + ((group * a.co + co) * a.ci + ci) * 9, a.ci * 9,
                           min_of(kLanes, a.co - co), n * 9, [&](int64_t j) { return values[j]; });
        }
        report(check, &bad);
      });
    }
  return bad == 0;
}

}  // namespace PYNN_CPU_NAMESPACE
