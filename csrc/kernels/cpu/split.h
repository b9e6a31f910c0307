// split.h -- products of float32 by AMX, which multiplies bfloat16: x = high + middle + low, exactly, of 8 bits each.
//
//   a b ~ ah bl + ah bm + am bm + am bh + al bh + ah bh
//
// Products of bfloat16 are exact in float32. The three that are left out are at most 2^-22 of a b, 2^-26 of it as a
// rule and without a bias, and sums are rounded less often than by a chain of FMAs, so that errors are about theirs,
// mostly less (tests/ops/test_gemm.py). AMX does the six in 6/16 of the time of the FMAs.
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

// A step of k, of which k elements are there, of 16 rows of A (kOfA) or columns of B, of which `rows` are.
template <bool kOfA>
[[gnu::noinline]] void split_tile(const float* x, int64_t r_stride, int64_t k_stride, int64_t rows, int64_t k,
                                  int32_t* to, Magnitude& seen) {
  constexpr int64_t W = kWords, part = 2 * kTile;
  if (r_stride != 1 && k_stride != 1) {
    float copy[kTile * 2];
    for (int64_t r = 0; r < min_of(rows, W); ++r)
      for (int64_t i = 0; i < min_of(k, kSplitK); ++i) copy[r * kSplitK + i] = x[r * r_stride + i * k_stride];
    return split_tile<kOfA>(copy, kSplitK, 1, rows, k, to, seen);
  }
  const bool along_k = k_stride == 1, full = rows >= W && k >= kSplitK;
  const int64_t line = along_k ? r_stride : k_stride, other = W * k_stride;
  const int64_t lines = along_k ? rows : k, lines1 = along_k ? rows : k - W, n = along_k ? k : rows,
                n1 = along_k ? k - W : rows;
  if (kOfA != along_k) return split_turned(x, line, other, lines, n, lines1, n1, to, part, seen);
  for (int64_t l = 0; l < W; ++l, x += line, to += W)
    full ? split_line<true>(x, other, W, W, to, part, seen)
         : split_line<false>(x, other, l < lines ? n : 0, l < lines1 ? n1 : 0, to, part, seen);
}
// Steps of k, k elements in all, of 32 rows or columns.
template <bool kOfA>
void split_steps(const float* x, int64_t r_stride, int64_t k_stride, int64_t rows, int64_t k, int32_t* to,
                 Magnitude& seen) {
  for (; k > 0; k -= kSplitK, x += kSplitK * k_stride, to += kSplitStep)
    for (int64_t r = 0; r < 2; ++r)
      split_tile<kOfA>(x + r * kWords * r_stride, r_stride, k_stride, rows - r * kWords, k, to + r * kTile, seen);
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
