// attention_row.h -- attention of a single query, as when a cache of keys grows step by step: keys and values are read
// once where they lie, in their own type.
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
  Scratch<T> q{round_up(a.size, W)}, scores{round_up(a.columns, W)}, drawn{a.dropout > 0 ? round_up(a.columns, W) : 0};

  // W keys side by side.
  void score(const S* keys, int64_t n) {
    for (int64_t j = 0; j < n; j += W) {
      V sums[W];
#pragma GCC unroll 16
      for (int l = 0; l < W; ++l) sums[l] = V(T(0));
      for (int64_t p = 0; p < a.size; p += W) {
        const V x = V::load(q.get() + p);
#pragma GCC unroll 16
        for (int l = 0; l < W; ++l) {
          const S* key = keys + min_of(n - 1, j + l) * a.k.row + p;
          __builtin_prefetch(key + W * a.k.row);
          sums[l] = fma(x, load_wide(key, a.size - p), sums[l]);
        }
      }
      reduce_add_each(sums).store(scores.get() + j);
    }
  }
  // U vectors of the result, the last of which ends after `left` elements.
  template <int U>
  void add_up(const S* values, int64_t n, T f, S* out, int64_t left) {
    V sums[U];
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) sums[u] = V(T(0));
    for (int64_t i = 0; i < n; ++i, values += a.v.row) {
      const V weight(scores[i]);
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) sums[u] = fma(weight, load_wide(values + u * W, left - u * W), sums[u]);
    }
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) store_wide(out + u * W, sums[u] * V(f), left - u * W);
  }

  void run(int64_t batch, int64_t head) {
    const int64_t kv_head = head / (a.heads / a.kv_heads), n = a.causal ? 1 : a.columns, row = batch * a.heads + head;
    const S* x = matrix<const S>(a.q, batch, head);
    const V scale(static_cast<T>(a.scale * kLog2OfE));
    for (int64_t p = 0; p < a.size; p += W) (load_wide(x + p, a.size - p) * scale).store(q.get() + p);
    T* const s = scores.get();
    score(matrix<const S>(a.k, batch, kv_head), n);
    if (a.mask) ScoreMask<T>(a, batch, head).add_to_row(s, 0, 0, n, V(T(1)));
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
    static_cast<T*>(a.lse)[row] = seen ? top + log2(V(total))[0] : -kHidden<T>;
    if (!seen) fill(s, n, T(0));
    if (a.dropout > 0) {
      dropout.draw(a.seed, row, 0, n, drawn.get());
      for (int64_t p = 0; p < n; p += W) (V::load(s + p) * V::load(drawn.get() + p)).store(s + p);
    }
    const S* values = matrix<const S>(a.v, batch, kv_head);
    S* out = matrix<S>(a.out, batch, head);
    for (int64_t j = 0; j < a.v_size; j += 4 * W) {
      const int64_t left = a.v_size - j;
      const auto go = [&]<int U>() { add_up<U>(values + j, n, 1 / total, out + j, left); };
      if (left > 3 * W)
        go.template operator()<4>();
      else if (left > 2 * W)
        go.template operator()<3>();
      else if (left > W)
        go.template operator()<2>();
      else
        go.template operator()<1>();
    }
  }
};

template <class S>
void attend_rows(const TiledAttentionArgs& a) {
  const double ns = static_cast<double>(a.columns) * static_cast<double>(a.size + a.v_size + 16) / 20;
  parallel_for(0, a.batch * a.heads, grain_for(ns), [&](int64_t begin, int64_t end) {
    AttentionRow<S> task{a};
    for (int64_t i = begin; i < end; ++i) task.run(i / a.heads, i % a.heads);
  });
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
