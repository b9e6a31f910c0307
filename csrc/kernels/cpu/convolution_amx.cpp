// convolution_amx.cpp -- convolution of bfloat16 and float32 by AMX, and its adjoint with respect to the input.
//
//   y[q, co] = sum over taps and blocks of ci of  copy[q + tap, ci] w[tap, ci, co]      q: 32 pixels, 32 co at a time
//
// A part of an image is copied as [block of channels, row, column, lanes] with its padding: a pixel is a row of AMX's
// A. Outputs are numbered through the copy's rows, so that each tap reads all of them at one distance, even across the
// rows' ends; what that gives beyond a row's end is dropped. So no unfolded matrix exists. Strides are steps between
// the rows of A; rows of pixels that a stride parts stand in phases. Few channels: a step joins the taps of a row.
// Sums are float32; results are transposed back. Of float32 there are three copies and weights, of its parts (split.h).
#include "kernels/cpu/convolution_amx.h"

#include "core/parallel.h"

#ifdef PYNN_VEC_DOT

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kCopyBytes = 512 << 10, kAllBytes = 1 << 20;  // of a part's copy, of all copies in L2
constexpr int64_t kSumPixels = 512, kFewTasks = 8;

template <class T>
struct AmxConv {
  const ConvArgs& a;
  const bool forward;
  const Axis h, w;
  const Steps from, to;
  const int64_t terms, channels, taps, blocks, lanes, slivers;  // lanes: channels of a block
  int64_t joined, reads, step;  // taps of a row that a step reads, how many steps read a row, words of B of a step
  int64_t across, wide;         // of the copy: pixels of a row, positions of results along it
  int64_t height, high;         // of a part: rows of results, rows of a phase of the copy
  int64_t parts;                // of an image
  int64_t size, part_size;      // elements of a block's copy, of that of all blocks
  int64_t run_rows, strip;      // of a phase: rows of results that are stored at once, sums

  AmxConv(const ConvArgs& args, bool forward_)
      : a(args),
        forward(forward_),
        h(args.g, 1, forward),
        w(args.g, 2, forward),
        from(steps_of(args, forward)),
        to(steps_of(args, !forward)),
        terms(forward ? a.ci : a.co),
        channels(forward ? a.co : a.ci),
        taps(h.kernel * w.kernel),
        blocks(ceil_div(terms, kAmxSize)),
        lanes(round_up(ceil_div(terms, blocks), 2)),
        slivers(ceil_div(channels, kAmxSize)) {
    reads = forward && w.dilation == 1 ? ceil_div(w.kernel, kAmxSize / lanes) : w.kernel;
    joined = ceil_div(w.kernel, reads);
    while (kPartsOf<T> == 1 && w.kernel % joined) --joined;  // else a weight of 0 would meet an infinity
    reads = ceil_div(w.kernel, joined);
    step = joined * lanes / 2 * kAmxSize;
    across = round_up(w.last(w.out) - w.first(0) + 1 + reads * joined - w.kernel, w.in_step());
    wide = across / w.in_step();
    const auto rows = [&] { return h.last(height) - h.first(0) + 1; };
    const auto halve = [&] { height = round_up(ceil_div(height, 2), h.out_step()); };
    height = h.out;
    while (height > h.out_step() && 2 * kPartsOf<T> * blocks * lanes * across * rows() > kCopyBytes) halve();
    while (a.batch * ceil_div(h.out, height) < kFewTasks && height > h.out_step() && height * w.out > 512) halve();
    parts = ceil_div(h.out, height);
    high = ceil_div(rows(), h.in_step());
    size = h.in_step() * high * across * lanes;
    part_size = round_up(blocks * size, 32);
    run_rows = clamp_of(kSumPixels / wide, 1, ceil_div(height, h.out_step()));
    strip = (run_rows * wide + kAmxSize) * w.out_step() * kAmxSize;
  }

  // Of a sliver of results: [blocks, steps of taps, parts, pairs of terms, 32 channels], in the order of reading.
  int64_t weight_at(int64_t b, int64_t th, int64_t tw) const {
    return ((b * h.kernel + th) * reads + tw / joined) * kPartsOf<T> * step;
  }
  int64_t weight_size() const { return weight_at(blocks, 0, 0); }
  int64_t copy_size() const { return kPartsOf<T> * part_size; }
  void pack(int64_t group, int64_t sliver, int32_t* to, Magnitude& seen) const {
    const T* const all = static_cast<const T*>(a.w);
    const T* const end = all + a.groups * a.co * a.ci * taps;
    const int64_t term = forward ? taps : a.ci * taps, lane = forward ? a.ci * taps : taps, c0 = sliver * kAmxSize;
    const T* const from = all + group * a.co * a.ci * taps + c0 * lane;
    const int64_t valid = min_of(kAmxSize, channels - c0);
    if (reads * joined > w.kernel) __builtin_memset(to, 0, 4 * static_cast<size_t>(weight_size()));
    for (int64_t b = 0; b < blocks; ++b)
      for (int64_t p = 0; p < lanes / 2; ++p) {
        const int64_t t = b * lanes + 2 * p;
        for (int64_t l = 0; l < kAmxSize; l += kWords) {
          const int64_t some = t < terms ? min_of(kWords, valid - l) : 0, both = t + 1 < terms ? some : 0;
          for_transposed_pairs(from + t * term + l * lane, lane, term, both, some, taps, end, seen,
                               [&](int64_t tap, const Vec<int32_t>* words) {
                                 const int64_t th = tap / w.kernel, tw = tap % w.kernel;
                                 int32_t* const at =
                                     to + weight_at(b, th, tw) + (tw % joined * (lanes / 2) + p) * kAmxSize + l;
                                 for (int64_t q = 0; q < kPartsOf<T>; ++q) words[q * kWords].store(at + q * step);
                               });
        }
      }
  }

  // Row r of a copy, from its first on.
  int64_t row_at(int64_t r) const { return (r % h.in_step() * high + r / h.in_step()) * across * lanes; }

  // The part of an image that results [h0, h1) read, zeros around it.
  void load(const T* x, const T* end, int64_t h0, int64_t h1, BFloat16* to, Magnitude& seen) const {
    const int64_t first = h.first(h0), last = h.last(h1), plane = h.in * w.in;
    const int64_t r0 = clamp_of(first, 0, h.in), r1 = clamp_of(last + 1, r0, h.in), left = -w.first(0);
    const int64_t c0 = max_of<int64_t>(0, -left), c1 = max_of(c0, min_of(w.in, across - left));  // that are copied
    const auto clear = [&](BFloat16* at, int64_t pixels) {
      __builtin_memset(static_cast<void*>(at), 0, 2 * static_cast<size_t>(pixels * lanes));
    };
    for (int64_t b = 0; b < blocks; ++b, to += size) {
      for (int64_t r = first; r <= last; ++r)
        for (int64_t q = 0; q < kPartsOf<T>; ++q) {
          BFloat16* const row = to + q * part_size + row_at(r - first);
          const bool inside = r >= r0 && r < r1 && c0 < c1;
          clear(row, inside ? left + c0 : across);
          if (inside) clear(row + (left + c1) * lanes, across - left - c1);
        }
      const int64_t n = min_of(lanes, terms - b * lanes);
      if (kPartsOf<T> == 3 && lanes == 4 && from.pixel == 1) {  // few channels: nothing is transposed
        for (int64_t r = r0; r < r1; ++r)
          load_quads(reinterpret_cast<const float*>(x) + r * w.in + c0, plane, n, c1 - c0,
                     to + row_at(r - first) + (left + c0) * lanes, seen);
        continue;
      }
      int64_t r = r0, c = 0;
      BFloat16* row = to + row_at(r - first) + left * lanes;
      const auto store = [&](int64_t, const Vec<int32_t>* words) __attribute__((always_inline)) {
        for (int64_t q = 0; q < (c >= c0 && c < c1 ? kPartsOf<T> : 0); ++q)
          words[q * kWords].store(reinterpret_cast<int32_t*>(row + q * part_size + c * lanes), lanes / 2);
        if (++c == w.in) c = 0, ++r, row = to + row_at(r - first) + left * lanes;
      };
      const T* const at = x + b * lanes * from.channel + r0 * w.in * from.pixel;
      if constexpr (kPartsOf<T> == 3)
        if (from.channel == 1) {
          for_pixel_pairs(at, from.pixel, n, (r1 - r0) * w.in, seen, store);
          continue;
        }
      for_transposed_pairs(at, 2 * plane, plane, n / 2, ceil_div(n, 2), (r1 - r0) * w.in, end, seen, store);
    }
  }

  // A row of n pixels of up to four channels, as pairs of pairs.
  void load_quads(const float* x, int64_t plane, int64_t there, int64_t n, BFloat16* to, Magnitude& seen) const {
    for (int64_t c = 0; c < n; c += kLanes) {
      VecF v[4];
      for (int64_t i = 0; i < 4; ++i) {
        v[i] = i < there ? VecF::load(x + i * plane + c, n - c) : VecF(0.0f);
        seen.see(v[i], v[i]);
      }
      Vec<int32_t> first[3], second[3];
      split(v[0], v[1], first), split(v[2], v[3], second);
      for (int64_t q = 0; q < 3; ++q) {
        auto* const words = reinterpret_cast<int32_t*>(to + q * part_size + 4 * c);
        in_turn<0>(first[q], second[q]).store(words, min_of(kWords, 2 * (n - c)));
        if (2 * (n - c) > kWords)
          in_turn<1>(first[q], second[q]).store(words + kWords, min_of(kWords, 2 * (n - c) - kWords));
      }
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
                       4 * weight_at(b, th, tw)};
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
            const auto block = n - q > kAmxSize / 2 ? conv_amx_block<T, true> : conv_amx_block<T, false>;
            block(list, count, reinterpret_cast<const char*>(copy) + (q0 * wide + q) * a_row, a_row, 2 * part_size,
                  reinterpret_cast<const char*>(weights), 4 * step,
                  reinterpret_cast<char*>(sums + hp * strip + (q * sw + wp) * kAmxSize), sums_row, true);
          }
        }
      const int64_t r0 = h0 + q0 * sh, r1 = min_of(h1, r0 + run_rows * sh);
      for (int64_t c = c0; c < min_of(channels, c0 + kAmxSize); c += kLanes) {
        const int64_t valid = min_of(kLanes, channels - c);
        const auto* const bias = static_cast<const T*>(a.bias);
        const VecF b = bias ? load_wide(bias + image % a.groups * channels + c, valid) : VecF(0.0f), low(a.low());
        int64_t row = 0, col = 0;
        const float* sum = sums + c - c0;
        T* const y = static_cast<T*>(forward ? a.y : a.x) + image / a.groups * to.image +
                     (image % a.groups * channels + c) * to.channel + r0 * w.out * to.pixel;
        store_pixels(y, to, valid, (r1 - r0) * w.out, [&](int64_t) {
          const VecF value = max(low, VecF::load(sum) + b);
          sum += kAmxSize;
          if (++col == w.out) {
            col = 0, ++row;
            sum = sums + row % sh * strip + row / sh * wide * sw * kAmxSize + c - c0;
          }
          return value;
        });
      }
    }
  }

  // Tasks own parts, packed weights are shared; or, where all parts fit L2 and are less than the weights, tasks own
  // channels and parts are shared.
  bool run() const {
    const auto* const x = static_cast<const T*>(forward ? a.x : a.y);
    const int64_t image_size = terms * h.in * w.in, total = a.batch * parts;
    const T* const end = x + a.batch * a.groups * image_size;
    const int64_t beyond = kAmxSize * (w.in_step() * lanes + 1);  // what the last outputs may read
    const bool by_channels = 2 * total * copy_size() <= kAllBytes && total * copy_size() < 2 * slivers * weight_size();
    const Scratch<int32_t> shared_weights(by_channels ? 0 : slivers * weight_size());
    const Scratch<BFloat16> shared_copies(by_channels ? total * copy_size() + beyond : 0);
    const Scratch<Magnitude> of_weights(slivers), of_copies(total);
    const auto positions = static_cast<double>(height * wide);
    const double load_ns = 0.1 * kPartsOf<T> * static_cast<double>(terms) * positions;
    const double pack_ns = 0.3 * static_cast<double>(weight_size());
    const double multiply_ns = ((kPartsOf<T> == 3 ? 2e-3 : 1e-3) * static_cast<double>(weight_size()) + 4) * positions;
    int bad = 0;
    for (int64_t group = 0; group < a.groups; ++group) {
      const auto load_part = [&](int64_t part, BFloat16* to) {
        const int64_t h0 = part % parts * height;
        of_copies[part] = Magnitude();
        load(x + part / parts * from.image + group * terms * from.channel, end, h0, min_of(h.out, h0 + height), to,
             of_copies[part]);
      };
      const auto pack_sliver = [&](int64_t s, int32_t* to) {
        of_weights[s] = Magnitude();
        pack(group, s, to, of_weights[s]);
      };
      const auto multiply_part = [&](int64_t part, int64_t s, const BFloat16* copy, const int32_t* weights,
                                     AmxStep* list, float* sums) {
        const int64_t h0 = part % parts * height;
        if (kPartsOf<T> == 3 && !splits(of_copies[part].most(), of_weights[s].most()))
          return __atomic_store_n(&bad, 1, __ATOMIC_RELAXED);
        multiply(part / parts * a.groups + group, h0, min_of(h.out, h0 + height), s, copy, weights, list, sums);
      };
      if (by_channels) {
        parallel_for(0, total, grain_for(load_ns), [&](int64_t first, int64_t last) {
          for (int64_t part = first; part < last; ++part) load_part(part, shared_copies.get() + part * copy_size());
        });
        const double cost = pack_ns + static_cast<double>(total) * multiply_ns;
        parallel_for(0, slivers, grain_for(cost), [&](int64_t first, int64_t last) {
          const Scratch<int32_t> weights(weight_size());
          const Scratch<float> sums(h.out_step() * strip);
          const Scratch<AmxStep> list(taps * blocks);
          const AmxRegisters registers(4 * step / kAmxSize);
          for (int64_t s = first; s < last; ++s) {
            pack_sliver(s, weights.get());
            for (int64_t part = 0; part < total; ++part)
              multiply_part(part, s, shared_copies.get() + part * copy_size(), weights.get(), list.get(), sums.get());
          }
        });
        continue;
      }
      parallel_for(0, slivers, grain_for(pack_ns), [&](int64_t first, int64_t last) {
        for (int64_t s = first; s < last; ++s) pack_sliver(s, shared_weights.get() + s * weight_size());
      });
      const double cost = load_ns + static_cast<double>(slivers) * multiply_ns;
      parallel_for(0, total, grain_for(cost), [&](int64_t first, int64_t last) {
        const int64_t together = clamp_of(kAllBytes / 2 / copy_size(), 1, last - first);
        const Scratch<BFloat16> copies(together * copy_size() + beyond);
        const Scratch<float> sums(h.out_step() * strip);
        const Scratch<AmxStep> list(taps * blocks);
        const AmxRegisters registers(4 * step / kAmxSize);
        for (int64_t p0 = first; p0 < last; p0 += together) {  // which read the weights from beyond L2 once
          const int64_t p1 = min_of(last, p0 + together);
          for (int64_t part = p0; part < p1; ++part) load_part(part, copies.get() + (part - p0) * copy_size());
          for (int64_t s = 0; s < slivers; ++s)
            for (int64_t part = p0; part < p1; ++part)
              multiply_part(part, s, copies.get() + (part - p0) * copy_size(), shared_weights.get() + s * weight_size(),
                            list.get(), sums.get());
        }
      });
    }
    return !bad;
  }
};

bool run_amx(const ConvArgs& a, bool forward) {
  if (!fits_amx(a)) return false;
  return a.dtype == DType::Float32 ? AmxConv<float>(a, forward).run() : AmxConv<BFloat16>(a, forward).run();
}

}  // namespace

bool amx_forward(const ConvArgs& a) { return run_amx(a, true); }
bool amx_backward_input(const ConvArgs& a) { return run_amx(a, false); }

}  // namespace PYNN_CPU_NAMESPACE
#else
namespace PYNN_CPU_NAMESPACE {
bool amx_forward(const ConvArgs&) { return false; }
bool amx_backward_input(const ConvArgs&) { return false; }
}  // namespace PYNN_CPU_NAMESPACE
#endif
