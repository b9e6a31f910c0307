// convolution_direct.cpp -- convolution of any kernel, stride and dilation as sums over taps, without unfolding.
//
//   forward, backward_input   y[pixel, co] = sum over taps and blocks of ci of  strip[pixel + tap, ci] w[tap, ci, co]
//   backward_weight           dw[tap, ci, co] = sum over pixels of  strip[pixel + tap, ci] dy[pixel, co]
//
// Strips of the input are copied into blocks of channels (convolution_strip.h), from where conv_tile reads each tap in
// place; results go through a strip too, and are transposed. Sums over pixels are split by sizes, so the bits do not
// depend on the threads.
#include "core/parallel.h"
#include "kernels/cpu/convolution_paths.h"
#include "kernels/cpu/convolution_strip.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kStrip = 96 << 10, kSumStrip = 32 << 10;  // elements of what a task copies at once
constexpr int64_t kFewTasks = 4, kSumTasks = 16, kSumBytes = 16 << 20;

// A kernel of one pixel that moves by one sees images as one long row.
ConvGeometry flattened(const ConvGeometry& g) {
  bool plain = true;
  for (int d = 0; d < 3; ++d) plain &= g.kernel[d] == 1 && g.stride[d] == 1 && g.pad[d] == 0 && g.in[d] == g.out[d];
  if (!plain) return g;
  ConvGeometry flat = g;
  flat.in[0] = flat.in[1] = flat.out[0] = flat.out[1] = 1;
  flat.in[2] = flat.out[2] = g.in[0] * g.in[1] * g.in[2];
  return flat;
}

struct Direct {
  const ConvArgs& a;
  const bool forward;
  const ConvGeometry g;
  const Steps from, to;
  const int64_t taps, terms, channels, groups;  // channels summed over, channels of results and groups of those
  const Strips strips;
  const int64_t images, tasks;  // of a task: parts of images next to each other

  Direct(const ConvArgs& args, bool forward_)
      : a(args),
        forward(forward_),
        g(flattened(args.g)),
        from(steps_of(args, forward)),
        to(steps_of(args, !forward)),
        taps(g.kernel[0] * g.kernel[1] * g.kernel[2]),
        terms(forward ? a.ci : a.co),
        channels(forward ? a.co : a.ci),
        groups(ceil_div(channels, kWide)),
        strips(g, forward, terms, kStrip, a.batch),
        images(max_of<int64_t>(1, min_of(kStrip / strips.size, a.batch * strips.parts() / (2 * kFewTasks)))),
        tasks(ceil_div(a.batch * strips.parts(), images)) {}

  int64_t weight_size() const { return taps * terms * kWide; }
  int64_t out_plane() const { return strips.d.out * strips.h.out * strips.w.out; }

  void pack(int64_t group, int64_t g0, float* to) const {
    WeightView(a, group, forward).pack(g0 * kWide, 0, terms, to);
  }

  // Parts [i0, i1) into strips.
  void load(int64_t group, int64_t i0, int64_t i1, float* strip, int64_t* table) const {
    const float* x = static_cast<const float*>(forward ? a.x : a.y);
    for (int64_t i = i0; i < i1; ++i) {
      const Part p = strips.part(i);
      strips.load(x + p.image * from.image + group * terms * from.channel, from, p, strip + (i - i0) * strips.size,
                  table);
    }
  }

  // One group of channels of parts [i0, i1). out: [pixels, kWide].
  void multiply(int64_t group, int64_t i0, int64_t i1, int64_t g0, const float* strip, const float* w, float* out,
                Segment* segments) const {
    float* y = static_cast<float*>(forward ? a.y : a.x);
    const int64_t c0 = g0 * kWide, columns = channels - c0;
    float bias[kWide] = {};
    if (a.bias)
      for (int64_t c = 0; c < min_of(columns, kWide); ++c)
        bias[c] = static_cast<const float*>(a.bias)[group * channels + c0 + c];
    const int64_t steps = strips.w.out_step();
    for (int64_t i = i0; i < i1; ++i, strip += strips.size) {
      const Part p = strips.part(i);
      for (int64_t o = p.h0; o < p.h1; ++o)
        for (int64_t phase = 0; phase < steps; ++phase) {
          const int64_t count = strips.segments(p, o, phase, segments);
          conv_rows(segments, count, strip, ceil_div(p.width() - phase, steps), w, columns,
                    out + ((o - p.h0) * p.width() + phase) * kWide, steps * kWide, a.bias ? bias : nullptr);
        }
      const bool whole = p.width() == strips.w.out;
      for (int64_t c = c0; c < min_of(channels, c0 + kWide); c += kLanes) {
        float* first = y + p.image * to.image + (group * channels + c) * to.channel +
                       ((p.d * strips.h.out + p.h0) * strips.w.out + p.w0) * to.pixel;
        for (int64_t r = 0; r < (whole ? 1 : p.h1 - p.h0); ++r) {
          const float* sums = out + r * p.width() * kWide + (c - c0);
          store_pixels(first + r * strips.w.out * to.pixel, to, min_of(kLanes, channels - c),
                       whole ? p.pixels() : p.width(),
                       [&](int64_t j) { return max(VecF(a.low()), VecF::load(sums + j * kWide)); });
        }
      }
    }
  }

  // Many parts: tasks own some of them, packed weights are shared. Few: tasks own channels, strips are shared.
  void run() const {
    const int64_t total = a.batch * strips.parts();
    const int64_t out_size = strips.height * strips.columns * kWide, list = taps * strips.blocks;
    for (int64_t group = 0; group < a.groups; ++group)
      if (tasks >= kFewTasks) {
        const Scratch<float> w(groups * weight_size());
        parallel_for(0, groups, grain_for(static_cast<double>(weight_size()) / 4), [&](int64_t begin, int64_t end) {
          for (int64_t g0 = begin; g0 < end; ++g0) pack(group, g0, w.get() + g0 * weight_size());
        });
        const double cost = static_cast<double>(weight_size() * strips.height * strips.columns * images) / 100;
        parallel_for(0, tasks, grain_for(cost * static_cast<double>(groups)), [&](int64_t begin, int64_t end) {
          const Scratch<float> strip(images * strips.size), out(out_size);
          const Scratch<Segment> segments(list);
          const Scratch<int64_t> table(strips.w.in);
          for (int64_t i0 = begin * images; i0 < min_of(total, end * images); i0 += images) {
            const int64_t i1 = min_of(total, i0 + images);
            load(group, i0, i1, strip.get(), table.get());
            for (int64_t g0 = 0; g0 < groups; ++g0)
              multiply(group, i0, i1, g0, strip.get(), w.get() + g0 * weight_size(), out.get(), segments.get());
          }
        });
      } else {
        const Scratch<float> strip(total * strips.size);
        parallel_for(0, total, grain_for(static_cast<double>(strips.size) / 2), [&](int64_t begin, int64_t end) {
          const Scratch<int64_t> table(strips.w.in);
          load(group, begin, end, strip.get() + begin * strips.size, table.get());
        });
        const double cost = static_cast<double>(weight_size()) * static_cast<double>(out_plane() * a.batch + 16) / 100;
        parallel_for(0, groups, grain_for(cost), [&](int64_t begin, int64_t end) {
          const Scratch<float> w(weight_size()), out(out_size);
          const Scratch<Segment> segments(list);
          for (int64_t g0 = begin; g0 < end; ++g0) {
            pack(group, g0, w.get());
            multiply(group, 0, total, g0, strip.get(), w.get(), out.get(), segments.get());
          }
        });
      }
  }
};

}  // namespace

void direct_forward(const ConvArgs& a) { Direct(a, true).run(); }
void direct_backward_input(const ConvArgs& a) { Direct(a, false).run(); }

// Tasks own a share of the images' parts, and some groups of output channels. Each adds to its own
// P [groups, blocks of ci, taps, lanes, wide]; shares are added up at the end.
void direct_backward_weight(const ConvArgs& a) {
  const ConvGeometry g = flattened(a.g);
  const Strips strips(g, true, a.ci, kSumStrip, a.batch);
  const Steps x_steps = steps_of(a, true), y_steps = steps_of(a, false);
  const int64_t taps = g.kernel[0] * g.kernel[1] * g.kernel[2], blocks = strips.blocks;
  const int64_t groups = ceil_div(a.co, kWide), total = a.batch * strips.parts();
  const int64_t tile = taps * kLanes * kWide, p_size = groups * blocks * tile;
  const int64_t in = g.in[0] * g.in[1] * g.in[2], pixels = g.out[0] * g.out[1] * g.out[2];
  const int64_t most = max_of<int64_t>(1, kSumBytes / (p_size * static_cast<int64_t>(sizeof(float))));
  // Each share writes and reads a P; each run of groups copies all of x.
  const auto runs_of = [&](int64_t n) { return min_of(groups, ceil_div(kSumTasks, n)); };
  const auto moved = [&](int64_t n) { return n * p_size * 2 + runs_of(n) * a.batch * in * blocks * kLanes; };
  int64_t shares = min_of(min_of(total, kSumTasks), most);
  for (int64_t n = shares / 2; n > 0 && n * runs_of(n) >= kSumTasks / 2; n /= 2)
    if (moved(n) < moved(shares)) shares = n;
  const int64_t run = ceil_div(groups, runs_of(shares)), runs = ceil_div(groups, run);
  const Scratch<float> sums(shares * p_size);
  const double cost = static_cast<double>(a.batch * pixels) * static_cast<double>(p_size) / 100;
  for (int64_t group = 0; group < a.groups; ++group) {
    parallel_for(
        0, shares * runs, grain_for(cost / static_cast<double>(shares * runs)), [&](int64_t begin, int64_t end) {
          const int64_t part_pixels = strips.height * strips.columns;
          const Scratch<float> strip(strips.size), dy(run * part_pixels * kWide);
          const Scratch<Segment> rows(strips.height);
          const Scratch<int64_t> table(strips.w.in);
          for (int64_t task = begin; task < end; ++task) {
            const int64_t share = task % shares, g0 = task / shares * run, g1 = min_of(groups, g0 + run);
            const int64_t first = total * share / shares, last = total * (share + 1) / shares;
            for (int64_t i = first; i < last; ++i) {
              const Part p = strips.part(i);
              strips.load(static_cast<const float*>(a.x) + p.image * x_steps.image + group * a.ci * x_steps.channel,
                          x_steps, p, strip.get(), table.get());
              const int64_t width = p.width();
              for (int64_t c = g0 * kWide; c < min_of(a.co, g1 * kWide); c += kLanes) {
                const float* from = static_cast<const float*>(a.y) + p.image * y_steps.image +
                                    (group * a.co + c) * y_steps.channel +
                                    ((p.d * g.out[1] + p.h0) * g.out[2] + p.w0) * y_steps.pixel;
                float* to = dy.get() + (c / kWide - g0) * part_pixels * kWide + c % kWide;
                const bool whole = width == g.out[2];
                for (int64_t r = 0; r < (whole ? 1 : p.h1 - p.h0); ++r)
                  for_pixels(from + r * g.out[2] * y_steps.pixel, y_steps, min_of(kLanes, a.co - c),
                             whole ? p.pixels() : width,
                             [&](int64_t j, VecF v) { v.store(to + (r * width + j) * kWide); });
              }
              const int64_t r0 = strips.first_row(p), origin = strips.w.first(0), step = strips.w.in_step();
              for (int64_t tap = 0; tap < taps; ++tap) {
                const int64_t tw = tap % g.kernel[2], th = tap / g.kernel[2] % g.kernel[1],
                              td = tap / g.kernel[2] / g.kernel[1];
                const int64_t id = p.d * g.stride[0] + strips.d.at(0, td), c = strips.w.at(0, tw) - origin;
                int64_t n = 0;
                for (int64_t o = p.h0; id >= 0 && id < g.in[0] && o < p.h1; ++o) {
                  const int64_t ih = o * g.stride[1] + strips.h.at(0, th);
                  if (ih < 0 || ih >= g.in[1]) continue;
                  rows[n++] = {(td * strips.rows + (ih - r0) / strips.h.skip()) * strips.row +
                                   (c % step * strips.places + c / step) * kLanes,
                               (o - p.h0) * width * kWide, width};
                }
                for (int64_t g2 = g0; g2 < g1; ++g2)
                  for (int64_t b = 0; b < blocks; ++b)
                    conv_sums(rows.get(), n, strip.get() + b * g.kernel[0] * strips.rows * strips.row,
                              min_of(kLanes, a.ci - b * kLanes), dy.get() + (g2 - g0) * part_pixels * kWide,
                              a.co - g2 * kWide,
                              sums.get() + share * p_size + (g2 * blocks + b) * tile + tap * kLanes * kWide,
                              i == first);
              }
            }
          }
        });
    // Up to kLanes output channels by kLanes input channels and all taps.
    parallel_for(0, groups * 2 * blocks, grain_for(static_cast<double>(shares * taps * kLanes) * 4),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) {
                     const int64_t b = i % blocks, co = i / blocks * kLanes;
                     if (co >= a.co) continue;
                     const float* from = sums.get() + (co / kWide * blocks + b) * tile + co % kWide;
                     int64_t c = 0, tap = 0;
                     store_transposed(static_cast<float*>(a.w) + ((group * a.co + co) * a.ci + b * kLanes) * taps,
                                      a.ci * taps, min_of(kLanes, a.co - co), min_of(kLanes, a.ci - b * kLanes) * taps,
                                      [&](int64_t) {
                                        const float* at = from + (tap * kLanes + c) * kWide;
                                        VecF sum = VecF::load(at);
                                        for (int64_t s = 1; s < shares; ++s) sum += VecF::load(at + s * p_size);
                                        if (++tap == taps) tap = 0, ++c;
                                        return sum;
                                      });
                   }
                 });
  }
}

}  // namespace PYNN_CPU_NAMESPACE
