// norm.cu -- layer normalisation of rows [rows, n], forward and backward.
//
//   y = h w + b,  h = (x - mean) rstd,  rstd = 1 / sqrt(mean((x - mean)^2) + eps)
//   not centered: mean = 0 throughout, mean(g) too
//   g = dy w,  dx = rstd (g - mean(g) - h mean(g h)),  dweight = sum_r dy h,  dbias = sum_r dy
//
// A group of threads holds a row in registers: one read, one write. In the backward the blocks stay, and every thread
// sums dweight and dbias of its columns over its rows; the blocks' sums are added up by a second launch. Rows too
// long to hold are read twice.
#include "kernels/norm.h"

#include "kernels/cuda/softmax.cuh"

namespace pynn::cuda {
namespace {

template <class T>
struct Operands {
  using E = Element<T>;
  const T *x, *dy, *weight, *bias;
  T *y, *dx;
  E *mean, *rstd;
  int64_t rows, n;
  E eps;
  bool centered;
  explicit Operands(const LayerNormArgs& a)
      : x(static_cast<const T*>(a.x)),
        dy(static_cast<const T*>(a.dy)),
        weight(static_cast<const T*>(a.weight)),
        bias(static_cast<const T*>(a.bias)),
        y(static_cast<T*>(a.y)),
        dx(static_cast<T*>(a.dx)),
        mean(static_cast<E*>(a.mean)),
        rstd(static_cast<E*>(a.rstd)),
        rows(a.rows),
        n(a.n),
        eps(static_cast<E>(a.eps)),
        centered(a.centered) {}
};

template <class T, int P>
__device__ inline Pack<T, P> pack_at(const T* p, int64_t i) {
  return *reinterpret_cast<const Pack<T, P>*>(p + i);
}
template <class T, int P>
__device__ inline Pack<T, P> normalized(const Operands<T>& a, const Pack<T, P>& x, int64_t c, Element<T> mean,
                                        Element<T> rstd) {
  using E = Element<T>;
  Pack<T, P> w, b, y;
  if (a.weight) w = pack_at<T, P>(a.weight, c);
  if (a.bias) b = pack_at<T, P>(a.bias, c);
#pragma unroll
  for (int e = 0; e < P; ++e) {
    E v = (static_cast<E>(load(x.v[e])) - mean) * rstd;
    if (a.weight) v *= static_cast<E>(load(w.v[e]));
    if (a.bias) v += static_cast<E>(load(b.v[e]));
    y.v[e] = store_as<T>(v);
  }
  return y;
}

template <class T, int P>
__global__ void __launch_bounds__(kMostHolders) forward_held(Operands<T> a, int group) {
  using E = Element<T>;
  constexpr int H = kHeld<T, P>;
  const int per_block = static_cast<int>(blockDim.x) / group, lane = static_cast<int>(threadIdx.x) % group;
  const E share = E(1) / static_cast<E>(a.n);
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * per_block; first < a.rows;
       first += static_cast<int64_t>(gridDim.x) * per_block) {
    const int64_t row = first + threadIdx.x / group, columns = row < a.rows ? a.n : 0;
    Pack<T, P> raw[H];
#pragma unroll
    for (int j = 0; j < H; ++j)
      if (const int64_t c = (j * group + lane) * P; c < columns) raw[j] = pack_at<T, P>(a.x, row * a.n + c);
    const auto sum = [&](auto term) {
      E total = 0;
#pragma unroll
      for (int j = 0; j < H; ++j) {
        if ((j * group + lane) * P >= columns) continue;
        E part = 0;
#pragma unroll
        for (int e = 0; e < P; ++e) part += term(static_cast<E>(load(raw[j].v[e])));
        total += part;
      }
      return merge_group(SumOf<E>{}, total, group) * share;
    };
    const E mean = a.centered ? sum([](E v) { return v; }) : E(0);
    const E rstd = E(1) / sqrt(sum([mean](E v) { return (v - mean) * (v - mean); }) + a.eps);
    if (columns && lane == 0) {
      a.mean[row] = mean;
      a.rstd[row] = rstd;
    }
#pragma unroll
    for (int j = 0; j < H; ++j)
      if (const int64_t c = (j * group + lane) * P; c < columns)
        *reinterpret_cast<Pack<T, P>*>(a.y + row * a.n + c) = normalized<T, P>(a, raw[j], c, mean, rstd);
  }
}
// A block for a row.
template <class T>
__global__ void __launch_bounds__(kMostHolders) forward_long(Operands<T> a) {
  using E = Element<T>;
  const int group = static_cast<int>(blockDim.x), lane = static_cast<int>(threadIdx.x);
  for (int64_t row = blockIdx.x; row < a.rows; row += gridDim.x) {
    const Moments<T> f;
    const auto s = merge_group(f, fold_run(f, a.x + row * a.n, a.n, 0, lane, group), group);
    const E mean = a.centered ? s.mean : E(0);
    const E rstd = E(1) / sqrt(s.squares / s.n + (s.mean - mean) * (s.mean - mean) + a.eps);
    if (lane == 0) {
      a.mean[row] = mean;
      a.rstd[row] = rstd;
    }
    for (int64_t c = lane; c < a.n; c += group)
      *reinterpret_cast<Pack<T, 1>*>(a.y + row * a.n + c) =
          normalized<T, 1>(a, pack_at<T, 1>(a.x, row * a.n + c), c, mean, rstd);
  }
}

// Two sums at once.
template <class E>
struct Pair {
  struct State {
    E a, b;
  };
  __device__ State identity() const { return {E(0), E(0)}; }
  __device__ void merge(State& s, const State& o) const { s = {s.a + o.a, s.b + o.b}; }
};

template <class T>
struct Row {  // one row's gradients
  using E = Element<T>;
  E mean, rstd, mean_g, mean_gh;
  __device__ E h(T x) const { return (static_cast<E>(load(x)) - mean) * rstd; }
  __device__ E dx(E g, E h) const { return rstd * (g - mean_g - h * mean_gh); }
};

// Less of a row in a thread, which keeps two sums for each column.
template <class T, int P>
constexpr int kHeldBackward = P == 1 || sizeof(T) == 8 ? kHeld<T, P> / 2 : 2;

// part [gridDim.x, 2, n]: sums over this block's rows of dy h and of dy; nullptr: not wanted.
template <class T, int P>
__global__ void __launch_bounds__(kMostHolders) backward_held(Operands<T> a, int group, Element<T>* part) {
  using E = Element<T>;
  constexpr int H = kHeldBackward<T, P>;
  const int per_block = static_cast<int>(blockDim.x) / group, lane = static_cast<int>(threadIdx.x) % group;
  E dw[H][P], db[H][P];
#pragma unroll
  for (int j = 0; j < H; ++j)
#pragma unroll
    for (int e = 0; e < P; ++e) dw[j][e] = db[j][e] = E(0);
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * per_block; first < a.rows;
       first += static_cast<int64_t>(gridDim.x) * per_block) {
    const int64_t row = first + threadIdx.x / group, columns = row < a.rows ? a.n : 0;
    Pack<T, P> x[H], dy[H];
#pragma unroll
    for (int j = 0; j < H; ++j)
      if (const int64_t c = (j * group + lane) * P; c < columns) {
        x[j] = pack_at<T, P>(a.x, row * a.n + c);
        dy[j] = pack_at<T, P>(a.dy, row * a.n + c);
      }
    Row<T> r{E(0), E(0), E(0), E(0)};
    if (columns) r.mean = a.mean[row], r.rstd = a.rstd[row];
    typename Pair<E>::State sums{E(0), E(0)};
#pragma unroll
    for (int j = 0; j < H; ++j) {
      const int64_t c = (j * group + lane) * P;
      if (c >= columns) continue;
      Pack<T, P> w;
      if (a.weight) w = pack_at<T, P>(a.weight, c);
#pragma unroll
      for (int e = 0; e < P; ++e) {
        const E d = static_cast<E>(load(dy[j].v[e])), h = r.h(x[j].v[e]);
        const E g = a.weight ? d * static_cast<E>(load(w.v[e])) : d;
        sums.a += g;
        sums.b += g * h;
        dw[j][e] += d * h;
        db[j][e] += d;
      }
    }
    if (!a.dx) continue;
    sums = merge_group(Pair<E>{}, sums, group);
    r.mean_g = a.centered ? sums.a / static_cast<E>(a.n) : E(0), r.mean_gh = sums.b / static_cast<E>(a.n);
#pragma unroll
    for (int j = 0; j < H; ++j) {
      const int64_t c = (j * group + lane) * P;
      if (c >= columns) continue;
      Pack<T, P> w, out;
      if (a.weight) w = pack_at<T, P>(a.weight, c);
#pragma unroll
      for (int e = 0; e < P; ++e) {
        const E d = static_cast<E>(load(dy[j].v[e]));
        out.v[e] = store_as<T>(r.dx(a.weight ? d * static_cast<E>(load(w.v[e])) : d, r.h(x[j].v[e])));
      }
      *reinterpret_cast<Pack<T, P>*>(a.dx + row * a.n + c) = out;
    }
  }
  if (!part) return;
  E* shared = dynamic_shared<E>();  // [2, n], one group after another
  for (int k = 0; k < per_block; ++k) {
    if (static_cast<int>(threadIdx.x) / group == k)
#pragma unroll
      for (int j = 0; j < H; ++j)
#pragma unroll
        for (int e = 0; e < P; ++e)
          if (const int64_t c = (j * group + lane) * P + e; c < a.n) {
            shared[c] = k ? shared[c] + dw[j][e] : dw[j][e];
            shared[a.n + c] = k ? shared[a.n + c] + db[j][e] : db[j][e];
          }
    __syncthreads();
  }
  E* to = part + static_cast<int64_t>(blockIdx.x) * 2 * a.n;
  for (int64_t i = threadIdx.x; i < 2 * a.n; i += blockDim.x) to[i] = shared[i];
}
// A block for a row; dx alone.
template <class T>
__global__ void __launch_bounds__(kMostHolders) backward_long(Operands<T> a) {
  using E = Element<T>;
  for (int64_t row = blockIdx.x; row < a.rows; row += gridDim.x) {
    const T *x = a.x + row * a.n, *dy = a.dy + row * a.n;
    Row<T> r{a.mean[row], a.rstd[row], E(0), E(0)};
    const auto g = [&](int64_t c) {
      const E d = static_cast<E>(load(dy[c]));
      return a.weight ? d * static_cast<E>(load(a.weight[c])) : d;
    };
    typename Pair<E>::State sums{E(0), E(0)};
#pragma unroll 4
    for (int64_t c = threadIdx.x; c < a.n; c += blockDim.x) {
      sums.a += g(c);
      sums.b += g(c) * r.h(x[c]);
    }
    sums = merge_group(Pair<E>{}, sums, static_cast<int>(blockDim.x));
    r.mean_g = a.centered ? sums.a / static_cast<E>(a.n) : E(0), r.mean_gh = sums.b / static_cast<E>(a.n);
#pragma unroll 4
    for (int64_t c = threadIdx.x; c < a.n; c += blockDim.x) a.dx[row * a.n + c] = store_as<T>(r.dx(g(c), r.h(x[c])));
  }
}
// part [gridDim.y, 2, n] for pieces of rows: a thread per column.
template <class T>
__global__ void __launch_bounds__(kBlock) weight_sums_long(Operands<T> a, int64_t piece, Element<T>* part) {
  using E = Element<T>;
  const int64_t begin = blockIdx.y * piece, end = begin + piece < a.rows ? begin + piece : a.rows;
  PYNN_GRID_LOOP(c, a.n) {
    E dw = 0, db = 0;
    for (int64_t row = begin; row < end; ++row) {
      const E d = static_cast<E>(load(a.dy[row * a.n + c]));
      dw += d * (static_cast<E>(load(a.x[row * a.n + c])) - a.mean[row]) * a.rstd[row];
      db += d;
    }
    part[(2 * blockIdx.y) * a.n + c] = dw;
    part[(2 * blockIdx.y + 1) * a.n + c] = db;
  }
}

// dweight and dbias from part [count, 2, n]: 32 columns by rows of threads.
template <class T>
__global__ void __launch_bounds__(kBlock)
    add_parts(const Element<T>* part, int count, int64_t n, T* dweight, T* dbias) {
  using E = Element<T>;
  __shared__ E shared[kBlock];
  const int lane = static_cast<int>(threadIdx.x) % kWarp, y = static_cast<int>(threadIdx.x) / kWarp;
  const int height = static_cast<int>(blockDim.x) / kWarp;
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kWarp + lane;
  E sum = 0;
  if (c < 2 * n)
#pragma unroll 8
    for (int k = y; k < count; k += height) sum += part[k * 2 * n + c];
  shared[threadIdx.x] = sum;
  __syncthreads();
  if (y != 0 || c >= 2 * n) return;
  for (int k = 1; k < height; ++k) sum += shared[k * kWarp + lane];
  if (c < n && dweight) dweight[c] = store_as<T>(sum);
  if (c >= n && dbias) dbias[c - n] = store_as<T>(sum);
}

}  // namespace

void layer_norm_forward(const LayerNormArgs& args) {
  if (args.rows == 0 || args.n == 0) return;
  dispatch_floating("layer_norm", args.dtype, [&](auto t) {
    using T = decltype(t);
    const Operands<T> a(args);
    with_pack<T>(a.n, {a.x, a.y, a.weight, a.bias}, [&](auto pack) {
      constexpr int P = decltype(pack)::value;
      if (a.n > kLongestRow<T, P>) return launch(forward_long<T>, blocks_for(a.rows), kMostHolders, a);
      const int group = held_group<T, P>(a.rows, a.n), block = std::max(group, 128);
      launch(forward_held<T, P>, blocks_for(ceil_div(a.rows * group, block)), block, a, group);
    });
  });
}

void layer_norm_backward(const LayerNormArgs& args) {
  if (args.rows == 0 || args.n == 0) return;
  dispatch_floating("layer_norm", args.dtype, [&](auto t) {
    using T = decltype(t);
    using E = Element<T>;
    const Operands<T> a(args);
    const bool sums = args.dweight || args.dbias;
    const auto finish = [&](const E* part, int count) {
      launch(add_parts<T>, static_cast<unsigned>(ceil_div(2 * a.n, kWarp)), kBlock, part, count, a.n,
             static_cast<T*>(args.dweight), static_cast<T*>(args.dbias));
    };
    with_pack<T>(a.n, {a.x, a.dx, a.dy, a.weight}, [&](auto pack) {
      constexpr int P = decltype(pack)::value;
      const int64_t sm = multiprocessors();
      if (a.n <= kLongestRow<T, P, kHeldBackward<T, P>>) {
        const int group = held_group<T, P, kHeldBackward<T, P>>(a.rows, a.n), block = std::max(group, 128);
        const int64_t wanted = ceil_div(a.rows * group, block);
        // Every block leaves 2 n sums: few enough that they are small beside x.
        const int64_t most = sums ? std::clamp(wanted / 4, sm, sm * kMostHolders / block) : sm * 32;
        const unsigned grid = static_cast<unsigned>(std::min(wanted, most));
        const Scratch part(sums ? static_cast<size_t>(grid * 2 * a.n) * sizeof(E) : 0);
        launch_shared(backward_held<T, P>, grid, block, sums ? static_cast<size_t>(2 * a.n) * sizeof(E) : 0, a, group,
                      part.as<E>());
        if (sums) finish(part.as<E>(), static_cast<int>(grid));
        return;
      }
      if (a.dx) launch(backward_long<T>, blocks_for(a.rows), kMostHolders, a);
      if (!sums) return;
      const int64_t piece = std::max<int64_t>(ceil_div(a.rows, 32), 16);
      const int count = static_cast<int>(ceil_div(a.rows, piece));
      const Scratch part(static_cast<size_t>(count * 2 * a.n) * sizeof(E));
      launch(weight_sums_long<T>, dim3(grid_for(a.n), static_cast<unsigned>(count)), kBlock, a, piece, part.as<E>());
      finish(part.as<E>(), count);
    });
  });
}
PYNN_CUDA_KERNEL(layer_norm_forward);
PYNN_CUDA_KERNEL(layer_norm_backward);

}  // namespace pynn::cuda
