// split.h -- products of float32 by AMX, which multiplies bfloat16: x = high + middle + low, exactly, of 8 bits each.
//
//   a b ~ ah bl + ah bm + am bm + am bh + al bh + ah bh
//
// Products of bfloat16 are exact in float32. The three that are left out are at most 2^-22 of a b, 2^-26 of it as a
// rule and without a bias, and sums are rounded less often than by a chain of FMAs, so that errors are about theirs,
// mostly less (tests/ops/test_gemm.py). AMX does the six in 6/16 of the time of the FMAs.
//
// Programs may ask for less (core/precision.h): two parts and their three larger products, or one.
//
// AMX knows no subnormal numbers, and infinity has no such parts. So a block of C is computed this way only where the
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

constexpr int64_t kSplitK = 32;             // elements of k in a step
constexpr int64_t kTile = kWords * kWords;  // words
template <int kParts>
constexpr int64_t kSplitStep = 2 * kParts * kTile;  // of 32 rows of A or columns of B: [part][2 tiles]

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

// Words of two elements per lane, the first in its lower half: their high parts, middle ones, low ones. What is left
// over is rounded away.
PYNN_INLINE void split(Vec<float> first, Vec<float> second, Vec<int32_t> (&part)[1]) {
  part[0] = pairs_of(first, second);
}
template <int kParts>
PYNN_INLINE void split(Vec<float> first, Vec<float> second, Vec<int32_t> (&part)[kParts]) {
  const Vec<int32_t> upper(static_cast<int32_t>(0xffff0000)), half(0x8000), lower(0xffff);
  const Vec<int32_t> h0 = (bits(first) + half) & upper, h1 = (bits(second) + half) & upper;
  const Vec<float> r0 = first - from_bits<float>(h0), r1 = second - from_bits<float>(h1);
  part[0] = ((h0 >> 16) & lower) | h1;
  if constexpr (kParts == 2) {
    part[1] = pairs_of(r0, r1);
  } else {
    const Vec<int32_t> m0 = bits(r0) & upper, m1 = bits(r1) & upper;
    const Vec<int32_t> l0 = bits(r0 - from_bits<float>(m0)), l1 = bits(r1 - from_bits<float>(m1));
    part[1] = ((m0 >> 16) & lower) | m1;
    part[2] = ((l0 >> 16) & lower) | (l1 & upper);
  }
}

// x[e] joined with x[e + other], e < n (n1 of the second ones), to a word of each part, `part` from each other.
template <int kParts, bool kFull>
PYNN_INLINE void split_line(const float* x, int64_t other, int64_t n, int64_t n1, int32_t* to, int64_t part,
                            Magnitude& seen) {
  using V = Vec<float>;
  const V x0 = kFull ? V::load(x) : n > 0 ? V::load(x, n) : V(0.0f);
  const V x1 = kFull ? V::load(x + other) : n1 > 0 ? V::load(x + other, n1) : V(0.0f);
  Vec<int32_t> words[kParts];
  seen.see(x0, x1);
  split(x0, x1, words);
#pragma GCC unroll 3
  for (int64_t i = 0; i < kParts; ++i) words[i].store(to + i * part);
}

// x[e * line + l], e < 16, become line l: `lines` lines of n elements are there, else zeros.
inline void turn_lines(const float* x, int64_t line, int64_t lines, int64_t n, float* to) {
  using V = Vec<float>;
  V v[kWords];
  if (lines >= kWords && n >= kWords) {
#pragma GCC unroll 16
    for (int64_t e = 0; e < kWords; ++e) v[e] = V::load(x + e * line);
  } else {
    for (int64_t e = 0; e < kWords; ++e) v[e] = e < lines && n > 0 ? V::load(x + e * line, n) : V(0.0f);
  }
  transpose(v);
#pragma GCC unroll 16
  for (int64_t l = 0; l < kWords; ++l) v[l].store(to + l * kWords);
}

// Full lines of a tile: x[l * line + e] is joined with what lies `other` further.
struct SplitLines {
  const float* x;
  int64_t line, other;
  int32_t* to;
  PYNN_INLINE SplitLines from(int64_t l) const { return {x + l * line, line, other, to + l * kWords}; }
  template <int kParts>
  PYNN_INLINE void split(int64_t l, Magnitude& seen) const {
    split_line<kParts, true>(x + l * line, other, kWords, kWords, to + l * kWords, 2 * kTile, seen);
  }
};

constexpr int64_t kTileRoom = 4 * kTile;

// A step of k of 16 rows of A (kOfA) or columns of B, of which `rows` and `k` elements are there: a tile that is not
// full is split, else its lines are left, in `room` (kTileRoom) if they were turned.
template <int kParts, bool kOfA>
bool begin_tile(const float* x, int64_t r_stride, int64_t k_stride, int64_t rows, int64_t k, int32_t* to, float* room,
                SplitLines& left, Magnitude& seen) {
  constexpr int64_t W = kWords;
  if (r_stride != 1 && k_stride != 1) {
    float* const copy = room + 2 * kTile;
    for (int64_t r = 0; r < min_of(rows, W); ++r)
      for (int64_t i = 0; i < min_of(k, kSplitK); ++i) copy[r * kSplitK + i] = x[r * r_stride + i * k_stride];
    return begin_tile<kParts, kOfA>(copy, kSplitK, 1, rows, k, to, room, left, seen);
  }
  const bool along_k = k_stride == 1;
  const int64_t line = along_k ? r_stride : k_stride, other = W * k_stride;
  const int64_t lines = along_k ? rows : k, lines1 = along_k ? rows : k - W, n = along_k ? k : rows,
                n1 = along_k ? k - W : rows;
  if (kOfA != along_k) {
    turn_lines(x, line, lines, n, room);
    turn_lines(x + other, line, lines1, n1, room + kTile);
    left = {room, W, kTile, to};
    return true;
  }
  left = {x, line, other, to};
  if (rows >= W && k >= kSplitK) return true;
  for (int64_t l = 0; l < W; ++l, x += line, to += W)
    split_line<kParts, false>(x, other, l < lines ? n : 0, l < lines1 ? n1 : 0, to, 2 * kTile, seen);
  return false;
}

// Steps of k, k elements in all, of 32 rows or columns.
template <int kParts, bool kOfA>
void split_steps(const float* x, int64_t r_stride, int64_t k_stride, int64_t rows, int64_t k, int32_t* to,
                 Magnitude& seen) {
  alignas(kAmxLine) float room[kTileRoom];
  SplitLines tile;
  for (; k > 0; k -= kSplitK, x += kSplitK * k_stride, to += kSplitStep<kParts>)
    for (int64_t r = 0; r < 2; ++r)
      if (begin_tile<kParts, kOfA>(x + r * kWords * r_stride, r_stride, k_stride, rows - r * kWords, k, to + r * kTile,
                                   room, tile, seen))
        for (int64_t l = 0; l < kWords; ++l) tile.split<kParts>(l, seen);
}

// f(std::integral_constant<int, parts>{}), as the precision asks.
template <class F>
auto with_parts(int parts, F f) {
  return parts == 3   ? f(std::integral_constant<int, 3>{})
         : parts == 2 ? f(std::integral_constant<int, 2>{})
                      : f(std::integral_constant<int, 1>{});
}

// What storing AMX's registers needs goes to sleep after 850 ns without it, and takes 280 ns to wake up.
PYNN_INLINE void keep_awake() {
  asm volatile("vpxord %%zmm16, %%zmm16, %%zmm16\n\tvfmadd231ps %%zmm16, %%zmm16, %%zmm16" ::: "xmm16");
}

template <int kParts, bool kLower>
constexpr int kPauses = (kLower ? 2 : 1) * kParts * (kParts + 1) / 2;
struct Nothing {
  PYNN_INLINE void operator()(int) const {}
};

// One step of k of a block: two tiles of A (kLower; else one), `a_lower` from each other, by two of B, of kParts parts
// each; strides in bytes. beside(i), i < kPauses, is called after each two products: AMX and the vectors' units work
// side by side where instructions of both are among the few hundred that a core looks at.
template <int kParts, bool kLower, class F = Nothing>
PYNN_INLINE void split_step_products(const char* a, int64_t a_row, int64_t a_lower, int64_t a_part, const char* b,
                                     int64_t b_row, int64_t b_right, int64_t b_part, F beside = {}) {
  using P = AmxProduct<Bf16Pairs>;
  const auto next_a = [&](int64_t part, int pause) __attribute__((always_inline)) {
    PYNN_AMX_LOAD(4, a + part * a_part, a_row);
    P::upper_left();
    P::upper_right();
    beside(pause);
    if constexpr (kLower) {
      PYNN_AMX_LOAD(5, a + part * a_part + a_lower, a_row);
      P::lower_left();
      P::lower_right();
      beside(pause + 1);
    }
  };
  const auto next_b = [&](int64_t part, int pause) __attribute__((always_inline)) {
    PYNN_AMX_LOAD_ONCE(6, b + part * b_part, b_row);
    P::upper_left();
    if constexpr (kLower) {
      P::lower_left();
      beside(pause);
    }
    PYNN_AMX_LOAD_ONCE(7, b + part * b_part + b_right, b_row);
    P::upper_right();
    if constexpr (kLower) P::lower_right();
    beside(pause + kLower);
  };
  PYNN_AMX_LOAD_ONCE(6, b + (kParts - 1) * b_part, b_row);
  PYNN_AMX_LOAD_ONCE(7, b + (kParts - 1) * b_part + b_right, b_row);
  constexpr int each = kLower ? 2 : 1;
  next_a(0, 0);
  if constexpr (kParts == 3)
    next_b(1, each), next_a(1, 2 * each), next_b(0, 3 * each), next_a(2, 4 * each), next_a(0, 5 * each);
  if constexpr (kParts == 2) next_b(0, each), next_a(1, 2 * each);
}
// A step of 32 rows (kLower: else 16) of A by 32 columns of B.
template <int kParts, bool kLower, class F>
PYNN_INLINE void split_step(const int32_t* a, const int32_t* b, F beside) {
  constexpr int64_t tile = 4 * kTile;
  split_step_products<kParts, kLower>(reinterpret_cast<const char*>(a), kAmxLine, tile, 2 * tile,
                                      reinterpret_cast<const char*>(b), kAmxLine, tile, 2 * tile, beside);
}

// sums[32][32] (kLower: else [16][32]) = `steps` calls of step(a, b), which is to do a split_step.
template <int kParts, bool kLower, class F>
PYNN_INLINE void split_block(const int32_t* a, const int32_t* b, int64_t steps, char* sums, int64_t row, F step) {
  begin_sums<kLower>(sums, row, true);
  for (; steps > 0; --steps, a += kSplitStep<kParts>, b += kSplitStep<kParts>) {
    keep_awake();
    step(a, b);
  }
  end_sums<kLower>(sums, row);
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
#endif
