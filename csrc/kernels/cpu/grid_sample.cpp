// grid_sample.cpp -- y[n, c, p] = sum_k weight[k, p] x[n, c, at[k, p]], over the K^dims elements around position p: K
// is 1, 2 and 4 for nearest, linear and cubic.
//
// Places and weights of a tile of points are found once, for all channels; registers run along the points, and elements
// are gathered. Parallel over tiles; the gradient of the input over its planes, each summed in the order of the points.
#include "kernels/grid_sample.h"

#include "core/parallel.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec_shuffle.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// Of a tile of points: the elements that each reads (negative: outside, reads as 0), their weights, and the weights'
// derivatives by the grid's numbers.
template <class T, int D, int K>
struct alignas(64) Tile {
  static constexpr int kCorners = D == 2 ? K * K : K * K * K;
  static constexpr int64_t kTile = kCorners < 8 ? 512 / kCorners : 64;
  typename Vec<T>::Int at[kCorners][kTile];
  T weight[kCorners][kTile];
  T slope[D][kCorners][kTile];
};

// p[at[i]] in lane i, and 0 where at[i] is negative.
template <class T>
PYNN_INLINE Vec<T> gather_or_zero(const T* p, Vec<typename Vec<T>::Int> at) {
  const Vec<typename Vec<T>::Int> zero(0);
  return select(Mask<T>{(at >= zero).v}, gather(p, max(at, zero)), Vec<T>(T(0)));
}

// What Tile holds, along one dim, of a register of points. The element's number is multiplied by its dim's stride.
template <class T, int K>
struct Taps {
  Vec<typename Vec<T>::Int> at[K];
  Vec<T> weight[K], slope[K];
};

// The position inside the input that `p` stands for; the slope takes the sign of its derivative, 0 where it stands
// still.
template <class T>
PYNN_INLINE Vec<T> inside(const GridSampleArgs& a, int64_t size, Vec<T> p, Vec<T>& slope) {
  using V = Vec<T>;
  if (a.padding == GridPadding::Zeros) return p;
  const V zero(T(0)), last(static_cast<T>(size - 1));
  if (a.padding == GridPadding::Reflection) {
    const T span = static_cast<T>(a.align_corners ? size - 1 : size);
    const V low(T(a.align_corners ? 0 : -0.5)), twice(2 * span);
    const V distance = abs(p - low);
    const V there = fnma(trunc(distance / twice), twice, distance), back = twice - there;
    slope = select((p < low) ^ (there > back), -slope, slope);
    p = span == 0 ? zero : min(there, back) + low;
  }
  slope = select((p > zero) & (p < last), slope, zero);
  return min(max(p, zero), last);  // 0 for what is no number
}

// Keys' weights of the elements at -1, 0, 1 and 2 for a position t in [0, 1), and their derivatives.
template <class T>
PYNN_INLINE void cubic(Vec<T> t, Vec<T>* weight, Vec<T>* slope) {
  using V = Vec<T>;
  constexpr T a = T(-0.75);
  const V distance[4] = {t + V(T(1)), t, V(T(1)) - t, V(T(2)) - t};
  for (int k = 0; k < 4; ++k) {
    const V x = distance[k];
    V w, s;
    if (k == 0 || k == 3) {
      w = ((V(a) * x - V(5 * a)) * x + V(8 * a)) * x - V(4 * a);
      s = (V(3 * a) * x - V(10 * a)) * x + V(8 * a);
    } else {
      w = (V(a + 2) * x - V(a + 3)) * x * x + V(T(1));
      s = (V(3 * (a + 2)) * x - V(2 * (a + 3))) * x;
    }
    weight[k] = w;
    slope[k] = k < 2 ? s : -s;
  }
}

template <class T, int K>
PYNN_INLINE void locate_along(const GridSampleArgs& a, int64_t size, int64_t stride, Vec<T> g, Taps<T, K>& taps) {
  using V = Vec<T>;
  using Int = typename V::Int;
  constexpr Int kOutside = -(Int(1) << 29);  // stays negative when other dims' places are added
  const V one(T(1)), scale(static_cast<T>(a.align_corners ? size - 1 : size) / 2);
  V slope = scale, p = (g + one) * scale;
  if (!a.align_corners) p -= V(T(0.5));
  if constexpr (K < 4) p = inside(a, size, p, slope);
  const V low = K == 1 ? round(p) : floor(p), t = p - low;
  if constexpr (K == 1) {
    taps.weight[0] = one;
  } else if constexpr (K == 2) {
    taps.weight[0] = one - t, taps.weight[1] = t;
    taps.slope[0] = -slope, taps.slope[1] = slope;
  } else {
    cubic(t, taps.weight, taps.slope);
    for (int k = 0; k < 4; ++k) taps.slope[k] *= slope;
  }
  for (int k = 0; k < K; ++k) {
    V at = low + V(static_cast<T>(K == 4 ? k - 1 : k)), unused = one;
    if constexpr (K == 4) at = inside(a, size, at, unused);
    const Mask<T> valid = (at >= V(T(0))) & (at <= V(static_cast<T>(size - 1)));
    const Vec<Int> whole = __builtin_convertvector(select(valid, at, V(T(0))).v, typename Vec<Int>::Native);
    taps.at[k] = select(Mask<Int>{valid.v}, whole * Vec<Int>(static_cast<Int>(stride)), Vec<Int>(kOutside));
  }
}

// Number d of each of a register of points; `left` of them are there, the others are 0.
template <class T, int D>
PYNN_INLINE Vec<T> coordinates(const T* p, int d, int64_t left) {
  using V = Vec<T>;
  constexpr int64_t L = V::kSize;
  if (D == 2 && 2 * left - d > L) return every_second<0>(V::load(p + d), V::load(p + d + L, 2 * left - d - L));
  V r(T(0));
  for (int64_t i = 0; i < min_of(left, L); ++i) r.v[i] = p[i * D + d];
  return r;
}

template <class T, int D, int K>
void locate(const GridSampleArgs& a, int64_t n, int64_t first, int64_t count, bool slopes, Tile<T, D, K>& tile) {
  using V = Vec<T>;
  using Int = typename V::Int;
  const T* grid = static_cast<const T*>(a.grid) + (n * a.points + first) * D;
  for (int64_t p = 0; p < count; p += V::kSize) {
    Taps<T, K> taps[D];  // of the last dim first
    int64_t stride = 1;
#pragma GCC unroll 3
    for (int d = 0; d < D; ++d) {
      const int64_t size = a.size[2 - d];
      locate_along<T, K>(a, size, stride, coordinates<T, D>(grid + p * D, d, count - p), taps[d]);
      stride *= size;
    }
#pragma GCC unroll 4
    for (int k = 0; k < tile.kCorners; ++k) {
      const int tap[3] = {k % K, k / K % K, k / (K * K)};
      Vec<Int> at = taps[0].at[tap[0]];
      V weight = taps[0].weight[tap[0]];
      for (int d = 1; d < D; ++d) at += taps[d].at[tap[d]], weight *= taps[d].weight[tap[d]];
      // In three dims a weight that is no number counts for nothing outside, as in PyTorch.
      if (D == 3) weight = select(Mask<T>{(at >= Vec<Int>(0)).v}, weight, V(T(0)));
      at.store(tile.at[k] + p);
      weight.store(tile.weight[k] + p);
      for (int d = 0; slopes && d < D; ++d) {
        V slope = taps[d].slope[tap[d]];
        for (int e = 0; e < D; ++e)
          if (e != d) slope *= taps[e].weight[tap[e]];
        slope.store(tile.slope[d][k] + p);
      }
    }
  }
}

template <class T, int D, int K>
struct GridSample {
  using V = Vec<T>;
  using Int = typename V::Int;
  using Points = Tile<T, D, K>;
  static constexpr int64_t kTile = Points::kTile;

  explicit GridSample(const GridSampleArgs& args)
      : a(args), plane(a.size[0] * a.size[1] * a.size[2]), tiles(ceil_div(a.points, kTile)) {}

  // f(n, first point, their number) for all tiles.
  template <class F>
  void for_tiles(double ns_of_element, F f) const {
    const double ns =
        static_cast<double>(kTile) * (0.5 + ns_of_element * Points::kCorners * static_cast<double>(a.channels));
    parallel_for(0, a.n * tiles, grain_for(ns), [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const int64_t first = t % tiles * kTile;
        f(t / tiles, first, min_of(kTile, a.points - first));
      }
    });
  }

  void forward() const {
    for_tiles(0.2, [&](int64_t n, int64_t first, int64_t count) {
      Points tile;
      locate(a, n, first, count, false, tile);
      for (int64_t c = n * a.channels; c < (n + 1) * a.channels; ++c) {
        const T* from = static_cast<const T*>(a.x) + c * plane;
        T* to = static_cast<T*>(a.y) + c * a.points + first;
        for (int64_t p = 0; p < count; p += V::kSize) {
          V sum(T(0));
#pragma GCC unroll 4
          for (int k = 0; k < tile.kCorners; ++k)
            sum = fma(V::load(tile.weight[k] + p), gather_or_zero(from, Vec<Int>::load(tile.at[k] + p)), sum);
          sum.store(to + p, count - p);
        }
      }
    });
  }

  void backward_grid() const {
    for_tiles(0.3, [&](int64_t n, int64_t first, int64_t count) {
      Points tile;
      locate(a, n, first, count, true, tile);
      for (int64_t p = 0; p < count; p += V::kSize) {
        V sums[D];
        for (V& s : sums) s = V(T(0));
        for (int64_t c = n * a.channels; c < (n + 1) * a.channels; ++c) {
          const T* from = static_cast<const T*>(a.x) + c * plane;
          const V g = V::load(static_cast<const T*>(a.dy) + c * a.points + first + p, count - p);
#pragma GCC unroll 4
          for (int k = 0; k < tile.kCorners; ++k) {
            const V x = g * gather_or_zero(from, Vec<Int>::load(tile.at[k] + p));
            for (int d = 0; d < D; ++d) sums[d] = fma(x, V::load(tile.slope[d][k] + p), sums[d]);
          }
        }
        T* to = static_cast<T*>(a.dgrid) + (n * a.points + first + p) * D;
        for (int64_t i = 0; i < min_of<int64_t>(V::kSize, count - p); ++i)
          for (int d = 0; d < D; ++d) to[i * D + d] = sums[d][static_cast<int>(i)];
      }
    });
  }

  void backward_input() const {
    const double ns = (0.5 + Points::kCorners) * static_cast<double>(a.points) + 0.1 * static_cast<double>(plane);
    parallel_for(0, a.n * a.channels, grain_for(ns), [&](int64_t begin, int64_t end) {
      __builtin_memset(static_cast<T*>(a.dx) + begin * plane, 0,
                       static_cast<size_t>((end - begin) * plane) * sizeof(T));
      Points tile;
      for (int64_t c0 = begin, c1; c0 < end; c0 = c1) {
        const int64_t n = c0 / a.channels;
        c1 = min_of(end, (n + 1) * a.channels);
        for (int64_t first = 0; first < a.points; first += kTile) {
          const int64_t count = min_of(kTile, a.points - first);
          locate(a, n, first, count, false, tile);
          for (int64_t c = c0; c < c1; ++c) {
            const T* g = static_cast<const T*>(a.dy) + c * a.points + first;
            T* to = static_cast<T*>(a.dx) + c * plane;
            for (int64_t p = 0; p < count; ++p)
#pragma GCC unroll 4
              for (int k = 0; k < tile.kCorners; ++k)
                if (tile.at[k][p] >= 0) to[tile.at[k][p]] += tile.weight[k][p] * g[p];
          }
        }
      }
    });
  }

  const GridSampleArgs& a;
  int64_t plane, tiles;
};

template <class T, class F>
void with_sizes(const GridSampleArgs& a, F f) {
  if (a.dims == 2)
    a.mode == GridMode::Nearest  ? f(GridSample<T, 2, 1>(a))
    : a.mode == GridMode::Linear ? f(GridSample<T, 2, 2>(a))
                                 : f(GridSample<T, 2, 4>(a));
  else
    a.mode == GridMode::Nearest ? f(GridSample<T, 3, 1>(a)) : f(GridSample<T, 3, 2>(a));
}
template <class F>
void with_types(const GridSampleArgs& a, F f) {
  a.dtype == DType::Float64 ? with_sizes<double>(a, f) : with_sizes<float>(a, f);
}

}  // namespace

void grid_sample_forward(const GridSampleArgs& a) {
  with_types(a, [](const auto& g) { g.forward(); });
}
void grid_sample_backward_input(const GridSampleArgs& a) {
  with_types(a, [](const auto& g) { g.backward_input(); });
}
void grid_sample_backward_grid(const GridSampleArgs& a) {
  with_types(a, [](const auto& g) { g.backward_grid(); });
}

}  // namespace PYNN_CPU_NAMESPACE
