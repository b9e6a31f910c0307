// convolution.cpp -- convolution and its adjoints by the path of choice (convolution_choice.h), or as matrix products
// over unfolded pixels.
//
//   forward          Y[co, p] = W[co, k] col(x)[k, p] + bias       k = (ci, taps), p = output pixels
//   backward_input   x = fold(W^T[k, co] Y[co, p])
//   backward_weight  W[co, k] = sum_n Y[co, p] col(x)^T[p, k]
//
// Pixels are unfolded in blocks that stay in L2; images with few pixels share a block, and their columns are gathered
// and scattered. A 1x1 kernel needs no unfolding. Blocks and sums are split by sizes alone, so the bits do not depend
// on the threads.
#include "kernels/convolution.h"

#include "core/parallel.h"
#include "kernels/cpu/convolution_choice.h"
#include "kernels/cpu/convolution_depthwise.h"
#include "kernels/cpu/convolution_depthwise_rows.h"
#include "kernels/cpu/convolution_paths.h"
#include "kernels/cpu/convolution_tile.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/unfold.h"
#include "kernels/gemm.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kBlockBytes = 1 << 18, kFewPixels = 128, kTasks = 16;

// What stays the same for one call.
template <class T>
struct Conv {
  const ConvArgs& a;
  int64_t taps, k, in, pixels;  // per group
  T *x, *w, *y;
  const T* bias;
  int64_t images, block;  // of a block: how many images, how many pixels of each

  Conv(const ConvArgs& args, int64_t few)
      : a(args),
        taps(product3(args.g.kernel)),
        k(taps * args.ci),
        in(product3(args.g.in)),
        pixels(product3(args.g.out)),
        x(static_cast<T*>(args.x)),
        w(static_cast<T*>(args.w)),
        y(static_cast<T*>(args.y)),
        bias(static_cast<const T*>(args.bias)) {
    const int64_t most = max_of<int64_t>(kBlockBytes / static_cast<int64_t>(sizeof(T)) / max_of<int64_t>(k, 1), few);
    block =
        pixels <= most || pointwise() ? pixels : min_of(pixels, round_up(ceil_div(pixels, ceil_div(pixels, most)), 32));
    images = clamp_of(few / max_of<int64_t>(pixels, 1), 1, a.batch);
  }
  T* x_of(int64_t n, int64_t g) const { return x + (n * a.groups + g) * a.ci * in; }
  T* y_of(int64_t n, int64_t g) const { return y + (n * a.groups + g) * a.co * pixels; }
  T* w_of(int64_t g) const { return w + g * a.co * k; }
  bool pointwise() const {
    const ConvGeometry& g = a.g;
    return taps == 1 && product3(g.stride) == 1 && !g.pad[0] && !g.pad[1] && !g.pad[2] && in == pixels;
  }
};

// C[m, n] = A[m, k] B[k, n] (+ C), with row and column strides.
template <class T>
GemmArgs product(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_rs, int64_t a_cs, const T* b, int64_t b_rs,
                 int64_t b_cs, T* c, int64_t c_rs, int64_t c_cs) {
  GemmArgs g{};
  g.m = m, g.n = n, g.k = k;
  g.a = a, g.b = b, g.c = c;
  g.a_rs = a_rs, g.a_cs = a_cs, g.b_rs = b_rs, g.b_cs = b_cs, g.c_rs = c_rs, g.c_cs = c_cs;
  g.dtype = DTypeOf<T>::value;
  return g;
}

// Images [n0, n0 + count) side by side: columns [channels, count * pixels].
template <class T>
void gather_images(const Conv<T>& c, int64_t n0, int64_t count, int64_t g, T* to) {
  for (int64_t o = 0; o < c.a.co; ++o)
    for (int64_t i = 0; i < count; ++i)
      __builtin_memcpy(to + (o * count + i) * c.pixels, c.y_of(n0 + i, g) + o * c.pixels,
                       static_cast<size_t>(c.pixels) * sizeof(T));
}
template <class T>
void scatter_images(const Conv<T>& c, int64_t n0, int64_t count, int64_t g, const T* from) {
  for (int64_t o = 0; o < c.a.co; ++o)
    for (int64_t i = 0; i < count; ++i)
      __builtin_memcpy(c.y_of(n0 + i, g) + o * c.pixels, from + (o * count + i) * c.pixels,
                       static_cast<size_t>(c.pixels) * sizeof(T));
}

template <class T>
double task_cost(const Conv<T>& c, int64_t columns) {
  return static_cast<double>(c.k + 8) * static_cast<double>(columns) * (static_cast<double>(c.a.co) / 32 + 1);
}

// Channels last, a kernel of one pixel: products of matrices [pixels of all images, channels].
template <class T>
void pointwise_rows(const ConvArgs& a, ConvResult result) {
  const Conv<T> c(a, kFewPixels);
  const int64_t rows = a.batch * c.pixels, x_row = a.groups * a.ci, y_row = a.groups * a.co;
  for (int64_t g = 0; g < a.groups; ++g) {
    T *const x = c.x + g * a.ci, *const y = c.y + g * a.co, *const w = c.w_of(g);
    GemmArgs p = result == ConvResult::Output  ? product<T>(rows, a.co, a.ci, x, x_row, 1, w, 1, a.ci, y, y_row, 1)
                 : result == ConvResult::Input ? product<T>(rows, a.ci, a.co, y, y_row, 1, w, a.ci, 1, x, x_row, 1)
                                               : product<T>(a.co, a.ci, rows, y, 1, y_row, x, x_row, 1, w, a.ci, 1);
    p.bias = c.bias ? c.bias + g * p.n : nullptr;
    p.epilogue = a.relu ? Epilogue::Relu : Epilogue::None;
    gemm(p);
  }
}

template <class T>
void forward(const ConvArgs& a) {
  if (a.ci == 1 && a.groups > 1) return a.channels_last ? depthwise_rows<T>(a, true) : depthwise_forward<T>(a);
  if (a.channels_last) return pointwise_rows<T>(a, ConvResult::Output);
  const Conv<T> c(a, kFewPixels);
  const Epilogue epilogue = a.relu ? Epilogue::Relu : Epilogue::None;
  if (c.pointwise()) {
    for (int64_t g = 0; g < a.groups; ++g) {  // Y^T = X^T W^T: the bias is one per column then
      GemmArgs p =
          product<T>(c.pixels, a.co, a.ci, c.x_of(0, g), 1, c.pixels, c.w_of(g), 1, a.ci, c.y_of(0, g), 1, c.pixels);
      p.bias = c.bias ? c.bias + g * a.co : nullptr;
      p.epilogue = epilogue;
      p.batch = a.batch;
      p.a_batch = a.groups * a.ci * c.pixels;
      p.c_batch = a.groups * a.co * c.pixels;
      gemm(p);
    }
    return;
  }
  const int64_t blocks = ceil_div(c.pixels, c.block), chunks = ceil_div(a.batch, c.images);
  parallel_for(
      0, chunks * a.groups * blocks, grain_for(task_cost(c, c.images * c.block)), [&](int64_t begin, int64_t end) {
        const Scratch<T> col(c.k * c.images * c.block + 16), wide(c.images > 1 ? a.co * c.images * c.block : 0);
        for (int64_t task = begin; task < end; ++task) {
          const int64_t p0 = task % blocks * c.block, p1 = min_of(c.pixels, p0 + c.block), n = p1 - p0;
          const int64_t g = task / blocks % a.groups, i0 = task / blocks / a.groups * c.images;
          const int64_t count = min_of(c.images, a.batch - i0), columns = n * count;
          for (int64_t i = 0; i < count; ++i)
            unfold_pixels(a.g, c.x_of(i0 + i, g), a.ci, p0, p1, col.get() + i * n, columns);
          T* out = count > 1 ? wide.get() : c.y_of(i0, g) + p0;
          GemmArgs p = product<T>(columns, a.co, c.k, col.get(), 1, columns, c.w_of(g), 1, c.k, out, 1,
                                  count > 1 ? columns : c.pixels);
          p.bias = c.bias ? c.bias + g * a.co : nullptr;
          p.epilogue = epilogue;
          gemm(p);
          if (count > 1) scatter_images(c, i0, count, g, wide.get());
        }
      });
}

template <class T>
void backward_input(const ConvArgs& a) {
  if (a.ci == 1 && a.groups > 1) return a.channels_last ? depthwise_rows<T>(a, false) : depthwise_backward_input<T>(a);
  if (a.channels_last) return pointwise_rows<T>(a, ConvResult::Input);
  const Conv<T> c(a, kFewPixels);
  if (c.pointwise()) {
    for (int64_t g = 0; g < a.groups; ++g) {
      GemmArgs p =
          product<T>(c.pixels, a.ci, a.co, c.y_of(0, g), 1, c.pixels, c.w_of(g), a.ci, 1, c.x_of(0, g), 1, c.pixels);
      p.bias = c.bias ? c.bias + g * a.ci : nullptr;
      p.batch = a.batch;
      p.a_batch = a.groups * a.co * c.pixels;
      p.c_batch = a.groups * a.ci * c.pixels;
      gemm(p);
    }
    return;
  }
  // Tasks own images, or some channels of an image where there are few.
  const int64_t chunks = ceil_div(a.batch, c.images);
  const int64_t wanted = ceil_div(kTasks, chunks * a.groups),
                run = ceil_div(a.ci, clamp_of(wanted, 1, ceil_div(a.ci, 8)));
  const int64_t runs = ceil_div(a.ci, run);
  parallel_for(0, chunks * a.groups * runs, grain_for(task_cost(c, c.images * c.pixels) / static_cast<double>(runs)),
               [&](int64_t begin, int64_t end) {
                 const Scratch<T> col(run * c.taps * c.images * c.block + 16),
                     wide(c.images > 1 ? a.co * c.images * c.pixels : 0);
                 for (int64_t task = begin; task < end; ++task) {
                   const int64_t c0 = task % runs * run, channels = min_of(run, a.ci - c0), k = channels * c.taps;
                   const int64_t g = task / runs % a.groups, i0 = task / runs / a.groups * c.images;
                   const int64_t count = min_of(c.images, a.batch - i0);
                   if (count > 1) gather_images(c, i0, count, g, wide.get());
                   for (int64_t i = 0; i < count; ++i)
                     for (int64_t ch = 0; ch < channels; ++ch) {
                       T* x = c.x_of(i0 + i, g) + (c0 + ch) * c.in;
                       const T b = c.bias ? c.bias[g * a.ci + c0 + ch] : T(0);
                       for (int64_t j = 0; j < c.in; ++j) x[j] = b;
                     }
                   for (int64_t p0 = 0; p0 < c.pixels; p0 += c.block) {  // one block where images share it
                     const int64_t n = min_of(c.block, c.pixels - p0), columns = n * count;
                     const T* dy = count > 1 ? wide.get() : c.y_of(i0, g) + p0;
                     gemm(product<T>(k, columns, a.co, c.w_of(g) + c0 * c.taps, 1, c.k, dy,
                                     count > 1 ? columns : c.pixels, 1, col.get(), columns, 1));
                     for (int64_t i = 0; i < count; ++i)
                       fold_pixels(a.g, c.x_of(i0 + i, g) + c0 * c.in, channels, p0, p0 + n, col.get() + i * n, columns,
                                   [](T p, T q) { return p + q; });
                   }
                 }
               });
}

template <class T>
void backward_weight(const ConvArgs& a) {
  if (a.ci == 1 && a.groups > 1) return a.channels_last ? depthwise_rows_weight<T>(a) : depthwise_backward_weight<T>(a);
  if (a.channels_last) return pointwise_rows<T>(a, ConvResult::Weight);
  const Conv<T> c(a, 2 * kFewPixels);
  // Tasks own some input channels of a group, and a part of all blocks of pixels where there are few of those.
  const int64_t blocks = ceil_div(c.pixels, max_of<int64_t>(c.block, 1)), all = ceil_div(a.batch, c.images) * blocks,
                size = a.groups * a.co * c.k;
  const int64_t run = ceil_div(a.ci, clamp_of(ceil_div(kTasks, a.groups), 1, ceil_div(c.k, has_amx() ? 256 : 64)));
  const int64_t runs = ceil_div(a.ci, run);
  const int64_t parts = clamp_of(ceil_div(kTasks, a.groups * runs), 1, all);
  const bool direct = c.pointwise();
  const Scratch<T> partial(parts > 1 ? parts * size : 0);
  const double cost = task_cost(c, a.batch * c.pixels) / static_cast<double>(runs * parts);
  parallel_for(0, a.groups * runs * parts, grain_for(cost), [&](int64_t begin, int64_t end) {
    const Scratch<T> col(direct ? 0 : run * c.taps * c.images * c.block + 16),
        wide(c.images > 1 ? a.co * c.images * c.pixels : 0), xs(direct && c.images > 1 ? run * c.images * c.pixels : 0);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t part = task % parts, c0 = task / parts % runs * run, g = task / parts / runs;
      const int64_t channels = min_of(run, a.ci - c0), k = channels * c.taps;
      T* out = (parts > 1 ? partial.get() + part * size : c.w) + g * a.co * c.k + c0 * c.taps;
      double beta = 0;
      for (int64_t unit = all * part / parts; unit < all * (part + 1) / parts; ++unit) {
        const int64_t i0 = unit / blocks * c.images, count = min_of(c.images, a.batch - i0);
        if (count > 1) gather_images(c, i0, count, g, wide.get());
        const int64_t p0 = unit % blocks * c.block, n = min_of(c.block, c.pixels - p0), columns = n * count;
        const T* unfolded = col.get();
        int64_t ld = columns;
        if (!direct) {
          for (int64_t i = 0; i < count; ++i)
            unfold_pixels(a.g, c.x_of(i0 + i, g) + c0 * c.in, channels, p0, p0 + n, col.get() + i * n, columns);
        } else if (count == 1) {
          unfolded = c.x_of(i0, g) + c0 * c.in + p0;
          ld = c.in;
        } else {
          for (int64_t ch = 0; ch < channels; ++ch)
            for (int64_t i = 0; i < count; ++i)
              __builtin_memcpy(xs.get() + (ch * count + i) * n, c.x_of(i0 + i, g) + (c0 + ch) * c.in,
                               static_cast<size_t>(n) * sizeof(T));
          unfolded = xs.get();
        }
        const T* dy = count > 1 ? wide.get() : c.y_of(i0, g) + p0;
        GemmArgs p = product<T>(a.co, k, columns, dy, count > 1 ? columns : c.pixels, 1, unfolded, 1, ld, out, c.k, 1);
        p.beta = beta;
        gemm(p);
        beta = 1;
      }
    }
  });
  if (parts > 1)
    parallel_for(0, size, grain_for(static_cast<double>(parts) / 4), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        T sum = partial[i];
        for (int64_t p = 1; p < parts; ++p) sum += partial[p * size + i];
        c.w[i] = sum;
      }
    });
}

bool is_half(DType t) { return t == DType::BFloat16 || t == DType::Float16; }

}  // namespace

ConvOrders conv_orders(const ConvArgs& a, ConvResult result) {
  if (is_half(a.dtype)) return {false, false};
  const ConvPath path = path_of(a, result);
  if (a.ci == 1 && a.groups > 1) return {a.channels_last && a.co == 1 && path == ConvPath::Unfold, false};
  const bool blocked = path == ConvPath::Winograd || path == ConvPath::Direct, weight = result == ConvResult::Weight;
  return {a.channels_last && (blocked || (path == ConvPath::Amx && !weight) || kernel_of_one(a)),
          a.weights_last && blocked && !weight};
}

void conv_forward(const ConvArgs& a) {
  if (is_half(a.dtype)) return half_forward(a);
  const ConvPath path = path_of(a, ConvResult::Output);
  if (path == ConvPath::Winograd && winograd_forward(a)) return;
  if (path == ConvPath::Amx && amx_forward(a)) return;
  if (path == ConvPath::Pointwise) return pointwise_forward(a);
  if (path == ConvPath::Few) return few_forward(a);
  if (path == ConvPath::Windows) return windows_forward(a);
  if (path != ConvPath::Unfold) return direct_forward(a);
  a.dtype == DType::Int64 ? forward<int64_t>(a) : a.dtype == DType::Float64 ? forward<double>(a) : forward<float>(a);
}

void conv_backward_input(const ConvArgs& a) {
  if (is_half(a.dtype)) return half_backward_input(a);
  const ConvPath path = path_of(a, ConvResult::Input);
  if (path == ConvPath::Winograd && winograd_backward_input(a)) return;
  if (path == ConvPath::Amx && amx_backward_input(a)) return;
  if (path == ConvPath::Pointwise) return pointwise_backward_input(a);
  if (path != ConvPath::Unfold) return direct_backward_input(a);
  a.dtype == DType::Int64     ? backward_input<int64_t>(a)
  : a.dtype == DType::Float64 ? backward_input<double>(a)
                              : backward_input<float>(a);
}

void conv_backward_weight(const ConvArgs& a) {
  if (is_half(a.dtype)) return half_backward_weight(a);
  const ConvPath path = path_of(a, ConvResult::Weight);
  if (path == ConvPath::Winograd && winograd_backward_weight(a)) return;
  if (path == ConvPath::Amx && amx_backward_weight(a)) return;
  if (path != ConvPath::Unfold) return direct_backward_weight(a);
  a.dtype == DType::Float64 ? backward_weight<double>(a) : backward_weight<float>(a);
}

}  // namespace PYNN_CPU_NAMESPACE
