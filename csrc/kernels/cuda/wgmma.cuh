// wgmma.cuh -- what sm_90a alone has: products of a warpgroup (four warps) whose operands lie in shared memory, tiles
// that arrive there by themselves (TMA), and the barriers that say so.
//
// A tile in shared memory is panels of 64 columns (128 bytes a row), each at a multiple of 1024 bytes; pieces of 16
// bytes are exchanged: piece p of row r lies at place p ^ (r % 8). TMA writes it so and wgmma reads it so.
#pragma once
#include <cuda.h>

#include "kernels/cuda/launch.cuh"

namespace pynn::cuda {

using Address = unsigned;  // in shared memory

__device__ inline Address address_of(const void* p) { return static_cast<Address>(__cvta_generic_to_shared(p)); }
// Of a piece in a panel of 64 columns.
__device__ inline Address piece_of(Address panel, int row, int piece) {
  return panel + static_cast<Address>(row * 128 + ((piece ^ (row & 7)) << 4));
}

// ---- barriers: a phase ends when `count` have arrived and all bytes that were announced are there ----

__device__ inline void barrier_init(Address b, int count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(b), "r"(count) : "memory");
}
// What was done to barriers and to shared memory is seen by TMA.
__device__ inline void barriers_ready() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
__device__ inline void arrive(Address b) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(b) : "memory");
}
__device__ inline void arrive_and_expect(Address b, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(b), "r"(bytes) : "memory");
}
// Until the phase of this parity has ended.
__device__ inline void wait_for(Address b, int parity) {
  for (;;) {
    int done;
    asm volatile(
        "{\n.reg .pred p;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
        "selp.b32 %0, 1, 0, p;\n}"
        : "=r"(done)
        : "r"(b), "r"(parity)
        : "memory");
    if (done) return;
  }
}

// A box of a tensor of four dims into shared memory; `b` is told its bytes.
__device__ inline void fetch_box(Address to, const CUtensorMap* map, Address b, int x0, int x1, int x2, int x3) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], "
      "[%2];" ::"r"(to),
      "l"(map), "r"(b), "r"(x0), "r"(x1), "r"(x2), "r"(x3)
      : "memory");
}

// `bytes` bytes, both ends at multiples of 16.
__device__ inline void fetch_bytes(Address to, const void* from, int bytes, Address b) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to),
               "l"(from), "r"(bytes), "r"(b)
               : "memory");
}

// ---- products ----

// What lies at a tile's beginning, for a product whose k runs along the tile's rows, or down them, then with the bytes
// from panel to panel. Plus n / 16: what lies n bytes further.
__device__ inline uint64_t along_rows(Address at) { return uint64_t{0x40000040} << 32 | (at >> 4 | 1u << 16); }
__device__ inline uint64_t down_rows(Address at, unsigned panel) {
  return uint64_t{0x40000040} << 32 | (at >> 4 | panel >> 4 << 16);
}

// Registers written before are seen by the products that follow.
__device__ inline void products_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void products_begun() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kOpen>
__device__ inline void wait_for_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kOpen) : "memory");
}
// The compiler does not move what reads or writes these across this place.
template <int N>
__device__ inline void pin(float (&c)[N][4]) {
#pragma unroll
  for (int j = 0; j < N; ++j)
#pragma unroll
    for (int e = 0; e < 4; ++e) asm volatile("" : "+f"(c[j][e])::"memory");
}

#define PYNN_C(j) "+f"(c[j][0]), "+f"(c[j][1]), "+f"(c[j][2]), "+f"(c[j][3])
#define PYNN_C4(j) PYNN_C(j), PYNN_C(j + 1), PYNN_C(j + 2), PYNN_C(j + 3)
#define PYNN_C8(j) PYNN_C4(j), PYNN_C4(j + 4)
#define PYNN_16 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define PYNN_32 PYNN_16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define PYNN_64                                                                                            \
  PYNN_32                                                                                                  \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, " \
  "%52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define PYNN_WGMMA(n, type) "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." type "." type " "

// c [64, 8 N] = a [64, 16] b [16, 8 N], added to c if `adding`; both in shared memory, k along their rows.
#define PYNN_SHARED(n, type, list, a, b, add, ...)                                                                \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #add ", 0;\n" PYNN_WGMMA(n, type) "{" list "}, %" #a ", %" #b \
                                                                                      ", p, 1, 1, 0, 0;\n}"       \
               : __VA_ARGS__                                                                                      \
               : "l"(left), "l"(right), "r"(adding))
template <class T, int N>
__device__ inline void multiply_warpgroup(float (&c)[N][4], uint64_t left, uint64_t right, int adding) {
  constexpr bool bf16 = std::is_same_v<T, BFloat16>;
  static_assert(N == 4 || N == 8 || N == 16);
  if constexpr (N == 4 && bf16)
    PYNN_SHARED(32, "bf16", PYNN_16, 16, 17, 18, PYNN_C4(0));
  else if constexpr (N == 4)
    PYNN_SHARED(32, "f16", PYNN_16, 16, 17, 18, PYNN_C4(0));
  else if constexpr (N == 8 && bf16)
    PYNN_SHARED(64, "bf16", PYNN_32, 32, 33, 34, PYNN_C8(0));
  else if constexpr (N == 8)
    PYNN_SHARED(64, "f16", PYNN_32, 32, 33, 34, PYNN_C8(0));
  else if constexpr (bf16)
    PYNN_SHARED(128, "bf16", PYNN_64, 64, 65, 66, PYNN_C8(0), PYNN_C8(8));
  else
    PYNN_SHARED(128, "f16", PYNN_64, 64, 65, 66, PYNN_C8(0), PYNN_C8(8));
}
// c += a b: a in registers, as mma.cuh has it for each warp's 16 rows; b in shared memory, k down its rows.
#define PYNN_REGISTERS(n, type, list, a0, a1, a2, a3, b, ...)                                                   \
  asm volatile(PYNN_WGMMA(n, type) "{" list "}, {%" #a0 ", %" #a1 ", %" #a2 ", %" #a3 "}, %" #b ", 1, 1, 1, 1;" \
               : __VA_ARGS__                                                                                    \
               : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "l"(right))
template <class T, int N>
__device__ inline void multiply_warpgroup(float (&c)[N][4], const unsigned (&left)[4], uint64_t right) {
  constexpr bool bf16 = std::is_same_v<T, BFloat16>;
  static_assert(N == 8 || N == 16);
  if constexpr (N == 8 && bf16)
    PYNN_REGISTERS(64, "bf16", PYNN_32, 32, 33, 34, 35, 36, PYNN_C8(0));
  else if constexpr (N == 8)
    PYNN_REGISTERS(64, "f16", PYNN_32, 32, 33, 34, 35, 36, PYNN_C8(0));
  else if constexpr (bf16)
    PYNN_REGISTERS(128, "bf16", PYNN_64, 64, 65, 66, 67, 68, PYNN_C8(0), PYNN_C8(8));
  else
    PYNN_REGISTERS(128, "f16", PYNN_64, 64, 65, 66, 67, 68, PYNN_C8(0), PYNN_C8(8));
}

// Four 8 x 8 matrices from the registers of a warp to shared memory; lane l gives the address of row l % 8 of matrix
// l / 8.
__device__ inline void store_matrices(Address row, unsigned r0, unsigned r1, unsigned r2, unsigned r3) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row), "r"(r0), "r"(r1), "r"(r2),
               "r"(r3)
               : "memory");
}

__device__ inline uint4 load_piece(Address at) {
  uint4 v;
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "r"(at)
               : "memory");
  return v;
}

// Until `threads` threads have come to barrier `index` of the block (0 is __syncthreads').
__device__ inline void meet(int index, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(index), "r"(threads) : "memory");
}

}  // namespace pynn::cuda
