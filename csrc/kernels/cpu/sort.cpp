// sort.cpp -- stable sort of rows, and the first k of each (topk).
//
// Every element becomes an unsigned key whose order is the wanted one: sign bit flipped (and all bits of negative
// floats), -0 as +0, NaN largest; inverted when descending. Pairs (key, position) have no ties, so any sort is stable.
//   n <= kShortLine, of several lines: a register of them side by side is ranked by counting, unless few are wanted
//   n <= kRanked every pair's place is the number of those that come before it, counted in registers
//   n < 64        insertion sort (where registers are short)
//   only_few      a heap of the k least, which most elements never reach: registers of them are compared with its top
//   n <= kMerged  runs of kRanked pairs, merged, unless they are many and differ in 16 bits only
//   else          radix sort by bytes of the distance from the least key, least byte first
// Parallel over rows; columns are copied to rows, a few of them at a time. float32 and narrower: 32-bit keys; float64,
// int64 and rows of 2^32 elements: 64-bit keys.
#include "core/parallel.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/elements.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/sort_keys.h"
#include "kernels/cpu/vec.h"
#include "kernels/indexing.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class Key, class S>
PYNN_INLINE Key key_of(S x) {
  if constexpr (std::is_same_v<S, Half> || std::is_same_v<S, BFloat16>) {
    return key_of<Key>(static_cast<float>(x));
  } else if constexpr (std::is_same_v<S, float> || std::is_same_v<S, double>) {
    using Bits = std::conditional_t<sizeof(S) == 4, uint32_t, uint64_t>;
    constexpr Bits sign = Bits(1) << (8 * sizeof(S) - 1);
    if (x != x) return static_cast<Key>(~Bits(0));
    x += S(0);  // -0 becomes +0
    Bits b;
    __builtin_memcpy(&b, &x, sizeof b);
    return static_cast<Key>(b & sign ? ~b : b | sign);
  } else {
    constexpr int64_t offset =
        std::is_signed_v<S> ? (sizeof(S) < 8 ? int64_t(1) << (8 * sizeof(S) - 1) : INT64_MIN) : 0;
    return static_cast<Key>(static_cast<uint64_t>(x) + static_cast<uint64_t>(offset));
  }
}

// Position has the width of the key: 32-bit keys are for rows below 2^32 elements.
template <class Key>
struct Pair {
  Key key, position;
  PYNN_INLINE friend bool operator<(Pair a, Pair b) {
    return a.key < b.key || (a.key == b.key && a.position < b.position);
  }
};

template <class Key>
constexpr int64_t kRanked = 8 * PYNN_VEC_BYTES / static_cast<int64_t>(sizeof(Key));

// other, in order, <- p, whose positions are 0, 1, ...
template <class Key>
[[gnu::noinline]] void rank_sort(const Pair<Key>* p, Pair<Key>* other, int64_t n) {
  using I = std::make_signed_t<Key>;
  using V = Vec<I>;
  constexpr int64_t L = V::kSize;
  constexpr Key sign = Key(1) << (8 * sizeof(Key) - 1);
  I key[kRanked<Key>], place[kRanked<Key>];
  for (int64_t i = 0; i < round_up(n, L); ++i) key[i] = static_cast<I>(i < n ? p[i].key ^ sign : sign);
  for (int64_t i = 0; i < n; i += L) {
    const V k = V::load(key + i), at = V::iota(static_cast<I>(i)), one(1);
    V before(0);
    const auto count = [&](Mask<I> m) __attribute__((always_inline)) { before = select(m, before + one, before); };
    for (int64_t j = 0; j < i; ++j) count(V(key[j]) <= k);
    for (int64_t j = i; j < min_of(i + L, n); ++j)
      count((V(key[j]) < k) | ((V(key[j]) == k) & (V(static_cast<I>(j)) < at)));
    for (int64_t j = i + L; j < n; ++j) count(V(key[j]) < k);
    before.store(place + i);
  }
  for (int64_t i = 0; i < n; ++i) other[place[i]] = p[i];
}

template <class Key>
void insertion_sort(Pair<Key>* p, int64_t n) {
  for (int64_t i = 1; i < n; ++i) {
    const Pair<Key> x = p[i];
    int64_t j = i;
    for (; j > 0 && x < p[j - 1]; --j) p[j] = p[j - 1];
    p[j] = x;
  }
}

// Runs of equal length, each ranked, are merged two by two, from both ends at once. Returns where the result is.
template <class Key>
constexpr int64_t kMerged = PYNN_VEC_BYTES <= 16 ? 0
                            : sizeof(Key) == 8   ? 2048
                                                 : 1024;
template <class Key>
Pair<Key>* merge_sort(Pair<Key>* p, Pair<Key>* other, int64_t n) {
  int64_t run = n;
  while (run > kRanked<Key> / 2) run = ceil_div(run, 2);
  for (int64_t i = 0; i < n; i += run) rank_sort(p + i, other + i, min_of(run, n - i));
  for (; run < n; run *= 2) {
    Pair<Key>* t = p;
    p = other;
    other = t;
    for (int64_t i = 0; i < n; i += 2 * run) {
      const int64_t middle = min_of(i + run, n), end = min_of(i + 2 * run, n);
      const Pair<Key>*a = p + i, *b = p + middle, *last_a = b - 1, *last_b = p + end - 1;
      Pair<Key>*front = other + i, *back = other + end - 1;
      // Neither run can end in half as many steps as the shorter one has pairs left.
      for (int64_t steps; (steps = min_of(last_a - a + 1, last_b - b + 1) / 2) > 0;)
        for (; steps > 0; --steps) {
          const bool take = b->key < a->key;
          *front++ = take ? *b : *a;
          b += take, a += !take;
          const bool give = last_b->key < last_a->key;
          *back-- = give ? *last_a : *last_b;
          last_a -= give, last_b -= !give;
        }
      while (front <= back) {
        const bool take = a > last_a || (b <= last_b && b->key < a->key);
        *front++ = take ? *b++ : *a++;
      }
    }
  }
  return other;
}

// By the lower `bytes` bytes of what the keys have above `low`.
template <class Key>
Pair<Key>* radix_sort(Pair<Key>* p, Pair<Key>* other, int64_t n, Key low, int bytes) {
  int64_t count[sizeof(Key)][256];
  for (int b = 0; b < bytes; ++b)
    for (int d = 0; d < 256; ++d) count[b][d] = 0;
  for (int64_t i = 0; i < n; ++i)
    for (int b = 0; b < bytes; ++b) ++count[b][((p[i].key - low) >> (8 * b)) & 255];
  for (int b = 0; b < bytes; ++b) {
    if (count[b][((p[0].key - low) >> (8 * b)) & 255] == n) continue;
    int64_t at = 0;
    for (int d = 0; d < 256; ++d) {
      const int64_t c = count[b][d];
      count[b][d] = at;
      at += c;
    }
    for (int64_t i = 0; i < n; ++i) other[count[b][((p[i].key - low) >> (8 * b)) & 255]++] = p[i];
    Pair<Key>* t = p;
    p = other;
    other = t;
  }
  return p;
}

// A heap with its largest pair on top.
template <class Key>
void sift_down(Pair<Key>* heap, int64_t n, int64_t i) {
  const Pair<Key> x = heap[i];
  for (int64_t child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && heap[child] < heap[child + 1]) ++child;
    if (!(x < heap[child])) break;
    heap[i] = heap[child];
  }
  heap[i] = x;
}

// So few of so many elements that a heap of them is fastest.
PYNN_INLINE bool only_few(int64_t n, int64_t k) { return n >= (PYNN_VEC_BYTES > 32 ? 64 : 48) && k <= n / 16; }

// The pairs of the k least keys, in order, of x.
template <class Key, class S>
void least_k(Pair<Key>* heap, int64_t k, const S* x, int64_t n, bool descending) {
  const Key flip = descending ? ~Key(0) : Key(0);
  const auto pair = [=](int64_t i) __attribute__((always_inline)) {
    return Pair<Key>{static_cast<Key>(key_of<Key>(x[i]) ^ flip), static_cast<Key>(i)};
  };
  for (int64_t i = 0; i < k; ++i) heap[i] = pair(i);
  for (int64_t i = k / 2 - 1; i >= 0; --i) sift_down(heap, k, i);
  const auto take = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Pair<Key> p = pair(i);
      if (!(p < heap[0])) continue;
      heap[0] = p;
      sift_down(heap, k, 0);
    }
  };
  int64_t i = k;
  if constexpr (std::is_same_v<S, float> || std::is_same_v<S, double> || std::is_same_v<S, int32_t> ||
                std::is_same_v<S, int64_t>) {
    using V = Vec<S>;
    constexpr int64_t L = V::kSize, step = 4 * L;
    for (; i + step <= n; i += step) {
      // Equal ones come too late. NaN may get in on either side, and passes.
      const V top(x[heap[0].position]);
      Mask<S> stays[4];
#pragma GCC unroll 4
      for (int u = 0; u < 4; ++u) {
        const V v = V::load(x + i + u * L);
        stays[u] = descending ? v <= top : v >= top;
      }
      if (all((stays[0] & stays[1]) & (stays[2] & stays[3]))) [[likely]]
        continue;
      for (int u = 0; u < 4; ++u)
        if (!all(stays[u])) take(i + u * L, i + (u + 1) * L);
    }
  }
  take(i, n);
  for (int64_t size = k - 1; size > 0; --size) {
    const Pair<Key> top = heap[0];
    heap[0] = heap[size];
    heap[size] = top;
    sift_down(heap, size, 0);
  }
}

// One row of n elements to its first k.
template <class Key, class S>
void sort_row(const S* x, int64_t n, int64_t k, bool descending, Pair<Key>* pairs, Pair<Key>* other, S* values,
              int64_t* indices) {
  const Key flip = descending ? ~Key(0) : Key(0);
  Pair<Key>* p = pairs;
  const bool few = only_few(n, k);
  for (int64_t i = 0; i < n && !few; ++i) p[i] = {static_cast<Key>(key_of<Key>(x[i]) ^ flip), static_cast<Key>(i)};
  if (few) {
    least_k(p, k, x, n, descending);
  } else if (n <= kRanked<Key>) {
    rank_sort(p, other, n);
    p = other;
  } else if (n < 64) {
    insertion_sort(p, n);
  } else {
    Key low = p[0].key, high = low;
    for (int64_t i = 1; i < n; ++i) low = min_of(low, p[i].key), high = max_of(high, p[i].key);
    int bytes = 0;
    for (Key range = high - low; range; range >>= 8) ++bytes;
    p = n <= kMerged<Key> && (bytes > 2 || n < 256) ? merge_sort(p, other, n) : radix_sort(p, other, n, low, bytes);
  }
  for (int64_t i = 0; i < k; ++i) {
    const int64_t from = static_cast<int64_t>(p[i].position);
    values[i] = x[from];
    indices[i] = from;
  }
}

template <class S>
void sort_short_lines(const SortArgs& a) {
  using Key = KeyOf<S>;
  constexpr int64_t L = Vec<Key>::kSize;
  const bool rows = a.inner == 1;
  const int64_t n = a.n, k = a.k, runs = ceil_div(a.inner, L), groups = rows ? ceil_div(a.rows, L) : a.rows * runs;
  const double ns = static_cast<double>(n * (n + 3 * min_of(L, rows ? L : a.inner)));
  parallel_for(0, groups, grain_for(0.5 * ns), [&](int64_t begin, int64_t end) {
    Key key[L * kShortLine<Key>] = {}, place[L * kShortLine<Key>];
    for (int64_t g = begin; g < end; ++g) {
      const int64_t o = rows ? g * L : g / runs, c = rows ? 0 : g % runs * L;
      const int64_t count = min_of(L, rows ? a.rows - o : a.inner - c);
      const S* x = static_cast<const S*>(a.x) + o * n * a.inner + c;
      S* values = static_cast<S*>(a.values) + o * k * a.inner + c;
      int64_t* indices = a.indices + o * k * a.inner + c;
      keys_of_lines(key, x, n, a.inner, count);
      if (a.descending)
        for (int64_t i = 0; i < n * L; i += L) (~Vec<Key>::load(key + i)).store(key + i);
      rank_lines(key, place, n);
      for (int64_t l = 0; l < count; ++l)
        for (int64_t i = 0; i < n; ++i) {
          const int64_t p = place[i * L + l], to = rows ? l * k + p : p * a.inner + l;
          if (p >= k) continue;
          values[to] = x[rows ? l * n + i : i * a.inner + l];
          indices[to] = i;
        }
    }
  });
}

template <class Key, class S>
void sort_typed(const SortArgs& a) {
  const int64_t n = a.n, k = a.k;
  using Lane = KeyOf<S>;
  const bool few = only_few(n, k);
  if (n <= kShortLine<Lane> && !few && (a.inner > 1 ? a.inner : a.rows) >= Vec<Lane>::kSize / 4)
    return sort_short_lines<S>(a);
  const int64_t width = min_of<int64_t>(a.inner, 16), runs = ceil_div(a.inner, width);
  const Convert copy = converter(a.dtype, a.dtype), copy_index = converter(DType::Int64, DType::Int64);
  const double ns = static_cast<double>(n) * (n < 64 ? 5 : k <= n / 16 ? 0.5 : 4 * sizeof(Key)) + 10;
  parallel_for(0, a.rows * runs, grain_for(ns * static_cast<double>(width)), [&](int64_t begin, int64_t end) {
    const Scratch<Pair<Key>> pairs(few ? k : n), other(few ? 0 : n);
    const int64_t lines = a.inner > 1 ? width : 0;
    const Scratch<S> from(lines * n), values(lines * k);
    const Scratch<int64_t> indices(lines * k);
    for (int64_t g = begin; g < end; ++g) {
      const int64_t o = g / runs, c = g % runs * width, w = min_of(width, a.inner - c);
      const S* x = static_cast<const S*>(a.x) + o * n * a.inner + c;
      S* to = static_cast<S*>(a.values) + o * k * a.inner + c;
      int64_t* to_index = a.indices + o * k * a.inner + c;
      if (a.inner == 1) {
        sort_row(x, n, k, a.descending, pairs.get(), other.get(), to, to_index);
        continue;
      }
      copy(from.get(), {1, n}, x, {a.inner, 1}, n, w);
      for (int64_t l = 0; l < w; ++l)
        sort_row(from.get() + l * n, n, k, a.descending, pairs.get(), other.get(), values.get() + l * k,
                 indices.get() + l * k);
      copy(to, {a.inner, 1}, values.get(), {1, k}, k, w);
      copy_index(to_index, {a.inner, 1}, indices.get(), {1, k}, k, w);
    }
  });
}

}  // namespace

void sort_rows(const SortArgs& a) {
  if (a.rows == 0 || a.k == 0 || a.inner == 0) return;
  by_dtype(a.dtype, [&](auto s) {
    using S = decltype(s);
    if constexpr (kIsComplex<S>) {
      no_loop("sort", a.dtype);
    } else if constexpr (sizeof(S) == 8) {
      sort_typed<uint64_t, S>(a);
    } else {
      a.n >> 32 ? sort_typed<uint64_t, S>(a) : sort_typed<uint32_t, S>(a);
    }
  });
}

}  // namespace PYNN_CPU_NAMESPACE
