// convolution_strip.h -- what a part of the output reads, copied into blocks of channels for conv_tile.
//
//   strip [blocks of channels, taps of depth, rows, phases, places, lanes]
//
// Columns are padded with zeros, and split into `stride` phases where the input is strided: then neighbouring outputs
// read neighbouring places of one phase, whatever the stride. Rows outside of the input are not there: their taps are
// left out. The adjoint of a stride computes its outputs in phases instead, with those taps that reach them.
#pragma once
#include "kernels/convolution.h"
#include "kernels/cpu/convolution_tile.h"
#include "kernels/cpu/scratch.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

PYNN_INLINE int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -ceil_div(-a, b); }

// One spatial dim, seen from the output o = q * out_step() + phase: tap t reads input q * in_step() + at(phase, t).
struct Axis {
  bool forward;
  int64_t in, out, kernel, stride, pad, dilation;
  Axis(const ConvGeometry& g, int d, bool forward_)
      : forward(forward_),
        in(forward ? g.in[d] : g.out[d]),
        out(forward ? g.out[d] : g.in[d]),
        kernel(g.kernel[d]),
        stride(g.stride[d]),
        pad(g.pad[d]),
        dilation(g.dilation[d]) {}
  int64_t out_step() const { return forward ? 1 : stride; }
  int64_t in_step() const { return forward ? stride : 1; }
  int64_t reach(int64_t phase, int64_t t) const { return phase + pad - t * dilation; }  // of the adjoint
  bool taken(int64_t phase, int64_t t) const { return forward || reach(phase, t) % stride == 0; }
  int64_t at(int64_t phase, int64_t t) const { return forward ? t * dilation - pad : reach(phase, t) / stride; }
  // Inputs read by outputs [o0, o1), perhaps outside: [first(o0), last(o1)].
  int64_t first(int64_t o0) const { return forward ? o0 * stride - pad : floor_div(reach(o0, kernel - 1), stride); }
  int64_t last(int64_t o1) const {
    return forward ? (o1 - 1) * stride - pad + (kernel - 1) * dilation : floor_div(reach(o1 - 1, 0), stride);
  }
  int64_t skip() const { return kernel == 1 ? in_step() : 1; }  // a single tap reads every so many inputs only
};

// A part of the output: rows [h0, h1) and columns [w0, w1) of one depth of one image. w0 is a multiple of out_step.
struct Part {
  int64_t image, d, h0, h1, w0, w1;
  int64_t width() const { return w1 - w0; }
  int64_t pixels() const { return (h1 - h0) * width(); }
};

struct Strips {
  Axis d, h, w;
  int64_t channels, blocks;             // of the input, of a group
  int64_t height, columns, high, wide;  // of a part: output rows and columns; how many parts along each
  int64_t phases, places, row, rows;    // of a strip: phases, places of each, elements of a row, rows
  int64_t size;                         // elements of a strip

  // `limit`: elements of a strip, where a single output permits it.
  Strips(const ConvGeometry& g, bool forward, int64_t channels_, int64_t limit, int64_t images)
      : d(g, 0, forward), h(g, 1, forward), w(g, 2, forward), channels(channels_), blocks(ceil_div(channels, kLanes)) {
    phases = w.kernel == 1 ? 1 : w.in_step();
    const int64_t per_place = blocks * d.kernel * kLanes;
    columns = w.out;
    const auto narrow = [&](int64_t n) {
      columns = n;
      // of the widest phase, from the lowest tap on
      places = ceil_div(n, w.out_step()) + (w.forward ? (w.kernel - 1) * w.dilation / w.stride
                                                      : floor_div(w.reach(w.out_step() - 1, 0), w.stride) - w.first(0));
      row = phases * places * kLanes;
    };
    narrow(w.out);
    const auto rows_of = [&](int64_t n) {
      return h.forward ? (n - 1) * h.stride / h.skip() + (h.kernel - 1) * h.dilation + 1
                       : ceil_div(n - 1 + (h.kernel - 1) * h.dilation, h.stride) + 1;
    };
    while (columns > 256 && per_place * phases * places * rows_of(1) > limit) {
      const int64_t half = round_up(ceil_div(columns, 2), w.out_step() * kTileRows);
      if (half >= columns) break;
      narrow(half);
    }
    height = h.out;
    while (height > h.out_step() && per_place * phases * places * rows_of(height) > limit)
      height = min_of(height - 1, round_up(ceil_div(height, 2), h.out_step()));
    // A single image is worth several tasks.
    while (images * d.out * ceil_div(h.out, height) * ceil_div(w.out, columns) < 4 && height > 2 * h.out_step() &&
           height * columns > 8 * kTileRows)
      height = round_up(ceil_div(height, 2), h.out_step());
    high = ceil_div(h.out, height);
    wide = ceil_div(w.out, columns);
    rows = rows_of(height);
    size = blocks * d.kernel * rows * row;
  }

  int64_t parts() const { return d.out * high * wide; }  // of an image
  Part part(int64_t i) const {
    const int64_t w0 = i % wide * columns, h0 = i / wide % high * height, depth = i / wide / high % d.out;
    return {i / parts(), depth, h0, min_of(h.out, h0 + height), w0, min_of(w.out, w0 + columns)};
  }

  int64_t first_row(const Part& p) const {
    const int64_t first = h.first(p.h0), skip = h.skip();
    return first < 0 ? first + ceil_div(-first, skip) * skip : first;
  }
  // Input column of place 0 of phase 0.
  int64_t origin(const Part& p) const { return p.w0 / w.out_step() * w.in_step() + w.first(0); }

  // x: the channels of one image. table: w.in.
  void load(const float* x, const Steps& steps, const Part& p, float* strip, int64_t* table) const {
    constexpr int64_t W = kLanes;
    const int64_t from = origin(p), step = w.in_step();
    const int64_t c0 = max_of<int64_t>(0, from), c1 = min_of(w.in, from + places * step);
    for (int64_t c = c0; c < c1; ++c)
      table[c - c0] = (c - from) % step < phases ? ((c - from) % step * places + (c - from) / step) * W : -1;
    const int64_t r0 = first_row(p), r1 = min_of(h.in - 1, h.last(p.h1)), skip = h.skip();
    const int64_t depth = p.d / d.out_step() * d.in_step(), phase = p.d % d.out_step(), plane = h.in * w.in;
    const VecF zero(0.0f);
    for (int64_t t = 0; t < d.kernel; ++t) {
      const int64_t id = depth + (d.taken(phase, t) ? d.at(phase, t) : d.in);
      if (!d.taken(phase, t) || id < 0 || id >= d.in) continue;
      for (int64_t b = 0; b < blocks; ++b) {
        const float* in = x + b * W * steps.channel + id * plane * steps.pixel;
        float* to = strip + (b * d.kernel + t) * rows * row;
        const int64_t lanes = min_of(W, channels - b * W);
        for (int64_t r = r0, at = 0; r <= r1; r += skip, ++at)
          for (int64_t i = 0; i < phases; ++i)
            for (int64_t j = 0; j < places; ++j) {
              const int64_t c = from + j * step + i;
              if (c >= 0 && c < w.in) {  // the columns between the borders
                const int64_t behind = ceil_div(w.in - c, step);
                j += behind - 1;
                continue;
              }
              zero.store(to + at * row + (i * places + j) * W);
            }
        if (c1 <= c0 || r1 < r0) continue;
        // Whole rows follow each other in memory, which fills the vectors where rows are short.
        const bool joined = skip == 1 && c1 - c0 == w.in;
        float* out = to;
        for (int64_t r = r0; r <= r1; r += joined ? r1 - r0 + 1 : skip) {
          int64_t c = 0;
          for_pixels(in + (r * w.in + c0) * steps.pixel, steps, lanes, joined ? (r1 - r0 + 1) * w.in : c1 - c0,
                     [&](int64_t, VecF v) {
                       if (table[c] >= 0) v.store(out + table[c]);
                       if (++c == c1 - c0) c = 0, out += row;
                     });
        }
      }
    }
  }

  // The segments of output row o, of the phases (o % step, column phase): for blocks of `terms` channels and all taps
  // that lie inside. `weights`: w is laid out [taps, channels, kWide].
  int64_t segments(const Part& p, int64_t o, int64_t w_phase, Segment* to) const {
    constexpr int64_t W = kLanes;
    int64_t n = 0;
    const int64_t r0 = first_row(p), low = w.first(0);
    const int64_t hq = o / h.out_step() * h.in_step(), h_phase = o % h.out_step();
    const int64_t dq = p.d / d.out_step() * d.in_step(), d_phase = p.d % d.out_step();
    for (int64_t td = 0; td < d.kernel; ++td) {
      if (!d.taken(d_phase, td)) continue;
      const int64_t id = dq + d.at(d_phase, td);
      if (id < 0 || id >= d.in) continue;
      for (int64_t th = 0; th < h.kernel; ++th) {
        if (!h.taken(h_phase, th)) continue;
        const int64_t ih = hq + h.at(h_phase, th);
        if (ih < 0 || ih >= h.in) continue;
        for (int64_t tw = 0; tw < w.kernel; ++tw) {
          if (!w.taken(w_phase, tw)) continue;
          const int64_t c = w.at(w_phase, tw) - low, tap = (td * h.kernel + th) * w.kernel + tw;
          const int64_t at =
              (td * rows + (ih - r0) / h.skip()) * row + (c % w.in_step() * places + c / w.in_step()) * W;
          for (int64_t b = 0; b < blocks; ++b)
            to[n++] = {at + b * d.kernel * rows * row, (tap * channels + b * W) * kWide, min_of(W, channels - b * W)};
        }
      }
    }
    return n;
  }
};

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
