// vec_shuffle.h -- transposition of W registers, and their sums over lanes: what several rows at a time need.
#pragma once
#include <utility>

#include "kernels/cpu/vec.h"

namespace PYNN_CPU_NAMESPACE {

// Keeps in a register what a few FMAs share: GCC would read it anew, as an operand in memory, for each of up to three.
template <class T>
PYNN_INLINE void keep(Vec<T>& x) {
#if defined(__GNUC__) && defined(PYNN_ISA_AVX512)
  asm("" : "+v"(x.v));
#endif
}

// Shuffles in the 16-byte parts of a register, and of whole parts: cheap on every ISA.
template <class T>
struct Shuffle {
  static constexpr int W = Vec<T>::kSize;
  static constexpr int L = 16 / sizeof(T);  // elements of a part
  using Native = typename Vec<T>::Native;
  using Lanes = std::make_integer_sequence<int, W>;

  // In each part: {a0, b0, a1, b1} (high = 0) or {a2, b2, a3, b3}.
  static constexpr int zip_index(int i, int high) {
    const int part = i / L * L, e = i % L;
    return part + e / 2 + high * (L / 2) + (e % 2) * W;
  }
  // Parts of a and b in turn, from the lower or upper half of each.
  static constexpr int zip_part_index(int i, int high) {
    const int part = i / L;
    return (part / 2 + high * (W / L / 2)) * L + i % L + (part % 2) * W;
  }
  // In each part: the even (odd) elements of a's part, then those of b's.
  static constexpr int pair_index(int i, int odd) {
    const int part = i / L * L, e = i % L;
    return part + (e % (L / 2)) * 2 + odd + (e / (L / 2)) * W;
  }
  // The even (odd) parts of a, then those of b.
  static constexpr int pair_part_index(int i, int odd) {
    const int part = (i / L) * 2 + odd;  // in a and b joined
    return (part % (W / L)) * L + i % L + (part / (W / L)) * W;
  }

  template <int kHigh, int... I>
  PYNN_INLINE static Vec<T> zip(Vec<T> a, Vec<T> b, std::integer_sequence<int, I...>) {
    return Native(__builtin_shufflevector(a.v, b.v, zip_index(I, kHigh)...));
  }
  template <int kHigh, int... I>
  PYNN_INLINE static Vec<T> zip_part(Vec<T> a, Vec<T> b, std::integer_sequence<int, I...>) {
    return Native(__builtin_shufflevector(a.v, b.v, zip_part_index(I, kHigh)...));
  }
  template <int kOdd, int... I>
  PYNN_INLINE static Vec<T> pair(Vec<T> a, Vec<T> b, std::integer_sequence<int, I...>) {
    return Native(__builtin_shufflevector(a.v, b.v, pair_index(I, kOdd)...));
  }
  template <int kOdd, int... I>
  PYNN_INLINE static Vec<T> pair_part(Vec<T> a, Vec<T> b, std::integer_sequence<int, I...>) {
    return Native(__builtin_shufflevector(a.v, b.v, pair_part_index(I, kOdd)...));
  }
};

// Lanes of a and b in turn, from the lower or upper half of each.
template <int kHigh, class T, int... I>
PYNN_INLINE Vec<T> in_turn(Vec<T> a, Vec<T> b, std::integer_sequence<int, I...>) {
  constexpr int W = Vec<T>::kSize;
  return typename Vec<T>::Native(__builtin_shufflevector(a.v, b.v, (kHigh * W / 2 + I / 2 + I % 2 * W)...));
}
template <int kHigh, class T>
PYNN_INLINE Vec<T> in_turn(Vec<T> a, Vec<T> b) {
  return in_turn<kHigh>(a, b, std::make_integer_sequence<int, Vec<T>::kSize>());
}

// Lanes kOdd, kOdd + 2, ... of a and b joined.
template <int kOdd, class T, int... I>
PYNN_INLINE Vec<T> every_second(Vec<T> a, Vec<T> b, std::integer_sequence<int, I...>) {
  return typename Vec<T>::Native(__builtin_shufflevector(a.v, b.v, (2 * I + kOdd)...));
}
template <int kOdd, class T>
PYNN_INLINE Vec<T> every_second(Vec<T> a, Vec<T> b) {
  return every_second<kOdd>(a, b, std::make_integer_sequence<int, Vec<T>::kSize>());
}

// v[i][j] <-> v[j][i] for W vectors of W lanes.
template <class T>
PYNN_INLINE void transpose(Vec<T>* v) {
  using S = Shuffle<T>;
  constexpr int W = S::W, L = S::L;
  Vec<T> t[W];
  // Each group of L registers is transposed inside its parts by log2(L) perfect shuffles,
#pragma GCC unroll 4
  for (int step = 1; step < L; step *= 2) {
#pragma GCC unroll 16
    for (int g = 0; g < W; g += L)
#pragma GCC unroll 4
      for (int i = 0; i < L / 2; ++i) {
        t[g + 2 * i] = S::template zip<0>(v[g + i], v[g + i + L / 2], typename S::Lanes());
        t[g + 2 * i + 1] = S::template zip<1>(v[g + i], v[g + i + L / 2], typename S::Lanes());
      }
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) v[i] = t[i];
  }
  // then the parts go to their registers, again by perfect shuffles over the W / L groups.
#pragma GCC unroll 4
  for (int step = 1; step < W / L; step *= 2) {
#pragma GCC unroll 16
    for (int g = 0; g < W / 2; ++g) {
      const int group = g / L, e = g % L;
      t[2 * group * L + e] = S::template zip_part<0>(v[g], v[g + W / 2], typename S::Lanes());
      t[(2 * group + 1) * L + e] = S::template zip_part<1>(v[g], v[g + W / 2], typename S::Lanes());
    }
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) v[i] = t[i];
  }
}

// One vector whose lane i is the sum over the lanes of v[i], for W vectors.
template <class T>
PYNN_INLINE Vec<T> reduce_add_each(Vec<T>* v) {
  using S = Shuffle<T>;
  constexpr int W = S::W;
  int n = W;
#pragma GCC unroll 4
  for (int step = 1; step < S::L; step *= 2) {
    n /= 2;
#pragma GCC unroll 16
    for (int i = 0; i < W / 2; ++i)
      if (i < n)
        v[i] = S::template pair<0>(v[2 * i], v[2 * i + 1], typename S::Lanes()) +
               S::template pair<1>(v[2 * i], v[2 * i + 1], typename S::Lanes());
  }
#pragma GCC unroll 4
  for (int step = 1; step < W / S::L; step *= 2) {
    n /= 2;
#pragma GCC unroll 16
    for (int i = 0; i < W / 2; ++i)
      if (i < n)
        v[i] = S::template pair_part<0>(v[2 * i], v[2 * i + 1], typename S::Lanes()) +
               S::template pair_part<1>(v[2 * i], v[2 * i + 1], typename S::Lanes());
  }
  return v[0];
}

}  // namespace PYNN_CPU_NAMESPACE
