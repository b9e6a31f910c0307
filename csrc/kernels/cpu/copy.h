// copy.h -- memory to memory that it does not overlap, inline: rows are often shorter than a call of memcpy is long.
//
// From 2 KB on, memcpy of glibc 2.36 also uses `rep movsb`, which on Zen 3 takes up to ten times as long when the
// addresses agree in their low 12 bits.
#pragma once
#include <cstdint>

#include "kernels/cpu/vec.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <int kBytes>
struct Block {
  typedef uint8_t type __attribute__((vector_size(kBytes)));
};
// The first and the last kBytes of n, at most twice as many.
template <int kBytes>
PYNN_INLINE void copy_ends(char* to, const char* from, int64_t n) {
  typename Block<kBytes>::type first, last;
  __builtin_memcpy(&first, from, kBytes);
  __builtin_memcpy(&last, from + n - kBytes, kBytes);
  __builtin_memcpy(to, &first, kBytes);
  __builtin_memcpy(to + n - kBytes, &last, kBytes);
}

PYNN_INLINE void copy_bytes(char* to, const char* from, int64_t n) {
  constexpr int V = PYNN_VEC_BYTES;
  if (n < V) {
    if (V > 32 && n >= 32) return copy_ends<32>(to, from, n);
    if (V > 16 && n >= 16) return copy_ends<16>(to, from, n);
    if (n >= 8) return copy_ends<8>(to, from, n);
    if (n >= 4) return copy_ends<4>(to, from, n);
    if (n >= 2) return copy_ends<2>(to, from, n);
    if (n) *to = *from;
    return;
  }
  typename Block<V>::type a, b;
  const int64_t last = n - V;
  int64_t i = 0;
  if (n >= 16 * V) {  // whole lines are then written: a store across two takes as long as two
    __builtin_memcpy(&a, from, V);
    __builtin_memcpy(to, &a, V);
    i = V - static_cast<int64_t>(reinterpret_cast<uintptr_t>(to) % V);
  }
  for (; i + V <= last; i += 2 * V) {
    __builtin_memcpy(&a, from + i, V);
    __builtin_memcpy(&b, from + i + V, V);
    __builtin_memcpy(to + i, &a, V);
    __builtin_memcpy(to + i + V, &b, V);
    asm volatile("");  // or the compiler calls memcpy after all
  }
  if (i < last) {
    __builtin_memcpy(&a, from + i, V);
    __builtin_memcpy(to + i, &a, V);
  }
  if (i < n) {
    __builtin_memcpy(&a, from + last, V);
    __builtin_memcpy(to + last, &a, V);
  }
}

// n times one value.
template <int kBytes, class V>
PYNN_INLINE void fill_ends(char* to, const V& v, int64_t n) {
  __builtin_memcpy(to, &v, kBytes);
  __builtin_memcpy(to + n - kBytes, &v, kBytes);
}
template <class E>
PYNN_INLINE void fill_row(E* dst, E value, int64_t count) {
  constexpr int V = PYNN_VEC_BYTES;
  E lanes[V / sizeof(E)];
  for (E& lane : lanes) lane = value;
  typename Block<V>::type v;
  __builtin_memcpy(&v, lanes, V);
  char* to = reinterpret_cast<char*>(dst);
  const int64_t n = count * static_cast<int64_t>(sizeof(E));
  if (n < V) {
    if (V > 32 && n >= 32) return fill_ends<32>(to, v, n);
    if (V > 16 && n >= 16) return fill_ends<16>(to, v, n);
    if (n >= 8) return fill_ends<8>(to, v, n);
    if (n >= 4) return fill_ends<4>(to, v, n);
    if (n >= 2) return fill_ends<2>(to, v, n);
    if (n) __builtin_memcpy(to, &v, 1);
    return;
  }
  for (int64_t i = 0; i + V <= n; i += V) __builtin_memcpy(to + i, &v, V);
  __builtin_memcpy(to + n - V, &v, V);
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
