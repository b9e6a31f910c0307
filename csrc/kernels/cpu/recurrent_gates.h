// recurrent_gates.h -- the gates of the steps of a recurrent layer (formulas in recurrent.h), for a vector of units at
// a time, and where the rows of a step lie. The products are another's: recurrent_sequence.cpp, recurrent_split.h.
#pragma once
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec_math.h"
#include "kernels/recurrent_sequence.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

using Cell = RecurrentCell;

constexpr int gates_of(Cell c) { return c == Cell::Lstm ? 4 : c == Cell::Gru ? 3 : 1; }

template <class T, Cell cell>
struct Gates {
  using V = Vec<T>;
  static constexpr int W = V::kSize, kGates = gates_of(cell);
  static constexpr int kFromX = cell == Cell::Gru ? 2 : kGates;  // gates whose gradient for h is that for x

  const SequenceArgs& a;
  const int64_t n = a.n, batch = a.sizes[0];
  const Scratch<int64_t> at{a.steps};                                    // first row of each step
  const Scratch<T> h{batch * n}, c{cell == Cell::Lstm ? batch * n : 0};  // state, or its gradient

  explicit Gates(const SequenceArgs& args) : a(args) {
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

  // Row r of step t, units from `unit` on, from the gates' products with the state. Updates c, not h.
  PYNN_INLINE void forward(const V* sums, int64_t t, int64_t r, int64_t unit) const {
    const int64_t row = at[t] + r, left = n - unit;
    T* x = as(a.gates) + row * kGates * n + unit;
    T* out = as(a.out) + row * n + unit;
    V sum[kGates];  // but the product of the GRU's last gate, which is multiplied first
#pragma GCC unroll 4
    for (int q = 0; q < kGates; ++q) {
      sum[q] = V::load(x + q * n, left);
      if (a.bias) sum[q] += V::load(as(a.bias) + q * n + unit, left);
      if (q < kFromX) sum[q] += sums[q];
    }
    if constexpr (cell == Cell::Lstm) {
      const V in = sigmoid(sum[0]), forget = sigmoid(sum[1]);
      const V g = tanh(sum[2]), o = sigmoid(sum[3]);
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
      const V reset = sigmoid(sum[0]), keep = sigmoid(sum[1]);
      const V hn = a.b_hn ? sums[2] + V::load(as(a.b_hn) + unit, left) : sums[2];
      const V fresh = tanh(fma(reset, hn, sum[2]));
      if (a.hn) {
        reset.store(x, left);
        keep.store(x + n, left);
        fresh.store(x + 2 * n, left);
        hn.store(as(a.hn) + row * n + unit, left);
      }
      fma(keep, V::load(before(a.out, a.h0, t, r) + unit, left) - fresh, fresh).store(out, left);
    } else {
      (cell == Cell::Tanh ? tanh(sum[0]) : max(V(T(0)), sum[0])).store(out, left);
    }
  }

  static PYNN_INLINE V through_sigmoid(V g, V s) { return g * s * (V(T(1)) - s); }
  static PYNN_INLINE V through_tanh(V g, V x) { return g * (V(T(1)) - x * x); }

  // Gradients of the gates of row r of step t, units [begin, end); h and c hold the gradients of the state after the
  // step. GRU: leaves in h what reaches the state before by the gate z.
  void backward(int64_t t, int64_t r, int64_t begin, int64_t end) const {
    const int64_t row = at[t] + r;
    const T* s = as(a.gates) + row * kGates * n;
    T* d = as(a.dgates) + row * kGates * n;
    const T* out = as(a.out) + row * n;
    const T* dout = a.dout ? as(a.dout) + row * n : nullptr;
    T *dh = h.get() + r * n, *dc = c.get() + r * n;
    const T* c0 = cell == Cell::Lstm ? before(a.cells, a.c0, t, r) : nullptr;
    const T* h0 = cell == Cell::Gru ? before(a.out, a.h0, t, r) : nullptr;
    for (int64_t i = begin; i < end; i += W) {
      const int64_t left = end - i;
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
};

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
