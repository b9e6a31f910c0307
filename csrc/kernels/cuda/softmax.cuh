// softmax.cuh -- softmax of rows that a group of threads holds in registers: one read, one write.
#pragma once
#include "kernels/cuda/reduce.cuh"

namespace pynn::cuda {

template <class E>
struct MaxOf {
  using State = E;
  __device__ void merge(E& a, E b) const { a = Larger{}(a, b); }
};
template <class E>
struct SumOf {
  using State = E;
  __device__ void merge(E& a, E b) const { a += b; }
};

// Packs of P elements that a thread holds, and the longest row that a block of them does.
constexpr int kMostHolders = kMostInRow;
template <class T, int P>
constexpr int kHeld = sizeof(T) == 2 && P > 1 ? 4
                      : sizeof(T) == 8        ? 8 / P
                                              : 16 / P;
template <class T, int P, int H = kHeld<T, P>>
constexpr int64_t kLongestRow = int64_t{kMostHolders} * P * H;

// A group for a row of n: as few threads as hold it, more where rows are few.
template <class T, int P, int H = kHeld<T, P>>
int held_group(int64_t rows, int64_t n) {
  const int64_t packs = ceil_div(n, P);
  int group = power_of_two(ceil_div(packs, H), kMostHolders);
  while (group < kMostHolders && group < packs && rows * group < static_cast<int64_t>(multiprocessors()) * 512)
    group *= 2;
  return group;
}
// f(Pack size) for rows of n at p: 16 bytes where every row is aligned, else single elements.
template <class T, class F>
void with_pack(int64_t n, std::initializer_list<const void*> pointers, F f) {
  constexpr int P = kPack<T>;
  bool wide = n % P == 0;
  for (const void* p : pointers) wide = wide && aligned(p, 16);
  wide ? f(std::integral_constant<int, P>{}) : f(std::integral_constant<int, 1>{});
}

// score.of_row(row)(v, column): what the softmax is of, from the element's value.
template <class T, int P, class Score>
__global__ void __launch_bounds__(kMostHolders)
    softmax_held(const T* x, T* y, int64_t rows, int64_t n, int group, bool log_, Score score) {
  using E = Element<T>;
  constexpr int H = kHeld<T, P>;
  const int per_block = static_cast<int>(blockDim.x) / group, lane = static_cast<int>(threadIdx.x) % group;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * per_block; first < rows;
       first += static_cast<int64_t>(gridDim.x) * per_block) {
    const int64_t row = first + threadIdx.x / group, columns = row < rows ? n : 0;
    const auto of = score.of_row(row);
    Pack<T, P> raw[H];
#pragma unroll
    for (int j = 0; j < H; ++j)
      if (const int64_t c = (j * group + lane) * P; c < columns)
        raw[j] = *reinterpret_cast<const Pack<T, P>*>(x + row * n + c);
    // Scores are kept as E where they are dear, else formed again: half types take half the registers.
    constexpr bool again = Score::kCheap && !std::is_same_v<T, E>;
    E scores[again ? 1 : H][P];
    E top = -E(INFINITY);
#pragma unroll
    for (int j = 0; j < H; ++j) {
      const int64_t c = (j * group + lane) * P;
      if (c >= columns) continue;
#pragma unroll
      for (int e = 0; e < P; ++e) {
        const E v = of(static_cast<E>(load(raw[j].v[e])), c + e);
        if constexpr (!again) scores[j][e] = v;
        top = Larger{}(top, v);
      }
    }
    const auto value = [&](int j, int e) {
      if constexpr (again)
        return of(static_cast<E>(load(raw[j].v[e])), (j * group + lane) * P + e);
      else
        return scores[j][e];
    };
    top = merge_group(MaxOf<E>{}, top, group);
    const bool nothing = Score::kZerosWhereNothing && top == -E(INFINITY);
    const E to = nothing ? E(0) : top;
    E sum = 0;
#pragma unroll
    for (int j = 0; j < H; ++j) {
      if ((j * group + lane) * P >= columns) continue;
      E part = 0;
#pragma unroll
      for (int e = 0; e < P; ++e) {
        const E v = exp_for<T>(value(j, e) - to);
        part += v;
        if constexpr (!again) scores[j][e] = log_ ? scores[j][e] : v;
      }
      sum += part;
    }
    sum = merge_group(SumOf<E>{}, sum, group);
    const E last = log_ ? log(sum) : nothing ? E(0) : E(1) / sum;
#pragma unroll
    for (int j = 0; j < H; ++j) {
      const int64_t c = (j * group + lane) * P;
      if (c >= columns) continue;
      Pack<T, P> out;
#pragma unroll
      for (int e = 0; e < P; ++e) {
        const E v = value(j, e);
        out.v[e] = store_as<T>(log_ ? v - to - last : (again ? exp_for<T>(v - to) : v) * last);
      }
      *reinterpret_cast<Pack<T, P>*>(y + row * n + c) = out;
    }
  }
}
template <class T, int P, class Score>
void launch_softmax_held(const void* x, void* y, int64_t rows, int64_t n, bool log, const Score& score) {
  const int group = held_group<T, P>(rows, n), block = std::max(group, 128);
  launch(softmax_held<T, P, Score>, blocks_for(ceil_div(rows * group, block)), block, static_cast<const T*>(x),
         static_cast<T*>(y), rows, n, group, log, score);
}

}  // namespace pynn::cuda
