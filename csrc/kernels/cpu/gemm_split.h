// gemm_split.h -- one thread's share of a product of float32 by AMX (split.h): blocks of 32 x 32 of C.
//
//   for each panel of rows (columns), for each block of k:
//     for each 32 columns (rows):   for each 32 of the panel: a block
//
// The shorter side of C makes the panel, which stays split in L2; the other one passes by in pieces that stay near.
// What comes next is split beside the blocks (split_queue.h): the next piece, and where there is room a share of the
// next panel. A weight may have been split ahead (SplitAhead). Sums wait in C where they can. A block whose operands do
// not split is computed by FMAs.
#pragma once
#include "kernels/cpu/gemm_block.h"
#include "kernels/cpu/gemm_regions.h"
#include "kernels/cpu/split_queue.h"
#include "kernels/cpu_features.h"

#ifdef PYNN_VEC_DOT

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kSplitPiece = 36;       // parts of steps of k in a block
constexpr int64_t kSplitPanel = 1 << 18;  // words
constexpr int64_t kSplitRows = 2048;      // of C at a time, for what waits elsewhere
constexpr size_t kMostAhead = 5 << 17;    // bytes; more, 1.5 times the weight's, came from L3 in 1.1 of the time

// B split ahead: [32 columns][steps of k] parts, then the largest element of each 32 columns.
class SplitAhead {
 public:
  SplitAhead(const void* memory, int64_t n, int64_t k, int64_t parts)
      : parts_(static_cast<int32_t*>(const_cast<void*>(memory))),
        columns_(ceil_div(n, kAmxSize)),
        steps_(ceil_div(k, kSplitK)),
        step_(2 * parts * kTile) {}
  size_t bytes() const { return static_cast<size_t>(columns_ * (steps_ * step_ + 1)) * sizeof(int32_t); }
  explicit operator bool() const { return parts_; }
  int64_t columns() const { return columns_; }
  int32_t* at(int64_t c, int64_t s) const { return parts_ + (c * steps_ + s) * step_; }
  float& most(int64_t c) const { return reinterpret_cast<float*>(at(columns_, 0))[c]; }

 private:
  int32_t* const parts_;
  const int64_t columns_, steps_, step_;
};

// Rows [i0, i1) and columns [j0, j1) of C.
template <int kParts>
class SplitRegion {
  using V = Vec<float>;
  static constexpr int64_t S = kAmxSize;

 public:
  SplitRegion(const Product<float>& p, int64_t i0, int64_t i1, int64_t j0, int64_t j1)
      : p_(p),
        i0_(i0),
        j0_(j0),
        a_{p.a + i0 * p.a_rs, p.a_rs, p.a_cs, i1 - i0, true},
        b_{p.b + j0 * p.b_cs, p.b_cs, p.b_rs, j1 - j0, false} {
    for (int64_t l = 0; l < lines_ + others_; ++l) seen_[l] = Magnitude();
  }

  void run() {
    Panel now{0, 0, 0};
    if (!ahead_) ask_panel(now, 0, most_);
    ask_other(now, 0);
    queue_.finish();
    while (now.first < lines_) {
      const Panel next = after(now);
      for (int64_t o = 0; o < others_; ++o) {
        if (buffers_ == 2) ask_panel(next, width(next) * o / others_, width(next) * (o + 1) / others_);
        near_ = 1 - near_;
        o + 1 < others_ ? ask_other(now, o + 1) : ask_other(next, 0);
        for (int64_t l = 0; l < width(now); ++l) block(now, l, o);
        queue_.finish();
      }
      if (buffers_ == 1) {
        ask_panel(next, 0, width(next));
        queue_.finish();
      }
      now = next;
    }
  }

 private:
  // 32s of the panel's side from `first` on, steps from s on: in one of the buffers.
  struct Panel {
    int64_t first, s, buffer;
  };
  Panel after(const Panel& q) const {
    const int64_t buffer = buffers_ - 1 - q.buffer;
    return q.s + block_ < steps_ ? Panel{q.first, q.s + block_, buffer} : Panel{q.first + most_, 0, buffer};
  }
  int64_t width(const Panel& q) const { return max_of<int64_t>(0, min_of(most_, lines_ - q.first)); }
  int64_t k_end(const Panel& q) const { return min_of((q.s + block_) * kSplitK, p_.k); }
  int32_t* far_of(const Panel& q, int64_t l) const { return parts_.get() + (q.buffer * most_ + l) * piece_; }
  int32_t* near_of(int64_t turn) const { return parts_.get() + (buffers_ * most_ + turn) * piece_; }

  void ask_panel(const Panel& q, int64_t from, int64_t to) {
    queue_.add({&panel_, (q.first + from) * S, min_of((q.first + to) * S, panel_.count), q.s * kSplitK, k_end(q),
                far_of(q, from), piece_, &seen_[q.first + from]});
  }
  void ask_other(const Panel& q, int64_t o) {
    if (q.first < lines_)
      queue_.add({&other_, o * S, min_of((o + 1) * S, other_.count), q.s * kSplitK, k_end(q), near_of(near_), piece_,
                  &seen_[lines_ + o]});
  }

  // Sums that wait between blocks of k, and not in C: all, or those of the last, partial rows and columns.
  int64_t places() const { return steps_ <= block_ ? 1 : sums_in_c_ ? most_ + others_ : most_ * others_; }
  float* place(int64_t l, int64_t o) const {
    const int64_t i = steps_ <= block_ ? 0 : !sums_in_c_ ? o * most_ + l : other_.count - o * S < S ? l : most_ + o;
    return sums_.get() + i * S * S;
  }

  template <bool kLower, int L>
  __attribute__((noinline)) void multiply(const int32_t* a, const int32_t* b, int64_t steps, float* sums, int64_t row) {
    split_block<kParts, kLower>(a, b, steps, reinterpret_cast<char*>(sums), 4 * row,
                                [&](const int32_t* x, const int32_t* y) __attribute__((always_inline)) {
                                  split_step_beside<kParts, kLower, L>(x, y, queue_);
                                });
  }
  // The l-th 32 of the panel by the o-th of the other side.
  void block(const Panel& q, int64_t l, int64_t o) {
    const int64_t in_panel = (q.first + l) * S, r = panel_.of_a ? in_panel : o * S, c = panel_.of_a ? o * S : in_panel;
    const int64_t i = i0_ + r, j = j0_ + c, rows = min_of(S, a_.count - r), cols = min_of(S, b_.count - c);
    const bool last = q.s + block_ >= steps_, whole = rows == S && cols == S;
    const bool in_c = sums_in_c_ && whole && (plain_ || steps_ > block_);
    float* const sums = in_c ? p_.out.c + i * p_.out.c_rs + j : place(l, o);
    const int64_t row = in_c ? p_.out.c_rs : S;  // of sums
    const int64_t column = j / S;                // where B is split ahead, it makes the panel
    const int32_t *const far = ahead_ ? ahead_.at(column, q.s) : far_of(q, l), *const near = near_of(1 - near_);
    const auto multiply_to = [&](float* to, int64_t to_row) {
      const int64_t lines = S / width(q) + (buffers_ == 2 ? S / others_ : 0);  // to be split with each step
      const auto multiply = rows <= S / 2 ? &SplitRegion::multiply<false, 8>
                            : lines <= 4  ? &SplitRegion::multiply<true, 4>
                            : lines <= 8  ? &SplitRegion::multiply<true, 8>
                                          : &SplitRegion::multiply<true, 16>;
      (this->*multiply)(panel_.of_a ? far : near, panel_.of_a ? near : far, ceil_div(k_end(q) - q.s * kSplitK, kSplitK),
                        to, to_row);
    };
    alignas(kAmxLine) float more[S * S];
    const float* all = sums;
    if (q.s == 0) {
      multiply_to(sums, row);
    } else {  // blocks of k are summed up on their own: long chains of roundings lose digits
      multiply_to(more, S);
      float* const to = last && !plain_ ? more : sums;
      for (int64_t y = 0, to_row = to == more ? S : row; y < rows; ++y)
        for (int64_t x = 0; x < S; x += V::kSize)
          (V::load(sums + y * row + x) + V::load(more + y * S + x)).store(to + y * to_row + x);
      all = to;
    }
    if (!last) return;
    if (!splits(ahead_ ? ahead_.most(column) : seen_[q.first + l].most(), seen_[lines_ + o].most()))
      gemm_region(p_, plan_of(p_), i, i + rows, j, j + cols);
    else if (!plain_ || !in_c)
      store_tile(p_.out, i, j, reinterpret_cast<const V*>(all), static_cast<int>(rows), S / V::kSize, cols);
  }

  const Product<float>& p_;
  const int64_t i0_, j0_;
  const SplitSide a_, b_;
  const SplitAhead ahead_{p_.b_ready, p_.n, p_.k, kParts};
  const bool few_rows_ = !ahead_ && a_.count <= 128 && 2 * a_.count <= b_.count;
  const SplitSide &panel_ = few_rows_ ? a_ : b_, &other_ = few_rows_ ? b_ : a_;
  const bool sums_in_c_ = p_.out.c_cs == 1 && p_.out.beta == 0;
  const bool plain_ = p_.out.alpha == 1 && !p_.out.bias && !p_.out.relu;
  const int64_t steps_ = ceil_div(p_.k, kSplitK), block_ = ceil_div(steps_, ceil_div(steps_* kParts, kSplitPiece));
  const int64_t piece_ = block_ * kSplitStep<kParts>;  // words
  const int64_t lines_ = ceil_div(panel_.count, S), others_ = ceil_div(other_.count, S);
  const int64_t most_ = min_of(lines_, max_of<int64_t>(1, kSplitPanel / piece_));  // of the panel at a time
  const int64_t buffers_ = ahead_ ? 0 : 2 * most_ * piece_ <= kSplitPanel ? 2 : 1;
  const Scratch<int32_t> parts_{(buffers_ * most_ + 2) * piece_};
  const Scratch<float> sums_{places() * S * S};
  const Scratch<Magnitude> seen_{lines_ + others_};
  SplitQueue<kParts> queue_;
  int64_t near_ = 0;  // the buffer of the piece that is split now
  const AmxRegisters registers_;
};

// Nanoseconds on one thread, roughly: of a step of a block, and of splitting 32 rows or columns for it, whose k lies
// along memory or across.
struct SplitCosts {
  double block, along, across;
};
constexpr SplitCosts split_costs(int parts) {
  return parts == 3 ? SplitCosts{160, 170, 250} : parts == 2 ? SplitCosts{110, 140, 205} : SplitCosts{50, 85, 145};
}

// The choice may not depend on the number of threads, so it has some room for what they split each for themselves; nor
// on whether B's parts are there, but on whether they will be. Costs are fitted to both ways' times of 220 products.
inline bool takes_split(const Product<float>& p) {
  if (p.m <= 16 || p.n <= 16 || !cpu_features().amx_bf16) return false;
  const auto rows = static_cast<double>(ceil_div(p.m, 16)) / 2, columns = static_cast<double>(ceil_div(p.n, kAmxSize));
  const SplitCosts ns = split_costs(p.parts);
  const bool kept = p.b_stays && SplitAhead(nullptr, p.n, p.k, p.parts).bytes() <= kMostAhead;
  const double step = rows * columns * ns.block + rows * (p.a_cs == 1 ? ns.along : ns.across) +
                      (kept ? 0 : columns * (p.b_cs == 1 ? ns.along : ns.across));
  const double split = static_cast<double>(ceil_div(p.k, kSplitK)) * step + 30 * rows * columns + 800;
  const double fma = 0.0123 * multiply_adds(p.m, round_up(p.n, Vec<float>::kSize), p.k) +
                     0.03 * multiply_adds(p.m, p.n, 1) + (p.b_cs == 1 ? 0 : 0.08) * multiply_adds(1, p.n, p.k) + 400;
  return 1.15 * split < fma;
}

inline void split_ahead(const Product<float>& p, void* to) {
  const SplitAhead ahead(to, p.n, p.k, p.parts);
  const double ns = split_costs(p.parts).across * static_cast<double>(ceil_div(p.k, kSplitK));
  parallel_for(0, ahead.columns(), grain_for(ns), [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      Magnitude seen;
      with_parts(p.parts, [&](auto parts) {
        split_steps<parts, false>(p.b + c * kAmxSize * p.b_cs, p.b_cs, p.b_rs, min_of(kAmxSize, p.n - c * kAmxSize),
                                  p.k, ahead.at(c, 0), seen);
      });
      ahead.most(c) = seen.most();
    }
  });
}

inline void gemm_split(const Product<float>& p) {
  const SplitCosts ns = split_costs(p.parts);
  const double of_a = p.a_cs == 1 ? ns.along : ns.across, of_b = p.b_ready ? 0 : p.b_cs == 1 ? ns.along : ns.across;
  const int64_t steps = ceil_div(p.k, kSplitK) * static_cast<int64_t>(ns.block / kVectorNs);
  for_regions<kAmxSize>(
      ceil_div(p.m, kAmxSize), p.n, steps, of_a / ns.block + kAmxSize * row_cost<float>(p.n, steps), of_b / ns.block,
      [&](int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
        const int64_t end = min_of(i1 * kAmxSize, p.m);
        for (int64_t i = i0 * kAmxSize; i < end; i += kSplitRows)
          with_parts(p.parts, [&](auto parts) { SplitRegion<parts>(p, i, min_of(i + kSplitRows, end), j0, j1).run(); });
      });
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
#endif
