// split.h -- products of float32 by AMX, which multiplies bfloat16: x = high + middle + low, exactly, of 8 bits each.
//
//   a b ~ ah bl + ah bm + am bm + am bh + al bh + ah bh
//
// Products of bfloat16 are exact in float32. The three that are left out are at most 2^-24 of a b, less than a
// product's own rounding, and sums are rounded less often than by a chain of FMAs: the result is float32's in every
// respect. AMX does the six in 6/16 of the time of the FMAs.
//
// It knows no subnormal numbers, and infinity has no such parts. So a block of C is computed this way only where the
// largest elements of its rows of A and columns of B are of moderate size (Magnitude).
//
// A tile is 16 lines of 16 words, and a word two elements 16 apart; a step of k, 32 elements, is one tile per part:
//   of A   a line for each row:              word l of line r:   A[r, l], A[r, l + 16]
//   of B   a line for each two rows of it:   word j of line l:   B[l, j], B[l + 16, j]
#pragma once
#include "kernels/cpu/gemm_amx.h"

#ifdef PYNN_VEC_DOT

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kSplitK = 32;                // elements of k in a step
constexpr int64_t kTile = kWords * kWords;     // words
constexpr int64_t kSplitStep = 2 * 3 * kTile;  // of 32 rows of A or columns of B: [part][2 tiles]

// The largest absolute value that was seen. NaN does not count: a part of it is NaN, and so are its products.
class Magnitude {
 public:
  PYNN_INLINE void see(Vec<float> x, Vec<float> y) { most_ = larger(most_, larger(x, y)); }
  PYNN_INLINE float most() const { return reduce_max(most_); }

 private:
  PYNN_INLINE static Vec<float> larger(Vec<float> x, Vec<float> y) {  // |x| or |y|
    asm("vrangeps $11, %1, %0, %0" : "+v"(x.v) : "v"(y.v));
    return x;
  }

  Vec<float> most_ = Vec<float>(0.0f);
};

// Whether sums of products are accurate, of operands whose largest elements these are.
PYNN_INLINE bool splits(float a, float b) {
  constexpr float kLeast = 0x1p-80f, kMost = 0x1p80f;
  const auto moderate = [](float x) { return x >= kLeast && x <= kMost; };
  if (a == 0 || b == 0) return a <= kMost && b <= kMost;
  return moderate(a) && moderate(b) && moderate(a * b);
}

// Three words per lane of two elements, the first in its lower half.
PYNN_INLINE void split(Vec<float> first, Vec<float> second, Vec<int32_t> (&part)[3]) {
  const Vec<int32_t> upper(static_cast<int32_t>(0xffff0000)), half(0x8000);
  const Vec<int32_t> h0 = (bits(first) + half) & upper, h1 = (bits(second) + half) & upper;
  const Vec<float> r0 = first - from_bits<float>(h0), r1 = second - from_bits<float>(h1);
  const Vec<int32_t> m0 = bits(r0) & upper, m1 = bits(r1) & upper;
  const Vec<int32_t> l0 = bits(r0 - from_bits<float>(m0)), l1 = bits(r1 - from_bits<float>(m1));
  const Vec<int32_t> lower(0xffff);
  part[0] = ((h0 >> 16) & lower) | h1;
  part[1] = ((m0 >> 16) & lower) | m1;
  part[2] = ((l0 >> 16) & lower) | (l1 & upper);
}

PYNN_INLINE void transpose_tile(int32_t* tile) {
  Vec<int32_t> v[kWords];
#pragma GCC unroll 16
  for (int64_t l = 0; l < kWords; ++l) v[l] = Vec<int32_t>::load(tile + l * kWords);
  transpose(v);
#pragma GCC unroll 16
  for (int64_t l = 0; l < kWords; ++l) v[l].store(tile + l * kWords);
}

// Lines l < 16 of tiles `part` words from each other: x[l * line + e] joined with those `other` further, e < n (n1 of
// the second ones), l < lines (lines1).
template <bool kFull>
PYNN_INLINE void split_line(const float* x, int64_t other, int64_t n, int64_t n1, int32_t* to, int64_t part,
                            Magnitude& seen) {
  using V = Vec<float>;
  const V x0 = kFull ? V::load(x) : n > 0 ? V::load(x, n) : V(0.0f);
  const V x1 = kFull ? V::load(x + other) : n1 > 0 ? V::load(x + other, n1) : V(0.0f);
  Vec<int32_t> words[3];
  seen.see(x0, x1);
  split(x0, x1, words);
  for (int64_t i = 0; i < 3; ++i) words[i].store(to + i * part);
}

// Steps of k, k elements in all, of 32 rows of A (kOfA) or columns of B, of which `rows` are there.
template <bool kOfA>
void split_few_steps(const float* x, int64_t r_stride, int64_t k_stride, int64_t rows, int64_t k, int32_t* to,
                     Magnitude& seen) {
  constexpr int64_t W = kWords, part = 2 * kTile;
  const int64_t steps = ceil_div(k, kSplitK), whole = k / kSplitK;
  if (k_stride == 1) {
    for (int64_t r = 0; r < kAmxSize; ++r, x += r_stride) {
      int32_t* line = to + r / W * kTile + r % W * W;
      const int64_t there = r < rows ? k : 0;
      int64_t t = 0;
      for (; t < (r < rows ? whole : 0); ++t, line += kSplitStep)
        split_line<true>(x + t * kSplitK, W, W, W, line, part, seen);
      for (; t < steps; ++t, line += kSplitStep)
        split_line<false>(x + t * kSplitK, W, min_of(W, there - t * kSplitK), min_of(W, there - t * kSplitK - W), line,
                          part, seen);
    }
  } else {
    for (int64_t t = 0; t < steps; ++t)
      for (int64_t l = 0; l < W; ++l) {
        const int64_t at = t * kSplitK + l;
        const float* const from = x + at * k_stride;
        int32_t* const line = to + t * kSplitStep + l * W;
        for (int64_t r = 0; r < kAmxSize; r += W) {
          if (rows >= r + W && at + W < k)
            split_line<true>(from + r, W * k_stride, W, W, line + r / W * kTile, part, seen);
          else
            split_line<false>(from + r, W * k_stride, at < k ? min_of(W, rows - r) : 0,
                              at + W < k ? min_of(W, rows - r) : 0, line + r / W * kTile, part, seen);
        }
      }
  }
  if (kOfA != (k_stride == 1))
    for (int64_t tile = 0; tile < 6 * steps; ++tile) transpose_tile(to + tile * kTile);
}

template <bool kOfA>
void split_steps(const float* x, int64_t r_stride, int64_t k_stride, int64_t rows, int64_t k, int32_t* to,
                 Magnitude& seen) {
  if (r_stride != 1 && k_stride != 1) {
    const Scratch<float> copy(kAmxSize * k);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < k; ++i) copy[r * k + i] = x[r * r_stride + i * k_stride];
    return split_steps<kOfA>(copy.get(), k, 1, rows, k, to, seen);
  }
  constexpr int64_t kFew = 2 * kSplitK;  // what is written stays in L1
  for (int64_t i = 0; i < k; i += kFew, to += 2 * kSplitStep)
    split_few_steps<kOfA>(x + i * k_stride, r_stride, k_stride, rows, min_of(kFew, k - i), to, seen);
}

// What storing AMX's registers needs goes to sleep after 850 ns without it, and takes 280 ns to wake up.
PYNN_INLINE void keep_awake(Vec<float>& x) { asm volatile("vfmadd231ps %0, %0, %0" : "+v"(x.v)); }

#define PYNN_SPLIT_LOAD_ONCE(which, p) \
  asm volatile("tileloadd (%0,%1,1), %%tmm" #which::"r"(p), "r"(kAmxLine) : "memory")
#define PYNN_SPLIT_LOAD(which, p) asm volatile("tileloadd (%0,%1,1), %%tmm" #which::"r"(p), "r"(kAmxLine) : "memory")

// sums[32][32] (kLower: else [16][32]) of registers, `row` bytes from row to row.
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

// A step of 32 (16) rows of A by 32 columns of B.
template <bool kLower>
PYNN_INLINE void split_step(const int32_t* a, const int32_t* b) {
  using P = AmxProduct<Bf16Pairs>;
  constexpr int64_t middle = 2 * kTile, low = 4 * kTile;
  const auto next_a = [&](const int32_t* p) __attribute__((always_inline)) {
    PYNN_SPLIT_LOAD(4, p);
    P::upper_left();
    P::upper_right();
    if constexpr (kLower) {
      PYNN_SPLIT_LOAD(5, p + kTile);
      P::lower_left();
      P::lower_right();
    }
  };
  const auto next_b = [&](const int32_t* p) __attribute__((always_inline)) {
    PYNN_SPLIT_LOAD_ONCE(6, p);
    P::upper_left();
    if constexpr (kLower) P::lower_left();
    PYNN_SPLIT_LOAD_ONCE(7, p + kTile);
    P::upper_right();
    if constexpr (kLower) P::lower_right();
  };
  PYNN_SPLIT_LOAD_ONCE(6, b + low);
  PYNN_SPLIT_LOAD_ONCE(7, b + low + kTile);
  next_a(a), next_b(b + middle), next_a(a + middle), next_b(b), next_a(a + low), next_a(a);
}

// sums (+)= `steps` steps.
template <bool kLower>
void split_block(const int32_t* a, const int32_t* b, int64_t steps, char* sums, int64_t row, bool first) {
  begin_sums<kLower>(sums, row, first);
  Vec<float> awake(0.0f);
  for (; steps > 0; --steps, a += kSplitStep, b += kSplitStep) {
    keep_awake(awake);
    split_step<kLower>(a, b);
  }
  end_sums<kLower>(sums, row);
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
#endif
