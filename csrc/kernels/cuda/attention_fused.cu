// attention_fused.cu -- out = softmax(scale q k^T) v by tiles, Dao et al. 2022, arXiv:2205.14135.
//
// A block takes 64 or 128 rows of q, a warp 16 or 32 of them, and goes over tiles of 64 keys, the next of which is
// under way while it computes. The running maximum and sum of a row are held by the four lanes that hold its scores.
#include "kernels/cuda/attention_fused.cuh"

namespace pynn::cuda {
namespace {

constexpr int kKeys = 64;

// M: 16-row tiles of a warp.
template <class T, int D, int M>
__global__ void __launch_bounds__(kAttentionWarps* kWarp) forward(FusedAttentionArgs a) {
  constexpr int kRows = kAttentionWarps * 16 * M, N = kKeys / 8;
  T* shared = dynamic_shared<T>();
  const Tile<T, D> q{shared};
  const auto k_tile = [&](int64_t i) { return Tile<T, D>{shared + kRows * D + (i % 2) * 2 * kKeys * D}; };
  const auto v_tile = [&](int64_t i) { return Tile<T, D>{shared + kRows * D + (i % 2) * 2 * kKeys * D + kKeys * D}; };
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t blocks = (a.rows + kRows - 1) / kRows, size = a.size;
  // The last rows of a causal mask see most: they begin first.
  const int64_t first = (a.causal ? blocks - 1 - blockIdx.x : blockIdx.x) * kRows;
  const int64_t head = blockIdx.y, batch = blockIdx.z, kv_head = head / (a.heads / a.kv_heads);
  const T *k = matrix<T>(a.k, batch, kv_head), *v = matrix<T>(a.v, batch, kv_head);
  const int64_t seen = a.causal && first + kRows < a.columns ? first + kRows : a.columns;
  const int64_t tiles = (seen + kKeys - 1) / kKeys;
  const auto fetch = [&](int64_t i) {
    k_tile(i).fill(k, a.k.row, i * kKeys, kKeys, a.columns, static_cast<int>(size));
    v_tile(i).fill(v, a.v.row, i * kKeys, kKeys, a.columns, static_cast<int>(size));
    copies_begun();
  };
  q.fill(matrix<T>(a.q, batch, head), a.q.row, first, kRows, a.rows, static_cast<int>(size));
  fetch(0);

  const float scale = static_cast<float>(a.scale) * kLog2E;  // powers of 2 below
  float out[M][D / 8][4], top[M][2], sum[M][2];
#pragma unroll
  for (int m = 0; m < M; ++m) {
    top[m][0] = top[m][1] = -INFINITY;
    sum[m][0] = sum[m][1] = 0;
#pragma unroll
    for (int d = 0; d < D / 8; ++d)
#pragma unroll
      for (int e = 0; e < 4; ++e) out[m][d][e] = 0;
  }
  for (int64_t i = 0; i < tiles; ++i) {
    wait_for_copies<0>();
    __syncthreads();  // tile i is there, and all are done with tile i - 1
    if (i + 1 < tiles) fetch(i + 1);
    float s[M][N][4];
    rows_by_rows<T, D, N, M>(s, q, warp * M * 16, k_tile(i), 0);
    if ((i + 1) * kKeys > a.columns || (a.causal && (i + 1) * kKeys > first + warp * M * 16 + 1)) {
      // Relative to this lane's first column: how many columns there are, and how many its row sees.
      const int64_t column = i * kKeys + lane % 4 * 2;
      const int there = static_cast<int>(a.columns - column < kKeys ? a.columns - column : kKeys);
#pragma unroll
      for (int m = 0; m < M; ++m)
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const int64_t seen = first + (warp * M + m) * 16 + lane / 4 + h * 8 - column + 1;
          const int limit = a.causal && seen < there ? static_cast<int>(seen < 0 ? 0 : seen) : there;
#pragma unroll
          for (int j = 0; j < N; ++j)
#pragma unroll
            for (int e = 0; e < 2; ++e)
              if (j * 8 + e >= limit) s[m][j][2 * h + e] = -INFINITY;
        }
    }
#pragma unroll
    for (int m = 0; m < M; ++m) {
      float factor[2];
#pragma unroll
      for (int h = 0; h < 2; ++h) {  // rows g and g + 8
        float most = top[m][h];
#pragma unroll
        for (int j = 0; j < N; ++j) most = fmaxf(most, fmaxf(s[m][j][2 * h], s[m][j][2 * h + 1]));
        most = row_reduce(most, [](float x, float y) { return fmaxf(x, y); });
        const float to = most == -INFINITY ? 0 : most * scale;
        factor[h] = exp2_of(top[m][h] * scale - to);
        top[m][h] = most;
        float part = 0;
#pragma unroll
        for (int j = 0; j < N; ++j)
#pragma unroll
          for (int e = 2 * h; e < 2 * h + 2; ++e) {
            s[m][j][e] = exp2_of(s[m][j][e] * scale - to);
            part += s[m][j][e];
          }
        sum[m][h] = sum[m][h] * factor[h] + part;  // of this lane's columns
      }
#pragma unroll
      for (int d = 0; d < D / 8; ++d)
#pragma unroll
        for (int e = 0; e < 4; ++e) out[m][d][e] *= factor[e / 2];
    }
    add_product<T, D, N, M>(out, s, v_tile(i), 0);
  }
  wait_for_copies<0>();
  T* to = matrix<T>(a.out, batch, head);
  float* lse = a.lse + (batch * a.heads + head) * a.rows;
#pragma unroll
  for (int m = 0; m < M; ++m) {
    const int64_t row = first + (warp * M + m) * 16;
    float total[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      total[h] = row_reduce(sum[m][h], [](float x, float y) { return x + y; });
      const int64_t r = row + lane / 4 + h * 8;
      if (lane % 4 == 0 && r < a.rows) lse[r] = top[m][h] * static_cast<float>(a.scale) + logf(total[h]);
    }
    write_rows<T, D>(to, a.out.row, row, a.rows, static_cast<int>(size), out[m], 1 / total[0], 1 / total[1]);
  }
}

}  // namespace

void fused_attention_forward(const FusedAttentionArgs& a) {
  if (by_sm90(forward_sm90, a)) return;
  dispatch_attention(a, [&](auto t, auto d) {
    using T = decltype(t);
    constexpr int D = decltype(d)::value, M = D == 64 ? 2 : 1, rows = kAttentionWarps * 16 * M;
    launch_shared(forward<T, D, M>,
                  dim3(static_cast<unsigned>((a.rows + rows - 1) / rows), static_cast<unsigned>(a.heads),
                       static_cast<unsigned>(a.batch)),
                  kAttentionWarps * kWarp, static_cast<size_t>(rows + 4 * kKeys) * D * sizeof(T), a);
  });
}
PYNN_CUDA_KERNEL(fused_attention_forward);

}  // namespace pynn::cuda
