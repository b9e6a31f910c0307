// convolution.cpp -- the choice of a path, and convolution and its adjoints as matrix products over unfolded pixels.
//
//   winograd  float32, 3x3, stride 1, enough channels                       convolution_winograd.h
//   pointwise float32, 1x1 of stride 1, rows of pixels that fill vectors     convolution_pointwise.cpp
//   few       float32, up to four input channels, forward                    convolution_pointwise.cpp
//   windows   the same, where rows are short; few and no padding, forward    convolution_windows.cpp
//   amx       float32, enough channels and pixels, on CPUs with AMX         convolution_amx.cpp
//   direct    float32, enough channels                                      convolution_direct.cpp
//   rows      one input channel per group                                   convolution_depthwise.h
//   unfold    the rest: float64, int64, few channels
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
#include "kernels/cpu/convolution_depthwise.h"
#include "kernels/cpu/convolution_paths.h"
#include "kernels/cpu/convolution_tile.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/unfold.h"
#include "kernels/cpu/vec_dot.h"
#include "kernels/cpu_features.h"
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

template <class T>
void forward(const ConvArgs& a) {
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
  if (a.ci == 1 && a.groups > 1) return depthwise_forward<T>(a);
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
  if (a.ci == 1 && a.groups > 1) return depthwise_backward_input<T>(a);
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
  const Conv<T> c(a, 2 * kFewPixels);
  if (a.ci == 1 && a.groups > 1) return depthwise_backward_weight<T>(a);
  // Tasks own some input channels of a group, and a part of the batch where there are few of those.
  const int64_t chunks = ceil_div(a.batch, c.images), size = a.groups * a.co * c.k;
  const int64_t run = ceil_div(a.ci, clamp_of(ceil_div(kTasks, a.groups), 1, ceil_div(c.k, 64)));
  const int64_t runs = ceil_div(a.ci, run);
  const int64_t parts = clamp_of(ceil_div(kTasks, a.groups * runs), 1, chunks);
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
      for (int64_t chunk = chunks * part / parts; chunk < chunks * (part + 1) / parts; ++chunk) {
        const int64_t i0 = chunk * c.images, count = min_of(c.images, a.batch - i0);
        if (count > 1) gather_images(c, i0, count, g, wide.get());
        for (int64_t p0 = 0; p0 < c.pixels; p0 += c.block) {
          const int64_t n = min_of(c.block, c.pixels - p0), columns = n * count;
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
          GemmArgs p =
              product<T>(a.co, k, columns, dy, count > 1 ? columns : c.pixels, 1, unfolded, 1, ld, out, c.k, 1);
          p.beta = beta;
          gemm(p);
          beta = 1;
        }
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

// ---- choice -------------------------------------------------------------------------------------------------------

bool is_half(DType t) { return t == DType::BFloat16 || t == DType::Float16; }

enum class Result { Output, Input, Weight };

bool has_amx() {
#ifdef PYNN_VEC_DOT
  return cpu_features().amx_bf16;
#else
  return false;
#endif
}

bool fits_winograd(const ConvArgs& a, Result result) {
  const ConvGeometry& g = a.g;
  bool fits = g.kernel[0] == 1 && g.stride[0] == 1 && g.pad[0] == 0 && g.in[0] == 1 && g.out[0] == 1;
  for (int d = 1; d < 3; ++d) {
    const int64_t behind = g.out[d] + 2 - g.in[d] - g.pad[d];  // padding
    fits &= g.kernel[d] == 3 && g.stride[d] == 1 && g.dilation[d] == 1 && g.pad[d] <= 2 && behind >= 0 && behind <= 2;
  }
  return fits && (result != Result::Weight || winograd_backward_weight_fits(a));
}

bool kernel_of_one(const ConvArgs& a) {
  const ConvGeometry& g = a.g;
  bool one = true;
  for (int d = 0; d < 3; ++d) one &= g.kernel[d] == 1 && g.stride[d] == 1 && g.pad[d] == 0 && g.in[d] == g.out[d];
  return one;
}
bool fits_pointwise(const ConvArgs& a, Result result) {
  return result != Result::Weight && kernel_of_one(a);  // a sum over pixels is one of blocks
}

// The direct sum, or where AMX's products of parts and copies cost less, that: from measurements on Sapphire Rapids in
// multiply-adds of vectors by `direct`. Of few pixels, AMX waits for the weights.
ConvPath plain_path(const ConvArgs& a, Result result) {
  if (!has_amx() || result == Result::Weight || a.g.kernel[0] != 1) return ConvPath::Direct;
  const bool forward = result == Result::Output;
  const ConvGeometry& g = a.g;
  const auto as_double = [](int64_t n) { return static_cast<double>(n); };
  const int64_t channels = forward ? a.co : a.ci, terms = forward ? a.ci : a.co, taps = product3(g.kernel);
  const int64_t h = forward ? g.out[1] : g.in[1], w = forward ? g.out[2] : g.in[2];
  const int64_t phases = forward ? 1 : g.stride[1] * g.stride[2];
  const int64_t wide = w + ceil_div((g.kernel[2] - 1) * g.dilation[2], g.stride[2]) * (forward ? 1 : g.stride[2]);
  const int64_t positions = round_up(ceil_div(h * wide, phases), kWide / 2) * phases;
  const double weights = as_double(taps * terms) / as_double(phases);
  const double direct = as_double(a.batch * h * w * ceil_div(channels, kLanes)) * weights;
  const double products = as_double(a.batch * positions * round_up(channels, kWide) / kLanes) * weights;
  const double copies = as_double(a.batch * terms * (forward ? product3(g.in) : product3(g.out)));
  const double amx =
      (positions > 64 * phases ? 0.5 : 0.85) * products + 2.5 * copies + 2 * as_double(taps * terms * channels);
  return amx < direct ? ConvPath::Amx : ConvPath::Direct;
}

// Times of the paths in vector operations of one group, from measurements on Zen 4 with AVX-512: a product runs at nine
// tenths of the peak, the transforms of a tile cost about 300 per block of channels, those of a weight 200 (400 beside
// the two multiply-adds per cycle of Intel's CPUs with AMX), and pixels take 25 per vector to and from blocks of
// channels.
ConvPath choose(const ConvArgs& a, Result result) {
  if (a.dtype != DType::Float32 || (a.ci == 1 && a.groups > 1)) return ConvPath::Unfold;
  const ConvGeometry& g = a.g;
  const auto as_double = [](int64_t n) { return static_cast<double>(n); };
  const int64_t channels = result == Result::Input ? a.ci : a.co, terms = result == Result::Input ? a.co : a.ci;
  const double lanes = as_double(kLanes);
  // Products by AMX need no blocks of channels.
  if (has_amx() && kernel_of_one(a) && min_of(a.ci, a.co) >= 32 && product3(g.in) >= 32) return ConvPath::Unfold;
  // Rows of pixels in place, unless many stand on pages of their own.
  if (const int64_t pixels = product3(g.in); fits_pointwise(a, result) && (pixels <= 512 || terms <= 256)) {
    const int64_t both = a.ci * a.co, blocked = terms * round_up(channels, kLanes);
    const double in_rows = as_double(both * round_up(pixels, kLanes));
    const double in_blocks = as_double(blocked * pixels) + 25 * as_double((a.ci + a.co) * pixels);
    if (in_rows < in_blocks) return ConvPath::Pointwise;
  }
  const bool narrow = 2 * g.out[2] < kLanes, padded = windows_copy(g);
  if (result == Result::Output && a.ci <= 4 && (!narrow || 2 * a.co >= kLanes)) {
    const double taps = as_double(product3(g.kernel) * a.ci), transposed = 8, split = g.stride[2] > 1 ? 1.3 : 1;
    const double few = as_double(a.co * ceil_div(g.out[2], kLanes)) * taps * split;
    const double windows = as_double(ceil_div(a.co, kLanes) * g.out[2]) * (taps + transposed);
    return narrow || windows < few ? ConvPath::Windows : ConvPath::Few;
  }
  // Channels in lanes pay where most lanes are used; a sum over pixels needs some input channels too.
  if (2 * channels < kLanes || (result == Result::Weight && 2 * terms < kSumRows)) return ConvPath::Unfold;
  const ConvPath plain = result == Result::Output && a.ci <= 32 && !padded ? ConvPath::Windows : plain_path(a, result);
  if (!fits_winograd(a, result)) return plain;
  const double per_pixel = as_double(terms * round_up(channels, kLanes)) / lanes / 0.9;
  const int64_t h = result == Result::Input ? g.in[1] : g.out[1], w = result == Result::Input ? g.in[2] : g.out[2];
  if (144 * terms * ceil_div(w, 4) > (int64_t{8} << 20)) return plain;  // bytes of a row of tiles
  const double direct = as_double(9 * a.batch * h * w) * per_pixel;
  const double tiles = as_double(a.batch * ceil_div(h, 4) * ceil_div(w, 4));
  const double blocks = as_double(ceil_div(channels, kLanes) + ceil_div(terms, kLanes));
  const double of_weights = has_amx() ? 400 : 200;
  const double winograd = tiles * (36 * per_pixel + 300 * blocks) + of_weights * per_pixel;
  return winograd < direct ? ConvPath::Winograd : plain;
}

// The path to take: the forced one, if there is one.
ConvPath path_of(const ConvArgs& a, Result result) {
  if (a.path == ConvPath::Auto) return choose(a, result);
  if (a.path == ConvPath::Pointwise && result == Result::Weight) return ConvPath::Direct;
  if ((a.path == ConvPath::Few || a.path == ConvPath::Windows) && result != Result::Output) return choose(a, result);
  const bool fits = a.dtype == DType::Float32 && (a.path != ConvPath::Winograd || fits_winograd(a, result)) &&
                    (a.path != ConvPath::Pointwise || fits_pointwise(a, result));
  if (a.path != ConvPath::Unfold && !fits) conv_path_misfit(a.path);
  return a.path;
}

}  // namespace

void conv_forward(const ConvArgs& a) {
  if (is_half(a.dtype)) return half_forward(a);
  const ConvPath path = path_of(a, Result::Output);
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
  const ConvPath path = path_of(a, Result::Input);
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
  const ConvPath path = path_of(a, Result::Weight);
  if (path == ConvPath::Winograd && winograd_backward_weight(a)) return;
  if (path == ConvPath::Amx && amx_backward_weight(a)) return;
  if (path != ConvPath::Unfold) return direct_backward_weight(a);
  a.dtype == DType::Float64 ? backward_weight<double>(a) : backward_weight<float>(a);
}

}  // namespace PYNN_CPU_NAMESPACE
