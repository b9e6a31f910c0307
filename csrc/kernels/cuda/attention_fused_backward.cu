// attention_fused_backward.cu -- the gradients of attention by tiles, with p formed again from q, k and lse:
//
//   delta = sum_d dout out;   dv = (z p)^T dout;   ds = p (z dout v^T - delta);   dk = scale ds^T q;   dq = scale ds k
//
// where z is what dropout multiplies by.
//
// One launch for delta, one whose blocks take keys and go over rows of q (dk, dv), one whose blocks take rows and go
// over keys (dq). p is formed twice: then no two blocks add to the same place.
#include "kernels/cuda/attention_fused.cuh"

namespace pynn::cuda {
namespace {

constexpr int kTileRows = kAttentionWarps * 16;

// A warp for a row.
template <class T>
__global__ void row_deltas(FusedAttentionArgs a, float* delta) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t all = a.batch * a.heads * a.rows, step = static_cast<int64_t>(gridDim.x) * (blockDim.x / kWarp);
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * (blockDim.x / kWarp) + threadIdx.x / kWarp; i < all; i += step) {
    const int64_t matrix_index = i / a.rows, row = i - matrix_index * a.rows;
    const int64_t batch = matrix_index / a.heads, head = matrix_index - batch * a.heads;
    const T* out = matrix<T>(a.out, batch, head) + row * a.out.row;
    const T* dout = matrix<T>(a.dout, batch, head) + row * a.dout.row;
    float sum = 0;
    for (int64_t d = lane; d < a.size; d += kWarp) sum += load(out[d]) * load(dout[d]);
    sum = warp_reduce(sum, Plus{});
    if (lane == 0) delta[i] = sum;
  }
}

// What a row's p is formed with: exp2(s scale - top), or, kMore, exp2((s - top) scale) inverse; 0 beyond the last row.
template <bool kMore>
__device__ inline void row_numbers(const FusedAttentionArgs& a, int64_t base, int64_t row, float& top, float& inverse) {
  const bool inside = row < a.rows;
  if constexpr (kMore) {
    top = inside ? a.lse[2 * (base + row)] : INFINITY;
    inverse = inside ? a.lse[2 * (base + row) + 1] : 0;
  } else {
    top = inside ? a.lse[base + row] * kLog2E : INFINITY;
    inverse = 1;
  }
}

// p from scores, in place: row and column of each, and the row's numbers, are given by at(j, e).
template <bool kMore, int N, class At>
__device__ inline void probabilities(float (&s)[N][4], float scale, bool whole, bool causal, int64_t columns, At at) {
#pragma unroll
  for (int j = 0; j < N; ++j)
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      int64_t row, column;
      float top, inverse;
      at(j, e, row, column, top, inverse);
      const bool seen = whole || (column < columns && (!causal || column <= row));
      const float p = kMore ? exp2_of((s[j][e] - top) * scale) * inverse : exp2_of(s[j][e] * scale - top);
      s[j][e] = seen ? p : 0;
    }
}
// Scaled scores with their mask.
template <int N, class Mask>
__device__ inline void finish_scores(float (&s)[N][4], const FusedAttentionArgs& a, const Mask& mask) {
  __syncwarp();
#pragma unroll
  for (int j = 0; j < N; ++j)
#pragma unroll
    for (int e = 0; e < 4; ++e) s[j][e] *= static_cast<float>(a.scale);
  if (a.mask.data) mask.template add_to<N>(s, 0);
}

// dk and dv of 64 keys; R rows of q at a time.
template <class P, int D, int R, bool kMore>
__global__ void __launch_bounds__(kAttentionWarps* kWarp) key_gradients(FusedAttentionArgs a, const float* delta) {
  using T = Stored<P>;
  constexpr int N = R / 8, kKeys = kTileRows;
  T* shared = dynamic_shared<T>();
  const Tile<T, D> k{shared}, v{shared + kKeys * D};
  T* rest = shared + 2 * kKeys * D;
  const auto q_tile = [&](int64_t i) { return Tile<T, D>{rest + (i % 2) * 2 * R * D}; };
  const auto dout_tile = [&](int64_t i) { return Tile<T, D>{rest + (i % 2) * 2 * R * D + R * D}; };
  float* numbers = reinterpret_cast<float*>(rest + 4 * R * D);  // [3, R]: delta, and those of row_numbers
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
  using Mask = MaskTile<16, R>;
  const Mask mask{numbers + 3 * R + warp * (Mask::kBytes / sizeof(float))};
  const int size = static_cast<int>(a.size);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kKeys, kv_head = blockIdx.y, batch = blockIdx.z;
  const int64_t shares = a.heads / a.kv_heads;
  k.fill(matrix<T>(a.k, batch, kv_head), a.k.row, first, kKeys, a.columns, size);
  v.fill(matrix<T>(a.v, batch, kv_head), a.v.row, first, kKeys, a.columns, size);
  float dk[1][D / 8][4], dv[1][D / 8][4];
#pragma unroll
  for (int d = 0; d < D / 8; ++d)
#pragma unroll
    for (int e = 0; e < 4; ++e) dk[0][d][e] = dv[0][d][e] = 0;
  const float scale = kMore ? kLog2E : static_cast<float>(a.scale) * kLog2E;
  const int64_t begin = a.causal ? first / R : 0, tiles = (a.rows + R - 1) / R;
  for (int64_t share = 0; share < shares; ++share) {
    const int64_t head = kv_head * shares + share, base = (batch * a.heads + head) * a.rows;
    const auto fetch = [&](int64_t i) {
      q_tile(i).fill(matrix<T>(a.q, batch, head), a.q.row, i * R, R, a.rows, size);
      dout_tile(i).fill(matrix<T>(a.dout, batch, head), a.dout.row, i * R, R, a.rows, size);
      copies_begun();
    };
    if (begin < tiles) fetch(begin);
    for (int64_t i = begin; i < tiles; ++i) {
      wait_for_copies<0>();
      __syncthreads();
      if (i + 1 < tiles) fetch(i + 1);
      for (int r = static_cast<int>(threadIdx.x); r < R; r += static_cast<int>(blockDim.x)) {
        numbers[r] = i * R + r < a.rows ? delta[base + i * R + r] : 0;
        row_numbers<kMore>(a, base, i * R + r, numbers[R + r], numbers[2 * R + r]);
      }
      __syncthreads();
      // Transposed: this warp's keys are rows of s and ds, q's rows their columns.
      float p[1][N][4], ds[1][N][4];
      if (kMore && a.mask.data) mask.template fill<P, true>(a, batch, head, i * R, first + warp * 16);
      rows_by_rows<P, D, N, 1>(p, k, warp * 16, q_tile(i), 0);
      if constexpr (kMore) finish_scores<N>(p[0], a, mask);
      const bool whole = first + kKeys <= a.columns && (!a.causal || i * R >= first + kKeys - 1);
      probabilities<kMore, N>(p[0], scale, whole, a.causal, a.columns,
                              [&](int j, int e, int64_t& row, int64_t& column, float& top, float& inverse) {
                                const int r = j * 8 + lane % 4 * 2 + e % 2;
                                row = i * R + r;
                                column = first + warp * 16 + lane / 4 + e / 2 * 8;
                                top = numbers[R + r], inverse = numbers[2 * R + r];
                              });
      if constexpr (!kMore) add_product<P, D, N, 1>(dv, p, dout_tile(i), 0);
      rows_by_rows<P, D, N, 1>(ds, v, warp * 16, dout_tile(i), 0);
      unsigned bits = ~0u;
      if (kMore && a.drop_below)
        bits = kept<true, N>(a, batch, head, first + warp * 16 + lane / 4, i * R + lane % 4 * 2);
#pragma unroll
      for (int j = 0; j < N; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const float of_row = numbers[j * 8 + lane % 4 * 2 + e % 2];
          if constexpr (kMore) {
            const bool keep = bits >> (4 * j + e) & 1;
            ds[0][j][e] = p[0][j][e] * ((keep ? ds[0][j][e] * a.kept_scale : 0) - of_row);
            p[0][j][e] = keep ? p[0][j][e] : 0;
          } else {
            ds[0][j][e] = p[0][j][e] * (ds[0][j][e] - of_row);
          }
        }
      if constexpr (kMore) add_product<P, D, N, 1>(dv, p, dout_tile(i), 0);
      add_product<P, D, N, 1>(dk, ds, q_tile(i), 0);
    }
    __syncthreads();  // before the next head's tiles come
  }
  wait_for_copies<0>();
  const float by = static_cast<float>(a.scale), kept_scale = kMore ? a.kept_scale : 1;
  const int64_t row = first + warp * 16;
  write_rows<P, D>(matrix<T>(a.dk, batch, kv_head), a.dk.row, row, a.columns, size, dk[0], by, by);
  write_rows<P, D>(matrix<T>(a.dv, batch, kv_head), a.dv.row, row, a.columns, size, dv[0], kept_scale, kept_scale);
}

// dq of 64 rows; K keys at a time.
template <class P, int D, int K, bool kMore>
__global__ void __launch_bounds__(kAttentionWarps* kWarp) row_gradients(FusedAttentionArgs a, const float* delta) {
  using T = Stored<P>;
  constexpr int N = K / 8;
  T* shared = dynamic_shared<T>();
  const Tile<T, D> q{shared}, dout{shared + kTileRows * D};
  T* rest = shared + 2 * kTileRows * D;
  const auto k_tile = [&](int64_t i) { return Tile<T, D>{rest + (i % 2) * 2 * K * D}; };
  const auto v_tile = [&](int64_t i) { return Tile<T, D>{rest + (i % 2) * 2 * K * D + K * D}; };
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
  using Mask = MaskTile<16, K>;
  const Mask mask{reinterpret_cast<float*>(rest + 4 * K * D) + warp * (Mask::kBytes / sizeof(float))};
  const int size = static_cast<int>(a.size);
  const int64_t blocks = (a.rows + kTileRows - 1) / kTileRows;
  const int64_t first = (a.causal ? blocks - 1 - blockIdx.x : blockIdx.x) * kTileRows;
  const int64_t head = blockIdx.y, batch = blockIdx.z, kv_head = head / (a.heads / a.kv_heads);
  const int64_t seen = a.causal && first + kTileRows < a.columns ? first + kTileRows : a.columns;
  const int64_t tiles = (seen + K - 1) / K;
  const auto fetch = [&](int64_t i) {
    k_tile(i).fill(matrix<T>(a.k, batch, kv_head), a.k.row, i * K, K, a.columns, size);
    v_tile(i).fill(matrix<T>(a.v, batch, kv_head), a.v.row, i * K, K, a.columns, size);
    copies_begun();
  };
  q.fill(matrix<T>(a.q, batch, head), a.q.row, first, kTileRows, a.rows, size);
  dout.fill(matrix<T>(a.dout, batch, head), a.dout.row, first, kTileRows, a.rows, size);
  fetch(0);
  const float scale = kMore ? kLog2E : static_cast<float>(a.scale) * kLog2E;
  const int64_t base = (batch * a.heads + head) * a.rows, row = first + warp * 16, mine = row + lane / 4;
  float top[2], inverse[2], d_row[2], dq[1][D / 8][4];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    row_numbers<kMore>(a, base, mine + h * 8, top[h], inverse[h]);
    d_row[h] = mine + h * 8 < a.rows ? delta[base + mine + h * 8] : 0;
  }
#pragma unroll
  for (int d = 0; d < D / 8; ++d)
#pragma unroll
    for (int e = 0; e < 4; ++e) dq[0][d][e] = 0;
  for (int64_t i = 0; i < tiles; ++i) {
    wait_for_copies<0>();
    __syncthreads();
    if (i + 1 < tiles) fetch(i + 1);
    float p[1][N][4], ds[1][N][4];
    if (kMore && a.mask.data) mask.template fill<P, false>(a, batch, head, row, i * K);
    rows_by_rows<P, D, N, 1>(p, q, warp * 16, k_tile(i), 0);
    if constexpr (kMore) finish_scores<N>(p[0], a, mask);
    const int64_t theirs = i * K + lane % 4 * 2;
    const bool whole = (i + 1) * K <= a.columns && (!a.causal || (i + 1) * K <= row + 1);
    probabilities<kMore, N>(p[0], scale, whole, a.causal, a.columns,
                            [&](int j, int e, int64_t& r, int64_t& column, float& t, float& inv) {
                              r = mine + e / 2 * 8;
                              column = theirs + j * 8 + e % 2;
                              t = top[e / 2], inv = inverse[e / 2];
                            });
    rows_by_rows<P, D, N, 1>(ds, dout, warp * 16, v_tile(i), 0);
    unsigned bits = ~0u;
    if (kMore && a.drop_below) bits = kept<false, N>(a, batch, head, mine, theirs);
#pragma unroll
    for (int j = 0; j < N; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        if constexpr (kMore) ds[0][j][e] = bits >> (4 * j + e) & 1 ? ds[0][j][e] * a.kept_scale : 0;
        ds[0][j][e] = p[0][j][e] * (ds[0][j][e] - d_row[e / 2]);
      }
    add_product<P, D, N, 1>(dq, ds, k_tile(i), 0);
  }
  wait_for_copies<0>();
  const float by = static_cast<float>(a.scale);
  write_rows<P, D>(matrix<T>(a.dq, batch, head), a.dq.row, row, a.rows, size, dq[0], by, by);
}

// A warp for 16 by 16 of the scores, as the tiles have them.
__global__ void __launch_bounds__(kBlock) dropout_factors(FusedAttentionArgs a, float* to) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t high = (a.rows + 15) / 16, wide = (a.columns + 15) / 16, all = a.batch * a.heads * high * wide;
  const int64_t step = static_cast<int64_t>(gridDim.x) * (blockDim.x / kWarp);
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * (blockDim.x / kWarp) + threadIdx.x / kWarp; i < all; i += step) {
    const int64_t matrix = i / (high * wide), tile = i - matrix * high * wide;
    const int64_t row = tile / wide * 16 + lane / 4, column = tile % wide * 16 + lane % 4 * 2;
    const unsigned bits = kept<false, 2>(a, matrix / a.heads, matrix % a.heads, row, column);
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      const int64_t r = row + e / 2 % 2 * 8, c = column + e / 4 * 8 + e % 2;
      if (r < a.rows && c < a.columns) to[(matrix * a.rows + r) * a.columns + c] = bits >> e & 1 ? a.kept_scale : 0;
    }
  }
}

}  // namespace

void fused_attention_dropout(const FusedAttentionArgs& a, float* to) {
  launch(dropout_factors, grid_for(a.counters() / 64 * kWarp), kBlock, a, to);
}
PYNN_CUDA_KERNEL(fused_attention_dropout);

void fused_attention_backward(const FusedAttentionArgs& a) {
  if (by_sm90(backward_sm90, a)) return;
  const Scratch delta(static_cast<size_t>(a.batch * a.heads * a.rows) * sizeof(float));
  dispatch_attention(a, [&](auto p, auto d, auto more) {
    using P = decltype(p);
    using T = Stored<P>;
    constexpr bool kMore = decltype(more)::value;
    // Rows and keys at a time, as measured.
    constexpr int D = decltype(d)::value, small = std::is_same_v<P, Float32> ? 32 : 64;
    constexpr int R = D == 64 ? small : kOfFloats<P> ? 16 : 32, K = D == 64 ? small : kOfFloats<P> ? 16 : 64;
    const float* deltas = delta.as<float>();
    const auto blocks = [](int64_t n) { return static_cast<unsigned>((n + kTileRows - 1) / kTileRows); };
    const unsigned batch = static_cast<unsigned>(a.batch);
    launch(row_deltas<T>, grid_for(a.batch * a.heads * a.rows * kWarp), kBlock, a, delta.as<float>());
    launch_shared(key_gradients<P, D, R, kMore>, dim3(blocks(a.columns), static_cast<unsigned>(a.kv_heads), batch),
                  kAttentionWarps * kWarp,
                  static_cast<size_t>(2 * kTileRows + 4 * R) * D * sizeof(T) + 3 * R * sizeof(float) +
                      (a.mask.data ? kAttentionWarps * MaskTile<16, R>::kBytes : 0),
                  a, deltas);
    launch_shared(row_gradients<P, D, K, kMore>, dim3(blocks(a.rows), static_cast<unsigned>(a.heads), batch),
                  kAttentionWarps * kWarp,
                  static_cast<size_t>(2 * kTileRows + 4 * K) * D * sizeof(T) +
                      (a.mask.data ? kAttentionWarps * MaskTile<16, K>::kBytes : 0),
                  a, deltas);
  });
}
PYNN_CUDA_KERNEL(fused_attention_backward);

}  // namespace pynn::cuda
