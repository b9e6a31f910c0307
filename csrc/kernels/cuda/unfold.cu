// unfold.cu -- im2col and its adjoint. Rows (blocks' y) are (image, channel, tap) or (image, channel), columns pixels.
#include "kernels/convolution.h"

#include "kernels/cuda/launch.cuh"

namespace pynn::cuda {
namespace {

// The geometry in 32 bits, as positions within one channel are counted.
struct Space {
  explicit Space(const ConvGeometry& g) {
    for (int d = 0; d < 3; ++d) {
      in[d] = static_cast<int>(g.in[d]), out[d] = static_cast<int>(g.out[d]);
      kernel[d] = static_cast<int>(g.kernel[d]), stride[d] = static_cast<int>(g.stride[d]);
      pad[d] = static_cast<int>(g.pad[d]), dilation[d] = static_cast<int>(g.dilation[d]);
    }
  }
  int in[3], out[3], kernel[3], stride[3], pad[3], dilation[3];
};

template <class E>
__global__ void unfold_pixels(const E* x, E* col, int64_t rows, int taps, int64_t in, int64_t pixels, Space s) {
#pragma unroll 1
  for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
    const int tap = static_cast<int>(row % taps), th = tap / s.kernel[2] % s.kernel[1];
    const int td = tap / s.kernel[2] / s.kernel[1], tw = tap % s.kernel[2];
    const int d0 = td * s.dilation[0] - s.pad[0], h0 = th * s.dilation[1] - s.pad[1],
              w0 = tw * s.dilation[2] - s.pad[2];
    const E* from = x + row / taps * in;
    E* to = col + row * pixels;
    PYNN_GRID_LOOP(p, pixels) {
      const unsigned u = static_cast<unsigned>(p), wide = static_cast<unsigned>(s.out[2]);
      const int ow = static_cast<int>(u % wide), r = static_cast<int>(u / wide);
      const int oh = r % s.out[1], od = r / s.out[1];
      const int id = od * s.stride[0] + d0, ih = oh * s.stride[1] + h0, iw = ow * s.stride[2] + w0;
      const bool inside = id >= 0 && id < s.in[0] && ih >= 0 && ih < s.in[1] && iw >= 0 && iw < s.in[2];
      to[p] = inside ? from[(static_cast<int64_t>(id) * s.in[1] + ih) * s.in[2] + iw] : E{};
    }
  }
}

// Outputs whose window has its tap `t` on position `i`: one or none.
__device__ inline int output_at(const Space& s, int d, int i, int t) {
  const int at = i + s.pad[d] - t * s.dilation[d], o = at / s.stride[d];
  return at >= 0 && o * s.stride[d] == at && o < s.out[d] ? o : -1;
}

template <class T>
__device__ inline Compute<T> plus(Compute<T> a, Compute<T> b) {
  return static_cast<Compute<T>>(a + b);
}

template <class T>
__global__ void fold_pixels(T* x, const T* col, int64_t rows, int taps, int64_t in, int64_t pixels, Space s) {
#pragma unroll 1
  for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
    const T* from = col + row * taps * pixels;
    T* to = x + row * in;
#pragma unroll 1
    PYNN_GRID_LOOP(p, in) {
      const unsigned u = static_cast<unsigned>(p), wide = static_cast<unsigned>(s.in[2]);
      const int iw = static_cast<int>(u % wide), r = static_cast<int>(u / wide);
      const int ih = r % s.in[1], id = r / s.in[1];
      Compute<T> sum{};
#pragma unroll 1
      for (int td = 0; td < s.kernel[0]; ++td) {
        const int od = output_at(s, 0, id, td);
        if (od < 0) continue;
#pragma unroll 1
        for (int th = 0; th < s.kernel[1]; ++th) {
          const int oh = output_at(s, 1, ih, th);
          if (oh < 0) continue;
#pragma unroll 1
          for (int tw = 0; tw < s.kernel[2]; ++tw) {
            const int ow = output_at(s, 2, iw, tw);
            if (ow < 0) continue;
            const int64_t tap = (static_cast<int64_t>(td) * s.kernel[1] + th) * s.kernel[2] + tw;
            const int64_t pixel = (static_cast<int64_t>(od) * s.out[1] + oh) * s.out[2] + ow;
            sum = plus<T>(sum, load(from[tap * pixels + pixel]));
          }
        }
      }
      to[p] = store_as<T>(sum);
    }
  }
}

int64_t product3(const int64_t* d) { return d[0] * d[1] * d[2]; }
dim3 grid_of(int64_t rows, int64_t columns) {
  return {static_cast<unsigned>(std::min<int64_t>((columns + kBlock - 1) / kBlock, 1024)),
          static_cast<unsigned>(std::min<int64_t>(rows, 65535))};
}

}  // namespace

void unfold(const UnfoldArgs& a) {
  const int64_t in = product3(a.g.in), pixels = product3(a.g.out), taps = product3(a.g.kernel);
  const int64_t rows = a.batch * a.channels * taps;
  if (rows * pixels == 0) return;
  dispatch_size(a.dtype, [&](auto e) {
    using E = decltype(e);
    launch(unfold_pixels<E>, grid_of(rows, pixels), kBlock, static_cast<const E*>(a.x), static_cast<E*>(a.col), rows,
           static_cast<int>(taps), in, pixels, Space(a.g));
  });
}
PYNN_CUDA_KERNEL(unfold);

void fold(const UnfoldArgs& a) {
  const int64_t in = product3(a.g.in), pixels = product3(a.g.out), taps = product3(a.g.kernel);
  const int64_t rows = a.batch * a.channels;
  if (rows * in == 0) return;
  dispatch_real("fold", a.dtype, [&](auto t) {
    using T = decltype(t);
    launch(fold_pixels<T>, grid_of(rows, in), kBlock, static_cast<T*>(a.x), static_cast<const T*>(a.col), rows,
           static_cast<int>(taps), in, pixels, Space(a.g));
  });
}
PYNN_CUDA_KERNEL(fold);

}  // namespace pynn::cuda
