// convolution_amx.cpp -- convolution of bfloat16 by AMX, and its adjoint with respect to the input.
//
//   y[q, co] = sum over taps and blocks of ci of  copy[q + tap, ci] w[tap, ci, co]      q: 32 pixels, 32 co at a time
//
// A part of an image is copied as [block of channels, row, column, lanes] with its padding: a pixel is a row of AMX's
// A. Outputs are numbered through the copy's rows, so that each tap reads all of them at one distance, even across the
// rows' ends; what that gives beyond a row's end is dropped. So no unfolded matrix exists. Strides are steps between
// the rows of A; rows of pixels that a stride parts stand in phases. Few channels: a step joins the taps of a row.
// Sums are float32; results are transposed back.
#include "kernels/cpu/convolution_amx.h"

#include "core/parallel.h"

#ifdef PYNN_VEC_DOT

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kCopyBytes = 512 << 10, kAllBytes = 1 << 20;  // of a part's copy, of all copies in L2
constexpr int64_t kSumPixels = 512, kFewTasks = 8;

struct AmxStep {
  int64_t a, b;  // offsets in bytes
};

// sums[i, v] = sum over steps of a[i, k] b[k, v] for 32 (16) pixels, a_row bytes apart, by 32 channels.
template <bool kLower>
void conv_amx_block(const AmxStep* steps, int64_t count, const char* a, int64_t a_row, const char* b, char* sums,
                    int64_t sums_row) {
  using P = AmxProduct<Bf16Pairs>;
  constexpr int64_t b_row = 4 * kAmxSize;
  const int64_t lower = 16 * a_row;
  PYNN_AMX_ZERO(0);
  PYNN_AMX_ZERO(1);
  if constexpr (kLower) {
    PYNN_AMX_ZERO(2);
    PYNN_AMX_ZERO(3);
  }
  for (const AmxStep* s = steps; s < steps + count; ++s) {
    const char *const x = a + s->a, *const w = b + s->b;
    PYNN_AMX_LOAD_ONCE(6, w, b_row);
    PYNN_AMX_LOAD(4, x, a_row);
    P::upper_left();
    PYNN_AMX_LOAD_ONCE(7, w + kAmxLine, b_row);
    P::upper_right();
    if constexpr (kLower) {
      PYNN_AMX_LOAD(5, x + lower, a_row);
      P::lower_left();
      P::lower_right();
    }
  }
  PYNN_AMX_STORE(0, sums, sums_row);
  PYNN_AMX_STORE(1, sums + kAmxLine, sums_row);
  if constexpr (kLower) {
    PYNN_AMX_STORE(2, sums + 16 * sums_row, sums_row);
    PYNN_AMX_STORE(3, sums + 16 * sums_row + kAmxLine, sums_row);
  }
}

struct AmxConv {
  const ConvArgs& a;
  const bool forward;
  const Axis h, w;
  const int64_t terms, channels, taps, blocks, lanes, slivers;  // lanes: channels of a block
  int64_t joined, step;                                         // taps of a row that a step reads, its words of B
  int64_t across, wide;     // of the copy: pixels of a row, positions of results along it
  int64_t height, high;     // of a part: rows of results, rows of a phase of the copy
  int64_t parts;            // of an image
  int64_t size;             // elements of a block's copy
  int64_t run_rows, strip;  // of a phase: rows of results that are stored at once, sums

  AmxConv(const ConvArgs& args, bool forward_)
      : a(args),
        forward(forward_),
        h(args.g, 1, forward),
        w(args.g, 2, forward),
        terms(forward ? a.ci : a.co),
        channels(forward ? a.co : a.ci),
        taps(h.kernel * w.kernel),
        blocks(ceil_div(terms, kAmxSize)),
        lanes(round_up(ceil_div(terms, blocks), 2)),
        slivers(ceil_div(channels, kAmxSize)) {
    joined = forward && w.dilation == 1 ? min_of(w.kernel, kAmxSize / lanes) : 1;
    while (w.kernel % joined) --joined;
    step = joined * lanes / 2 * kAmxSize;
    across = round_up(w.last(w.out) - w.first(0) + 1, w.in_step());
    wide = across / w.in_step();
    const auto rows = [&] { return h.last(height) - h.first(0) + 1; };
    const auto halve = [&] { height = round_up(ceil_div(height, 2), h.out_step()); };
    height = h.out;
    while (height > h.out_step() && 2 * blocks * lanes * across * rows() > kCopyBytes) halve();
    while (a.batch * ceil_div(h.out, height) < kFewTasks && height > h.out_step() && height * w.out > 512) halve();
    parts = ceil_div(h.out, height);
    high = ceil_div(rows(), h.in_step());
    size = h.in_step() * high * across * lanes;
    run_rows = clamp_of(kSumPixels / wide, 1, ceil_div(height, h.out_step()));
    strip = (run_rows * wide + kAmxSize) * w.out_step() * kAmxSize;
  }

  // Of a sliver of results: [steps of taps, blocks, pairs of terms, 32 channels].
  int64_t weight_size() const { return taps / joined * blocks * step; }
  void pack(int64_t group, int64_t sliver, int32_t* to) const {
    const BFloat16* const all = static_cast<const BFloat16*>(a.w);
    const BFloat16* const end = all + a.groups * a.co * a.ci * taps;
    const int64_t term = forward ? taps : a.ci * taps, lane = forward ? a.ci * taps : taps, c0 = sliver * kAmxSize;
    const BFloat16* const from = all + group * a.co * a.ci * taps + c0 * lane;
    const int64_t valid = min_of(kAmxSize, channels - c0);
    for (int64_t b = 0; b < blocks; ++b)
      for (int64_t p = 0; p < lanes / 2; ++p) {
        const int64_t t = b * lanes + 2 * p;
        for (int64_t l = 0; l < kAmxSize; l += kWords) {
          const int64_t some = t < terms ? min_of(kWords, valid - l) : 0, both = t + 1 < terms ? some : 0;
          for_transposed_pairs(
              from + t * term + l * lane, lane, term, both, some, taps, end, [&](int64_t tap, Vec<int32_t> v) {
                v.store(to + (tap / joined * blocks + b) * step + (tap % joined * (lanes / 2) + p) * kAmxSize + l);
              });
        }
      }
  }

  // Row r of a copy, from its first on.
  int64_t row_at(int64_t r) const { return (r % h.in_step() * high + r / h.in_step()) * across * lanes; }

  // The part of an image that results [h0, h1) read. What lies beside the columns is zero already.
  void load(const BFloat16* x, const BFloat16* end, int64_t h0, int64_t h1, BFloat16* to) const {
    const int64_t first = h.first(h0), last = h.last(h1), plane = h.in * w.in;
    const int64_t r0 = clamp_of(first, 0, h.in), r1 = clamp_of(last + 1, r0, h.in), left = -w.first(0);
    const int64_t c0 = max_of<int64_t>(0, -left), c1 = min_of(w.in, across - left);  // columns that are copied
    for (int64_t b = 0; b < blocks; ++b, to += size) {
      for (int64_t r = first; r <= last; ++r)
        if (r < r0 || r >= r1)
          __builtin_memset(static_cast<void*>(to + row_at(r - first)), 0, 2 * static_cast<size_t>(across * lanes));
      const int64_t n = min_of(lanes, terms - b * lanes);
      int64_t r = r0, c = 0;
      BFloat16* row = to + row_at(r - first) + left * lanes;
      for_transposed_pairs(x + b * lanes * plane + r0 * w.in, 2 * plane, plane, n / 2, ceil_div(n, 2), (r1 - r0) * w.in,
                           end, [&](int64_t, Vec<int32_t> v) {
                             if (c >= c0 && c < c1) v.store(reinterpret_cast<int32_t*>(row + c * lanes), lanes / 2);
                             if (++c == w.in) c = 0, ++r, row = to + row_at(r - first) + left * lanes;
                           });
    }
  }

  // What results of a phase read, from their first on, and the weights of it.
  int64_t steps(int64_t h0, int64_t h_phase, int64_t w_phase, AmxStep* to) const {
    int64_t n = 0;
    const int64_t q0 = h0 / h.out_step() * h.in_step() - h.first(h0);
    for (int64_t b = 0; b < blocks; ++b)
      for (int64_t th = 0; th < h.kernel; ++th)
        for (int64_t tw = 0; tw < w.kernel; tw += joined)
          if (h.taken(h_phase, th) && w.taken(w_phase, tw))
            to[n++] = {2 * (b * size + row_at(q0 + h.at(h_phase, th)) + (w.at(w_phase, tw) - w.first(0)) * lanes),
                       4 * ((th * w.kernel + tw) / joined * blocks + b) * step};
    return n;
  }

  // Results of rows [h0, h1) and the channels of a sliver.
  void multiply(int64_t image, int64_t h0, int64_t h1, int64_t sliver, const BFloat16* copy, const int32_t* weights,
                AmxStep* list, float* sums) const {
    const int64_t sh = h.out_step(), sw = w.out_step(), c0 = sliver * kAmxSize;
    const int64_t a_row = 2 * w.in_step() * lanes, sums_row = 4 * sw * kAmxSize;
    for (int64_t q0 = 0; q0 * sh < h1 - h0; q0 += run_rows) {
      for (int64_t hp = 0; hp < sh; ++hp)
        for (int64_t wp = 0; wp < sw; ++wp) {
          const int64_t count = steps(h0, hp, wp, list);
          const int64_t rows = min_of(run_rows, ceil_div(h1 - h0 - hp, sh) - q0);
          const int64_t n = (rows - 1) * wide + ceil_div(w.out - wp, sw);
          for (int64_t q = 0; q < n; q += kAmxSize) {
            const auto block = n - q > kAmxSize / 2 ? conv_amx_block<true> : conv_amx_block<false>;
            block(list, count, reinterpret_cast<const char*>(copy) + (q0 * wide + q) * a_row, a_row,
                  reinterpret_cast<const char*>(weights),
                  reinterpret_cast<char*>(sums + hp * strip + (q * sw + wp) * kAmxSize), sums_row);
          }
        }
      const int64_t r0 = h0 + q0 * sh, r1 = min_of(h1, r0 + run_rows * sh), plane = h.out * w.out;
      for (int64_t c = c0; c < min_of(channels, c0 + kAmxSize); c += kLanes) {
        const int64_t valid = min_of(kLanes, channels - c);
        const auto* const bias = static_cast<const BFloat16*>(a.bias);
        const VecF b = bias ? load_wide(bias + image % a.groups * channels + c, valid) : VecF(0.0f), low(a.low());
        int64_t row = 0, col = 0;
        const float* from = sums + c - c0;
        store_transposed(static_cast<BFloat16*>(forward ? a.y : a.x) + (image * channels + c) * plane + r0 * w.out,
                         plane, valid, (r1 - r0) * w.out, [&](int64_t) {
                           const VecF y = max(low, VecF::load(from) + b);
                           from += kAmxSize;
                           if (++col == w.out) {
                             col = 0, ++row;
                             from = sums + row % sh * strip + row / sh * wide * sw * kAmxSize + c - c0;
                           }
                           return y;
                         });
      }
    }
  }

  // Tasks own parts, packed weights are shared; or, where all parts fit L2 and are less than the weights, tasks own
  // channels and parts are shared.
  void run() const {
    const auto* const x = static_cast<const BFloat16*>(forward ? a.x : a.y);
    const int64_t image_size = terms * h.in * w.in, total = a.batch * parts, copy_size = round_up(blocks * size, 32);
    const BFloat16* const end = x + a.batch * a.groups * image_size;
    const int64_t beyond = kAmxSize * (w.in_step() * lanes + 1);  // what the last outputs may read
    const bool by_channels = 2 * total * copy_size <= kAllBytes && total * copy_size < 2 * slivers * weight_size();
    const Scratch<int32_t> shared_weights(by_channels ? 0 : slivers * weight_size());
    const Scratch<BFloat16> shared_copies(by_channels ? total * copy_size + beyond : 0);
    const auto positions = static_cast<double>(height * wide);
    const double load_ns = 0.1 * static_cast<double>(terms) * positions;
    const double pack_ns = 0.3 * static_cast<double>(weight_size());
    const double multiply_ns = (1e-3 * static_cast<double>(weight_size()) + 4) * positions;  // of a sliver
    for (int64_t group = 0; group < a.groups; ++group) {
      const auto load_part = [&](int64_t part, BFloat16* to) {
        const int64_t h0 = part % parts * height;
        load(x + (part / parts * a.groups + group) * image_size, end, h0, min_of(h.out, h0 + height), to);
      };
      const auto multiply_part = [&](int64_t part, int64_t s, const BFloat16* copy, const int32_t* weights,
                                     AmxStep* list, float* sums) {
        const int64_t h0 = part % parts * height;
        multiply(part / parts * a.groups + group, h0, min_of(h.out, h0 + height), s, copy, weights, list, sums);
      };
      if (by_channels) {
        parallel_for(0, total, grain_for(load_ns), [&](int64_t first, int64_t last) {
          BFloat16* const to = shared_copies.get() + first * copy_size;
          __builtin_memset(static_cast<void*>(to), 0, 2 * static_cast<size_t>((last - first) * copy_size));
          for (int64_t part = first; part < last; ++part) load_part(part, shared_copies.get() + part * copy_size);
        });
        const double cost = pack_ns + static_cast<double>(total) * multiply_ns;
        parallel_for(0, slivers, grain_for(cost), [&](int64_t first, int64_t last) {
          const Scratch<int32_t> weights(weight_size());
          const Scratch<float> sums(h.out_step() * strip);
          const Scratch<AmxStep> list(taps * blocks);
          const AmxRegisters registers(4 * step / kAmxSize);
          for (int64_t s = first; s < last; ++s) {
            pack(group, s, weights.get());
            for (int64_t part = 0; part < total; ++part)
              multiply_part(part, s, shared_copies.get() + part * copy_size, weights.get(), list.get(), sums.get());
          }
        });
        continue;
      }
      parallel_for(0, slivers, grain_for(pack_ns), [&](int64_t first, int64_t last) {
        for (int64_t s = first; s < last; ++s) pack(group, s, shared_weights.get() + s * weight_size());
      });
      const double cost = load_ns + static_cast<double>(slivers) * multiply_ns;
      parallel_for(0, total, grain_for(cost), [&](int64_t first, int64_t last) {
        const Scratch<BFloat16> copy(copy_size + beyond);
        const Scratch<float> sums(h.out_step() * strip);
        const Scratch<AmxStep> list(taps * blocks);
        __builtin_memset(static_cast<void*>(copy.get()), 0, 2 * static_cast<size_t>(copy_size));
        const AmxRegisters registers(4 * step / kAmxSize);
        for (int64_t part = first; part < last; ++part) {
          load_part(part, copy.get());
          for (int64_t s = 0; s < slivers; ++s)
            multiply_part(part, s, copy.get(), shared_weights.get() + s * weight_size(), list.get(), sums.get());
        }
      });
    }
  }
};

}  // namespace

bool amx_forward(const ConvArgs& a) {
  if (!fits_amx(a)) return false;
  AmxConv(a, true).run();
  return true;
}
bool amx_backward_input(const ConvArgs& a) {
  if (!fits_amx(a)) return false;
  AmxConv(a, false).run();
  return true;
}

}  // namespace PYNN_CPU_NAMESPACE
#else
namespace PYNN_CPU_NAMESPACE {
bool amx_forward(const ConvArgs&) { return false; }
bool amx_backward_input(const ConvArgs&) { return false; }
}  // namespace PYNN_CPU_NAMESPACE
#endif
