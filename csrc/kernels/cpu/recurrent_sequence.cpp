// recurrent_sequence.cpp -- the steps of a recurrent layer. The weights are packed once; a tile of a step is the
// product of some rows of the state with the weights of some units, all gates of a unit together, and the gates
// themselves while the product is in registers. Backward: the gates of a step, then the product of their gradients.
// Long steps of float32 go by AMX where the CPU has it: recurrent_split.h.
//
// Parallel over rows of the batch, which never wait for each other; over units, step by step, where rows are too few. A
// sum runs over the state in order either way, so the bits do not depend on the threads. Accumulates in the dtype.
#include "kernels/cpu/gemm_pack.h"
#include "kernels/cpu/recurrent_gates.h"
#include "kernels/cpu/recurrent_split.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

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
struct Sequence : Gates<T, cell> {
  using Base = Gates<T, cell>;
  using V = Vec<T>;
  using Base::a, Base::as, Base::at, Base::batch, Base::c, Base::copy, Base::h, Base::kFromX, Base::kGates, Base::n,
      Base::W;
  static constexpr int NV = vectors_of(cell);

  const int64_t blocks = ceil_div(n, W);
  const Scratch<T> weights{kGates * n * blocks * W + W};

  explicit Sequence(const SequenceArgs& args) : Base(args) {}

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

  void steps_forward(int64_t r0, int64_t r1) {
    constexpr int64_t kEach = kGates > 1 ? 1 : NV;  // blocks of units of a tile
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
            for (int64_t i = 0; i < rows; ++i)
              for (int64_t e = 0; e < kEach && unit + e * W < n; ++e)
                this->forward(sums + i * NV + e, t, r + i, unit + e * W);
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
  void steps_backward(int64_t r0, int64_t r1) {
    for (int64_t k = 0; k < a.steps; ++k) {
      const int64_t t = a.reverse ? k : a.steps - 1 - k, end = min_of(r1, a.sizes[t]);
      if (r0 >= end) continue;
      parallel_for(r0, end, grain_for(static_cast<double>(n * (kGates + 2)) / 2), [&](int64_t first, int64_t last) {
        for (int64_t r = first; r < last; ++r) this->backward(t, r, 0, n);
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
            product_of<T, kVectors>(rows, sums, kFromX * n, d, kGates * n, b, (kGates - kFromX) * n, d2, n);
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
#ifdef PYNN_VEC_DOT
  if constexpr (std::is_same_v<T, float>)
    if (takes_split(a))
      return with_parts(a.parts, [&](auto parts) {
        forward ? SplitSequence<cell, true, parts>(a).run_forward()
                : SplitSequence<cell, false, parts>(a).run_backward();
      });
#endif
  Sequence<T, cell> s(a);
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
