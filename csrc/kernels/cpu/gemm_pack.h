// gemm_pack.h -- copying a block of a matrix into slivers that a micro-kernel reads front to back.
//
//   out[p * R + r] = x[r * r_stride + p * k_stride],   r in [0, R), p in [0, k);   0 for r >= rows
//
// R is the width of a tile; either stride may be 1, or neither. Where R is no multiple of a vector, `out` has room for
// one vector more: a store reaches into the next row, which is written after it.
#pragma once
#include "kernels/cpu/vec_shuffle.h"

namespace PYNN_CPU_NAMESPACE {

template <class T, int R>
void pack_sliver(const T* x, int64_t r_stride, int64_t k_stride, int64_t rows, int64_t k, T* out) {
  constexpr int W = Vec<T>::kSize;
  if (r_stride == 1 && rows == R && R % W == 0) {
    for (int64_t p = 0; p < k; ++p, x += k_stride, out += R) {
      Vec<T> v[R / W];
#pragma GCC unroll 4
      for (int i = 0; i < R / W; ++i) v[i] = Vec<T>::load(x + i * W);
#pragma GCC unroll 4
      for (int i = 0; i < R / W; ++i) v[i].store(out + i * W);
    }
  } else if (r_stride == 1) {
    for (int64_t p = 0; p < k; ++p)
#pragma GCC unroll 4
      for (int r = 0; r < R; r += W)
        (rows - r > 0 ? Vec<T>::load(x + p * k_stride + r, rows - r) : Vec<T>(T(0))).store(out + p * R + r);
  } else if (k_stride == 1) {
    for (int64_t p = 0; p < k; p += W) {
      const int64_t n = k - p < W ? k - p : W;
      for (int r0 = (R - 1) / W * W; r0 >= 0; r0 -= W) {
        Vec<T> v[W];
        if (n == W && r0 + W <= rows) {
#pragma GCC unroll 16
          for (int r = 0; r < W; ++r) v[r] = Vec<T>::load(x + (r0 + r) * r_stride + p);
        } else {
#pragma GCC unroll 16
          for (int r = 0; r < W; ++r)
            v[r] = r0 + r < rows ? Vec<T>::load(x + (r0 + r) * r_stride + p, n) : Vec<T>(T(0));
        }
        transpose(v);
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i)
          if (i < n) v[i].store(out + (p + i) * R + r0);
      }
    }
  } else {
    for (int64_t p = 0; p < k; ++p)
      for (int r = 0; r < R; ++r) out[p * R + r] = r < rows ? x[r * r_stride + p * k_stride] : T(0);
  }
}

}  // namespace PYNN_CPU_NAMESPACE
