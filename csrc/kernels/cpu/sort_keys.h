// sort_keys.h -- integer keys in whose order elements sort: -0 as +0, NaN largest; and the order of many short lines.
#pragma once
#include "kernels/cpu/elements.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class S>
using KeyOf = std::conditional_t<sizeof(S) == 8, int64_t, int32_t>;
template <class Key>
constexpr Key kMaxKey = sizeof(Key) == 8 ? static_cast<Key>(INT64_MAX) : static_cast<Key>(INT32_MAX);  // also NaN's
template <class Key>
constexpr Key kMinKey = -kMaxKey<Key> - 1;

template <class T>
PYNN_INLINE Vec<typename Vec<T>::Int> keys_of(Vec<T> x) {
  using Key = typename Vec<T>::Int;
  using K = Vec<Key>;
  if constexpr (std::is_integral_v<T>) {
    return x;
  } else {
    const K b = bits(x + Vec<T>(T(0)));  // -0 becomes +0
    const K key = select(b < K(0), b ^ K(kMaxKey<Key>), b);
    return select(Mask<Key>{(x != x).v}, K(kMaxKey<Key>), key);
  }
}

template <class Key, class S>
void keys_of(Key* to, const S* x, int64_t n) {
  if constexpr (std::is_same_v<S, float> || std::is_same_v<S, double> || kIsHalf<S>) {
    constexpr int64_t L = Vec<Key>::kSize;
    int64_t i = 0;
    for (; i + L <= n; i += L) keys_of(load_wide(x + i)).store(to + i);
    if (i < n) keys_of(load_wide(x + i, n - i)).store(to + i, n - i);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = static_cast<Key>(x[i]);
  }
}

// Up to this many elements, a register of lines side by side is ordered by counting.
template <class Key>
constexpr int64_t kShortLine = 5 * Vec<Key>::kSize;

// The keys of `count` lines of n elements, as key[i * lanes + line]. Element i of a line lies at i * step; lines lie n
// apart where step is 1, else 1 apart.
template <class Key, class S>
PYNN_INLINE void keys_of_lines(Key* key, const S* x, int64_t n, int64_t step, int64_t count) {
  constexpr int64_t L = Vec<Key>::kSize;
  if (step > 1) {
    for (int64_t i = 0; i < n; ++i) keys_of(key + i * L, x + i * step, count);
    return;
  }
  Key row[L * kShortLine<Key>];
  keys_of(row, x, count * n);
  for (int64_t r = 0; r < count; ++r)
    for (int64_t i = 0; i < n; ++i) key[i * L + r] = row[r * n + i];
}

// place[i * lanes + line] <- how many of the line come before element i; of equal ones the first does.
template <class Key>
[[gnu::noinline]] void rank_lines(const Key* key, Key* place, int64_t n) {
  using K = Vec<Key>;
  constexpr int64_t L = K::kSize;
  constexpr int U = 4;
  for (int64_t i = 0; i < n; i += U) {
    K k[U], before[U];
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) k[u] = K::load(key + min_of(i + u, n - 1) * L), before[u] = K(0);
    const auto count = [&](int u, Mask<Key> m)
                           __attribute__((always_inline)) { before[u] = select(m, before[u] + K(1), before[u]); };
    for (int64_t j = 0; j < i; ++j) {
      const K other = K::load(key + j * L);
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) count(u, other <= k[u]);
    }
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u)
#pragma GCC unroll 4
      for (int v = 0; v < U; ++v)
        if (u != v && i + v < n) count(u, v < u ? k[v] <= k[u] : k[v] < k[u]);
    for (int64_t j = i + U; j < n; ++j) {
      const K other = K::load(key + j * L);
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) count(u, other < k[u]);
    }
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u)
      if (i + u < n) before[u].store(place + (i + u) * L);
  }
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
