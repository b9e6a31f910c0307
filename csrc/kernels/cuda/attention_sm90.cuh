// attention_sm90.cuh -- what the kernels of attention on Hopper share: warpgroups of four warps, 64 rows each, whose
// operands come by TMA into rings of tiles.
#pragma once
#include "kernels/cuda/attention_fused.cuh"
#include "kernels/cuda/wgmma.cuh"

namespace pynn::cuda {

constexpr int kWarpgroup = 4 * kWarp, kAlignment = 1024, kPanelRow = 128;  // threads, bytes, bytes

// Where one is in a ring of S tiles.
template <int S>
struct Turn {
  int slot = 0, parity = 0;
  __device__ void next() {
    if (++slot == S) slot = 0, parity ^= 1;
  }
};

// The block's dynamic shared memory from the first multiple of kAlignment on; kernels ask for as much more.
__device__ inline unsigned char* aligned_shared() {
  unsigned char* p = dynamic_shared<unsigned char>();
  return p + (kAlignment - address_of(p) % kAlignment) % kAlignment;
}

// Rows [row, row + kRows) of a matrix, D columns; `full` is told the bytes, which the caller has announced.
template <int D, int kRows>
__device__ inline void fetch_rows(Address to, const CUtensorMap& map, Address full, int row, int head, int batch) {
#pragma unroll
  for (int p = 0; p < D / 64; ++p) fetch_box(to + p * kRows * kPanelRow, &map, full, p * 64, row, head, batch);
}

// c [64, 8 N] = a b^T, begun: 64 rows of a tile of kRowsA rows, a tile of 8 N rows.
template <class T, int D, int kRowsA, int N>
__device__ inline void begin_rows_by_rows(float (&c)[N][4], Address a, Address b) {
  const uint64_t left = along_rows(a), right = along_rows(b);
  pin(c);
  products_begin();
#pragma unroll
  for (int d = 0; d < D / 16; ++d)
    multiply_warpgroup<T>(c, left + (d / 4 * kRowsA * 8 + d % 4 * 2), right + (d / 4 * N * 64 + d % 4 * 2), d != 0);
  products_begun();
}
// c [64, D] += p b, begun: p [64, 16 K] in registers, a tile of 16 K rows.
template <class T, int D, int K>
__device__ inline void begin_add_product(float (&c)[D / 8][4], const unsigned (&p)[K][4], Address b) {
  const uint64_t right = down_rows(b, K * 16 * kPanelRow);
  pin(c);
  products_begin();
#pragma unroll
  for (int k = 0; k < K; ++k) multiply_warpgroup<T>(c, p[k], right + k * 128);
  products_begun();
}
template <int N>
__device__ inline void zero(float (&c)[N][4]) {
#pragma unroll
  for (int j = 0; j < N; ++j)
#pragma unroll
    for (int e = 0; e < 4; ++e) c[j][e] = 0;
}
// A product's result as another's left operand.
template <class T, int K>
__device__ inline void round_to(unsigned (&p)[K][4], const float (&s)[2 * K][4]) {
#pragma unroll
  for (int k = 0; k < K; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i) p[k][i] = pair_of<T>(s[2 * k + i / 2][i % 2 * 2], s[2 * k + i / 2][i % 2 * 2 + 1]);
}

// c, its rows g times low and g + 8 times high, to rows [first, first + 64) of a matrix of `rows` rows; by way of 64
// rows of a tile of kRows rows that the warpgroup is done with, so that a warp writes whole rows.
template <class T, int D, int kRows>
__device__ inline void write_warpgroup(T* to, int64_t stride, int first, int rows, int size, const float (&c)[D / 8][4],
                                       float low, float high, Address tile) {
  constexpr int kPieces = D / 8, kStep = kWarp / kPieces;
  const int lane = static_cast<int>(threadIdx.x) % kWarp, from = static_cast<int>(threadIdx.x) / kWarp % 4 * 16;
#pragma unroll
  for (int d = 0; d < D / 8; d += 2)
    store_matrices(piece_of(tile + d / 8 * kRows * kPanelRow, from + lane % 16, d % 8 + lane / 16),
                   pair_of<T>(c[d][0] * low, c[d][1] * low), pair_of<T>(c[d][2] * high, c[d][3] * high),
                   pair_of<T>(c[d + 1][0] * low, c[d + 1][1] * low),
                   pair_of<T>(c[d + 1][2] * high, c[d + 1][3] * high));
  __syncwarp();
  const int piece = lane % kPieces;
#pragma unroll
  for (int i = 0; i < 16; i += kStep) {
    const int r = from + i + lane / kPieces;
    if (first + r < rows && piece * 8 < size)
      *reinterpret_cast<uint4*>(to + (first + r) * stride + piece * 8) =
          load_piece(piece_of(tile + piece / 8 * kRows * kPanelRow, r, piece % 8));
  }
}

// Which rows (or keys) of which head a block takes: of `at_once` heads first all those that come first, then the next.
// Under a causal mask blocks differ, and those with the most to do are to begin first, so that all end at once; but
// what the heads at hand read is to stay in the L2 cache.
struct Place {
  int block, head, batch;
};
__device__ inline Place place_of(int blocks, const FusedAttentionArgs& a, int64_t heads, int at_once) {
  const int all = static_cast<int>(a.batch * heads), at = static_cast<int>(blockIdx.x);
  const int group = at / (at_once * blocks), rest = at - group * at_once * blocks;
  const int left = all - group * at_once, here = left < at_once ? left : at_once;
  const int block = rest / here, matrix = group * at_once + rest % here;
  return {block, matrix % static_cast<int>(heads), matrix / static_cast<int>(heads)};
}

// Where one of `groups` + 1 warpgroups, of each of `blocks` blocks, needs few registers: what the others can have.
constexpr int kFewRegisters = 24;
__host__ __device__ constexpr int registers_of(int groups, int blocks) {
  const int all = 65536 / (blocks * kWarpgroup * (groups + 1)) / 8 * 8 * (groups + 1);
  const int each = (all - kFewRegisters) / groups / 8 * 8;
  return each < 240 ? each : 240;
}
__device__ inline void give_registers() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kFewRegisters)); }
template <int N>
__device__ inline void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
}

// ---- host ----

// For place_of: 8 MiB of two operands of `rows` rows.
inline int heads_at_once(const FusedAttentionArgs& a, int64_t rows, int64_t heads) {
  return static_cast<int>(std::clamp<int64_t>((int64_t{8} << 20) / (2 * rows * a.size * 2), 1, a.batch * heads));
}
// Whether 32 bits do.
inline bool countable(const FusedAttentionArgs& a, int64_t blocks) {
  return std::max({blocks, a.rows + 256, a.columns + 256}) <= INT32_MAX;
}

// How TMA reads boxes of `box` rows and 64 columns of an operand; zeros beyond it. False where it cannot.
bool describe(CUtensorMap& map, const FusedAttentionArgs& a, const Operand& o, int64_t heads, int64_t rows, int box);

}  // namespace pynn::cuda
