// convolution_winograd_weight.cpp -- backward with respect to the weight, by convolution_winograd.h.
//
//   P [36, blocks of ci, lanes, wide] of a group of co = sum over tiles of V Z,   dw = G^T P G
//
// Either tasks own a share of the tiles, and all of P for themselves, which are added up at the end; or, where P is
// large, tasks own groups of output channels, and each transforms all of the input. So what a core reads again and
// again was written by itself. Shares depend on sizes alone, so the bits do not depend on the threads.
#include "kernels/cpu/convolution_winograd.h"
#include "kernels/cpu/scratch.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// Bytes of: P of a share, P of all shares, V and Z of a round of a share, V of a task that owns channels, P of one in
// L2.
constexpr int64_t kSmallSums = 4 << 20, kAllSums = 32 << 20, kRound = 1 << 20, kAllInput = 32 << 20,
                  kTaskSums = 384 << 10;
constexpr int64_t kShares = 8, kSomeTiles = 48;

struct WinogradWeight {
  const ConvArgs& a;
  const Plane in, out;
  const int64_t down, across, tile_rows;    // tiles of an image, rows of tiles of all images
  const int64_t blocks, groups, halves;     // of ci; of co, kWide and kLanes each
  const int64_t p_block, p_point, p_group;  // elements of P: a block of ci, a point, a group of co

  explicit WinogradWeight(const ConvArgs& args)
      : a(args),
        in{a.g.in[1], a.g.in[2], steps_of(a, true)},
        out{a.g.out[1], a.g.out[2], steps_of(a, false)},
        down(ceil_div(out.h, 4)),
        across(ceil_div(out.w, 4)),
        tile_rows(a.batch * down),
        blocks(ceil_div(a.ci, kLanes)),
        groups(ceil_div(a.co, kWide)),
        halves(ceil_div(a.co, kLanes)),
        p_block(kLanes * kWide),
        p_point(blocks * p_block + kApart),
        p_group(kPoints * p_point) {}

  static constexpr int64_t bytes(int64_t n) { return n * static_cast<int64_t>(sizeof(float)); }
  int64_t v_point(int64_t tiles) const { return blocks * tiles * kLanes + kApart; }
  int64_t strip_size() const { return 6 * (4 * across + 2) * kLanes; }
  int64_t all_input() const { return kPart * tile_rows * across * blocks * kLanes; }
  // Of tasks that own tiles.
  int64_t shares() const {
    const int64_t most = min_of(min_of(tile_rows, kShares), kAllSums / bytes(groups * p_group));
    return min_of(most, max_of<int64_t>(4, tile_rows * across / 64));
  }
  // Shares write and read a P each, groups read all of V.
  bool by_channels() const {
    const int64_t p = bytes(groups * p_group), v = all_input();
    return groups >= 4 && v <= kAllInput && (p > kSmallSums || 2 * shares() * p > (groups + 1) * v);
  }
  bool fits() const { return by_channels() || 2 * bytes(groups * p_group) <= kAllSums; }

  // Row r of all tiles, the i-th of `tiles` / across; half: of a block of wide channels.
  void input(int64_t group, int64_t r, int64_t i, int64_t tiles, int64_t block, float* strip, float* v) const {
    const float* x = static_cast<const float*>(a.x);
    input_tiles(x + r / down * in.steps.image + (group * a.ci + block * kLanes) * in.steps.channel, in,
                min_of(kLanes, a.ci - block * kLanes), r % down * 4 - a.g.pad[1], -a.g.pad[2], across, strip,
                v + (block * tiles + i * across) * kLanes, v_point(tiles));
  }
  void gradient(int64_t group, int64_t r, int64_t half, float* strip, float* z, int64_t step) const {
    const float* y = static_cast<const float*>(a.y);
    gradient_tiles(y + r / down * out.steps.image + (group * a.co + half * kLanes) * out.steps.channel, out,
                   min_of(kLanes, a.co - half * kLanes), r % down * 4, across, strip, z, step, kWide);
  }
  // Blocks [b0, b1) of one group of co and one point.
  void sums(int64_t n, int64_t tiles, int64_t g, int64_t b0, int64_t b1, const float* v, const float* z, float* p,
            bool first) const {
    const Segment all{0, 0, n};
    for (int64_t b = b0; b < b1; ++b)
      conv_sums(&all, 1, v + b * tiles * kLanes, min_of(kLanes, a.ci - b * kLanes), z, a.co - g * kWide,
                p + (b - b0) * p_block, first);
  }

  // dw of a block of ci and one of co, from P.
  void results(int64_t group, int64_t block, int64_t half, const float* p, int64_t point_step, VecF& check) const {
    const int64_t n = min_of(kLanes, a.ci - block * kLanes), co = half * kLanes;
    VecF values[kLanes * 9];
    for (int64_t c = 0; c < n; ++c) {
      VecF d[6], r[3], t[3][6];
#pragma GCC unroll 6
      for (int y = 0; y < 6; ++y) {
#pragma GCC unroll 6
        for (int x = 0; x < 6; ++x) d[x] = VecF::load(p + (x * 6 + y) * point_step + c * kWide);
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
    store_transposed(static_cast<float*>(a.w) + ((group * a.co + co) * a.ci + block * kLanes) * 9, a.ci * 9,
                     min_of(kLanes, a.co - co), n * 9, [&](int64_t j) { return values[j]; });
  }

  void run_by_shares(int64_t group, int* bad) const {
    const int64_t shares = this->shares(), p_size = groups * p_group,
                  row_bytes = kPart * across * (blocks * kLanes + groups * kWide);
    const int64_t height = max_of<int64_t>(1, max_of(kRound / row_bytes, kSomeTiles / across)), tiles = height * across;
    const int64_t v_step = v_point(tiles), z_step = groups * tiles * kWide + kApart;
    const Scratch<float> p(shares * p_size);
    parallel_for(0, shares, 1, [&](int64_t begin, int64_t end) {
      const Scratch<float> strip(strip_size()), v(kPoints * v_step), z(kPoints * z_step);
      for (int64_t share = begin; share < end; ++share) {
        const int64_t first = tile_rows * share / shares, last = tile_rows * (share + 1) / shares;
        for (int64_t r0 = first; r0 < last; r0 += height) {
          const int64_t r1 = min_of(last, r0 + height);
          for_tiles(in, r0, r1, 0, blocks,
                    [&](int64_t r, int64_t b) { input(group, r, r - r0, tiles, b, strip.get(), v.get()); });
          for_tiles(out, r0, r1, 0, halves, [&](int64_t r, int64_t h) {
            gradient(group, r, h, strip.get(), z.get() + (h / 2 * tiles + (r - r0) * across) * kWide + h % 2 * kLanes,
                     z_step);
          });
          for (int64_t point = 0; point < kPoints; ++point)
            for (int64_t g = 0; g < groups; ++g)
              sums((r1 - r0) * across, tiles, g, 0, blocks, v.get() + point * v_step,
                   z.get() + point * z_step + g * tiles * kWide,
                   p.get() + share * p_size + g * p_group + point * p_point, r0 == first);
        }
      }
    });
    // What other cores wrote is added up in the order of memory: scattered reads of it are slow.
    parallel_for(0, groups * blocks, grain_for(static_cast<double>(kLanes) * 80), [&](int64_t begin, int64_t end) {
      const int64_t step = p_block + kApart;
      const Scratch<float> sum(kPoints * step);
      VecF check(0.0f);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t g = i / blocks, b = i % blocks;
        for (int64_t point = 0; point < kPoints; ++point) {
          const float* from = p.get() + g * p_group + point * p_point + b * p_block;
          for (int64_t j = 0; j < p_block; j += kLanes) {
            VecF v = VecF::load(from + j);
            for (int64_t s = 1; s < shares; ++s) v += VecF::load(from + s * p_size + j);
            v.store(sum.get() + point * step + j);
          }
        }
        for (int64_t h = 2 * g; h < min_of(halves, 2 * g + 2); ++h)
          results(group, b, h, sum.get() + h % 2 * kLanes, step, check);
      }
      report(check, bad);
    });
  }

  void run_by_channels(int64_t group, int* bad) const {
    const int64_t tiles = tile_rows * across, v_step = v_point(tiles), z_step = tiles * kWide + kApart;
    const int64_t run = min_of(blocks, max_of<int64_t>(1, kTaskSums / bytes(kPoints * p_block)));
    const int64_t step = run * p_block + kApart;
    parallel_for(0, groups, own_input_grain(groups), [&](int64_t begin, int64_t end) {
      const Scratch<float> strip(strip_size()), v(kPoints * v_step), z(kPoints * z_step), p(kPoints * step);
      VecF check(0.0f);
      for_tiles(in, 0, tile_rows, 0, blocks,
                [&](int64_t r, int64_t b) { input(group, r, r, tiles, b, strip.get(), v.get()); });
      for (int64_t g = begin; g < end; ++g) {
        const int64_t last = min_of(halves, 2 * g + 2);
        for_tiles(out, 0, tile_rows, 2 * g, last, [&](int64_t r, int64_t h) {
          gradient(group, r, h, strip.get(), z.get() + r * across * kWide + h % 2 * kLanes, z_step);
        });
        for (int64_t b = 0; b < blocks; b += run) {
          const int64_t end_block = min_of(blocks, b + run);
          for (int64_t point = 0; point < kPoints; ++point)
            sums(tiles, tiles, g, b, end_block, v.get() + point * v_step, z.get() + point * z_step,
                 p.get() + point * step, true);
          for (int64_t h = 2 * g; h < last; ++h)
            for (int64_t c = b; c < end_block; ++c)
              results(group, c, h, p.get() + (c - b) * p_block + h % 2 * kLanes, step, check);
        }
      }
      report(check, bad);
    });
  }
};

}  // namespace

bool winograd_backward_weight_fits(const ConvArgs& a) { return WinogradWeight(a).fits(); }

bool winograd_backward_weight(const ConvArgs& a) {
  const WinogradWeight w(a);
  int bad = 0;
  for (int64_t group = 0; group < a.groups; ++group)
    w.by_channels() ? w.run_by_channels(group, &bad) : w.run_by_shares(group, &bad);
  return bad == 0;
}

}  // namespace PYNN_CPU_NAMESPACE
