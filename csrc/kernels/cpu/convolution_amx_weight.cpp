// convolution_amx_weight.cpp -- the gradient of the weight for bfloat16 and float32, by AMX.
//
//   dw[tap, ci, co] = sum over pixels of  x[ci, pixel + tap] dy[pixel, co]      32 ci by 32 co, 32 pixels to a step
//
// Parts of x are copied as planes of rows with padding, a plane for each phase of a stride: so a tap reads all pixels
// at one distance, across the rows' ends, where zeros of dy take part. Infinities of x would not stay out there: a
// result that is not finite is computed otherwise. Sums are float32, split by sizes, and added up at the end.
#include "kernels/cpu/convolution_amx.h"

#include "core/parallel.h"

#ifdef PYNN_VEC_DOT

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kPixels = 1024, kPartBytes = 768 << 10;  // of a part, its copies
constexpr int64_t kShares = 8, kSumBytes = 6 << 20;        // of all shares

// to[j] = from[j * step], j < n. Up to `end` may be read.
PYNN_INLINE void copy_every(BFloat16* to, const BFloat16* from, int64_t step, int64_t n, const BFloat16* end) {
  using V = Vec<int16_t>;
  constexpr int64_t W = V::kSize;
  int64_t j = 0;
  for (; j < n && step <= 2 && end - from >= step * (j + W); j += W) {
    const auto* const x = reinterpret_cast<const int16_t*>(from + step * j);
    const V v = step == 1 ? V::load(x) : every_second<0>(V::load(x), V::load(x + W));
    Vec<int32_t>(Vec<int32_t>::Native(v.v)).store(reinterpret_cast<int32_t*>(to + j), (n - j) / 2);
    if (n - j < W && n % 2) to[n - 1].bits = from[step * (n - 1)].bits;  // stores go by words
  }
  for (; j < n; ++j) to[j].bits = from[step * j].bits;
}

// Words of 32 elements, which join neighbours.
PYNN_INLINE void split_pairs(VecF low, VecF high, Magnitude& seen, Vec<int32_t> (&words)[3]) {
  seen.see(low, high);
  split(every_second<0>(low, high), every_second<1>(low, high), words);
}
PYNN_INLINE VecF load_some(const float* x, int64_t n) { return n > 0 ? VecF::load(x, n) : VecF(0.0f); }
PYNN_INLINE VecF of_two(const float* x, int64_t phase) {
  const VecF a = VecF::load(x), b = VecF::load(x + kLanes);
  return phase ? every_second<1>(a, b) : every_second<0>(a, b);
}

// Rows of n pixels of 32 channels, of which `channels` are there, as pairs: word c of line i of to[.., 32] is of
// pixels 2 i, 2 i + 1 of channel c. Lines of the next row are `to_row` further.
PYNN_INLINE void pack_pixels(const BFloat16* x, int64_t channel, int64_t channels, int64_t rows, int64_t n, int32_t* to,
                             int64_t to_row, int64_t, Magnitude&) {
  for (int64_t r = 0; r < rows; ++r)
    pack_groups<Bf16Pairs, kAmxSize>(x + r * n, channel, 1, min_of(kAmxSize, channels), n, to + r * to_row * kAmxSize);
}
PYNN_INLINE void pack_pixels(const float* x, int64_t channel, int64_t channels, int64_t rows, int64_t n, int32_t* to,
                             int64_t to_row, int64_t part, Magnitude& seen) {
  const bool joined = n % 2 == 0;  // pairs end with the rows
  const int64_t run = joined ? rows * n : n, lines = ceil_div(n, 2);
  for (int64_t r = 0; r < (joined ? 1 : rows); ++r)
    for (int64_t half = 0; half < kAmxSize; half += kWords) {
      int32_t* line = to + r * to_row * kAmxSize + half;
      for (int64_t i = 0, l = 0; i < run; i += kAmxSize) {
        Vec<int32_t> v[3 * kWords];
        for (int64_t c = 0; c < kWords; ++c) {
          Vec<int32_t> words[3] = {Vec<int32_t>(0), Vec<int32_t>(0), Vec<int32_t>(0)};
          if (half + c < channels)
            split_pairs(load_some(x + (half + c) * channel + r * n + i, run - i),
                        load_some(x + (half + c) * channel + r * n + i + kLanes, run - i - kLanes), seen, words);
          for (int64_t q = 0; q < 3; ++q) v[q * kWords + c] = words[q];
        }
        for (int64_t q = 0; q < 3; ++q) transpose(v + q * kWords);
        for (int64_t p = 0; p < ceil_div(min_of(run - i, kAmxSize), 2); ++p) {
          for (int64_t q = 0; q < 3; ++q) v[q * kWords + p].store(line + q * part);
          line += kAmxSize;
          if (++l == lines) l = 0, line += (to_row - lines) * kAmxSize;
        }
      }
    }
}

template <class T>
struct AmxWeight {
  const ConvArgs& a;
  const Axis h, w;
  const int64_t taps, blocks, slivers;  // blocks of input channels, slivers of output channels
  const int64_t h_phases, w_phases;     // that are read
  int64_t wide;                         // pixels of a row, even
  int64_t images, height, high;         // of a part: images, rows of outputs, rows of a copy of an image
  int64_t parts, pixels, plane;         // parts; of a part: pixels, elements of a channel's copy
  int64_t shares, runs, size;           // of the parts, of the slivers; sums of a share

  explicit AmxWeight(const ConvArgs& args)
      : a(args),
        h(args.g, 1, true),
        w(args.g, 2, true),
        taps(h.kernel * w.kernel),
        blocks(ceil_div(a.ci, kAmxSize)),
        slivers(ceil_div(a.co, kAmxSize)),
        h_phases(h.kernel == 1 ? 1 : h.stride),
        w_phases(w.kernel == 1 ? 1 : w.stride),
        wide(round_up(ceil_div(reach(w, w.out), w.stride), 2)),
        images(1),
        height(h.out) {
    const auto fit = [&] {
      high = ceil_div(reach(h, height), h.stride);
      pixels = images * high * wide;
      return pixels <= kPixels && 2 * kPartsOf<T> * pixels * (a.ci * h_phases * w_phases + a.co) <= kPartBytes;
    };
    while (!fit() && height > 1) height = ceil_div(height, 2);
    if (height == h.out)
      while (images < a.batch && (++images, !fit())) {
        --images;
        break;
      }
    fit();
    parts = ceil_div(a.batch, images) * ceil_div(h.out, height);
    pixels = round_up(pixels, kAmxSize);
    // An odd number of lines: rows of a register then lie in sets of their own.
    plane = round_up(h_phases * w_phases * images * high * wide + 32, 64) + 32;
    size = slivers * blocks * taps * kAmxSize * kAmxSize;
    shares = clamp_of(min_of(kShares, kSumBytes / 4 / size), 1, parts);
    runs = min_of<int64_t>(slivers, 2 * shares > kShares ? 1 : shares > 1 ? 2 : 4);  // each copies all of x
  }
  // Inputs that n outputs read.
  static int64_t reach(const Axis& d, int64_t n) { return (n - 1) * d.stride + (d.kernel - 1) * d.dilation + 1; }

  int64_t phase_at(int64_t row, int64_t col) const {
    return ((row % h.stride * w_phases + col % w.stride) * images * high + row / h.stride) * wide + col / w.stride;
  }

  int64_t x_part() const { return blocks * kAmxSize * plane + 2 * pixels; }  // of a part of float32
  int64_t dy_part() const { return ceil_div(slivers, runs) * pixels / 2 * kAmxSize; }

  struct Part {
    int64_t n0, n1, h0, h1;
  };
  Part part(int64_t i) const {
    const int64_t high_parts = ceil_div(h.out, height), n0 = i / high_parts * images, h0 = i % high_parts * height;
    return {n0, min_of(a.batch, n0 + images), h0, min_of(h.out, h0 + height)};
  }

  // f(row of x, its image, phase and row of that, first column, columns) for all rows of a channel that a part reads.
  template <class F>
  void for_rows(int64_t group, const Part& p, int64_t c, F f) const {
    const int64_t top = h.first(p.h0), bottom = min_of(h.in, top + reach(h, p.h1 - p.h0));
    for (int64_t n = p.n0; n < p.n1; ++n) {
      const T* const plane_of = static_cast<const T*>(a.x) + ((n * a.groups + group) * a.ci + c) * h.in * w.in;
      for (int64_t r = max_of<int64_t>(0, top); r < bottom; ++r)
        if (const int64_t phase = (r - top) % h.stride; phase < h_phases)
          f(plane_of + r * w.in, n - p.n0, phase, (r - top) / h.stride);
    }
  }

  // [ci, phases, images, rows, columns]
  void load_x(int64_t group, const Part& p, BFloat16* to, Magnitude&) const
    requires(kPartsOf<T> == 1)
  {
    __builtin_memset(static_cast<void*>(to), 0, 2 * static_cast<size_t>(a.ci * plane + pixels));
    const T* const end = static_cast<const T*>(a.x) + a.batch * a.groups * a.ci * h.in * w.in;
    const int64_t left = w.first(0), right = min_of(w.in, left + reach(w, w.out));
    for (int64_t c = 0; c < a.ci; ++c)
      for_rows(group, p, c, [&](const T* x, int64_t image, int64_t h_phase, int64_t row) {
        for (int64_t pw = 0; pw < w_phases; ++pw) {
          const int64_t j0 = ceil_div(max_of<int64_t>(0, -left - pw), w.stride), from = left + pw + j0 * w.stride;
          copy_every(to + c * plane + (((h_phase * w_phases + pw) * images + image) * high + row) * wide + j0, x + from,
                     w.stride, ceil_div(right - from, w.stride), end);
        }
      });
  }

  // [parts, ci, phases, images, rows, columns]. Rows are put next to each other with their padding, and split then:
  // those of two phases of columns at once, more are taken apart before.
  void load_x(int64_t group, const Part& p, BFloat16* to, Magnitude& seen) const
    requires(kPartsOf<T> == 3)
  {
    const int64_t left = w.first(0), c0 = max_of<int64_t>(0, left), c1 = min_of(w.in, left + reach(w, w.out));
    const int64_t run = images * high * wide;  // of a phase
    const bool apart = w.stride > 2 || w_phases < w.stride;
    const Scratch<float> rows(h_phases * w_phases * run + 2 * kAmxSize);
    for (int64_t c = 0; c < a.ci; ++c) {
      __builtin_memset(rows.get(), 0, sizeof(float) * static_cast<size_t>(h_phases * w_phases * run + 2 * kAmxSize));
      for_rows(group, p, c, [&](const float* x, int64_t image, int64_t h_phase, int64_t row) {
        float* const at = rows.get() + h_phase * w_phases * run;
        const int64_t line = image * high + row;
        if (apart) {
          for (int64_t j = c0; j < c1; ++j)
            if (const int64_t phase = (j - left) % w.stride; phase < w_phases)
              at[phase * run + line * wide + (j - left) / w.stride] = x[j];
        } else {
          float* const out = at + line * wide * w_phases - left;
          for (int64_t j = c0; j < c1; j += kLanes) VecF::load(x + j, c1 - j).store(out + j, c1 - j);
        }
      });
      for (int64_t phase = 0; phase < h_phases * w_phases; ++phase)
        for (int64_t i = 0; i < run; i += kAmxSize) {
          Vec<int32_t> words[3];
          if (apart || w_phases == 1)
            split_pairs(VecF::load(rows.get() + phase * run + i), VecF::load(rows.get() + phase * run + i + kLanes),
                        seen, words);
          else
            split_pairs(of_two(rows.get() + phase / 2 * 2 * run + 2 * i, phase % 2),
                        of_two(rows.get() + phase / 2 * 2 * run + 2 * (i + kLanes), phase % 2), seen, words);
          auto* const out = reinterpret_cast<int32_t*>(to + c * plane + phase * run + i);
          for (int64_t q = 0; q < 3; ++q) words[q].store(out + q * x_part() / 2, min_of(kAmxSize, run - i) / 2);
        }
      for (int64_t q = 0; q < 3; ++q)  // behind the last phase, where sums go on with zeros of dy
        __builtin_memset(static_cast<void*>(to + q * x_part() + c * plane + h_phases * w_phases * run), 0,
                         2 * static_cast<size_t>(plane - h_phases * w_phases * run));
    }
    for (int64_t q = 0; q < 3; ++q)
      __builtin_memset(static_cast<void*>(to + q * x_part() + a.ci * plane), 0, 2 * static_cast<size_t>(pixels));
  }

  // [parts, slivers, pairs of pixels, 32 channels]
  void load_dy(int64_t group, const Part& p, int64_t s0, int64_t s1, int32_t* to, Magnitude& seen) const {
    for (int64_t q = 0; q < kPartsOf<T>; ++q)
      __builtin_memset(to + q * dy_part(), 0, 2 * static_cast<size_t>((s1 - s0) * pixels * kAmxSize));
    const auto* const y = static_cast<const T*>(a.y);
    for (int64_t s = s0; s < s1; ++s, to += pixels / 2 * kAmxSize)
      for (int64_t n = p.n0; n < p.n1; ++n)
        pack_pixels(y + (((n * a.groups + group) * a.co + s * kAmxSize) * h.out + p.h0) * w.out, h.out * w.out,
                    a.co - s * kAmxSize, p.h1 - p.h0, w.out, to + (n - p.n0) * high * wide / 2 * kAmxSize, wide / 2,
                    dy_part(), seen);
  }

  void multiply(int64_t s0, int64_t s1, const BFloat16* x, const int32_t* dy, const AmxStep* steps, float* sums,
                bool first) const {
    for (int64_t s = s0; s < s1; ++s)
      for (int64_t b = 0; b < blocks; ++b) {
        const auto block = a.ci - b * kAmxSize > kAmxSize / 2 ? conv_amx_block<T, true> : conv_amx_block<T, false>;
        for (int64_t tap = 0; tap < taps; ++tap) {
          const int64_t row = tap / w.kernel * h.dilation, col = tap % w.kernel * w.dilation;
          block(steps, pixels / kAmxSize, reinterpret_cast<const char*>(x + b * kAmxSize * plane + phase_at(row, col)),
                2 * plane, 2 * x_part(), reinterpret_cast<const char*>(dy + (s - s0) * pixels / 2 * kAmxSize),
                4 * dy_part(), reinterpret_cast<char*>(sums + ((s * blocks + b) * taps + tap) * kAmxSize * kAmxSize),
                4 * kAmxSize, first);
        }
      }
  }

  // All shares of some output channels, by a block of input channels and all taps.
  void store(int64_t group, const float* sums, int64_t i, VecF& check) const {
    const int64_t b = i % blocks, co = i / blocks * kLanes;
    if (co >= a.co) return;
    const float* const from = sums + (co / kAmxSize * blocks + b) * taps * kAmxSize * kAmxSize + co % kAmxSize;
    int64_t c = 0, tap = 0;
    store_transposed(static_cast<T*>(a.w) + ((group * a.co + co) * a.ci + b * kAmxSize) * taps, a.ci * taps,
                     min_of(kLanes, a.co - co), min_of(kAmxSize, a.ci - b * kAmxSize) * taps, [&](int64_t) {
                       const float* const at = from + (tap * kAmxSize + c) * kAmxSize;
                       VecF sum = VecF::load(at);
                       for (int64_t s = 1; s < shares; ++s) sum += VecF::load(at + s * size);
                       if (++tap == taps) tap = 0, ++c;
                       check += sum * VecF(0.0f);
                       return sum;
                     });
  }

  bool run() const {
    int bad = 0;
    const Scratch<float> sums(shares * size);
    const double ns =
        (kPartsOf<T> == 3 ? 3e-3 : 6e-4) * static_cast<double>(size) * static_cast<double>(parts * pixels);
    for (int64_t group = 0; group < a.groups; ++group) {
      parallel_for(0, shares * runs, grain_for(ns / static_cast<double>(shares * runs)),
                   [&](int64_t begin, int64_t end) {
                     const Scratch<BFloat16> x(kPartsOf<T> * x_part());
                     const Scratch<int32_t> dy(kPartsOf<T> * dy_part());
                     const Scratch<AmxStep> steps(pixels / kAmxSize);
                     for (int64_t i = 0; i < pixels / kAmxSize; ++i) steps[i] = {i * kAmxLine, i * kAmxLine * kAmxSize};
                     const AmxRegisters registers;
                     for (int64_t task = begin; task < end; ++task) {
                       const int64_t share = task / runs, run = task % runs, s0 = slivers * run / runs,
                                     s1 = slivers * (run + 1) / runs;
                       const int64_t first = parts * share / shares, last = parts * (share + 1) / shares;
                       for (int64_t i = first; i < last; ++i) {
                         const Part p = part(i);
                         Magnitude of_x, of_dy;
                         load_x(group, p, x.get(), of_x);
                         load_dy(group, p, s0, s1, dy.get(), of_dy);
                         if (kPartsOf<T> == 3 && !splits(of_x.most(), of_dy.most()))
                           __atomic_store_n(&bad, 1, __ATOMIC_RELAXED);
                         multiply(s0, s1, x.get(), dy.get(), steps.get(), sums.get() + share * size, i == first);
                       }
                     }
                   });
      parallel_for(0, slivers * 2 * blocks, grain_for(static_cast<double>(shares * taps * kAmxSize)),
                   [&](int64_t begin, int64_t end) {
                     VecF check(0.0f);
                     for (int64_t i = begin; i < end; ++i) store(group, sums.get(), i, check);
                     if (any(check != check)) __atomic_store_n(&bad, 1, __ATOMIC_RELAXED);
                   });
    }
    return !bad;
  }
};

}  // namespace

bool amx_backward_weight(const ConvArgs& a) {
  if (!fits_amx(a)) return false;
  return a.dtype == DType::Float32 ? AmxWeight<float>(a).run() : AmxWeight<BFloat16>(a).run();
}

}  // namespace PYNN_CPU_NAMESPACE
#else
namespace PYNN_CPU_NAMESPACE {
bool amx_backward_weight(const ConvArgs&) { return false; }
}  // namespace PYNN_CPU_NAMESPACE
#endif
