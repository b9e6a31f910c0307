// recurrent_sequence.cpp -- the steps of a recurrent layer. The weights are packed once; a tile of a step is the
// product of some rows of the state with the weights of some units, all gates of a unit together, and the gates
// themselves while the product is in registers. Backward: the gates of a step, then the product of their gradients.
//
// Parallel over rows of the batch, which never wait for each other; over units, step by step, where rows are too few. A
// sum runs over the state in order either way, so the bits do not depend on the threads. Accumulates in the dtype.
#include "kernels/recurrent_sequence.h"

#include "core/parallel.h"
#include "kernels/cpu/gemm_pack.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec_math.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

using Cell = RecurrentCell;

constexpr int gates_of(Cell c) { return c == Cell::Lstm ? 4 : c == Cell::Gru ? 3 : 1; }
// Vectors of a tile: the gates of one vector of units, or several vectors of units.
constexpr int kVectors = 4;
constexpr int vectors_of(Cell c) { return gates_of(c) > 1 ? gates_of(c) : kVectors; }
// Rows of a tile, so that rows * vectors accumulators leave registers for the operands.
#if defined(PYNN_ISA_AVX512) || defined(PYNN_ISA_NEON)
constexpr int most_rows(int vectors) { return vectors == 3 ? 8 : 6; }
#else
constexpr int most_rows(int vectors) { return vectors == 3 ? 4 : 3; }
#endif

// acc[i][v] += sum_p a[i, p] * b[v][p], b[v] a sliver of one vector per p.
template <class T, int R, int NV>
PYNN_INLINE void accumulate(Vec<T> (&acc)[R][NV], int64_t k, const T* a, int64_t a_rs, const T* const (&b)[NV]) {
  constexpr int W = Vec<T>::kSize;
  for (int64_t p = 0; p < k; ++p) {
    Vec<T> w[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) keep(w[v] = Vec<T>::load(b[v] + p * W));
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) {
      const Vec<T> x(a[i * a_rs + p]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) acc[i][v] = fma(x, w[v], acc[i][v]);
    }
  }
}
// sums[i * NV + v] = a b, or two products one after the other.
template <class T, int R, int NV>
void product(Vec<T>* sums, int64_t k, const T* a, int64_t a_rs, const T* const (&b)[NV], int64_t k2 = 0,
             const T* a2 = nullptr, int64_t a2_rs = 0) {
  constexpr int W = Vec<T>::kSize;
  Vec<T> acc[R][NV];
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) acc[i][v] = Vec<T>(T(0));
  accumulate<T, R, NV>(acc, k, a, a_rs, b);
  if (k2) {
    const T* rest[NV];
    for (int v = 0; v < NV; ++v) rest[v] = b[v] + k * W;
    accumulate<T, R, NV>(acc, k2, a2, a2_rs, rest);
  }
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) sums[i * NV + v] = acc[i][v];
}
template <class T, int NV, class... A>
PYNN_INLINE void product_of(int64_t rows, Vec<T>* sums, const A&... args) {
  switch (rows) {
    case 1:
      return product<T, 1, NV>(sums, args...);
    case 2:
      return product<T, 2, NV>(sums, args...);
    case 3:
      return product<T, 3, NV>(sums, args...);
    case 4:
      if constexpr (most_rows(NV) >= 4) return product<T, 4, NV>(sums, args...);
      break;
    case 5:
      if constexpr (most_rows(NV) >= 5) return product<T, 5, NV>(sums, args...);
      break;
    case 6:
      if constexpr (most_rows(NV) >= 6) return product<T, 6, NV>(sums, args...);
      break;
    case 7:
      if constexpr (most_rows(NV) >= 7) return product<T, 7, NV>(sums, args...);
      break;
    case 8:
      if constexpr (most_rows(NV) >= 8) return product<T, 8, NV>(sums, args...);
      break;
    default:
      break;
  }
}
// f(first, rows) for tiles of about equal height.
template <class F>
PYNN_INLINE void for_tiles(int64_t begin, int64_t end, int64_t most, F f) {
  for (int64_t left = ceil_div(end - begin, most); begin < end; --left) {
    const int64_t rows = ceil_div(end - begin, left);
    f(begin, rows);
    begin += rows;
  }
}

template <class T, Cell cell>
struct Sequence {
  using V = Vec<T>;
  static constexpr int W = V::kSize, kGates = gates_of(cell), NV = vectors_of(cell);

  const SequenceArgs& a;
  bool forward;
  int64_t n = a.n, batch = a.sizes[0], blocks = ceil_div(n, W);
  Scratch<T> weights{kGates * (forward ? blocks * n : n * blocks) * W + W};
  Scratch<T> h{batch * n}, c{cell == Cell::Lstm ? batch * n : 0};  // state, or its gradient
  Scratch<int64_t> at{a.steps};                                    // first row of each step

  Sequence(const SequenceArgs& args, bool is_forward) : a(args), forward(is_forward) {
    for (int64_t t = 0, row = 0; t < a.steps; row += a.sizes[t++]) at[t] = row;
  }

  template <class P>
  static T* as(P* p) {
    return static_cast<T*>(const_cast<void*>(static_cast<const void*>(p)));
  }
  static void copy(const void* x, T* y, int64_t count) {
    if (x)
      __builtin_memcpy(y, x, static_cast<size_t>(count) * sizeof(T));
    else
      __builtin_memset(y, 0, static_cast<size_t>(count) * sizeof(T));
  }
  // What row r had before step t: in `all` if a step came before, else in `first`.
  const T* before(const void* all, const void* first, int64_t t, int64_t r) const {
    const int64_t s = a.reverse ? t + 1 : t - 1;
    if (s < 0 || s >= a.steps || r >= a.sizes[s]) return as(first) + r * n;
    return as(all) + (at[s] + r) * n;
  }

  // run(r0, r1) over rows. Few rows are taken all at once, and steps share the units of each step.
  template <class F>
  void over_rows(F run) {
    const double ns = static_cast<double>(a.total) * static_cast<double>(n * kGates * n) / 40;
    const int64_t threads = num_threads(), each = ceil_div(batch, threads);
    if (threads > 1 && each >= 4 && ns > 2 * kForkCost)
      parallel_for(0, batch, each, run);
    else
      run(int64_t(0), batch);
  }
  template <class F>
  void over_units(int64_t rows, int64_t groups, int64_t units, F f) {
    const double ns = static_cast<double>(rows * units) * static_cast<double>(kGates * n) / 40;
    parallel_for(0, groups, grain_for(ns), f);
  }

  // ---- forward

  void pack_forward() {  // [gate, block of units][n][W]
    parallel_for(0, kGates * blocks, grain_for(static_cast<double>(n * W) / 4), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t gate = i / blocks, unit = i % blocks * W;
        pack_sliver<T, W>(as(a.w_hh) + (gate * n + unit) * n, n, 1, min_of<int64_t>(W, n - unit), n,
                          weights.get() + i * n * W);
      }
    });
  }

  // One row of a tile: units from `unit` on, of which `left` exist.
  PYNN_INLINE void gates(const V* sums, int64_t row, int64_t r, int64_t unit, int64_t left) {
    T* x = as(a.gates) + row * kGates * n + unit;
    T* out = as(a.out) + row * n + unit;
    if constexpr (cell == Cell::Lstm) {
      const V in = sigmoid(sums[0] + V::load(x, left)), forget = sigmoid(sums[1] + V::load(x + n, left));
      const V g = tanh(sums[2] + V::load(x + 2 * n, left)), o = sigmoid(sums[3] + V::load(x + 3 * n, left));
      T* state = c.get() + r * n + unit;
      const V now = fma(forget, V::load(state, left), in * g);
      now.store(state, left);
      if (a.cells) {
        now.store(as(a.cells) + row * n + unit, left);
        in.store(x, left);
        forget.store(x + n, left);
        g.store(x + 2 * n, left);
        o.store(x + 3 * n, left);
      }
      (o * tanh(now)).store(out, left);
    } else if constexpr (cell == Cell::Gru) {
      const V reset = sigmoid(sums[0] + V::load(x, left)), keep = sigmoid(sums[1] + V::load(x + n, left));
      const V hn = a.b_hn ? sums[2] + V::load(as(a.b_hn) + unit, left) : sums[2];
      const V fresh = tanh(fma(reset, hn, V::load(x + 2 * n, left)));
      if (a.hn) {
        reset.store(x, left);
        keep.store(x + n, left);
        fresh.store(x + 2 * n, left);
        hn.store(as(a.hn) + row * n + unit, left);
      }
      fma(keep, V::load(h.get() + r * n + unit, left) - fresh, fresh).store(out, left);
    } else {
      for (int v = 0; v < NV && left > 0; ++v, left -= W, x += W, out += W) {
        const V y = sums[v] + V::load(x, left);
        (cell == Cell::Tanh ? tanh(y) : max(V(T(0)), y)).store(out, left);
      }
    }
  }

  void steps_forward(int64_t r0, int64_t r1) {
    constexpr int64_t kEach = cell == Cell::Lstm || cell == Cell::Gru ? 1 : NV;  // blocks of units of a tile
    for (int64_t k = 0; k < a.steps; ++k) {
      const int64_t t = a.reverse ? a.steps - 1 - k : k, end = min_of(r1, a.sizes[t]);
      if (r0 >= end) continue;
      over_units(end - r0, ceil_div(blocks, kEach), kEach * W, [&](int64_t first, int64_t last) {
        for (int64_t g = first; g < last; ++g) {
          const T* b[NV];
          for (int v = 0; v < NV; ++v) {
            const int64_t block = kGates > 1 ? v * blocks + g : min_of(blocks - 1, g * kEach + v);
            b[v] = weights.get() + block * n * W;
          }
          const int64_t unit = g * kEach * W;
          for_tiles(r0, end, most_rows(NV), [&](int64_t r, int64_t rows) {
            V sums[most_rows(NV) * NV];
            product_of<T, NV>(rows, sums, n, static_cast<const T*>(h.get() + r * n), n, b);
            for (int64_t i = 0; i < rows; ++i) gates(sums + i * NV, at[t] + r + i, r + i, unit, n - unit);
          });
        }
      });
      copy(as(a.out) + (at[t] + r0) * n, h.get() + r0 * n, (end - r0) * n);
    }
  }

  void run_forward() {
    pack_forward();
    copy(a.h0, h.get(), batch * n);
    if constexpr (cell == Cell::Lstm) copy(a.c0, c.get(), batch * n);
    over_rows([&](int64_t r0, int64_t r1) { steps_forward(r0, r1); });
    copy(h.get(), as(a.h_last), batch * n);
    if constexpr (cell == Cell::Lstm) copy(c.get(), as(a.c_last), batch * n);
  }

  // ---- backward

  void pack_backward() {  // [block of units][gates n][W]
    const int64_t k = kGates * n;
    parallel_for(0, blocks, grain_for(static_cast<double>(k * W) / 8), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        pack_sliver<T, W>(as(a.w_hh) + i * W, 1, n, min_of<int64_t>(W, n - i * W), k, weights.get() + i * k * W);
    });
  }
  static PYNN_INLINE V through_sigmoid(V g, V s) { return g * s * (V(T(1)) - s); }
  static PYNN_INLINE V through_tanh(V g, V t) { return g * (V(T(1)) - t * t); }

  // Gradients of the gates of row `row`, row r of the batch; h and c hold the gradients of the state after the step.
  // GRU: leaves in h what reaches the state before by the gate z.
  void gates_backward(int64_t t, int64_t r) {
    const int64_t row = at[t] + r;
    const T* s = as(a.gates) + row * kGates * n;
    T* d = as(a.dgates) + row * kGates * n;
    const T* out = as(a.out) + row * n;
    const T* dout = a.dout ? as(a.dout) + row * n : nullptr;
    T *dh = h.get() + r * n, *dc = c.get() + r * n;
    const T* c0 = cell == Cell::Lstm ? before(a.cells, a.c0, t, r) : nullptr;
    const T* h0 = cell == Cell::Gru ? before(a.out, a.h0, t, r) : nullptr;
    for (int64_t i = 0; i < n; i += W) {
      const int64_t left = n - i;
      V g = V::load(dh + i, left);
      if (dout) g += V::load(dout + i, left);
      if constexpr (cell == Cell::Lstm) {
        const V in = V::load(s + i, left), forget = V::load(s + n + i, left);
        const V fresh = V::load(s + 2 * n + i, left), o = V::load(s + 3 * n + i, left);
        const V now = tanh(V::load(as(a.cells) + row * n + i, left));
        const V dnow = V::load(dc + i, left) + through_tanh(g * o, now);
        through_sigmoid(dnow * fresh, in).store(d + i, left);
        through_sigmoid(dnow * V::load(c0 + i, left), forget).store(d + n + i, left);
        through_tanh(dnow * in, fresh).store(d + 2 * n + i, left);
        through_sigmoid(g * now, o).store(d + 3 * n + i, left);
        (dnow * forget).store(dc + i, left);
      } else if constexpr (cell == Cell::Gru) {
        const V reset = V::load(s + i, left), keep = V::load(s + n + i, left), fresh = V::load(s + 2 * n + i, left);
        const V hn = V::load(as(a.hn) + row * n + i, left);
        const V dfresh = through_tanh(g * (V(T(1)) - keep), fresh);
        through_sigmoid(dfresh * hn, reset).store(d + i, left);
        through_sigmoid(g * (V::load(h0 + i, left) - fresh), keep).store(d + n + i, left);
        dfresh.store(d + 2 * n + i, left);
        (dfresh * reset).store(as(a.dhn) + row * n + i, left);
        (g * keep).store(dh + i, left);
      } else {
        const V y = V::load(out + i, left);
        (cell == Cell::Tanh ? through_tanh(g, y) : select(y <= V(T(0)), V(T(0)), g)).store(d + i, left);
      }
    }
  }

  void steps_backward(int64_t r0, int64_t r1) {
    constexpr int64_t k1 = cell == Cell::Gru ? 2 : kGates;  // gates whose gradient for h is that for x
    for (int64_t k = 0; k < a.steps; ++k) {
      const int64_t t = a.reverse ? k : a.steps - 1 - k, end = min_of(r1, a.sizes[t]);
      if (r0 >= end) continue;
      parallel_for(r0, end, grain_for(static_cast<double>(n * (kGates + 2)) / 2), [&](int64_t first, int64_t last) {
        for (int64_t r = first; r < last; ++r) gates_backward(t, r);
      });
      over_units(end - r0, ceil_div(blocks, kVectors), kVectors * W, [&](int64_t first, int64_t last) {
        for (int64_t g = first; g < last; ++g) {
          const T* b[kVectors];
          for (int v = 0; v < kVectors; ++v)
            b[v] = weights.get() + min_of(blocks - 1, g * kVectors + v) * kGates * n * W;
          for_tiles(r0, end, most_rows(kVectors), [&](int64_t r, int64_t rows) {
            V sums[most_rows(kVectors) * kVectors];
            const T* d = as(a.dgates) + (at[t] + r) * kGates * n;
            const T* d2 = cell == Cell::Gru ? as(a.dhn) + (at[t] + r) * n : nullptr;
            product_of<T, kVectors>(rows, sums, k1 * n, d, kGates * n, b, (kGates - k1) * n, d2, n);
            for (int64_t i = 0; i < rows; ++i)
              for (int64_t v = 0, unit = g * kVectors * W; v < kVectors && unit < n; ++v, unit += W) {
                T* y = h.get() + (r + i) * n + unit;
                const V x = sums[i * kVectors + v];
                (cell == Cell::Gru ? x + V::load(y, n - unit) : x).store(y, n - unit);
              }
          });
        }
      });
    }
  }

  void run_backward() {
    pack_backward();
    copy(a.dh_last, h.get(), batch * n);
    if constexpr (cell == Cell::Lstm) copy(a.dc_last, c.get(), batch * n);
    over_rows([&](int64_t r0, int64_t r1) { steps_backward(r0, r1); });
    copy(h.get(), as(a.dh0), batch * n);
    if constexpr (cell == Cell::Lstm) copy(c.get(), as(a.dc0), batch * n);
  }
};

template <class T, Cell cell>
void run(const SequenceArgs& a, bool forward) {
  Sequence<T, cell> s(a, forward);
  forward ? s.run_forward() : s.run_backward();
}
template <class T>
void run(const SequenceArgs& a, bool forward) {
  switch (a.cell) {
    case Cell::Tanh:
      return run<T, Cell::Tanh>(a, forward);
    case Cell::Relu:
      return run<T, Cell::Relu>(a, forward);
    case Cell::Lstm:
      return run<T, Cell::Lstm>(a, forward);
    case Cell::Gru:
      return run<T, Cell::Gru>(a, forward);
  }
}
void run(const SequenceArgs& a, bool forward) {
  if (a.dtype == DType::Float32) return run<float>(a, forward);
  if (a.dtype == DType::Float64) return run<double>(a, forward);
  no_loop("recurrent layer", a.dtype);
}

}  // namespace

void recurrent_forward(const SequenceArgs& a) { run(a, true); }
void recurrent_backward(const SequenceArgs& a) { run(a, false); }

}  // namespace PYNN_CPU_NAMESPACE
