// gemm_group.h -- products that add up neighbours along k: pairs of bfloat16 or int16, groups of four int8.
//
//   acc[i][j] += sum over a group of a[i, p] * b[p, j],   32 bits of A broadcast against a register of groups of B
//
// B is copied into slivers of groups; A is read where it lies if k runs along its memory in whole groups, else copied
// likewise. Sums are float32 or int32 over all of k, so that C is written once, in its own type.
#pragma once
#include "kernels/cpu/gemm_regions.h"
#include "kernels/cpu/gemm_tile.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/vec_dot.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// What int8 and uint8 become on CPUs without VNNI.
struct Int16Pairs {
  using Elem = int16_t;
  using Sum = int32_t;
  using Out = int32_t;
  static constexpr int kGroup = 2;
  static constexpr int32_t kFlip = 0;
  static constexpr bool kSwap = true;  // A and B may change places
  PYNN_INLINE static Vec<int32_t> dot(Vec<int32_t> acc, Vec<int32_t> x, Vec<int32_t> y) { return dot_words(acc, x, y); }
};
#ifdef PYNN_VEC_DOT
struct Bf16Pairs {
  using Elem = BFloat16;
  using Sum = float;
  using Out = BFloat16;
  static constexpr int kGroup = 2;
  static constexpr int32_t kFlip = 0;
  static constexpr bool kSwap = true;
  PYNN_INLINE static Vec<float> dot(Vec<float> acc, Vec<int32_t> x, Vec<int32_t> y) { return dot_pairs(acc, x, y); }
};
// The instruction wants A without sign: it gets a + 128 (the flipped bit), and sums start at -128 * sum of b.
struct Int8Quads {
  using Elem = int8_t;
  using Sum = int32_t;
  using Out = int32_t;
  static constexpr int kGroup = 4;
  static constexpr int32_t kFlip = static_cast<int32_t>(0x80808080);
  static constexpr bool kSwap = true;
  PYNN_INLINE static Vec<int32_t> dot(Vec<int32_t> acc, Vec<int32_t> x, Vec<int32_t> y) { return dot_quads(acc, x, y); }
};
// A of uint8.
struct Uint8Quads : Int8Quads {
  static constexpr int32_t kFlip = 0;
  static constexpr bool kSwap = false;
};
#endif

template <class G>
struct GroupProduct {
  int64_t m, n, k;
  const typename G::Elem *a, *b;
  int64_t a_rs, a_cs, b_rs, b_cs;
  GemmOut<typename G::Out> out;
};

// C^T = B^T A^T
template <class G>
GroupProduct<G> transposed(const GroupProduct<G>& p) {
  return {p.n, p.m, p.k, p.b, p.a, p.b_cs, p.b_rs, p.a_cs, p.a_rs, transposed(p.out)};
}

constexpr int64_t kWords = Vec<int32_t>::kSize;

template <class G>
PYNN_INLINE int32_t group_at(const typename G::Elem* x) {
  int32_t word;
  __builtin_memcpy(&word, x, 4);
  return word;
}

// Elements [p, p + kGroup) along k, 0 from k on.
template <class G>
int32_t gather_group(const typename G::Elem* x, int64_t k_stride, int64_t p, int64_t k) {
  typename G::Elem group[G::kGroup];
  __builtin_memset(static_cast<void*>(group), 0, sizeof group);
  for (int64_t e = 0; e < G::kGroup && p + e < k; ++e) group[e] = x[(p + e) * k_stride];
  return group_at<G>(group);
}

// W elements next to each other, of which `n` are there, widened.
template <class Unsigned, class To>
PYNN_INLINE To widened(const void* x, int64_t n) {
  typedef Unsigned Row __attribute__((vector_size(kWords * sizeof(Unsigned))));
  Row row{};
  if (n >= kWords)
    __builtin_memcpy(&row, x, sizeof row);
  else
    __builtin_memcpy(&row, x, static_cast<size_t>(n) * sizeof(Unsigned));
  return __builtin_convertvector(row, To);
}
// A group each of W rows that lie next to each other, of which `rows` are there.
template <class G>
PYNN_INLINE Vec<int32_t> zip_groups(const typename G::Elem* x, int64_t k_stride, int64_t rows) {
  typedef uint16_t Halves __attribute__((vector_size(kWords * 2)));
  typedef uint32_t Words __attribute__((vector_size(kWords * 4)));
  Words word;
  if constexpr (G::kGroup == 2) {
    word = widened<uint16_t, Words>(x, rows) | widened<uint16_t, Words>(x + k_stride, rows) << 16;
  } else {
    const auto pair = [&](int64_t e) __attribute__((always_inline)) {
      const Halves half = widened<uint8_t, Halves>(x + e * k_stride, rows) |
                          widened<uint8_t, Halves>(x + (e + 1) * k_stride, rows) << 8;
      return __builtin_convertvector(half, Words);
    };
    word = pair(0) | pair(2) << 16;
  }
  return typename Vec<int32_t>::Native(word);
}

// out[g * R + r] = the group g of row r, 0 for r >= rows.
template <class G, int R>
void pack_groups(const typename G::Elem* x, int64_t r_stride, int64_t k_stride, int64_t rows, int64_t k, int32_t* out) {
  constexpr int64_t W = kWords, K = G::kGroup;
  const int64_t whole = k / K;
  int64_t g = 0;
  if (k_stride == 1) {
    for (; g < whole; g += W) {
      const int64_t n = min_of(W, whole - g);
      for (int64_t r0 = 0; r0 < R; r0 += W) {
        Vec<int32_t> v[W];
#pragma GCC unroll 16
        for (int64_t r = 0; r < W; ++r)
          v[r] = r0 + r < rows
                     ? Vec<int32_t>::load(reinterpret_cast<const int32_t*>(x + (r0 + r) * r_stride + g * K), n)
                     : Vec<int32_t>(0);
        transpose(v);
        for (int64_t l = 0; l < n; ++l) v[l].store(out + (g + l) * R + r0, R - r0);
      }
    }
    g = whole;
  } else if (r_stride == 1) {
    for (; g < whole; ++g)
      for (int64_t r = 0; r < R; r += W)
        (rows > r ? zip_groups<G>(x + g * K * k_stride + r, k_stride, rows - r) : Vec<int32_t>(0))
            .store(out + g * R + r, R - r);
  }
  for (; g * K < k; ++g)
    for (int64_t r = 0; r < R; ++r)
      out[g * R + r] = r < rows ? gather_group<G>(x + r * r_stride, k_stride, g * K, k) : 0;
}

template <class G>
struct GroupTile {
  int64_t groups;
  const typename G::Elem* a;  // element (i, group g) at a + i * a_rs + g * a_gs
  int64_t a_rs, a_gs;
  const int32_t* b;
  const typename G::Sum* start;  // what the sums of a column start from
};

template <class G, int MR, int NV>
void group_tile(const GroupTile<G>& t, int64_t cols, const GemmOut<typename G::Out>& out, int64_t i0, int64_t j0) {
  constexpr int W = kWords;
  using Acc = Vec<typename G::Sum>;
  Acc acc[MR * NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i)
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) acc[i * NV + v] = Acc::load(t.start + v * W);
  const typename G::Elem* a = t.a;
  const int32_t* b = t.b;
  const int64_t a_rs = t.a_rs, a_gs = t.a_gs;
  for (int64_t left = t.groups; left > 0; --left) {
    Vec<int32_t> row[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) row[v] = Vec<int32_t>::load(b + v * W);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      Vec<int32_t> x(group_at<G>(a + i * a_rs));
      if constexpr (G::kFlip != 0) x = x ^ Vec<int32_t>(G::kFlip);
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) acc[i * NV + v] = G::dot(acc[i * NV + v], x, row[v]);
    }
    a += a_gs;
    b += NV * W;
  }
  store_tile(out, i0, j0, acc, MR, NV, cols);
}

template <class G>
using GroupTileFn = void (*)(const GroupTile<G>&, int64_t, const GemmOut<typename G::Out>&, int64_t, int64_t);
template <class G, int NV, int... I>
PYNN_INLINE GroupTileFn<G> group_tile_of(int64_t rows, std::integer_sequence<int, I...>) {
  static constexpr GroupTileFn<G> all[] = {&group_tile<G, I + 1, NV>...};
  return all[rows - 1];
}

template <class G>
void group_region(const GroupProduct<G>& p, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
  using Sum = typename G::Sum;
  constexpr int64_t MR = GemmBlocks::mr, W = kWords, NR = 2 * W, K = G::kGroup;
  using Rows = std::make_integer_sequence<int, MR>;
  const int64_t groups = ceil_div(p.k, K), tiles = ceil_div(i1 - i0, MR);
  const int64_t nc = max_of(NR, GemmBlocks::panel_bytes / 4 / max_of<int64_t>(groups, 1) / NR * NR);
  const bool copy_a = p.a_cs != 1 || p.k % K != 0;
  const Scratch<int32_t> packed_b(groups * round_up(min_of(nc, j1 - j0), W)), packed_a(copy_a ? groups * MR : 0);
  const Scratch<Sum> start(round_up(min_of(nc, j1 - j0), W));
  for (int64_t jc = j0; jc < j1; jc += nc) {
    const int64_t nb = min_of(nc, j1 - jc);
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t i = i0 + (i1 - i0) * t / tiles, rows = i0 + (i1 - i0) * (t + 1) / tiles - i;
      GroupTile<G> tile{groups, p.a + i * p.a_rs, p.a_rs, K, nullptr, nullptr};
      if (copy_a) {
        pack_groups<G, MR>(tile.a, p.a_rs, p.a_cs, rows, p.k, packed_a.get());
        tile.a = reinterpret_cast<const typename G::Elem*>(packed_a.get()), tile.a_rs = K, tile.a_gs = K * MR;
      }
      for (int64_t j = 0, width; j < nb; j += width) {
        width = nb - j > W ? NR : W;
        const int64_t cols = min_of(width, nb - j);
        int32_t* const copy = packed_b.get() + j * groups;
        if (t == 0) {
          const auto* source = p.b + (jc + j) * p.b_cs;
          width == W ? pack_groups<G, W>(source, p.b_cs, p.b_rs, cols, p.k, copy)
                     : pack_groups<G, NR>(source, p.b_cs, p.b_rs, cols, p.k, copy);
          for (int64_t v = 0; v < width; v += W) {
            Vec<Sum> sum(Sum(0));
            if constexpr (G::kFlip != 0) {
              for (int64_t g = 0; g < groups; ++g)
                sum = G::dot(sum, Vec<int32_t>(G::kFlip), Vec<int32_t>::load(copy + g * width + v));
              sum = -sum;
            }
            sum.store(start.get() + j + v);
          }
        }
        tile.b = copy, tile.start = start.get() + j;
        (width == W ? group_tile_of<G, 1>(rows, Rows()) : group_tile_of<G, 2>(rows, Rows()))(tile, cols, p.out, i,
                                                                                             jc + j);
      }
    }
  }
}

// A few rows, k along the memory of both: nothing is copied. C columns at a time, of which `cols` are valid.
template <class G, int R, int C>
void group_dots(const GroupProduct<G>& p, int64_t i, int64_t j, int64_t cols) {
  using Acc = Vec<typename G::Sum>;
  constexpr int64_t W = kWords, K = G::kGroup;
  static_assert(C == W && G::kFlip == 0);
  const auto word = [](const typename G::Elem* x, int64_t elements) __attribute__((always_inline)) {
    typename G::Elem tail[W * K];
    __builtin_memset(static_cast<void*>(tail), 0, sizeof tail);
    __builtin_memcpy(static_cast<void*>(tail), x, static_cast<size_t>(elements) * sizeof *x);
    return Vec<int32_t>::load(reinterpret_cast<const int32_t*>(tail));
  };
  for (int c0 = 0; c0 < C; c0 += C / 4) {  // in quarters, for the registers
    if (c0 >= cols) return;
    const typename G::Elem* b[C / 4];
    for (int c = 0; c < C / 4; ++c) b[c] = p.b + (j + min_of<int64_t>(c0 + c, cols - 1)) * p.b_cs;
    Acc acc[R * (C / 4)];
#pragma GCC unroll 32
    for (int l = 0; l < R * (C / 4); ++l) acc[l] = Acc(0);
    int64_t q = 0;
    for (; q + W * K <= p.k; q += W * K) {
      Vec<int32_t> x[R];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
        x[r] = Vec<int32_t>::load(reinterpret_cast<const int32_t*>(p.a + (i + r) * p.a_rs + q));
#pragma GCC unroll 8
      for (int c = 0; c < C / 4; ++c) {
        const auto y = Vec<int32_t>::load(reinterpret_cast<const int32_t*>(b[c] + q));
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) acc[r * (C / 4) + c] = G::dot(acc[r * (C / 4) + c], x[r], y);
      }
    }
    for (int c = 0; c < C / 4; ++c)
      for (int r = 0; r < R; ++r) {
        Acc& sum = acc[r * (C / 4) + c];
        if (q < p.k) sum = G::dot(sum, word(p.a + (i + r) * p.a_rs + q, p.k - q), word(b[c] + q, p.k - q));
        if (c0 + c < cols) store_vector(p.out, i + r, j + c0 + c, Acc(reduce_add(sum)), 1);
      }
  }
}

// Few rows, k along the memory of both.
template <class G>
bool takes_group_dots(const GroupProduct<G>& p) {
  return G::kFlip == 0 && p.m <= 4 && p.a_cs == 1 && p.b_rs == 1;
}

template <class G>
void gemm_groups(GroupProduct<G> p) {
  constexpr int64_t W = kWords;
  if (G::kSwap && p.n == 1 && p.m > 1) p = transposed(p);
  if constexpr (G::kFlip == 0) {
    if (takes_group_dots(p)) {
      for_regions<W>(1, p.n, p.m * ceil_div(p.k, G::kGroup), 0, 1, [&](int64_t, int64_t, int64_t j0, int64_t j1) {
        for (int64_t j = j0; j < j1; j += W) {
          const int64_t cols = min_of(W, j1 - j);
          if (p.m == 4)
            group_dots<G, 4, W>(p, 0, j, cols);
          else if (p.m == 3)
            group_dots<G, 3, W>(p, 0, j, cols);
          else if (p.m == 2)
            group_dots<G, 2, W>(p, 0, j, cols);
          else
            group_dots<G, 1, W>(p, 0, j, cols);
        }
      });
      return;
    }
  }
  // As in gemm_product: of a linear layer the smaller operand is copied.
  const double k = static_cast<double>(p.k), m = static_cast<double>(p.m), n = static_cast<double>(p.n);
  if (G::kSwap && p.b_rs == 1 && p.k % G::kGroup == 0 && p.out.c_cs == 1 && 6 * (n - m) * k > 16 * m * n)
    p = transposed(p);
  for_regions<W>(p.m, p.n, ceil_div(p.k, G::kGroup), p.a_cs != 1 ? 2 : 0.3, p.b_cs != 1 ? 6 : 4,
                 [&](int64_t i0, int64_t i1, int64_t j0, int64_t j1) { group_region(p, i0, i1, j0, j1); });
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
