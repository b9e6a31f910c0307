// attention_backward.cpp -- the gradients of tiled attention, see kernels/attention_tiles.h, with the weights p
// computed anew and d the factors of dropout (1 without):
//
//   p = 2^(s - lse)    dv += (p d)^T dout    ds = p (d (dout v^T) - rowsum(dout out))    dq += ds k    dk += ds^T q
//
// Each lane is a key: s, p and ds lie as [queries][keys of a sliver], dk and dv as [elements][keys], and only dq's
// product sums over the keys, those of a few slivers at a time. A task has some slivers of one head and all queries
// that see them. Where there are few heads, several tasks share one, each with its own dq, which are then added in
// order: so the bits depend on the sizes alone.
#include "kernels/cpu/attention_amx_backward.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// The products by tiles of vectors.
template <class T>
class VectorGradients {
 public:
  static constexpr int64_t W = Vec<T>::kSize, kVectors = GemmBlocks::nv;
  static constexpr int64_t kSlivers = 4, kBlock = 128;  // of keys and queries that meet
  static constexpr int64_t kPair = 1, kRows = 2;        // see weigh_gradients(); queries come in multiples
  static constexpr int64_t kTogether = 1;               // vectors of keys that put() takes
  static constexpr bool kWhole = false;                 // slivers may have fewer vectors

  explicit VectorGradients(const TiledAttentionArgs& args) : a_(args) {}

  static int64_t padded(int64_t size) { return size; }                                  // elements of a key's gradients
  static int64_t dq_width(const TiledAttentionArgs& a) { return round_up(a.size, W); }  // of a query's
  static int64_t dq_at(const TiledAttentionArgs& a, int64_t row, int64_t i) { return row * dq_width(a) + i; }

  void start() {}
  static constexpr bool accurate() { return true; }  // since start()
  // Queries from `from` on are asked for.
  void take_head(const T* q, const T* dout, int64_t) { q_ = q, dout_ = dout; }
  // A sliver of keys that is the block's from key `at` on.
  void take_keys(const T* k, const T* v, int64_t rows, int64_t at, int64_t vectors) {
    pack_columns<T>(vectors, k, a_.k.row, 1, rows, a_.size, k_ + at * a_.size);
    pack_columns<T>(vectors, v, a_.v.row, 1, rows, a_.v_size, v_ + at * a_.v_size);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t p = 0; p < width_; p += W)
        Vec<T>::load(k + i * a_.k.row + p, a_.size - p).store(k_rows_ + (at + i) * width_ + p);
  }
  // q k^T and dout v^T of the queries q0 + [from, n) and a sliver, of which query q0 sees `seen` keys and each further
  // one another. They are asked for ahead, while another sliver's are in use.
  void ask_scores(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t) {}
  void scores(int64_t q0, int64_t from, int64_t n, int64_t at, int64_t vectors, int64_t seen) {
    const int64_t step = vectors * W;
    for (int64_t r = from; r < n; r += GemmBlocks::mr) {
      const int64_t rows = min_of<int64_t>(GemmBlocks::mr, n - r);
      const int64_t some = min_of(vectors, ceil_div(max_of<int64_t>(0, seen + r + rows - 1), W));
      attention_product(rows, some, a_.size, q_ + (q0 + r) * a_.q.row, a_.q.row, 1, k_ + at * a_.size, step, s(r),
                        kWidth, false);
      attention_product(rows, some, a_.v_size, dout_ + (q0 + r) * a_.dout.row, a_.dout.row, 1, v_ + at * a_.v_size,
                        step, ds(r, at), kKeys, false);
    }
  }
  T* s(int64_t row) { return s_ + row * kWidth; }
  const T* dp(int64_t row, int64_t at) { return ds(row, at); }
  static constexpr int64_t kWidth = kVectors * W, kKeys = kSlivers * kWidth;
  static constexpr int64_t kStep = kWidth, kDpStep = kKeys;  // from row to row
  // put(row, i, p, ds): of queries `row` and row + kPair and the sliver's keys from i on; they may take the place of s
  // and dp.
  auto put_at(int64_t, int64_t at) {
    return [p_to = s(0), ds_to = ds(0, at)](int64_t row, int64_t i, const Vec<T>(&p)[2][1], const Vec<T>(&ds)[2][1])
               __attribute__((always_inline)) {
#pragma GCC unroll 2
                 for (int64_t l = 0; l < 2; ++l) {
                   p[l][0].store(p_to + (row + l) * kWidth + i);
                   ds[l][0].store(ds_to + (row + l) * kKeys + i);
                 }
               };
  }
  PYNN_INLINE static void pass() {}  // between pieces of work
  // What the weights and ds bring is added at the latest in finish().
  void add_keys(int64_t q0, int64_t from, int64_t n, int64_t at, int64_t vectors, T* dk, T* dv) {
    const int64_t step = vectors * W, row = q0 + from;
    attention_product(a_.v_size, vectors, n - from, dout_ + row * a_.dout.row, 1, a_.dout.row, s(from), kWidth, dv,
                      step, true);
    attention_product(a_.size, vectors, n - from, q_ + row * a_.q.row, 1, a_.q.row, ds(from, at), kKeys, dk, step,
                      true);
    for (int64_t r = 0; r < from; ++r) fill(ds(r, at), step, T(0));
  }
  // Of the block's keys, of which query q0 sees `seen` and each further one another.
  void add_queries(int64_t q0, int64_t n, int64_t keys, int64_t seen, T* dq, bool add) {
    for (int64_t r = 0; r < n; r += GemmBlocks::mr) {
      const int64_t rows = min_of<int64_t>(GemmBlocks::mr, n - r), k = min_of(keys, seen + r + rows - 1);
      if (k > 0 || !add)
        attention_product(rows, width_ / W, max_of<int64_t>(0, k), ds(r, 0), kKeys, 1, k_rows_, width_,
                          dq + (q0 + r) * width_, width_, add);
    }
  }
  void finish() {}

 private:
  T* ds(int64_t row, int64_t at) { return ds_ + row * kKeys + at; }

  const TiledAttentionArgs& a_;
  const T *q_ = nullptr, *dout_ = nullptr;
  int64_t width_ = dq_width(a_);
  ScratchParts<T, 5> parts_{
      {kKeys * a_.size + W, kKeys * a_.v_size + W, kKeys * width_, kBlock * kWidth, kBlock * kKeys}};
  T *const k_ = parts_[0], *const v_ = parts_[1], *const k_rows_ = parts_[2];
  T *const s_ = parts_[3], *const ds_ = parts_[4];
};

// What a block's rows [from, n), zeros behind up to `to`, and a sliver bring, from s, which counts `unit` times, and
// dp: weights and ds. Query r sees seen + r of the sliver's keys; from and `to` are multiples of 2 kPair. drawn:
// factors of dropout, a row of which is as wide as s's.
template <class Products, class T, class Put>
[[gnu::noinline]] void weigh_gradients(const T* s, int64_t s_step, const T* dp, int64_t dp_step, int64_t from,
                                       int64_t n, int64_t to, int64_t width, int64_t seen, Vec<T> unit, const T* lse,
                                       const T* inner, const T* drawn, Products& products, Put put) {
  using V = Vec<T>;
  constexpr int64_t kPair = Products::kPair, kTogether = Products::kTogether;
  const V none(T(0));
  for (int64_t first = from; first < to; first += 2 * kPair)
    for (int64_t r = first; r < first + kPair; ++r)
      for (int64_t i = 0; i < width; i += kTogether * V::kSize) {
        V p[2][kTogether], d[2][kTogether];
#pragma GCC unroll 2
        for (int64_t l = 0; l < 2; ++l)
#pragma GCC unroll 2
          for (int64_t c = 0; c < kTogether; ++c) {
            const int64_t row = r + l * kPair, at = i + c * V::kSize;
            p[l][c] = d[l][c] = none;
            products.pass();
            if (row >= n) continue;
            // Never above 0, but for the rounding of large scores.
            const V e = exp2_below(min(none, V::load(s + row * s_step + at) * unit - V(lse[row])));
            V g = V::load(dp + row * dp_step + at), weight = e;
            if (drawn) {
              const V f = V::load(drawn + row * s_step + at);
              weight *= f, g *= f;
            }
            p[l][c] = weight, d[l][c] = e * (g - V(inner[row]));
            if (seen + row < width) {
              const auto visible = V::iota(static_cast<T>(at)) < V(static_cast<T>(seen + row));
              p[l][c] = select(visible, p[l][c], none), d[l][c] = select(visible, d[l][c], none);
            }
          }
        put(r, i, p, d);
      }
}

template <class S, class Products>
struct AttentionBackward {
  using T = Wide<S>;
  using V = Vec<T>;
  static constexpr int64_t W = V::kSize, N = Products::kVectors, kBlock = Products::kBlock;
  static constexpr int64_t kWidth = N * W;

  const TiledAttentionArgs& a;
  int64_t most;  // keys of a task
  int64_t size = Products::padded(a.size), v_size = Products::padded(a.v_size);
  bool scaled = a.mask || !(a.scale > 0);  // see AttentionForward
  V unit{static_cast<T>(scaled ? 1 : a.scale * kLog2OfE)};
  Products products{a};
  Dropout<T> dropout{a.dropout};
  ScratchParts<T, 4> parts{{most * size, most * v_size, round_up(a.rows, W), a.dropout > 0 ? kBlock * kWidth : 0}};
  T *const dk = parts[0], *const dv = parts[1], *const inner = parts[2],
           *const drawn = parts[3];  // inner: rowsum(dout out)

  // A sliver: its first key, and that in the task and in the block.
  struct Sliver {
    int64_t k0, task, block, vectors;
  };

  // Queries from q0 on, n of them, that meet a sliver from `from` on.
  struct Queries {
    int64_t q0, n;
  };
  int64_t seen(int64_t q0, const Sliver& t) const { return a.causal ? q0 + 1 - t.k0 : a.columns + kBlock; }
  int64_t first_of(const Queries& x, const Sliver& t) const {
    return min_of(x.n, max_of<int64_t>(0, 1 - seen(x.q0, t)) / Products::kRows * Products::kRows);
  }
  void ask_scores(const Queries& x, const Sliver& t) {
    products.ask_scores(x.q0, first_of(x, t), x.n, t.block, t.vectors, seen(x.q0, t));
  }

  void add_sliver(int64_t batch, int64_t head, const Queries& x, const Sliver& t) {
    const auto [q0, n] = x;
    const int64_t seen = this->seen(q0, t), from = first_of(x, t), width = t.vectors * W;
    const int64_t matrix_row = (batch * a.heads + head) * a.rows + q0;
    const V factor(static_cast<T>(a.scale * kLog2OfE));
    const ScoreMask<T> mask(a, batch, head);
    for (int64_t r = from; scaled && r < n; ++r) {
      T* s = products.s(r);
      if (a.mask)
        mask.add_to_row(s, q0 + r, t.k0, min_of(width, a.columns - t.k0), factor);
      else
        for (int64_t i = 0; i < width; i += W) (V::load(s + i) * factor).store(s + i);
    }
    for (int64_t r = from; a.dropout > 0 && r < n; ++r)
      dropout.draw(a.seed, matrix_row + r, t.k0, width, drawn + r * Products::kStep);
    weigh_gradients(products.s(0), Products::kStep, products.dp(0, t.block), Products::kDpStep, from, n,
                    round_up(n, Products::kRows), width, seen, unit, static_cast<const T*>(a.lse) + matrix_row,
                    inner + q0, a.dropout > 0 ? drawn : nullptr, products, products.put_at(q0, t.block));
    products.add_keys(q0, from, n, t.block, t.vectors, dk + t.task * size, dv + t.task * v_size);
  }

  // Slivers [begin, end) of a head of k and v, of which sliver i begins at vector(i); dq: `dq_head` elements a head.
  template <class Vector>
  void run(int64_t batch, int64_t kv_head, int64_t begin, int64_t end, const Vector& vector, T* dq, int64_t dq_head) {
    const int64_t shares = a.heads / a.kv_heads, first = vector(begin) * W;
    const S *k = matrix<const S>(a.k, batch, kv_head), *v = matrix<const S>(a.v, batch, kv_head);
    fill(dk, (vector(end) * W - first) * size, T(0));
    fill(dv, (vector(end) * W - first) * v_size, T(0));
    products.start();
    const auto sliver = [&](int64_t i, int64_t from) {
      const int64_t k0 = vector(i) * W;
      return Sliver{k0, k0 - first, k0 - vector(from) * W, vector(i + 1) - vector(i)};
    };
    for (int64_t share = 0; share < shares; ++share) {
      const int64_t head = kv_head * shares + share;
      const S *o = matrix<const S>(a.out, batch, head), *g = matrix<const S>(a.dout, batch, head);
      const int64_t some = a.causal ? min_of(first, a.rows) : 0;
      for (int64_t r = some; r < a.rows; ++r) {
        V sum(T(0));
        for (int64_t i = 0; i < a.v_size; i += W)
          sum =
              fma(load_wide(o + r * a.out.row + i, a.v_size - i), load_wide(g + r * a.dout.row + i, a.v_size - i), sum);
        inner[r] = reduce_add(sum);
      }
      products.take_head(matrix<const S>(a.q, batch, head), g, some / kBlock * kBlock);
      for (int64_t from = begin; from < end; from += Products::kSlivers) {
        const int64_t to = min_of(end, from + Products::kSlivers), k0 = vector(from) * W;
        for (int64_t i = from; i < to; ++i) {
          const Sliver t = sliver(i, from);
          products.take_keys(k + t.k0 * a.k.row, v + t.k0 * a.v.row, min_of(t.vectors * W, a.columns - t.k0), t.block,
                             t.vectors);
        }
        const auto queries = [&](int64_t q0) { return Queries{q0, min_of(kBlock, a.rows - q0)}; };
        const int64_t q_first = a.causal ? k0 / kBlock * kBlock : 0;
        if (q_first < a.rows) ask_scores(queries(q_first), sliver(from, from));
        products.finish();
        for (int64_t q0 = q_first; q0 < a.rows; q0 += kBlock) {
          const Queries x = queries(q0);
          for (int64_t i = from; i < to; ++i) {
            const Sliver t = sliver(i, from);
            products.scores(q0, first_of(x, t), x.n, t.block, t.vectors, seen(q0, t));
            if (i + 1 < to)
              ask_scores(x, sliver(i + 1, from));
            else if (q0 + kBlock < a.rows)
              ask_scores(queries(q0 + kBlock), sliver(from, from));
            add_sliver(batch, head, x, t);
          }
          products.add_queries(q0, x.n, min_of(vector(to) * W, a.columns) - k0,
                               a.causal ? q0 + 1 - k0 : a.columns + kBlock, dq + share * dq_head, from > begin);
        }
        products.finish();
      }
    }
    for (int64_t i = begin; i < end; ++i) {
      const Sliver t = sliver(i, begin);
      for (int64_t l = 0; l < t.vectors * W && t.k0 + l < a.columns; l += W) {
        const int64_t rows = min_of(W, a.columns - t.k0 - l), step = t.vectors * W;
        store_columns(dk + t.task * size + l, step, a.size, V(static_cast<T>(a.scale)),
                      matrix<S>(a.dk, batch, kv_head) + (t.k0 + l) * a.dk.row, a.dk.row, rows);
        store_columns(dv + t.task * v_size + l, step, a.v_size, V(T(1)),
                      matrix<S>(a.dv, batch, kv_head) + (t.k0 + l) * a.dv.row, a.dv.row, rows);
      }
    }
  }
};

// Whether the results are accurate.
template <class S, class Products>
bool backward(const TiledAttentionArgs& a) {
  using Task = AttentionBackward<S, Products>;
  using T = Wide<S>;
  using V = Vec<T>;
  constexpr int64_t W = V::kSize, N = Products::kVectors, kTasks = 16;
  const int64_t slivers = ceil_div(a.columns, N * W), vectors = Products::kWhole ? slivers * N : ceil_div(a.columns, W);
  const auto vector = [=](int64_t sliver) { return vectors * sliver / slivers; };
  const int64_t heads = a.batch * a.kv_heads, shares = a.heads / a.kv_heads;
  const int64_t chunks = min_of(ceil_div(slivers, Products::kSlivers), ceil_div(kTasks, heads));  // of a head
  const auto border = [=](int64_t chunk) { return slivers * chunk / chunks; };
  const int64_t dq_head = round_up(a.rows, Products::kBlock) * Products::dq_width(a), dq_task = shares * dq_head;
  const double ns = static_cast<double>(a.columns) / static_cast<double>(chunks * (a.causal ? 2 : 1)) *
                    static_cast<double>(a.rows * shares) * static_cast<double>(a.size + a.v_size + 30) / 35;

  // dq of the rows that see a chunk's keys; causal: the first ones do not.
  const auto add_up = [&](const T* dq, int64_t batch, int64_t head, int64_t row) {
    const V f(static_cast<T>(a.scale));
    S* y = matrix<S>(a.dq, batch, head) + row * a.dq.row;
    int64_t seen = chunks;
    while (a.causal && seen > 1 && vector(border(seen - 1)) * W > row) --seen;
    for (int64_t i = 0; i < a.size; i += W) {
      const T* x = dq + Products::dq_at(a, row, i);
      V sum = V::load(x);
      for (int64_t c = 1; c < seen; ++c) sum += V::load(x + c * dq_task);
      store_wide(y + i, sum * f, a.size - i);
    }
  };
  const Scratch<T> shared(chunks > 1 ? heads * chunks * dq_task : 0);
  bool accurate = true;
  parallel_for(0, heads * chunks, grain_for(ns), [&](int64_t begin, int64_t end) {
    Task task{a, (ceil_div(slivers, chunks)) * N * W};
    const Scratch<T> own(chunks > 1 ? 0 : dq_task);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t c = i % chunks, m = i / chunks, batch = m / a.kv_heads, kv_head = m % a.kv_heads;
      T* dq = chunks > 1 ? shared.get() + i * dq_task : own.get();
      task.run(batch, kv_head, border(c), border(c + 1), vector, dq, dq_head);
      if (!task.products.accurate()) __atomic_store_n(&accurate, false, __ATOMIC_RELAXED);
      if (chunks == 1)
        for (int64_t share = 0; share < shares; ++share)
          for (int64_t r = 0; r < a.rows; ++r) add_up(dq + share * dq_head, batch, kv_head * shares + share, r);
    }
  });
  if (chunks == 1 || !accurate) return accurate;
  parallel_for(0, a.batch * a.heads * a.rows, grain_for(static_cast<double>(a.size * chunks) / 8 + 10),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   const int64_t row = i % a.rows, m = i / a.rows, batch = m / a.heads, head = m % a.heads;
                   const int64_t task = (batch * a.kv_heads + head / shares) * chunks;
                   add_up(shared.get() + task * dq_task + head % shares * dq_head, batch, head, row);
                 }
               });
  return true;
}

}  // namespace

void tiled_attention_backward(const TiledAttentionArgs& a) {
  switch (a.dtype) {
    case DType::Float32:
#ifdef PYNN_VEC_DOT
      if (amx_takes(a) &&
          with_parts(a.parts, [&](auto parts) { return backward<float, AmxGradients<float, SplitSteps<parts>>>(a); }))
        return;
#endif
      backward<float, VectorGradients<float>>(a);
      return;
    case DType::Float64:
      backward<double, VectorGradients<double>>(a);
      return;
#ifdef PYNN_VEC_DOT
    case DType::BFloat16:
      if (!cpu_features().amx_bf16) break;
      backward<BFloat16, AmxGradients<BFloat16, Bf16Steps>>(a);
      return;
#endif
    default:
      break;
  }
  no_loop("scaled_dot_product_attention", a.dtype);
}

}  // namespace PYNN_CPU_NAMESPACE
