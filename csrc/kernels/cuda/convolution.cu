// convolution.cu -- the three products of a convolution: by cuDNN, or without it unfolded into matrix products, image
// by image of a batch that is cut where the columns would take too much memory. The bias is added by a kernel.
#include "kernels/convolution.h"

#include <optional>

#include "cuda/cudnn.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/gemm.h"

namespace pynn::cuda {
namespace {

// ---- small kernels

// y[n, c, pixel] += bias[c], V pixels at a time.
template <class T, int V, class I>
__global__ void add_bias(T* y, const T* bias, I packs, I packs_of_channel, I channels) {
#pragma unroll 1
  PYNN_GRID_LOOP(index, static_cast<int64_t>(packs)) {
    const I i = static_cast<I>(index);
    Pack<T, V> p = reinterpret_cast<Pack<T, V>*>(y)[i];
    const Compute<T> b = load(bias[i / packs_of_channel % channels]);
#pragma unroll
    for (int v = 0; v < V; ++v) p.v[v] = store_as<T>(static_cast<Compute<T>>(load(p.v[v]) + b));
    reinterpret_cast<Pack<T, V>*>(y)[i] = p;
  }
}

template <class T>
void add_bias_as(void* y, const void* bias, int64_t batch, int64_t channels, int64_t pixels) {
  constexpr int V = 16 / sizeof(T);
  const int64_t n = batch * channels * pixels;
  T* const to = static_cast<T*>(y);
  const T* const b = static_cast<const T*>(bias);
  if (n > INT32_MAX) {
    launch(add_bias<T, 1, int64_t>, grid_for(n), kBlock, to, b, n, pixels, channels);
  } else if (pixels % V == 0 && aligned(y, 16)) {
    launch(add_bias<T, V, uint32_t>, grid_for(n / V), kBlock, to, b, static_cast<uint32_t>(n / V),
           static_cast<uint32_t>(pixels / V), static_cast<uint32_t>(channels));
  } else {
    launch(add_bias<T, 1, uint32_t>, grid_for(n), kBlock, to, b, static_cast<uint32_t>(n),
           static_cast<uint32_t>(pixels), static_cast<uint32_t>(channels));
  }
}

// w[i] = (before ? w[i] : 0) + sum over n of parts[n, i]
template <class T>
__global__ void sum_parts(T* w, const T* parts, int64_t count, int64_t size, bool before) {
  PYNN_GRID_LOOP(i, size) {
    T sum = before ? w[i] : T(0);
#pragma unroll 4
    for (int64_t n = 0; n < count; ++n) sum += parts[n * size + i];
    w[i] = sum;
  }
}

template <class To, class From>
__global__ void convert(To* to, const From* from, int64_t n) {
  PYNN_GRID_LOOP(i, n) to[i] = store_as<To>(load(from[i]));
}

// ---- without cuDNN

constexpr int64_t kMostColumns = int64_t{1} << 26;  // elements of the unfolded images at one time

int64_t product3(const int64_t* d) { return d[0] * d[1] * d[2]; }

struct Unfolded {
  const ConvArgs& a;
  int64_t in, pixels, k, chunk;
  size_t item;
  bool pointwise;

  explicit Unfolded(const ConvArgs& args)
      : a(args),
        in(product3(a.g.in)),
        pixels(product3(a.g.out)),
        k(a.ci * product3(a.g.kernel)),
        chunk(std::clamp<int64_t>(kMostColumns / std::max<int64_t>(a.groups * k * pixels, 1), 1,
                                  std::max<int64_t>(a.batch, 1))),
        item(item_size(a.dtype)),
        pointwise(k == a.ci && in == pixels) {
    for (int d = 0; d < 3; ++d) pointwise &= a.g.stride[d] == 1 && a.g.pad[d] == 0;
  }
  void* x(int64_t n) const { return at(a.x, n * a.groups * a.ci * in); }
  void* y(int64_t n) const { return at(a.y, n * a.groups * a.co * pixels); }
  void* at(void* p, int64_t elements) const { return static_cast<char*>(p) + elements * static_cast<int64_t>(item); }

  size_t column_bytes(int64_t count) const { return static_cast<size_t>(count * a.groups * k * pixels) * item; }
  UnfoldArgs unfold_args(int64_t n, int64_t count, void* col) const {
    return {x(n), col, a.dtype, count, a.groups * a.ci, a.g};
  }
  // f(first image, count) of each chunk.
  template <class F>
  void chunks(F f) const {
    for (int64_t n = 0; n < a.batch; n += chunk) f(n, std::min(chunk, a.batch - n));
  }
  // One product per image and group, batched over the longer of the two. Steps in elements, of an image and a group.
  struct Steps {
    int64_t a_image, a_group, b_image, b_group, c_image, c_group;
  };
  void products(GemmArgs p, int64_t count, const Steps& s) const {
    const bool by_image = count >= a.groups;
    p.batch = by_image ? count : a.groups;
    p.a_batch = by_image ? s.a_image : s.a_group;
    p.b_batch = by_image ? s.b_image : s.b_group;
    p.c_batch = by_image ? s.c_image : s.c_group;
    for (int64_t i = 0; i < (by_image ? a.groups : count); ++i) {
      GemmArgs one = p;
      one.a = at(const_cast<void*>(p.a), i * (by_image ? s.a_group : s.a_image));
      one.b = at(const_cast<void*>(p.b), i * (by_image ? s.b_group : s.b_image));
      one.c = at(p.c, i * (by_image ? s.c_group : s.c_image));
      gemm(one);
    }
  }
};

GemmArgs product(DType dtype, int64_t m, int64_t n, int64_t k, const void* a, int64_t a_rs, int64_t a_cs, const void* b,
                 int64_t b_rs, int64_t b_cs, void* c, int64_t c_rs, int64_t c_cs) {
  GemmArgs p{};
  p.m = m, p.n = n, p.k = k;
  p.a = a, p.b = b, p.c = c;
  p.a_rs = a_rs, p.a_cs = a_cs, p.b_rs = b_rs, p.b_cs = b_cs, p.c_rs = c_rs, p.c_cs = c_cs;
  p.dtype = dtype;
  p.alpha = 1, p.beta = 0;
  return p;
}

// y = w col
void forward(const ConvArgs& a) {
  const Unfolded u(a);
  u.chunks([&](int64_t n, int64_t count) {
    const Scratch scratch(u.pointwise ? 0 : u.column_bytes(count));
    void* const col = u.pointwise ? u.x(n) : scratch.as<void>();
    if (!u.pointwise) unfold(u.unfold_args(n, count, col));
    u.products(product(a.dtype, a.co, u.pixels, u.k, a.w, u.k, 1, col, u.pixels, 1, u.y(n), u.pixels, 1), count,
               {0, a.co * u.k, a.groups * u.k * u.pixels, u.k * u.pixels, a.groups * a.co * u.pixels, a.co * u.pixels});
  });
}

// col = w^T y, folded into x
void backward_input(const ConvArgs& a) {
  const Unfolded u(a);
  u.chunks([&](int64_t n, int64_t count) {
    const Scratch scratch(u.pointwise ? 0 : u.column_bytes(count));
    void* const col = u.pointwise ? u.x(n) : scratch.as<void>();
    u.products(product(a.dtype, u.k, u.pixels, a.co, a.w, 1, u.k, u.y(n), u.pixels, 1, col, u.pixels, 1), count,
               {0, a.co * u.k, a.groups * a.co * u.pixels, a.co * u.pixels, a.groups * u.k * u.pixels, u.k * u.pixels});
    if (!u.pointwise) fold(u.unfold_args(n, count, col));
  });
}

// w = sum over images of y col^T
void backward_weight(const ConvArgs& a) {
  const Unfolded u(a);
  const int64_t size = a.groups * a.co * u.k;
  u.chunks([&](int64_t n, int64_t count) {
    const Scratch scratch(u.pointwise ? 0 : u.column_bytes(count));
    const Scratch parts(static_cast<size_t>(count * size) * u.item);
    void* const col = u.pointwise ? u.x(n) : scratch.as<void>();
    if (!u.pointwise) unfold(u.unfold_args(n, count, col));
    u.products(
        product(a.dtype, a.co, u.k, u.pixels, u.y(n), u.pixels, 1, col, 1, u.pixels, parts.as<void>(), u.k, 1), count,
        {a.groups * a.co * u.pixels, a.co * u.pixels, a.groups * u.k * u.pixels, u.k * u.pixels, size, a.co * u.k});
    const auto add_up = [&](auto t) {
      using T = decltype(t);
      launch(sum_parts<T>, grid_for(size), kBlock, static_cast<T*>(a.w), parts.as<T>(), count, size, n > 0);
    };
    a.dtype == DType::Float64 ? add_up(double{}) : add_up(float{});
  });
}

// Half types on float32 copies.
template <class T>
void widen(Direction direction, const ConvArgs& a, void (*plain)(const ConvArgs&)) {
  const int64_t sizes[3] = {a.batch * a.groups * a.ci * product3(a.g.in), a.groups * a.co * a.ci * product3(a.g.kernel),
                            a.batch * a.groups * a.co * product3(a.g.out)};
  void* const halves[3] = {a.x, a.w, a.y};
  const int result = direction == Direction::Forward ? 2 : direction == Direction::Input ? 0 : 1;
  std::optional<Scratch> wide[3];
  for (int i = 0; i < 3; ++i) {
    wide[i].emplace(static_cast<size_t>(sizes[i]) * sizeof(float));
    if (i != result && sizes[i])
      launch(convert<float, T>, grid_for(sizes[i]), kBlock, wide[i]->as<float>(), static_cast<const T*>(halves[i]),
             sizes[i]);
  }
  ConvArgs b = a;
  b.x = wide[0]->as<void>(), b.w = wide[1]->as<void>(), b.y = wide[2]->as<void>();
  b.dtype = DType::Float32;
  plain(b);
  launch(convert<T, float>, grid_for(sizes[result]), kBlock, static_cast<T*>(halves[result]),
         static_cast<const float*>(wide[result]->as<float>()), sizes[result]);
}

void run(Direction direction, const ConvArgs& a, void (*plain)(const ConvArgs&)) {
  if (!cudnn_convolution(direction, a)) {
    if (a.dtype == DType::Float16)
      widen<Half>(direction, a, plain);
    else if (a.dtype == DType::BFloat16)
      widen<BFloat16>(direction, a, plain);
    else
      plain(a);
  }
  if (!a.bias || direction == Direction::Weight) return;
  const bool forward = direction == Direction::Forward;
  void* const out = forward ? a.y : a.x;
  const int64_t channels = a.groups * (forward ? a.co : a.ci), pixels = product3(forward ? a.g.out : a.g.in);
  if (a.dtype == DType::Int64) return add_bias_as<int64_t>(out, a.bias, a.batch, channels, pixels);
  dispatch_floating("convolution", a.dtype,
                    [&](auto t) { add_bias_as<decltype(t)>(out, a.bias, a.batch, channels, pixels); });
}

}  // namespace

void conv_forward(const ConvArgs& a) { run(Direction::Forward, a, forward); }
PYNN_CUDA_KERNEL(conv_forward);
void conv_backward_input(const ConvArgs& a) { run(Direction::Input, a, backward_input); }
PYNN_CUDA_KERNEL(conv_backward_input);
void conv_backward_weight(const ConvArgs& a) { run(Direction::Weight, a, backward_weight); }
PYNN_CUDA_KERNEL(conv_backward_weight);

}  // namespace pynn::cuda
