// attention_amx_backward.h -- the products of tiled attention's gradients of bfloat16 by AMX, see
// attention_backward.cpp.
//
// Slivers are of 32 keys. A head's q and dout are copied once, as blocks of A both ways round; keys and values as
// blocks of B; p and ds are rounded to bfloat16 as pairs along the queries, ds along the keys, too.
#pragma once
#include "kernels/cpu/attention_amx.h"

#ifdef PYNN_VEC_DOT

namespace PYNN_CPU_NAMESPACE {
namespace {

class AmxGradients {
  static constexpr int64_t S = kAmxSize, kStepWords = kAmxLine / 4 * S;

 public:
  static constexpr int64_t kVectors = S / kWords, kSlivers = 4, kBlock = 128;
  static constexpr int64_t kRows = S;
  static constexpr bool kWhole = true;
  static constexpr int64_t kStep = S, kDpStep = S;

  explicit AmxGradients(const TiledAttentionArgs& args) : a_(args) {}

  static int64_t padded(int64_t size) { return round_up(size, S); }
  // dq lies as blocks of 32 x 32.
  static int64_t dq_width(const TiledAttentionArgs& a) { return padded(a.size); }
  static int64_t dq_at(const TiledAttentionArgs& a, int64_t row, int64_t i) {
    return (row / S * (padded(a.size) / S) + i / S) * S * S + row % S * S + i % S;
  }

  void take_head(const BFloat16* q, const BFloat16* dout) {
    take(q, a_.q.row, a_.size, q_.get(), q_columns_.get());
    take(dout, a_.dout.row, a_.v_size, dout_.get(), dout_columns_.get());
  }
  void take_keys(const BFloat16* k, const BFloat16* v, int64_t rows, int64_t at, int64_t) {
    const int64_t sliver = at / S;
    for (int64_t p = 0; p < a_.size; p += S) {
      const int64_t n = min_of(S, a_.size - p);
      amx_step<Bf16Pairs>(k + p, a_.k.row, 1, rows, n, k_.get() + (sliver * steps_ + p / S) * kStepWords);
      amx_step<Bf16Pairs>(k + p, 1, a_.k.row, n, rows, k_rows_.get() + (p / S * kSlivers + sliver) * kStepWords);
    }
    for (int64_t p = 0; p < a_.v_size; p += S)
      amx_step<Bf16Pairs>(v + p, a_.v.row, 1, rows, min_of(S, a_.v_size - p),
                          v_.get() + (sliver * v_steps_ + p / S) * kStepWords);
  }
  void scores(int64_t q0, int64_t from, int64_t n, int64_t at, int64_t, int64_t) {
    for (int64_t r = from; r < n; r += S) {
      const int64_t block = (q0 + r) / S, sliver = at / S;
      amx_product(q_.get() + block * steps_ * kStepWords, k_.get() + sliver * steps_ * kStepWords, steps_, s(r), false,
                  n - r);
      amx_product(dout_.get() + block * v_steps_ * kStepWords, v_.get() + sliver * v_steps_ * kStepWords, v_steps_,
                  dp_.get() + r * S, false, n - r);
    }
  }
  float* s(int64_t row) { return s_.get() + row * S; }
  const float* dp(int64_t row, int64_t) { return dp_.get() + row * S; }
  auto put_at(int64_t at) {
    return [p = p_.get(), ds = ds_.get(), rows = reinterpret_cast<BFloat16*>(ds_rows_.get()) + at / S * 2 * kStepWords](
               int64_t row, int64_t i, VecF x, VecF y, VecF dx, VecF dy) __attribute__((always_inline)) {
      pairs_of(x, y).store(p + row / 2 * S + i);
      pairs_of(dx, dy).store(ds + row / 2 * S + i);
      BFloat16* to = rows + row / S * kSlivers * 2 * kStepWords + row % S * S + i;
      store_rounded(to, dx);
      store_rounded(to + S, dy);
    };
  }
  void add_keys(int64_t q0, int64_t from, int64_t n, int64_t at, int64_t, float* dk, float* dv) {
    const int64_t steps = ceil_div(n - from, S), first = (q0 + from) / S;
    for (int64_t r = round_up(n, 2); r < round_up(n, S); r += 2)
      for (int64_t l = 0; l < S; l += kWords) {
        Vec<int32_t>(0).store(p_.get() + r / 2 * S + l);
        Vec<int32_t>(0).store(ds_.get() + r / 2 * S + l);
      }
    for (int64_t e = 0; e < a_.v_size; e += S)
      amx_product(dout_columns_.get() + (e / S * row_steps_ + first) * kStepWords, p_.get() + from / 2 * S, steps,
                  dv + e * S, true, a_.v_size - e);
    for (int64_t e = 0; e < a_.size; e += S)
      amx_product(q_columns_.get() + (e / S * row_steps_ + first) * kStepWords, ds_.get() + from / 2 * S, steps,
                  dk + e * S, true, a_.size - e);
    for (int64_t r = 0; r < from; r += S) {
      int32_t* rows = ds_rows_.get() + (r / S * kSlivers + at / S) * kStepWords;
      for (int64_t l = 0; l < kStepWords; l += kWords) Vec<int32_t>(0).store(rows + l);
    }
  }
  void add_queries(int64_t q0, int64_t n, int64_t keys, int64_t seen, float* dq, bool add) {
    for (int64_t r = 0; r < n; r += S) {
      const int64_t k = min_of(keys, seen + r + S - 1);
      for (int64_t e = 0; e < a_.size && (k > 0 || !add); e += S)
        amx_product(ds_rows_.get() + r / S * kSlivers * kStepWords, k_rows_.get() + e / S * kSlivers * kStepWords,
                    ceil_div(max_of<int64_t>(0, k), S), dq + dq_at(a_, q0 + r, e), add, n - r);
    }
  }

 private:
  // Rows of x, and its columns, in steps of 32 along the other side.
  void take(const BFloat16* x, int64_t step, int64_t n, int32_t* rows, int32_t* columns) {
    for (int64_t r = 0; r < a_.rows; r += S)
      amx_rows<Bf16Pairs>(x + r * step, step, 1, min_of(S, a_.rows - r), n, rows + r / S * ceil_div(n, S) * kStepWords);
    for (int64_t e = 0; e < n; e += S)
      amx_rows<Bf16Pairs>(x + e, 1, step, min_of(S, n - e), a_.rows, columns + e / S * row_steps_ * kStepWords);
  }

  const TiledAttentionArgs& a_;
  int64_t steps_ = ceil_div(a_.size, S), v_steps_ = ceil_div(a_.v_size, S), row_steps_ = ceil_div(a_.rows, S);
  Scratch<int32_t> q_{row_steps_ * steps_ * kStepWords}, q_columns_{row_steps_ * steps_ * kStepWords};
  Scratch<int32_t> dout_{row_steps_ * v_steps_ * kStepWords}, dout_columns_{row_steps_ * v_steps_ * kStepWords};
  Scratch<int32_t> k_{kSlivers * steps_ * kStepWords}, k_rows_{kSlivers * steps_ * kStepWords};
  Scratch<int32_t> v_{kSlivers * v_steps_ * kStepWords};
  Scratch<int32_t> p_{kBlock / 2 * S}, ds_{kBlock / 2 * S}, ds_rows_{kBlock / S * kSlivers * kStepWords};
  Scratch<float> s_{kBlock * S}, dp_{kBlock * S};
  AmxRegisters registers_;
};

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
#endif
