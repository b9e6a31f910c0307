// recurrent_split.h -- the steps of a recurrent layer of float32 by AMX (split.h).
//
// The weights are split once, the operand after each step, in groups of 32 units: a group is a sliver of columns of one
// product for each gate, and a step of k of the next. A group's task is its product, then its gates:
//
//   forward    operand: state               sums of all gates -> gates, state
//   backward   operand: gradient of gates   gradient of the state -> gradient of the gates of the step before
//
// Every other step goes from the last group to the first, so that what is left of the weights in L2 is used first. The
// gates of 32 rows are computed while AMX multiplies the next ones, and weights that L2 does not hold are fetched.
//
// Parallel over rows, which never wait for each other; over groups, step by step, where rows are too few: AMX takes as
// long for one row as for 16. Rows that do not split, four together whatever the threads, are multiplied by FMAs.
#pragma once
#include "core/parallel.h"
#include "core/parallel_here.h"
#include "kernels/cpu/gemm_block.h"
#include "kernels/cpu/recurrent_gates.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu_features.h"

#ifdef PYNN_VEC_DOT

namespace PYNN_CPU_NAMESPACE {
namespace {

// Short steps are over before threads have met; AMX takes 16 rows, 32 units and 32 steps of k at a time.
inline bool takes_split(const SequenceArgs& a) {
  const int64_t rows = a.total / a.steps, units = round_up(a.n, kAmxSize), work = rows * a.n * a.n;
  return cpu_features().amx_bf16 && a.steps > 1 && work * gates_of(a.cell) >= 1 << 22 &&
         3 * round_up(rows, kAmxSize / 2) * units * units <= 4 * work;
}

template <Cell cell, bool kForward, int kParts>
struct SplitSequence : Gates<float, cell> {
  using Base = Gates<float, cell>;
  using V = Vec<float>;
  using Base::a, Base::as, Base::at, Base::batch, Base::before, Base::c, Base::copy, Base::h, Base::kFromX,
      Base::kGates, Base::n, Base::W;
  static constexpr int64_t S = kAmxSize, kBlocks = kForward ? kGates : 1;  // of 32 x 32 sums for a group
  static constexpr int64_t kTogether = 4;                                  // rows that split or do not

  const int64_t groups = ceil_div(n, S);                          // of units
  const int64_t depth = kForward ? groups : kGates * groups;      // steps of k
  const int64_t of_group = kGates * groups * kSplitStep<kParts>;  // words of weights
  const bool fits = groups * of_group <= 7 << 16;                 // L2
  const Scratch<int32_t> weights{groups * of_group};              // [group][gate][groups] steps
  float most_of_weights = 0;

  // A task's rows of the batch.
  struct Rows {
    int64_t begin, end, groups, depth;
    int64_t strips = ceil_div(end - begin, S), bundles = ceil_div(end - begin, kTogether);
    Scratch<int32_t> operand{2 * strips * depth * kSplitStep<kParts>};  // [2][strip][depth] steps
    Scratch<Magnitude> seen{2 * bundles * groups};                      // of the operand: [2][bundle][group]

    int32_t* strip(int64_t half, int64_t i) const {
      return operand.get() + (half * strips + i) * depth * kSplitStep<kParts>;
    }
    Magnitude& seen_of(int64_t half, int64_t bundle, int64_t g) const {
      return seen[(half * bundles + bundle) * groups + g];
    }
  };

  explicit SplitSequence(const SequenceArgs& args) : Base(args) {
    const Scratch<Magnitude> of_group(groups);
    const double ns = static_cast<double>(kGates * n * S) / 5;
    parallel_for(0, groups, grain_for(ns), [&](int64_t first, int64_t last) {
      for (int64_t g = first; g < last; ++g) {
        of_group[g] = Magnitude();
        for (int64_t q = 0; q < kGates; ++q)
          split_steps<kParts, false>(weight(g, q), kForward ? n : 1, kForward ? 1 : n, min_of(S, n - g * S), n,
                                     columns(g, q), of_group[g]);
      }
    });
    Magnitude all;
    for (int64_t g = 0; g < groups; ++g) all.see(of_group[g]);
    most_of_weights = all.most();
  }

  const float* weight(int64_t g, int64_t q) const { return as(a.w_hh) + q * n * n + g * S * (kForward ? n : 1); }
  int32_t* columns(int64_t g, int64_t q) const {
    return weights.get() + (g * kGates + q) * groups * kSplitStep<kParts>;
  }
  int64_t step(int64_t k) const { return a.reverse == kForward ? a.steps - 1 - k : k; }  // the k-th in order

  // Units of group g, x[unit], of a line of the operand: step s of its k.
  PYNN_INLINE void put(const Rows& rows, int64_t half, int64_t line_of, int64_t s, const float* x, int64_t g) const {
    int32_t* const line =
        rows.strip(half, line_of / S) + s * kSplitStep<kParts> + line_of % S / W * kTile + line_of % W * W;
    Magnitude& most = rows.seen_of(half, line_of / kTogether, g);
    const int64_t left = n - g * S;
    if (left >= S)
      split_line<kParts, true>(x + g * S, W, W, W, line, 2 * kTile, most);
    else
      split_line<kParts, false>(x + g * S, W, min_of<int64_t>(W, left), min_of<int64_t>(W, left - W), line, 2 * kTile,
                                most);
  }

  // Rows of a strip whose sums are there, [block][32][32]; of the product, and of the gates of the k-th step.
  struct Strip {
    const Rows* rows;
    int64_t k, g, i, ready, end;
    const float* sums;
    int64_t done = 0, pieces = 0;
  };
  // The gates of a line: two vectors of units.
  __attribute__((noinline)) void piece(Strip& s) const {
    const int64_t line = s.done, from_first = s.i * S + line, r = s.rows->begin + from_first;
    const int64_t unit = s.g * S, next = 1 - s.k % 2, left = n - unit;
    if (s.done++ % kTogether == 0) s.rows->seen_of(next, from_first / kTogether, s.g) = Magnitude();
    if constexpr (kForward) {
      V sums[2][kGates];
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v)
#pragma GCC unroll 4
        for (int q = 0; q < kGates; ++q) sums[v][q] = V::load(s.sums + (q * S + line) * S + v * W);
      const int64_t t = step(s.k);
      this->forward(sums[0], t, r, unit);
      if (left > W) this->forward(sums[1], t, r, unit + W);
      put(*s.rows, next, from_first, s.g, as(a.out) + (at[t] + r) * n, s.g);
    } else {
      if (line < s.ready)
        for (int64_t v = 0; v < 2 && v * W < left; ++v) {
          float* const y = h.get() + r * n + unit + v * W;
          const V x = V::load(s.sums + line * S + v * W);
          (cell == Cell::Gru ? x + V::load(y, left - v * W) : x).store(y, left - v * W);
        }
      if (line >= s.end) return;
      const int64_t t = step(s.k), row = at[t] + r;
      this->backward(t, r, unit, min_of<int64_t>(n, unit + S));
      for (int64_t q = 0; q < kGates; ++q)
        put(*s.rows, next, from_first, q * groups + s.g,
            q < kFromX ? as(a.dgates) + (row * kGates + q) * n : as(a.dhn) + row * n, s.g);
    }
  }

  bool splits_at(const Strip& s, int64_t line) const {
    Magnitude most;
    for (int64_t j = 0; j < groups; ++j) most.see(s.rows->seen_of(s.k % 2, (s.i * S + line) / kTogether, j));
    return splits(most.most(), most_of_weights);
  }
  // Lines of memory, so many at each pause of the product.
  struct Ahead {
    const char* next;
    int64_t lines;
  };
  // Meanwhile the strip before is finished.
  void product(const Strip& s, float* sums, Strip& last, Ahead ahead) const {
    const int64_t each = ceil_div(last.pieces, kGates * groups);
    const auto beside = [&](int pause) __attribute__((always_inline)) {
      for (int64_t l = 0; l < ahead.lines; ++l, ahead.next += kAmxLine) __builtin_prefetch(ahead.next, 0, 2);
      for (int64_t e = 0; pause == 0 && e < each && last.done < last.pieces; ++e) piece(last);
    };
    const auto multiply = [&]<bool kLower>(int64_t q) {
      split_block<kParts, kLower>(s.rows->strip(s.k % 2, s.i), columns(s.g, q), depth,
                                  reinterpret_cast<char*>(sums + q * S * S), 4 * S,
                                  [&](const int32_t* x, const int32_t* y)
                                      __attribute__((always_inline)) { split_step<kParts, kLower>(x, y, beside); });
    };
    for (int64_t q = 0; q < kBlocks; ++q)
      s.ready > S / 2 ? multiply.template operator()<true>(q) : multiply.template operator()<false>(q);
    for (int64_t line = 0; line < s.ready; line += kTogether)
      if (!splits_at(s, line)) exact_product(s, line, min_of(kTogether, s.ready - line), sums + line * S);
  }
  void exact_product(const Strip& s, int64_t line, int64_t count, float* sums) const {
    const int64_t k = kForward ? n : kGates * n, cols = min_of(S, n - s.g * S);
    const Scratch<float> x(count * k);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t r = s.rows->begin + s.i * S + line + i;
      float* const to = x.get() + i * k;
      if constexpr (kForward) {
        copy(before(a.out, a.h0, step(s.k), r), to, k);
      } else {
        const int64_t row = at[step(s.k - 1)] + r;
        copy(as(a.dgates) + row * kGates * n, to, kFromX * n);
        if (kFromX < kGates) copy(as(a.dhn) + row * n, to + kFromX * n, n);
      }
    }
    for (int64_t q = 0; q < kBlocks; ++q) {
      const Product<float> p{count,
                             cols,
                             k,
                             x.get(),
                             weight(s.g, q),
                             k,
                             1,
                             kForward ? 1 : n,
                             kForward ? n : 1,
                             {sums + q * S * S, S, 1, 1, 0, nullptr, 0, 1, false}};
      gemm_region(p, plan_of(p), 0, count, 0, cols);
    }
  }

  // The k-th step of some rows: the product of `ready` of them, and the gates of `end`.
  void run_step(const Rows& rows, int64_t k, int64_t ready, int64_t end) const {
    constexpr int64_t kLines =
        kSplitStep<kParts> * 4 / kAmxLine / kPauses<kParts, true>;  // all of the next group's weights
    const int64_t most = max_of(ready, end), strips = ceil_div(most, S);
    const double ns = static_cast<double>(round_up(most, S / 2) * kGates * groups * groups * (a.steps - k)) * 5;
    parallel_for(0, groups, ceil_div(groups, threads_for(ns)), [&](int64_t first, int64_t last) {
      const AmxRegisters registers;
      alignas(64) float sums[2][kBlocks * S * S];
      Strip two[2]{};
      int64_t which = 0;
      const auto finish = [&](Strip& s) {
        while (s.done < s.pieces) piece(s);
      };
      for (int64_t e = first; e < last; ++e)
        for (int64_t i = 0; i < strips; ++i, which = 1 - which) {
          const auto count = [&](int64_t all) { return min_of(S, max_of<int64_t>(0, all - i * S)); };
          const auto group = [&](int64_t e) { return k % 2 ? first + last - 1 - e : e; };
          Ahead ahead{nullptr, 0};
          if (!fits && strips > 1 && e + 1 < last)
            ahead = {reinterpret_cast<const char*>(columns(group(e + 1), 0) + of_group * i / strips),
                     ceil_div(kLines, strips)};
          Strip& s = two[which];
          s = {&rows, k, group(e), i, count(ready), count(end), sums[which], 0, count(most)};
          if (s.ready > 0) product(s, sums[which], two[1 - which], ahead);
          finish(two[1 - which]);
        }
      finish(two[1 - which]);
    });
  }

  void steps_of(int64_t begin, int64_t end) const {
    const Rows rows{begin, end, groups, depth};
    for (int64_t i = 0; i < 2 * rows.bundles * groups; ++i) rows.seen[i] = Magnitude();
    const auto there = [&](int64_t k) { return max_of<int64_t>(0, min_of(end, a.sizes[step(k)]) - begin); };
    for (int64_t k = 0, before = 0; k < a.steps + !kForward; ++k) {
      const int64_t now = k < a.steps ? there(k) : 0;
      if (kForward)
        for (int64_t line = before; line < now; ++line)
          for (int64_t g = 0; g < groups; ++g) put(rows, k % 2, line, g, as(a.h0) + (begin + line) * n, g);
      run_step(rows, k, kForward ? now : before, now);
      before = now;
    }
  }
  void steps() const {
    const int64_t threads = num_threads(), each = round_up(ceil_div(batch, threads), kTogether);
    // Nanoseconds of a step: AMX takes 80 for 16 rows and 32 x 32 weights of three parts.
    const auto product_ns = [&](int64_t rows) {
      return static_cast<double>(ceil_div(rows, S / 2) * kGates * groups * groups) * 80 * kParts / 3;
    };
    const double by_groups = product_ns(batch) / static_cast<double>(threads) + 6000;  // others' results are waited for
    if (fits && product_ns(each) < by_groups && by_groups > 2000)
      parallel_for(0, batch, each, [&](int64_t begin, int64_t end) { steps_of(begin, end); });
    else
      steps_of(0, batch);
  }

  void run_forward() const {
    if constexpr (cell == Cell::Lstm) copy(a.c0, c.get(), batch * n);
    steps();
    // The last step of a row: the first one in reverse, else the one after which there are fewer.
    for (int64_t t = 0; t < (a.reverse ? 1 : a.steps); ++t) {
      const int64_t rest = a.reverse || t + 1 == a.steps ? 0 : a.sizes[t + 1];
      copy(as(a.out) + (at[t] + rest) * n, as(a.h_last) + rest * n, (a.sizes[t] - rest) * n);
    }
    if constexpr (cell == Cell::Lstm) copy(c.get(), as(a.c_last), batch * n);
  }

  void run_backward() const {
    copy(a.dh_last, h.get(), batch * n);
    if constexpr (cell == Cell::Lstm) copy(a.dc_last, c.get(), batch * n);
    steps();
    copy(h.get(), as(a.dh0), batch * n);
    if constexpr (cell == Cell::Lstm) copy(c.get(), as(a.dc0), batch * n);
  }
};

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
#endif
