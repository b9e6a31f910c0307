// softmax.cu -- softmax and log-softmax over the middle dim of [outer, n, inner], forward and backward.
//
//   y = exp(x - max) / sum(exp(x - max));   dx = (dy - sum(dy * y)) * y
//   log: y = x - max - log(sum(exp(x - max)));  dx = dy - exp(y) * sum(dy)
//
// Rows are held in registers; longer ones, and few columns, are reduced by all blocks and then mapped; else a block
// takes some columns and reads them twice, the second time from a cache.
#include "kernels/softmax.h"

#include "kernels/cuda/softmax.cuh"

namespace pynn::cuda {
namespace {

struct Plain {
  static constexpr bool kCheap = true;
  static constexpr bool kZerosWhereNothing = false;
  __device__ Plain of_row(int64_t) const { return {}; }
  template <class E>
  __device__ E operator()(E v, int64_t) const {
    return v;
  }
};

// What the forward and the backward have in common: a fold over (a, b), and an element's result from the total.
template <class T>
struct Forward : ExpSum<T> {
  using E = Element<T>;
  using State = typename ExpSum<T>::State;
  bool log_;
  State* totals;
  __device__ void add(State& s, E x, E) const {
    const E v[1] = {x};
    this->take(s, v, 0, 0);
  }
  __device__ void finish(const State& s, int64_t at) const { totals[at] = s; }
  __device__ E result(const State& s, E x, E) const { return log_ ? x - s.m - log(s.s) : exp_for<T>(x - s.m) / s.s; }
};
template <class T>
struct Backward {
  using E = Element<T>;
  using State = E;
  bool log_;
  State* totals;
  __device__ State identity() const { return E(0); }
  __device__ void merge(State& a, State b) const { a += b; }
  __device__ void add(State& s, E dy, E y) const { s += log_ ? dy : dy * y; }
  __device__ void finish(const State& s, int64_t at) const { totals[at] = s; }
  __device__ E result(const State& s, E dy, E y) const { return log_ ? dy - exp_for<T>(y) * s : (dy - s) * y; }
};

template <class T, int P>
__global__ void __launch_bounds__(kMostHolders)
    backward_held(const T* dy, const T* y, T* dx, int64_t rows, int64_t n, int group, bool log_) {
  using E = Element<T>;
  constexpr int H = kHeld<T, P>;
  const Backward<T> f{log_, nullptr};
  const int per_block = static_cast<int>(blockDim.x) / group, lane = static_cast<int>(threadIdx.x) % group;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * per_block; first < rows;
       first += static_cast<int64_t>(gridDim.x) * per_block) {
    const int64_t row = first + threadIdx.x / group, columns = row < rows ? n : 0;
    Pack<T, P> a[H], b[H];
#pragma unroll
    for (int j = 0; j < H; ++j)
      if (const int64_t c = (j * group + lane) * P; c < columns) {
        a[j] = *reinterpret_cast<const Pack<T, P>*>(dy + row * n + c);
        b[j] = *reinterpret_cast<const Pack<T, P>*>(y + row * n + c);
      }
    E sum = 0;
#pragma unroll
    for (int j = 0; j < H; ++j) {
      if ((j * group + lane) * P >= columns) continue;
      E part = 0;
#pragma unroll
      for (int e = 0; e < P; ++e) f.add(part, static_cast<E>(load(a[j].v[e])), static_cast<E>(load(b[j].v[e])));
      sum += part;
    }
    sum = merge_group(f, sum, group);
#pragma unroll
    for (int j = 0; j < H; ++j) {
      const int64_t c = (j * group + lane) * P;
      if (c >= columns) continue;
      Pack<T, P> out;
#pragma unroll
      for (int e = 0; e < P; ++e)
        out.v[e] = store_as<T>(f.result(sum, static_cast<E>(load(a[j].v[e])), static_cast<E>(load(b[j].v[e]))));
      *reinterpret_cast<Pack<T, P>*>(dx + row * n + c) = out;
    }
  }
}

// [outer, n, inner] in pieces of n: a block is `lanes` columns by rows. With `only_total` the totals of the pieces are
// left in partial [splits, outer * inner]; else there is one piece, and results are written.
template <class T, class F>
__global__ void __launch_bounds__(kBlock)
    columns_kernel(F f, const T* a, const T* b, T* out, int64_t outer, int64_t n, int64_t inner, int64_t piece,
                   int64_t splits, int lanes, typename F::State* partial) {
  using S = typename F::State;
  using E = Element<T>;
  S* shared = dynamic_shared<S>();
  const int lane = static_cast<int>(threadIdx.x) % lanes, y = static_cast<int>(threadIdx.x) / lanes;
  const int height = static_cast<int>(blockDim.x) / lanes;
  const int64_t all = outer * inner, blocks = (all + lanes - 1) / lanes;
  for (int64_t task = blockIdx.x; task < blocks * splits; task += gridDim.x) {
    const int64_t split = task / blocks, q = (task - split * blocks) * lanes + lane;
    const int64_t o = q / inner, base = o * n * inner + (q - o * inner);
    const int64_t begin = split * piece, end = q >= all ? 0 : begin + piece < n ? begin + piece : n;
    S s = f.identity();
#pragma unroll 4
    for (int64_t r = begin + y; r < end; r += height)
      f.add(s, static_cast<E>(load(a[base + r * inner])), b ? static_cast<E>(load(b[base + r * inner])) : E(0));
    __syncthreads();
    shared[threadIdx.x] = s;
    for (int k = height / 2; k; k /= 2) {
      __syncthreads();
      if (y < k) f.merge(shared[y * lanes + lane], shared[(y + k) * lanes + lane]);
    }
    __syncthreads();
    s = shared[lane];
    if (partial) {
      if (y == 0 && q < all) partial[split * all + q] = s;
      continue;
    }
#pragma unroll 4
    for (int64_t r = begin + y; r < end; r += height) {
      const int64_t at = base + r * inner;
      out[at] = store_as<T>(f.result(s, static_cast<E>(load(a[at])), b ? static_cast<E>(load(b[at])) : E(0)));
    }
  }
}

// out = result(total of the line, a, b). A block takes a piece of a row of n * inner.
template <class T, int P, class F>
__global__ void __launch_bounds__(kBlock)
    map_kernel(F f, const T* a, const T* b, T* out, int64_t outer, int64_t n, int64_t inner, int64_t piece) {
  using E = Element<T>;
  const int64_t length = n * inner, pieces = (length + piece - 1) / piece;
  for (int64_t task = blockIdx.x; task < outer * pieces; task += gridDim.x) {
    const int64_t o = task / pieces, begin = (task - o * pieces) * piece, base = o * length;
    const int64_t end = begin + piece < length ? begin + piece : length;
    for (int64_t i = begin + threadIdx.x * P; i < end; i += static_cast<int64_t>(blockDim.x) * P) {
      Pack<T, P> x = *reinterpret_cast<const Pack<T, P>*>(a + base + i), y{};
      if (b) y = *reinterpret_cast<const Pack<T, P>*>(b + base + i);
#pragma unroll
      for (int e = 0; e < P; ++e) {
        const auto s = f.totals[inner == 1 ? o : o * inner + (i + e) % inner];
        x.v[e] = store_as<T>(f.result(s, static_cast<E>(load(x.v[e])), static_cast<E>(load(y.v[e]))));
      }
      *reinterpret_cast<Pack<T, P>*>(out + base + i) = x;
    }
  }
}

template <class T, class F>
void run(F f, const SoftmaxArgs& s, const void* second) {
  using S = typename F::State;
  T* out = static_cast<T*>(s.out);
  const T *a = static_cast<const T*>(s.a), *b = static_cast<const T*>(second);
  if (s.inner == 1) {
    bool done = false;
    with_pack<T>(s.n, {out, a, b}, [&](auto pack) {
      constexpr int P = decltype(pack)::value;
      if (s.n > kLongestRow<T, P>) return;
      done = true;
      if (!b) return launch_softmax_held<T, P>(a, out, s.outer, s.n, s.log, Plain{});
      const int group = held_group<T, P>(s.outer, s.n), block = std::max(group, 128);
      launch(backward_held<T, P>, blocks_for(ceil_div(s.outer * group, block)), block, a, b, out, s.outer, s.n, group,
             s.log);
    });
    if (done) return;
  }
  const int64_t sm = multiprocessors(), all = s.outer * s.inner;
  int lanes = s.inner == 1 ? 1 : power_of_two(all, kWarp);  // along a row they would be far apart
  const int height = power_of_two(ceil_div(s.n, 4), kBlock / lanes);
  lanes = s.inner == 1 ? 1 : power_of_two(all, kBlock / height);
  const int64_t blocks = ceil_div(all, lanes);
  const size_t shared = static_cast<size_t>(lanes * height) * sizeof(S);
  if (s.inner > 1 && (blocks >= sm || s.n <= height * 16))
    return launch_shared(columns_kernel<T, F>, blocks_for(blocks), lanes * height, shared, f, a, b, out, s.outer, s.n,
                         s.inner, s.n, int64_t{1}, lanes, static_cast<S*>(nullptr));
  const Scratch totals(static_cast<size_t>(all) * sizeof(S));
  f.totals = totals.as<S>();
  if (!b && s.inner == 1) {
    if constexpr (std::is_same_v<F, Forward<T>>) launch_rows<T>(f, a, s.outer, s.n);
  } else {
    const int64_t wanted = std::clamp<int64_t>(ceil_div(8 * sm, blocks), 1, ceil_div(s.n, 16 * height));
    const int64_t piece = ceil_div(s.n, wanted), splits = ceil_div(s.n, piece);
    const Scratch partial(static_cast<size_t>(all * splits) * sizeof(S));
    launch_shared(columns_kernel<T, F>, blocks_for(blocks * splits), lanes * height, shared, f, a, b, out, s.outer, s.n,
                  s.inner, piece, splits, lanes, partial.as<S>());
    launch_finish(f, partial.as<S>(), all, splits);
  }
  with_pack<T>(s.n * s.inner, {out, a, b}, [&](auto pack) {
    constexpr int P = decltype(pack)::value;
    constexpr int64_t piece = int64_t{kBlock} * 8 * kPack<T>;
    launch(map_kernel<T, P, F>, blocks_for(s.outer * ceil_div(s.n * s.inner, piece)), kBlock, f, a, b, out, s.outer,
           s.n, s.inner, piece);
  });
}

}  // namespace

void softmax_forward(const SoftmaxArgs& s) {
  if (s.outer == 0 || s.n == 0 || s.inner == 0) return;
  dispatch_floating("softmax", s.dtype, [&](auto t) {
    using T = decltype(t);
    run<T>(Forward<T>{{}, s.log, nullptr}, s, nullptr);
  });
}
void softmax_backward(const SoftmaxArgs& s) {
  if (s.outer == 0 || s.n == 0 || s.inner == 0) return;
  dispatch_floating("softmax", s.dtype, [&](auto t) {
    using T = decltype(t);
    run<T>(Backward<T>{s.log, nullptr}, s, s.b);
  });
}
PYNN_CUDA_KERNEL(softmax_forward);
PYNN_CUDA_KERNEL(softmax_backward);

}  // namespace pynn::cuda
