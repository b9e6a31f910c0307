// convolution_winograd.cpp -- forward, and backward with respect to the input, by convolution_winograd.h.
//
// Either tasks own rows of tiles, each transforms its own input, and the weights, unless they are few, are shared; or,
// where there are many weights for few tiles, tasks own channels, and each transforms its own weights and all of the
// input. The sum over channels is never split, so the bits do not depend on the threads.
#include "kernels/cpu/convolution_winograd.h"

#include "kernels/cpu/scratch.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// Bytes of: V and M of a task that owns rows of tiles, V of one that owns channels, U in L2, U shared by
// all, and U that each thread computes for itself.
constexpr int64_t kTaskInput = 640 << 10, kTaskOutput = 512 << 10, kAllInput = 8 << 20, kTaskWeights = 512 << 10,
                  kSharedWeights = 16 << 20, kOwnWeights = 640 << 10;
constexpr int64_t kSomeTiles = 32;                        // fewer in a task read the weights too often
constexpr int64_t kAtOnce = kWide < 32 ? 32 / kWide : 1;  // groups of channels that take a read of V together

struct Winograd {
  const ConvArgs& a;
  const bool forward;
  const Plane in, out;
  const int64_t top, left, terms, channels;  // padding in front; channels summed over, channels of results
  const int64_t down, across, tile_rows;     // tiles of an image, rows of tiles of all images
  const int64_t blocks, groups;              // of terms, of results
  bool by_channels;
  int64_t height, tiles, tasks;  // of a task: rows of tiles, tiles; how many tasks

  Winograd(const ConvArgs& args, bool forward_)
      : a(args),
        forward(forward_),
        in{forward ? a.g.in[1] : a.g.out[1], forward ? a.g.in[2] : a.g.out[2], steps_of(a, forward)},
        out{forward ? a.g.out[1] : a.g.in[1], forward ? a.g.out[2] : a.g.in[2], steps_of(a, !forward)},
        top(forward ? a.g.pad[1] : 2 - a.g.pad[1]),
        left(forward ? a.g.pad[2] : 2 - a.g.pad[2]),
        terms(forward ? a.ci : a.co),
        channels(forward ? a.co : a.ci),
        down(ceil_div(out.h, 4)),
        across(ceil_div(out.w, 4)),
        tile_rows(a.batch * down),
        blocks(ceil_div(terms, kLanes)),
        groups(ceil_div(channels, kWide)) {
    const int64_t row_bytes = kPart * blocks * kLanes * across;  // of V of a row of tiles
    const int64_t most = max_of<int64_t>(1, max_of(kTaskInput / row_bytes, kSomeTiles / across));
    tasks = min_of(tile_rows, round_up(ceil_div(tile_rows, most), 4));
    // What is read again and again: V by each group of channels, U by each task.
    by_channels = tile_rows * row_bytes <= kAllInput && groups > 1 && groups * tile_rows * across <= tasks * channels;
    if (by_channels) tasks = 1;
    height = ceil_div(tile_rows, tasks);
    tasks = ceil_div(tile_rows, height);
    tiles = height * across;
  }

  int64_t v_point() const { return blocks * tiles * kLanes + kApart; }
  int64_t u_point(int64_t n) const { return n * kWide + kApart; }  // of n terms of a group
  int64_t m_group() const { return tiles * kWide + kApart; }
  int64_t input_size() const { return kPoints * v_point(); }
  int64_t weight_size() const { return kPoints * u_point(terms); }
  int64_t strip_size() const { return 6 * (4 * across + 2) * kLanes; }

  // Row r of all tiles, the i-th of its task.
  void transform_input(int64_t group, int64_t r, int64_t i, int64_t block, float* strip, float* v) const {
    const int64_t c0 = block * kLanes;
    const float* x = static_cast<const float*>(forward ? a.x : a.y);
    input_tiles(x + r / down * in.steps.image + (group * terms + c0) * in.steps.channel, in, min_of(kLanes, terms - c0),
                r % down * 4 - top, -left, across, strip, v + (block * tiles + i * across) * kLanes, v_point());
  }

  WeightView weights(int64_t group) const { return {a, group, forward}; }

  // M of n tiles and the groups of channels [g0, g1), of blocks of terms [b0, b1); u: theirs.
  void products(int64_t n, int64_t g0, int64_t g1, int64_t b0, int64_t b1, const float* v, const float* u,
                float* m) const {
    constexpr int64_t most = 64;
    Segment segments[most];
    const int64_t k = min_of(terms, b1 * kLanes) - b0 * kLanes;
    for (int64_t point = 0; point < kPoints; ++point)
      for (int64_t g = g0; g < g1; ++g) {
        float* to = m + (point * (g1 - g0) + g - g0) * m_group();
        for (int64_t b = b0; b < b1; b += most) {
          const int64_t count = min_of(most, b1 - b);
          for (int64_t i = 0; i < count; ++i)
            segments[i] = {(b + i) * tiles * kLanes, (b - b0 + i) * kLanes * kWide,
                           min_of(kLanes, terms - (b + i) * kLanes)};
          conv_rows(segments, count, v + point * v_point(), n, u + ((g - g0) * kPoints + point) * u_point(k),
                    channels - g * kWide, to, kWide, nullptr, b > 0);
        }
      }
  }

  // Rows of tiles [r0, r1) of the groups of channels [g0, g1) from their M.
  void results(int64_t group, int64_t r0, int64_t r1, int64_t g0, int64_t g1, const float* m, float* strip,
               VecF& check) const {
    float* y = static_cast<float*>(forward ? a.y : a.x);
    const float* bias = static_cast<const float*>(a.bias);
    for_tiles(
        out, r0, r1, g0 * kWide / kLanes, ceil_div(min_of(channels, g1 * kWide), kLanes), [&](int64_t r, int64_t b) {
          const int64_t c = b * kLanes, lanes = min_of(kLanes, channels - c);
          output_tiles(m + (c / kWide - g0) * m_group() + c % kWide + (r - r0) * across * kWide, (g1 - g0) * m_group(),
                       across, y + r / down * out.steps.image + (group * channels + c) * out.steps.channel, out, lanes,
                       r % down * 4, bias ? VecF::load(bias + group * channels + c, lanes) : VecF(0.0f), VecF(a.low()),
                       strip, check);
        });
  }

  bool run() const {
    int bad = 0;
    for (int64_t group = 0; group < a.groups; ++group)
      by_channels ? run_by_channels(group, &bad) : run_by_rows(group, &bad);
    return bad == 0;
  }

  void run_by_rows(int64_t group, int* bad) const {
    const int64_t chunk = min_of(groups, max_of<int64_t>(1, kSharedWeights / (kPart * terms * kWide)));
    const bool own = groups * weight_size() * static_cast<int64_t>(sizeof(float)) <= kOwnWeights;
    const Scratch<float> shared(own ? 0 : chunk * weight_size());
    for (int64_t g0 = 0; g0 < groups; g0 += chunk) {
      const int64_t g1 = min_of(groups, g0 + chunk);
      const auto transform = [&](int64_t g, float* u) {
        weight_tiles(weights(group), g * kWide, 0, terms, !forward, u + (g - g0) * weight_size(), u_point(terms));
      };
      if (!own)
        parallel_for(g0, g1, grain_for(static_cast<double>(terms) * 100), [&](int64_t begin, int64_t end) {
          for (int64_t g = begin; g < end; ++g) transform(g, shared.get());
        });
      // Of 512 tiles, transforming the weights costs 1 %.
      const int64_t share = min_of(ceil_div(tasks, num_threads()), max_of<int64_t>(1, 512 / tiles));
      parallel_for(0, tasks, own ? share : 1, [&](int64_t begin, int64_t end) {
        const Scratch<float> mine(own ? groups * weight_size() : 0);
        float* u = own ? mine.get() : shared.get();
        for (int64_t g = g0; own && g < g1; ++g) transform(g, u);
        const int64_t part = min_of(g1 - g0, max_of<int64_t>(1, kTaskOutput / (kPart * tiles * kWide)));
        const Scratch<float> strip(strip_size()), v(input_size()), m(kPoints * part * m_group());
        VecF check(0.0f);
        for (int64_t task = begin; task < end; ++task) {
          const int64_t r0 = tile_rows * task / tasks, r1 = tile_rows * (task + 1) / tasks;
          for_tiles(in, r0, r1, 0, blocks,
                    [&](int64_t r, int64_t b) { transform_input(group, r, r - r0, b, strip.get(), v.get()); });
          for (int64_t g = g0; g < g1; g += part) {
            const int64_t last = min_of(g1, g + part);
            products((r1 - r0) * across, g, last, 0, blocks, v.get(), u + (g - g0) * weight_size(), m.get());
            results(group, r0, r1, g, last, m.get(), strip.get(), check);
          }
        }
        report(check, bad);
      });
    }
  }

  void run_by_channels(int64_t group, int* bad) const {
    const int64_t run = min_of(blocks, max_of<int64_t>(1, kTaskWeights / (kPart * kLanes * kWide * kAtOnce)));
    parallel_for(0, groups, own_input_grain(groups, kAtOnce), [&](int64_t begin, int64_t end) {
      const Scratch<float> strip(strip_size()), v(input_size()), u(kPoints * u_point(run * kLanes) * kAtOnce),
          m(kPoints * m_group() * kAtOnce);
      VecF check(0.0f);
      for_tiles(in, 0, tile_rows, 0, blocks,
                [&](int64_t r, int64_t b) { transform_input(group, r, r, b, strip.get(), v.get()); });
      for (int64_t g0 = begin; g0 < end; g0 += kAtOnce) {
        const int64_t g1 = min_of(end, g0 + kAtOnce);
        for (int64_t b = 0; b < blocks; b += run) {
          const int64_t last = min_of(blocks, b + run), k0 = b * kLanes, k1 = min_of(terms, last * kLanes);
          const int64_t step = u_point(k1 - k0);
          for (int64_t g = g0; g < g1; ++g)
            weight_tiles(weights(group), g * kWide, k0, k1, !forward, u.get() + (g - g0) * kPoints * step, step);
          products(tiles, g0, g1, b, last, v.get(), u.get(), m.get());
        }
        results(group, 0, tile_rows, g0, g1, m.get(), strip.get(), check);
      }
      report(check, bad);
    });
  }
};

}  // namespace

bool winograd_forward(const ConvArgs& a) { return Winograd(a, true).run(); }
bool winograd_backward_input(const ConvArgs& a) { return Winograd(a, false).run(); }

}  // namespace PYNN_CPU_NAMESPACE
