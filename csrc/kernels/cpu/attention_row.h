// attention_row.h -- attention of a few queries, mostly one, as when a cache of keys grows step by step: each goes over
// keys and values where they lie, in their own type.
#pragma once
#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/row_math.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class S>
struct AttentionRow {
  using T = Wide<S>;
  using V = Vec<T>;
  static constexpr int W = V::kSize;

  const TiledAttentionArgs& a;
  Dropout<T> dropout{a.dropout};
  ScratchParts<T, 3> parts{{round_up(a.size, W), round_up(a.columns, W), a.dropout > 0 ? round_up(a.columns, W) : 0}};
  T *const q = parts[0], *const scores = parts[1], *const drawn = parts[2];

  // W keys side by side, the last of which is read again where fewer are left.
  template <bool kAll>
  void score_some(const S* keys, int64_t left, T* out) {
    V sums[W];
#pragma GCC unroll 16
    for (int l = 0; l < W; ++l) sums[l] = V(T(0));
    const int64_t step = a.k.row, size = a.size;
    const auto add = [&](int64_t p, auto load) __attribute__((always_inline)) {
      const V x = V::load(q + p);
      const bool line = p * sizeof(S) % 64 == 0;
      const S* key = keys + p;
#pragma GCC unroll 16
      for (int l = 0; l < W; ++l, key += kAll || l < left ? step : 0) {
        if (kAll && line) __builtin_prefetch(key + W * step);
        sums[l] = fma(x, load(key), sums[l]);
      }
    };
    int64_t p = 0;
    for (; p + W <= size; p += W) add(p, [](const S* x) __attribute__((always_inline)) { return load_wide(x); });
    if (p < size) add(p, [n = size - p](const S* x) __attribute__((always_inline)) { return load_wide(x, n); });
    reduce_add_each(sums).store(out);
  }
  void score(const S* keys, int64_t n) {
    int64_t j = 0;
    for (; j + W <= n; j += W) score_some<true>(keys + j * a.k.row, W, scores + j);
    if (j < n) score_some<false>(keys + j * a.k.row, n - j, scores + j);
  }
  // U vectors of the result, or part of one: `left` elements.
  template <int U, bool kPart = false>
  void add_up(const S* values, int64_t n, V f, S* out, int64_t left = 0) {
    const int64_t step = a.v.row;
    const T* weights = scores;
    V sums[U];
#pragma GCC unroll 8
    for (int u = 0; u < U; ++u) sums[u] = V(T(0));
    for (int64_t i = 0; i < n; ++i, values += step) {
      const V weight(weights[i]);
#pragma GCC unroll 8
      for (int u = 0; u < U; ++u)
        sums[u] = fma(weight, kPart ? load_wide(values, left) : load_wide(values + u * W), sums[u]);
    }
#pragma GCC unroll 8
    for (int u = 0; u < U; ++u) kPart ? store_wide(out, sums[u] * f, left) : store_wide(out + u * W, sums[u] * f);
  }

  void run(int64_t batch, int64_t head, int64_t row) {
    const int64_t kv_head = head / (a.heads / a.kv_heads), n = a.causal ? min_of(a.columns, row + 1) : a.columns;
    const int64_t matrix_row = (batch * a.heads + head) * a.rows + row;
    const S* x = matrix<const S>(a.q, batch, head) + row * a.q.row;
    const V scale(static_cast<T>(a.scale * kLog2OfE));
    for (int64_t p = 0; p < a.size; p += W) (load_wide(x + p, a.size - p) * scale).store(q + p);
    T* const s = scores;
    score(matrix<const S>(a.k, batch, kv_head), n);
    if (a.mask) ScoreMask<T>(a, batch, head).add_to_row(s, row, 0, n, V(T(1)));
    const T top = row_max(s, n);
    const bool seen = top != kHidden<T>;
    const T total =
        seen ? static_cast<T>(sum_along<T, 2>(n,
                                              [=, high = V(top)](V sum, auto at) __attribute__((always_inline)) {
                                                const V e = exp2_below(at.load(s) - high);
                                                at.store(s, e);
                                                return sum + at.keep(e, V(T(0)));
                                              }))
             : T(1);
    static_cast<T*>(a.lse)[matrix_row] = seen ? top + log2(V(total))[0] : -kHidden<T>;
    if (!seen) fill(s, n, T(0));
    if (a.dropout > 0) {
      dropout.draw(a.seed, matrix_row, 0, n, drawn);
      for (int64_t p = 0; p < n; p += W) (V::load(s + p) * V::load(drawn + p)).store(s + p);
    }
    const S* values = matrix<const S>(a.v, batch, kv_head);
    S* out = matrix<S>(a.out, batch, head) + row * a.out.row;
    const V f(1 / total);
    int64_t j = 0;
    for (; j + 8 * W <= a.v_size; j += 8 * W) add_up<8>(values + j, n, f, out + j);
    for (; j + 4 * W <= a.v_size; j += 4 * W) add_up<4>(values + j, n, f, out + j);
    for (; j + 2 * W <= a.v_size; j += 2 * W) add_up<2>(values + j, n, f, out + j);
    for (; j + W <= a.v_size; j += W) add_up<1>(values + j, n, f, out + j);
    if (j < a.v_size) add_up<1, true>(values + j, n, f, out + j, a.v_size - j);
  }
};

template <class S>
void attend_rows(const TiledAttentionArgs& a) {
  const double ns = static_cast<double>(a.columns) * static_cast<double>(a.size + a.v_size + 16) / 20;
  parallel_for(0, a.batch * a.heads * a.rows, grain_for(ns), [&](int64_t begin, int64_t end) {
    AttentionRow<S> task{a};
    for (int64_t i = begin; i < end; ++i) {
      const int64_t m = i / a.rows;
      task.run(m / a.heads, m % a.heads, i % a.rows);
    }
  });
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
