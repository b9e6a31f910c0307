// channel_norm_groups.h -- group norm in channels last order: x [N, L, C], a statistic for each image and C / G
// columns.
//
// Sums are of columns first, as for batch norm (channel_norm_columns.h), then of the columns of a group.
#pragma once
#include "kernels/cpu/channel_norm_columns.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// The rows of each image, cut into parts by sizes alone.
struct ImageParts {
  const int64_t images, groups, columns, rows, parts;
  static constexpr int64_t kRows = 128, kMostParts = 64;
  explicit ImageParts(const ChannelNormArgs& a)
      : images(a.stats / a.groups),
        groups(a.groups),
        columns(a.channels),
        rows(a.length),
        parts(clamp_of(rows / kRows, 1, kMostParts)) {}
  int64_t begin(int64_t part) const { return rows * part / parts; }
  int64_t end(int64_t part) const { return begin(part + 1); }

  // f(part of all, its first element, its rows)
  template <class F>
  void each(F f) const {
    const double ns = 0.3 * static_cast<double>(rows) * static_cast<double>(columns) / static_cast<double>(parts);
    parallel_for(0, images * parts, grain_for(ns), [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        const int64_t part = i % parts, r = begin(part);
        f(i, (i / parts * rows + r) * columns, end(part) - r);
      }
    });
  }
  // f(image) where it takes so many of its sums.
  template <class F>
  void each_image(F f) const {
    parallel_for(0, images, grain_for(2.0 * static_cast<double>(parts * columns)), [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) f(i);
    });
  }
};

template <class T>
void forward_groups(const Norm<T>& p) {
  using V = Vec<T>;
  constexpr int64_t W = V::kSize;
  const ImageParts all(p.a);
  const int64_t C = all.columns, each = p.a.chunks;
  const Scratch<double> mean(all.images * all.parts * C), squares(all.images * all.parts * C);
  all.each([&](int64_t i, int64_t at, int64_t rows) {
    for (int64_t c = 0; c < C; ++c) mean[i * C + c] = squares[i * C + c] = 0;
    for_columns<T>(0, C, [&](int64_t c, auto vectors, int64_t n) {
      measure_columns<T, decltype(vectors)::value>(p.x + at + c, C, rows, n, mean.get() + i * C + c,
                                                   squares.get() + i * C + c);
    });
  });
  const Scratch<T> center(all.images * C), scale(all.images * C);
  all.each_image([&](int64_t image) {
    double *const m = mean.get() + image * all.parts * C, *const q = squares.get() + image * all.parts * C;
    for (int64_t part = 1; part < all.parts; ++part)
      for (int64_t c = 0; c < C; ++c)
        merge(m[c], q[c], static_cast<double>(all.begin(part)), m[part * C + c], q[part * C + c],
              static_cast<double>(all.end(part) - all.begin(part)));
    const auto rows = static_cast<double>(all.rows);
    for (int64_t g = 0; g < all.groups; ++g) {
      const int64_t first = g * each, s = image * all.groups + g;
      double group_mean = m[first], group_squares = q[first];
      for (int64_t k = 1; k < each; ++k)
        merge(group_mean, group_squares, rows * static_cast<double>(k), m[first + k], q[first + k], rows);
      p.measured(s, group_mean, group_squares / p.n);
      for (int64_t c = first; c < first + each; ++c) {
        center[image * C + c] = p.mean[s];
        scale[image * C + c] = p.weight ? p.rstd[s] * p.weight[c] : p.rstd[s];
      }
    }
  });
  all.each([&](int64_t i, int64_t at, int64_t rows) {
    const int64_t image = i / all.parts * C;
    for_columns<T>(0, C, [&](int64_t c, auto vectors, int64_t n) {
      constexpr int NV = decltype(vectors)::value;
      const auto load = [n](const T* x) { return NV == 1 ? V::load(x, n) : V::load(x); };
      V m[NV], s[NV], b[NV];
      for (int v = 0; v < NV; ++v) {
        m[v] = load(center.get() + image + c + v * W), s[v] = load(scale.get() + image + c + v * W);
        b[v] = p.bias ? load(p.bias + c + v * W) : V(T(0));
      }
      for (int64_t k = at + c; k < at + rows * C; k += C)
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v)
          fma(load(p.x + k + v * W) - m[v], s[v], b[v]).store(p.y + k + v * W, NV == 1 ? n : W);
    });
  });
}

template <class T>
void backward_groups(const Norm<T>& p) {
  using V = Vec<T>;
  constexpr int64_t W = V::kSize;
  const ChannelNormArgs& a = p.a;
  const ImageParts all(a);
  const int64_t C = all.columns, each = a.chunks;
  const Scratch<T> center(all.images * C), scale(all.images * C), by_x(all.images * C), shift(all.images * C);
  for (int64_t i = 0; i < all.images * C; ++i) center[i] = p.mean[i / each];
  const Scratch<double> g(all.images * all.parts * C), gx(all.images * all.parts * C);  // sum dy, sum dy (x - mean)
  all.each([&](int64_t i, int64_t at, int64_t rows) {
    for_columns<T>(0, C, [&](int64_t c, auto vectors, int64_t n) {
      sum_gradients<T, decltype(vectors)::value>(p.dy + at + c, p.x + at + c, C, rows, n,
                                                 center.get() + i / all.parts * C + c, g.get() + i * C + c,
                                                 gx.get() + i * C + c);
    });
  });
  all.each_image([&](int64_t image) {
    double *const d = g.get() + image * all.parts * C, *const dx = gx.get() + image * all.parts * C;
    for (int64_t part = 1; part < all.parts; ++part)
      for (int64_t c = 0; c < C; ++c) d[c] += d[part * C + c], dx[c] += dx[part * C + c];
    for (int64_t group = 0; group < all.groups; ++group) {
      const T r = p.rstd[image * all.groups + group];
      double sum = 0, sum_x = 0;  // of weight dy, weight dy (x - mean)
      for (int64_t c = group * each; c < (group + 1) * each; ++c) {
        const double w = p.weight ? static_cast<double>(p.weight[c]) : 1;
        sum += w * d[c], sum_x += w * dx[c];
      }
      for (int64_t c = image * C + group * each, k = 0; k < each; ++k, ++c) {
        scale[c] = p.weight ? r * p.weight[group * each + k] : r;
        by_x[c] = static_cast<T>(-sum_x / p.n) * (r * r * r);
        shift[c] = static_cast<T>(-sum / p.n) * r;
      }
    }
  });
  for (int64_t c = 0; c < C; ++c) {
    double dw = 0, db = 0;
    for (int64_t image = 0; image < all.images; ++image) {
      dw += gx[image * all.parts * C + c] * static_cast<double>(p.rstd[image * all.groups + c / each]);
      db += g[image * all.parts * C + c];
    }
    if (a.dweight) static_cast<T*>(a.dweight)[c] = static_cast<T>(dw);
    if (a.dbias) static_cast<T*>(a.dbias)[c] = static_cast<T>(db);
  }
  if (!p.dx) return;
  all.each([&](int64_t i, int64_t at, int64_t rows) {
    const int64_t image = i / all.parts * C;
    for_columns<T>(0, C, [&](int64_t c, auto vectors, int64_t n) {
      constexpr int NV = decltype(vectors)::value;
      const auto load = [n](const T* x) { return NV == 1 ? V::load(x, n) : V::load(x); };
      V m[NV], s[NV], f[NV], o[NV];
      for (int v = 0; v < NV; ++v) {
        const int64_t place = image + c + v * W;
        m[v] = load(center.get() + place), s[v] = load(scale.get() + place);
        f[v] = load(by_x.get() + place), o[v] = load(shift.get() + place);
      }
      for (int64_t k = at + c; k < at + rows * C; k += C)
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) {
          const V from_x = fma(load(p.x + k + v * W) - m[v], f[v], o[v]);
          fma(load(p.dy + k + v * W), s[v], from_x).store(p.dx + k + v * W, NV == 1 ? n : W);
        }
    });
  });
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
