// split_queue.h -- splitting rows and columns (split.h) in passing, beside AMX's products.
//
// AMX leaves the vectors' units idle. They work beside it where instructions of both are among the few hundred that a
// core looks at: some lines between the products of each step.
#pragma once
#include "kernels/cpu/split.h"

#ifdef PYNN_VEC_DOT

namespace PYNN_CPU_NAMESPACE {
namespace {

// Rows of A or columns of B: element (r, k) at r * r_stride + k * k_stride.
struct SplitSide {
  const float* x;
  int64_t r_stride, k_stride, count;
  bool of_a;
};

// Splits what was asked for into so many parts, one 32 rows after the other: some lines of a tile at a time, or all at
// once.
template <int kParts>
class SplitQueue {
 public:
  // Rows [r, r_end) of k in [k, k_end): each 32 to a piece of so many words, whose largest element is seen.
  struct Rows {
    const SplitSide* side;
    int64_t r, r_end, k, k_end;
    int32_t* to;
    int64_t piece;
    Magnitude* seen;
  };
  void add(const Rows& rows) {
    if (rows.r < rows.r_end) waiting_[end_++] = rows;
  }
  // The next L lines, which the caller is to split.
  template <int L>
  PYNN_INLINE bool take(SplitLines& lines) {
    if (line_ > kWords - L) {
      split_rest();
      if (!begin()) return false;
    }
    lines = tile_.from(line_);
    line_ += L;
    return true;
  }
  PYNN_INLINE void saw(const Magnitude& lines) { seen_->see(lines); }
  void finish() {
    do split_rest();
    while (begin());
    next_ = end_ = 0;
  }

 private:
  void split_rest() {
    if (line_ == kWords) return;
    const SplitLines tile = tile_;
    Magnitude seen;
    for (int64_t l = line_; l < kWords; ++l) tile.split<kParts>(l, seen);
    line_ = kWords;
    saw(seen);
  }
  // The next tile of which lines are left.
  __attribute__((noinline)) bool begin() {
    while (next_ < end_) {
      Rows& t = waiting_[next_];
      const SplitSide& s = *t.side;
      const int64_t r = t.r + half_ * kWords, k = t.k + step_ * kSplitK;
      const auto begin_it = s.of_a ? begin_tile<kParts, true> : begin_tile<kParts, false>;
      const bool left = begin_it(s.x + r * s.r_stride + k * s.k_stride, s.r_stride, s.k_stride, t.r_end - r,
                                 t.k_end - k, t.to + step_ * kSplitStep<kParts> + half_ * kTile, room_, tile_, *t.seen);
      seen_ = t.seen;
      half_ = 1 - half_;
      if (half_ == 0 && k + kSplitK < t.k_end) {
        ++step_;
      } else if (half_ == 0) {
        step_ = 0, t.r += kAmxSize, t.to += t.piece, ++t.seen;
        if (t.r >= t.r_end) ++next_;
      }
      if (left) {
        line_ = 0;
        return true;
      }
    }
    return false;
  }

  Rows waiting_[2];
  int64_t next_ = 0, end_ = 0, step_ = 0, half_ = 0;  // of a tile to come
  SplitLines tile_;
  int64_t line_ = kWords;  // of the tile
  Magnitude* seen_ = nullptr;
  alignas(kAmxLine) float room_[kTileRoom];
};

// split_step with the next L lines of the queue beside it.
template <int kParts, bool kLower, int L>
PYNN_INLINE void split_step_beside(const int32_t* a, const int32_t* b, SplitQueue<kParts>& queue) {
  SplitLines lines;
  if (!queue.template take<L>(lines)) return split_step<kParts, kLower>(a, b, Nothing());
  Magnitude seen;
  split_step<kParts, kLower>(a, b, [&](int pause) __attribute__((always_inline)) {
    constexpr int n = kPauses<kParts, kLower>;
    for (int l = pause * L / n; l < (pause + 1) * L / n; ++l) lines.split<kParts>(l, seen);
  });
  queue.saw(seen);
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
#endif
