// pooling.cu -- the largest element of each window: NaN wins, of equal values the first. A thread per window.
#include "kernels/pooling.h"

#include "kernels/cuda/launch.cuh"

namespace pynn::cuda {
namespace {

// Where windows lie along one dim: sliding, or adaptive where stride is 0.
struct Windows {
  int in, out, stride, pad, reach, step;
  __device__ void of(int o, int& from, int& to) const {
    if (stride == 0) {
      from = static_cast<int>(static_cast<int64_t>(o) * in / out);
      to = static_cast<int>((static_cast<int64_t>(o + 1) * in + out - 1) / out);
      return;
    }
    from = o * stride - pad;
    to = from + reach + 1 < in ? from + reach + 1 : in;
    if (from < 0) from += (-from + step - 1) / step * step;
  }
};
struct Pool {
  Windows w[3];
};

template <class T>
__global__ void largest(const T* x, T* y, int64_t* index, int64_t planes, int64_t in, int64_t out, Pool pool) {
#pragma unroll 1
  for (int64_t plane = blockIdx.y; plane < planes; plane += gridDim.y) {
    const T* from = x + plane * in;
#pragma unroll 1
    PYNN_GRID_LOOP(o, out) {
      const unsigned u = static_cast<unsigned>(o), wide = static_cast<unsigned>(pool.w[2].out);
      const int ow = static_cast<int>(u % wide), r = static_cast<int>(u / wide);
      const int oh = r % pool.w[1].out, od = r / pool.w[1].out;
      int d0, d1, h0, h1, w0, w1;
      pool.w[0].of(od, d0, d1), pool.w[1].of(oh, h0, h1), pool.w[2].of(ow, w0, w1);
      int best = (d0 * pool.w[1].in + h0) * pool.w[2].in + w0;
      Compute<T> value = load(from[best]);
#pragma unroll 1
      for (int d = d0; d < d1; d += pool.w[0].step)
#pragma unroll 1
        for (int h = h0; h < h1; h += pool.w[1].step) {
          const int row = (d * pool.w[1].in + h) * pool.w[2].in;
#pragma unroll 4
          for (int w = w0; w < w1; w += pool.w[2].step) {
            const Compute<T> v = load(from[row + w]);
            const bool better = v > value || v != v;
            value = better ? v : value;
            best = better ? row + w : best;
          }
        }
      y[plane * out + o] = store_as<T>(value);
      if (index) index[plane * out + o] = best;
    }
  }
}

}  // namespace

void max_pool(const MaxPoolArgs& a) {
  const int64_t in = a.in[0] * a.in[1] * a.in[2], out = a.out[0] * a.out[1] * a.out[2];
  PYNN_CHECK(in <= INT32_MAX, "max_pool: planes of more than 2^31 elements are not supported on CUDA, got ", in);
  Pool pool;
  for (int d = 0; d < 3; ++d) {
    Windows& w = pool.w[d];
    w = {static_cast<int>(a.in[d]), static_cast<int>(a.out[d]), 0, 0, 0, static_cast<int>(a.step[d])};
    if (!a.sliding) continue;
    const ConvGeometry& g = *a.sliding;
    w.stride = static_cast<int>(g.stride[d]), w.pad = static_cast<int>(g.pad[d]);
    w.reach = static_cast<int>(g.dilation[d] * (g.kernel[d] - 1));
  }
  const dim3 grid(static_cast<unsigned>(std::min<int64_t>((out + kBlock - 1) / kBlock, 1024)),
                  static_cast<unsigned>(std::min<int64_t>(a.planes, 65535)));
  const auto run = [&](auto t) {
    using T = decltype(t);
    launch(largest<T>, grid, kBlock, static_cast<const T*>(a.x), static_cast<T*>(a.y), a.index, a.planes, in, out,
           pool);
  };
  if (a.dtype == DType::Int64) return run(int64_t{});
  dispatch_floating("max_pool", a.dtype, run);
}
PYNN_CUDA_KERNEL(max_pool);

}  // namespace pynn::cuda
