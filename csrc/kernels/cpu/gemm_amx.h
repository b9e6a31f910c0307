// gemm_amx.h -- products of bfloat16 and bytes by AMX: registers of 16 rows of 64 bytes.
//
//   a block of 32 x 32 sums is four registers; each 64 bytes of k bring two of A, two of B, four products
//
// Of A 32 rows lie in L1, a few steps of k at a time; B's slivers of 32 columns stream past them from L2, copied there
// as groups of neighbours along k (gemm_group.h). Sums that go over several such blocks wait in memory meanwhile.
// Subnormal bfloat16 count as 0. The registers' shape is set per region and given back: they are no part of a call.
#pragma once
#include "kernels/cpu/gemm_group.h"

#ifdef PYNN_VEC_DOT

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kAmxSize = 32;        // rows and columns of a block
constexpr int64_t kAmxSteps = 16;       // of k at a time: 32 KiB of A
constexpr int64_t kAmxPanel = 1 << 20;  // bytes of B: half of L2
constexpr int64_t kAmxRows = 1 << 23;   // elements of A that are kept as a copy
constexpr int64_t kAmxLine = 64;

// Written as assembly, like vec_dot.h; compilers do not touch these registers on their own.
struct AmxShape {
  alignas(64) uint8_t palette = 1;
  uint8_t unused[15] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
class AmxRegisters {
 public:
  explicit AmxRegisters(int64_t bytes = kAmxLine) {  // of k in a step
    AmxShape shape;
    shape.bytes[4] = shape.bytes[5] = static_cast<uint16_t>(bytes);
    shape.rows[6] = shape.rows[7] = static_cast<uint8_t>(bytes / 4);
    asm volatile("ldtilecfg %0" ::"m"(shape));
  }
  ~AmxRegisters() { asm volatile("tilerelease"); }
  AmxRegisters(const AmxRegisters&) = delete;
  AmxRegisters& operator=(const AmxRegisters&) = delete;
};

// sums of register 2 h + c += A's register 4 + h times B's register 6 + c
#define PYNN_AMX_PRODUCT(name, h, c) asm volatile(name " %%tmm" #c ", %%tmm" #h ", %%tmm" PYNN_AMX_SUM_##h##c::)
#define PYNN_AMX_SUM_46 "0"
#define PYNN_AMX_SUM_47 "1"
#define PYNN_AMX_SUM_56 "2"
#define PYNN_AMX_SUM_57 "3"
template <class G>
struct AmxProduct;
#define PYNN_AMX_PRODUCTS(G, name)                                          \
  template <>                                                               \
  struct AmxProduct<G> {                                                    \
    PYNN_INLINE static void upper_left() { PYNN_AMX_PRODUCT(name, 4, 6); }  \
    PYNN_INLINE static void upper_right() { PYNN_AMX_PRODUCT(name, 4, 7); } \
    PYNN_INLINE static void lower_left() { PYNN_AMX_PRODUCT(name, 5, 6); }  \
    PYNN_INLINE static void lower_right() { PYNN_AMX_PRODUCT(name, 5, 7); } \
  };
PYNN_AMX_PRODUCTS(Bf16Pairs, "tdpbf16ps")
PYNN_AMX_PRODUCTS(Int8Quads, "tdpbssd")
PYNN_AMX_PRODUCTS(Uint8Quads, "tdpbusd")

#define PYNN_AMX_LOAD(which, p, stride) \
  asm volatile("tileloadd (%0,%1,1), %%tmm" #which::"r"(p), "r"(stride) : "memory")
#define PYNN_AMX_LOAD_ONCE(which, p, stride) /* passes L1 by */ \
  asm volatile("tileloaddt1 (%0,%1,1), %%tmm" #which::"r"(p), "r"(stride) : "memory")
#define PYNN_AMX_STORE(which, p, stride) \
  asm volatile("tilestored %%tmm" #which ", (%0,%1,1)" ::"r"(p), "r"(stride) : "memory")
#define PYNN_AMX_ZERO(which) asm volatile("tilezero %%tmm" #which::)

// Sums [32][32] (kLower: else [16][32]) to registers and back, rows `row` bytes apart; `first`: zeros.
template <bool kLower>
PYNN_INLINE void begin_sums(const char* sums, int64_t row, bool first) {
  const char* const lower = sums + 16 * row;
  if (first) {
    PYNN_AMX_ZERO(0);
    PYNN_AMX_ZERO(1);
    if constexpr (kLower) {
      PYNN_AMX_ZERO(2);
      PYNN_AMX_ZERO(3);
    }
  } else {
    PYNN_AMX_LOAD(0, sums, row);
    PYNN_AMX_LOAD(1, sums + kAmxLine, row);
    if constexpr (kLower) {
      PYNN_AMX_LOAD(2, lower, row);
      PYNN_AMX_LOAD(3, lower + kAmxLine, row);
    }
  }
}
template <bool kLower>
PYNN_INLINE void end_sums(char* sums, int64_t row) {
  char* const lower = sums + 16 * row;
  PYNN_AMX_STORE(0, sums, row);
  PYNN_AMX_STORE(1, sums + kAmxLine, row);
  if constexpr (kLower) {
    PYNN_AMX_STORE(2, lower, row);
    PYNN_AMX_STORE(3, lower + kAmxLine, row);
  }
}

struct AmxBlock {
  const char* a;  // row i at i * a_row, the next step of k a_step further; bytes
  int64_t a_row, a_step;
  const char* b;  // steps next to each other, 16 rows of 32 groups each
  int64_t steps;
  char* sums;  // [32][32]
  bool first;  // else: on top of what is in `sums`
  // What a later block reads of A, brought into L2 meanwhile: with each step `next_lines` lines, next_row from each
  // other.
  const char* next;
  int64_t next_lines, next_row, next_step;
};

template <class G, bool kLower>
void amx_block(const AmxBlock& t) {
  using P = AmxProduct<G>;
  constexpr int64_t row = 4 * kAmxSize;  // bytes
  begin_sums<kLower>(t.sums, row, t.first);
  const char *a = t.a, *b = t.b, *next = t.next;
  for (int64_t left = t.steps; left > 0; --left, a += t.a_step, b += 16 * row, next += t.next_step) {
    for (int64_t l = 0; l < t.next_lines; ++l) __builtin_prefetch(next + l * t.next_row, 0, 2);
    PYNN_AMX_LOAD_ONCE(6, b, row);
    PYNN_AMX_LOAD(4, a, t.a_row);
    P::upper_left();
    PYNN_AMX_LOAD_ONCE(7, b + kAmxLine, row);
    P::upper_right();
    if constexpr (kLower) {
      PYNN_AMX_LOAD(5, a + 16 * t.a_row, t.a_row);
      P::lower_left();
      P::lower_right();
    }
  }
  end_sums<kLower>(t.sums, row);
}

// k elements, 64 bytes at most, of each of 32 rows, of which `rows` are there, as 16 groups.
template <class G>
void amx_step(const typename G::Elem* x, int64_t r_stride, int64_t k_stride, int64_t rows, int64_t k, int32_t* out) {
  pack_groups<G, kAmxSize>(x, r_stride, k_stride, rows, k, out);
  for (int64_t g = ceil_div(k, G::kGroup); g < kWords; ++g)
    for (int64_t r = 0; r < kAmxSize; r += kWords) Vec<int32_t>(0).store(out + g * kAmxSize + r);
}

// 32 rows of A, of which `rows` are there, and `k` elements of each, as steps of [32][64 bytes] with zeros behind.
template <class G>
void amx_rows(const typename G::Elem* a, int64_t a_rs, int64_t a_cs, int64_t rows, int64_t k, int32_t* out) {
  constexpr int64_t W = kWords, K = kAmxLine / static_cast<int64_t>(sizeof(typename G::Elem));
  const int64_t steps = ceil_div(k, K);
  if (a_cs == 1) {
    const int64_t whole = k / K;
    for (int64_t i = 0; i < kAmxSize; ++i) {
      int32_t* const to = out + i * W;
      const auto* const from = a + i * a_rs;
      for (int64_t s = 0; s < (i < rows ? whole : 0); ++s)
        Vec<int32_t>::load(reinterpret_cast<const int32_t*>(from + s * K)).store(to + s * kAmxSize * W);
      for (int64_t s = i < rows ? whole : 0; s < steps; ++s) Vec<int32_t>(0).store(to + s * kAmxSize * W);
      if (i < rows && whole < steps)
        __builtin_memcpy(static_cast<void*>(to + whole * kAmxSize * W), from + whole * K,
                         static_cast<size_t>(k - whole * K) * sizeof *from);
    }
    return;
  }
  const Scratch<int32_t> groups(W * kAmxSize);
  for (int64_t s = 0; s < steps; ++s) {
    amx_step<G>(a + s * K * a_cs, a_rs, a_cs, rows, min_of(K, k - s * K), groups.get());
    for (int64_t r = 0; r < kAmxSize; r += W) {
      Vec<int32_t> v[W];
#pragma GCC unroll 16
      for (int64_t g = 0; g < W; ++g) v[g] = Vec<int32_t>::load(groups.get() + g * kAmxSize + r);
      transpose(v);
#pragma GCC unroll 16
      for (int64_t l = 0; l < W; ++l) v[l].store(out + (s * kAmxSize + r + l) * W);
    }
  }
}

// Sums of 32 x 32 to C. The plain case of bfloat16 is one instruction for two vectors.
template <class G>
void amx_store(const GemmOut<typename G::Out>& out, int64_t i, int64_t j, const typename G::Sum* sums, int64_t rows,
               int64_t cols) {
  using V = Vec<typename G::Sum>;
  const bool plain = out.c_cs == 1 && out.alpha == 1 && out.beta == 0 && !out.bias && !out.relu && cols == kAmxSize;
  if (!plain)
    return store_tile(out, i, j, reinterpret_cast<const V*>(sums), static_cast<int>(rows), kAmxSize / kWords, cols);
  for (int64_t r = 0; r < rows; ++r, sums += kAmxSize) {
    typename G::Out* const c = out.c + (i + r) * out.c_rs + j;
    const V low = V::load(sums), high = V::load(sums + kWords);
    if constexpr (sizeof(typename G::Out) == 2) {
      store_pairs(c, low, high);
    } else {
      low.store(c);
      high.store(c + kWords);
    }
  }
}

// Rows [i0, i1) and columns [j0, j1) of C.
template <class G>
void amx_region(const GroupProduct<G>& p, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
  using Elem = typename G::Elem;
  using Sum = typename G::Sum;
  constexpr int64_t S = kAmxSize, K = kAmxLine / static_cast<int64_t>(sizeof(Elem)), kStep = kAmxLine / 4 * S;  // words
  const int64_t steps = max_of<int64_t>(1, ceil_div(p.k, K)), block = ceil_div(steps, ceil_div(steps, kAmxSteps));
  const int64_t kept = i1 - i0 > S ? steps : block;  // steps of B that further rows ask for again
  const int64_t nc = min_of(round_up(j1 - j0, S), max_of<int64_t>(S, kAmxPanel / (kept * kAmxLine) / S * S));
  // A's copy is kept for the next panel of columns. A is read where it lies where few columns ask for it.
  const bool whole_rows = p.a_cs == 1 && p.k % K == 0, in_place = whole_rows && j1 - j0 <= 2 * S;
  const int64_t strips = in_place ? 1 : nc < j1 - j0 ? ceil_div(i1 - i0, S) : 1, strip = steps * kStep;
  const Scratch<int32_t> packed_b(kept * kStep * (nc / S)), packed_a(strips * strip);
  const Scratch<Sum> sums(S * (steps > block ? nc : S));
  const AmxRegisters registers;
  for (int64_t jc = j0; jc < j1; jc += nc) {
    const int64_t nb = min_of(nc, j1 - jc), slivers = ceil_div(nb, S);
    for (int64_t i = i0; i < i1; i += S) {
      const int64_t rows = min_of(S, i1 - i);
      int32_t* const copy_of_a = packed_a.get() + (strips > 1 ? (i - i0) / S * strip : 0);
      for (int64_t s = 0; s < steps; s += block) {
        const int64_t k = min_of(block * K, p.k - s * K), n = ceil_div(k, K);  // of the block
        const auto columns = [&](int64_t j) { return packed_b.get() + (j / S * kept + s % kept) * kStep; };
        const auto pack = [&](int64_t j, int64_t t) {
          amx_step<G>(p.b + (s + t) * K * p.b_rs + (jc + j) * p.b_cs, p.b_cs, p.b_rs, min_of(S, nb - j),
                      min_of(K, k - t * K), columns(j) + t * kStep);
        };
        if (i == i0 && p.b_rs == 1)
          for (int64_t j = 0; j < nb; j += S)
            for (int64_t t = 0; t < n; ++t) pack(j, t);
        else if (i == i0)  // along B's rows, a few at a time
          for (int64_t t = 0; t < n; ++t)
            for (int64_t j = 0; j < nb; j += S) pack(j, t);

        AmxBlock t{};
        t.steps = n, t.first = s == 0;
        const Elem* const a = p.a + i * p.a_rs + s * K * p.a_cs;
        if (in_place && rows % (S / 2) == 0) {
          t.a = reinterpret_cast<const char*>(a);
          t.a_row = p.a_rs * static_cast<int64_t>(sizeof(Elem)), t.a_step = kAmxLine;
        } else {
          if (jc == j0 || strips == 1) amx_rows<G>(a, p.a_rs, p.a_cs, rows, k, copy_of_a + s * kStep);
          t.a = reinterpret_cast<const char*>(copy_of_a + s * kStep), t.a_row = kAmxLine, t.a_step = S * kAmxLine;
        }
        // The next block of A is brought nearer, a part of each of its steps by each of this block's slivers: 32 lines
        // of a copy, of 32 rows, or of K columns.
        const bool again = jc > j0 && strips > 1, same_rows = s + block < steps;
        const int64_t lines = !same_rows && i + S >= i1 ? 0 : again || p.a_cs == 1 ? S : K;
        const int64_t line = again ? kAmxLine : (p.a_cs == 1 ? p.a_rs : p.a_cs) * static_cast<int64_t>(sizeof(Elem));
        const char* const next =
            again ? t.a + n * kStep * 4
                  : reinterpret_cast<const char*>(same_rows ? a + block * K * p.a_cs : p.a + (i + S) * p.a_rs);
        t.next_row = line, t.next_step = again ? kStep * 4 : p.a_cs * K * static_cast<int64_t>(sizeof(Elem));
        for (int64_t j = 0; j < nb; j += S) {
          const int64_t first = lines * (j / S) / slivers;
          t.next = next + first * line, t.next_lines = lines * (j / S + 1) / slivers - first;
          Sum* const sum = sums.get() + (steps > block ? j * S : 0);
          t.b = reinterpret_cast<const char*>(columns(j)), t.sums = reinterpret_cast<char*>(sum);
          rows > S / 2 ? amx_block<G, true>(t) : amx_block<G, false>(t);
          if (s + block >= steps) amx_store<G>(p.out, i, jc + j, sum, rows, min_of(S, nb - j));
        }
      }
    }
  }
}

// Cycles of copies and stores, roughly.
template <class G>
double amx_cost(const GroupProduct<G>& p) {
  const auto m = static_cast<double>(p.m), n = static_cast<double>(p.n), k = static_cast<double>(p.k);
  return m * k * (p.a_cs == 1 ? 0.06 : 0.3) + n * k * (p.b_rs == 1 ? 0.2 : 0.1) + m * n * (p.out.c_cs == 1 ? 0.1 : 0.5);
}

template <class G>
void gemm_amx(GroupProduct<G> p) {
  if (G::kSwap && (p.n == 1 ? p.m > 1 : amx_cost(transposed(p)) < amx_cost(p))) p = transposed(p);
  if (takes_group_dots(p)) return gemm_groups(p);
  // A step of a block takes about a hundred times as long as a vector's multiply-add.
  for_regions<kAmxSize>(ceil_div(p.m, kAmxSize), p.n, ceil_div(p.k, kWords * G::kGroup) * 100, 0.1, 0.2,
                        [&](int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
                          // Rows at a time whose copy does not fill memory.
                          const int64_t end = min_of(i1 * kAmxSize, p.m);
                          const int64_t rows = max_of<int64_t>(kAmxSize, kAmxRows / (p.k + 1) / kAmxSize * kAmxSize);
                          for (int64_t i = i0 * kAmxSize; i < end; i += rows)
                            amx_region(p, i, min_of(i + rows, end), j0, j1);
                        });
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
#endif
