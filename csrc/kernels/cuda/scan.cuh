// scan.cuh -- running results along the middle dim of [outer, n, inner], for any associative operation.
//
// An operation Op has a State (trivial, of whole words) and
//
//   State identity()
//   State element(int64_t at, int64_t r)       of element `at` of the memory, position r of its line
//   State combine(const State& before, const State& after)
//   void write(int64_t at, const State&)
//
// Lines are cut into pieces where they are few: one launch for the pieces' totals, one that scans those, one that
// writes. Rows (inner == 1) are scanned by blocks, other lines by threads.
#pragma once
#include "kernels/cuda/reduce.cuh"

namespace pynn::cuda {

constexpr int kScanned = 7;  // elements of a thread in a tile; odd, so that no two lanes meet in a bank

template <class S>
__device__ inline S shuffle_up(S s, int lanes) {
  constexpr int words = sizeof(S) / 4;
  unsigned int w[words];
  memcpy(w, &s, sizeof(S));
#pragma unroll
  for (int i = 0; i < words; ++i) w[i] = __shfl_up_sync(0xffffffffu, w[i], lanes);
  memcpy(&s, w, sizeof(S));
  return s;
}

// What the threads before hold, combined; `total` gets that of all.
template <class Op, class S = typename Op::State>
__device__ S scan_block(const Op& op, S s, S& total) {
  __shared__ S sums[kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  for (int k = 1; k < kWarp; k *= 2) {
    const S before = shuffle_up(s, k);
    if (lane >= k) s = op.combine(before, s);
  }
  __syncthreads();  // `sums` may be in use by a call before
  if (lane == kWarp - 1) sums[warp] = s;
  __syncthreads();
  S before = op.identity();
  total = op.identity();
  for (int w = 0; w < static_cast<int>(blockDim.x) / kWarp; ++w) {
    if (w == warp) before = total;
    total = op.combine(total, sums[w]);
  }
  const S neighbour = shuffle_up(s, 1);
  return lane ? op.combine(before, neighbour) : before;
}

// totals [rows, pieces]: written if only_totals, else the inclusive scan of those along a row.
template <class Op>
__global__ void __launch_bounds__(kBlock) scan_rows(Op op, int64_t rows, int64_t n, int64_t piece, int64_t pieces,
                                                    typename Op::State* totals, bool only_totals) {
  using S = typename Op::State;
  S* tile = dynamic_shared<S>();
  const int threads = static_cast<int>(blockDim.x), t = static_cast<int>(threadIdx.x);
  for (int64_t task = blockIdx.x; task < rows * pieces; task += gridDim.x) {
    const int64_t row = task / pieces, k = task - row * pieces, base = row * n;
    const int64_t end = (k + 1) * piece < n ? (k + 1) * piece : n;
    S carry = k && !only_totals ? totals[task - 1] : op.identity();
    for (int64_t begin = k * piece; begin < end; begin += static_cast<int64_t>(threads) * kScanned) {
#pragma unroll
      for (int j = 0; j < kScanned; ++j) {
        const int64_t r = begin + j * threads + t;
        tile[j * threads + t] = r < end ? op.element(base + r, r) : op.identity();
      }
      __syncthreads();
      S v[kScanned];
#pragma unroll
      for (int j = 0; j < kScanned; ++j) v[j] = tile[t * kScanned + j];
#pragma unroll
      for (int j = 1; j < kScanned; ++j) v[j] = op.combine(v[j - 1], v[j]);
      S total;
      const S before = op.combine(carry, scan_block(op, v[kScanned - 1], total));
      carry = op.combine(carry, total);
      if (!only_totals) {
#pragma unroll
        for (int j = 0; j < kScanned; ++j) tile[t * kScanned + j] = op.combine(before, v[j]);
        __syncthreads();
#pragma unroll
        for (int j = 0; j < kScanned; ++j)
          if (const int64_t r = begin + j * threads + t; r < end) op.write(base + r, tile[j * threads + t]);
      }
      __syncthreads();
    }
    if (only_totals && t == 0) totals[task] = carry;
  }
}

// totals [pieces, lines]
template <class Op>
__global__ void __launch_bounds__(kBlock) scan_lines(Op op, int64_t outer, int64_t n, int64_t inner, int64_t piece,
                                                     int64_t pieces, typename Op::State* totals, bool only_totals) {
  const int64_t lines = outer * inner;
  PYNN_GRID_LOOP(task, lines * pieces) {
    const int64_t k = task / lines, line = task - k * lines, o = line / inner;
    const int64_t base = o * n * inner + (line - o * inner), end = (k + 1) * piece < n ? (k + 1) * piece : n;
    typename Op::State s = k && !only_totals ? totals[task - lines] : op.identity();
#pragma unroll 4
    for (int64_t r = k * piece; r < end; ++r) {
      s = op.combine(s, op.element(base + r * inner, r));
      if (!only_totals) op.write(base + r * inner, s);
    }
    if (only_totals) totals[task] = s;
  }
}

// The same operation over totals that lie in memory.
template <class Op>
struct OfTotals {
  using State = typename Op::State;
  Op op;
  State* totals;
  __device__ State identity() const { return op.identity(); }
  __device__ State element(int64_t at, int64_t) const { return totals[at]; }
  __device__ State combine(const State& a, const State& b) const { return op.combine(a, b); }
  __device__ void write(int64_t at, const State& s) const { totals[at] = s; }
};

template <class Op>
void launch_scan(const Op& op, int64_t outer, int64_t n, int64_t inner) {
  using S = typename Op::State;
  const int64_t sm = multiprocessors(), lines = outer * inner;
  const OfTotals<Op> of_totals{op, nullptr};
  if (inner == 1 && n > kWarp) {
    const auto shared = [](int block) { return static_cast<size_t>(block) * kScanned * sizeof(S); };
    const int block = n <= 64 * kScanned ? 64 : kBlock;
    const int64_t tile = kBlock * kScanned;
    const int64_t wanted = outer >= 2 * sm ? 1 : std::clamp<int64_t>(4 * sm / outer, 1, ceil_div(n, 2 * tile));
    const int64_t piece = ceil_div(ceil_div(n, wanted), tile) * tile, pieces = ceil_div(n, piece);
    const unsigned grid = blocks_for(outer * pieces);
    const Scratch totals(pieces > 1 ? static_cast<size_t>(outer * pieces) * sizeof(S) : 0);
    if (pieces > 1) {
      launch_shared(scan_rows<Op>, grid, block, shared(block), op, outer, n, piece, pieces, totals.as<S>(), true);
      auto next = of_totals;
      next.totals = totals.as<S>();
      launch_shared(scan_rows<OfTotals<Op>>, blocks_for(outer), kBlock, shared(kBlock), next, outer, pieces, pieces,
                    int64_t{1}, static_cast<S*>(nullptr), false);
    }
    return launch_shared(scan_rows<Op>, grid, block, shared(block), op, outer, n, piece, pieces, totals.as<S>(), false);
  }
  const int64_t wanted = std::clamp<int64_t>(sm * 1024 / lines, 1, std::min<int64_t>(512, ceil_div(n, 32)));
  const int64_t piece = ceil_div(n, wanted), pieces = ceil_div(n, piece);
  const Scratch totals(pieces > 1 ? static_cast<size_t>(lines * pieces) * sizeof(S) : 0);
  if (pieces > 1) {
    launch(scan_lines<Op>, grid_for(lines * pieces), kBlock, op, outer, n, inner, piece, pieces, totals.as<S>(), true);
    auto next = of_totals;
    next.totals = totals.as<S>();
    launch(scan_lines<OfTotals<Op>>, grid_for(lines), kBlock, next, int64_t{1}, pieces, lines, pieces, int64_t{1},
           static_cast<S*>(nullptr), false);
  }
  launch(scan_lines<Op>, grid_for(lines * pieces), kBlock, op, outer, n, inner, piece, pieces, totals.as<S>(), false);
}

}  // namespace pynn::cuda
