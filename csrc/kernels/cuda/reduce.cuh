// reduce.cuh -- folding runs and columns of memory into one state each: what every reduction, and the first pass of
// softmax, norms and losses, is made of.
//
// A fold F has a State (trivial, of whole words) and
//
//   State identity()
//   void take(State&, const E (&v)[K], int64_t index, int64_t step)   K elements, v[k] at index + k * step
//   void merge(State&, const State& other)
//   void finish(const State&, int64_t at)                             writes result `at`
//
// with E = Element<T>: what T is reduced in. Threads take batches, tree-wise inside, and start a new partial state
// every kBatches of them: a float sum errs as a pairwise one does. The order depends on sizes alone.
#pragma once
#include <cstring>

#include "kernels/cuda/launch.cuh"

namespace pynn::cuda {

template <class T>
using Element = std::conditional_t<std::is_integral_v<T>, int64_t, Compute<T>>;
template <class T>
constexpr int kPack = 16 / static_cast<int>(sizeof(T));

constexpr int kBatches = 64;
constexpr int kInFlight = 4;  // packs, or rows, that a thread loads before it uses one

inline int power_of_two(int64_t n, int most) {  // the least that is not below n
  int p = 1;
  while (p < n && p < most) p *= 2;
  return p;
}
inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <class T, int K>
__device__ inline void load_all(const T (&from)[K], Element<T> (&to)[K]) {
#pragma unroll
  for (int k = 0; k < K; ++k) to[k] = static_cast<Element<T>>(load(from[k]));
}

template <class S>
__device__ inline S shuffle_state(S s, int lanes) {
  static_assert(sizeof(S) % 4 == 0);
  constexpr int words = sizeof(S) / 4;
  unsigned int w[words];
  memcpy(w, &s, sizeof(S));
#pragma unroll
  for (int i = 0; i < words; ++i) w[i] = __shfl_xor_sync(0xffffffffu, w[i], lanes);
  memcpy(&s, w, sizeof(S));
  return s;
}

// All threads of each `group` of neighbours get the state of the whole group. A power of two; whole warps take part,
// and where it is more than a warp, whole blocks.
template <class F, class S = typename F::State>
__device__ inline S merge_warp(const F& f, S s, int group) {
  for (int lanes = group / 2; lanes; lanes /= 2) {
    const S other = shuffle_state(s, lanes);
    if (threadIdx.x & static_cast<unsigned>(lanes)) {  // both halves merge in the same order
      S low = other;
      f.merge(low, s);
      s = low;
    } else {
      f.merge(s, other);
    }
  }
  return s;
}
template <class F, class S = typename F::State>
__device__ inline S merge_group(const F& f, S s, int group) {
  s = merge_warp(f, s, group < kWarp ? group : kWarp);
  if (group <= kWarp) return s;
  __shared__ S partial[kWarp];
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warps = group / kWarp;
  __syncthreads();  // `partial` may be in use by a call before
  if (lane == 0) partial[warp] = s;
  __syncthreads();
  return merge_warp(f, partial[warp / warps * warps + lane % warps], warps);
}

// This lane's share of n elements next to each other; `index` is that of the first.
template <class T, class F>
__device__ typename F::State fold_run(const F& f, const T* x, int64_t n, int64_t index, int lane, int group) {
  constexpr int P = kPack<T>;
  using E = Element<T>;
  typename F::State total = f.identity();
  const auto single = [&](int64_t i) {
    const E v[1] = {static_cast<E>(load(x[i]))};
    f.take(total, v, index + i, 1);
  };
  const auto pack = [&](auto& state, const Pack<T, P>& p, int64_t i) {
    E v[P];
    load_all(p.v, v);
    f.take(state, v, index + i, 1);
  };
  int64_t head = static_cast<int64_t>((16 - reinterpret_cast<uintptr_t>(x) % 16) % 16 / sizeof(T));
  if (head > n) head = n;
  for (int64_t i = lane; i < head; i += group) single(i);
  const int64_t packs = (n - head) / P;
  const auto* p = reinterpret_cast<const Pack<T, P>*>(x + head);
  int64_t k = lane;
  while (k + (kInFlight - 1) * group < packs) {
    typename F::State part = f.identity();
    for (int b = 0; b < kBatches / kInFlight && k + (kInFlight - 1) * group < packs; ++b, k += kInFlight * group) {
      Pack<T, P> v[kInFlight];
#pragma unroll
      for (int j = 0; j < kInFlight; ++j) v[j] = p[k + j * group];
#pragma unroll
      for (int j = 0; j < kInFlight; ++j) pack(part, v[j], head + (k + j * group) * P);
    }
    f.merge(total, part);
  }
  for (; k < packs; k += group) pack(total, p[k], head + k * P);
  for (int64_t i = head + packs * P + lane; i < n; i += group) single(i);
  return total;
}

constexpr int kMostInRow = 512;  // threads of a group

// x [rows, n] in `splits` pieces of each row, a group of threads for each.
template <class T, class F>
__global__ void __launch_bounds__(kMostInRow) reduce_rows(F f, const T* x, int64_t rows, int64_t n, int64_t piece,
                                                          int64_t splits, int group, typename F::State* partial) {
  const int per_block = static_cast<int>(blockDim.x) / group, lane = static_cast<int>(threadIdx.x) % group;
  const int64_t tasks = rows * splits;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * per_block; first < tasks;
       first += static_cast<int64_t>(gridDim.x) * per_block) {
    const int64_t task = first + threadIdx.x / group, row = splits == 1 ? task : task / splits;
    const int64_t split = task - row * splits, begin = split * piece;
    typename F::State s = f.identity();
    if (task < tasks) s = fold_run(f, x + row * n + begin, n - begin < piece ? n - begin : piece, begin, lane, group);
    s = merge_group(f, s, group);
    if (lane != 0 || task >= tasks) continue;
    if (partial)
      partial[split * rows + row] = s;
    else
      f.finish(s, row);
  }
}

// x [outer, n, inner], inner > 1, in `splits` pieces of n. A block is `lanes` packs of P columns by rows.
template <class T, int P, class F>
__global__ void __launch_bounds__(kBlock)
    reduce_columns(F f, const T* x, int64_t outer, int64_t n, int64_t inner, int64_t piece, int64_t splits, int lanes,
                   typename F::State* partial) {
  using E = Element<T>;
  using S = typename F::State;
  S* shared = dynamic_shared<S>();
  const int lane = static_cast<int>(threadIdx.x) % lanes, y = static_cast<int>(threadIdx.x) / lanes;
  const int height = static_cast<int>(blockDim.x) / lanes;
  const int64_t width = inner / P, all = outer * width, blocks = (all + lanes - 1) / lanes;
  for (int64_t task = blockIdx.x; task < blocks * splits; task += gridDim.x) {
    const int64_t split = task / blocks, q = (task - split * blocks) * lanes + lane;
    S s[P];
#pragma unroll
    for (int e = 0; e < P; ++e) s[e] = f.identity();
    if (q < all) {
      const int64_t o = q / width, end = (split + 1) * piece < n ? (split + 1) * piece : n;
      const T* base = x + o * n * inner + (q - o * width) * P;
      int64_t r = split * piece + y;
      while (r + (kInFlight - 1) * height < end) {
        S part[P];
#pragma unroll
        for (int e = 0; e < P; ++e) part[e] = f.identity();
        for (int b = 0; b < kBatches / kInFlight && r + (kInFlight - 1) * height < end; ++b, r += kInFlight * height) {
          Pack<T, P> v[kInFlight];
#pragma unroll
          for (int j = 0; j < kInFlight; ++j)
            v[j] = *reinterpret_cast<const Pack<T, P>*>(base + (r + j * height) * inner);
#pragma unroll
          for (int e = 0; e < P; ++e) {
            E column[kInFlight];
#pragma unroll
            for (int j = 0; j < kInFlight; ++j) column[j] = static_cast<E>(load(v[j].v[e]));
            f.take(part[e], column, r, height);
          }
        }
#pragma unroll
        for (int e = 0; e < P; ++e) f.merge(s[e], part[e]);
      }
      for (; r < end; r += height) {
        const Pack<T, P> v = *reinterpret_cast<const Pack<T, P>*>(base + r * inner);
#pragma unroll
        for (int e = 0; e < P; ++e) {
          const E column[1] = {static_cast<E>(load(v.v[e]))};
          f.take(s[e], column, r, 1);
        }
      }
    }
    for (int k = height / 2; k; k /= 2) {
      if (y >= k && y < 2 * k)
#pragma unroll
        for (int e = 0; e < P; ++e) shared[((y - k) * P + e) * lanes + lane] = s[e];
      __syncthreads();
      if (y < k)
#pragma unroll
        for (int e = 0; e < P; ++e) f.merge(s[e], shared[(y * P + e) * lanes + lane]);
      __syncthreads();
    }
    if (y != 0 || q >= all) continue;
#pragma unroll
    for (int e = 0; e < P; ++e) {
      if (partial)
        partial[split * outer * inner + q * P + e] = s[e];
      else
        f.finish(s[e], q * P + e);
    }
  }
}

// partial [splits, outputs]
template <class F>
__global__ void __launch_bounds__(kBlock)
    reduce_finish(F f, const typename F::State* partial, int64_t outputs, int64_t splits, int group) {
  const int per_block = static_cast<int>(blockDim.x) / group, lane = static_cast<int>(threadIdx.x) % group;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * per_block; first < outputs;
       first += static_cast<int64_t>(gridDim.x) * per_block) {
    const int64_t at = first + threadIdx.x / group;
    typename F::State s = f.identity();
    if (at < outputs)
      for (int64_t k = lane; k < splits; k += group) f.merge(s, partial[k * outputs + at]);
    s = merge_warp(f, s, group);
    if (lane == 0 && at < outputs) f.finish(s, at);
  }
}

inline unsigned blocks_for(int64_t tasks) {
  return static_cast<unsigned>(std::clamp<int64_t>(tasks, 1, static_cast<int64_t>(multiprocessors()) * 64));
}

template <class F>
void launch_finish(const F& f, const typename F::State* partial, int64_t outputs, int64_t splits) {
  const int group = splits <= 8 ? 1 : kWarp;
  launch(reduce_finish<F>, blocks_for(ceil_div(outputs * group, kBlock)), kBlock, f, partial, outputs, splits, group);
}

// A group of threads for a row of n: what they hold in some packs each; more where rows are few, and down to a warp,
// whose states meet without the block, where they fill the device several times over.
template <class T>
int row_group(int64_t rows, int64_t n, int most) {
  const int64_t packs = ceil_div(n, kPack<T>), sm = multiprocessors();
  int group = power_of_two(ceil_div(packs, kInFlight), most);
  while (group < most && group < packs && rows * group < sm * 512) group *= 2;
  while (group > kWarp && rows * group >= sm * 8192) group /= 2;
  return group;
}

template <class T, class F>
void launch_rows(const F& f, const T* x, int64_t rows, int64_t n) {
  using S = typename F::State;
  const int64_t sm = multiprocessors();
  const bool small = rows * n * static_cast<int64_t>(sizeof(T)) <= 128 << 10;  // not worth a second launch
  const int group = row_group<T>(rows, n, small ? kMostInRow : 256);
  const int64_t least = 8 * kPack<T> * kBlock;  // elements of a piece
  const int64_t wanted = small || group < 256 || rows >= 4 * sm ? 1 : ceil_div(8 * sm, rows);
  const int64_t piece = std::max(ceil_div(ceil_div(n, wanted), kPack<T>) * kPack<T>, least);
  const int64_t splits = std::max<int64_t>(wanted == 1 ? 1 : ceil_div(n, piece), 1);
  const int block = std::max(group, 128);
  const unsigned grid = blocks_for(ceil_div(rows * splits * group, block));
  const Scratch partial(splits > 1 ? static_cast<size_t>(rows * splits) * sizeof(S) : 0);
  launch(reduce_rows<T, F>, grid, block, f, x, rows, n, splits > 1 ? piece : n, splits, group, partial.as<S>());
  if (splits > 1) launch_finish(f, partial.as<S>(), rows, splits);
}

template <class T, int P, class F>
void launch_columns(const F& f, const T* x, int64_t outer, int64_t n, int64_t inner) {
  using S = typename F::State;
  const int64_t sm = multiprocessors(), columns = outer * inner / P;
  int lanes = power_of_two(columns, kWarp);
  const int height = power_of_two(ceil_div(n, kInFlight), kBlock / lanes);
  lanes = power_of_two(columns, kBlock / height);
  const int64_t blocks = ceil_div(columns, lanes), least = static_cast<int64_t>(height) * 4 * kInFlight;
  const int64_t wanted = blocks >= 2 * sm ? 1 : std::min(ceil_div(8 * sm, blocks), ceil_div(n, least));
  const int64_t piece = wanted <= 1 ? n : ceil_div(n, wanted);
  const int64_t splits = piece ? std::max<int64_t>(ceil_div(n, piece), 1) : 1;
  const Scratch partial(splits > 1 ? static_cast<size_t>(outer * inner * splits) * sizeof(S) : 0);
  launch_shared(reduce_columns<T, P, F>, blocks_for(blocks * splits), lanes * height,
                static_cast<size_t>(lanes * height / 2 + 1) * P * sizeof(S), f, x, outer, n, inner, piece, splits,
                lanes, partial.as<S>());
  if (splits > 1) launch_finish(f, partial.as<S>(), outer * inner, splits);
}

template <class T, class F>
void launch_reduce(const F& f, const void* data, int64_t outer, int64_t n, int64_t inner) {
  const T* x = static_cast<const T*>(data);
  if (inner == 1 || n == 1) return launch_rows<T>(f, x, outer * inner, n);
  constexpr int P = std::is_integral_v<T> ? 1 : kPack<T>;
  if constexpr (P > 1)
    if (inner % P == 0 && aligned(x, 16)) return launch_columns<T, P>(f, x, outer, n, inner);
  launch_columns<T, 1>(f, x, outer, n, inner);
}

// ---- results ----

// Value `at` of an array of a type that E is stored as.
template <class E>
__device__ inline void put(void* y, DType dtype, int64_t at, E v) {
  if (dtype == DType::Bool) {
    static_cast<bool*>(y)[at] = v != E(0);
  } else if constexpr (std::is_same_v<E, float>) {
    if (dtype == DType::Float32) static_cast<float*>(y)[at] = v;
    if (dtype == DType::Float16) static_cast<Half*>(y)[at] = store_as<Half>(v);
    if (dtype == DType::BFloat16) static_cast<BFloat16*>(y)[at] = store_as<BFloat16>(v);
  } else if constexpr (std::is_same_v<E, double>) {
    static_cast<double*>(y)[at] = v;
  } else {
    if (dtype == DType::Int64) static_cast<int64_t*>(y)[at] = static_cast<int64_t>(v);
    if (dtype == DType::Int32) static_cast<int32_t*>(y)[at] = static_cast<int32_t>(v);
    if (dtype == DType::Int16) static_cast<int16_t*>(y)[at] = static_cast<int16_t>(v);
    if (dtype == DType::Int8) static_cast<int8_t*>(y)[at] = static_cast<int8_t>(v);
    if (dtype == DType::UInt8) static_cast<uint8_t*>(y)[at] = static_cast<uint8_t>(v);
  }
}

// exp, less exact where the result is rounded to a half type.
template <class T, class E>
__device__ inline E exp_for(E v) {
#ifndef PYNN_CUDA_EMULATED
  if constexpr (sizeof(T) == 2) return __expf(v);
#endif
  return exp(v);
}

// exp of v <= 0, as a term of a sum that has 1 as another: exact to 2^-23 of 1, not of itself.
template <class T, class E>
__device__ inline E exp_in_sum(E v) {
#ifndef PYNN_CUDA_EMULATED
  if constexpr (std::is_same_v<E, float>) return __expf(v);
#endif
  return exp_for<T>(v);
}

// (m, s) for log(sum exp x) = m + log(s). m NaN if one is; where m is infinite, s says nothing.
template <class T>
struct ExpSum {
  using E = Element<T>;
  struct State {
    E m, s;
  };
  __device__ State identity() const { return {-E(INFINITY), E(0)}; }
  __device__ static E reference(E m) { return m == -E(INFINITY) ? E(0) : m; }
  template <int K>
  __device__ void take(State& a, const E (&v)[K], int64_t, int64_t) const {
    E top = v[0];
#pragma unroll
    for (int k = 1; k < K; ++k) top = Larger{}(top, v[k]);
    top = Larger{}(a.m, top);
    const E to = reference(top);
    E sum = a.s == E(0) ? E(0) : a.s * exp_in_sum<T>(a.m - to);
#pragma unroll
    for (int k = 0; k < K; ++k) sum += exp_in_sum<T>(v[k] - to);
    a = {top, sum};
  }
  __device__ void merge(State& a, const State& b) const {
    const E top = Larger{}(a.m, b.m), to = reference(top);
    a.s = a.s * exp_in_sum<T>(a.m - to) + b.s * exp_in_sum<T>(b.m - to);
    a.m = top;
  }
};

// Count, mean, and sum of squared differences from it: Chan, Golub and LeVeque 1979.
template <class T>
struct Moments {
  using E = Element<T>;
  struct State {
    E n, mean, squares;
  };
  __device__ State identity() const { return {E(0), E(0), E(0)}; }
  template <int K>
  __device__ void take(State& a, const E (&v)[K], int64_t, int64_t) const {
    E sum = v[0];
#pragma unroll
    for (int k = 1; k < K; ++k) sum += v[k];
    State b{E(K), sum * E(1.0 / K), E(0)};
#pragma unroll
    for (int k = 0; k < K; ++k) b.squares += (v[k] - b.mean) * (v[k] - b.mean);
    merge(a, b);
  }
  __device__ void merge(State& a, const State& b) const {
    if (b.n == E(0)) return;
    if (a.n == E(0)) {  // not by the formula: the square of a large mean overflows
      a = b;
      return;
    }
    const E n = a.n + b.n, share = b.n / n, d = b.mean - a.mean;
    a.mean += d * share;
    a.squares += b.squares + d * d * a.n * share;
    a.n = n;
  }
};

}  // namespace pynn::cuda
