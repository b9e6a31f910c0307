// attention_forward.cpp -- tiled attention, see kernels/attention_tiles.h. With s = log2(e) (scale q k^T + mask):
//
//   block of keys by block:  m' = max(m, max s), l' = 2^(m - m') l + sum 2^(s - m'), o' = 2^(m - m') o + 2^(s - m') v
//   at the end:              out = o / l, lse = m + log2(l)
//
// Each lane is a query: scores, weights and o lie as [keys or elements][queries of a sliver], so that nothing is summed
// across lanes, and keys and values are read where they lie. Parallel over runs of slivers; the order of sums depends
// on the sizes alone. A block's scores stay in L1, its keys and values in L2.
#include "kernels/cpu/attention_amx.h"
#include "kernels/cpu/attention_row.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// The products by tiles of vectors.
template <class T>
class VectorProducts {
 public:
  static constexpr int64_t W = Vec<T>::kSize, kVectors = GemmBlocks::nv, kBlock = 128;  // of keys
  static constexpr int64_t kLeastSlivers = 1, kMostSlivers = 9;                         // of a task
  static constexpr int64_t kPair = 1, kKeys = 2;  // see weigh(); keys come in multiples
  static constexpr bool kWhole = false;           // slivers may have fewer vectors

  VectorProducts(const TiledAttentionArgs& args, int64_t queries)
      : a_(args), parts_({queries * args.size + W, kBlock * kVectors * W}) {}

  void start() {}
  static constexpr bool accurate() { return true; }  // since start()
  // Elements of a query's results, as add_values() writes them.
  static int64_t padded(int64_t v_size) { return v_size; }
  // A sliver that begins at query `at` of the task.
  void take_queries(const T* x, int64_t rows, int64_t at, int64_t vectors) {
    pack_columns<T>(vectors, x, a_.q.row, 1, rows, a_.size, q_ + at * a_.size);
  }
  void take_block(const T* keys, const T* values, int64_t) { keys_ = keys, values_ = values; }
  // s[key][query] of n keys, of which a causal sliver's first query sees `seen`, each further one another. They are
  // asked for ahead, while another sliver's are in use.
  void ask_scores(int64_t, int64_t, int64_t, int64_t) {}
  void scores(int64_t at, int64_t vectors, int64_t n, int64_t seen) {
    const T* q = q_ + at * a_.size;
    for (int64_t j = 0; j < n; j += GemmBlocks::mr) {
      const int64_t hidden = a_.causal && j >= seen ? (j - seen + 1) / W : 0;  // vectors
      attention_product(min_of<int64_t>(GemmBlocks::mr, n - j), vectors - hidden, a_.size, keys_ + j * a_.k.row,
                        a_.k.row, 1, q + hidden * W, vectors * W, s(j, vectors) + hidden * W, vectors * W, false);
    }
  }
  T* s(int64_t key, int64_t vectors) { return s_ + key * vectors * W; }
  // put(key, x, y): weights of keys `key` and key + kPair of the queries from `column` on of a sliver; they may take
  // the place of the scores.
  auto put_at(int64_t vectors, int64_t column) {
    return [to = s(0, vectors) + column, step = vectors * W](int64_t key, Vec<T> x, Vec<T> y)
               __attribute__((always_inline)) {
                 x.store(to + key * step);
                 y.store(to + (key + 1) * step);
               };
  }
  // o[element][query] (+)= the weights of n keys times their values, at the latest in finish().
  void add_values(int64_t vectors, int64_t n, T* o, bool add) {
    attention_product(a_.v_size, vectors, n, values_, 1, a_.v.row, s(0, vectors), vectors * W, o, vectors * W, add);
  }
  void finish() {}

 private:
  const TiledAttentionArgs& a_;
  const T *keys_ = nullptr, *values_ = nullptr;
  ScratchParts<T, 2> parts_;
  T *const q_ = parts_[0], *const s_ = parts_[1];
};

// Weights of n keys, zeros behind up to `to`, from their scores for one vector of queries, which lie `step` apart and
// count `unit` > 0 times; both are multiples of 2 kPair. drawn: factors of dropout. The sums so far are to be
// multiplied by `factor`. No part of its caller, so that what it keeps in registers stays there.
template <int64_t kPair, class T, class Put>
[[gnu::noinline]] void weigh(const T* s, int64_t step, int64_t n, int64_t to, Vec<T> unit, const T* drawn, T* top,
                             T* total, T* factor, Put put) {
  using V = Vec<T>;
  constexpr int64_t W = V::kSize;
  const V hidden(kHidden<T>), none(T(0)), before = V::load(top);
  V high = before, high2 = before;
  for (int64_t i = 0; i < n; i += 2) {
    high = max(high, V::load(s + i * step));
    high2 = max(high2, V::load(s + (i + 1) * step));
  }
  const V now = max(high, high2), base = select(now == hidden, none, now);
  V sum(T(0)), sum2(T(0));
  const auto weight = [&](int64_t key) __attribute__((always_inline)) {
    return exp2_below((V::load(s + key * step) - base) * unit);
  };
  for (int64_t first = 0; first < n; first += 2 * kPair)
    for (int64_t i = first; i < first + kPair; ++i) {
      V x = weight(i), y = weight(i + kPair);
      sum += x;
      sum2 += y;
      if (drawn) x *= V::load(drawn + i * W), y *= V::load(drawn + (i + kPair) * W);
      put(i, x, y);
    }
  for (int64_t first = n; first < to; first += 2 * kPair)
    for (int64_t i = first; i < first + kPair; ++i) put(i, none, none);
  const V f = select(before == hidden, none, exp2_below((before - base) * unit));
  f.store(factor);
  fma(V::load(total), f, sum + sum2).store(total);
  now.store(top);
}
// W columns of x [n][step] times f.
template <class T>
void scale_columns(T* x, int64_t step, int64_t n, Vec<T> f) {
  for (; n > 0; --n, x += step) (Vec<T>::load(x) * f).store(x);
}

template <class S, class Products>
struct AttentionForward {
  using T = Wide<S>;
  using V = Vec<T>;
  static constexpr int64_t W = V::kSize, kVectors = Products::kVectors, kBlock = Products::kBlock;

  const TiledAttentionArgs& a;
  int64_t most;  // vectors of a task
  int64_t size = Products::padded(a.v_size);
  // What a score counts as: its scale, unless that was multiplied in before.
  bool scaled = a.mask || !(a.scale > 0);
  V unit{static_cast<T>(scaled ? 1 : a.scale * kLog2OfE)};
  Products products{a, most * W};
  Dropout<T> dropout{a.dropout};
  ScratchParts<T, 4> parts{{most * W * size, most * W, most * W, a.dropout > 0 ? kBlock * W : 0}};
  T *const o = parts[0], *const top = parts[1], *const total = parts[2], *const drawn = parts[3];

  // A sliver that begins at query q0 of the head and `at` of the task.
  struct Sliver {
    int64_t q0, at, vectors;
  };
  // Keys of the block from k0 on that it sees.
  int64_t keys(const Sliver& t, int64_t k0) const {
    const int64_t n = min_of(kBlock, a.columns - k0);
    return a.causal ? min_of(n, t.q0 + t.vectors * W - k0) : n;
  }
  void ask_scores(const Sliver& t, int64_t k0) { products.ask_scores(t.at, t.vectors, keys(t, k0), t.q0 + 1 - k0); }

  void add_block(int64_t batch, int64_t head, const Sliver& t, int64_t k0, const Sliver* next) {
    const auto [q0, at, vectors] = t;
    const int64_t nk = min_of(kBlock, a.columns - k0), step = vectors * W, n = keys(t, k0);
    const ScoreMask<T> mask(a, batch, head);
    if (a.mask) mask.fetch(q0, min_of(step, a.rows - q0), k0, n);
    products.scores(at, vectors, n, q0 + 1 - k0);
    if (next) ask_scores(*next, k0);
    const V factor(static_cast<T>(a.scale * kLog2OfE));
    T* const sums = o + at * size;
    alignas(64) T past[kVectors * W];
    for (int64_t i = 0; i < step && q0 + i < a.rows; i += W) {
      T* const s = products.s(0, vectors) + i;
      const int64_t row = q0 + i, seen = a.causal ? max_of<int64_t>(0, min_of(nk, row + W - k0)) : nk;
      const int64_t end = round_up(seen, Products::kKeys);
      if (a.mask)
        mask.add_to_columns(s, step, row, min_of(W, a.rows - row), k0, seen, factor);
      else if (scaled)
        scale_columns(s, step, seen, factor);
      if (a.causal)
        for (int64_t key = max_of<int64_t>(0, row + 1 - k0); key < seen; ++key)
          select(V::iota(T(0)) < V(static_cast<T>(k0 + key - row)), V(kHidden<T>), V::load(s + key * step))
              .store(s + key * step);
      for (int64_t key = seen; key < end; ++key) V(kHidden<T>).store(s + key * step);
      if (a.dropout > 0) dropout.draw_columns(a.seed, (batch * a.heads + head) * a.rows + row, k0, end, drawn);
      weigh<Products::kPair>(s, step, end, n, unit, a.dropout > 0 ? drawn : nullptr, top + at + i, total + at + i,
                             past + i, products.put_at(vectors, i));
      if (k0) scale_columns(sums + i, step, a.v_size, V::load(past + i));
    }
    products.add_values(vectors, n, sums, k0 > 0);
  }

  // The results of one vector of queries.
  void finish(int64_t batch, int64_t head, int64_t row, const T* sums, int64_t step, const T* m, const T* l) {
    const int64_t rows = min_of(W, a.rows - row);
    const V sum = V::load(l), none(T(0)), nothing = V(-kHidden<T>);
    T* lse = static_cast<T*>(a.lse) + (batch * a.heads + head) * a.rows + row;
    select(sum == none, nothing, fma(V::load(m), unit, log2(sum))).store(lse, rows);
    store_columns(sums, step, a.v_size, select(sum == none, none, V(T(1)) / sum),
                  matrix<S>(a.out, batch, head) + row * a.out.row, a.out.row, rows);
  }

  // Slivers [begin, end) of the queries of a head, of which sliver i begins at vector(i).
  template <class Vector>
  void run(int64_t batch, int64_t head, int64_t begin, int64_t end, const Vector& vector) {
    const int64_t kv_head = head / (a.heads / a.kv_heads), first = vector(begin) * W, last = vector(end) * W;
    const S *x = matrix<const S>(a.q, batch, head), *keys = matrix<const S>(a.k, batch, kv_head);
    const S* values = matrix<const S>(a.v, batch, kv_head);
    const auto sliver = [&](int64_t i) {
      return Sliver{vector(i) * W, vector(i) * W - first, vector(i + 1) - vector(i)};
    };
    fill(top, last - first, kHidden<T>);
    fill(total, last - first, T(0));
    products.start();
    for (int64_t i = begin; i < end; ++i) {
      const auto [q0, at, vectors] = sliver(i);
      products.take_queries(x + q0 * a.q.row, min_of(vectors * W, a.rows - q0), at, vectors);
    }
    const int64_t columns = a.causal ? min_of(a.columns, last) : a.columns;
    int64_t from = begin;  // the slivers before see none of the block's keys
    for (int64_t k0 = 0; k0 < columns; k0 += kBlock) {
      products.take_block(keys + k0 * a.k.row, values + k0 * a.v.row, min_of(kBlock, columns - k0));
      while (this->keys(sliver(from), k0) <= 0) ++from;
      ask_scores(sliver(from), k0);
      products.finish();
      for (int64_t i = from; i < end; ++i) {
        const Sliver next = sliver(min_of(i + 1, end - 1));
        add_block(batch, head, sliver(i), k0, i + 1 < end ? &next : nullptr);
      }
      products.finish();
    }
    for (int64_t i = begin; i < end; ++i) {
      const auto [q0, at, vectors] = sliver(i);
      for (int64_t l = 0; l < vectors * W && q0 + l < a.rows; l += W)
        finish(batch, head, q0 + l, o + at * size + l, vectors * W, top + at + l, total + at + l);
    }
  }
};

// Whether the results are accurate.
template <class S, class Products>
bool forward(const TiledAttentionArgs& a) {
  using Task = AttentionForward<S, Products>;
  constexpr int64_t W = Task::W, N = Products::kVectors, kTasks = 16;
  // A head's slivers are as equally wide as can be.
  const int64_t slivers = ceil_div(a.rows, N * W), vectors = Products::kWhole ? slivers * N : ceil_div(a.rows, W);
  const auto vector = [=](int64_t sliver) { return vectors * sliver / slivers; };
  const int64_t wanted = max_of(ceil_div(slivers, Products::kMostSlivers), ceil_div(kTasks, a.batch * a.heads));
  const int64_t tasks = min_of(wanted, ceil_div(slivers, Products::kLeastSlivers)),
                most = ceil_div(slivers, tasks);  // of a head; slivers of one
  const double ns = static_cast<double>(most * N * W) * (static_cast<double>(a.columns) * (a.causal ? 0.5 : 1) + 16) *
                    static_cast<double>(a.size + a.v_size + 40) / 100;
  bool accurate = true;
  parallel_for(0, a.batch * a.heads * tasks, grain_for(ns), [&](int64_t begin, int64_t end) {
    Task task{a, most * N};
    for (int64_t i = begin; i < end; ++i) {
      const int64_t t = i % tasks, m = i / tasks;
      task.run(m / a.heads, m % a.heads, slivers * t / tasks, slivers * (t + 1) / tasks, vector);
      if (!task.products.accurate()) __atomic_store_n(&accurate, false, __ATOMIC_RELAXED);
    }
  });
  return accurate;
}

template <class T>
void draw_dropout(T* out, int64_t rows, int64_t columns, double p, uint64_t seed) {
  const Dropout<T> dropout(p);
  parallel_for(0, rows, grain_for(static_cast<double>(columns)), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) dropout.draw(seed, r, 0, columns, out + r * columns);
  });
}

// As many queries are faster one by one than as lanes, most of which stay empty.
template <class T>
bool few(int64_t rows) {
  return rows <= max_of<int64_t>(1, Vec<T>::kSize / 3);
}

}  // namespace

bool tiled_attention_takes(DType dtype, int64_t rows) {
  if (dtype == DType::Float32 || dtype == DType::Float64) return true;
#ifdef PYNN_VEC_DOT
  if (dtype == DType::BFloat16 && cpu_features().amx_bf16) return true;
#endif
  return few<float>(rows) && (dtype == DType::Float16 || dtype == DType::BFloat16);
}

void tiled_attention_forward(const TiledAttentionArgs& a) {
  const bool some = few<float>(a.rows);
  switch (a.dtype) {
    case DType::Float32:
      if (some) return attend_rows<float>(a);
#ifdef PYNN_VEC_DOT
      if (amx_takes(a) &&
          with_parts(a.parts, [&](auto parts) { return forward<float, AmxProducts<float, SplitSteps<parts>>>(a); }))
        return;
#endif
      forward<float, VectorProducts<float>>(a);
      return;
    case DType::Float64:
      if (few<double>(a.rows)) return attend_rows<double>(a);
      forward<double, VectorProducts<double>>(a);
      return;
    case DType::Float16:
      if (some) return attend_rows<Half>(a);
      break;
    case DType::BFloat16:
      if (some) return attend_rows<BFloat16>(a);
#ifdef PYNN_VEC_DOT
      forward<BFloat16, AmxProducts<BFloat16, Bf16Steps>>(a);
      return;
#endif
      break;
    default:
      break;
  }
  no_loop("scaled_dot_product_attention", a.dtype);
}
void attention_dropout(void* out, DType dtype, int64_t rows, int64_t columns, double p, uint64_t seed) {
  if (dtype == DType::Float32) return draw_dropout(static_cast<float*>(out), rows, columns, p, seed);
  if (dtype == DType::Float64) return draw_dropout(static_cast<double*>(out), rows, columns, p, seed);
  no_loop("attention_dropout", dtype);
}

}  // namespace PYNN_CPU_NAMESPACE
