// attention_backward_sm90.cu -- the gradients of attention_fused_backward.cu, in the same three launches, on Hopper.
//
// In all blocks one warpgroup only fetches. The others hold products in registers and round them to be left operands.
#include "kernels/cuda/attention_sm90.cuh"

namespace pynn::cuda {
namespace {

struct GradientMaps {
  CUtensorMap q, k, v, dout;
};

// R: rows of q at a time. S: tiles of them on their way or in use.
template <class T, int D_>
struct KeyPlan {
  using Type = T;
  static constexpr int D = D_, R = D > 64 ? 32 : 64, S = 3, kKeys = 64, kBlocks = 2, kThreads = 2 * kWarpgroup;
  static constexpr int kHeldBytes = kKeys * D * 2, kTileBytes = R * D * 2, kNumberBytes = 2 * R * 4;
  static constexpr int kTiles = 2 * kHeldBytes, kNumbers = kTiles + 2 * S * kTileBytes;
  static constexpr int kBarriers = kNumbers + S * kNumberBytes, kShared = kBarriers + (1 + 3 * S) * 8 + kAlignment;
};
// G: warpgroups that compute, 64 rows each. N: keys at a time.
template <class T, int D_>
struct RowPlan {
  using Type = T;
  static constexpr int D = D_, G = D > 64 ? 2 : 3, N = 64, S = 3, kRows = G * 64, kThreads = (G + 1) * kWarpgroup;
  static constexpr int kHeldBytes = kRows * D * 2, kTileBytes = N * D * 2, kTiles = 2 * kHeldBytes;
  static constexpr int kBarriers = kTiles + 2 * S * kTileBytes, kShared = kBarriers + (1 + 3 * S) * 8 + kAlignment;
  static constexpr int R = KeyPlan<T, D>::R;
};

// Of each row lse in powers of 2, and delta: [matrices, tiles of R rows, 2, R]. Behind the last row infinity and 0, so
// that p is 0 there. kPieces lanes for a row.
template <class T, int D, int R>
__global__ void row_numbers(FusedAttentionArgs a, float* numbers) {
  constexpr int kPieces = D / 8;
  const int piece = static_cast<int>(threadIdx.x) % kPieces;
  const int64_t padded = (a.rows + R - 1) / R * R, all = a.batch * a.heads * padded;
  const int64_t step = static_cast<int64_t>(gridDim.x) * (blockDim.x / kPieces);
  // All lanes of a warp go round equally often: they meet in shuffles.
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * (blockDim.x / kPieces) + threadIdx.x / kPieces;
       i - threadIdx.x % kWarp / kPieces < all; i += step) {
    const int64_t index = i / padded, row = i - index * padded, batch = index / a.heads, head = index - batch * a.heads;
    const bool inside = i < all && row < a.rows;
    float sum = 0;
    if (inside && piece * 8 < a.size) {
      const int64_t at = piece * 8;
      const auto x = *reinterpret_cast<const Pack<T, 8>*>(matrix<T>(a.out, batch, head) + row * a.out.row + at);
      const auto y = *reinterpret_cast<const Pack<T, 8>*>(matrix<T>(a.dout, batch, head) + row * a.dout.row + at);
#pragma unroll
      for (int e = 0; e < 8; ++e) sum += load(x.v[e]) * load(y.v[e]);
    }
#pragma unroll
    for (int lane = kPieces / 2; lane; lane /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, lane);
    if (piece || i >= all) continue;
    float* to = numbers + (i - row) * 2 + row / R * 2 * R + row % R;
    to[0] = inside ? a.lse[index * a.rows + row] * kLog2E : INFINITY;
    to[R] = sum;
  }
}

// dk and dv of 64 keys. Keys are the rows of s and ds, q's rows their columns.
template <class P>
__global__ void __launch_bounds__(P::kThreads, P::kBlocks)
    key_gradients(const __grid_constant__ GradientMaps maps, const __grid_constant__ FusedAttentionArgs a,
                  const float* numbers, int at_once) {
  using T = typename P::Type;
  constexpr int D = P::D, R = P::R, S = P::S, kKeys = P::kKeys, N = R / 8;
  unsigned char* shared = aligned_shared();
  const Address base = address_of(shared), k_at = base, v_at = base + P::kHeldBytes, held = base + P::kBarriers;
  const auto q_tile = [&](int slot) { return base + P::kTiles + slot * 2 * P::kTileBytes; };
  const auto dout_tile = [&](int slot) { return q_tile(slot) + P::kTileBytes; };
  const auto q_full = [&](int slot) { return held + 8 + slot * 24; };
  const auto dout_full = [&](int slot) { return held + 16 + slot * 24; };
  const auto tile_free = [&](int slot) { return held + 24 + slot * 24; };
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarp;
  const int rows = static_cast<int>(a.rows), columns = static_cast<int>(a.columns), size = static_cast<int>(a.size);
  const auto [block, kv_head, batch] = place_of((columns + kKeys - 1) / kKeys, a, a.kv_heads, at_once);
  const int shares = static_cast<int>(a.heads / a.kv_heads), first = block * kKeys;
  const int tiles = (rows + R - 1) / R, begin = a.causal ? first / R : 0;

  if (thread == 0) {
    barrier_init(held, 1);
    for (int s = 0; s < S; ++s) {
      barrier_init(q_full(s), 1);
      barrier_init(dout_full(s), 1);
      barrier_init(tile_free(s), kWarpgroup);
    }
    barriers_ready();
  }
  __syncthreads();

  Turn<S> turn;
  if (thread >= kWarpgroup) {
    give_registers();
    if (thread != kWarpgroup) return;
    arrive_and_expect(held, 2 * P::kHeldBytes);
    fetch_rows<D, kKeys>(k_at, maps.k, held, first, kv_head, batch);
    fetch_rows<D, kKeys>(v_at, maps.v, held, first, kv_head, batch);
    for (int head = kv_head * shares; head < (kv_head + 1) * shares; ++head)
      for (int i = begin; i < tiles; ++i, turn.next()) {
        const int slot = turn.slot;
        const float* from = numbers + ((batch * a.heads + head) * tiles + i) * 2 * R;
        wait_for(tile_free(slot), turn.parity ^ 1);
        arrive_and_expect(q_full(slot), P::kTileBytes + P::kNumberBytes);
        fetch_rows<D, R>(q_tile(slot), maps.q, q_full(slot), i * R, head, batch);
        fetch_bytes(base + P::kNumbers + slot * P::kNumberBytes, from, P::kNumberBytes, q_full(slot));
        arrive_and_expect(dout_full(slot), P::kTileBytes);
        fetch_rows<D, R>(dout_tile(slot), maps.dout, dout_full(slot), i * R, head, batch);
      }
    return;
  }
  take_registers<registers_of(1, P::kBlocks)>();

  const int key = first + thread / kWarp * 16 + lane / 4;  // this lane's, and key + 8
  const float scale = static_cast<float>(a.scale) * kLog2E;
  float dk[D / 8][4], dv[D / 8][4], s[N][4], dp[N][4];
  unsigned p[N / 2][4], ds[N / 2][4];
  zero(dk);
  zero(dv);
  const int steps = begin < tiles ? shares * (tiles - begin) : 0;
  int i = begin, before = -1;  // tile; slot of the one before, whose products are under way
  wait_for(held, 0);
#pragma unroll 1
  for (int step = 0; step < steps; ++step, turn.next()) {
    const int slot = turn.slot;
    wait_for(q_full(slot), turn.parity);
    begin_rows_by_rows<T, D, kKeys>(s, k_at, q_tile(slot));
    wait_for(dout_full(slot), turn.parity);
    begin_rows_by_rows<T, D, kKeys>(dp, v_at, dout_tile(slot));
    wait_for_products<1>();
    pin(s);
    pin(dk);
    pin(dv);
    if (before >= 0) arrive(tile_free(before));  // each thread, as each has read numbers of that tile
    before = slot;
    const auto number = [&](int j, int which) {  // of this lane's two columns
      return *reinterpret_cast<const float2*>(shared + P::kNumbers + slot * P::kNumberBytes +
                                              (which * R + j * 8 + lane % 4 * 2) * 4);
    };
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const float2 lse = number(j, 0);
#pragma unroll
      for (int e = 0; e < 4; ++e) s[j][e] = exp2_of(s[j][e] * scale - (e % 2 ? lse.y : lse.x));
    }
    if (a.causal && i * R < first + kKeys - 1) {
#pragma unroll
      for (int j = 0; j < N; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          if (i * R + j * 8 + lane % 4 * 2 + e % 2 < key + e / 2 * 8) s[j][e] = 0;
    }
    round_to<T>(p, s);
    begin_add_product<T, D>(dv, p, dout_tile(slot));
    wait_for_products<1>();
    pin(dp);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const float2 delta = number(j, 1);
#pragma unroll
      for (int e = 0; e < 4; ++e) dp[j][e] = s[j][e] * (dp[j][e] - (e % 2 ? delta.y : delta.x));
    }
    round_to<T>(ds, dp);
    begin_add_product<T, D>(dk, ds, q_tile(slot));
    if (++i == tiles) i = begin;
  }
  wait_for_products<0>();
  pin(dk);
  pin(dv);
  meet(1, kWarpgroup);
  const float by = static_cast<float>(a.scale);
  write_warpgroup<T, D, kKeys>(matrix<T>(a.dk, batch, kv_head), a.dk.row, first, columns, size, dk, by, by, k_at);
  write_warpgroup<T, D, kKeys>(matrix<T>(a.dv, batch, kv_head), a.dv.row, first, columns, size, dv, 1, 1, v_at);
}

// dq. Tiles of keys from the last one on, as in the forward.
template <class P>
__global__ void __launch_bounds__(P::kThreads, 1)
    row_gradients(const __grid_constant__ GradientMaps maps, const __grid_constant__ FusedAttentionArgs a,
                  const float* numbers, int at_once) {
  using T = typename P::Type;
  constexpr int D = P::D, G = P::G, N = P::N, S = P::S, R = P::R, kRows = P::kRows;
  const Address base = address_of(aligned_shared()), q_at = base, dout_at = base + P::kHeldBytes;
  const Address held = base + P::kBarriers;
  const auto k_tile = [&](int slot) { return base + P::kTiles + slot * 2 * P::kTileBytes; };
  const auto v_tile = [&](int slot) { return k_tile(slot) + P::kTileBytes; };
  const auto k_full = [&](int slot) { return held + 8 + slot * 24; };
  const auto v_full = [&](int slot) { return held + 16 + slot * 24; };
  const auto tile_free = [&](int slot) { return held + 24 + slot * 24; };
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarp, group = thread / kWarpgroup;
  const int rows = static_cast<int>(a.rows), columns = static_cast<int>(a.columns), size = static_cast<int>(a.size);
  const int blocks = (rows + kRows - 1) / kRows;
  const auto [block, head, batch] = place_of(blocks, a, a.heads, at_once);
  const int first = (a.causal ? blocks - 1 - block : block) * kRows;
  const auto tiles_to = [&](int to) { return ((a.causal && to < columns ? to : columns) + N - 1) / N; };
  const int tiles = tiles_to(first + kRows);

  if (thread == 0) {
    barrier_init(held, 1);
    for (int s = 0; s < S; ++s) {
      barrier_init(k_full(s), 1);
      barrier_init(v_full(s), 1);
      barrier_init(tile_free(s), G * 4);
    }
    barriers_ready();
  }
  __syncthreads();

  Turn<S> turn;
  if (group == G) {
    give_registers();
    if (thread != G * kWarpgroup) return;
    const int kv_head = head / static_cast<int>(a.heads / a.kv_heads);
    arrive_and_expect(held, 2 * P::kHeldBytes);
    fetch_rows<D, kRows>(q_at, maps.q, held, first, head, batch);
    fetch_rows<D, kRows>(dout_at, maps.dout, held, first, head, batch);
    for (int i = tiles - 1; i >= 0; --i, turn.next()) {
      const int slot = turn.slot;
      wait_for(tile_free(slot), turn.parity ^ 1);
      arrive_and_expect(k_full(slot), P::kTileBytes);
      fetch_rows<D, N>(k_tile(slot), maps.k, k_full(slot), i * N, kv_head, batch);
      arrive_and_expect(v_full(slot), P::kTileBytes);
      fetch_rows<D, N>(v_tile(slot), maps.v, v_full(slot), i * N, kv_head, batch);
    }
    return;
  }
  take_registers<registers_of(G, 1)>();

  const Address q_mine = q_at + group * 64 * kPanelRow, dout_mine = dout_at + group * 64 * kPanelRow;
  const int from = first + group * 64, row = from + thread / kWarp % 4 * 16 + lane / 4;  // this lane's, and row + 8
  const int mine = from < rows ? tiles_to(from + 64) : 0;
  const float scale = static_cast<float>(a.scale) * kLog2E;
  const int64_t index = batch * a.heads + head, of_index = (rows + R - 1) / R;
  float lse[2], delta[2], dq[D / 8][4], s[N / 8][4], dp[N / 8][4];
  unsigned ds[N / 16][4];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int r = row + h * 8;
    const float* of = numbers + (index * of_index + r / R) * 2 * R + r % R;
    lse[h] = r < rows ? of[0] : INFINITY;
    delta[h] = r < rows ? of[R] : 0;
  }
  zero(dq);
  int step = 0, before = -1;
  for (; step < tiles - mine; ++step, turn.next()) {  // seen by other warpgroups alone
    wait_for(k_full(turn.slot), turn.parity);
    wait_for(v_full(turn.slot), turn.parity);
    if (lane == 0) arrive(tile_free(turn.slot));
  }
  wait_for(held, 0);
#pragma unroll 1
  for (; step < tiles; ++step, turn.next()) {
    const int slot = turn.slot;
    wait_for(k_full(slot), turn.parity);
    begin_rows_by_rows<T, D, kRows>(s, q_mine, k_tile(slot));
    wait_for(v_full(slot), turn.parity);
    begin_rows_by_rows<T, D, kRows>(dp, dout_mine, v_tile(slot));
    wait_for_products<1>();
    pin(s);
    pin(dq);
#pragma unroll
    for (int j = 0; j < N / 8; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) s[j][e] = exp2_of(s[j][e] * scale - lse[e / 2]);
    if (before < 0 && (mine * N > columns || a.causal)) {
      const int column = (mine - 1) * N + lane % 4 * 2;
#pragma unroll
      for (int j = 0; j < N / 8; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int c = column + j * 8 + e % 2;
          if (c >= columns || (a.causal && c > row + e / 2 * 8)) s[j][e] = 0;
        }
    }
    pin(s);
    // This branch keeps the compiler from waiting for the products before it forms the exponentials.
    if (before >= 0 && lane == 0) arrive(tile_free(before));
    before = slot;
    wait_for_products<0>();
    pin(dp);
#pragma unroll
    for (int j = 0; j < N / 8; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) dp[j][e] = s[j][e] * (dp[j][e] - delta[e / 2]);
    round_to<T>(ds, dp);
    begin_add_product<T, D>(dq, ds, k_tile(slot));
  }
  wait_for_products<0>();
  pin(dq);
  meet(1 + group, kWarpgroup);
  const float by = static_cast<float>(a.scale);
  write_warpgroup<T, D, kRows>(matrix<T>(a.dq, batch, head), a.dq.row, from, rows, size, dq, by, by, q_mine);
}

bool run(const FusedAttentionArgs& a) {
  bool done = false;
  dispatch_sm90(a, [&](auto t, auto d) {
    using T = decltype(t);
    constexpr int D = decltype(d)::value;
    using K = KeyPlan<T, D>;
    using R = RowPlan<T, D>;
    GradientMaps of_keys, of_rows;
    const auto describe_all = [&](GradientMaps& m, int row_box, int key_box) {
      return describe(m.q, a, a.q, a.heads, a.rows, row_box) && describe(m.dout, a, a.dout, a.heads, a.rows, row_box) &&
             describe(m.k, a, a.k, a.kv_heads, a.columns, key_box) &&
             describe(m.v, a, a.v, a.kv_heads, a.columns, key_box);
    };
    const int64_t key_blocks = (a.columns + K::kKeys - 1) / K::kKeys * a.kv_heads * a.batch;
    const int64_t row_blocks = (a.rows + R::kRows - 1) / R::kRows * a.heads * a.batch;
    done = countable(a, key_blocks) && countable(a, row_blocks) && describe_all(of_keys, K::R, K::kKeys) &&
           describe_all(of_rows, R::kRows, R::N);
    if (!done) return;
    const int64_t all = a.batch * a.heads * ((a.rows + K::R - 1) / K::R * K::R);
    const Scratch scratch(static_cast<size_t>(2 * all) * sizeof(float));
    const float* numbers = scratch.as<float>();
    launch(row_numbers<T, D, K::R>, grid_for(all * (D / 8)), kBlock, a, scratch.as<float>());
    launch_shared(key_gradients<K>, static_cast<unsigned>(key_blocks), K::kThreads, static_cast<size_t>(K::kShared),
                  of_keys, a, numbers, heads_at_once(a, a.rows, a.kv_heads));
    launch_shared(row_gradients<R>, static_cast<unsigned>(row_blocks), R::kThreads, static_cast<size_t>(R::kShared),
                  of_rows, a, numbers, heads_at_once(a, a.columns, a.heads));
  });
  return done;
}
[[maybe_unused]] const bool registered = (backward_sm90 = run, true);

}  // namespace
}  // namespace pynn::cuda
