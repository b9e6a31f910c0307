// attention_sm90.cu -- out = softmax(scale q k^T) v by tiles on Hopper: what Shah et al. 2024, arXiv:2407.08608, do.
//
// A warpgroup holds the scores of 64 rows and a tile of keys, and rounds them in its registers to be the left operand
// of the product with v. Tiles come by TMA, the last one first: only that one can hold columns that a row does not see.
#include "kernels/cuda/attention_sm90.cuh"

namespace pynn::cuda {
namespace {

struct AttentionMaps {
  CUtensorMap q, k, v;
};

// G: warpgroups that compute, 64 rows each. N: keys of a tile. S: tiles of keys on their way or in use.
// kAlone: a multiprocessor has one block, with a warpgroup that only fetches, and the next scores are formed while a
// tile's softmax goes on. Else it has two, which do that for each other, and the first thread fetches.
template <class T, int D_>
struct Plan {
  using Type = T;
  static constexpr int D = D_, G = 2, N = 128, S = 2, kRows = G * 64;
  static constexpr bool kAlone = D > 64;
  static constexpr int kBlocks = kAlone ? 1 : 2, kThreads = (G + kAlone) * kWarpgroup;
  static constexpr int kQBytes = kRows * D * 2, kKeyBytes = N * D * 2;
  static constexpr int kBarriers = kQBytes + 2 * S * kKeyBytes, kShared = kBarriers + (1 + 4 * S) * 8 + kAlignment;
};

template <class P>
__global__ void __launch_bounds__(P::kThreads, P::kBlocks)
    attend(const __grid_constant__ AttentionMaps maps, const __grid_constant__ FusedAttentionArgs a, int at_once) {
  using T = typename P::Type;
  constexpr int D = P::D, G = P::G, N = P::N, S = P::S, kRows = P::kRows;
  const Address q_at = address_of(aligned_shared()), k_at = q_at + P::kQBytes, v_at = k_at + S * P::kKeyBytes;
  // Of the tile of a step, each S-th being in the same place.
  const auto k_tile = [&](int step) { return k_at + step % S * P::kKeyBytes; };
  const auto v_tile = [&](int step) { return v_at + step % S * P::kKeyBytes; };
  const Address q_full = q_at + P::kBarriers;
  const auto k_full = [&](int step) { return q_full + 8 + step % S * 32; };
  const auto k_free = [&](int step) { return q_full + 16 + step % S * 32; };
  const auto v_full = [&](int step) { return q_full + 24 + step % S * 32; };
  const auto v_free = [&](int step) { return q_full + 32 + step % S * 32; };
  const auto parity_of = [&](int step) { return step / S % 2; };
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarp, group = thread / kWarpgroup;
  const int rows = static_cast<int>(a.rows), columns = static_cast<int>(a.columns);
  const int blocks = (rows + kRows - 1) / kRows;
  const auto [block, head, batch] = place_of(blocks, a, a.heads, at_once);
  const int first = (a.causal ? blocks - 1 - block : block) * kRows;
  const int kv_head = head / static_cast<int>(a.heads / a.kv_heads);
  // Tiles of keys that rows below `to` see.
  const auto tiles_to = [&](int to) { return ((a.causal && to < columns ? to : columns) + N - 1) / N; };
  const int tiles = tiles_to(first + kRows);

  if (thread == 0) {
    barrier_init(q_full, 1);
    for (int s = 0; s < S; ++s) {
      barrier_init(k_full(s), 1);
      barrier_init(v_full(s), 1);
      barrier_init(k_free(s), G * 4);
      barrier_init(v_free(s), G * 4);
    }
    barriers_ready();
  }
  __syncthreads();

  // By one thread. Step 0 is the last tile.
  const auto fetch_q = [&] {
    arrive_and_expect(q_full, P::kQBytes);
    fetch_rows<D, kRows>(q_at, maps.q, q_full, first, head, batch);
  };
  const auto fetch_k = [&](int step) {
    if (step >= S) wait_for(k_free(step), parity_of(step - S));
    arrive_and_expect(k_full(step), P::kKeyBytes);
    fetch_rows<D, N>(k_tile(step), maps.k, k_full(step), (tiles - 1 - step) * N, kv_head, batch);
  };
  const auto fetch_v = [&](int step) {
    if (step >= S) wait_for(v_free(step), parity_of(step - S));
    arrive_and_expect(v_full(step), P::kKeyBytes);
    fetch_rows<D, N>(v_tile(step), maps.v, v_full(step), (tiles - 1 - step) * N, kv_head, batch);
  };
  if constexpr (P::kAlone) {
    if (group == G) {
      give_registers();
      if (thread != G * kWarpgroup) return;
      fetch_q();
      for (int step = 0; step < tiles; ++step) {
        fetch_k(step);
        fetch_v(step);
      }
      return;
    }
    take_registers<registers_of(G, P::kBlocks)>();
  } else if (thread == 0) {
    fetch_q();
    for (int step = 0; step < S && step < tiles; ++step) {
      fetch_k(step);
      fetch_v(step);
    }
  }

  const int from = first + group * 64, warp = thread / kWarp % 4;
  const int row = from + warp * 16 + lane / 4;  // this lane's, and row + 8
  const int mine = from < rows ? tiles_to(from + 64) : 0;
  const auto wait_k = [&](int step) { wait_for(k_full(step), parity_of(step)); };
  const auto wait_v = [&](int step) { wait_for(v_full(step), parity_of(step)); };
  const auto free_k = [&](int step) {
    if (lane == 0) arrive(k_free(step));
  };
  const auto free_v = [&](int step) {
    if (lane == 0) arrive(v_free(step));
  };
  // The first thread, where it fetches: what comes into the places that this warpgroup has left one step ago. The
  // others will have left them soon.
  const auto refill = [&](int step) {
    if (P::kAlone || thread != 0) return;
    if (step >= 1 && step - 1 + S < tiles) fetch_k(step - 1 + S);
    if (step >= 2 && step - 2 + S < tiles) fetch_v(step - 2 + S);
  };
  int step = 0;
  for (; step < tiles - mine; ++step) {  // seen by other warpgroups alone
    wait_k(step);
    free_k(step);
    wait_v(step);
    free_v(step);
    refill(step);
  }
  if (mine == 0) return;

  const Address q_mine = q_at + group * 64 * kPanelRow;
  const float scale = static_cast<float>(a.scale) * kLog2E;  // powers of 2 below
  float out[D / 8][4], s[N / 8][4], top[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0}, factor[2];
  unsigned p[N / 16][4];
  bool rises;
  zero(out);
  // Of s, in place. A maximum that is passed by little serves on, so that p is at most 2^8, and out seldom changes.
  const auto softmax = [&] {
    rises = false;
#pragma unroll
    for (int h = 0; h < 2; ++h) {  // rows g and g + 8
      float most = top[h];
#pragma unroll
      for (int j = 0; j < N / 8; ++j) most = fmaxf(most, fmaxf(s[j][2 * h], s[j][2 * h + 1]));
      most = row_reduce(most, [](float x, float y) { return fmaxf(x, y); });
      factor[h] = 1;
      if ((most - top[h]) * scale > 8 || top[h] == -INFINITY) {
        factor[h] = exp2_of(top[h] * scale - (most == -INFINITY ? 0 : most * scale));
        top[h] = most;
        rises = true;
      }
      const float to = top[h] == -INFINITY ? 0 : top[h] * scale;
      float part = 0;
#pragma unroll
      for (int j = 0; j < N / 8; ++j)
#pragma unroll
        for (int e = 2 * h; e < 2 * h + 2; ++e) {
          s[j][e] = exp2_of(s[j][e] * scale - to);
          part += s[j][e];
        }
      sum[h] = sum[h] * factor[h] + part;  // of this lane's columns
    }
  };
  const auto rescale = [&] {
    if (!__any_sync(0xffffffffu, rises)) return;
#pragma unroll
    for (int d = 0; d < D / 8; ++d)
#pragma unroll
      for (int e = 0; e < 4; ++e) out[d][e] *= factor[e / 2];
  };

  wait_for(q_full, 0);
  wait_k(step);
  begin_rows_by_rows<T, D, kRows>(s, q_mine, k_tile(step));
  wait_for_products<0>();
  pin(s);
  free_k(step);
  refill(step);
  if (mine * N > columns || a.causal) {
    const int column = (mine - 1) * N + lane % 4 * 2;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int limit = (a.causal && row + h * 8 + 1 < columns ? row + h * 8 + 1 : columns) - column;
#pragma unroll
      for (int j = 0; j < N / 8; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e)
          if (j * 8 + e >= limit) s[j][2 * h + e] = -INFINITY;
    }
  }
  softmax();
  round_to<T>(p, s);
  ++step;
  if (P::kAlone && step < tiles) wait_k(step);
#pragma unroll 1
  for (; step < tiles; ++step) {
    if constexpr (P::kAlone) {
      begin_rows_by_rows<T, D, kRows>(s, q_mine, k_tile(step));
      wait_v(step - 1);
      begin_add_product<T, D>(out, p, v_tile(step - 1));
      wait_for_products<1>();
      pin(s);
      free_k(step);
      softmax();
      pin(s);
      // This branch keeps the compiler from waiting for the products before it forms the exponentials.
      if (step + 1 < tiles) wait_k(step + 1);
      wait_for_products<0>();
      pin(out);
      free_v(step - 1);
    } else {
      wait_v(step - 1);
      begin_add_product<T, D>(out, p, v_tile(step - 1));
      refill(step);
      wait_for_products<0>();
      pin(out);
      free_v(step - 1);
      wait_k(step);
      begin_rows_by_rows<T, D, kRows>(s, q_mine, k_tile(step));
      wait_for_products<0>();
      pin(s);
      free_k(step);
      softmax();
    }
    rescale();
    round_to<T>(p, s);
  }
  wait_v(tiles - 1);
  begin_add_product<T, D>(out, p, v_tile(tiles - 1));
  wait_for_products<0>();
  pin(out);

  float* lse = a.lse + (static_cast<int64_t>(batch) * a.heads + head) * a.rows;
  float by[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const float total = row_reduce(sum[h], [](float x, float y) { return x + y; });
    if (lane % 4 == 0 && row + h * 8 < rows) lse[row + h * 8] = top[h] * static_cast<float>(a.scale) + logf(total);
    by[h] = 1 / total;
  }
  meet(1 + group, kWarpgroup);
  write_warpgroup<T, D, kRows>(matrix<T>(a.out, batch, head), a.out.row, from, rows, static_cast<int>(a.size), out,
                               by[0], by[1], q_mine);
}

bool run(const FusedAttentionArgs& a) {
  bool done = false;
  dispatch_attention(a, [&](auto t, auto d) {
    using P = Plan<decltype(t), decltype(d)::value>;
    AttentionMaps maps;
    const int64_t blocks = (a.rows + P::kRows - 1) / P::kRows * a.heads * a.batch;
    done = countable(a, blocks) && describe(maps.q, a, a.q, a.heads, a.rows, P::kRows) &&
           describe(maps.k, a, a.k, a.kv_heads, a.columns, P::N) &&
           describe(maps.v, a, a.v, a.kv_heads, a.columns, P::N);
    if (done)
      launch_shared(attend<P>, static_cast<unsigned>(blocks), P::kThreads, static_cast<size_t>(P::kShared), maps, a,
                    heads_at_once(a, a.columns, a.heads));
  });
  return done;
}
[[maybe_unused]] const bool registered = (forward_sm90 = run, library_flags.sm90 = true);

// The driver's cuTensorMapEncodeTiled; null where it has none.
using Encode = decltype(&cuTensorMapEncodeTiled);
Encode encoder() {
  static const Encode found = [] {
    void* f = nullptr;
    cudaDriverEntryPointQueryResult result;
    const cudaError_t status =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &f, 12000, cudaEnableDefault, &result);
    return status == cudaSuccess && result == cudaDriverEntryPointSuccess ? reinterpret_cast<Encode>(f) : nullptr;
  }();
  return found;
}

}  // namespace

bool describe(CUtensorMap& map, const FusedAttentionArgs& a, const Operand& o, int64_t heads, int64_t rows, int box) {
  const Encode encode = encoder();
  if (!encode) return false;
  const auto at = [](int64_t n) { return static_cast<cuuint64_t>(n); };
  const cuuint64_t sizes[4] = {at(a.size), at(rows), at(heads), at(a.batch)};
  const cuuint64_t strides[3] = {at(o.row * 2), at(o.head * 2), at(o.batch * 2)};
  const cuuint32_t boxes[4] = {64, static_cast<cuuint32_t>(box), 1, 1}, steps[4] = {1, 1, 1, 1};
  const auto type = a.dtype == DType::BFloat16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
  return encode(&map, type, 4, o.data, sizes, strides, boxes, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
                CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

}  // namespace pynn::cuda
