// phases.h -- rows split so that windows can be swept by vectors along them.
//
// A row of x is padded and split into `stride` phases: element j of the padded row is at phase j % stride, place
// j / stride. What one tap of a window reads for neighbouring outputs then lies next to each other.
#pragma once
#include "kernels/cpu/unfold.h"
#include "kernels/cpu/vec_shuffle.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

struct Phases {
  const ConvGeometry& g;
  int64_t step, place, row, rows;  // phases, elements of one, elements of a row, rows of a plane
  Phases(const ConvGeometry& geometry, int64_t lanes) : g(geometry), step(g.stride[2]) {
    const int64_t span = (g.out[2] - 1) * step + (g.kernel[2] - 1) * g.dilation[2] + 1;
    place = round_up(ceil_div(span, step) + 2 * lanes, lanes);  // whole vectors may be read and written
    row = place * step;
    rows = g.in[0] * g.in[1];
  }
  int64_t size() const { return rows * row; }

  // f(element of the buffer's row, element of x's row)
  template <class F>
  PYNN_INLINE void for_row(F f) const {
    for (int64_t r = 0; r < step; ++r) {
      // j = i * step + r - pad inside [0, in)
      const int64_t first = g.pad[2] - r, low = first > 0 ? ceil_div(first, step) : 0;
      const int64_t last = g.in[2] + first, high = min_of(last > 0 ? ceil_div(last, step) : 0, place);
      for (int64_t i = low; i < high; ++i) f(r * place + i, i * step - first);
    }
  }
  // What lies outside of x; no row that is split later writes there.
  template <class T>
  void clear(T* to, int64_t n, T outside) const {
    for (int64_t i = 0; i < n; ++i) to[i] = outside;
  }
  template <class T>
  void split_row(const T* x, T* to) const {
    constexpr int64_t W = Vec<T>::kSize;
    const int64_t pad = g.pad[2], n = min_of(g.in[2], row - pad);
    if (step == 1) {
      for (int64_t j = 0; j < n; j += W) Vec<T>::load(x + j, n - j).store(to + pad + j, n - j);
    } else if (step == 2) {
      T* even = to + pad % 2 * place + pad / 2;
      T* odd = to + (pad + 1) % 2 * place + (pad + 1) / 2;
      const int64_t evens = min_of((n + 1) / 2, place - pad / 2), odds = min_of(n / 2, place - (pad + 1) / 2);
      for (int64_t j = 0; j < evens; j += W) {
        const Vec<T> a = Vec<T>::load(x + 2 * j, n - 2 * j);
        const Vec<T> b = n - 2 * j > W ? Vec<T>::load(x + 2 * j + W, n - 2 * j - W) : Vec<T>(T(0));
        every_second<0>(a, b).store(even + j, evens - j);
        if (odds > j) every_second<1>(a, b).store(odd + j, odds - j);
      }
    } else {
      for_row([&](int64_t at, int64_t j) { to[at] = x[j]; });
    }
  }
  template <class T>
  void split(const T* x, T* to) const {
    for (int64_t r = 0; r < rows; ++r) split_row(x + r * g.in[2], to + r * row);
  }
  template <class T>
  void join(const T* from, T* x, T b) const {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t j = 0; j < g.in[2]; ++j) x[r * g.in[2] + j] = b;
      for_row([&](int64_t at, int64_t j) { x[r * g.in[2] + j] += from[r * row + at]; });
    }
  }
  // f(tap, place in the buffer, place in the plane) of what output position 0 reads, for the taps of output row
  // (od, oh) that lie in some row of x.
  template <class F>
  PYNN_INLINE void for_taps_of_row(int64_t od, int64_t oh, F f) const {
    for_taps(g, [&](int64_t tap, int64_t td, int64_t th, int64_t tw) {
      const int64_t id = od * g.stride[0] - g.pad[0] + td * g.dilation[0];
      const int64_t ih = oh * g.stride[1] - g.pad[1] + th * g.dilation[1];
      if (id < 0 || id >= g.in[0] || ih < 0 || ih >= g.in[1]) return;
      const int64_t j = tw * g.dilation[2];
      const int64_t r = id * g.in[1] + ih;
      f(tap, r * row + j % step * place + j / step, r * g.in[2] + j - g.pad[2]);
    });
  }
};

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
