// attention_forward.cpp -- tiled attention, see kernels/attention_tiles.h. With s = log2(e) (scale q k^T + mask):
//
//   block of keys by block:  m' = max(m, max s), l' = 2^(m - m') l + sum 2^(s - m'), o' = 2^(m - m') o + 2^(s - m') v
//   at the end:              out = o / l, lse = m + log2(l)
//
// Parallel over blocks of queries; the order of sums depends on the sizes alone. A tile of scores (MR x kBlock) stays
// in L1, the blocks of k and v in L2.
#include "kernels/cpu/attention_tiles.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class T>
struct AttentionForward {
  using V = Vec<T>;
  using Tile = AttentionTile<T>;
  static constexpr int W = V::kSize;
  static constexpr int64_t MR = Tile::MR, NR = Tile::NR, kBlock = Tile::kBlock, kSliver = Tile::kSliver;

  const TiledAttentionArgs& a;
  int64_t block;  // most queries of a task
  int64_t width = round_up(a.v_size, W);
  Dropout<T> dropout{a.dropout};
  Scratch<T> q{round_up(block, MR) / MR * kSliver * a.size + W};
  Scratch<T> k{kBlock * a.size + W}, v{kBlock * width}, o{round_up(block, MR) * width};
  Scratch<T> top{round_up(block, MR)}, total{round_up(block, MR)}, scores{MR * kBlock}, drawn{kBlock};

  AttentionForward(const TiledAttentionArgs& args, int64_t queries) : a(args), block(queries) {}

  // Weights of a row from its scores; columns from `seen` to `n` are hidden, n is whole vectors.
  void weigh(T* s, int64_t seen, int64_t n, T* m, T* l, T* factor) {
    fill(s + seen, n - seen, kHidden<T>);
    V high(*m), high2(*m);
    int64_t i = 0;
    for (; i + 2 * W <= n; i += 2 * W) {
      high = max(high, V::load(s + i));
      high2 = max(high2, V::load(s + i + W));
    }
    for (; i < n; i += W) high = max(high, V::load(s + i));
    const T now = reduce_max(max(high, high2)), base = now == kHidden<T> ? T(0) : now;
    V sum(T(0)), sum2(T(0));
    const V b(base);
    for (i = 0; i + 2 * W <= n; i += 2 * W) {
      const V e = exp2_below(V::load(s + i) - b), e2 = exp2_below(V::load(s + i + W) - b);
      e.store(s + i);
      e2.store(s + i + W);
      sum += e;
      sum2 += e2;
    }
    for (; i < n; i += W) {
      const V e = exp2_below(V::load(s + i) - b);
      e.store(s + i);
      sum += e;
    }
    const T sums = reduce_add(sum + sum2);
    if (*m == kHidden<T>) {  // mostly the first block
      *factor = T(0), *l = sums;
    } else {
      *factor = exp2_below(V(*m - base))[0];
      *l = *l * *factor + sums;
    }
    *m = now;
  }

  // Scores of the first row with n keys where they are: a copy of the keys would cost more than it brings.
  void scores_of_row(const T* x, const T* keys, int64_t n) {
    for (int64_t j = 0; j < n; j += W) {
      V sums[W];
#pragma GCC unroll 16
      for (int l = 0; l < W; ++l) sums[l] = V(T(0));
      for (int64_t p = 0; p < a.size; p += W) {
        const V y = V::load(x + p, a.size - p);
#pragma GCC unroll 16
        for (int l = 0; l < W; ++l) {
          const T* key = keys + min_of(n - 1, j + l) * a.k.row + p;
          __builtin_prefetch(key + W * a.k.row);
          sums[l] = fma(y, V::load(key, a.size - p), sums[l]);
        }
      }
      reduce_add_each(sums).store(scores.get() + j);
    }
  }
  // A single query, as when a cache of keys grows step by step.
  void run_row(int64_t batch, int64_t head, int64_t row) {
    const int64_t shares = a.heads / a.kv_heads;
    copy_rows(matrix<const T>(a.q, batch, head) + row * a.q.row, a.q.row, 1, a.size, q.get(), round_up(a.size, W));
    scale_all(q.get(), round_up(a.size, W), static_cast<T>(a.scale * kLog2OfE));
    const T* keys = matrix<const T>(a.k, batch, head / shares);
    const T* values = matrix<const T>(a.v, batch, head / shares);
    const int64_t columns = a.causal ? min_of(a.columns, row + 1) : a.columns;
    top[0] = kHidden<T>, total[0] = T(0);
    for (int64_t k0 = 0; k0 < columns; k0 += kBlock) {
      const int64_t n = min_of(kBlock, columns - k0);
      scores_of_row(q.get(), keys + k0 * a.k.row, n);
      T factor;
      weights_of_row(batch, head, row, k0, scores.get(), n, n, top.get(), total.get(), &factor);
      const bool whole = width == a.v_size;  // else vectors would reach behind the last row
      if (!whole) copy_rows(values + k0 * a.v.row, a.v.row, n, a.v_size, v.get(), width);
      attention_row<T, true>(1, width,
                             {n, scores.get(), 1, whole ? values + k0 * a.v.row : v.get(), whole ? a.v.row : width,
                              o.get(), width, k0 ? Into::Scale : Into::Set, &factor});
    }
    finish(batch, head, row, 1);
  }

  // Mask, softmax and dropout of a row's scores with the keys from k0 on.
  void weights_of_row(int64_t batch, int64_t head, int64_t row, int64_t k0, T* s, int64_t seen, int64_t n, T* m, T* l,
                      T* factor) {
    if (a.mask) add_mask(a, batch, head, row, k0, s, seen);
    weigh(s, seen, round_up(n, W), m, l, factor);
    if (a.dropout > 0) {
      dropout.draw(a.seed, (batch * a.heads + head) * a.rows + row, k0, n, drawn.get());
      for (int64_t p = 0; p < n; p += W) (V::load(s + p) * V::load(drawn.get() + p)).store(s + p);
    }
  }

  // Rows of the results from the sums.
  void finish(int64_t batch, int64_t head, int64_t q0, int64_t rows) {
    T* out = matrix<T>(a.out, batch, head) + q0 * a.out.row;
    T* lse = static_cast<T*>(a.lse) + (batch * a.heads + head) * a.rows + q0;
    for (int64_t i = 0; i < rows; i += W) {
      const int64_t n = min_of<int64_t>(W, rows - i);
      const V sum = V::load(total.get() + i, n), none(T(0));
      select(sum == none, V(-kHidden<T>), V::load(top.get() + i, n) + log2(sum)).store(lse + i, n);
      select(sum == none, none, V(T(1)) / sum).store(total.get() + i, n);
    }
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t p = 0; p < a.v_size; p += W)
        (V::load(o.get() + i * width + p) * V(total[i])).store(out + i * a.out.row + p, a.v_size - p);
  }

  void run(int64_t batch, int64_t head, int64_t q0, int64_t rows) {
    if (rows == 1) return run_row(batch, head, q0);
    const int64_t shares = a.heads / a.kv_heads, size = a.size;
    pack_rows(matrix<const T>(a.q, batch, head) + q0 * a.q.row, a.q.row, rows, size, q.get());
    scale_all(q.get(), ceil_div(rows, MR) * kSliver * size, static_cast<T>(a.scale * kLog2OfE));
    fill(top.get(), round_up(rows, MR), kHidden<T>);
    fill(total.get(), round_up(rows, MR), T(0));
    const T* keys = matrix<const T>(a.k, batch, head / shares);
    const T* values = matrix<const T>(a.v, batch, head / shares);
    const int64_t columns = a.causal ? min_of(a.columns, q0 + rows) : a.columns;
    for (int64_t k0 = 0; k0 < columns; k0 += kBlock) {
      const int64_t nk = min_of(kBlock, columns - k0);
      pack_transposed(keys + k0 * a.k.row, a.k.row, nk, size, k.get());
      copy_rows(values + k0 * a.v.row, a.v.row, nk, a.v_size, v.get(), width);
      for (int64_t i = 0; i < rows; i += MR) {
        const int64_t here = min_of(MR, rows - i);
        const int64_t n = a.causal ? min_of(nk, q0 + i + here - k0) : nk;
        if (n <= 0) continue;
        for (int64_t j = 0; j < n; j += NR)
          run_tile<T, false>(here, 2,
                             {size, q.get() + i / MR * kSliver * size, kSliver, k.get() + j * size, NR,
                              scores.get() + j, kBlock, Into::Set, nullptr});
        alignas(64) T factors[MR] = {};
        for (int64_t r = 0; r < here; ++r) {
          T* s = scores.get() + r * kBlock;
          const int64_t row = q0 + i + r, seen = a.causal ? max_of<int64_t>(0, min_of(n, row + 1 - k0)) : n;
          weights_of_row(batch, head, row, k0, s, seen, n, top.get() + i + r, total.get() + i + r, factors + r);
        }
        attention_row<T, true>(
            here, width,
            {n, scores.get(), 1, v.get(), width, o.get() + i * width, width, k0 ? Into::Scale : Into::Set, factors});
      }
    }
    finish(batch, head, q0, rows);
  }
};

template <class T>
void forward(const TiledAttentionArgs& a) {
  constexpr int64_t MR = AttentionTile<T>::MR, kTasks = 16;
  int64_t block = min_of(32 * MR, round_up(a.rows, MR));
  while (block > 4 * MR && a.batch * a.heads * ceil_div(a.rows, block) < kTasks) block = round_up(block / 2, MR);
  const int64_t blocks = ceil_div(a.rows, block);
  const double columns = static_cast<double>(a.columns) * (a.causal ? 0.5 : 1);
  const double ns = static_cast<double>(block) * (columns + 16) * static_cast<double>(a.size + a.v_size + 40) / 40;
  parallel_for(0, a.batch * a.heads * blocks, grain_for(ns), [&](int64_t begin, int64_t end) {
    AttentionForward<T> task(a, block);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t q0 = i % blocks * block, m = i / blocks;
      task.run(m / a.heads, m % a.heads, q0, min_of(block, a.rows - q0));
    }
  });
}

template <class T>
void draw_dropout(T* out, int64_t rows, int64_t columns, double p, uint64_t seed) {
  const Dropout<T> dropout(p);
  parallel_for(0, rows, grain_for(static_cast<double>(columns)), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) dropout.draw(seed, r, 0, columns, out + r * columns);
  });
}

}  // namespace

void tiled_attention_forward(const TiledAttentionArgs& a) {
  if (a.dtype == DType::Float32) return forward<float>(a);
  if (a.dtype == DType::Float64) return forward<double>(a);
  no_loop("scaled_dot_product_attention", a.dtype);
}
void attention_dropout(void* out, DType dtype, int64_t rows, int64_t columns, double p, uint64_t seed) {
  if (dtype == DType::Float32) return draw_dropout(static_cast<float*>(out), rows, columns, p, seed);
  if (dtype == DType::Float64) return draw_dropout(static_cast<double*>(out), rows, columns, p, seed);
  no_loop("attention_dropout", dtype);
}

}  // namespace PYNN_CPU_NAMESPACE
