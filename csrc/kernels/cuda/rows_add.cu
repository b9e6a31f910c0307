// rows_add.cu -- y[index[r], :] += x[r, :], in an order that does not depend on the launch: no atomics.
//
//   few rows   a block per row of x: the first of those with one index adds up all of them
//   else       the (index, r) pairs are sorted. Chunks of the sorted list are added up by a thread per column (or
//              vector of columns). Where a run of equal indices goes on from one chunk into the next, the next one
//              leaves its part in `partial`; a second kernel adds those up.
//
// Sums are taken in float32 for the half types and rounded once, unless a run is cut (then twice).
#include "kernels/cuda/cub.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/indexing.h"

namespace pynn::cuda {
namespace {

constexpr int kFew = 2048;
constexpr int kAhead = 4;  // rows that are loaded before the first is added

__device__ inline int64_t row_of(const RowsArgs& a, int64_t r) {
  const int64_t given = a.index[r];
  return given < 0 && a.wrap ? given + a.nrows : given;
}

template <class S, int N>
struct Sum {
  Compute<S> v[N];
  __device__ void add(const Pack<S, N>& p) {
#pragma unroll
    for (int i = 0; i < N; ++i) v[i] = sum_of(v[i], load(p.v[i]));
  }
  __device__ void add(const Sum& o) {
#pragma unroll
    for (int i = 0; i < N; ++i) v[i] = sum_of(v[i], o.v[i]);
  }
  __device__ void add_to(Pack<S, N>* y) const {
    Pack<S, N> p = *y;
#pragma unroll
    for (int i = 0; i < N; ++i) p.v[i] = store_as<S>(sum_of(load(p.v[i]), v[i]));
    *y = p;
  }
};

// ---- few rows ----

template <class S, int N>
__global__ void add_few(RowsArgs a, Deferred* bad) {
  __shared__ unsigned equal[kFew / kWarp];  // a bit for each row with this block's index
  __shared__ unsigned short rows[kFew];     // those, in order
  const int n = static_cast<int>(a.nindex), words = (n + kWarp - 1) / kWarp;
  const int me = static_cast<int>(blockIdx.x), threads = static_cast<int>(blockDim.x);
  const int tid = static_cast<int>(threadIdx.x);
  const int64_t to = row_of(a, me);
  if (to < 0 || to >= a.nrows) {
    if (tid == 0) out_of_range(bad, a.op, a.index[me], a.nrows);
    return;
  }
  if (to == a.skip) return;
  for (int i = tid; i < words * kWarp; i += threads) {  // whole warps
    const unsigned found = __ballot_sync(0xffffffffu, i < n && row_of(a, i) == to);
    if (i % kWarp == 0) equal[i / kWarp] = found;
  }
  __syncthreads();
  for (int w = 0; w < me / kWarp; ++w)
    if (equal[w]) return;
  if (equal[me / kWarp] & ((1u << me % kWarp) - 1)) return;
  int count = 0;
  for (int w = 0; w < words; ++w) {
    if (w % threads == tid) {
      int at = count;
      for (unsigned rest = equal[w]; rest; rest &= rest - 1)
        rows[at++] = static_cast<unsigned short>(w * kWarp + __ffs(static_cast<int>(rest)) - 1);
    }
    count += __popc(equal[w]);
  }
  __syncthreads();
  const int64_t columns = a.row / N;
  const Pack<S, N>* x = static_cast<const Pack<S, N>*>(a.x);
  Pack<S, N>* y = static_cast<Pack<S, N>*>(a.y) + to * columns;
  for (int64_t c = static_cast<int64_t>(blockIdx.y) * threads + tid; c < columns;
       c += static_cast<int64_t>(gridDim.y) * threads) {
    Sum<S, N> sum{};
    for (int k = 0; k < count; k += kAhead) {
      Pack<S, N> v[kAhead];
#pragma unroll
      for (int j = 0; j < kAhead; ++j)
        if (k + j < count) v[j] = x[rows[k + j] * columns + c];
#pragma unroll
      for (int j = 0; j < kAhead; ++j)
        if (k + j < count) sum.add(v[j]);
    }
    sum.add_to(y + c);
  }
}

// ---- many rows ----

// The pairs by index; nrows stands for every index that is left out. Keys of 32 bits where those are enough.
struct Sorted {
  const uint32_t* narrow;
  const uint64_t* wide;
  const uint32_t* from;
  int64_t n;
  int chunk;
  __device__ int64_t key(int64_t i) const {
    return narrow ? static_cast<int64_t>(narrow[i]) : static_cast<int64_t>(wide[i]);
  }
};

template <class Key>
__global__ void make_pairs(RowsArgs a, Key* keys, uint32_t* from, Deferred* bad) {
  PYNN_GRID_LOOP(r, a.nindex) {
    int64_t to = row_of(a, r);
    if (to < 0 || to >= a.nrows) {
      out_of_range(bad, a.op, a.index[r], a.nrows);
      to = a.nrows;
    } else if (to == a.skip) {
      to = a.nrows;
    }
    keys[r] = static_cast<Key>(to);
    from[r] = static_cast<uint32_t>(r);
  }
}

// Whether the run of equal indices that chunk c begins with began before it.
__device__ inline bool carried(const Sorted& s, int64_t c) {
  return c > 0 && s.key(c * s.chunk - 1) == s.key(c * s.chunk);
}

template <class S, int N>
__global__ void add_chunks(Sorted s, RowsArgs a, Sum<S, N>* partial, int64_t chunks) {
  const int64_t columns = a.row / N;
  const Pack<S, N>* x = static_cast<const Pack<S, N>*>(a.x);
  Pack<S, N>* y = static_cast<Pack<S, N>*>(a.y);
  PYNN_GRID_LOOP(t, chunks * columns) {
    const int64_t c = divide(t, columns), column = t - c * columns;
    const int64_t begin = c * s.chunk, end = begin + s.chunk < s.n ? begin + s.chunk : s.n;
    int64_t key = s.key(begin);
    bool part = carried(s, c);
    Sum<S, N> sum{};
    const auto put = [&] {
      if (key >= a.nrows) return;
      if (part)
        partial[t] = sum;
      else
        sum.add_to(y + key * columns + column);
    };
    for (int64_t i = begin; i < end; i += kAhead) {
      int64_t keys[kAhead];
      Pack<S, N> v[kAhead];
#pragma unroll
      for (int j = 0; j < kAhead; ++j)
        if (i + j < end) {
          keys[j] = s.key(i + j);
          v[j] = x[s.from[i + j] * columns + column];
        }
#pragma unroll
      for (int j = 0; j < kAhead; ++j)
        if (i + j < end) {
          if (keys[j] != key) {
            put();
            key = keys[j];
            part = false;
            sum = {};
          }
          sum.add(v[j]);
        }
    }
    put();
  }
}

// The first of the chunks that one run is carried into adds up what all of them left.
template <class S, int N>
__global__ void add_partials(Sorted s, RowsArgs a, const Sum<S, N>* partial, int64_t chunks) {
  const int64_t columns = a.row / N;
  PYNN_GRID_LOOP(t, chunks * columns) {
    const int64_t c = divide(t, columns), column = t - c * columns, key = s.key(c * s.chunk);
    if (key >= a.nrows || !carried(s, c) || (s.key((c - 1) * s.chunk) == key && carried(s, c - 1))) continue;
    Sum<S, N> sum = partial[t];
    for (int64_t d = c + 1; d < chunks && s.key(d * s.chunk) == key; ++d) sum.add(partial[d * columns + column]);
    sum.add_to(static_cast<Pack<S, N>*>(a.y) + key * columns + column);
  }
}

template <class S, int N>
void add_sorted(const RowsArgs& a, Sorted s) {
  const int64_t columns = a.row / N;
  s.chunk = columns >= kWarp ? 32 : 16;
  const int64_t chunks = (s.n + s.chunk - 1) / s.chunk;
  Scratch partial(static_cast<size_t>(chunks * columns) * sizeof(Sum<S, N>));
  auto* p = partial.as<Sum<S, N>>();
  launch(add_chunks<S, N>, grid_for(chunks * columns), kBlock, s, a, p, chunks);
  launch(add_partials<S, N>, grid_for(chunks * columns), kBlock, s, a, static_cast<const Sum<S, N>*>(p), chunks);
}

template <class Key, class F>
void with_pairs(const RowsArgs& a, F f) {
  const size_t n = static_cast<size_t>(a.nindex);
  Scratch keys(2 * n * sizeof(Key)), from(2 * n * sizeof(uint32_t));
  auto* k = keys.as<Key>();
  auto* v = from.as<uint32_t>();
  launch(make_pairs<Key>, grid_for(a.nindex), kBlock, a, k, v, deferred());
  const bool moved = sort_pairs(k, k + n, v, v + n, a.nindex, bits_of(static_cast<uint64_t>(a.nrows)));
  f(moved ? k + n : k, moved ? v + n : v);
}

template <class S, int N>
void add_rows(const RowsArgs& a) {
  if (a.nindex <= kFew) {
    const int64_t columns = a.row / N;
    const int threads = columns <= 64 ? 64 : 128;
    const auto parts = static_cast<unsigned>(std::clamp<int64_t>((columns + threads - 1) / threads, 1, 16));
    launch(add_few<S, N>, dim3(static_cast<unsigned>(a.nindex), parts), threads, a, deferred());
    return;
  }
  constexpr int64_t kMost = int64_t{1} << 30;  // pairs sorted at once
  for (int64_t at = 0; at < a.nindex; at += kMost) {
    RowsArgs part = a;
    part.index += at;
    part.x = static_cast<const S*>(a.x) + at * a.row;
    part.nindex = std::min(kMost, a.nindex - at);
    if (a.nrows < UINT32_MAX)
      with_pairs<uint32_t>(part, [&](const uint32_t* keys, const uint32_t* from) {
        add_sorted<S, N>(part, {keys, nullptr, from, part.nindex, 0});
      });
    else
      with_pairs<uint64_t>(part, [&](const uint64_t* keys, const uint32_t* from) {
        add_sorted<S, N>(part, {nullptr, keys, from, part.nindex, 0});
      });
  }
}

}  // namespace

int64_t rows_add(const RowsArgs& a) {
  if (a.nindex == 0 || a.row == 0) return -1;
  dispatch_all(a.op, a.dtype, [&](auto s) {
    using S = decltype(s);
    if constexpr (std::is_same_v<Compute<S>, float>) {
      if (a.row % 4 == 0 && aligned(a.x, 4 * sizeof(S)) && aligned(a.y, 4 * sizeof(S))) return add_rows<S, 4>(a);
    }
    add_rows<S, 1>(a);
  });
  return -1;
}
PYNN_CUDA_KERNEL(rows_add);

}  // namespace pynn::cuda
