// attention_fused.cu -- out = dropout(softmax(scale q k^T + mask)) v by tiles, Dao et al. 2022, arXiv:2205.14135.
//
// A block takes 64 or 128 rows of q, a warp 16 or 32 of them, and goes over tiles of 64 or 32 keys, the next of which
// is under way while it computes. The running maximum and sum of a row are held by the four lanes that hold its scores.
#include "kernels/cuda/attention_fused.cuh"

namespace pynn::cuda {
namespace {

// M: 16-row tiles of a warp.
template <class P, int D, int M, int kKeys, bool kMore>
__global__ void __launch_bounds__(kAttentionWarps* kWarp) forward(FusedAttentionArgs a) {
  using T = Stored<P>;
  constexpr int kRows = kAttentionWarps * 16 * M, N = kKeys / 8;
  T* shared = dynamic_shared<T>();
  const Tile<T, D> q{shared};
  const auto k_tile = [&](int64_t i) { return Tile<T, D>{shared + kRows * D + (i % 2) * 2 * kKeys * D}; };
  const auto v_tile = [&](int64_t i) { return Tile<T, D>{shared + kRows * D + (i % 2) * 2 * kKeys * D + kKeys * D}; };
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
  using Mask = MaskTile<16 * M, kKeys>;
  const Mask mask{reinterpret_cast<float*>(shared + (kRows + 4 * kKeys) * D) + warp * (Mask::kBytes / sizeof(float))};
  const int64_t blocks = (a.rows + kRows - 1) / kRows, size = a.size;
  // The last rows of a causal mask see most: they begin first.
  const int64_t first = (a.causal ? blocks - 1 - blockIdx.x : blockIdx.x) * kRows;
  const int64_t mine = first + warp * M * 16;  // of this warp
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

  // Of what the exponential sees as powers of 2.
  const float scale = kMore ? kLog2E : static_cast<float>(a.scale) * kLog2E;
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
    if (kMore && a.mask.data) mask.template fill<P, false>(a, batch, head, mine, i * kKeys);
    rows_by_rows<P, D, N, M>(s, q, warp * M * 16, k_tile(i), 0);
    if constexpr (kMore) {
      __syncwarp();
#pragma unroll
      for (int m = 0; m < M; ++m) {
#pragma unroll
        for (int j = 0; j < N; ++j)
#pragma unroll
          for (int e = 0; e < 4; ++e) s[m][j][e] *= static_cast<float>(a.scale);
        if (a.mask.data) mask.template add_to<N>(s[m], m * 16);
      }
    }
    if ((i + 1) * kKeys > a.columns || (a.causal && (i + 1) * kKeys > mine + 1)) {
      // Relative to this lane's first column: how many columns there are, and how many its row sees.
      const int64_t column = i * kKeys + lane % 4 * 2;
      const int there = static_cast<int>(a.columns - column < kKeys ? a.columns - column : kKeys);
#pragma unroll
      for (int m = 0; m < M; ++m)
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const int64_t seen = mine + m * 16 + lane / 4 + h * 8 - column + 1;
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
        // (s - most) scale, or as one instruction s scale - to, whose product may overflow where masks are huge
        // numbers.
        const float to = most == -INFINITY ? 0 : kMore ? most : most * scale;
        factor[h] = kMore ? exp2_of((top[m][h] - to) * scale) : exp2_of(top[m][h] * scale - to);
        top[m][h] = most;
        float part = 0;
#pragma unroll
        for (int j = 0; j < N; ++j)
#pragma unroll
          for (int e = 2 * h; e < 2 * h + 2; ++e) {
            s[m][j][e] = kMore ? exp2_of((s[m][j][e] - to) * scale) : exp2_of(s[m][j][e] * scale - to);
            part += s[m][j][e];
          }
        sum[m][h] = sum[m][h] * factor[h] + part;  // of this lane's columns
      }
#pragma unroll
      for (int d = 0; d < D / 8; ++d)
#pragma unroll
        for (int e = 0; e < 4; ++e) out[m][d][e] *= factor[e / 2];
      if constexpr (kMore)
        if (a.drop_below) {
          const unsigned bits = kept<false, N>(a, batch, head, mine + m * 16 + lane / 4, i * kKeys + lane % 4 * 2);
#pragma unroll
          for (int j = 0; j < N; ++j)
#pragma unroll
            for (int e = 0; e < 4; ++e) s[m][j][e] = bits >> (4 * j + e) & 1 ? s[m][j][e] : 0;
        }
    }
    add_product<P, D, N, M>(out, s, v_tile(i), 0);
  }
  wait_for_copies<0>();
  T* to = matrix<T>(a.out, batch, head);
  const int64_t base = (batch * a.heads + head) * a.rows;
#pragma unroll
  for (int m = 0; m < M; ++m) {
    const int64_t row = mine + m * 16;
    float by[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float total = row_reduce(sum[m][h], [](float x, float y) { return x + y; });
      const bool nothing = kMore && total == 0;
      by[h] = nothing ? 0 : 1 / total;
      const int64_t r = row + lane / 4 + h * 8;
      if (lane % 4 == 0 && r < a.rows) {
        if constexpr (kMore) {
          a.lse[2 * (base + r)] = nothing ? 0 : top[m][h];
          a.lse[2 * (base + r) + 1] = by[h];
        } else {
          a.lse[base + r] = top[m][h] * static_cast<float>(a.scale) + logf(total);
        }
      }
      if (kMore) by[h] *= a.kept_scale;
    }
    write_rows<P, D>(to, a.out.row, row, a.rows, static_cast<int>(size), out[m], by[0], by[1]);
  }
}

}  // namespace

void fused_attention_forward(const FusedAttentionArgs& a) {
  if (by_sm90(forward_sm90, a)) return;
  dispatch_attention(a, [&](auto p, auto d, auto more) {
    using P = decltype(p);
    // Measured: fewer keys at a time where floats fill the shared memory, or their parts the registers.
    constexpr int D = decltype(d)::value, M = D == 64 ? 2 : 1, rows = kAttentionWarps * 16 * M;
    constexpr int keys = kOfFloats<P> && (D == 128 || std::is_same_v<P, Float32>) ? 32 : 64;
    launch_shared(forward<P, D, M, keys, decltype(more)::value>,
                  dim3(static_cast<unsigned>((a.rows + rows - 1) / rows), static_cast<unsigned>(a.heads),
                       static_cast<unsigned>(a.batch)),
                  kAttentionWarps * kWarp,
                  static_cast<size_t>(rows + 4 * keys) * D * sizeof(Stored<P>) +
                      (a.mask.data ? kAttentionWarps * MaskTile<16 * M, keys>::kBytes : 0),
                  a);
  });
}
PYNN_CUDA_KERNEL(fused_attention_forward);

}  // namespace pynn::cuda
