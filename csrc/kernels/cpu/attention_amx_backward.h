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
    take(q, a_.q.row, a_.size, q_, q_columns_);
    take(dout, a_.dout.row, a_.v_size, dout_, dout_columns_);
  }
  void take_keys(const BFloat16* k, const BFloat16* v, int64_t rows, int64_t at, int64_t) {
    const int64_t sliver = at / S;
    for (int64_t p = 0; p < a_.size; p += S) {
      const int64_t n = min_of(S, a_.size - p);
      amx_step<Bf16Pairs>(k + p, a_.k.row, 1, rows, n, k_ + (sliver * steps_ + p / S) * kStepWords);
      amx_step<Bf16Pairs>(k + p, 1, a_.k.row, n, rows, k_rows_ + (p / S * kSlivers + sliver) * kStepWords);
    }
    for (int64_t p = 0; p < a_.v_size; p += S)
      amx_step<Bf16Pairs>(v + p, a_.v.row, 1, rows, min_of(S, a_.v_size - p),
                          v_ + (sliver * v_steps_ + p / S) * kStepWords);
  }
  void scores(int64_t q0, int64_t from, int64_t n, int64_t at, int64_t, int64_t) {
    for (int64_t r = from; r < n; r += S) {
      const int64_t block = (q0 + r) / S, sliver = at / S;
      amx_product(q_ + block * steps_ * kStepWords, k_ + sliver * steps_ * kStepWords, steps_, s(r), false, n - r);
      amx_product(dout_ + block * v_steps_ * kStepWords, v_ + sliver * v_steps_ * kStepWords, v_steps_, dp_ + r * S,
                  false, n - r);
    }
  }
  float* s(int64_t row) { return s_ + row * S; }
  const float* dp(int64_t row, int64_t) { return dp_ + row * S; }
  auto put_at(int64_t at) {
    return [p = p_, ds = ds_, rows = reinterpret_cast<BFloat16*>(ds_rows_) + at / S * 2 * kStepWords](
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
        Vec<int32_t>(0).store(p_ + r / 2 * S + l);
        Vec<int32_t>(0).store(ds_ + r / 2 * S + l);
      }
    for (int64_t e = 0; e < a_.v_size; e += S)
      amx_product(dout_columns_ + (e / S * row_steps_ + first) * kStepWords, p_ + from / 2 * S, steps, dv + e * S, true,
                  a_.v_size - e);
    for (int64_t e = 0; e < a_.size; e += S)
      amx_product(q_columns_ + (e / S * row_steps_ + first) * kStepWords, ds_ + from / 2 * S, steps, dk + e * S, true,
                  a_.size - e);
    for (int64_t r = 0; r < from; r += S) {
      int32_t* rows = ds_rows_ + (r / S * kSlivers + at / S) * kStepWords;
      for (int64_t l = 0; l < kStepWords; l += kWords) Vec<int32_t>(0).store(rows + l);
    }
  }
  void add_queries(int64_t q0, int64_t n, int64_t keys, int64_t seen, float* dq, bool add) {
    for (int64_t r = 0; r < n; r += S) {
      const int64_t k = min_of(keys, seen + r + S - 1);
      for (int64_t e = 0; e < a_.size && (k > 0 || !add); e += S)
        amx_product(ds_rows_ + r / S * kSlivers * kStepWords, k_rows_ + e / S * kSlivers * kStepWords,
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
  int64_t q_words_ = row_steps_ * steps_ * kStepWords, dout_words_ = row_steps_ * v_steps_ * kStepWords;
  int64_t k_words_ = kSlivers * steps_ * kStepWords, v_words_ = kSlivers * v_steps_ * kStepWords;
  ScratchParts<int32_t, 12> parts_{{q_words_, q_words_, dout_words_, dout_words_, k_words_, k_words_, v_words_,
                                    kBlock / 2 * S, kBlock / 2 * S, kBlock / S * kSlivers * kStepWords, kBlock * S,
                                    kBlock * S}};
  int32_t *const q_ = parts_[0], *const q_columns_ = parts_[1];
  int32_t *const dout_ = parts_[2], *const dout_columns_ = parts_[3];
  int32_t *const k_ = parts_[4], *const k_rows_ = parts_[5], *const v_ = parts_[6];
  int32_t *const p_ = parts_[7], *const ds_ = parts_[8], *const ds_rows_ = parts_[9];
  float *const s_ = reinterpret_cast<float*>(parts_[10]), *const dp_ = reinterpret_cast<float*>(parts_[11]);
  AmxRegisters registers_;
};

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
#endif
