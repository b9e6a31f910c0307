// attention_backward.cpp -- the gradients of tiled attention, see kernels/attention_tiles.h. By blocks of keys, inside
// by blocks of queries, with the weights p computed anew and d the factors of dropout (1 without):
//
//   p = 2^(s - lse)    dv += (p d)^T dout    ds = p (d (dout v^T) - rowsum(dout out))    dq += ds k    dk += ds^T q
//
// A task has some blocks of the keys of one head and all queries that see them. Where there are few heads, several
// tasks share one, each with its own dq, which are then added in order: so the bits depend on the sizes alone.
#include "kernels/cpu/attention_tiles.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class T>
struct AttentionBackward {
  using V = Vec<T>;
  using Tile = AttentionTile<T>;
  static constexpr int W = V::kSize;
  static constexpr int64_t MR = Tile::MR, NR = Tile::NR, kBlock = Tile::kBlock, kSliver = Tile::kSliver;
  static constexpr int64_t kQueries = kBlock / 2;

  const TiledAttentionArgs& a;
  int64_t shares = a.heads / a.kv_heads, queries = min_of(kQueries, round_up(a.rows, MR));
  int64_t keys = min_of(kBlock, round_up(round_up(a.columns, NR), MR));
  int64_t width = round_up(a.size, W), v_width = round_up(a.v_size, W);
  Dropout<T> dropout{a.dropout};
  // Blocks of q and dout, of k and v: as slivers and as rows.
  Scratch<T> q{queries / MR * kSliver * a.size + W}, dout{queries / MR * kSliver * a.v_size + W};
  Scratch<T> q_rows{queries * width}, dout_rows{queries * v_width};
  Scratch<T> k{keys * a.size + W}, v{keys * a.v_size + W}, k_rows{keys * width};
  Scratch<T> dk{round_up(keys, MR) * width}, dv{round_up(keys, MR) * v_width};
  Scratch<T> p{queries * kBlock}, ds{queries * kBlock}, drawn{kBlock};
  Scratch<T> inner{round_up(shares * a.rows, W)};  // rowsum(dout out)

  explicit AttentionBackward(const TiledAttentionArgs& args) : a(args) {}

  // One row of p and ds in place: p holds s, ds holds dout v^T. Hidden from `seen` on; columns up to `to` get zeros.
  void weigh(T* s, T* d, int64_t seen, int64_t to, T lse, T sum, const T* factors) {
    fill(s + seen, to - seen, kHidden<T>);
    const V l(lse), inside(sum);
    for (int64_t i = 0; i < to; i += W) {
      const V e = exp2_below(V::load(s + i) - l);
      V g = V::load(d + i), weight = e;
      if (factors) {
        const V f = V::load(factors + i);
        g *= f;
        weight *= f;
      }
      V x = e * (g - inside);
      if (i + W > seen) x = select(V::iota(static_cast<T>(i)) < V(static_cast<T>(seen)), x, V(T(0)));
      weight.store(s + i);
      x.store(d + i);
    }
  }

  void block_of_queries(int64_t batch, int64_t head, int64_t share, int64_t k0, int64_t nk, int64_t q0, bool first,
                        T* dq) {
    const int64_t rows = min_of(queries, a.rows - q0), matrix_row = (batch * a.heads + head) * a.rows;
    const T* x = matrix<const T>(a.q, batch, head) + q0 * a.q.row;
    const T* g = matrix<const T>(a.dout, batch, head) + q0 * a.dout.row;
    const T* lse = static_cast<const T*>(a.lse) + matrix_row;
    pack_rows(x, a.q.row, rows, a.size, q.get());
    scale_all(q.get(), ceil_div(rows, MR) * kSliver * a.size, static_cast<T>(a.scale * kLog2OfE));
    pack_rows(g, a.dout.row, rows, a.v_size, dout.get());
    copy_rows(x, a.q.row, rows, a.size, q_rows.get(), width);
    copy_rows(g, a.dout.row, rows, a.v_size, dout_rows.get(), v_width);
    for (int64_t i = 0; i < rows; i += MR) {
      const int64_t here = min_of(MR, rows - i), n = a.causal ? min_of(nk, q0 + i + here - k0) : nk;
      T *s = p.get() + i * kBlock, *d = ds.get() + i * kBlock;
      for (int64_t j = 0; j < n; j += NR) {
        run_tile<T, false>(here, 2,
                           {a.size, q.get() + i / MR * kSliver * a.size, kSliver, k.get() + j * a.size, NR, s + j,
                            kBlock, Into::Set, nullptr});
        run_tile<T, false>(here, 2,
                           {a.v_size, dout.get() + i / MR * kSliver * a.v_size, kSliver, v.get() + j * a.v_size, NR,
                            d + j, kBlock, Into::Set, nullptr});
      }
      // A tile of dk and dv reads whole tiles of columns.
      const int64_t to = min_of(kBlock, round_up(n + MR, W));
      for (int64_t r = 0; r < here; ++r) {
        const int64_t row = q0 + i + r, seen = a.causal ? max_of<int64_t>(0, min_of(n, row + 1 - k0)) : n;
        if (a.mask) add_mask(a, batch, head, row, k0, s + r * kBlock, seen);
        if (a.dropout > 0) dropout.draw(a.seed, matrix_row + row, k0, to, drawn.get());
        weigh(s + r * kBlock, d + r * kBlock, seen, to, lse[row], inner[share * a.rows + row],
              a.dropout > 0 ? drawn.get() : nullptr);
      }
      attention_row<T, true>(
          here, width,
          {n, d, 1, k_rows.get(), width, dq + (q0 + i) * width, width, first ? Into::Set : Into::Add, nullptr});
    }
    for (int64_t j = 0; j < nk; j += MR) {
      const int64_t here = min_of(MR, nk - j), from = a.causal ? max_of<int64_t>(0, k0 + j - q0) : 0;
      if (from >= rows) break;
      attention_row<T, false>(here, v_width,
                              {rows - from, p.get() + from * kBlock + j, kBlock, dout_rows.get() + from * v_width,
                               v_width, dv.get() + j * v_width, v_width, Into::Add, nullptr});
      attention_row<T, false>(here, width,
                              {rows - from, ds.get() + from * kBlock + j, kBlock, q_rows.get() + from * width, width,
                               dk.get() + j * width, width, Into::Add, nullptr});
    }
  }

  // Keys [begin, end) of a head of k and v; dq: [shares, rows padded, width].
  void run(int64_t batch, int64_t kv_head, int64_t begin, int64_t end, T* dq, int64_t dq_head) {
    for (int64_t share = 0; share < shares; ++share) {
      const int64_t head = kv_head * shares + share;
      const T *o = matrix<const T>(a.out, batch, head), *g = matrix<const T>(a.dout, batch, head);
      for (int64_t r = a.causal ? begin : 0; r < a.rows; ++r) {
        V sum(T(0));
        for (int64_t i = 0; i < a.v_size; i += W)
          sum = fma(V::load(o + r * a.out.row + i, a.v_size - i), V::load(g + r * a.dout.row + i, a.v_size - i), sum);
        inner[share * a.rows + r] = reduce_add(sum);
      }
    }
    for (int64_t k0 = begin; k0 < end; k0 += kBlock) {
      const int64_t nk = min_of(kBlock, end - k0);
      const T* x = matrix<const T>(a.k, batch, kv_head) + k0 * a.k.row;
      pack_transposed(x, a.k.row, nk, a.size, k.get());
      pack_transposed(matrix<const T>(a.v, batch, kv_head) + k0 * a.v.row, a.v.row, nk, a.v_size, v.get());
      copy_rows(x, a.k.row, nk, a.size, k_rows.get(), width);
      fill(dk.get(), round_up(nk, MR) * width, T(0));
      fill(dv.get(), round_up(nk, MR) * v_width, T(0));
      for (int64_t share = 0; share < shares; ++share)
        for (int64_t q0 = a.causal ? k0 : 0; q0 < a.rows; q0 += queries)
          block_of_queries(batch, kv_head * shares + share, share, k0, nk, q0, k0 == begin, dq + share * dq_head);
      put(dk.get(), width, a.dk, batch, kv_head, k0, nk, a.size, static_cast<T>(a.scale));
      put(dv.get(), v_width, a.dv, batch, kv_head, k0, nk, a.v_size, T(1));
    }
  }

  static void put(const T* x, int64_t x_width, const AttentionOperand& to, int64_t batch, int64_t head, int64_t row,
                  int64_t rows, int64_t n, T f) {
    T* y = matrix<T>(to, batch, head) + row * to.row;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < n; i += W) (V::load(x + r * x_width + i) * V(f)).store(y + r * to.row + i, n - i);
  }
};

template <class T>
void backward(const TiledAttentionArgs& a) {
  using V = Vec<T>;
  using Task = AttentionBackward<T>;
  constexpr int64_t kBlock = Task::kBlock, MR = Task::MR, W = V::kSize, kTasks = 16;
  const int64_t blocks = ceil_div(a.columns, kBlock), heads = a.batch * a.kv_heads, shares = a.heads / a.kv_heads;
  const int64_t each = ceil_div(blocks, min_of(blocks, ceil_div(kTasks, heads))), chunks = ceil_div(blocks, each);
  const int64_t width = round_up(a.size, W), dq_head = (a.rows + MR) * width, dq_task = shares * dq_head;
  const double ns = static_cast<double>(min_of(a.columns, each * kBlock) * (a.causal ? 1 : 2)) *
                    static_cast<double>(a.rows * shares) * static_cast<double>(a.size + a.v_size + 30) / 35;

  // dq of the rows that see the chunk's keys; causal: the first ones do not.
  const auto add_up = [&](const T* dq, int64_t batch, int64_t head, int64_t row) {
    const V f(static_cast<T>(a.scale));
    T* y = matrix<T>(a.dq, batch, head) + row * a.dq.row;
    const int64_t seen = a.causal ? min_of(chunks, row / (each * kBlock) + 1) : chunks;
    for (int64_t i = 0; i < a.size; i += W) {
      V sum = V::load(dq + row * width + i);
      for (int64_t c = 1; c < seen; ++c) sum += V::load(dq + c * dq_task + row * width + i);
      (sum * f).store(y + i, a.size - i);
    }
  };
  const Scratch<T> shared(chunks > 1 ? heads * chunks * dq_task : 0);
  parallel_for(0, heads * chunks, grain_for(ns), [&](int64_t begin, int64_t end) {
    Task task(a);
    const Scratch<T> own(chunks > 1 ? 0 : dq_task);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t c = i % chunks, m = i / chunks, batch = m / a.kv_heads, kv_head = m % a.kv_heads;
      T* dq = chunks > 1 ? shared.get() + i * dq_task : own.get();
      task.run(batch, kv_head, c * each * kBlock, min_of(a.columns, (c + 1) * each * kBlock), dq, dq_head);
      if (chunks == 1)
        for (int64_t share = 0; share < shares; ++share)
          for (int64_t r = 0; r < a.rows; ++r) add_up(dq + share * dq_head, batch, kv_head * shares + share, r);
    }
  });
  if (chunks == 1) return;
  parallel_for(0, a.batch * a.heads * a.rows, grain_for(static_cast<double>(width * chunks) / 8 + 10),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   const int64_t m = i / a.rows, batch = m / a.heads, head = m % a.heads;
                   const int64_t first = (batch * a.kv_heads + head / shares) * chunks;
                   add_up(shared.get() + first * dq_task + head % shares * dq_head, batch, head, i % a.rows);
                 }
               });
}

}  // namespace

void tiled_attention_backward(const TiledAttentionArgs& a) {
  if (a.dtype == DType::Float32) return backward<float>(a);
  if (a.dtype == DType::Float64) return backward<double>(a);
  no_loop("scaled_dot_product_attention", a.dtype);
}

}  // namespace PYNN_CPU_NAMESPACE
