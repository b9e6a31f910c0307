// split.h -- products of float32 by AMX, which multiplies bfloat16: x = high + middle + low, exactly, of 8 bits each.
//
//   a b ~ ah bl + ah bm + am bm + am bh + al bh + ah bh
//
// Products of bfloat16 are exact in float32. The three that are left out are at most 2^-24 of a b, less than a
// product's own rounding, and sums are rounded less often than by a chain of FMAs: the result is float32's in every
// respect. AMX does the six in 6/16 of the time of the FMAs.
//
// It knows no subnormal numbers, and infinity has no such parts. So a block of C is computed this way only where the
// largest elements of its rows of A and columns of B are of moderate size (Magnitude): products below 2^-126, which get
// lost, are then less than 2^-66 of the largest.
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
  PYNN_INLINE void see(const Magnitude& other) { most_ = larger(most_, other.most_); }
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
  constexpr float kLeast = 0x1p-60f, kMost = 0x1p60f;
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
#pragma GCC unroll 3
  for (int64_t i = 0; i < 3; ++i) words[i].store(to + i * part);
}

// 16 such lines, of the transposed blocks: line l joins x[e * line + l] with those `other` further, e < 16; of which
// `lines` (lines1) lines of n (n1) elements are there.
PYNN_INLINE void split_turned(const float* x, int64_t line, int64_t other, int64_t lines, int64_t n, int64_t lines1,
                              int64_t n1, int32_t* to, int64_t part, Magnitude& seen) {
  using V = Vec<float>;
  alignas(kAmxLine) float first[kTile];
  V v[kWords];
  const auto turn = [&](const float* from, int64_t there, int64_t elements) __attribute__((always_inline)) {
    if (there >= kWords && elements >= kWords) {
#pragma GCC unroll 16
      for (int64_t e = 0; e < kWords; ++e) v[e] = V::load(from + e * line);
    } else {
      for (int64_t e = 0; e < kWords; ++e)
        v[e] = e < there && elements > 0 ? V::load(from + e * line, elements) : V(0.0f);
    }
#pragma GCC unroll 16
    for (int64_t e = 0; e < kWords; e += 2) seen.see(v[e], v[e + 1]);
    transpose(v);
  };
  turn(x, lines, n);
#pragma GCC unroll 16
  for (int64_t l = 0; l < kWords; ++l) v[l].store(first + l * kWords);
  turn(x + other, lines1, n1);
#pragma GCC unroll 16
  for (int64_t l = 0; l < kWords; ++l) {
    Vec<int32_t> words[3];
    split(V::load(first + l * kWords), v[l], words);
    for (int64_t i = 0; i < 3; ++i) words[i].store(to + i * part + l * kWords);
  }
}

// Up to kChunk steps of k, k elements in all, of 32 rows of A (kOfA) or columns of B, of which `rows` are there.
constexpr int64_t kChunk = 2;  // more of them push each other's lines out of L1
template <bool kOfA>
void split_chunk(const float* x, int64_t r_stride, int64_t k_stride, int64_t rows, int64_t k, int32_t* to,
                 Magnitude& seen) {
  constexpr int64_t W = kWords, part = 2 * kTile;
  const int64_t steps = ceil_div(k, kSplitK);
  const bool along_k = k_stride == 1;
  if (kOfA != along_k) {
    for (int64_t t = 0; t < steps; ++t)
      for (int64_t r = 0; r < kAmxSize; r += W) {
        const int64_t n = rows - r, k0 = k - t * kSplitK, k1 = k0 - W;
        const float* const from = x + r * r_stride + t * kSplitK * k_stride;
        int32_t* const tile = to + t * kSplitStep + r / W * kTile;
        along_k ? split_turned(from, r_stride, W, n, k0, n, k1, tile, part, seen)
                : split_turned(from, k_stride, W * k_stride, k0, n, k1, n, tile, part, seen);
      }
  } else if (along_k) {
    for (int64_t r = 0; r < kAmxSize; ++r, x += r_stride) {
      int32_t* line = to + r / W * kTile + r % W * W;
      const int64_t there = r < rows ? k : 0, whole = there / kSplitK;
      int64_t t = 0;
      for (; t < whole; ++t, line += kSplitStep) split_line<true>(x + t * kSplitK, W, W, W, line, part, seen);
      for (; t < steps; ++t, line += kSplitStep)
        split_line<false>(x + t * kSplitK, W, there - t * kSplitK, there - t * kSplitK - W, line, part, seen);
    }
  } else {
    for (int64_t at = 0; at < steps * kSplitK; at += kSplitK, x += W * k_stride)
      for (int64_t l = 0; l < W; ++l, x += k_stride)
        for (int64_t r = 0; r < kAmxSize; r += W) {
          const int64_t n = rows - r;
          int32_t* const line = to + at / kSplitK * kSplitStep + r / W * kTile + l * W;
          if (n >= W && at + l + W < k)
            split_line<true>(x + r, W * k_stride, W, W, line, part, seen);
          else
            split_line<false>(x + r, W * k_stride, at + l < k ? n : 0, at + l + W < k ? n : 0, line, part, seen);
        }
  }
}
template <bool kOfA>
void split_steps(const float* x, int64_t r_stride, int64_t k_stride, int64_t rows, int64_t k, int32_t* to,
                 Magnitude& seen) {
  constexpr int64_t kMost = kChunk * kSplitK;
  float copy[kAmxSize * kMost];
  for (; k > 0; k -= kMost, x += kMost * k_stride, to += kChunk * kSplitStep) {
    const int64_t n = min_of(k, kMost);
    if (r_stride == 1 || k_stride == 1) {
      split_chunk<kOfA>(x, r_stride, k_stride, rows, n, to, seen);
    } else {
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t i = 0; i < n; ++i) copy[r * n + i] = x[r * r_stride + i * k_stride];
      split_chunk<kOfA>(copy, n, 1, rows, n, to, seen);
    }
  }
}

// What storing AMX's registers needs goes to sleep after 850 ns without it, and takes 280 ns to wake up.
PYNN_INLINE void keep_awake(Vec<float>& x) { asm volatile("vfmadd231ps %0, %0, %0" : "+v"(x.v)); }

// One step of k of a block: two tiles of A (kLower; else one), `a_lower` from each other, by two of B, of three parts
// each; strides in bytes.
template <bool kLower>
PYNN_INLINE void split_step_products(const char* a, int64_t a_row, int64_t a_lower, int64_t a_part, const char* b,
                                     int64_t b_row, int64_t b_right, int64_t b_part) {
  using P = AmxProduct<Bf16Pairs>;
  const auto next_a = [&](int64_t part) __attribute__((always_inline)) {
    PYNN_AMX_LOAD(4, a + part * a_part, a_row);
    P::upper_left();
    P::upper_right();
    if constexpr (kLower) {
      PYNN_AMX_LOAD(5, a + part * a_part + a_lower, a_row);
      P::lower_left();
      P::lower_right();
    }
  };
  const auto next_b = [&](int64_t part) __attribute__((always_inline)) {
    PYNN_AMX_LOAD_ONCE(6, b + part * b_part, b_row);
    P::upper_left();
    if constexpr (kLower) P::lower_left();
    PYNN_AMX_LOAD_ONCE(7, b + part * b_part + b_right, b_row);
    P::upper_right();
    if constexpr (kLower) P::lower_right();
  };
  PYNN_AMX_LOAD_ONCE(6, b + 2 * b_part, b_row);
  PYNN_AMX_LOAD_ONCE(7, b + 2 * b_part + b_right, b_row);
  next_a(0), next_b(1), next_a(1), next_b(0), next_a(2), next_a(0);
}

// A step of 32 rows (kLower: else 16) of A by 32 columns of B.
template <bool kLower>
PYNN_INLINE void split_step(const int32_t* a, const int32_t* b) {
  constexpr int64_t tile = 4 * kTile;
  split_step_products<kLower>(reinterpret_cast<const char*>(a), kAmxLine, tile, 2 * tile,
                              reinterpret_cast<const char*>(b), kAmxLine, tile, 2 * tile);
}

// sums[32][32] (kLower: else [16][32]) = `steps` steps. `beside` is called in each of them, while AMX is busy.
template <bool kLower, class F>
PYNN_INLINE void split_block_beside(const int32_t* a, const int32_t* b, int64_t steps, char* sums, int64_t row,
                                    F beside) {
  begin_sums<kLower>(sums, row, true);
  Vec<float> awake(0.0f);
  for (; steps > 0; --steps, a += kSplitStep, b += kSplitStep) {
    keep_awake(awake);
    split_step<kLower>(a, b);
    beside();
  }
  end_sums<kLower>(sums, row);
}

template <bool kLower>
void split_block(const int32_t* a, const int32_t* b, int64_t steps, char* sums, int64_t row) {
  split_block_beside<kLower>(a, b, steps, sums, row, []() __attribute__((always_inline)) {});
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
#endif
