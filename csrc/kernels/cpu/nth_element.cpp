// nth_element.cpp -- the element that sorting would put at one place of each line of the middle dim of [outer, n,
// inner].
//
//   n <= kShortLine   a register of lines side by side: an element's place is the number of those before it
//   else              the range of the keys is cut into 2^bits parts, which are counted, and the part with the wanted
//                     key is looked at in the same way until few keys are left: 1 + 1 / 2^bits + ... passes on average
//
// Parallel over lines. Columns are copied to rows, a register's width of them at a time.
#include "kernels/nth_element.h"

#include "core/parallel.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/sort_keys.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kFew = 16;

template <class Key>
int64_t count_equal(const Key* key, int64_t n, Key wanted) {
  using K = Vec<Key>;
  const K w(wanted);
  K count(0);
  int64_t i = 0;
  for (; i + K::kSize <= n; i += K::kSize) count = select(K::load(key + i) == w, count + K(1), count);
  int64_t total = static_cast<int64_t>(reduce_add(count));
  for (; i < n; ++i) total += key[i] == wanted;
  return total;
}

// Where the key stands that equals `wanted` for the (skip + 1)-th time.
template <class Key>
int64_t find_equal(const Key* key, int64_t n, Key wanted, int64_t skip) {
  using K = Vec<Key>;
  constexpr int64_t L = K::kSize;
  const K w(wanted);
  for (int64_t i = 0; i < n; i += L) {
    if (i + L <= n && !any(K::load(key + i) == w)) continue;
    for (int64_t j = i; j < min_of(i + L, n); ++j)
      if (key[j] == wanted && skip-- == 0) return j;
  }
  return -1;
}

// The key with `rank` others before it; rank becomes the number of equal ones among those. room: n keys.
template <class Key>
Key nth_key(const Key* key, Key* room, int64_t n, int64_t& rank) {
  using K = Vec<Key>;
  using Bits = std::make_unsigned_t<Key>;
  constexpr int64_t L = K::kSize;
  while (n > kFew) {
    K least(kMaxKey<Key>), most(kMinKey<Key>);
    int64_t i = 0;
    const auto widen_range = [&](K k) __attribute__((always_inline)) {
      least = select(k < least, k, least);
      most = select(k > most, k, most);
    };
    for (; i + L <= n; i += L) widen_range(K::load(key + i));
    Key low = reduce_min(least), high = reduce_max(most);
    for (; i < n; ++i) low = min_of(low, key[i]), high = max_of(high, key[i]);
    if (low == high) return low;
    const Bits range = static_cast<Bits>(high) - static_cast<Bits>(low);
    const int bits = n < 512 ? 6 : 8, length = 64 - __builtin_clzll(range), shift = max_of(length - bits, 0);
    const auto part = [=](Key k) __attribute__((always_inline)) {
      return (static_cast<Bits>(k) - static_cast<Bits>(low)) >> shift;
    };
    int64_t count[2][256];  // in turn: a counter waits for its last increment
    for (int p = 0; p < 1 << bits; p += Vec<int64_t>::kSize)
      Vec<int64_t>(0).store(count[0] + p), Vec<int64_t>(0).store(count[1] + p);
    for (i = 0; i + 2 <= n; i += 2) ++count[0][part(key[i])], ++count[1][part(key[i + 1])];
    if (i < n) ++count[0][part(key[i])];
    int p = 0;
    for (; rank >= count[0][p] + count[1][p]; ++p) rank -= count[0][p] + count[1][p];
    const Bits from = static_cast<Bits>(static_cast<Bits>(p) << shift);
    const Key first = static_cast<Key>(static_cast<Bits>(low) + from);
    const Key last = static_cast<Key>(static_cast<Bits>(low) + min_of<Bits>(from + ((Bits(1) << shift) - 1), range));
    int64_t left = 0;
    const auto keep = [&](int64_t begin, int64_t end) __attribute__((always_inline)) {
      for (int64_t j = begin; j < end; ++j) {
        const Key k = key[j];
        room[left] = k;
        left += static_cast<int>(part(k)) == p;
      }
    };
    for (i = 0; i + L <= n; i += L) {
      const K k = K::load(key + i);
      if (any((k >= K(first)) & (k <= K(last)))) keep(i, i + L);
    }
    keep(i, n);
    key = room;
    n = left;
    if (shift == 0) return key[0];
  }
  Key sorted[kFew];
  for (int64_t i = 0; i < n; ++i) {
    const Key k = key[i];
    int64_t j = i;
    for (; j > 0 && k < sorted[j - 1]; --j) sorted[j] = sorted[j - 1];
    sorted[j] = k;
  }
  const Key wanted = sorted[rank];
  int64_t before = 0;
  while (sorted[before] < wanted) ++before;
  rank -= before;
  return wanted;
}

// The wanted place in a line with that many NaN.
PYNN_INLINE int64_t rank_of(Nth which, const NthArgs& a, int64_t nans) {
  if (which == Nth::Kth) return a.k;
  if (which == Nth::NanMedian) return nans < a.n ? (a.n - nans - 1) / 2 : 0;
  return nans ? a.n - nans : (a.n - 1) / 2;
}

template <class S>
struct Finder {
  using Key = KeyOf<S>;
  using K = Vec<Key>;
  static constexpr int64_t L = K::kSize;
  Nth which;
  const NthArgs& a;

  void give(int64_t line, const S* x, int64_t place, int64_t at) const {
    static_cast<S*>(a.values)[line] = x[at];
    a.indices[line] = place;
  }

  // `count` <= L lines from `line` on, next to each other, x being their first element.
  void short_lines(int64_t line, const S* x, int64_t count) const {
    Key key[L * kShortLine<Key>] = {}, place[L * kShortLine<Key>], rank[L], at[L];
    keys_of_lines(key, x, a.n, a.inner, count);
    rank_lines(key, place, a.n);
    K nans(0), found(0);
    if (which != Nth::Kth)
      for (int64_t i = 0; i < a.n; ++i) nans = select(K::load(key + i * L) == K(kMaxKey<Key>), nans + K(1), nans);
    for (int l = 0; l < L; ++l) rank[l] = static_cast<Key>(rank_of(which, a, nans[l]));
    const K wanted = K::load(rank);
    for (int64_t i = 0; i < a.n; ++i) found = select(K::load(place + i * L) == wanted, K(static_cast<Key>(i)), found);
    found.store(at);
    for (int64_t l = 0; l < count; ++l) give(line + l, x, at[l], a.inner > 1 ? at[l] * a.inner + l : l * a.n + at[l]);
  }

  void long_line(int64_t line, const S* x, Key* keys, Key* room) const {
    const Key* key = keys;
    if constexpr (std::is_same_v<S, Key>)
      key = x;
    else
      keys_of(keys, x, a.n);
    int64_t rank = rank_of(which, a, which == Nth::Kth ? 0 : count_equal(key, a.n, kMaxKey<Key>));
    const Key wanted = nth_key(key, room, a.n, rank);
    const int64_t at = find_equal(key, a.n, wanted, rank);
    give(line, x, at, at);
  }

  void operator()() const {
    const int64_t width = min_of(a.inner, L), runs = ceil_div(a.inner, width);
    if (a.n <= kShortLine<Key>) {
      const int64_t lines = a.inner > 1 ? width : L, groups = a.inner > 1 ? a.outer * runs : ceil_div(a.outer, L);
      const double ns = static_cast<double>(a.n * a.n + 5 * lines * a.n);
      parallel_for(0, groups, grain_for(0.5 * ns), [&](int64_t begin, int64_t end) {
        for (int64_t g = begin; g < end; ++g) {
          const int64_t o = a.inner > 1 ? g / runs : g * L, c = a.inner > 1 ? g % runs * width : 0;
          short_lines(o * a.inner + c, static_cast<const S*>(a.x) + o * a.n * a.inner + c,
                      a.inner > 1 ? min_of(width, a.inner - c) : min_of(L, a.outer - o));
        }
      });
      return;
    }
    const Convert copy = converter(a.dtype, a.dtype);
    const double ns = 1.5 * static_cast<double>(a.n * width) + 50;
    parallel_for(0, a.outer * runs, grain_for(ns), [&](int64_t begin, int64_t end) {
      const Scratch<Key> key(a.n), room(a.n);
      const Scratch<S> rows(a.inner > 1 ? a.n * width : 0);
      for (int64_t g = begin; g < end; ++g) {
        const int64_t o = g / runs, c = g % runs * width, w = min_of(width, a.inner - c);
        const S* x = static_cast<const S*>(a.x) + o * a.n * a.inner + c;
        if (a.inner > 1) {
          copy(rows.get(), {1, a.n}, x, {a.inner, 1}, a.n, w);
          x = rows.get();
        }
        for (int64_t l = 0; l < w; ++l) long_line(o * a.inner + c + l, x + l * a.n, key.get(), room.get());
      }
    });
  }
};

}  // namespace

void nth_element(Nth which, const NthArgs& a) {
  by_dtype(a.dtype, [&](auto s) {
    using S = decltype(s);
    if constexpr (kIsComplex<S>)
      no_loop("nth_element", a.dtype);
    else
      Finder<S>{which, a}();
  });
}

}  // namespace PYNN_CPU_NAMESPACE
